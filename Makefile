# `make demo` shows the main job on a real photograph, `make test` checks everything. Both install what they need into
# .venv with the machine's own pip settings. Also: lint, generate, docs, wheel, deep, gpu, mutants, bench, clean.

PYTHON ?= python3
VENV ?= .venv
JOBS ?= 2
BIN := $(VENV)/bin
# Bytecode is written, as on users' machines, whatever is set here.
export PYTHONDONTWRITEBYTECODE :=
COMMIT = $(shell git rev-parse HEAD 2>/dev/null)
REQUIREMENTS := pyproject.toml constraints.txt
PHOTO = $$($(BIN)/python -c 'import skimage; print(skimage.__path__[0])')/data/chelsea.png

.PHONY: demo test unit deep gpu mutants bench lint format generate networks docs wheel clean

demo: $(VENV)/demo.stamp
	$(BIN)/archspec stats googlenet --by row
	$(BIN)/archspec stats googlenet --claims
	$(BIN)/archspec build specs/googlenet.yaml --backend torch -o out/googlenet --seed 0
	@echo
	@echo "The weights are random (seed 0): the scores below show that the network runs, not what is in the picture."
	$(BIN)/archspec run out/googlenet $(PHOTO) --top 5
	@echo
	$(BIN)/archspec verify specs/googlenet.yaml --backends torch,onnx --mode eval,train

test: $(VENV)/test.stamp
	$(MAKE) --jobs $(JOBS) --output-sync lint docs wheel  # each keeps one core busy
	$(MAKE) unit

unit: $(VENV)/test.stamp
	$(BIN)/pytest -n $(JOBS) --dist worksteal --durations 30 --archspec-seed "$(COMMIT)"

deep: $(VENV)/test.stamp  # as `unit`, with many more random specs, and on every engine
	ARCHSPEC_PROFILE=deep $(BIN)/pytest -n $(JOBS) --dist worksteal --archspec-backend keras@torch

gpu: $(VENV)/test.stamp  # the tests that need a GPU, and its speed
	@if $(BIN)/python -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; \
	then $(BIN)/pytest -m gpu tests/gpu && $(BIN)/python -m benchmarks gpu; \
	else echo "there is no GPU that CUDA knows: skipped"; fi

mutants: $(VENV)/test.stamp  # mistakes put into the code, each of which some test has to see
	$(BIN)/python -m tests.mutants --jobs $(JOBS)

lint: $(VENV)/test.stamp
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright --pythonpath $(BIN)/python

format: $(VENV)/test.stamp
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

generate: $(VENV)/test.stamp  # reference pages, the index of errors and the schema, from the code
	$(BIN)/python -m archspec.docgen

networks: $(VENV)/test.stamp  # the kit's kept networks, after an op or a field is added
	$(BIN)/python -m tests.helpers.cover

docs: $(VENV)/test.stamp
	$(BIN)/zensical build --strict --clean

wheel: $(VENV)/test.stamp
	.ci/wheel $(BIN)/python

bench: $(VENV)/test.stamp
	$(BIN)/python -m benchmarks

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/demo.stamp: $(REQUIREMENTS) | $(BIN)/python
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[torch,onnx]' scikit-image
	touch $@

$(VENV)/test.stamp: $(REQUIREMENTS) | $(BIN)/python
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@ $(VENV)/demo.stamp

clean:
	rm -rf $(VENV) build dist out site .cache .pytest_cache .ruff_cache .hypothesis
