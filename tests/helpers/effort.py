"""The number of examples of a property."""

from hypothesis import settings


def examples(usual: int) -> settings:
    """Return settings for that many examples; `ARCHSPEC_PROFILE=deep` draws 34 times as many."""
    return settings(max_examples=usual * settings().max_examples // 100)
