"""Hostile specs: whatever a spec holds, it is read in bounded time and memory, and ends in a graph or in located errors."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archspec import load
from archspec.diagnostics.render import render_github, render_json, render_text
from archspec.frontend.argument_parser import MAX_EXPRESSIONS
from archspec.frontend.arguments import MAX_ARGUMENTS, MAX_NAME
from archspec.frontend.files import MAX_EXTENDS
from archspec.frontend.frame import MAX_NESTING
from archspec.frontend.graph_builder import MAX_LAYERS, MAX_WORK
from archspec.frontend.overrides import MAX_EDIT_WORK
from archspec.frontend.yaml import MAX_BYTES, MAX_DEPTH, MAX_VALUES
from archspec.ir.expr import MAX_TEXT
from archspec.ir.types import LIMIT
from tests.helpers.language import good, net, read, the

SECONDS, MEGABYTES = 8.0, 300  # of processor time, on a slow machine; most take a tenth
DOCS = Path(__file__).parents[3] / "docs"


def nest(depth: int, inner: str) -> str:
    """Merges inside each other, as a body."""
    return "[{add: {a: " * depth + inner + ", b: []}}]" * depth


def chain(count: int, body: Callable[[int], str], args: str = "") -> str:
    """Blocks that each use the next."""
    return "\n".join(f"b{i}: {{{args}body: {body(i)}}}" for i in range(count))


def lines(count: int, line: str) -> str:
    return "\n".join(line.replace("%", str(i)) for i in range(count))


def flow(count: int, item: str) -> str:
    return ", ".join(item.replace("%", str(i)) for i in range(count))


HOSTILE: dict[str, tuple[Callable[[], str], str | None]] = {
    # YAML
    "alias bomb": (lambda: "a0: &a0 [1, 1]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 40)), "AS0107"),
    "aliases nest": (lambda: "x:\n" + "".join(f"  - &a{i} {'[' * 50}{f'*a{i - 1}' if i else 1}{']' * 50}\n" for i in range(1000)), "AS0105"),
    "brackets": (lambda: "[" * 100_000, "AS0105"),
    "braces": (lambda: "{a: " * 100_000, "AS0105"),
    "keys below keys": (lambda: "".join(" " * i + "a:\n" for i in range(2000)), "AS0105"),
    "10 MB": (lambda: net() + "#" * 10_000_000, "AS0106"),
    "many values": (lambda: net() + f"labels: [{'1,' * 400_000}]\n", "AS0106"),
    "many steps": (lambda: net("- relu\n" * 200_000), "AS0701"),
    "one long text": (lambda: net("- " + "x" * 3_000_000), "AS0203"),
    "one long key": (lambda: f"? {'x' * 3_000_000}\n: 1\n", "AS0201"),
    "many digits": (lambda: net(f"- conv: {{out: {'9' * 100_000}, kernel: 1}}"), "AS0204"),
    "390 digits": (lambda: net(f"- conv: {{out: {'9' * 390}, kernel: 1}}"), "AS0205"),
    "same key over and over": (lambda: net() + "a: 1\n" * 60_000, "AS0108"),
    # Repetition
    "a million repeats": (lambda: net("- repeat: {times: 1000000, body: [relu]}"), "AS0701"),
    "10^18 repeats of nothing": (lambda: net("- repeat: {times: 1000000000000000000, body: []}"), "AS0701"),
    "10^18 repeats of what is left out": (lambda: net("- repeat: {times: 1000000000000000000, body: [{relu: , when: false}]}"), "AS0701"),
    "repeats in repeats": (lambda: net("- repeat: {times: 1000, body: [{repeat: {times: 1000, body: [{repeat: {times: 1000, body: [relu]}}]}}]}"), "AS0701"),
    "repeats of repeats of nothing": (lambda: net("- repeat: {times: 100000, body: [{repeat: {times: 100000, body: []}}]}"), "AS0701"),
    "repeats with a long name": (lambda: net(f"- {{name: {'n' * 10_000}, repeat: {{times: 300000, body: []}}}}"), "AS0701"),
    "layers below a long name": (lambda: net(f"- {{name: {'n' * 10_000}, repeat: {{times: 40000, body: [relu]}}}}"), "AS0701"),
    "layers with long names": (lambda: net(f"- repeat: {{times: 40000, body: [{{name: {'n' * 10_000}, relu: }}]}}"), "AS0701"),
    "fan-out of blocks": (lambda: net("- b0", blocks=chain(60, lambda i: f"[b{i + 1}, b{i + 1}]") + "\nb60: {body: [relu]}"), "AS0701"),
    "fan-out of nothing": (lambda: net("- b0", blocks=chain(60, lambda i: f"[b{i + 1}, b{i + 1}]") + "\nb60: {body: []}"), "AS0701"),
    "a long chain of blocks": (lambda: net("- b0", blocks=chain(5000, lambda i: f"[b{i + 1}]") + "\nb5000: {body: [relu]}"), "AS0702"),
    "a long circle of blocks": (lambda: net("- b0", blocks=chain(5000, lambda i: f"[b{(i + 1) % 5000}]")), "AS0404"),
    "merges in blocks in merges": (lambda: net("- b0", blocks=chain(40, lambda i: nest(19, f"[b{i + 1}]")) + "\nb40: {body: [relu]}"), "AS0702"),
    "a wide merge over and over": (lambda: net(f"- repeat: {{times: 1000, body: [{{add: {{{flow(50_000, 'b%: []')}}}}}]}}"), "AS0701"),
    "a wide from over and over": (lambda: net(f"- {{name: a, relu: }}\n- repeat: {{times: 50000, body: [{{add: , from: [{flow(50_000, 'a')}]}}]}}"), "AS0701"),
    "many arguments over and over": (lambda: net("- repeat: {times: 50000, body: [b]}", blocks=f"b: {{args: {{{flow(250, 'a%: int = 1')}}}, body: [relu]}}"), "AS0701"),
    "a long expression over and over": (lambda: net("- repeat: {times: 40000, body: [{conv: {out: '${" + "+".join("1" * 100) + "}', kernel: 1}}]}"), "AS0701"),
    # Growth
    "concat doubles": (lambda: net("- repeat: {times: 40000, body: [{concat: {a: [], b: []}}]}"), "AS0505"),
    "resize grows": (lambda: net("- repeat: {times: 40000, body: [{resize: {scale: 1000000, mode: nearest, coordinates: asymmetric}}]}"), "AS0505"),
    "pad grows": (lambda: net("- repeat: {times: 40000, body: [{pad: {padding: 4000000000000000000}}]}"), "AS0505"),
    "flatten of the largest": (lambda: net("- flatten", input="[4000000000000000000, 4000000000000000000, 4000000000000000000]"), "AS0505"),
    "texts double": (lambda: net("- b0: {s: xx}", blocks=chain(30, lambda i: f"[{{b{i + 1}: {{s: '$s$s'}}}}]", "args: {s: str}, ") + "\nb30: {args: {s: str}, body: [{name: $s, relu: }]}"), "AS0505"),
    "numbers square": (lambda: net("- b0: {n: 9}", blocks=chain(30, lambda i: f"[{{b{i + 1}: {{n: '${{n * n}}'}}}}]", "args: {n: int}, ") + "\nb30: {args: {n: int}, body: [{conv: {out: $n, kernel: 1}}]}"), "AS0505"),
    # Many of one thing
    "too many arguments": (lambda: net(args=f"{{{flow(30_000, 'a%: 1')}}}"), "AS0106"),
    "many expressions": (lambda: net(lines(4000, "- conv: {out: '${" + "+".join("1" * 90) + "}', kernel: 1}")), "AS0106"),
    "many errors in a repeat": (lambda: net("- repeat: {times: 40000, as: i, body: [{conv: {out: 0, kernel: $i, stride: x}}]}"), "AS0205"),
    "many names that are not there": (lambda: net(lines(30_000, "- {name: n%, relu: , from: missing_%}")), "AS0402"),
    "many ops that are not there": (lambda: net(lines(60_000, "- convv%"), blocks=lines(20_000, "blk%: {body: []}")), "AS0203"),
    "many heads": (lambda: net("- {name: a, relu: }", heads=lines(30_000, "h%: {from: b, loss: none}")), "AS0406"),
    "many columns": (lambda: net(f"table: {{columns: [type, {flow(100_000, 'c%')}], rows: [[relu]]}}"), "AS0208"),
    "many edits": (lambda: net(lines(5000, "- {name: n%, relu: }")) + "edit:\n" + lines(4000, "  - remove: n%"), "AS0106"),
    "many new columns": (lambda: net("table:\n  columns: [name, type]\n  rows:\n" + lines(4000, "    - [n%, relu]")) + "edit:\n" + lines(2000, "  - set: {n%.c%: 1}"), "AS0106"),
    "long addresses": (lambda: net() + "edit: [set: {" + flow(2000, '"' + "a. '" * 40 + '%": 1') + "}]", "AS0411"),
    "a name of everything": (lambda: net(f"- {{name: '{'x' * 1_000_000}.', relu: }}"), "AS0210"),
    "unknown keys": (lambda: net("- {relu: , " + flow(50_000, "k%: 1") + "}"), "AS0202"),
    "not a number": (lambda: net("- conv: {out: '${floor(x)}', kernel: 1}", args="{x: .nan}"), "AS0205"),
    "infinity": (lambda: net("- dropout: {rate: .inf}"), "AS0205"),
    # What is fine
    "10^12 channels": (lambda: net("- conv: {out: 1000000000000, kernel: 1}\n- conv: {out: 1000000000000, kernel: 3, padding: 1}"), None),
    "20,000 layers": (lambda: net(lines(20_000, "- {name: n%, conv: {out: 3, kernel: 1}}")), None),
    "40,000 layers by repeat": (lambda: net("- repeat: {times: 20000, body: [{conv: {out: 3, kernel: 1}}, relu]}"), None),
    "a name of 10,000 characters": (lambda: net(f"- {{name: {'n' * 10_000}, relu: }}"), None),
    "a deep spec": (lambda: net(f"- add: {{a: {nest(17, '[relu]')}, b: []}}"), None),
}  # fmt: skip

PROGRAM = """
import json, os, resource, sys, time
import archspec

