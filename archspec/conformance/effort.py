"""How many examples a property gets: so many in the usual profile, in proportion in another."""

from hypothesis import HealthCheck, settings


def examples(usual: int) -> settings:
    """For hypothesis' current profile, whose `max_examples` stands for 100; no example has to be quick."""
    count = max(1, usual * settings().max_examples // 100)
    return settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck))
