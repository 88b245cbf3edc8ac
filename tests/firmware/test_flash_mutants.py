"""Mistakes that the cuts and the damage must find: in what a mount reads, in the cursor, in reading back."""

from collections.abc import Callable

import pytest
import test_flash_damage
from flash_cuts import Recording, View, cut, go_on, seeded, span
from test_flash_cuts import cut_everywhere

from hedgerow.errors import HedgerowError
from hedgerow_device import flashcursor, flashmount
from hedgerow_device.flashring import Ring
from hedgerow_sim.nor import Nor, NorError

FOUND = (AssertionError, HedgerowError, KeyError, NorError)
SLICE = flashmount._tell_slice
AUTHORS = flashmount._tell_authors


def slices_ignored(log: object, data: bytes, at: int, seq: int, into: object) -> None:
    """Believe that a checkpoint is whole, and take nothing from it."""
    SLICE(log, data, at, seq, None)
    if into and log.marks.whole == into.first:  # type: ignore[attr-defined]
        into.whole = True  # type: ignore[attr-defined]


def summary_wrong(data: bytes, at: int, seq: int, into: object) -> int:
    """Take a frontier from a summary that is one too low."""
    end = AUTHORS(data, at, seq, into)
    for index in into.log.indexes.values() if into else ():  # type: ignore[attr-defined]
        index.sealed = max(0, index.sealed - 1)
    return end


@pytest.mark.parametrize(
    ("place", "name", "mutant"),
    [
        (flashmount, "_tell_slice", slices_ignored),
        (flashmount, "_tell_authors", summary_wrong),
        (flashcursor, "find_cursor", lambda log: None),
    ],
    ids=["slices ignored", "summary wrong", "cursor forgotten"],
)
def test_cuts_find_what_a_mount_gets_wrong(
    place: object, name: str, mutant: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, name, mutant)
    with pytest.raises(FOUND):
        cut_everywhere(Recording(0), 151)


def test_wear_finds_programs_that_are_not_read_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ring, "_same", lambda *args: True)
    with pytest.raises(FOUND):
        test_flash_damage.test_worn_sectors_are_passed_over("program", (3,))


def rises(recording: Recording) -> int:
    """Let torn programs read as whole after the next thing was written; return how many did not show."""
    left = 0
    for index in range(recording.formatted, len(recording.trace), 9):
        operation = recording.trace[index]
        cells = recording.cells_at(index)
        if operation[0] == "erase" or operation[2] == 0 or len(operation[3]) < 12:
            continue
        torn, _ = cut(recording, index, cells, "prefix", len(operation[3]) - 4, str(index))
        oracle = recording.oracle_at(index)
        nor = Nor(recording.count, recording.size, bytearray(torn))
        with seeded(index):
            oracle.open(nor).put(4, b"after", b"the cut")
            whole = View(oracle.open(nor))
            at, after = span(operation, recording.size)
            if nor.cells[at : at + len(after)] != torn[at : at + len(after)]:
                # The sector was void and is used again.
                continue
            recording.apply(nor.cells, index)
            assert View(oracle.open(nor)).shown() == whole.shown(), f"I3: operation {index} rose"
        left += 1
    return left


def test_what_was_torn_does_not_rise(monkeypatch: pytest.MonkeyPatch) -> None:
    recording = Recording(0)
    assert rises(recording) > 20
    monkeypatch.setattr(Ring, "end_of", lambda ring, seq: ring.size)
    with pytest.raises(FOUND):
        rises(recording)
    monkeypatch.undo()
    go_on(recording, 100, recording.cells_at(100), set(), "100")
