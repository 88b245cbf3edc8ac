"""Settings of property tests as for the core, and its helper modules on the path."""

import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

sys.path[:0] = [
    str(Path(__file__).parent),
    str(Path(__file__).parents[1] / "core"),
    str(Path(__file__).parents[1] / "core" / "portable"),
]

settings.register_profile(
    "steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady")
