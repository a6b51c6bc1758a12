"""Warnings: what is allowed, and most likely not meant."""
from __future__ import annotations


def check(graph, document, facts, report):
    pass
