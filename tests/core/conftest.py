"""Make the helper modules of the core's tests importable in whatever order files are collected."""

import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

HERE = Path(__file__).parent

sys.path[:0] = [str(HERE / "portable"), str(HERE), str(HERE / "crypto" / "portable")]

# The same examples in every run, judged by what they show and never by how long a busy machine takes.
settings.register_profile(
    "steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady")
