"""What every Store must do for the way down, for time and for forgetting: checks of store_contract."""

import asyncio
import threading
from typing import Any

from log_writer import JUNE, Writer
from raw_author import YEAR, RawAuthor
from store_contract import OpenStore, check, take, values

from hedgerow import operation
from hedgerow.clock import hlc
from hedgerow.codec import cbor
from hedgerow.codec.schema import KEEP, SCOPE_BIG_PEER, SCOPE_LOCAL
from hedgerow.custody.skip import LOST, SUPERSEDED, Skip
from hedgerow.limits import AHEAD_MS
from hedgerow_bigpeer.store.port import Store
from hedgerow_bigpeer.store.rows import Entry, SkipEntry, Stable, Submission
from hedgerow_bigpeer.store.sql import Connection

DAY = 86_400_000
FIRST = (0, b"")
START = ("", b"")


async def touched(store: Store, after: tuple[int, bytes] = FIRST, limit: int = 100) -> list[tuple[int, Any]]:
    """Return (transaction, id) of the documents touched, read in slices."""
    found: list[tuple[int, Any]] = []
    while True:
        rows, _ = await store.touched("things", after, limit)
        found += [(row.transaction, cbor.decode(row.id)) for row in rows]
        if len(rows) < limit:
            return found
        after = (rows[-1].transaction, rows[-1].id)


async def put(store: Store, author: RawAuthor, at: int = JUNE) -> int:
    """Ingest what an author has that is new; return the transaction."""
    done = await store.ingest([Submission(author.take())], at)
    assert list(done.errors) == [None]
    return done.transaction


@check
async def what_was_touched_is_told_in_the_order_of_transactions(open_store: OpenStore) -> None:
    store = await open_store("a")
    one, two = RawAuthor(1), RawAuthor(2)
    for name in ("a", "b", "c"):
        one.insert(1000, name, n=1)
    first = await put(store, one)
    two.update(2000, "b", n=2)
    # What changes nothing is a touch too: others may lack it.
    two.update(500, "a", n=3)
    second = await put(store, two)
    assert second > first
    expected = [(first, "a"), (first, "b"), (first, "c"), (second, "a"), (second, "b")]
    assert await touched(store) == expected
    assert await touched(store, limit=1) == expected
    assert await touched(store, (first, cbor.encode("c"))) == expected[3:]
    two.write(3000, (operation.UPDATE, "c", {"n": 2}), (operation.UPDATE, "c", {"m": 2}))
    two.update(3001, "c", n=3)
    third = await put(store, two)
    assert await touched(store, (second, cbor.encode("b"))) == [(third, "c")]
    assert await store.touched("elsewhere", FIRST, 9) == ([], third)
    (arrivals,) = await store.operations_of("things", [cbor.encode("b")])
    assert [(row.author, row.number, row.transaction) for row in arrivals] == [
        (one.author, 2, first),
        (two.author, 1, second),
    ]
    assert await values(store, "things") == [
        ("a", {"n": 1}),
        ("b", {"n": 2}),
        ("c", {"n": 3, "m": 2}),
    ]
    await store.close()


@check
async def arrivals_are_kept_over_a_restart(open_store: OpenStore) -> None:
    store = await open_store("a")
    one = RawAuthor(1)
    one.insert(1000, "a", n=1)
    transaction = await put(store, one)
    await store.close()
    store = await open_store("a")
    assert await touched(store) == [(transaction, "a")]
    await store.close()


@check
async def a_range_is_what_is_held_of_it(open_store: OpenStore) -> None:
    store = await open_store("a")
    one = RawAuthor(1)
    for n in range(3):
        one.insert(1000 + n, n, n=n)
    await put(store, one)
    skip = SkipEntry(one.author, Skip(4, 6, LOST, ["flash", b"\0" * 6]).encode())
    assert await take(store, [skip]) == [None]
    operations, skips = await store.operations(one.author, 2, 5)
    assert [entry.number for entry in operations] == [2, 3]
    assert list(skips) == [skip]
    assert await store.operations(one.author, 7, 9) == ([], [])
    await store.close()


