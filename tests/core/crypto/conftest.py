"""Make helpers of the tests of the cryptography, and a cryptolib for CPython, importable."""

import sys
from pathlib import Path

HERE = Path(__file__).parent

sys.path[:0] = [str(HERE), str(HERE / "stand_in")]
