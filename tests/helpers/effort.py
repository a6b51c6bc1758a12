"""How many examples a property gets."""

from hypothesis import settings


def examples(usual: int) -> settings:
    """So many in the usual profile, in proportion in another: `ARCHSPEC_PROFILE=deep` draws 34 times as many."""
    return settings(max_examples=usual * settings().max_examples // 100)
