"""Helpers of the gateway's tests: a loop with a deadline, polling with a deadline, and the shared suites."""

import sys
from pathlib import Path

CORE = Path(__file__).parents[1] / "core"
sys.path[:0] = [str(CORE / "portable"), str(CORE)]
