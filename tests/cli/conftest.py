"""What the tests of commands share: their helper module, importable in any order, and the firmware."""

import sys
from pathlib import Path

import pytest

from hedgerow_cli.flashing.flash import Firmware, build_firmware

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def firmware(tmp_path_factory: pytest.TempPathFactory) -> Firmware:
    """The firmware of a board that records."""
    return build_firmware(tmp_path_factory.mktemp("firmware"))
