"""Slots of authors on flash: one that was cut to nothing gives its slot to a new one (SPEC 9.3)."""

import random

import pytest
from test_flash_log import OTHER, fill, receipt

from hedgerow.errors import HedgerowError
from hedgerow.log import ENTRY_OP, ENTRY_SEAL
from hedgerow_device.flashlog import FlashLog
from hedgerow_device.flashmount import Misfit
from hedgerow_sim.nor import Nor


def misfit(self: object) -> None:
    raise Misfit


def begin(log: FlashLog, author: bytes, number: int, body: bytes) -> None:
    """Append; where no sector is free for a slot of the one that is written, once that is full."""
    for _ in range(200):
        try:
            return log.append(ENTRY_OP, author, number, number, body)
        except HedgerowError as error:
            assert error.code == "AUTHORS_FULL", error
            own = log.held(log.author)
            fill(log, log.author, own + 1, own + 1)
            receipt(log, log.author, own + 1)
    raise AssertionError("no slot was free in the next sector either")


def _shown(log: FlashLog, authors: list[bytes]) -> list[tuple[int, int, list[bytes | None]]]:
    return [
        (log.held(author), log.sealed(author), [log.fetch(author, number) for number in (1, 2, 3)])
        for author in authors
    ]


@pytest.mark.parametrize("checkpoint", [True, False])
def test_an_author_that_was_cut_to_nothing_gives_its_slot(
    checkpoint: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over many laps: a mount by either way shows what the log showed, and no frame under another's name."""
    if not checkpoint:
        monkeypatch.setattr("hedgerow_device.flashmount.Checkpoint.mount", misfit)
    rng = random.Random(1)
    nor = Nor(16)
    log = FlashLog(nor)
    log.append(ENTRY_OP, log.author, 1, 1, b"own")
    names = [b"author%02d" % number for number in range(63)]
    for author in names:
        for number in (1, 2):
            log.append(ENTRY_OP, author, number, number, b"%s %d" % (author, number))
    with pytest.raises(HedgerowError, match="AUTHORS_FULL"):
        log.append(ENTRY_OP, OTHER, 1, 1, b"x")
    for turn in range(50):
        gone = names.pop(rng.randrange(len(names)))
        log.cut(gone, 0)
        assert log.held(gone) == 0 and gone not in log.authors()
        if turn % 3 == 0:
            # What fell comes again, as it was or otherwise, in the place of the next one.
            again = names.pop(rng.randrange(len(names)))
            log.cut(again, 0)
            names.append(again)
            begin(log, again, 1, b"%d again" % turn)
        new = b"later%03d" % turn if turn % 5 else gone
        names.append(new)
        for number in range(1, rng.randrange(2, 5)):
            begin(log, new, number, b"%s %d %d" % (new, number, turn))
        if turn % 4 == 0:
            log.append(ENTRY_SEAL, new, 1, 1, b"seal")
        fill(log, log.author, log.held(log.author) + 1, log.held(log.author) + 20)
        receipt(log, log.author, log.held(log.author))
        before = _shown(log, [*names, gone])
        assert len(log.authors()) == 64 and sorted(log.authors()) == sorted([*names, log.author])
        opened = FlashLog(nor)
        assert _shown(opened, [*names, gone]) == before and opened.damaged == 0
        assert sorted(opened.authors()) == sorted(log.authors())
        assert {author for _, author, _, _ in opened.since(0, 1 << 20)} <= {*names, log.author}
        if turn % 7 == 0:
            log = opened
    assert log.ring.tail > 16
