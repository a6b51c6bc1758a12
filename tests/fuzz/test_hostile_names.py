"""Names and texts that try to break out of the emitted source, which must stay the same code."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from archspec.backend import load as load_backend
from archspec.compiler import check, provenance, write_build
from archspec.conformance.ops import spread
from archspec.diagnostics.codes import codes
from archspec.equivalence.inputs import random_weights
from archspec.frontend.loader import Spec
from archspec.frontend.step_keys import STRUCTURES
from archspec.frontend.yaml_writer import yaml_text
from archspec.ops import OPS
from archspec.weights.checkpoint import save_checkpoint
from tests.helpers.effort import examples
from tests.helpers.harmless import differences
from tests.helpers.specs import checked, written

TEMPLATE = """
archspec: 1
name: Good net
source: {title: Good title, authors: Good author, venue: Good venue, url: Good url, note: Good note, table: Good table}
input: [3, 8, 8]
args: {good width: 4, good mode: ceil}
blocks:
  good block:
    doc: good doc
    args: {good out: int, good patch: patch}
    body:
      - {name: good conv, conv: {out: "${good out}", kernel: "${good patch.kernel}", padding: symmetric}}
      - relu
  good module:
    doc: good words
    args: [good wide, good narrow]
    body:
      - concat:
          good left: [{name: good one, good block: {good out: "${good wide}", good patch: 1x1}}]
          good right:
            - {name: good two, good block: {good out: "${good narrow}", good patch: 3x3/1}}
            - {name: good pool, max_pool: {kernel: 3, stride: 1, padding: symmetric, rounding: "${good mode}"}}
          good empty: []
  good tail:
    body: [global_avg_pool, flatten, {name: good linear, linear: {out: "${good width}"}}]
network:
  - table:
      columns: [name, type, good wide, good narrow, aux]
      rows:
        - [good a, good module, 2, 3, ~]
        - [good b, good module, 3, 5, good side]
  - {name: good loop, repeat: {times: 3, as: good_i, body: [{name: "good step $good_i", batch_norm: ~}, tanh]}}
  - {name: good merge, add: {good x: [{prelu: ~}], good y: []}}
  - {name: good skip, concat: ~, from: [good a, good merge]}
  - {name: good end, good tail: ~}
heads:
  main: {classes: 4}
  good side: {block: good tail, only: train, weight: 0.3, classes: 4}
  good late: {block: good tail, from: good loop, classes: 4}