@check
async def what_is_ahead_of_time_enters_when_its_time_comes(open_store: OpenStore) -> None:
    store = await open_store("a")
    one, two = RawAuthor(1), RawAuthor(2)
    one.insert(JUNE, "config", n=1)
    await put(store, one)
    two.update(JUNE + AHEAD_MS + 1, "config", n=2)
    two.seal()
    done = await store.ingest([Submission(two.take())], JUNE)
    assert list(done.errors) == [None] and done.due == JUNE + 1
    assert await values(store, "things") == [("config", {"n": 1})]
    # It is held and receipted all the same, and others are told of it.
    (frontier,) = [f for f in await store.frontiers() if f.author == two.author]
    assert (frontier.held, frontier.receipted) == (1, 1)
    (arrivals,) = await store.operations_of("things", [cbor.encode("config")])
    assert len(arrivals) == 2
    await store.close()
    store = await open_store("a")
    early = await store.ingest([], JUNE)
    assert early.due == JUNE + 1 and early.transaction == done.transaction
    entered = await store.ingest([], JUNE + 1)
    assert entered.due is None and entered.transaction > done.transaction
    assert await values(store, "things") == [("config", {"n": 2})]
    assert [entry for entry in await touched(store) if entry[0] > done.transaction] == [
        (entered.transaction, "config")
    ]
    rows = await store.outbox((0, 0), 10)
    assert [(row.op, row.author) for row in rows] == [("c", one.author), ("u", two.author)]
    await store.close()


@check
async def a_document_called_by_its_dot_is_its_authors_alone(open_store: OpenStore) -> None:
    store = await open_store("a")
    board = RawAuthor(1)
    ahead = 43 * YEAR
    board.insert(ahead, None, t=1)
    dot = [board.author, 1]
    board.update(ahead + 1, dot, t=2)
    await put(store, board)
    assert await values(store, "things") == [(dot, {"t": 2})]
    # Now another writes there: the later word of a clock that is wrong must not stand against it. The
    # reading itself stays.
    other = RawAuthor(2)
    other.write(
        JUNE,
        (operation.UPDATE, dot, {"t": 3}),
        options={operation.MERGE_STAMP: hlc.wire(hlc.above(hlc.pack(ahead)))},
    )
    await put(store, other)
    assert await values(store, "things") == [(dot, {"t": 3})]
    board.update(ahead + 2, dot, t=4)
    await put(store, board)
    assert await values(store, "things") == [(dot, {"t": 3})]
    await store.ingest([], ahead + 2)
    assert await values(store, "things") == [(dot, {"t": 4})]
    await store.close()


@check
async def the_view_does_not_depend_on_the_order_of_arrival(open_store: OpenStore) -> None:
    board, other, third = RawAuthor(1), RawAuthor(2), RawAuthor(3)
    ahead = 43 * YEAR
    board.insert(ahead, None, t=1)
    board.update(ahead + 1, [board.author, 1], t=2)
    other.write(JUNE, (operation.UPDATE, [board.author, 1], {"u": 3}))
    third.insert(ahead, [board.author, 1], t=9)
    lots: list[list[Entry]] = [author.entries for author in (board, other, third)]
    seen = []
    for turn in range(3):
        store = await open_store(str(turn))
        for at in range(3):
            assert await take(store, lots[(turn + at) % 3]) == [None]
        seen.append(await values(store, "things"))
        await store.close()
    assert seen[0] == seen[1] == seen[2] == [([board.author, 1], {"t": 1, "u": 3})]


@check
async def a_default_is_never_ahead(open_store: OpenStore) -> None:
    store = await open_store("a")
    board = RawAuthor(1)
    board.write(43 * YEAR, (operation.INITIAL, "config", {"n": 0}))
    await put(store, board)
    assert await values(store, "things") == [("config", {"n": 0})]
    await store.close()


@check
async def scopes(open_store: OpenStore) -> None:
    store = await open_store("a")
    local, big = RawAuthor(1, kind=KEEP + 2 * SCOPE_LOCAL), RawAuthor(2, kind=KEEP + 2 * SCOPE_BIG_PEER)
    for author in (local, big):
        author.insert(JUNE, "x", author=author.author)
    errors = await take(store, local.take(), big.take())
    assert [error and error.code for error in errors] == ["SCOPE_LOCAL", None]
    assert await values(store, "things") == [("x", {"author": big.author})]
    await store.close()


