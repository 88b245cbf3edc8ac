"""A gateway relays many authors: what one of them got wrong holds up nobody else."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bigpeer_harness import Local, Remote, eventually, local, remote
from log_writer import JUNE, Writer
from raw_author import RawAuthor
from sync_link import Link

from hedgerow.codec.schema import STREAM, schema_for
from hedgerow.codec.segment import encode_segment
from hedgerow.custody.skip import LOST, Skip
from hedgerow.errors import HedgerowError
from hedgerow.limits import SEAL_EVERY
from hedgerow.log import ENTRY_OP
from hedgerow.operation import INSERT, SOURCE_GATEWAY, decode_body, encode_body
from hedgerow.trust.seal import NO_SEAL, Seal, make_seal
from hedgerow_bigpeer import limits
from hedgerow_bigpeer.intake import Intake
from hedgerow_bigpeer.store.rows import CutEntry, Operation, SealEntry


def carry(author: Writer, relay: Writer, seals: bool = True) -> None:
    """Give a relay an author's operations, and its seals."""
    for schema in author.peer.schemas.values():
        relay.peer.ingest_schema(schema.encoded)
    relay.peer.ingest(author.peer.author, 1, author.bodies())
    if seals:
        for entry in author.entries():
            if isinstance(entry, SealEntry):
                relay.peer.ingest_seal(author.peer.author, entry.body)
    relay.peer.commit()


def sealed(name: str, count: int) -> Writer:
    writer = Writer(name)
    writer.insert_many(count)
    writer.peer.seal(writer.now)
    return writer


def forged_seal(relay: Writer) -> tuple[bytes, int, int, str]:
    """After one good seal comes one for other operations."""
    bad = sealed("bad", 60)
    carry(bad, relay, seals=False)
    author = bad.peer.author
    first = next(entry for entry in bad.entries() if isinstance(entry, SealEntry))
    relay.peer.ingest_seal(author, first.body)
    relay.peer.ingest_seal(author, make_seal(author, 33, 61, [bytes(16)] * 29, NO_SEAL))
    relay.peer.commit()
    return author, 61, SEAL_EVERY, "SEAL_INVALID"


def too_few_values(relay: Writer) -> tuple[bytes, int, int, str]:
    """An operation has fewer values than its schema has fields; this relay did not look."""
    bad = sealed("bad", 40)
    carry(bad, relay)
    author = bad.peer.author
    last = bad.bodies()[-1]
    stamp, (change,) = decode_body(last)
    body = encode_body(stamp, [[INSERT, change[1], None, change[3][:1]]])
    relay.peer.log.append(ENTRY_OP, author, 42, 42, body)
    relay.peer.commit()
    return author, 41, 41, "CHANGE_FIELDS"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Remote]:
    with remote(tmp_path / "data") as running:
        yield running


@pytest.mark.parametrize("poison", [forged_seal, too_few_values])
def test_one_bad_author_stops_nobody_else(
    server: Remote, poison: Callable[[Writer], tuple[bytes, int, int, str]]
) -> None:
    relay, good = Writer("relay"), sealed("good", 100)
    author, held, receipted, code = poison(relay)
    carry(good, relay)
    link = Link(relay.peer, server.sync_url, relay.now)
    eventually(lambda: link.step() and relay.peer.receipted(good.peer.author) == 101)
    # The session goes on: what comes later arrives as well, and of the bad author nothing more does.
    before = good.peer.log.held(good.peer.author)
    good.insert_many(SEAL_EVERY)
    relay.peer.ingest(good.peer.author, before + 1, good.bodies()[before:])
    for entry in good.entries(before, before):
        if isinstance(entry, SealEntry):
            relay.peer.ingest_seal(good.peer.author, entry.body)
    relay.peer.commit()
    sealed_to = relay.peer.log.sealed(good.peer.author)
    assert sealed_to > 101
    eventually(lambda: link.step() and relay.peer.receipted(good.peer.author) == sealed_to)
    assert link.exchange.error is None and not link.exchange.finished
    rows = {bytes.fromhex(row["author"]): row for row in server.status()["authors"]}
    assert rows[good.peer.author]["refused"] is None
    bad = rows[author]
    assert (bad["held"], bad["receipted"], bad["refused"]) == (held, receipted, code)
    assert relay.peer.receipted(author) == receipted
    link.close()
    # A reconnect finds the same, and says it once.
    again = Link(relay.peer, server.sync_url, relay.now)
    relay.insert_many(1)
    again.until(relay.peer.log.held(relay.peer.author))
    again.close()
    assert server.stop() == 0
    assert server.log.read_text().count(f"author {author.hex()} is refused: {code}") == 1


