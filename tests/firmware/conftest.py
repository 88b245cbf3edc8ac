"""Make the helper modules of these tests, and the log contract, importable; build the firmware once."""

import sys
from pathlib import Path

import pytest

_HERE = Path(__file__).parent
sys.path[:0] = [str(_HERE), str(_HERE.parent / "core"), str(_HERE.parent / "core" / "portable")]


@pytest.fixture(scope="session")
def firmware(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The firmware as the tree of files that goes to a board."""
    from device_rig import stage

    return stage(tmp_path_factory.mktemp("firmware"))
