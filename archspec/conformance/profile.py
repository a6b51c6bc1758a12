"""Profiles of the suite: each multiplies the usual number of examples of every property.

>>> set_profile("quick")
>>> examples(30).max_examples
3
>>> set_profile(None)

`quick` takes under a minute for a backend, `deep` a night. Without a profile the `max_examples` of
hypothesis' own profile count, where 100 stands for the usual number.
"""

from collections.abc import Iterable, Mapping
from typing import cast

from hypothesis import HealthCheck, settings

PROFILES: Mapping[str, float] = {"quick": 0.1, "default": 1.0, "deep": 34.0}

_ALL_HEALTH_CHECKS = list(
    cast("Iterable[HealthCheck]", HealthCheck)
)  # a class that can be iterated, untyped

_chosen: list[str] = []
"""The profile that the command line names, if any."""


def set_profile(name: str | None) -> None:
    """Choose a profile for all properties that are run from now on."""
    _chosen[:] = [] if name is None else [name]


def is_deep() -> bool:
    """Tell whether a long search is wanted."""
    return _share() > 1


def examples(usual: int) -> settings:
    """Return settings for a property that usually gets so many examples; none has to be quick."""
    count = max(1, int(usual * _share()))
    return settings(
        max_examples=count,
        deadline=None,
        report_multiple_bugs=False,  # the first is what has to be fixed
        suppress_health_check=_ALL_HEALTH_CHECKS,
    )


def _share() -> float:
    return PROFILES[_chosen[0]] if _chosen else settings().max_examples / 100
