"""What a gateway counts of those who do to its radio what no sound peer does, and when it tells of it."""

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest
from gateway_kit import KINDS, MESH, config, run, until
from test_gateway_health import documents

from hedgerow.clock import hlc
from hedgerow.custody.receipt import Receipt
from hedgerow.log import ENTRY_SEAL
from hedgerow.memory import MemoryLog
from hedgerow.mesh import frames, letters, ops, tells
from hedgerow.mesh.feed import frames_of, letter_frames
from hedgerow.mesh.frames import State, advertise, encode_state, make
from hedgerow.mesh.tag import mesh_key
from hedgerow.operation import INSERT, SOURCE_GATEWAY, SOURCE_KEEPER, decode_body, encode_body
from hedgerow.peer import Peer
from hedgerow_device import accuse
from hedgerow_gateway import Gateway, limits
from hedgerow_gateway.suspects import CROWDED, FORGED, RECEIPT, REPLAYED, TAG, TIME_FALSE, Suspects, Watcher

KEY = mesh_key("demo")
YEAR_MS = 365 * 86_400_000
BOARD, ATTACKER = "C0:00:00:00:00:01", "D0:00:00:00:00:01"


class Said:
    """A board whose frames are given to a gateway by hand."""

    def __init__(self, tmp_path: Path) -> None:
        self.gateway = Gateway(config(tmp_path, radio="off"))
        self.peer = Peer(MemoryLog(), 0, name="b", mesh=MESH, kinds=KINDS)
        for n in range(4):
            self.peer.insert("readings", {"n": n, "h": 50 + n}, 1000 * (n + 1))

    def hear(self, payload: bytes, address: str = BOARD) -> None:
        self.gateway.mesher.take([(address, -50, payload, False)])

    def operation(self, number: int, *, whole: bool = False) -> None:
        """Have an operation heard, as it goes or as a letter."""
        author = self.peer.author
        stored = self.peer.log.fetch(author, number)
        if whole:
            content = letters.encode_operation(author, number, stored)
            parts = letter_frames(self.peer, content, KEY)
        else:
            parts = frames_of(self.peer, author, number, stored, KEY)
        for part in parts:
            self.hear(advertise(part))

    def seal(self) -> None:
        author = self.peer.author
        self.peer.seal(9000)
        for kind, _, _, body in self.peer.log.read(author, 0, 0, 1 << 20):
            if kind == ENTRY_SEAL:
                for part in letter_frames(self.peer, bytes((letters.SEAL,)) + author + body, KEY):
                    self.hear(advertise(part))

    def known(self) -> None:
        """Have the name and the schema heard, and all but the last operation."""
        announce = tells.Announce(self.peer.author, 0, 0, 0)
        self.hear(advertise(make(frames.ANNOUNCE, MESH, tells.encode_announce(announce), KEY)))
        for schema in self.peer.schemas.values():
            for part in letter_frames(self.peer, bytes((letters.SCHEMA,)) + schema.encoded, KEY):
                self.hear(advertise(part))
        for number in range(1, self.peer.log.held(self.peer.author)):
            self.operation(number)

    @property
    def counts(self) -> dict[tuple[str, str], int]:
        return dict(self.gateway.suspects.counts)


@pytest.fixture
def said(tmp_path: Path) -> Said:
    return Said(tmp_path)


def test_who_says_what_the_seal_does_not_is_counted(said: Said) -> None:
    said.known()
    author, held = said.peer.author, said.gateway.log.held(said.peer.author)
    before = said.peer.log.fetch(author, held)
    stamp, changes = decode_body(before)
    stored = encode_body(hlc.pack(hlc.stamp_ms(stamp) + 500), [[INSERT, changes[0][1], None, [7, 7]]])
    body = ops.pack(author, held + 1, stored, said.peer.schemas, hlc.stamp_ms(stamp), before)
    said.hear(advertise(make(frames.OP, MESH, body, KEY)), ATTACKER)
    assert said.gateway.log.held(author) == held + 1
    said.operation(held + 1)
    said.seal()
    for number in range(1, held + 2):
        said.operation(number, whole=True)
    assert said.gateway.log.sealed(author) == held + 1
    assert said.counts == {(FORGED, ATTACKER): 1}
    # It is counted once.
    said.operation(held + 1)
    assert said.counts == {(FORGED, ATTACKER): 1}