@check
async def the_stability_frontier_is_what_is_old_and_told_to_all(open_store: OpenStore) -> None:
    store = await open_store("a")
    one = RawAuthor(1)
    transactions = []
    for n in range(4):
        one.insert(1000 + n, n, n=n)
        transactions.append(await put(store, one, JUNE + n * DAY))
    first, second, third, _ = transactions
    now = JUNE + 4 * DAY
    # Of what came on a day, it is known the day after that it is older.
    assert await store.stable(0, JUNE) == Stable(0, 0, {}, 0)
    assert await store.stable(0, JUNE + DAY) == Stable(first, first, {one.author: 1}, 0)
    await store.confirm(b"p" * 8, third, now)
    await store.confirm(b"q" * 8, second, now - DAY)
    await store.close()
    store = await open_store("a")
    assert await store.stable(now - DAY, now) == Stable(second, second, {one.author: 2}, 0)
    assert await store.stable(now - DAY + 1, now) == Stable(third, third, {one.author: 3}, 0)
    # Who comes anew takes nothing back of what was said.
    await store.confirm(b"q" * 8, 0, now)
    assert await store.stable(0, now) == Stable(0, third, {one.author: 3}, 0)
    await store.close()


@check
async def only_what_is_superseded_stable_and_old_is_collected(open_store: OpenStore) -> None:
    store = await open_store("a")
    one = RawAuthor(1)
    one.insert(1000, "kept", n=1)
    one.update(2000, "kept", n=2)
    one.update(3000, "kept", n=3)
    one.insert(1000, "gone", n=1)
    one.delete(2000, "gone")
    written = position = await put(store, one)
    # Nothing is sealed, so nothing is superseded for good.
    assert (await store.collect(position, START, 100))[:2] == (0, 0)
    one.seal()
    position = await put(store, one)
    assert (await store.collect(written - 1, START, 100))[:2] == (0, 0)
    seen = await values(store, "things")
    collected = await store.collect(position, START, 1)
    while collected.after is not None:
        more = await store.collect(position, collected.after, 1)
        collected = more._replace(
            operations=collected.operations + more.operations, documents=collected.documents + more.documents
        )
    assert collected[:2] == (3, 1)
    operations, skips = await store.operations(one.author, 1, 5)
    assert [entry.number for entry in operations] == [1, 3]
    told = [Skip.decode(entry.body) for entry in skips]
    assert [(skip.first, skip.last, skip.kind, skip.detail) for skip in told] == [
        (2, 2, SUPERSEDED, [one.author, 3]),
        (4, 4, SUPERSEDED, [one.author, 5]),
        (5, 5, SUPERSEDED, [one.author, 5]),
    ]
    assert await values(store, "things") == seen
    assert await touched(store) == [(written, "kept")]
    assert (await store.stable(0, 0)).collected == written
    # What follows is sealed over what was collected, and merges as before.
    one.update(4000, "kept", n=4)
    one.seal()
    await put(store, one)
    assert await values(store, "things") == [("kept", {"n": 4})]
    await store.close()


@check
async def an_operation_goes_when_all_its_changes_have(open_store: OpenStore) -> None:
    store = await open_store("a")
    one = RawAuthor(1)
    one.write(1000, (operation.INSERT, "a", {"n": 1}), (operation.INSERT, "b", {"n": 1}))
    one.delete(2000, "a")
    one.seal()
    position = await put(store, one)
    assert (await store.collect(position, START, 100))[:2] == (1, 1)
    operations, _ = await store.operations(one.author, 1, 2)
    assert [entry.number for entry in operations] == [1]
    one.delete(3000, "b")
    one.seal()
    position = await put(store, one, JUNE + DAY)
    assert (await store.collect(position, START, 100))[:2] == (2, 1)
    await store.close()


@check
async def what_waits_for_its_time_is_not_collected(open_store: OpenStore) -> None:
    store = await open_store("a")
    one, two = RawAuthor(1), RawAuthor(2)
    one.insert(1000, "a", n=1)
    one.delete(2000, "a")
    two.insert(43 * YEAR, "a", n=2)
    for author in (one, two):
        author.seal()
        position = await put(store, author)
    assert (await store.collect(position, START, 100))[:2] == (0, 0)
    await store.ingest([], 43 * YEAR)
    assert await values(store, "things") == [("a", {"n": 2})]
    await store.close()