labels: [good cat, good dog, good bird, good fish]
"""
WORD = re.compile(r"[Gg]ood[ _][a-z]+")
PLACES = sorted(set(WORD.findall(TEMPLATE)))
"""The places for a word: each holds a benign one, by which it is known here."""

TEXTS = {
    place
    for place in PLACES
    if place[0] == "G"
    or place in ("good doc", "good words", *re.findall(r"good (?:cat|dog|bird|fish)", TEMPLATE))
}
ARGUMENTS = {"good width", "good mode", "good out", "good patch", "good wide", "good narrow"}

TORCH = "torch nn F Tensor OrderedDict NamedTuple PathLike Path Module Sequential build_model load_weights attribute RENAMED EXACT".split()
PYTHON = [
    *"class def lambda None True import async match type case self super range len int str float print eval exec open".split(),
    *"__init__ __class__ __dict__ __call__ __getattr__ __import__ __builtins__ _modules _parameters mro".split(),
]
MODULE = "forward training train eval parameters children modules state_dict x y main relu weight bias in_channels count".split()
CODE = [
    *[
        "torch.",
        "math.",
        "F.",
        "Sequence[",
        "OrderedDict(",
        "PathLike",
        "import os",
        "NamedTuple",
        "nn.Conv2d(",
    ],
    *[
        '"',
        "'",
        '"""',
        "'''",
        "\\",
        '\\"""',
        '"""\nimport os\n"""',
        "');import os;('",
        '");import os;("',
        "]",
        "}",
        "{",
        "{}",
    ],
    *[
        "{0}",
        "{x!r}",
        "{self.__class__}",
        "%s",
        "%(x)s",
        "f'{x}'",
        "#",
        "# fmt: on",
        "\\N{DIGIT ONE}",
        "\\x41",
        "\\",
        "\\\n",
        "a\\",
    ],
    *[
        "a\nb",
        "\n",
        "a\rb",
        "\n\nimport os\n",
        ")",
        "):\n pass",
        "x=1",
        "*",
        "**kw",
        ":",
        "@",
        ";",
        ",",
        "=",
        "->",
        "a, b",
        "a=b",
    ],
]
UNICODE = [
    *[
        "\0",
        "\x1b[31m",
        "\x85",
        "\u2028",
        "\u2029",
        "\u202e",
        "\u200f",
        "\u200b",
        "\ufeff",
        "\ud7ff",
        "\x7f",
        "\U0001f600",
        "\u0301",
    ],
    *[
        "ｓｅｌｆ",
        "ｔｏｒｃｈ",
        "сlass",
        "аттрибут",
        "ﬁ",
        "fi",
        "K",
        "K",
        "ª",
        "a",
        "é",
        "é",
        "²",
        "1",
        "１",
        "ⅷ",
        "名",
        "ا",
        "⒈",
    ],
]
SIMILAR = [
    ["x y", "x_y", "x-y", "x/y", "x  y", "x y_", "_x y", "x_y_2", "x_y 2", "X Y"],
    ["ﬁ", "fi", "ｆｉ", "FI", "Fi", "fI", "fi_", "f i", "ﬁ_2", "fi_2"],
    ["self", "ｓｅｌｆ", "self_", "self_2", "_self", "SELF", "sеlf", "self ", "self__", "Self"],
    ["a" * 10000 + str(i) for i in range(10)],
    [str(i) for i in range(10)],
    ["weight", "bias", "conv", "relu", "prelu", "batch_norm", "linear", "flatten", "add", "repeat"],
    ["0", "1", "2", "00", "01", "b0", "n0", "#0", "b1", "#1"],
    ['"', '""', '"""', "'", "''", "'''", "\\", "\\\\", '\\"', "\\'"],
]
HOSTILE = [
    *TORCH,
    *PYTHON,
    *MODULE,
    *CODE,
    *UNICODE,
    "a" * 10000,
    "\\" * 500,
    '"' * 500,
    "{" * 300,
    *(w for s in SIMILAR for w in s[:3]),
]

anything = st.one_of(
    st.sampled_from(HOSTILE), st.sampled_from(HOSTILE), st.text(min_size=1, max_size=30)
)
COUNTERS = [
    "i",
    "x",
    "self",
    "torch",
    "nn",
    "range",
    "print",
    "__class__",
    "class",
    "ｘ",
    "ﬁ",
    "ا",
    "_",
]


DATA = yaml.safe_load(TEMPLATE)


