"""Sessions and exchanges as targets of fuzzing: a script of records goes in, each is followed by checks.

A script is bytes: a step is one byte of kind, two of length, and so many bytes. Kind 255 gives the bytes to
the link as they are; any other kind is the type of a frame, which comes in a whole and valid record of its
own, so that what is wrong is within. The first record is a valid hello unless the script's first byte is odd.
"""

import functools

from sync_kit import board, keeper, record

from hedgerow.codes import CODES
from hedgerow.errors import HedgerowError
from hedgerow.log import ENTRY_OP, ENTRY_SEAL, MemoryStore
from hedgerow.operation import decode_body
from hedgerow.sync import frames, hello
from hedgerow.sync.exchange import Exchange
from hedgerow.sync.session import Session

NOW = 6000
RAW = 255
_LEAF = b"leaf-001"
_MIDDLE = b"middle-1"
_KEEPER = b"keeper-1"
_STEPS = 24


def step(kind: int, body: bytes) -> bytes:
    """One step of a script."""
    return bytes((kind, len(body) >> 8, len(body) & 255)) + body


def steps(script: bytes) -> list[tuple[int, bytes]]:
    """The steps of a script; a length beyond its end is cut."""
    found = []
    at = 1
    while at + 3 <= len(script) and len(found) < _STEPS:
        size = script[at + 1] << 8 | script[at + 2]
        found.append((script[at], bytes(script[at + 3 : at + 3 + size])))
        at += 3 + size
    return found


@functools.cache
def _upload() -> tuple[list[bytes], list[bytes]]:
    """The records that a leaf and a keeper send each other in one exchange."""
    leaf = board("leaf", MemoryStore(_LEAF))
    record(leaf, 40)
    ends = Exchange(keeper(MemoryStore(_KEEPER)), NOW, central=True), Exchange(leaf, NOW)
    said: tuple[list[bytes], list[bytes]] = ([], [])
    for _ in range(12):
        for at in (0, 1):
            data = ends[at].outgoing(1200, NOW)
            if data:
                said[at].append(data)
                ends[1 - at].receive(data, NOW)
    return said


def session_seeds() -> list[bytes]:
    """Whole records."""
    keeper_said, leaf_said = _upload()
    return leaf_said[:3] + keeper_said[:3]


@functools.cache
def _greeting() -> bytes:
    return hello.Hello(bytes(3), _LEAF, role=hello.LEAF, vector=[(_LEAF, 41, 32, 0)], name="leaf").encode()


def exchange_seeds() -> list[bytes]:
    """Scripts of both sides, frame by frame and as they were on the link."""
    seeds = []
    for said in _upload():
        script = bytearray(b"\x01")
        for data in said:
            for kind, body in frames.read_frames(data[5:-8]):
                script += step(kind, body)
        seeds.append(bytes(script))
        seeds.append(b"\x01" + b"".join(step(RAW, data) for data in said))
    seeds.append(b"\x00" + step(frames.HAVE, b"author-2\x05\x01\x02"))
    return seeds


def _records(script: bytes) -> list[bytes]:
    """The bytes for the link, one item for each step."""
    greeted = not script or not script[0] & 1
    parts = ([(frames.HELLO, _greeting())] if greeted else []) + steps(script)
    records = []
    for kind, body in parts:
        if kind == RAW:
            records.append(body)
            continue
        payload = bytearray()
        frames.write_frame(payload, kind, body[:1170])
        records.append(frames.seal_record(len(records), bytes(payload)))
    return records


def run_session(script: bytes) -> None:
    """A session refuses with a code, has no events of what it refused, and stays ended once it has ended."""
    session = Session(hello.Hello(bytes(3), _MIDDLE), NOW)
    for data in _records(script):
        over = session.ending or session.closed
        events = session.receive(data, NOW)
        assert not (over and events)
        if session.error is not None and session.ending:
            assert session.error.code in CODES
        if not over:
            session.grant()
    _say_all(session.outgoing)
    if session.ending:
        assert session.closed


def _say_all(outgoing: object) -> None:
    for _ in range(200):
        if not outgoing(1200, NOW):  # type: ignore[operator]
            return
    raise AssertionError("it never stops talking")


def run_exchange(script: bytes) -> None:
    """What an exchange refuses changes nothing; what it takes joins what was held."""
    store = MemoryStore(_MIDDLE)
    peer = board("middle", store)
    record(peer, 3)
    exchange = Exchange(peer, NOW, central=True)
    for data in _records(script):
        entries, state = list(store.entries), dict(store.state)
        refused = _refused_by_session(exchange, data)
        if refused:
            assert (store.entries, store.state) == (entries, state), "a refused record changed the log"
        assert store.entries[: len(entries)] == entries, "what was committed changed"
        _check_entries(store)
        if exchange.error is not None and exchange.session.ending:
            assert exchange.error.code in CODES
    _say_all(exchange.outgoing)
    _check_entries(store)
    assert peer.log.held(_MIDDLE) >= 4


def _refused_by_session(exchange: Exchange, data: bytes) -> bool:
    """Give bytes to an exchange; say whether its session, not its peer, refused them."""
    session = exchange.session
    receive = session.receive
    refused = []

    def watched(part: bytes, now: int) -> list:
        events: list = receive(part, now)
        refused.append(session.ending and not events)
        return events

    session.receive = watched  # type: ignore[method-assign]
    try:
        exchange.receive(data, NOW)
    except HedgerowError as error:
        raise AssertionError("an exchange does not raise") from error
    finally:
        session.receive = receive  # type: ignore[method-assign]
    return refused[0]


def _check_entries(store: MemoryStore) -> None:
    """Of each author: numbers without a gap, operations that can be read, seals over what is held."""
    held: dict[bytes, int] = {}
    for kind, author, first, last, body in store.entries:
        number = held.get(author, 0)
        if kind == ENTRY_SEAL:
            assert last <= number
            continue
        assert first == number + 1
        held[author] = last
        if kind == ENTRY_OP:
            decode_body(body)
