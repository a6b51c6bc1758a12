"""The number of examples of a property, and how many inputs were really tried."""

from __future__ import annotations

from collections import Counter

from hypothesis import settings

TRIED: Counter[str] = Counter()
"""Inputs that this process tried, by what they are; those of all processes are printed at the end."""
SHARES = 10
"""The tests that a large number is shared out to in the deep profile, so that several processes work on it."""


def is_deep() -> bool:
    """Return whether `ARCHSPEC_PROFILE=deep` was set."""
    return settings().max_examples > 100


def examples(usual: int) -> settings:
    """Return settings for that many examples; `ARCHSPEC_PROFILE=deep` draws 34 times as many."""
    return settings(max_examples=usual * settings().max_examples // 100)


def shares() -> range:
    """Return the shares of a large number: one, and several in the deep profile."""
    return range(SHARES if is_deep() else 1)


def of_share(usual: int, deep: int) -> int:
    """Return how many inputs a share tries: `usual`, or its part of `deep` in that profile."""
    return -(-deep // SHARES) if is_deep() else usual