@check
async def a_clock_record_is_never_collected(open_store: OpenStore) -> None:
    store = await open_store("a")
    writer = Writer()
    writer.insert_many(1)
    writer.peer.seal(writer.now)
    assert await take(store, writer.entries()) == [None]
    async with store.snapshot() as snapshot:
        position = snapshot.transaction
    assert (await store.collect(position, START, 100))[:2] == (0, 0)
    assert [entry.number for entry in (await store.operations(writer.peer.author, 1, 9))[0]] == [1, 2]
    await store.close()


@check
async def a_survivor_takes_the_place_of_a_skip(open_store: OpenStore) -> None:
    store = await open_store("a")
    one = RawAuthor(1)
    for n in range(4):
        one.insert(1000 + n, n, n=n)
    one.seal()
    schema, first, *lost, fourth, seal = one.take()
    skip = SkipEntry(one.author, Skip(2, 3, LOST, ["flash", b"\0" * 6]).encode())
    # There is no root without them, but the seal is its author's word for what stands around them.
    assert await take(store, [schema, first, skip, fourth, seal]) == [None]
    (before,) = await store.frontiers()
    assert (before.held, before.sealed, before.receipted) == (4, 4, 4)
    assert [document_id for document_id, _ in await values(store, "things")] == [0, 3]
    assert [row[:3] for row in await store.lost(9)] == [(one.author, 2, 3)]
    assert await take(store, [lost[1]]) == [None]
    assert [row[:3] for row in await store.lost(9)] == [(one.author, 2, 2)]
    assert await take(store, [lost[0]], [lost[0]]) == [None, None]
    assert await store.lost(9) == []
    assert [document_id for document_id, _ in await values(store, "things")] == [0, 1, 2, 3]
    assert list(await store.frontiers()) == [before]
    await store.close()


@check
async def a_seal_over_a_skip_follows_on_the_one_before(open_store: OpenStore) -> None:
    store = await open_store("a")
    one, other = RawAuthor(1), RawAuthor(1)
    for author in (one, other):
        author.insert(999, "first", author=author is one)
        author.seal()
        author.insert(1000, "second", n=1)
        author.seal()
    *good, _, _, _ = one.take()
    assert await take(store, good) == [None]
    skip = SkipEntry(one.author, Skip(2, 2, LOST, ["flash", b"\0" * 6]).encode())
    errors = await take(store, [skip], [other.entries[-1]], [one.entries[-1]])
    assert [error and error.code for error in errors] == [None, "SEAL_INVALID", None]
    await store.close()


@check
async def no_reading_waits_for_a_write(open_store: OpenStore) -> None:
    store = await open_store("a")
    writer = Writer()
    writer.insert_many(3)
    begun, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    entries = writer.entries()
    await take(store, entries)

    def hold(db: Connection, key: tuple[str, int]) -> bool:
        db.execute("UPDATE authors SET name = 'half done' WHERE app = ? AND shard = ?", key)
        loop.call_soon_threadsafe(begun.set)
        return go_on.wait(60)

    held = asyncio.create_task(store.transact(hold))
    try:
        await begun.wait()
        async with asyncio.timeout(30):
            assert len(await values(store)) == 3
            assert [frontier.name for frontier in await store.frontiers()] == [""]
            assert len(await store.outbox((0, 0), 10)) == 3
            assert len((await store.touched("readings", FIRST, 10))[0]) == 3
            assert await store.answer("a", "b", JUNE) is None
            assert len(await store.operations_of("readings", [cbor.encode([writer.peer.author, 2])])) == 1
            assert (await store.lost(1), await store.trimmed(), await store.indexes()) == ([], 0, [])
            found, _ = await store.operations(writer.peer.author, 1, 9)
            assert len(found) == len((await store.tail(writer.peer.author))[0]) == 4
            assert not held.done()
    finally:
        go_on.set()
    assert await held
    assert [frontier.name for frontier in await store.frontiers()] == ["half done"]
    await store.close()
