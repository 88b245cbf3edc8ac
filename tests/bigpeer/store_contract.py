"""What every Store must do. A test file calls `check_store` with a way to open one.

`open_store(name)` opens the store of that name, again after a close with everything in it.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from log_writer import JUNE, Writer
from raw_author import RawAuthor

from hedgerow.codec import cbor
from hedgerow.codec.decimal import Decimal
from hedgerow.custody.skip import LOST, Skip
from hedgerow.errors import HedgerowError
from hedgerow_bigpeer.store.port import Store
from hedgerow_bigpeer.store.rows import (
    AbsentEntry,
    AnswerEntry,
    Entry,
    Frontier,
    KeptAnswer,
    NameEntry,
    Operation,
    SealEntry,
    SkipEntry,
    Submission,
)

DAY = 86_400_000

OpenStore = Callable[[str], Awaitable[Store]]

CHECKS: list[Callable[[OpenStore], Awaitable[None]]] = []


def check(function: Callable[[OpenStore], Awaitable[None]]) -> Callable[[OpenStore], Awaitable[None]]:
    """Add a check to the suite."""
    CHECKS.append(function)
    return function


async def take(store: Store, *submissions: Sequence[Entry]) -> list[HedgerowError | None]:
    """Ingest, and return the refusals."""
    return list((await store.ingest([Submission(entries) for entries in submissions], JUNE)).errors)


async def frontier(store: Store, author: bytes) -> Frontier:
    """Return an author's frontier."""
    found = [entry for entry in await store.frontiers() if entry.author == author]
    return found[0] if found else Frontier(author, "", 0, 0, 0, 0)


async def values(store: Store, collection: str = "readings") -> list[Any]:
    """Return the visible documents of a collection, read in slices of two."""
    found: list[Any] = []
    after: bytes | None = None
    async with store.snapshot() as snapshot:
        while rows := await snapshot.documents(collection, after, 2):
            found += [(cbor.decode(row.id), cbor.decode(row.value or b"\xf6")) for row in rows]
            after = rows[-1].id
    return found


@check
async def ingest_holds_merges_and_receipts(open_store: OpenStore) -> None:
    store = await open_store("a")
    writer = Writer()
    writer.insert_many(3)
    done = await store.ingest([Submission(writer.entries())], JUNE)
    assert done.errors == [None]
    assert (done.operations, done.documents, len(done.clocks), len(done.schemas)) == (4, 3, 1, 1)
    author = writer.peer.author
    assert await frontier(store, author) == Frontier(author, "", 4, 0, 0, JUNE)
    writer.peer.seal(writer.now)
    done = await store.ingest([Submission(writer.entries(4, 0))], JUNE + 5)
    assert list(done.frontiers) == [Frontier(author, "", 4, 4, 4, JUNE + 5)]
    found = await values(store)
    assert [document_id for document_id, _ in found] == [[author, 2], [author, 3], [author, 4]]
    assert [str(value["temperature_f"]) for _, value in found] == ["39.1", "39.2", "39.3"]
    await store.close()


@check
async def ingest_is_idempotent(open_store: OpenStore) -> None:
    store = await open_store("a")
    writer = Writer()
    writer.insert_many(40)
    assert await take(store, writer.entries()) == [None]
    before = (await store.frontiers(), await values(store), await store.outbox((0, 0), 1000))
    again = await store.ingest([Submission(writer.entries()), Submission(writer.entries(10, 0))], JUNE)
    assert list(again.errors) == [None, None] and again.operations == 0 and again.documents == 0
    assert (await store.frontiers(), await values(store), await store.outbox((0, 0), 1000)) == before
    await store.close()


@check
async def transactions_are_numbered(open_store: OpenStore) -> None:
    store = await open_store("a")
    writer = Writer()
    seen = []
    for _ in range(3):
        writer.insert_many(1)
        held = (await frontier(store, writer.peer.author)).held
        seen.append((await store.ingest([Submission(writer.entries(held))], JUNE)).transaction)
    assert seen == sorted(set(seen))
    unchanged = await store.ingest([Submission(writer.entries())], JUNE)
    assert unchanged.transaction == seen[-1]
    async with store.snapshot() as snapshot:
        assert snapshot.transaction == seen[-1]
    await store.close()


@check
async def a_refused_submission_changes_nothing_and_hurts_no_other(open_store: OpenStore) -> None:
    store = await open_store("a")
    good, bad = Writer("good"), Writer("bad")
    good.insert_many(2)
    bad.insert_many(3)
    gap = [entry for entry in bad.entries() if not (isinstance(entry, Operation) and entry.number == 2)]
    unknown = [entry for entry in bad.entries() if isinstance(entry, Operation)]
    garbage: list[Entry] = [Operation(bad.peer.author, 1, b"\x00garbage")]
    errors = await take(store, gap, unknown, garbage, good.entries())
    assert [error and error.code for error in errors] == ["SYNC_GAP", "SCHEMA_UNKNOWN", "CBOR_TRAILING", None]
    assert await frontier(store, bad.peer.author) == Frontier(bad.peer.author, "", 0, 0, 0, 0)
    assert (await frontier(store, good.peer.author)).held == 3
    assert {value["board"] for _, value in await values(store)} == {"good"}
    assert len(await store.clocks()) == 1
    assert await take(store, bad.entries()) == [None]
    await store.close()


