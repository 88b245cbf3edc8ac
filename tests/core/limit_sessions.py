"""Checks of sessions and interests: to the limit and one over it (test_limits.py)."""

from types import SimpleNamespace

from kit import raises
from limit_formats import AUTHOR, greet, raw_interest
from limit_kit import frame, met, named, passes_over, refuses, said
from sync_kit import board, gateway

from hedgerow import limits
from hedgerow.application import ReadyPeer
from hedgerow.custody.skip import LOST, Skip
from hedgerow.log import MemoryLog
from hedgerow.sync import frames, hello
from hedgerow.sync.giver import Giver
from hedgerow.sync.interest import Interest, read_interests
from hedgerow.sync.session import Session

# ---- sessions


def exact(size: int) -> bytes:
    """A whole record of that many bytes, of empty time requests and one code."""
    empty = len(frame(0, (frames.SEAL, bytes(200))))
    return frame(0, (frames.SEAL, bytes(200 + size - empty)))


def records(code: str) -> None:
    for size in (limits.MAX_RECORD, limits.MAX_RECORD + 1):
        session = Session(greet(), 0)
        session.receive(exact(size)[:2], 0)
        assert len(exact(size)) == size
        assert (session.error.code if session.error else None) == (code if size > limits.MAX_RECORD else None)
    exchange = met(max_record=0xFFFF)
    exchange.session.queue(frames.SEAL, bytes(3000))
    exchange.session.queue(frames.DRAINED, bytes(2000))
    lengths = []
    while data := exchange.session.outgoing(9000, 0):
        lengths.append(len(data))
    assert max(lengths) == limits.MAX_RECORD


def first_record() -> None:
    greeting = greet(vector=[(author, 1, 1, 0) for author in named(64)])
    assert len(greeting.encode()) > limits.FIRST_RECORD
    assert len(Session(greeting, 0).outgoing(9000, 0)) == limits.FIRST_RECORD


