"""A third party's backend passes the suite as ours do; one with a mistake does not."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from safetensors.numpy import load_file, save_file

from archspec.conformance.compare import compare, compare_all
from archspec.conformance.specs import GeneratedSpec, specs
from archspec.ops import OPS
from tests.helpers import architecture
from tests.helpers.markdown import blocks, run_command, run_console
from tests.test_architecture import FOR_BACKENDS, MODULES

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "tests" / "plugin"
SOURCES = sorted((PLUGIN / "archspec_plain").glob("*.py"))
PAGE = (ROOT / "docs" / "how-to" / "write-a-backend.md").read_text(encoding="utf-8")

FEW = """
from hypothesis import Phase, settings
settings.register_profile("few", max_examples=5, derandomize=True, database=None, phases=[Phase.generate])
settings.load_profile("few")
"""


@dataclass(frozen=True)
class Ran:
    """A run of the suite: how each test ended, by its name, and what was printed."""

    code: int
    ended: Mapping[str, str]
    printed: str

    def ones(self, how: str) -> set[str]:
        return {name for name, end in self.ended.items() if end == how}


Run = Callable[..., Ran]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the plugin by pip into a folder of its own, and return the folder."""
    target = tmp_path_factory.mktemp("installed") / "site"
    source = tmp_path_factory.mktemp("source") / "plugin"
    shutil.copytree(PLUGIN, source, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", *offline, "--target", target, source],
        check=True,
    )
    return target


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs pytest in a project with the plugin's configuration alone."""
    project = tmp_path / "project"
    project.mkdir()
    shutil.copy(PLUGIN / "pyproject.toml", project)
    (tmp_path / "few.py").write_text(FEW)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)

    def run(site: Path, *arguments: str) -> Ran:
        monkeypatch.setenv("PYTHONPATH", f"{site}:{tmp_path}")
        report = tmp_path / "report.xml"
        options = ["-q", "-p", "few", "-p", "no:cacheprovider", f"--junitxml={report}", *arguments]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options], cwd=project, capture_output=True, text=True
        )
        ended = {
            case.attrib["name"]: (case[0].tag if len(case) else "passed")
            for case in ElementTree.parse(report).iter("testcase")
        }
        return Ran(done.returncode, ended, done.stdout + done.stderr)

    return run


@pytest.mark.long
def test_one_line_of_configuration_runs_the_whole_suite_on_it(site: Path, run: Run) -> None:
    ran = run(site)
    assert ran.code == 0, ran.printed
    assert {f"test_layer[plain-{kind}]" for kind in OPS} <= ran.ones("passed")
    assert len(ran.ones("passed")) > 80
    left = {name.partition("[")[0] for name in ran.ended.keys() - ran.ones("passed")}
    assert left <= {
        "test_gradients_are_those_of_one_call",
        "test_regression",
        "test_half_precision_learns_nearly_the_same",
        "test_half_precision_sums_in_single_precision",
    }  # kept by none, and refused


