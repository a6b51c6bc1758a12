"""Printed figures: how they are read, what agrees, and what an erratum excuses."""

from __future__ import annotations

from fractions import Fraction

import pytest

import archspec
from archspec.analysis.claims import ClaimResult, compare_claims, parse_figure
from archspec.ir.document import Claims, Document
from archspec.ir.graph import Claim, Graph, Scope
from tests.helpers.graphs import SPAN, Builder

UNITS = {"K": 1024, "M": 1000000}


@pytest.mark.parametrize(
    ("text", "value", "hidden"),
    [
        ("2.7K", Fraction("2.7") * 1024, Fraction("0.05") * 1024),
        ("34M", 34_000_000, 500_000),
        ("1,388K", 1388 * 1024, 512),
        ("112 K", 112 * 1024, 512),
        ("61706", 61706, Fraction(1, 2)),
        ("0.50", Fraction(1, 2), Fraction(1, 200)),
        (".5M", 500_000, 50_000),
        (" 7 ", 7, Fraction(1, 2)),
    ],
)
def test_a_figure_stands_for_what_rounds_to_it(
    text: str, value: Fraction, hidden: Fraction
) -> None:
    assert parse_figure(text, UNITS) == (value, hidden)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "K",
        "many",
        "2.7G",
        "2.7k",
        "-3",
        "1e3",
        "1.2.3",
        "3.",
        "1,02K",
        "2 7",
        "٣K",
        "5\n6",
        "9" * 80,
        "inf",
        "nan",
    ],
)
def test_what_cannot_be_read(text: str) -> None:
    assert parse_figure(text, UNITS) is None


def test_a_unit_has_to_be_finite() -> None:
    assert parse_figure("3X", {"X": float("inf")}) is None


class Paper:
    """A row `a` of two layers in a block, 100,000 weights each and 200,000 MACs; a pool `b`; printed figures."""

    def __init__(self, *printed: tuple[str, str, str], **section: object) -> None:
        b = Builder(100)
        scope = Scope("a", "block", SPAN, b.root, "pair")
        b.add("one", "linear", out=1000, bias=False, scope=scope)
        b.add("two", "linear", out=100, bias=False, scope=scope)
        b.add("b", "relu")
        graph = b.graph()
        found = tuple(Claim(path, quantity, text, SPAN) for path, quantity, text in printed)  # pyright: ignore[reportArgumentType]
        self.graph = Graph(graph.name, graph.nodes, graph.heads, graph.root, claims=found)
        self.document = Document(
            claims=Claims.model_validate({"units": UNITS, **section}) if section else None
        )

    def judged(self) -> list[tuple[str, str, str]]:
        return [(result.path, result.quantity, result.status) for result in compare_claims(self)]


@pytest.mark.parametrize(
    ("printed", "tolerance", "agrees"),
    [
        ("200000", 0.0, True),
        ("200001", 0.0, False),  # a whole number hides less than one
        ("0.2M", 0.0, True),
        ("0.19M", 0.0, False),  # up to 0.195M
        ("0.19M", 0.02, False),  # up to 0.1989M
        ("0.19M", 0.03, True),  # up to 0.20085M
        ("0.21M", 0.03, True),  # from 0.19885M
        ("0.21M", 0.02, False),  # from 0.2009M
        ("195K", 0.0, True),  # 199,680, give or take 512
        ("194K", 0.0, False),
    ],
)
def test_the_tolerance_widens_what_rounding_hides(
    printed: str, tolerance: float, agrees: bool
) -> None:
    paper = Paper(("a", "params", printed), tolerance=tolerance)
    assert paper.judged() == [("a", "params", "agrees" if agrees else "differs")]


def test_what_is_compared() -> None:
    paper = Paper(
        ("a", "params", "200000"),
        ("a", "ops", "200000"),
        ("a", "depth", "2"),
        ("a.one", "params", "100000"),
    )
    assert [(r.ours, r.difference) for r in compare_claims(paper)] == [
        (200000, 0.0),
        (200000, 0.0),
        (2, 0.0),
        (100000, 0.0),
    ]
    (result,) = compare_claims(Paper(("a", "params", "160000")))
    assert (result.status, result.value, result.difference) == ("differs", 160000, 0.25)


def test_a_depth_is_exact() -> None:
    paper = Paper(("a", "depth", "3"), ("b", "depth", "0"), ("b", "depth", "1"), tolerance=1.0)
    assert paper.judged() == [
        ("a", "depth", "differs"),
        ("b", "depth", "agrees"),
        ("b", "depth", "differs"),
    ]


def test_a_step_that_holds_no_layer_has_nothing() -> None:
    assert [(r.ours, r.status) for r in compare_claims(Paper(("gone", "params", "5")))] == [
        (0, "differs")
    ]


def test_the_whole_network() -> None:
    totals = {
        "params": "0.2M",
        "macs": 200000,
        "depth": 2,
        "depth_with_pools": 3,
        "params_with_aux": "0.3M",
    }
    judged = Paper(totals=totals).judged()
    assert [(path, status) for path, _, status in judged] == [("", "agrees")] * 3 + [
        ("", "differs")
    ] * 2


def test_errata_excuse_what_differs_and_nothing_else() -> None:
    errata = {"a": "a misprint", "b": "needless", "c": "of no step"}
    paper = Paper(
        ("a", "params", "9K"),
        ("a", "depth", "2"),
        ("b", "depth", "0"),
        ("b", "ops", "many"),
        errata=errata,
    )
    results = compare_claims(paper)
    assert [(r.path, r.quantity, r.status, r.erratum, r.unneeded) for r in results] == [
        ("a", "params", "erratum", "a misprint", False),
        ("a", "depth", "agrees", "", False),
        ("b", "depth", "agrees", "needless", True),
        ("b", "ops", "unreadable", "", False),
        ("c", "", "agrees", "of no step", True),
    ]


def test_a_ratio_beyond_all_floats() -> None:
    (result,) = compare_claims(Paper(("a", "params", "1X"), units={"X": 1e-308}))
    assert (result.status, result.difference) == ("differs", None)


def test_without_claims_nothing_is_held() -> None:
    assert compare_claims(Paper()) == ()


# What is wrong in the paper's table 1: of a separable 7x7 with depth multiplier 8 (7*7*3*8 + 24*64 = 2,712 weights,
# 12,544 positions), and of the module 4c, whose printed multiply-adds agree with ours, and 5a.
MISPRINTS = {
    ("conv1", "params"),
    ("conv1", "ops"),
    ("inception_4c", "params"),
    ("inception_5a", "params"),
    ("inception_5a", "ops"),
}


def test_googlenet() -> None:
    results = compare_claims(archspec.load("googlenet"))
    assert {(r.path, r.quantity) for r in results if r.status == "erratum"} == MISPRINTS
    assert all(r.status in ("agrees", "erratum") and not r.unneeded for r in results)
    printed: dict[tuple[str, str], ClaimResult] = {(r.path, r.quantity): r for r in results}
    assert printed["inception_3a", "params"].value == 159 * 1024
    assert printed["conv2", "depth"].ours == 2
    assert (
        sum(r.quantity == "params" for r in results)
        == sum(r.quantity == "ops" for r in results)
        == 12
    )
