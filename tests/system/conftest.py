"""Make the helper modules of these tests importable in whatever order files are collected."""

import sys
from pathlib import Path

_HERE = Path(__file__).parent
sys.path[:0] = [str(_HERE), str(_HERE.parent / "bigpeer")]
