"""Whatever a spec holds: `check` gives a graph or located errors, in bounded time."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archspec.analysis.stats import stats
from archspec.compiler import check
from archspec.conformance.specs import specs
from archspec.diagnostics import Diagnostic, Span
from archspec.diagnostics.codes import codes
from archspec.diagnostics.render import render_github, render_json, render_text
from archspec.frontend.files import shipped_folder
from archspec.frontend.loader import Spec
from archspec.frontend.yaml_writer import annotated_yaml
from tests.helpers import damage
from tests.helpers.effort import TRIED, examples, of_share, shares
from tests.helpers.specs import written

# By name, a base is found from any folder.
SHIPPED = [
    path.read_text().replace("extends: googlenet.yaml", "extends: googlenet")
    for path in sorted(shipped_folder().glob("*.yaml"))
]
SECONDS = 20
"""Of the processor, for the worst: a spec that unrolls to as many layers as are allowed."""

valid = st.one_of(st.sampled_from(SHIPPED), specs().map(lambda drawn: drawn.text))


def hold(content: str | bytes, sets: Sequence[str] = ()) -> Spec | None:
    """`check` keeps its promises on a file with this content; gives the spec where it found one."""
    with written(content) as path:
        start = time.process_time()
        spec, found = check(path, sets=sets, include=[shipped_folder()])
        assert time.process_time() - start < SECONDS
        assert any(diagnostic.severity == "error" for diagnostic in found) is (spec is None)
        for diagnostic in found:
            located(diagnostic, path)
        render_text(found)
        assert len(json.loads(render_json(found))) == len(found)
        assert render_github(found).count("\n") == len(found)
        if spec is not None:
            assert str(spec.graph)
            assert stats(spec, train=True).params_with_aux >= 0
            assert annotated_yaml(spec.tree)
        return spec


def located(diagnostic: Diagnostic, path: Path) -> None:
    """A known code, words, and a place within a text that exists."""
    assert diagnostic.code in codes()
    assert diagnostic.message.strip()
    for span in (diagnostic.span, *(note.span for note in diagnostic.notes if note.span)):
        within(span)
        # A file that cannot be read has no text, and one in UTF-16 none that we could point into.
        assert (
            span.source.text
            or diagnostic.code in ("AS0001", "AS0102")
            or path.read_bytes() in (b"", b"\xef\xbb\xbf")
        )


def within(span: Span) -> None:
    """Check that a span lies in its text; what is missing at a line's end is one column wide."""
    lines = re.split(
        "\r\n|[\r\n\x85\u2028\u2029]", span.source.text
    )  # as YAML 1.1 ends lines, whose parser we use
    assert 1 <= span.line <= span.end_line <= len(lines)
    assert 1 <= span.column <= len(lines[span.line - 1]) + 1
    behind = span.column == len(lines[span.line - 1]) + 1
    assert 1 <= span.end_column <= len(lines[span.end_line - 1]) + 1 + behind
    assert (span.line, span.column) <= (span.end_line, span.end_column)


@pytest.mark.long
@pytest.mark.parametrize("share", shares())
@settings(max_examples=of_share(400, deep=50_000))
@given(text=damage.damaged(valid))
def test_damaged_specs(share: int, text: str) -> None:
    TRIED["mutated specs"] += 1
    hold(text)


@examples(300)
@given(damage.data())
def test_arbitrary_data(text: str) -> None:
    hold(text)


@examples(200)
@given(st.binary(max_size=300))
def test_arbitrary_bytes(content: bytes) -> None:
    hold(content)


@examples(100)
@given(valid, st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=4)), min_size=1, max_size=3))
def test_damaged_bytes(text: str, changes: list[tuple[float, bytes]]) -> None:
    raw = text.encode()
    for share, other in changes:
        at = int(share * len(raw))
        raw = raw[:at] + other + raw[at + len(other) :]
    hold(raw)