archspec.load("lenet5")
for path in sys.argv[1:]:
    if os.fork() == 0:  # each in a process of its own, with its own peak of memory
        resource.setrlimit(resource.RLIMIT_CPU, (30, 30))
        start = time.process_time()
        try:
            found = ["", len(archspec.load(path).graph.nodes)]
        except archspec.SpecError as error:
            found = [[d.code for d in error.diagnostics], len(str(error))]
        took, peak = time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps([path, found, took, peak]), flush=True)
        os._exit(0)
    os.wait()
"""


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Per hostile spec: what was found, seconds of processor time, megabytes."""
    folder = tmp_path_factory.mktemp("hostile")
    paths = {str(folder / f"{i}.yaml"): name for i, name in enumerate(HOSTILE)}
    for path, name in paths.items():
        Path(path).write_text(HOSTILE[name][0]())
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, *paths], capture_output=True, text=True, check=True
    )
    return {paths[path]: rest for path, *rest in map(json.loads, run.stdout.splitlines())}


@pytest.mark.long
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_spec_takes_bounded_time_and_memory(name: str, measured: dict[str, Any]) -> None:
    assert name in measured, "it was killed, or raised something else"
    (codes, size), seconds, megabytes = measured[name]
    expected = HOSTILE[name][1]
    assert expected in codes if expected else (codes == "" and size > 1), codes
    assert seconds < SECONDS
    assert megabytes < MEGABYTES
    assert size < 200_000 or not codes


