"""Tests of the simulator use the log contract of the core's tests."""

import sys
from pathlib import Path

_CORE = Path(__file__).parents[1] / "core"
sys.path[:0] = [str(_CORE), str(_CORE / "portable")]
