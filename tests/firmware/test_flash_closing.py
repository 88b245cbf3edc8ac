"""A board whose flash has lost readings closes its author; the keeper gets all that survives (SPEC 5.10)."""

import random
import sys
from pathlib import Path

import pytest

from hedgerow import closing
from hedgerow.codec.schema import STREAM
from hedgerow.custody.receipt import Receipt
from hedgerow.errors import HedgerowError
from hedgerow.limits import CLOSING_DELAY_MS
from hedgerow.log import ENTRY_OP, STATE_CONFIG, MemoryStore
from hedgerow.peer import Peer
from hedgerow.sync.exchange import Exchange
from hedgerow.trust.lost import losses
from hedgerow_device import flashframes as frames
from hedgerow_device.counting import Counting
from hedgerow_device.flashlog import FlashLog
from hedgerow_device.flashring import HEADER
from hedgerow_sim.nor import Nor

sys.path.append(str(Path(__file__).parents[1] / "core" / "portable"))

from sync_kit import Pipe, keeper

SIZE = 1024


def _board(nor: Nor, now: int = 0) -> Peer:
    return Peer(FlashLog(nor), now, name="board", kinds={"readings": STREAM})


def _record(peer: Peer, readings: Counting, count: int, now: int) -> int:
    for _ in range(count):
        n = readings.count + 1
        peer.insert("readings", {"n": n, "t": 20 + n % 7, "text": "x" * (n % 19)}, now)
        now += 250
    return now


def _sync(one: Peer, two: Peer, now: int) -> int:
    pipe = Pipe(Exchange(one, now, central=True), Exchange(two, now), now).run()
    for end in pipe.ends:
        assert end.error is None and not end.refused, (end.error, end.refused)
    return pipe.now


def _held(peer: Peer, author: bytes) -> dict:
    found = {n: peer.log.fetch(author, n) for n in range(1, peer.log.held(author) + 1)}
    return {n: body for n, body in found.items() if body is not None}


def _n_of(peer: Peer, author: bytes) -> list:
    counting = Counting.__new__(Counting)
    counting._peer, counting._collection = peer, "readings"
    found = [counting._n_of(author, number, body) for number, body in _held(peer, author).items()]
    return [n for n in found if n]


def _frames(nor: Nor) -> list:
    log = FlashLog(Nor(nor.count, nor.size, bytearray(nor.cells)))
    found = []
    for seq in range(log.ring.tail, log.ring.seq + 1):
        reader = frames.Reader(log.ring, seq, HEADER)
        base = seq % nor.count * nor.size
        while reader.next():
            found.append((base + reader.start, base + reader.end, reader.type, reader.author, reader.last))
    return found


