"""Helpers of the gateway's tests: a loop with a deadline, polling with a deadline, and the shared suites."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "core"))
