"""What is checked once a graph stands, one function for each code."""

from archspec.checks import claims, heads, sense
from archspec.diagnostics import Report
from archspec.ir.check_input import CheckInput

CHECKS = (
    heads.classifier_width,
    sense.unused_argument,
    sense.unused_block,
    sense.unused_result,
    sense.two_activations,
    claims.printed_figures,
)


def check_graph(spec: CheckInput, report: Report) -> None:
    """Every check, errors and warnings."""
    for check in CHECKS:
        check(spec, report)