@check
async def what_came_before_a_refused_entry_stands_if_so_wished(open_store: OpenStore) -> None:
    store = await open_store("a")
    good, bad = Writer("good"), Writer("bad")
    good.insert_many(2)
    bad.insert_many(3)
    author = bad.peer.author
    entries = [entry for entry in bad.entries() if not (isinstance(entry, Operation) and entry.number == 3)]
    whole = [Submission(entries), Submission(good.entries())]
    done = await store.ingest(whole, JUNE)
    assert [error and error.code for error in done.errors] == ["SYNC_GAP", None]
    assert (await frontier(store, author)).held == 0
    done = await store.ingest([Submission(entries, whole=False)], JUNE)
    assert [error and error.code for error in done.errors] == ["SYNC_GAP"]
    assert (done.operations, done.documents) == (2, 1)
    assert (await frontier(store, author)).held == 2
    assert [document_id for document_id, _ in await values(store) if document_id[0] == author] == [
        [author, 2]
    ]
    await store.close()


@check
async def only_a_true_seal_is_receipted(open_store: OpenStore) -> None:
    store = await open_store("a")
    writer, other = Writer(), Writer()
    for each in (writer, other):
        each.insert_many(2)
        each.peer.seal(each.now)
    author = writer.peer.author
    forged = next(entry.body for entry in other.entries() if isinstance(entry, SealEntry))
    entries = [entry for entry in writer.entries() if not isinstance(entry, SealEntry)]
    errors = await take(store, entries, [SealEntry(author, forged)], [SealEntry(author, b"\x80")])
    assert [error and error.code for error in errors] == [None, "SEAL_INVALID", "SEAL_INVALID"]
    assert await frontier(store, author) == Frontier(author, "", 3, 0, 0, JUNE)
    assert await take(store, writer.entries()) == [None]
    assert (await frontier(store, author)).receipted == 3
    writer.insert_many(1)
    assert await take(store, writer.entries()) == [None]
    last = await frontier(store, author)
    assert (last.held, last.sealed, last.receipted) == (4, 3, 3)
    await store.close()


@check
async def seals_follow_on_each_other(open_store: OpenStore) -> None:
    store = await open_store("a")
    writer = Writer()
    for _ in range(3):
        writer.insert_many(2)
        writer.peer.seal(writer.now)
    seals = [entry for entry in writer.entries() if isinstance(entry, SealEntry)]
    operations = [entry for entry in writer.entries() if not isinstance(entry, SealEntry)]
    assert [error and error.code for error in await take(store, operations, [seals[1]])] == [None, "SYNC_GAP"]
    assert await take(store, list(seals)) == [None]
    marks, last = await store.tail(writer.peer.author)
    assert not marks and last == seals[-1].body
    await store.close()


@check
async def a_skip_stands_for_operations(open_store: OpenStore) -> None:
    store = await open_store("a")
    author = b"\x01" * 8
    skip = SkipEntry(author, Skip(1, 9, LOST, ["flash", b"\0" * 6]).encode())
    assert await take(store, [skip]) == [None]
    assert (await frontier(store, author)).held == 9
    late = SkipEntry(author, Skip(11, 12, LOST, ["flash", b"\0" * 6]).encode())
    assert [error and error.code for error in await take(store, [late])] == ["SYNC_GAP"]
    await store.close()


@check
async def everything_is_there_after_a_restart(open_store: OpenStore) -> None:
    store = await open_store("a")
    writer = Writer()
    writer.insert_many(33)
    name = NameEntry(writer.peer.author, "a board")
    assert await take(store, [*writer.entries(), name]) == [None]
    before = (await store.frontiers(), await store.schemas(), await store.clocks(), await store.boundaries())
    documents, identity = await values(store), store.identity
    tail = await store.tail(writer.peer.author)
    await store.close()
    store = await open_store("a")
    after = (await store.frontiers(), await store.schemas(), await store.clocks(), await store.boundaries())
    assert after == before
    assert await values(store) == documents and len(documents) == 33
    assert store.identity == identity._replace(boot=identity.boot + 1)
    assert await store.tail(writer.peer.author) == tail
    assert (await frontier(store, writer.peer.author)).name == "a board"
    await store.close()


@check
async def boundaries_are_where_boots_end(open_store: OpenStore) -> None:
    store = await open_store("a")
    writer = Writer()
    writer.insert_many(2)
    writer.boot()
    writer.insert_many(3)
    done = await store.ingest([Submission(writer.entries())], JUNE)
    assert sorted(written.number for written in done.written) == [3, 7]
    assert sorted(written.number for written in await store.boundaries()) == [3, 7]
    await store.close()


