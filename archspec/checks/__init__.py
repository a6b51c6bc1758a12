"""What is checked once a graph stands, one function for each code."""

from archspec.checks import heads, sense
from archspec.diagnostics import Report
from archspec.graph import Graph
from archspec.spec.document import Document
from archspec.spec.network import Facts


def check_graph(graph: Graph, document: Document, facts: Facts, report: Report) -> None:
    """Every check, errors and warnings."""
    heads.classifier_width(graph, facts.sections, report)
    sense.unused_argument(facts, report)
    sense.unused_block(facts, report)
    sense.unused_result(graph, report)
    sense.two_activations(graph, report)