def broken(site: Path, tmp_path: Path, *edits: tuple[str, str, str]) -> Path:
    """Return a copy of the installed plugin with edits: file, old text, new text."""
    copy = tmp_path / "broken"
    shutil.copytree(site, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for name, before, after in edits:
        path = copy / "archspec_plain" / name
        text = path.read_text()
        assert text.count(before) == 1
        path.write_text(text.replace(before, after))
    return copy


def test_an_op_that_computes_something_else_is_seen(site: Path, tmp_path: Path, run: Run) -> None:
    edits = (
        ("helpers.py", "/ (1 + e)", "/ (1.001 + e)"),
        ("helpers.py", "alpha / size * near", "alpha * near"),
    )
    ran = run(broken(site, tmp_path, *edits), "-k", "plain-sigmoid or plain-tanh or lrn_")
    assert ran.ones("failure") == {
        "test_layer[plain-sigmoid]",
        "test_trap[plain-lrn_divides_alpha_by_its_size]",
        "test_trap[plain-lrn_clips_its_window]",
    }
    assert (ran.code, ran.ones("passed")) == (1, {"test_layer[plain-tanh]"})
    assert "plain, eval: outputs first differ at main" in ran.printed


def test_dropout_that_is_drawn_otherwise_is_seen(site: Path, tmp_path: Path, run: Run) -> None:
    edits = (
        ("helpers.py", ".astype(x.dtype) / (1 - rate)", ""),
        ("template.py", "rng=rng if train else None", "rng=rng"),
    )
    ran = run(broken(site, tmp_path, *edits), "-k", "trap and dropout")
    assert ran.ones("failure") == {
        "test_trap[plain-dropout_is_off_in_eval_whoever_asks]",
        "test_trap[plain-dropout_scales_what_it_keeps]",
    }
    assert len(ran.ones("passed")) == 3


def test_a_state_that_is_put_in_place_unseen_is_seen(site: Path, tmp_path: Path, run: Run) -> None:
    wrong = broken(site, tmp_path, ("session.py", "        state.check(self.graph)\n", ""))
    ran = run(wrong, "-k", "state or stay")
    assert (ran.code, ran.ones("passed")) == (
        1,
        {"test_tensors_that_are_not_given_stay_as_they_are[plain]"},
    )
    assert ran.ones("failure") == {
        "test_a_state_that_does_not_fit_is_refused_and_changes_nothing[plain]"
    }


def test_a_gap_that_works_is_seen(site: Path, tmp_path: Path, run: Run) -> None:
    listed = ("gaps.py", "_REASONS = {", '_REASONS = {"tanh": "it is said not to work",')
    unlisted = ("__init__.py", "frozenset(LOWERED)", "frozenset(LOWERED) - {'tanh'}")
    ran = run(
        broken(site, tmp_path, listed, unlisted), "-k", "(test_layer and tanh) or lowered_or_a_gap"
    )
    assert (ran.code, ran.ones("failure")) == (1, {"test_layer[plain-tanh]"})
    assert "tanh is listed as a gap, and works" in ran.printed


def test_an_op_that_is_neither_lowered_nor_a_gap_is_seen(
    site: Path, tmp_path: Path, run: Run
) -> None:
    wrong = broken(site, tmp_path, ("gaps.py", '"gelu": "numpy has no error function",', ""))
    ran = run(wrong, "-k", "lowered_or_a_gap or (test_layer and (gelu or tanh))")
    assert (ran.code, ran.ones("passed")) == (1, {"test_layer[plain-tanh]"})
    assert ran.ones("failure") == {
        "test_every_op_is_lowered_or_a_gap[plain]",
        "test_layer[plain-gelu]",
    }
    assert "an op is one or the other" in ran.printed


@pytest.mark.parametrize(
    ("before", "after", "seen"),
    [
        ("weight_decay=group.weight_decay", "weight_decay=0.0", {"momentum", "adamw"}),
        ("{slot: slots[key] for", "{slot: -slots[key] for", {"momentum", "frozen"}),
    ],
)
def test_a_trainer_that_does_something_else_is_seen(
    before: str, after: str, seen: set[str], site: Path, tmp_path: Path, run: Run
) -> None:
    wanted = {"sgd", "momentum", *seen}
    named = " or ".join(f"(is_defined and plain-{name})" for name in wanted)
    ran = run(broken(site, tmp_path, ("trainer.py", before, after)), "-k", named)
    tests = {name: f"test_it_trains_as_is_defined[plain-{name}]" for name in wanted}
    assert tests["sgd"] in ran.ones("passed")
    assert {tests[name] for name in seen} <= ran.ones("failure")


def test_a_backend_without_a_trainer_is_skipped(site: Path, tmp_path: Path, run: Run) -> None:
    ran = run(
        broken(
            site,
            tmp_path,
            ("__init__.py", '    trainer=lazy("archspec_plain.trainer:PlainTrainer"),\n', ""),
        ),
        "-rs",
        "-k",
        "is_defined",
    )
    assert (ran.code, ran.ones("skipped")) == (0, set(ran.ended))
    assert "the backend plain has no trainer" in ran.printed


SMALL = """archspec: 1
name: small
input: [1, 4, 4]
network:
  - {name: conv, conv: {out: 2, kernel: 3, bias: false}}
  - batch_norm
  - tanh
  - flatten
  - {name: fc, linear: {out: 2}}
preprocess: {channels: gray, crop: none}
train: {learning_rate: 0.1, epochs: 2, batch: 8, momentum: 0.9, weight_decay: 0.01}
"""


def test_what_it_learns_is_what_torch_learns(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(site))
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (40, 4, 4), dtype=np.uint8)
    np.savez(tmp_path / "noise.npz", x=pictures, y=np.arange(40) % 2)
    (tmp_path / "small.yaml").write_text(SMALL)
    for name in ("plain", "torch"):
        code, said = run_command(
            f"archspec train small.yaml --data noise.npz --backend {name} -o {name}", tmp_path
        )
        assert code == 0, said
    found, wanted = (
        load_file(tmp_path / name / "weights.safetensors") for name in ("plain", "torch")
    )
    compare_all(found, wanted, bound=1e-4)