def test_the_petabyte_is_counted() -> None:
    from archspec.analysis.stats import stats

    counts = stats(good(HOSTILE["10^12 channels"][0]()))
    assert counts.params == 3 * 10**12 + 10**12 + 9 * 10**24 + 10**12


def test_time_grows_with_the_size_of_a_spec(tmp_path: Path) -> None:
    def seconds(layers: int) -> float:
        (tmp_path / "s.yaml").write_text(
            net(lines(layers, "- {name: n%, conv: {out: 3, kernel: 3, padding: 1}}"))
        )
        start = time.process_time()
        load(tmp_path / "s.yaml")
        return time.process_time() - start

    seconds(10)
    assert min(seconds(8000) for _ in range(2)) < 2.8 * max(seconds(4000) for _ in range(2))


def test_the_limits_are_those_of_the_page() -> None:
    page = (
        (DOCS / "reference" / "language.md")
        .read_text()
        .partition("\n## Limits\n")[2]
        .partition("\n## ")[0]
    )
    numbers = (
        MAX_VALUES,
        MAX_DEPTH,
        MAX_ARGUMENTS,
        MAX_NAME,
        MAX_EXPRESSIONS,
        MAX_NESTING,
        MAX_LAYERS,
        MAX_WORK,
        MAX_EDIT_WORK,
    )
    for number in (*numbers, MAX_EXTENDS, MAX_TEXT):
        assert re.search(rf"(?<![\d,]){number:,}(?!\d|,\d)", page), number
    assert f"{MAX_BYTES // 2**20} MiB" in page
    assert LIMIT == 2**62