def frame_size(code: str) -> None:
    for size in (limits.MAX_FRAME, limits.MAX_FRAME + 1):
        session = Session(hello.Hello(b"msh", b"author-b"), 0)
        session.receive(frame(0, (frames.HELLO, greet().encode())), 0)
        events = []
        for at in range(0, size, 1000):
            last = at + 1000 >= size
            kind = frames.SCHEMA | (0 if last else frames.CONTINUED)
            events += session.receive(frame(at // 1000 + 1, (kind, bytes(min(1000, size - at)))), 0)
        assert len(events) == (size == limits.MAX_FRAME)
        assert (session.error.code if session.error else None) == (code if size > limits.MAX_FRAME else None)


def free_frames(code: str) -> None:
    peer = gateway()
    peer.insert("c", {}, 5)
    exchange = met(peer)
    said(exchange)
    name = b"".join(peer.schemas)
    for at in range(limits.MAX_FREE_FRAMES):
        exchange.receive(frame(at + 1, (frames.TIME_ASK, b""), (frames.WANT_SCHEMA, name)), 0)
    assert exchange.error is None
    waiting = len(peer.schemas) * frames.frame_size(len(next(iter(peer.schemas.values())).encoded))
    assert exchange.session.waiting() == waiting, "a schema waits once"
    exchange.receive(frame(limits.MAX_FREE_FRAMES + 1, (frames.TIME_ASK, b"")), 0)
    assert exchange.error is not None and exchange.error.code == code


def code_length(frame_: str, skip: str) -> None:
    for size in (limits.MAX_CODE, limits.MAX_CODE + 1):
        session = Session(hello.Hello(b"msh", b"author-b"), 0)
        session.receive(frame(0, (frames.ERROR, b"A" * size)), 0)
        assert session.error is not None
        assert session.error.code == ("A" * size if size == limits.MAX_CODE else frame_)
    assert Skip.decode(Skip(1, 1, LOST, ["x" * limits.MAX_CODE, b"123456"]).encode())
    raises(skip, Skip.decode, Skip(1, 1, LOST, ["x" * (limits.MAX_CODE + 1), b"123456"]).encode())


def hello_timeout(code: str) -> None:
    session = Session(greet(), 0)
    session.outgoing(1200, 0)
    session.outgoing(1200, limits.HELLO_TIMEOUT_MS - 1)
    assert session.error is None and session.next_wakeup(0) == limits.HELLO_TIMEOUT_MS
    session.outgoing(1200, limits.HELLO_TIMEOUT_MS)
    assert session.error is not None and session.error.code == code


def idle_timeout(code: str) -> None:
    session = met().session
    session.outgoing(1200, limits.IDLE_TIMEOUT_MS - 1)
    assert session.next_wakeup(0) == limits.IDLE_TIMEOUT_MS
    assert session.error is None
    session.outgoing(1200, limits.IDLE_TIMEOUT_MS)
    assert session.error is not None and session.error.code == code


def keepalive() -> None:
    session = met().session
    assert session.outgoing(1200, 0)
    assert session.next_wakeup(0) == limits.KEEPALIVE_MS
    assert session.outgoing(1200, limits.KEEPALIVE_MS - 1) == b""
    assert len(session.outgoing(1200, limits.KEEPALIVE_MS)) == frames.RECORD_OVERHEAD


def exchange_time() -> None:
    for moment, over in ((limits.MAX_EXCHANGE_MS - 1, False), (limits.MAX_EXCHANGE_MS, True)):
        exchange = met(central=True)
        exchange.session._heard = moment
        said(exchange, moment)
        assert exchange.finished == over and exchange.error is None


def ask_again() -> None:
    exchange = met(flags=hello.HAS_TIME)
    assert frames.TIME_ASK in said(exchange)
    exchange.receive(frame(1, (frames.TIME, b"")), 100)
    assert frames.TIME_ASK not in said(exchange, 99 + limits.ASK_AGAIN_MS)
    assert frames.TIME_ASK in said(exchange, 100 + limits.ASK_AGAIN_MS)


# ---- the way down


def adopted() -> None:
    """An own interest and those of neighbours: no more than fit."""
    peer = gateway()
    subscriptions = peer.down.subscriptions
    subscriptions.subscribe(Interest("own"))
    for at in range(limits.MAX_INTERESTS - 1):
        subscriptions.adopt(Interest("c%d" % at, hops=1), 0)
    before = [interest.key for interest in subscriptions.active(0)]
    passes_over(peer, subscriptions.adopt, Interest("more", hops=1), 0)
    assert len(before) == limits.MAX_INTERESTS
    assert [interest.key for interest in subscriptions.active(0)] == before


def hops(read: str, subscribe: str) -> None:
    most = limits.MAX_INTEREST_HOPS
    assert read_interests(raw_interest(hops=most))[0].hops == most
    raises(read, read_interests, raw_interest(hops=most + 1))
    peer = ReadyPeer(MemoryLog(), lambda: 5)
    peer.subscribe("SELECT * FROM c", most)
    refuses(peer, subscribe, peer.subscribe, "SELECT * FROM d", most + 1)


def subscription_hops() -> None:
    peer = ReadyPeer(MemoryLog(), lambda: 5)
    peer.subscribe("SELECT * FROM c")
    reached = 0
    while wanted := peer.down.subscriptions.active(0):
        peer = ReadyPeer(MemoryLog(), lambda: 5)
        peer.note_interests(wanted, 0)
        reached += 1
    assert reached - 1 == limits.SUBSCRIPTION_HOPS


def wanted() -> None:
    down = gateway().down
    for at in range(1, limits.MAX_WANTS + 2):
        down.want(AUTHOR, at, at)
    assert down.holes() == [(AUTHOR, at, at) for at in range(2, limits.MAX_WANTS + 2)]
    giver = Giver(SimpleNamespace(peer=gateway()))
    giver.want(down.holes())
    giver.want([(AUTHOR, 99, 99)])
    assert giver._wants == down.holes()


def lost_ranges() -> None:
    """What is lost is asked for in ranges, the last ones of a range as long as numbers go."""
    peer = gateway()
    peer.log.append(
        2, AUTHOR, 1, limits.MAX_NUMBER, Skip(1, limits.MAX_NUMBER, LOST, [0, b"123456"]).encode()
    )
    peer.down.want_lost([(AUTHOR, limits.MAX_NUMBER)])
    ranges = peer.down.wanted
    assert len(ranges) == limits.MAX_WANTS and ranges[-1][2] == limits.MAX_NUMBER
    most = limits.MAX_WANT_NUMBERS
    assert [first % most for _, first, _ in ranges] == [1] * limits.MAX_WANTS, "in ranges from the first on"
    assert [last - first for _, first, last in ranges[:-1]] == [most - 1] * (limits.MAX_WANTS - 1)


def interest_expiry() -> None:
    subscriptions = gateway().down.subscriptions
    subscriptions.adopt(Interest("c", hops=1), 7)
    assert len(subscriptions.active(6 + limits.INTEREST_EXPIRY_MS)) == 1
    assert not subscriptions.active(7 + limits.INTEREST_EXPIRY_MS)


def mark_every() -> None:
    peer = gateway()
    exchange = met(peer)
    said(exchange)
    exchange.session.queue = sent = Sent()  # type: ignore[assignment, method-assign]
    giver = Giver(exchange)
    giver.ask([Interest("c")])
    giver.fill(1200)
    giver.mark(0, True, False)
    peer.insert("other", {}, 5)
    giver.fill(1200)
    giver.mark(limits.MARK_EVERY_MS - 1, True, False)
    assert sent.kinds == [frames.MARK]
    giver.mark(limits.MARK_EVERY_MS, True, False)
    assert sent.kinds == [frames.MARK, frames.MARK]


class Sent:
    """Takes the place of a session's queue."""

    def __init__(self) -> None:
        self.kinds: list[int] = []

    def __call__(self, kind: int, body: bytes = b"") -> None:
        self.kinds.append(kind)


# ---- distances and floods


def distance_expiry() -> None:
    peer = board()
    peer.note_distance(1, 7)
    peer.note_distance(2, 6 + limits.DISTANCE_EXPIRY_MS)
    assert peer.distance(0) == 2
    peer.note_distance(2, 7 + limits.DISTANCE_EXPIRY_MS)
    assert peer.distance(0) == 3


def kept_changes() -> None:
    """Of so many changes is known whose they were; of more any may have changed."""
    for count, known in ((limits.KEPT_CHANGES, True), (limits.KEPT_CHANGES + 1, False)):
        peer = board()
        before = peer.changed
        for at in range(count):
            peer.touch(bytes((at, 0, 0, 0, 0, 0, 0, 1)))
        found = peer.changes_since(before)
        assert (found is not None) == known
        assert found is None or len(set(found)) == count


def flood(counts: dict[int, bool]) -> None:
    peer = board()
    peer.vector = lambda: [(author, 2, 0, 1) for author in named(open_count)]  # type: ignore[method-assign]
    for open_count, floods in counts.items():
        assert peer.floods() == floods, open_count


def flood_authors() -> None:
    flood({limits.FLOOD_AUTHORS: True, limits.FLOOD_AUTHORS + 1: False})


def flood_again() -> None:
    flood({200: False, limits.FLOOD_AGAIN_AUTHORS + 1: False, limits.FLOOD_AGAIN_AUTHORS: True})
