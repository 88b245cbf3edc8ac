"""Another implementation of EDHOC: lakers, with our side on CPython and in the MicroPython VM."""

from pathlib import Path

import pytest
from micropython_vm import micropython

handshakes = pytest.importorskip("handshakes", reason="there is no lakers-python wheel for this machine")

HERE = Path(__file__).parent


def test_a_thousand_handshakes_with_lakers() -> None:
    counts = handshakes.run(1, range(1000))
    assert handshakes.good(counts), counts
    assert counts["agreed"] == 2000 and counts["altered and refused"] > 1980


def test_handshakes_of_the_vm_with_lakers() -> None:
    paths = [HERE.parents[2] / "shared", HERE / "portable", HERE.parent / "portable"]
    vm = handshakes.Vm([micropython(), "-X", "heapsize=600k", HERE / "side_in_vm.py", *paths])
    try:
        counts = handshakes.run(2, range(40), vm)
    finally:
        vm.close()
    assert handshakes.good(counts), counts
    assert counts["agreed"] == 80