def test_just_within_the_limits() -> None:
    good(net(f"- repeat: {{times: {MAX_LAYERS}, body: [identity]}}"))
    the(net(f"- repeat: {{times: {MAX_LAYERS + 1}, body: [identity]}}"), "AS0701")
    blocks = chain(MAX_NESTING - 1, lambda i: f"[b{i + 1}]")
    good(net("- b0", blocks=blocks + f"\nb{MAX_NESTING - 1}: {{body: [relu]}}"))
    blocks = chain(MAX_NESTING, lambda i: f"[b{i + 1}]")
    the(net("- b0", blocks=blocks + f"\nb{MAX_NESTING}: {{body: [relu]}}"), "AS0702")


def test_nesting_leaves_room_on_the_stack() -> None:
    """A spec as deep as it may be is read with half of the interpreter's stack in use."""

    def deeper(frames: int) -> None:
        if frames:
            deeper(frames - 1)
        else:
            good(
                net(
                    "- b0",
                    blocks=chain(MAX_NESTING - 1, lambda i: f"[b{i + 1}]")
                    + f"\nb{MAX_NESTING - 1}: {{body: [{{conv: {{out: '${{{'+'.join('1' * 100)}}}', kernel: 1}}}}]}}",
                )
            )

    deeper(300)


# Names


@pytest.mark.parametrize(
    "name",
    [
        "a\nb", 'a"b', "a'b", '"""', "\\", "{x}", "${x}", "$$", "class", "__class__", "ａ", "ﬁ", "x\u200b", "\u202ex", "a" * 10_000, "😀", "#", "a: b", "- a", "~", "\t",
        "import os", "%s", "<script>", "\x1b[31m", "../../x", "a/b", "con", "\u2028", "\x85", "nan", "0", "true",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "kind", ["step", "branch", "block", "argument", "head", "network", "column"]
)
def test_any_text_is_a_name_or_refused_at_its_place(name: str, kind: str) -> None:
    quoted = json.dumps(name)
    key = f"? {quoted}\n: "
    spec = {
        "step": net(f"- name: {quoted}\n  relu:"),
        "branch": net("- add:\n    ? " + quoted + "\n    : [relu]\n    b: []"),
        "block": net(f"- ? {quoted}\n  :", blocks=key + "{body: [relu]}"),
        "argument": net("- relu", args=key + "3"),
        "head": net("- {name: a, relu: }", heads=key + "{from: a, loss: none}"),
        "network": net() + f"name: {quoted}\n",
        "column": net(f"table:\n  columns: [type, name, {quoted}]\n  rows:\n    - [relu, a, ~]"),
    }[kind]
    found, diagnostics = read(spec)
    assert found is not None or {d.code for d in diagnostics} <= {
        "AS0210",
        "AS0209",
        "AS0204",
        "AS0401",
        "AS0501",
        "AS0101",
        "AS0403",
        "AS0203",
    }
    for shown in (render_text(diagnostics), render_json(diagnostics), render_github(diagnostics)):
        assert all(c.isprintable() or c == "\n" for c in shown)
        assert max(map(len, shown.splitlines()), default=0) < 1000
