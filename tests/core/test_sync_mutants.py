"""Each guard of the sync core is taken out in turn, and the checks of this suite must then fail.

A check is a function that passes on the real code. A mutant is one guard disabled by monkeypatching. So the
suite cannot lose the power to see these faults without a test saying so.
"""

from collections.abc import Callable
from typing import Any

import pytest
from kit import Random
from sync_kit import Pipe, board, check, converse, durable, gateway, keeper, operations, record, sync

from hedgerow import memory as memory_module
from hedgerow.errors import HedgerowError
from hedgerow.log import MemoryStore
from hedgerow.peer import Peer
from hedgerow.sync import frames
from hedgerow.sync import session as session_module
from hedgerow.sync.exchange import Exchange
from hedgerow.trust import verify as verify_module

Patch = Callable[[pytest.MonkeyPatch], None]


def _nothing(*_args: Any) -> None:
    return None


def check_gaps() -> None:
    """A relay sends operations that do not join: they are refused, and no copy has a hole."""
    leaf, top = board(), keeper()
    now = record(leaf, 6)
    bodies = [body for _, body in operations(leaf.log, leaf.author)]
    for schema in leaf.schemas.values():
        top.ingest_schema(schema.encoded)
    top.ingest(leaf.author, 1, bodies[:2])
    top.commit()
    try:
        top.ingest(leaf.author, 5, bodies[4:])
        top.commit()
    except HedgerowError as error:
        assert error.code == "SYNC_GAP", error
    check([leaf, top])
    assert operations(durable(top), leaf.author) == operations(leaf.log, leaf.author)[:2]
    sync(leaf, top, now)


def check_acknowledged_is_durable() -> None:
    """What a sender saw acknowledged is still there after the receiver lost power."""
    leaf, middle = board(), gateway(MemoryStore())
    sync(middle, leaf, record(leaf, 20))
    held = durable(middle).held(leaf.author)
    assert held == leaf.log.held(leaf.author), f"{held} outlived the power cut"
    check([leaf, middle])


def check_receipts_are_sealed() -> None:
    """Unsealed operations reach the keeper and get no receipt."""
    leaf, middle, top = board(), gateway(), keeper()
    record(leaf, 5)
    for schema in leaf.schemas.values():
        middle.ingest_schema(schema.encoded)
    middle.ingest(leaf.author, 1, [body for _, body in operations(leaf.log, leaf.author)])
    middle.commit()
    sync(middle, top, 6000)
    assert top.log.held(leaf.author) == 6
    check([leaf, middle, top])


def check_records_in_order() -> None:
    """A record that the link loses or doubles ends the session."""
    for copies in (0, 2):
        leaf, middle = board(), gateway()
        record(leaf, 3)
        one, two = Exchange(middle, 5000, central=True), Exchange(leaf, 5000)
        two.receive(one.outgoing(1200, 5000), 5000)
        one.receive(two.outgoing(1200, 5000), 5000)
        two.session.queue_have([])
        strayed = two.outgoing(1200, 5000)
        for _ in range(copies):
            one.receive(strayed, 5000)
        two.session.queue_have([])
        one.receive(two.outgoing(1200, 5000), 5000)
        assert one.error is not None and one.error.code == "RECORD_SEQUENCE", copies


def check_changed_bytes() -> None:
    """Bytes that were changed on the way change nothing: copies stay true to their authors."""
    random = Random(1)
    for _ in range(60):
        leaf, middle = board(), gateway()
        now = record(leaf, 4)
        one, two = Exchange(middle, now, central=True), Exchange(leaf, now)
        two.receive(one.outgoing(1200, now), now)
        data = bytearray(two.outgoing(1200, now))
        data[random.between(100, len(data) - 9)] ^= 1 << random.below(8)
        one.receive(bytes(data), now)
        check([leaf, middle])
        assert one.error is not None and middle.log.held(leaf.author) == 0


def check_credit_is_kept() -> None:
    """A small window is enough for much data, and is never overrun."""
    leaf, middle = board(), gateway(credit=600)
    pipe = converse(middle, leaf, record(leaf, 200))
    assert [end.error for end in pipe.ends] == [None, None]
    assert middle.log.held(leaf.author) == leaf.log.held(leaf.author)


def check_overrun_is_refused() -> None:
    """A sender that ignores the window is cut off."""
    leaf, middle = board(), gateway(credit=600)
    now = record(leaf, 200)
    one, two = Exchange(middle, now, central=True), Exchange(leaf, now)
    two.session.credit = lambda: 1 << 20  # type: ignore[method-assign]
    pipe = Pipe(one, two, now)
    while pipe.step():
        pass
    assert one.error is not None and one.error.code == "SESSION_CREDIT"


def check_seals() -> None:
    """A seal over other operations than the keeper holds is refused."""
    leaf, top = board(), keeper()
    record(leaf, 3)
    leaf._h16s[2] = bytes(16)
    pipe = converse(leaf, top, 5000)
    assert top.receipted(leaf.author) == 0
    assert pipe.ends[1].refused == {leaf.author: "SEAL_INVALID"}


def no_gap_check(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Peer, "_bridge", _nothing)
    patch.setattr(memory_module, "check_entry", _nothing)


def acknowledge_before_commit(patch: pytest.MonkeyPatch) -> None:
    def commit(self: Peer) -> None:
        self._summary = None

    patch.setattr(Peer, "commit", commit)


def receipt_above_sealed(patch: pytest.MonkeyPatch) -> None:
    real = Peer.receipted
    patch.setattr(
        Peer, "receipted", lambda self, author: self.log.held(author) if self.keeper else real(self, author)
    )


def no_sequence_check(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(frames, "check_sequence", _nothing)


def no_tag_check(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(frames, "check_tag", _nothing)


def credit_ignored(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(session_module.Session, "credit", lambda _self: 1 << 20)


def overrun_ignored(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(session_module.Session, "_count", _nothing)


def no_seal_check(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(verify_module, "check_seal", lambda *_args: True)


PAIRS: list[tuple[Patch, Callable[[], None]]] = [
    (no_gap_check, check_gaps),
    (acknowledge_before_commit, check_acknowledged_is_durable),
    (receipt_above_sealed, check_receipts_are_sealed),
    (no_sequence_check, check_records_in_order),
    (no_tag_check, check_changed_bytes),
    (credit_ignored, check_credit_is_kept),
    (overrun_ignored, check_overrun_is_refused),
    (no_seal_check, check_seals),
]


@pytest.mark.parametrize(("mutant", "checker"), PAIRS, ids=[mutant.__name__ for mutant, _ in PAIRS])
def test_mutant_is_killed(
    mutant: Patch, checker: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    checker()
    mutant(monkeypatch)
    with pytest.raises((AssertionError, HedgerowError)):
        checker()