def test_a_state_of_another_address_is_a_replay(said: Said) -> None:
    state = State(MESH[:2], 7, 0, bytes(6), 0, 2, 0, 0, said.peer.author[:3])
    for address in (BOARD, BOARD, ATTACKER, "72F7A2D0-0000-4000-8000-000000000001"):
        said.hear(advertise(encode_state(state, KEY)), address)
        said.hear(advertise(make(frames.CALL, MESH, bytes(7), KEY)), address)
    assert said.counts == {(REPLAYED, ATTACKER): 1}


def test_a_frame_under_another_key_and_more_than_there_is_room_for(said: Said) -> None:
    op = frames.Op(b"abc", 1, b"xy", b"sc", 1000, [1, 2])
    said.hear(advertise(make(frames.OP, MESH, frames.encode_op(op), bytes(32))), ATTACKER)
    assert said.counts == {(TAG, ATTACKER): 1}
    for at in range(300):
        op = frames.Op(at.to_bytes(3, "big"), 1, b"xy", b"sc", 1000, [1, 2])
        said.hear(advertise(make(frames.OP, MESH, frames.encode_op(op), KEY)), ATTACKER)
    assert said.counts[CROWDED, ATTACKER] == 300 - 256


def test_a_time_that_is_far_from_the_hosts_is_found_out(said: Said) -> None:
    gateway = said.gateway
    now = gateway.clock.now()

    def hear(off_ms: int, error_ms: int, address: str) -> None:
        body = tells.encode_time(900_000_000_000 + off_ms, error_ms, SOURCE_KEEPER, 0, b"abc", 1)
        said.hear(advertise(make(frames.TIME, MESH, body, KEY)), address)

    hear(-YEAR_MS, 5, ATTACKER)
    gateway.peer.set_time(900_000_000_000, 5, SOURCE_KEEPER, now)
    hear(-YEAR_MS, 5, ATTACKER)
    assert not said.counts, "who was told the time may have been lied to"
    gateway.peer.withdraw_time(SOURCE_KEEPER)
    gateway.peer.set_time(900_000_000_000, 5, SOURCE_GATEWAY, now)
    hear(30_000, 5, BOARD)
    hear(90_000, 40_000, BOARD)
    assert not said.counts
    hear(-YEAR_MS, 5, ATTACKER)
    hear(YEAR_MS, 5, ATTACKER)
    assert said.counts == {(TIME_FALSE, ATTACKER): 2}


@pytest.mark.parametrize(
    ("what", "name", "other"),
    [(Watcher, "_hear_time", lambda *_: None), (Peer, "time_source", lambda _: SOURCE_GATEWAY)],
    ids=["nobody_looks", "any_time_is_a_hosts"],
)
def test_without_the_guard_who_turns_clocks_is_not_named_or_who_does_not_is(
    said: Said, monkeypatch: pytest.MonkeyPatch, what: type, name: str, other: object
) -> None:
    monkeypatch.setattr(what, name, other)
    with pytest.raises(AssertionError):
        test_a_time_that_is_far_from_the_hosts_is_found_out(said)


def test_a_receipt_over_more_than_its_keeper_has_is_found_out(said: Said) -> None:
    said.known()
    gateway, author = said.gateway, said.peer.author
    keepers = b"keeper 1", b"other, 2"
    gateway.peer.ledger.note_keeper(keepers[0], 1)
    gateway.mesher._mesh.names.learn(keepers[1], 0)

    def hear(keeper: bytes, number: int, address: str) -> None:
        body = tells.encode_receipt(keeper[:4], 1, author[:3], number, bytes(8))
        said.hear(advertise(make(frames.RECEIPT, MESH, body, KEY)), address)

    def receipted(keeper: bytes, number: int) -> None:
        assert gateway.peer.ledger.take(Receipt(keeper, 1, author, number))

    hear(keepers[0], 1 << 30, ATTACKER)
    # Two keepers need not be as far: what one is said to have is compared with what that one says.
    hear(keepers[1], 100, BOARD)
    # A keeper that nobody knows says nothing later either.
    hear(b"nobody 3", 1 << 30, BOARD)
    now = gateway.clock.now()
    judge = gateway.mesher._watcher.judge
    receipted(keepers[0], 60)
    judge(now + limits.SUSPECTS_RECEIPT_MS - 1000)
    assert not said.counts, "another gateway may have heard it a moment sooner"
    judge(now + limits.SUSPECTS_RECEIPT_MS + 1000)
    assert said.counts == {(RECEIPT, ATTACKER): 1}
    receipted(keepers[1], 100)
    judge(now + 2 * limits.SUSPECTS_RECEIPT_MS)
    assert said.counts == {(RECEIPT, ATTACKER): 1} and not gateway.mesher._watcher._receipts


