"""Any bytes at all: a session and an exchange answer with a code, and nothing of their peer changes."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from sync_kit import board, gateway, record

from hedgerow.codec import cbor
from hedgerow.codes import CODES
from hedgerow.custody.receipt import Receipt
from hedgerow.errors import HedgerowError
from hedgerow.peer import Peer
from hedgerow.sync import frames
from hedgerow.sync.exchange import Exchange

LEAF = board("leaf")
record(LEAF, 5)
GREETING = Exchange(LEAF, 6000).outgoing(1200, 6000)


def _said_by_leaf() -> list[bytes]:
    """Return the records of a whole upload, as the gateway receives them."""
    records = [GREETING]
    one, two = Exchange(gateway(), 6000, central=True), Exchange(LEAF, 6000)
    for _ in range(4):
        two.receive(one.outgoing(1200, 6000), 6000)
        records.append(two.outgoing(1200, 6000))
        one.receive(records[-1], 6000)
    return [record for record in records[1:] if record]


UPLOAD = _said_by_leaf()


def _state(peer: Peer) -> tuple[Any, ...]:
    log = peer.log
    entries = [(author, log.read(author, 0, 0, 1 << 30)) for author in log.authors()]
    return (
        entries,
        sorted(peer.schemas),
        [log.items(kind) for kind in (1, 2, 3, 4)],
        peer.distance(6000),
        peer.utc(6000),
    )


def _fresh() -> tuple[Peer, Exchange, tuple[Any, ...]]:
    middle = gateway()
    return middle, Exchange(middle, 6000, central=True), _state(middle)


def _ended_well_coded(exchange: Exchange) -> None:
    assert exchange.error is not None and exchange.error.code in CODES
    farewell = exchange.outgoing(1200, 6000)
    if farewell:
        assert frames.read_frames(farewell[5:-8])[-1] == (frames.ERROR, exchange.error.code.encode())
    assert exchange.finished


@given(st.binary(min_size=2, max_size=3000), st.booleans())
@settings(max_examples=300, deadline=None)
def test_any_bytes(data: bytes, greeted: bool) -> None:
    middle, exchange, _ = _fresh()
    if greeted:
        exchange.receive(GREETING, 6000)
    before = _state(middle)
    exchange.receive(data, 6000)
    assert _state(middle) == before
    if exchange.error is not None:
        _ended_well_coded(exchange)
    else:
        # The bytes are the beginning of a record; what follows it shows that they are not one.
        exchange.receive(bytes(1200), 6000)
        _ended_well_coded(exchange)
        assert _state(middle) == before


@given(st.integers(0, len(UPLOAD) - 1), st.data())
@settings(max_examples=300, deadline=None)
def test_flipped_bits_of_a_real_upload(at: int, data: st.DataObject) -> None:
    middle, exchange, _ = _fresh()
    for whole in UPLOAD[:at]:
        exchange.receive(whole, 6000)
    before = _state(middle)
    changed = bytearray(UPLOAD[at])
    for bit in data.draw(st.sets(st.integers(16, len(changed) * 8 - 1), min_size=1, max_size=4)):
        changed[bit >> 3] ^= 1 << (bit & 7)
    exchange.receive(bytes(changed), 6000)
    assert _state(middle) == before
    _ended_well_coded(exchange)


@given(st.lists(st.tuples(st.integers(1, 15), st.binary(max_size=60)), min_size=1, max_size=4))
@settings(max_examples=300, deadline=None)
def test_frames_of_anything(parts: list[tuple[int, bytes]]) -> None:
    """Records that are whole, with frames that are not: a frame is taken as a whole or ends the session."""
    middle, exchange, _ = _fresh()
    exchange.receive(GREETING, 6000)
    payload = bytearray()
    for kind, body in parts:
        frames.write_frame(payload, kind, body)
    exchange.receive(frames.seal_record(1, bytes(payload)), 6000)
    if exchange.error is not None:
        assert exchange.error.code in CODES or any(kind == frames.ERROR for kind, _ in parts)
    for author in middle.log.authors():
        assert author == middle.author or middle.log.held(author) == 0
    assert middle.receipted(LEAF.author) == 0


ITEMS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.binary(max_size=70)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=8),
    max_leaves=10,
)


@given(st.lists(ITEMS, max_size=8))
@settings(max_examples=300, deadline=None)
def test_receipts_of_anything(parts: list[Any]) -> None:
    data = cbor.encode([1, *parts])
    try:
        assert Receipt.decode(data).encode() == data
    except HedgerowError as error:
        assert error.code == "RECEIPT_INVALID"
