"""Checks of what a peer remembers, of times and statements: to the limit and one over it (test_limits.py)."""

from types import SimpleNamespace
from typing import Any

from kit import raises
from limit_formats import AUTHOR, EMPTY, STAMP, of_hello
from limit_kit import BODY, content, frame, met, named, passes_over, refuses, said
from sync_kit import UTC, board, gateway, keeper, record

from hedgerow import limits
from hedgerow.application import ReadyPeer
from hedgerow.clock import hlc
from hedgerow.clock.timemap import TimeMap
from hedgerow.closing import close
from hedgerow.codec.schema import KEEP, Schema
from hedgerow.codec.segment import encode_segment
from hedgerow.custody import vectors
from hedgerow.custody.receipt import Receipt
from hedgerow.custody.stability import Stability
from hedgerow.index import RamIndex
from hedgerow.log import STATE_CONFIG, MemoryLog
from hedgerow.operation import DELETE, INSERT, SOURCE_BOOT, SOURCE_KEEPER, encode_body
from hedgerow.peer import Peer
from hedgerow.query.parse import parse
from hedgerow.statements import steps
from hedgerow.sync import frames, hello
from hedgerow.sync.interest import Interest
from hedgerow.trust.verify import doubt

# ---- what a peer remembers


def authors(vector: str, full: str) -> None:
    most = limits.MAX_AUTHORS
    entries = [(author, 1, 1, 0) for author in named(most + 1)]
    assert len(vectors.unpack(vectors.pack(entries[:-1]))) == most
    raises(vector, vectors.unpack, vectors.pack(entries))
    peer = gateway()
    log = peer.log
    for author in named(most - 1):
        peer.log.append(0, author, 1, 1, BODY)
    for author in named(2):
        peer.ingest_receipt(Receipt(b"keeper-1", 1, author, 1))
    assert len(peer.hello(0).vector) == most and not peer.hello(0).flags & hello.PARTIAL
    peer.log.append(0, AUTHOR, 1, 1, BODY)
    greeting = peer.hello(0)
    assert len(greeting.vector) == most - 1 and greeting.flags & hello.PARTIAL, (
        "of the receipted nothing is said"
    )
    for author in named(most + 5)[most:]:
        peer.log.append(0, author, 1, 1, BODY)
    assert len(peer.hello(0).vector) == most
    # Of authors that the log does not hold: who names keepers, and who has receipts.
    peer = gateway()
    log = peer.log
    own = len(log.authors())
    for author in named(most + own - 1):
        peer.note_keepers(author, [b"keeper-1"])
    refuses(peer, full, peer.note_keepers, b"one more", [b"keeper-1"])
    for author in named(most + own):
        assert peer.ingest_receipt(Receipt(b"keeper-1", 1, author, 5))
    passes_over(peer, peer.ingest_receipt, Receipt(b"keeper-1", 1, b"one more", 5))
    log.append(0, b"one more", 1, 1, BODY)
    peer.note_keepers(b"one more", [b"keeper-1"])
    assert peer.ingest_receipt(Receipt(b"keeper-1", 1, b"one more", 5)), "it is in the log now"
    _spoken_of(full)


