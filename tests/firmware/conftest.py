"""Make the helper modules of these tests, and the log contract, importable; build the firmware once."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

_HERE = Path(__file__).parent
sys.path[:0] = [str(_HERE), str(_HERE.parent / "core")]


@pytest.fixture(scope="session")
def firmware(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The firmware as the tree of files that goes to a board."""
    from device_rig import stage

    return stage(tmp_path_factory.mktemp("firmware"))


@pytest.fixture(autouse=True)
def same_modules() -> Iterator[None]:
    """Put back the modules that a peer gave back to save its heap: tests hold on to those they imported."""
    before = {name: module for name, module in sys.modules.items() if name.startswith("hedgerow")}
    yield
    for name, module in before.items():
        if sys.modules.get(name) is not module:
            sys.modules[name] = module
            package, _, last = name.rpartition(".")
            if package:
                setattr(sys.modules[package], last, module)
