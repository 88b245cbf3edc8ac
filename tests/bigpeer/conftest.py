"""Make the helper modules of these tests importable in whatever order files are collected."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
