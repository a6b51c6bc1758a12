"""A report: its table, its JSON, its error."""

from __future__ import annotations

import json

import pytest

from archspec.equivalence import DifferenceError, VerifyReport
from archspec.equivalence.report import Divergence, ReportLine, describe_difference

FIRST = Divergence("b1.conv", "net.yaml:7:5", 0.25, 1e-5)
LINES = (
    ReportLine("torch", "eval", "float32", "outputs", 1, 1, 2e-7, 1e-5, "main"),
    ReportLine("torch", "eval", "float32", "activations", 3, 5, 0.25, 1e-5, "b1.conv", FIRST),
    ReportLine("keras@jax", "grad", "float64", failed="it gives no gradients"),
    ReportLine("onnx", "grad", skipped="the backend onnx cannot"),
    ReportLine(
        "onnx",
        "eval",
        "float32",
        "outputs",
        1,
        1,
        float("inf"),
        1e-5,
        "main",
        Divergence("main", "net.yaml:9:5", float("inf"), 1e-5),
    ),
)
REPORT = VerifyReport("net", "net.yaml", 2, 0, LINES, 1.23456)


def test_the_table_has_a_row_for_each_line_and_tells_each_difference() -> None:
    text = REPORT.table()
    rows = [line.split() for line in text.splitlines() if set(line) != {"-"}]
    assert rows[0] == "target mode in what compared deviation bound verdict".split()
    assert rows[1] == "torch eval float32 outputs 1 2.0e-07 1.0e-05 same".split()
    assert rows[2] == "torch eval float32 activations 3 of 5 2.5e-01 1.0e-05 DIFFERENT".split()
    assert rows[3] == "keras@jax grad float64 failed DIFFERENT".split()
    assert rows[4] == "onnx grad the backend onnx cannot skipped".split()
    assert rows[5][-3:] == ["inf", "1.0e-05", "DIFFERENT"]
    assert "torch, eval: activations first differ at b1.conv (net.yaml:7:5)" in text
    assert "keras@jax, grad: it gives no gradients" in text
    assert "deviation: the largest" in text


def test_reasons_are_given_for_what_was_compared_alone() -> None:
    assert "float64" not in VerifyReport("n", "n", 1, 0, ()).table()
    assert "they jump where" not in REPORT.table()
    line = ReportLine("torch", "grad", "float64", "gradients", 1, 1, 1e-9, 1e-7, "w")
    assert "they jump where" in VerifyReport("n", "n", 1, 0, (line,)).table()


def test_json_holds_everything_and_no_number_that_json_lacks() -> None:
    found = json.loads(REPORT.json(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert [line["passed"] for line in found.pop("lines")] == [True, False, False, True, False]
    assert found == {
        "name": "net",
        "spec": "net.yaml",
        "batch": 2,
        "seed": 0,
        "passed": False,
        "seconds": 1.235,
        "repro": None,
    }
    lines = json.loads(REPORT.json())["lines"]
    assert lines[1]["first"] == {
        "name": "b1.conv",
        "location": "net.yaml:7:5",
        "error": 0.25,
        "bound": 1e-5,
    }
    assert lines[4]["error"] is None
    assert lines[4]["first"]["error"] is None
    assert lines[0]["first"] is None


def test_raise_if_different_names_each_difference() -> None:
    assert not REPORT.passed
    with pytest.raises(DifferenceError) as caught:
        REPORT.raise_if_different()
    first, *others = caught.value.message.splitlines()
    assert first == "net is not the same everywhere"
    assert [line.strip() for line in others] == [
        describe_difference(LINES[1]),
        describe_difference(LINES[2]),
        describe_difference(LINES[4]),
    ]


def test_what_is_skipped_is_no_difference() -> None:
    report = VerifyReport("net", "net.yaml", 2, 0, (LINES[0], LINES[3]))
    assert report.passed
    report.raise_if_different()