def test_a_missing_framework_is_named_with_the_plugins_own_distribution(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit = ("__init__.py", 'framework="numpy"', 'framework="no_such_framework"')
    monkeypatch.setenv("PYTHONPATH", str(broken(site, tmp_path, edit)))
    code, said = run_command("archspec build lenet5 --backend plain -o net", tmp_path)
    assert code == 3
    assert "needs no_such_framework" in said
    assert re.search(r"pip install archspec-plain$", said, re.MULTILINE)


def test_networks_are_drawn_of_what_is_lowered() -> None:
    known = {"conv", "relu", "add"}
    found: set[str] = set()

    @settings(max_examples=30, derandomize=True, database=None, deadline=None)
    @given(specs(known=known))
    def collect(drawn: GeneratedSpec) -> None:
        found.update(kind for kind, _ in drawn.layers)

    collect()
    assert found == known


def test_it_is_small_and_imports_what_any_backend_may() -> None:
    assert sum(len(path.read_text().splitlines()) for path in SOURCES) < 650
    for path in SOURCES:
        assert (
            architecture.foreign(path.read_text(), ["archspec_plain", *FOR_BACKENDS], MODULES) == []
        ), path.name


def test_the_page_lists_what_any_backend_may_import() -> None:
    sentence = PAGE.partition("but what any package may:")[2].partition(". This page")[0]
    listed = [
        f"archspec.{name.removeprefix('archspec.')}" for name in re.findall(r"`(.+?)`", sentence)
    ]
    assert sorted(listed) == sorted(FOR_BACKENDS)


def quoted() -> Iterator[tuple[str, list[str]]]:
    """The files that the page shows, each with the parts of it that stand there in a row."""
    for block in blocks(PAGE, "write-a-backend.md"):
        if block.all("file"):
            continue  # it is written for the page's own examples, and not of the package
        for word in block.info:
            if title := re.fullmatch(r'title="(.+)"', word):
                yield title[1], re.split(r"^\.\.\.\n", block.body, flags=re.MULTILINE)


def test_the_page_shows_the_files_as_they_are() -> None:
    for name, parts in quoted():
        text, at = (PLUGIN / name).read_text(encoding="utf-8"), 0
        for part in parts:
            assert part in text[at:], f"{name} does not say there:\n{part}"
            at = text.index(part, at) + len(part)
    assert {name for name, _ in quoted()} == {
        "pyproject.toml",
        *(f"archspec_plain/{path.name}" for path in SOURCES),
    }


def test_the_commands_of_the_page_print_what_it_shows(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(site))
    commands = [
        block for block in blocks(PAGE, "write-a-backend.md") if block.language == "console"
    ]
    assert commands
    for block in commands:
        run_console(block, tmp_path)


STRANGE = {
    "archspec": 1,
    "name": '"""; raise SystemExit',
    "input": [4],
    "network": [
        {"name": 'a"] = 1; import os #', "linear": {"out": 3}},
        {"name": "\\' + {x}", "relu": None},
    ],
}

ALONE = """
import sys
sys.modules["archspec"] = sys.modules["archspec_plain"] = None  # importing either is an error from here on
import numpy as np
from model import build_model
model = build_model("weights.safetensors")
print(model(np.ones((2, 4), np.float32)).astype(float).tolist())
try:
    build_model("less.safetensors")
except ValueError as error:
    print(error)
"""


def test_what_it_emits_runs_alone_whatever_the_names_are(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(site))
    (tmp_path / "net.yaml").write_text(yaml.safe_dump(STRANGE))
    code, said = run_command("archspec build net.yaml --backend plain -o net", tmp_path)
    assert code == 0, said
    tensors = load_file(tmp_path / "net" / "weights.safetensors")
    weight, bias = (
        tensors[next(name for name in tensors if name.endswith(role))]
        for role in ("weight", "bias")
    )
    save_file(
        {next(name for name in tensors if name.endswith("bias")): np.zeros(5, np.float32)},
        tmp_path / "net" / "less.safetensors",
    )
    done = subprocess.run(
        [sys.executable, "-c", ALONE],
        cwd=tmp_path / "net",
        check=True,
        capture_output=True,
        text=True,
    )
    printed, refused = done.stdout.splitlines()
    compare(eval(printed), np.tile(np.maximum(weight.sum(axis=1) + bias, 0), (2, 1)))
    assert "weight is missing, expected (3, 4)" in refused
    assert "bias is (5,), expected (3,)" in refused
