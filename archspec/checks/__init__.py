"""What is checked once a graph stands, one function for each code."""

from archspec.checks import claims, heads, sense
from archspec.checks.facts import Facts
from archspec.diagnostics import Report

CHECKS = (
    heads.classifier_width,
    sense.unused_argument,
    sense.unused_block,
    sense.unused_result,
    sense.two_activations,
    claims.printed_figures,
)


def check_graph(facts: Facts, report: Report) -> None:
    """Every check, errors and warnings."""
    for check in CHECKS:
        check(facts, report)