def test_visits_are_offences_or_weak_radios() -> None:
    """A gateway and a board name for the same codes, and nobody for what the other side had to refuse."""
    suspects, board = Suspects(), SimpleNamespace(suspects=None)
    innocent = ("LINK_LOST", "RADIO_CONNECT", "HANDSHAKE_TIMEOUT", "HANDSHAKE_BUSY", "HANDSHAKE_REFUSED")
    for code in ("HANDSHAKE_MAC", "SESSION_PLAIN", *innocent, "CREDENTIAL_UNKNOWN", "CREDENTIAL_REVOKED"):
        suspects.note_visit(code, ATTACKER)
        accuse.note(board, code, b"addr")
    named = ("HANDSHAKE_MAC", "SESSION_PLAIN", "CREDENTIAL_REVOKED")
    assert dict(suspects.counts) == {(code, ATTACKER): 1 for code in named}
    assert board.suspects == {(code, b"addr"): 1 for code in named}


def test_addresses_without_end_are_one_number() -> None:
    suspects = Suspects()
    for at in range(5000):
        suspects.note(TAG, f"D0:00:00:00:{at >> 8:02X}:{at & 255:02X}")
        suspects.note("HANDSHAKE_MAC", f"D0:00:00:00:{at >> 8:02X}:{at & 255:02X}")
    assert len(suspects.counts) == 2 * limits.SUSPECTS_CODE + 2
    assert suspects.counts[TAG, ""] == 5000 - limits.SUSPECTS_CODE
    assert suspects.counts.total() == 10_000


def test_news_is_told_soon_and_then_ever_more_seldom() -> None:
    suspects, told = Suspects(), []
    for now in range(0, 4 * 3_600_000, 1000):
        suspects.note(TAG, ATTACKER)
        if suspects.due(now):
            told.append(now)
            (row,) = suspects.tell(now)
            assert row == [TAG, ATTACKER, now // 1000 + 1]
    assert told[0] == limits.SUSPECTS_FIRST_MS and len(told) < 20
    assert told[-1] - told[-2] >= limits.SUSPECTS_PAUSE_MS
    last = 5 * 3_600_000
    assert suspects.due(last) and suspects.tell(last)
    quiet = last + 2 * limits.SUSPECTS_PAUSE_MS
    assert not suspects.due(quiet)
    suspects.note(TAG, ATTACKER)
    assert not suspects.due(quiet) and suspects.due(quiet + limits.SUSPECTS_FIRST_MS)


def test_who_is_new_is_told_soon_however_often_others_were() -> None:
    suspects = Suspects()
    for now in range(0, 600_000, 1000):
        suspects.note(TAG, BOARD)
        if suspects.due(now):
            suspects.tell(now)
    suspects.note(REPLAYED, ATTACKER)
    first = limits.SUSPECTS_FIRST_MS
    assert not suspects.due(600_000) and not suspects.due(600_000 + first - 1)
    assert suspects.due(600_000 + first) and [REPLAYED, ATTACKER, 1] in suspects.tell(600_000 + first)
    suspects.note(REPLAYED, ATTACKER)
    assert not suspects.due(610_000) and not suspects.due(610_000 + first)


def test_the_health_document_has_them_out_of_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SUSPECTS_FIRST_MS", 0)
    monkeypatch.setattr(limits, "HEALTH_LOOK_S", 0.01)

    async def main() -> None:
        gateway = Gateway(config(tmp_path, radio="off"))
        task = asyncio.create_task(gateway.run())
        await asyncio.sleep(0.05)
        assert not documents(gateway), "an hour is not over"
        gateway.suspects.note(TAG, ATTACKER)
        await until(lambda: documents(gateway), "a health document")
        assert documents(gateway)[0]["suspects"] == [[TAG, ATTACKER, 1]]
        assert gateway.report()["suspects"] == [[TAG, ATTACKER, 1]]
        gateway.stop()
        await task

    run(main())
