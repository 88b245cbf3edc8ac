"""Make the portable tests of the cryptography, their kit and a cryptolib for CPython importable."""

import sys
from pathlib import Path

HERE = Path(__file__).parent

sys.path[:0] = [str(HERE / "portable"), str(HERE), str(HERE / "stand_in"), str(HERE.parent / "portable")]