def _spoken_of(full: str) -> None:
    """One session: authors refused, authors that wait for schemas, authors spoken of."""
    unknown = encode_segment(
        AUTHOR, 1, [encode_body(STAMP, [[INSERT, EMPTY.name, None, []]])], {EMPTY.name: EMPTY}
    )
    gap = encode_segment(AUTHOR, 7, [BODY], {})
    for segment in (unknown, gap):
        peer = gateway()
        if segment == gap:
            peer.ingest_schema(EMPTY.encoded)
        exchange = met(peer)
        most = limits.MAX_AUTHORS
        for at, author in enumerate(named(most + 1)):
            assert exchange.error is None
            before = content(peer)
            exchange.receive(frame(at + 1, (frames.SEGMENT, segment[:1] + author + segment[9:])), 0)
            said(exchange)
            assert content(peer) == before
        assert exchange.error is not None and exchange.error.code == full
    exchange = met(gateway(credit=1024))
    most = limits.MAX_AUTHORS + 1024 // 4 + 1
    for at in range(0, most, limits.MAX_AUTHORS):
        entries = [(author, 1, 1, 0) for author in named(most)[at : at + limits.MAX_AUTHORS]]
        exchange.receive(frame(at // limits.MAX_AUTHORS + 1, (frames.HAVE, vectors.pack(entries))), 0)
    assert exchange.error is None
    more = frame(most // limits.MAX_AUTHORS + 2, (frames.HAVE, vectors.pack([(AUTHOR, 1, 1, 0)])))
    exchange.receive(more, 0)
    assert exchange.error is not None and exchange.error.code == full


def schemas(full: str, hello_: str, frame_: str) -> None:
    peer = board()
    for at in range(limits.MAX_SCHEMAS):
        peer.insert("c%d" % at, {}, 5)
    refuses(peer, full, peer.insert, "one more", {}, 5)
    peer.insert("c0", {}, 5)
    of_hello({"schemas": [b"%04d" % at for at in range(limits.MAX_SCHEMAS)]}, {"schemas": [b"name"] * 65})(
        hello_
    )
    for count in (limits.MAX_SCHEMAS, limits.MAX_SCHEMAS + 1):
        exchange = met()
        exchange.receive(frame(1, (frames.WANT_SCHEMA, b"name" * count)), 0)
        assert (exchange.error.code if exchange.error else None) == (frame_ if count > 64 else None)


def learnt_schemas(code: str) -> None:
    peer = board()
    for at in range(limits.MAX_LEARNT_SCHEMAS):
        _bring(peer, at)
    refuses(peer, code, peer.ingest_schema, EMPTY.encoded)
    peer.insert("own", {}, 5)


def _bring(peer: Peer, at: int) -> None:
    """Take a schema and the next operation under it."""
    schema = Schema("c%d" % at, KEEP, ())
    peer.ingest_schema(schema.encoded)
    peer.ingest(AUTHOR, at + 1, [encode_body(STAMP, [[INSERT, schema.name, None, []]])])


def strange_schemas(code: str) -> None:
    peer = gateway()
    peer.members = SimpleNamespace(  # type: ignore[assignment]
        knows=lambda author: author != AUTHOR, vouches=lambda author: True
    )
    most = limits.MAX_STRANGE_SCHEMAS
    for at in range(most):
        _bring(peer, at)
    raises(code, _bring, peer, most)
    assert peer.log.held(AUTHOR) == most


def known_keepers(code: str) -> None:
    peer = gateway()
    for name in named(limits.MAX_KNOWN_KEEPERS):
        peer.note_keeper(name, 1)
    refuses(peer, code, peer.note_keeper, AUTHOR, 1)
    peer.note_keeper(named(1)[0], 2)
    passes_over(peer, peer.ingest_receipt, Receipt(AUTHOR, 1, peer.author, 1))
    assert not peer.receipted(peer.author)
    before = content(peer)
    exchange = met(peer, role=hello.KEEPER, distance=0)
    assert exchange.error is not None and exchange.error.code == code and content(peer) == before


def receipts() -> None:
    peer = gateway()
    peer.note_keepers(named(1)[0], [b"keeper-3"])
    for keeper_name in (b"keeper-1", b"keeper-2"):
        for author in named(limits.MAX_AUTHORS + 1)[: limits.MAX_AUTHORS // 2 + limits.MAX_RECEIPTS // 2]:
            assert peer.ingest_receipt(Receipt(keeper_name, 1, author, 5))
    assert peer.log.authors() == [peer.author]
    passes_over(peer, peer.ledger.take, Receipt(b"keeper-2", 1, b"one more", 5))
    assert not peer.ledger.receipted_by(b"one more", b"keeper-2")
    assert peer.ledger.take(Receipt(b"keeper-1", 1, named(1)[0], 6)), "a greater number takes no room"
    assert peer.ledger.take(Receipt(b"keeper-3", 1, named(1)[0], 6)), "its author requires it"


def takers() -> None:
    peer = keeper()
    stability: Stability = peer.down.stability
    for name in named(limits.MAX_TAKERS):
        stability.note(name, 7)
    passes_over(peer, stability.note, AUTHOR, 1)
    stability.note(named(1)[0], 8)
    assert len(stability.positions) == limits.MAX_TAKERS and stability.positions[named(1)[0]] == 8
    stability.retire(named(1)[0])
    stability.note(AUTHOR, 1)
    assert stability.positions[AUTHOR] == 1


def frontier_stands() -> None:
    """A keeper of more authors than a frontier has passes none."""
    for more in (0, 1):
        peer = keeper()
        peer.ingest_schema(EMPTY.encoded)
        for author in named(limits.MAX_FRONTIER - 1 + more):
            peer.log.append(0, author, 1, 1, BODY)
        moved = peer.down.advance(limits.STABLE_AGE_MS)
        assert moved == (not more) and (peer.down.frontier is None) == bool(more)


def marks() -> None:
    peer = gateway()
    interest = Interest("c")
    peer.down.subscriptions.subscribe(interest)
    most = limits.MAX_MARKS
    names = named(most + 1)
    subscriptions = peer.down.subscriptions
    for at, store in enumerate(names[:-1]):
        subscriptions.mark(store, 1, interest.key, at + 1)
    subscriptions.mark(names[0], 1, interest.key, 99)
    kept = len(peer.log.items(STATE_CONFIG))
    subscriptions.mark(names[-1], 1, interest.key, 5)
    peer.commit()
    for again in (subscriptions, gateway(peer.log.store).down.subscriptions):
        positions = [again.position(store, 1, interest.key) for store in names]
        assert positions == [99, 0, *range(3, most + 1), 5], "the one that was set longest ago made room"
    assert len(peer.log.items(STATE_CONFIG)) == kept, "a value's name is used again"


# ---- sealing and time


def seal_every() -> None:
    peer = board()
    record(peer, limits.SEAL_EVERY - peer.log.held(peer.author) - 1)
    assert peer.log.sealed(peer.author) == 0
    record(peer, 1, 90000)
    assert peer.log.sealed(peer.author) == limits.SEAL_EVERY


def seal_delay() -> None:
    for moment, sealed in ((limits.SEAL_DELAY_MS - 1, 0), (limits.SEAL_DELAY_MS, 1)):
        peer = gateway()
        exchange = met(peer, distance=1)
        exchange._linger_ms = None
        said(exchange)
        peer.write([[DELETE, EMPTY.name, 1]], [EMPTY], 0)
        start = peer.sealed_at
        said(exchange, start + moment)
        assert (peer.log.sealed(peer.author) == peer.log.held(peer.author)) == bool(sealed)


def own_authors(code: str) -> None:
    peer = gateway()
    bodies = [encode_body(STAMP, [[DELETE, EMPTY.name, 1]])]
    peer.ingest_schema(EMPTY.encoded)
    for count in range(1, limits.MAX_OWN_AUTHORS):
        peer.ingest(peer.author, peer.log.held(peer.author) + 1, bodies)
        assert len(peer.former) == count
    raises(code, peer.ingest, peer.author, peer.log.held(peer.author) + 1, bodies)
    assert len(peer.former) == limits.MAX_OWN_AUTHORS - 1


def closed_gap(code: str) -> None:
    peer = gateway()
    bodies = [encode_body(STAMP, [[DELETE, EMPTY.name, 1]])]
    peer.ingest_schema(EMPTY.encoded)
    author = peer.author
    most = peer.log.held(author) + limits.MAX_CLOSED_GAP
    raises(code, peer.ingest, author, most + 1, bodies)
    assert peer.author == author
    peer.ingest(author, most, bodies)
    assert peer.former == {author: most}


def closing_delay() -> None:
    for moment, written in ((limits.CLOSING_DELAY_MS - 1, False), (limits.CLOSING_DELAY_MS, True)):
        peer = gateway()
        author = peer.author
        close(peer, 9)
        peer.seal(5)
        peer.seal(5 + moment)
        assert (peer.log.held(author) == 9) == written


def doubt_time() -> None:
    """So long after operations were given up for a seal none of that author are again."""
    peer = gateway()
    peer.ingest_schema(EMPTY.encoded)
    bodies = [encode_body(STAMP, [[DELETE, EMPTY.name, 1]])]
    for moment, gone in ((0, True), (limits.DOUBT_MS - 1, False), (limits.DOUBT_MS, True)):
        if not peer.log.held(b"author-1"):
            peer.ingest(b"author-1", 1, bodies)
        assert doubt(peer, b"author-1", None, moment) == gone
        assert peer.log.held(b"author-1") == (not gone)
    for author in named(limits.MAX_AUTHORS):
        peer.ingest(author, 1, bodies)
        taken = len(peer.doubts) < limits.MAX_AUTHORS
        assert doubt(peer, author, None, limits.DOUBT_MS) == taken
    assert not taken


def good_time() -> None:
    for error, wants in ((limits.GOOD_TIME_MS, False), (limits.GOOD_TIME_MS + 1, True)):
        peer = board()
        peer.set_time(UTC, error, SOURCE_KEEPER, 0)
        assert peer.wants_time(0) == wants


def drift() -> None:
    peer = board()
    peer.set_time(UTC, 5, SOURCE_KEEPER, 0)
    per_ms = 1000000 // limits.DRIFT_PPM
    assert peer.utc(per_ms - 1) == (UTC + per_ms - 1, 5) and peer.utc(per_ms) == (UTC + per_ms, 6)
    times = TimeMap()
    times.add(1, 1, 0, 0, SOURCE_KEEPER, UTC, 5)
    found = [times.resolve(2, hlc.pack(uptime)) for uptime in (per_ms - 1, per_ms)]
    assert [entry and entry[1] for entry in found] == [7, 8]
    # A boot without time lies between two that have it; its own clock may be as fast as clocks may be.
    times.add(3, 2, 0, 0, SOURCE_BOOT, None, 0)
    times.note(4, hlc.pack(1000000))
    times.add(5, 3, 0, 0, SOURCE_KEEPER, UTC + 9000000, 5)
    low, high = UTC - 7 + 1000000 - limits.DRIFT_PPM - 2, UTC + 9000000 + 7 + 2
    assert times.resolve(4, hlc.pack(1000000)) == ((low + high) // 2, (high - low + 1) // 2)


def stable_age() -> None:
    peer = keeper()
    newest = peer.log.held(peer.author)
    for moment, covered in ((limits.STABLE_AGE_MS - 1, newest - 1), (limits.STABLE_AGE_MS, newest)):
        assert peer.down.advance(moment)
        assert peer.down.frontier.numbers == {peer.author: covered}


def waits(*ahead: int) -> tuple[Peer, list[object]]:
    """A peer that knows the time, and whether documents show that are so far ahead of it."""
    peer, other = gateway(), board()
    peer.set_time(UTC, 0, SOURCE_KEEPER, 0)
    for at, ms in enumerate(ahead):
        other.write([[INSERT, EMPTY.name, at, []]], [EMPTY], 0, stamp=hlc.pack(UTC + ms, at))
    peer.ingest_schema(EMPTY.encoded)
    peer.down.set_horizon(0)
    for _, number, body in [entry[1:] for entry in other.log.since(0, 1 << 30)]:
        peer.ingest(other.author, number, [body])
    return peer, [peer.down.documents.view("things", at) is not None for at in range(len(ahead))]


def ahead() -> None:
    assert waits(limits.AHEAD_MS, limits.AHEAD_MS + 1)[1] == [True, False]


def waiting() -> None:
    peer, shown = waits(*[limits.AHEAD_MS + 1] * (limits.MAX_WAITING + 1))
    assert not any(shown) and len(peer.down.documents.waiting) == limits.MAX_WAITING
    assert len(peer.down.set_horizon(1)) == limits.MAX_WAITING
    # Who looks sees them all.
    assert [peer.down.documents.view("things", at) for at in (0, limits.MAX_WAITING)] == [
        {"_id": 0},
        {"_id": limits.MAX_WAITING},
    ]


# ---- documents and statements


def slices() -> None:
    peer = gateway()
    record(peer, limits.SLICE_DOCUMENTS - 1 - peer.log.held(peer.author))
    assert None not in list(peer.down.documents.scan("readings"))
    record(peer, 1, 90000)
    assert list(peer.down.documents.scan("readings")).count(None) == 1
    # A statement counts as many for each breath that it takes.
    ready = ReadyPeer(peer.log, lambda: 99999)
    ready.look_limit = limits.SLICE_DOCUMENTS + 1
    assert len(ready.execute("SELECT * FROM readings")) > 0
    ready.look_limit = limits.SLICE_DOCUMENTS
    raises("QUERY_COST", ready.execute, "SELECT * FROM readings")


def nothing(changes: object) -> None:
    pass


def documents_of_a_statement() -> None:
    """One statement is one operation."""
    peer = ReadyPeer(MemoryLog(), lambda: 5)
    given = ["({'n': %d})" % at for at in range(limits.MAX_CHANGES + 1)]
    text = "INSERT INTO c DOCUMENTS "
    assert len(peer.execute(text + ",".join(given[:-1])).mutated) == limits.MAX_CHANGES
    refuses(peer, "OPERATION_CHANGES", peer.execute, text + ",".join(given))


def changed_documents() -> None:
    """An UPDATE, DELETE or EVICT is about so many documents; one more, and it changes none."""
    for count in (limits.MAX_RESULT_ROWS, limits.MAX_RESULT_ROWS + 1):
        added: list[object] = []
        batch = SimpleNamespace(
            scan=lambda _, count=count: [{"_id": at} for at in range(count)],
            add=lambda *change, added=added: added.append(change),
            divisible=True,
            divide=lambda: None,
        )
        run = steps(SimpleNamespace(kind_of=lambda _: KEEP), batch, parse("DELETE FROM c"), {})
        if count > limits.MAX_RESULT_ROWS:
            raises("QUERY_ROWS", list, run)
            assert not added
        else:
            list(run)
            assert len(added) == count


def index_authors() -> None:
    """The index has no limit of its own: authors are as many as the log's."""
    index = RamIndex()
    for at in range(0x10002):
        index.add(7 if at > 0xFFFF else at + 8, at.to_bytes(8, "big"), limits.MAX_NUMBER)
    index.add(9, (0x10001).to_bytes(8, "big"), 1)
    assert sorted(index.get(7)) == [(at.to_bytes(8, "big"), limits.MAX_NUMBER) for at in (0x10000, 0x10001)]
    assert sorted(index.get(9))[1] == ((0x10001).to_bytes(8, "big"), 1)


def observers(code: str) -> None:
    peer = ReadyPeer(MemoryLog(), lambda: 5)
    stops = [peer.observe("SELECT * FROM c", nothing) for _ in range(limits.MAX_OBSERVERS)]
    refuses(peer, code, peer.observe, "SELECT * FROM c", nothing)
    stops[0]()
    assert peer.observe("SELECT * FROM c", nothing)


class Reads(ReadyPeer):
    """Counts the statements that it has to parse."""

    read = 0

    def _read(self, text: str) -> tuple[Any, ...]:
        self.read += 1
        return super()._read(text)


def kept_statements() -> None:
    peer = Reads(MemoryLog(), lambda: 5)
    texts = ["SELECT * FROM c%d" % at for at in range(limits.KEPT_STATEMENTS)]
    for text in texts * 2:
        peer.parse(text)
    assert peer.read == limits.KEPT_STATEMENTS
    peer.parse("SELECT * FROM more")
    peer.parse(texts[0])
    assert peer.read == limits.KEPT_STATEMENTS + 2


def to_come() -> None:
    """Numbers that have not come may be more than can be counted one by one."""
    peer = ReadyPeer(MemoryLog(), lambda: 5)
    peer.ingest_schema(EMPTY.encoded)
    peer.down.fill(AUTHOR, limits.MAX_NUMBER, [BODY], True)
    peer.down.fill(AUTHOR, 3, [BODY, BODY], True)
    assert peer.holes(AUTHOR) == [(1, 2, "not asked for"), (5, limits.MAX_NUMBER - 1, "not asked for")]