def filled(words: Mapping[str, str]) -> str:
    """The template's spec with these words in their places."""

    def put(value: Any) -> Any:
        if isinstance(value, dict):
            return {put(key): put(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [put(inner) for inner in value]
        return (
            WORD.sub(lambda found: words.get(found[0], found[0]), value)
            if isinstance(value, str)
            else value
        )

    return yaml_text(put(DATA))


def fitting(place: str, word: str) -> str:
    """The word, less the characters that the language does not have in such a place."""
    if place in TEXTS:
        return word
    return (
        re.sub(r"[${}]", "", word)
        if place in ARGUMENTS
        else word.replace(".", "").replace("$", "$$")
    )


def source(spec: Spec) -> str:
    return load_backend("torch").emit(spec.graph, provenance(spec))["model.py"].decode()


# The loader has one more table where names collide.
ALIKE = {"good a": "good-x", "good b": "good_x", "good loop": "good x"}
PLAIN = [source(checked(filled(words))) for words in ({}, ALIKE)]
X = spread((2, 3, 8, 8), 0)


def computed(spec: Spec) -> list[np.ndarray]:
    """All outputs in eval mode and in train mode, with weights that do not depend on names."""
    backend = load_backend("torch")
    with tempfile.TemporaryDirectory() as folder:
        for name, content in backend.emit(spec.graph, provenance(spec)).items():
            (Path(folder) / name).write_bytes(content)
        save_checkpoint(Path(folder) / "weights.safetensors", random_weights(spec.graph, 0))
        session = backend.open(Path(folder), spec.graph, "float64")
    with np.errstate(all="raise"):
        return [
            y for train in (False, True) for y in session.forward(X, train=train).outputs.values()
        ]


EXPECTED = computed(checked(filled({})))


def hold(text: str) -> bool:
    """Check that the spec is refused at known locations, or emits the benign source in other
    words.
    """
    with written(text) as path:
        spec, found = check(path)
        for diagnostic in found:
            assert diagnostic.code in codes()
            assert diagnostic.span.source.text
        if spec is None:
            return False
        emitted = source(spec)
        assert differences(emitted, PLAIN["EXACT = {" in emitted], "good") == []
        # Only an entry of the loader's table is as long as the name in it.
        assert all(
            len(line) <= 100 or line.startswith(("    '", '    "')) for line in emitted.splitlines()
        )
        assert emitted.isascii() or all(c.isprintable() or c == "\n" for c in emitted)
        for y, expected in zip(computed(spec), EXPECTED, strict=True):
            np.testing.assert_array_equal(y, expected)
        return True


def thinned(words: list[str], shift: int = 0) -> list[str]:
    """Return all words in the deep profile, else some of them, which `shift` chooses.

    Each spec is emitted about ten times, since the values of its arguments are varied.
    """
    step = 1 if settings().max_examples > 100 or len(words) < 20 else 24
    return words[shift % step :: step]


@pytest.mark.parametrize("shift", range(3))
def test_a_hostile_word_in_every_text(shift: int) -> None:
    for word in thinned(HOSTILE, shift):
        assert hold(filled(dict.fromkeys(TEXTS, word))) or not word.strip()


@pytest.mark.parametrize("place", [place for place in PLACES if place not in TEXTS])
def test_a_hostile_word_in_each_place(place: str) -> None:
    words = thinned(COUNTERS if place == "good_i" else HOSTILE, PLACES.index(place))
    held = [hold(filled({place: fitting(place, word)})) for word in words]
    assert np.mean(held) > 0.7


words = st.fixed_dictionaries(
    {place: st.sampled_from(COUNTERS) if place == "good_i" else anything for place in PLACES}
)


FILES = [
    *[
        f"{word}.yaml"
        for word in (*CODE, *UNICODE, *TORCH[:6], "class", "a" * 240)
        if not {"/", "\0"} & {*word}
    ],
    ".yaml",
    "\udcff.yaml",
]


@pytest.mark.parametrize("name", FILES, ids=ascii)
def test_a_hostile_file_name_which_names_the_network(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(filled({}).replace("name: Good net\n", ""))
    spec, found = check(path)
    assert spec is not None, found
    assert differences(source(spec), PLAIN[0], "good") == []
    folder = write_build(spec, load_backend("torch"), tmp_path / "built")
    assert json.loads((folder / "manifest.json").read_text())["spec"]["file"]
    assert load_backend("torch").load(folder)


@examples(12)
@given(words)
def test_hostile_words_in_all_places(words: dict[str, str]) -> None:
    hold(filled({place: fitting(place, word) for place, word in words.items()}))


@pytest.mark.parametrize("similar", SIMILAR, ids=lambda words: words[0][:9])
@pytest.mark.parametrize("shift", [0, 3])
def test_words_that_look_alike_stay_apart(similar: list[str], shift: int) -> None:
    taken: dict[str, set[str]] = {}
    words: dict[str, str] = {}
    for i, place in enumerate(
        place for place in PLACES if place not in TEXTS and place != "good_i"
    ):
        kind = next((kind for kind, places in KINDS.items() if place in places), "step")
        # Longer ones cannot be keys in YAML, nor parts of an expression.
        if len(similar[0]) < 999 or (kind in ("step", "inner") and place != "good step"):
            used = taken.setdefault(
                "step" if kind == "head" else kind,
                {*OPS, *STRUCTURES} if kind == "block" else set(),
            )
            wanted = [
                fitting(place, similar[(i + shift + j) % len(similar)]) for j in range(len(similar))
            ]
            words[place] = next(
                word
                for word in (*wanted, *(f"{wanted[0]}{j}" for j in range(99)))
                if word not in used
            )
            used.add(words[place])
    assert hold(filled(words))


KINDS = {
    "argument": ARGUMENTS,
    "block": {"good block", "good module", "good tail"},
    "branch": {"good left", "good right", "good empty", "good x", "good y"},
    "head": {"good side", "good late"},
    "inner": {"good conv", "good one", "good two", "good pool", "good linear"},
}
"""Places by what they name, for words that have to differ within a kind; the rest names the
network's steps.
"""
