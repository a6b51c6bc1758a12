"""How many examples a property gets: so many in the usual profile, in proportion in another."""

from collections.abc import Iterable
from typing import cast

from hypothesis import HealthCheck, settings

_NONE_IS_UNHEALTHY = list(
    cast("Iterable[HealthCheck]", HealthCheck)
)  # a class that can be iterated, untyped


def examples(usual: int) -> settings:
    """For hypothesis' current profile, whose `max_examples` stands for 100; no example has to be quick."""
    count = max(1, usual * settings().max_examples // 100)
    return settings(max_examples=count, deadline=None, suppress_health_check=_NONE_IS_UNHEALTHY)