@check
async def the_outbox_has_every_visible_change_once(open_store: OpenStore) -> None:
    store = await open_store("a")
    writer = Writer()
    writer.insert({"t": Decimal(1, 0)})
    done = await store.ingest([Submission(writer.entries())], JUNE)
    rows = await store.outbox((0, 0), 10)
    assert [(row.op, row.before, row.transaction) for row in rows] == [("c", None, done.transaction)]
    assert cbor.decode(rows[0].after or b"") == {"t": Decimal(1, 0)}
    writer.insert({"t": Decimal(2, 0)})
    await store.ingest([Submission(writer.entries())], JUNE)
    assert [row.number for row in await store.outbox((rows[-1].transaction, rows[-1].seq), 10)] == [3]
    await store.close()


@check
async def a_snapshot_does_not_move(open_store: OpenStore) -> None:
    store = await open_store("a")
    writer = Writer()
    writer.insert_many(2)
    await take(store, writer.entries())
    async with store.snapshot() as snapshot:
        first = await snapshot.documents("readings", None, 1)
        writer.insert_many(2)
        assert await take(store, writer.entries()) == [None]
        rest = await snapshot.documents("readings", first[-1].id, 10)
        assert len(first) + len(rest) == 2
        assert await snapshot.document("readings", first[0].id) == first[0]
        assert await snapshot.document("nowhere", first[0].id) is None
        assert len(await snapshot.newest("readings", 1)) == 1
    assert len(await values(store)) == 4
    await store.close()


@check
async def two_stores_are_two_authors(open_store: OpenStore) -> None:
    first, second = await open_store("a"), await open_store("b")
    assert first.identity.author != second.identity.author
    assert first.identity.epoch != second.identity.epoch
    assert first.identity.incarnation == second.identity.incarnation == 1
    await first.close()
    await second.close()


@check
async def an_answer_is_kept_with_what_was_done_or_refuses_it(open_store: OpenStore) -> None:
    store = await open_store("a")
    writer = Writer()
    writer.insert_many(1)
    entry = AnswerEntry("key:1", "once", b"f" * 32, b"answer")
    done = await store.ingest([Submission([entry, *writer.entries()])], JUNE)
    assert list(done.errors) == [None]
    assert await store.answer("key:1", "once", JUNE) == KeptAnswer(b"f" * 32, b"answer", done.transaction)
    assert await store.answer("key:2", "once", JUNE) is None
    assert await store.answer("key:1", "once", JUNE + DAY) is None
    held = (await frontier(store, writer.peer.author)).held
    writer.insert_many(1)
    # Also beside one of the same key in the same transaction.
    new = entry._replace(key="twice")
    errors = await take(store, [entry, *writer.entries(held)], [new], [new])
    assert [error and error.code for error in errors] == ["REQUEST_REPEATED", None, "REQUEST_REPEATED"]
    assert (await frontier(store, writer.peer.author)).held == held
    assert (await store.ingest([Submission([entry])], JUNE + DAY)).errors == [None]
    await store.close()


@check
async def a_document_that_is_not_to_exist_refuses_what_comes_with_it(open_store: OpenStore) -> None:
    store = await open_store("a")
    first, second = [RawAuthor(n, collection="plants") for n in (1, 2)]
    for author in (first, second):
        author.insert(1000, "x", n=1)
    absent, late = AbsentEntry("plants", cbor.encode("x")), second.take()
    # Beside another in the same transaction, and behind it.
    errors = await take(store, [absent, *first.take()], [absent, *late])
    assert [error and error.code for error in errors] == [None, "QUERY_CONFLICT"]
    errors = await take(store, [absent, *late])
    assert [error and error.code for error in errors] == ["QUERY_CONFLICT"]
    assert (await frontier(store, second.author)).held == 0
    first.delete(2000, "x")
    assert await take(store, first.take()) == [None]
    assert await take(store, [absent, *late]) == [None]
    await store.close()


@check
async def the_outbox_forgets_the_oldest(open_store: OpenStore) -> None:
    store = await open_store("a")
    writer = Writer()
    transactions = []
    for n in range(4):
        held = (await frontier(store, writer.peer.author)).held
        writer.insert_many(2)
        transactions.append(
            (await store.ingest([Submission(writer.entries(held))], JUNE + n * DAY)).transaction
        )
    assert await store.trim(JUNE, 100) == 0 and await store.trimmed() == 0
    # Of a transaction all goes, whatever the limit says.
    assert await store.trim(JUNE + 2 * DAY, 1) == 2 and await store.trimmed() == transactions[0]
    assert await store.trim(JUNE + 2 * DAY, 100) == 2 and await store.trimmed() == transactions[1]
    assert await store.trim(JUNE + 2 * DAY, 100) == 0
    assert [row.transaction for row in await store.outbox((0, 0), 10)] == [
        transactions[2],
        transactions[2],
        transactions[3],
        transactions[3],
    ]
    await store.close()