def _part_way(readings: int = 80) -> tuple:
    """Return (the cells of a board, its author, what it wrote, a keeper that has about half, the time)."""
    nor = Nor(16, SIZE)
    board, top = _board(nor), keeper()
    now = _record(board, Counting(board, "readings"), readings, 1000)
    truth = _held(board, board.author)
    for schema in board.schemas.values():
        top.ingest_schema(schema.encoded)
    top.ingest(board.author, 1, [truth[number] for number in range(1, readings // 2 + 1)])
    top.commit()
    return nor, board.author, truth, top, now


def _meet(nor: Nor, author: bytes, top: Peer, now: int) -> Peer:
    """Let the board boot, record, and meet the keeper until there is nothing to bring."""
    board = _board(nor, now)
    readings = Counting(board, "readings")
    now = _record(board, readings, 3, now)
    for _ in range(3):
        now = _sync(board, top, now + CLOSING_DELAY_MS)
    for own in {author, board.author}:
        assert top.log.held(own) == board.log.held(own) == board.receipted(own), "all is receipted"
    assert board.summary()[0] == 0
    return board


def _check(board: Peer, author: bytes, truth: dict, before: dict, lost: set, top: Peer) -> None:
    """Every surviving operation is at the keeper, and what is not there is named as damaged."""
    there = _held(top, author)
    for number, body in truth.items():
        if number in before or number not in lost:
            assert there.get(number) == body, number
        elif number not in there:
            named = [row for row in losses(top.log, author) if row["first"] <= number <= row["last"]]
            assert named and named[0]["reason"] == "damaged" and named[0]["time"], number
        else:
            assert there[number] == body
    if board.author == author:
        assert set(truth) <= set(there)
    else:
        assert author in board.former and board.former[author] >= max(truth)
        assert 1 in _held(top, board.author)
    counted = _n_of(top, author) + ([] if board.author == author else _n_of(top, board.author))
    assert len(counted) == len(set(counted)), "no n comes twice"


@pytest.mark.parametrize("seed", range(24))
def test_damage_anywhere_costs_what_is_damaged_and_nothing_else(seed: int) -> None:
    generator = random.Random(seed)
    nor, author, truth, top, now = _part_way()
    known = _frames(nor)
    before = _held(top, author)
    # The last frame cannot be told from a torn program.
    hit = generator.sample(known[:-1], generator.choice((1, 1, 2, 4)))
    for start, end, *_ in hit:
        nor.cells[generator.randrange(start, end)] ^= 1 << generator.randrange(8)
    # A frame alone between two damaged ones cannot be believed.
    alone = [b for a, b, c in zip(known, known[1:], known[2:], strict=False) if a in hit and c in hit]
    lost = {number for _, _, kind, who, number in hit + alone if kind == ENTRY_OP and who == author}
    board = _meet(nor, author, top, now)
    _check(board, author, truth, before, lost, top)
    assert (board.author == author) or lost or hit


def test_a_sector_that_is_gone() -> None:
    nor, author, truth, top, now = _part_way()
    before = _held(top, author)
    seq = 2
    lost = {n for at, _, kind, _, n in _frames(nor) if at // SIZE == seq and kind == ENTRY_OP}
    assert lost & set(before) and lost - set(before), "of that sector the keeper has a part"
    nor.cells[seq * SIZE : (seq + 1) * SIZE] = random.Random(1).randbytes(SIZE)
    board = _meet(nor, author, top, now)
    _check(board, author, truth, before, lost, top)
    assert board.author != author and board.log.damaged
    again = _board(nor, now + 999999)
    assert again.author == board.author and again.former == board.former, "one loss closes one author"


def test_a_receipted_loss_closes_nothing() -> None:
    nor = Nor(16, SIZE)
    board, top = _board(nor), keeper()
    readings = Counting(board, "readings")
    now = _record(board, readings, 40, 1000)
    now = _sync(board, top, now)
    now = _record(board, readings, 20, now)
    early = [entry for entry in _frames(nor) if entry[2] == ENTRY_OP][10]
    nor.cells[early[0] + 6] ^= 4
    again = _meet(nor, board.author, top, now)
    assert again.author == board.author and again.log.damaged == 1


def test_a_loss_that_is_met_while_the_board_runs() -> None:
    nor, author, truth, top, now = _part_way()
    board = _board(nor, now)
    middle = [entry for entry in _frames(nor) if entry[2] == ENTRY_OP][60]
    nor.cells[middle[0] + 5] ^= 64
    assert board.log.fetch(author, middle[4]) is None or True
    board.log.hint(author, middle[4], 0)
    board.log.read(author, 0, 0, 1 << 20)
    assert board.log.damaged == 1
    closing.repair(board)
    assert board.former == {author: board.log.held(author)} and board.author != author
    now = _record(board, Counting(board, "readings"), 2, now)
    before = _held(top, author)
    for _ in range(3):
        now = _sync(board, top, now + CLOSING_DELAY_MS)
    truth.update({n: body for n, body in _held(board, author).items() if n not in truth})
    _check(board, author, truth, before, {middle[4]}, top)


def test_others_operations_come_again() -> None:
    nor, top = Nor(16, SIZE), keeper()
    relay, leaf = _board(nor), Peer(*_memory())
    now = _record(leaf, Counting(leaf, "readings"), 40, 1000)
    now = _sync(leaf, relay, now)
    assert relay.log.held(leaf.author) == leaf.log.held(leaf.author)
    theirs = [entry for entry in _frames(nor) if entry[2:4] == (ENTRY_OP, leaf.author)][20]
    nor.cells[theirs[0] + 4] ^= 2
    relay = _board(nor, now)
    relay.log.read(leaf.author, 0, 0, 1 << 20)
    closing.repair(relay)
    assert relay.log.held(leaf.author) == theirs[4] - 1 and not relay.former
    now = _sync(leaf, relay, now)
    now = _sync(relay, top, now)
    assert _held(top, leaf.author) == _held(leaf, leaf.author)


def _memory() -> tuple:
    from hedgerow.log import MemoryLog

    return MemoryLog(MemoryStore()), 0


def test_no_boot_has_the_number_of_another() -> None:
    nor = Nor(16, SIZE)
    epochs = [_board(nor, now).epoch for now in range(9)]
    assert epochs == list(range(1, 10))
    value = [entry for entry in _frames(nor) if entry[2] == frames.STATE][-1]
    nor.cells[value[0] + 9] ^= 1
    assert _board(nor, 99).epoch > 9


def test_a_hundred_kills_mint_no_author() -> None:
    nor = Nor(16, SIZE)
    author = _board(nor).author
    for boot in range(100):
        board = _board(nor, boot)
        assert board.author == author and not board.former and not board.log.damaged
        number = board.insert("readings", {"n": boot}, boot)
        receipt = Receipt(b"keeper-1", 1, author, number)
        board.ingest_receipt(receipt)


class _Counted(Peer):
    """As a board's peer does: what is counted is durable before the receipt is."""

    before_receipt: object = None

    def ingest_receipt(self, receipt: Receipt) -> bool:
        if self.before_receipt and self.is_own(receipt.author):
            if self.receipted(receipt.author) < receipt.number:
                self.before_receipt()
        return super().ingest_receipt(receipt)


@pytest.mark.parametrize("late", [False, True])
def test_no_n_comes_twice_in_a_full_log(late: bool) -> None:
    """Readings until the log is full, a receipt for all, and again; `late`: nobody counts when it comes."""
    nor = Nor(16, SIZE)
    written: list = []
    for boot in range(12):
        peer = _Counted(FlashLog(nor), boot, kinds={"readings": STREAM})
        peer.log.spare = 7
        readings = None if late else Counting(peer, "readings")
        number = peer.log.held(peer.author)
        peer.seal(boot)
        assert peer.ingest_receipt(Receipt(b"keeper-1", 1, peer.author, number)) or number < 2
        readings = readings or Counting(peer, "readings")
        try:
            while len(written) < 3000:
                n = readings.count + 1
                peer.insert("readings", {"n": n, "text": "x" * (n % 60)}, boot)
                written.append(n)
        except HedgerowError as error:
            assert error.code == "LOG_FULL"
    assert len(written) > 300
    assert written == list(range(1, len(written) + 1))


def test_the_closed_note_is_a_value_of_the_log() -> None:
    nor, author, _, _, now = _part_way()
    middle = [entry for entry in _frames(nor) if entry[2] == ENTRY_OP][60]
    nor.cells[middle[0] + 5] ^= 64
    board = _board(nor, now)
    note = board.log.get(STATE_CONFIG, b"x" + author)
    assert note is not None and int.from_bytes(note[:4], "big") == board.former[author]