# ---- one session's intake, without a link


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Local]:
    with local(tmp_path) as running:
        yield running


def intake_of(served: Local) -> Intake:
    return Intake(served.peer.service, lambda: "test")


def feed(served: Local, intake: Intake, writer: Writer, held: int = 0, sealed_to: int = 0) -> list[bytes]:
    """Bring an author's log; return who waits for a schema after the commit."""
    for schema in writer.peer.schemas.values():
        intake.add_schema(schema.encoded)
    return feed_entries(served, intake, writer, held, sealed_to)


def feed_entries(
    served: Local, intake: Intake, writer: Writer, held: int = 0, sealed_to: int = 0
) -> list[bytes]:
    for entry in writer.entries(held, sealed_to):
        if isinstance(entry, Operation):
            intake.add_segment(segment(writer, entry.number, [entry.body]))
        elif isinstance(entry, SealEntry):
            intake.add_seal(entry.author, entry.body)
    return served.run(intake.commit())


def segment(writer: Writer, first: int, bodies: list[bytes]) -> bytes:
    data: bytes = encode_segment(writer.peer.author, first, bodies, writer.peer.schemas)
    return data


def state(served: Local, author: bytes) -> tuple[int, int, str | None]:
    frontier = served.peer.service.frontier(author)
    return frontier.held, frontier.receipted, served.peer.service.refusals.code(author)


def test_a_gap_refuses_its_author_alone(served: Local) -> None:
    bad, good = sealed("bad", 5), sealed("good", 5)
    intake = intake_of(served)
    intake.add_segment(segment(bad, 1, bad.bodies()[:1]))
    intake.add_schema(next(iter(bad.peer.schemas.values())).encoded)
    intake.add_segment(segment(bad, 4, bad.bodies()[3:5]))
    feed(served, intake, good)
    assert state(served, bad.peer.author) == (1, 0, "SYNC_GAP")
    assert state(served, good.peer.author) == (6, 6, None)
    feed(served, intake, bad)
    assert state(served, bad.peer.author) == (1, 0, "SYNC_GAP")
    # Another session has the whole log: the author gets on, and is not shown as refused any more.
    feed(served, intake_of(served), bad)
    assert state(served, bad.peer.author) == (6, 6, None)


def test_nobody_writes_under_our_own_name(served: Local) -> None:
    own = served.peer.service.store.identity.author
    held = served.peer.service.frontier(own).held
    forger, good = sealed("forger", 5), sealed("good", 2)
    bodies = forger.bodies()
    forger.peer.author = own
    intake = intake_of(served)
    intake.add_schema(next(iter(forger.peer.schemas.values())).encoded)
    intake.add_segment(segment(forger, 1, bodies[:held]))
    served.run(intake.commit())
    assert served.peer.service.refusals.code(own) is None
    intake.add_segment(segment(forger, held + 1, bodies[:2]))
    intake.add_skip(own, Skip(held + 1, held + 9, LOST, ["flash", bytes(6)]).encode())
    feed(served, intake, good)
    assert state(served, own)[0] == held and state(served, own)[2] == "SYNC_OWN_AUTHOR"
    assert state(served, good.peer.author)[1] == 3
    assert served.execute("INSERT INTO c DOCUMENTS ({'_id': 1})").status_code == 200
    assert state(served, own)[0] == held + 1


def test_a_collection_that_not_every_store_can_hold_refuses_who_uses_it(served: Local) -> None:
    bad, good = Writer("b\0d"), sealed("good", 2)
    bad.insert({"n": 1})
    bad.insert({"n": 2}, "a\0b")
    intake = intake_of(served)
    intake.add_name(bad.peer.author, bad.name)
    feed(served, intake, bad)
    feed(served, intake, good)
    assert state(served, bad.peer.author) == (2, 0, "SCHEMA_INVALID")
    assert state(served, good.peer.author) == (3, 3, None)
    assert served.peer.service.frontier(bad.peer.author).name == "b\ufffdd"


