"""Settings for every test: one thread a process, and how hard hypothesis searches (`ARCHSPEC_PROFILE=deep`: long)."""

import os

from hypothesis import HealthCheck, settings

os.environ.setdefault(
    "OMP_NUM_THREADS", "1"
)  # pytest-xdist shares out the cores; torch reads this when it is imported

slow = [
    HealthCheck.too_slow,
    HealthCheck.data_too_large,
]  # whole specs are slow to draw; no deadline either
settings.register_profile("ci", derandomize=True, deadline=None, suppress_health_check=slow)
settings.register_profile("deep", max_examples=3400, deadline=None, suppress_health_check=slow)
settings.load_profile(os.environ.get("ARCHSPEC_PROFILE", "ci"))