@pytest.mark.parametrize("count", [1, 20], ids=["plain", "columnar"])
def test_a_foreign_schema_of_a_known_name_refuses_who_uses_it(served: Local, count: int) -> None:
    bad, good = Writer("bad"), sealed("good", 2)
    bad.insert({"other": 0})
    for number in range(count):
        bad.insert({"other": number})
    bad.peer.seal(bad.now)
    (schema,) = bad.peer.schemas.values()
    served.peer.service.schemas[schema.name] = schema_for("readings", STREAM, {"x": 1})
    intake = intake_of(served)
    intake.add_schema(schema.encoded)
    intake.add_segment(segment(bad, 1, bad.bodies()[:1]))
    intake.add_segment(segment(bad, 2, bad.bodies()[1:]))
    feed(served, intake, good)
    assert state(served, bad.peer.author) == (1, 0, "SCHEMA_CONFLICT")
    assert state(served, good.peer.author) == (3, 3, None)
    assert served.items("SELECT * FROM readings WHERE x IS NOT MISSING") == []


def test_an_unknown_schema_is_asked_for_once(served: Local) -> None:
    writer = sealed("board", 3)
    intake = intake_of(served)
    assert feed_entries(served, intake, writer) == [writer.peer.author]
    # The record of the boot needs no schema; what follows waits.
    assert state(served, writer.peer.author) == (1, 0, None)
    assert feed_entries(served, intake, writer, 2) == []
    assert state(served, writer.peer.author) == (1, 0, None)
    assert feed(served, intake, writer, 1) == []
    assert state(served, writer.peer.author) == (4, 4, None)
    stubborn = sealed("stubborn", 3)
    stubborn.insert({"other": 1})
    assert feed_entries(served, intake, stubborn) == [stubborn.peer.author]
    held = served.peer.service.frontier(stubborn.peer.author).held
    feed_entries(served, intake, stubborn, held)
    assert state(served, stubborn.peer.author)[2] == "SCHEMA_UNKNOWN"


def test_refused_authors_have_limits(served: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SESSION_REFUSED", 2)
    monkeypatch.setattr(limits, "REFUSED_AUTHORS", 1)
    intake = intake_of(served)
    error = HedgerowError("SYNC_GAP", "")
    intake.refuse(b"author 1", error)
    intake.refuse(b"author 2", error)
    with pytest.raises(HedgerowError, match="AUTHORS_FULL"):
        intake.refuse(b"author 3", error)
    served.run(intake.commit())
    assert served.peer.service.refusals.authors() == [b"author 2"]
    page = served.request("GET", "/").text
    assert b"author 2".hex() in page and "SYNC_GAP" in page


def test_authors_have_a_limit(served: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    known = sealed("known", 2)
    feed(served, intake_of(served), known)
    monkeypatch.setattr(limits, "AUTHORS", len(served.peer.service.frontiers))
    intake = intake_of(served)
    new = sealed("new", 2)
    intake.add_name(b"nobody's", "x")
    feed(served, intake, new)
    assert state(served, new.peer.author) == (0, 0, "AUTHORS_FULL")
    known.insert_many(1)
    feed(served, intake, known, 3, 3)
    assert state(served, known.peer.author)[0] == 4
    assert b"nobody's" not in served.peer.service.frontiers


def test_a_failure_inside_stays_with_its_submission(served: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad = sealed("good", 2), sealed("bad", 2)
    real = Seal.decode

    def broken(body: bytes) -> Seal:
        if body == bad.entries()[-1].body:  # type: ignore[union-attr]
            raise RecursionError("deep")
        return real(body)

    monkeypatch.setattr("hedgerow_bigpeer.store.ingest.Seal.decode", staticmethod(broken))
    service = served.peer.service

    async def both() -> list[object]:
        submits = [service.submit(each.entries()) for each in (bad, good)]
        return list(await asyncio.gather(*submits, return_exceptions=True))

    refused, taken = served.run(both())
    assert isinstance(refused, HedgerowError) and refused.code == "OPERATION_INVALID" and taken is None
    assert state(served, good.peer.author)[1] == 3 and state(served, bad.peer.author)[0] == 0


def test_what_goes_is_not_in_memory_either(served: Local) -> None:
    """Neither how far its author is held, nor what it was said to have written of time."""
    service, author, true = served.peer.service, RawAuthor(7), RawAuthor(7)
    author.clock(epoch=1, uptime=0, source=SOURCE_GATEWAY, utc=JUNE, error=10)
    author.insert(1000, None, n=1)
    true.insert(1000, "x", n=2)
    stamp = decode_body(author.entries[-1].body)[0]  # type: ignore[union-attr]
    served.run(service.submit(author.take()))
    assert service.frontier(author.author).held == 2
    assert service.time_of(author.author, 2, stamp) is not None
    served.run(service.submit([CutEntry(author.author, 1, tuple(true._marks))]))
    assert service.frontier(author.author).held == 0
    assert service.time_of(author.author, 2, stamp) is None
