"""What every Store must do with readings that are not kept for ever: adds its checks to store_contract's."""

import asyncio
import contextlib
from collections.abc import Sequence
from random import Random
from typing import Any

from log_writer import JUNE
from raw_author import RawAuthor
from store_contract import DAY, OpenStore, check, frontier, values

from hedgerow.codec.schema import KEEP, STREAM, schema_for
from hedgerow.custody.skip import LOST, SUPERSEDED, Skip
from hedgerow.operation import CLOCK, INSERT, SOURCE_BOOT, SOURCE_GATEWAY
from hedgerow_bigpeer import limits
from hedgerow_bigpeer.store import ingest
from hedgerow_bigpeer.store.expire import _Expiry
from hedgerow_bigpeer.store.port import Store
from hedgerow_bigpeer.store.rows import (
    Entry,
    ExpiredEntry,
    JudgeEntry,
    Retained,
    SkipEntry,
    Submission,
)

KEPT = 90 * DAY
ALL = 1 << 62


async def bring(store: Store, entries: Sequence[Entry], at: int) -> None:
    """Ingest at a moment."""
    assert (await store.ingest([Submission(entries)], at)).errors == [None]


async def expire(store: Store, now: int, lowest: int = ALL, limit: int = 3) -> tuple[int, int]:
    """Let readings expire to the end; return how many operations and documents went."""
    after: Any = (0, b"")
    operations = documents = 0
    while after is not None:
        step = await store.expire("readings", now, lowest, after, limit)
        assert step.documents <= limit
        operations, documents = operations + step.operations, documents + step.documents
        after = step.after
    return operations, documents


def readings(byte: int = 1) -> RawAuthor:
    return RawAuthor(byte, collection="readings", kind=STREAM)


@check
async def readings_expire_by_the_time_at_which_they_came(open_store: OpenStore) -> None:
    usual, ingest.MOMENT_MS = ingest.MOMENT_MS, 0
    store = await open_store("a")
    # A board in the year 2000, and one that is a year ahead: no stamp counts.
    early, ahead = readings(1), readings(2)
    for day in range(4):
        early.insert(1000 + day, None, n=day)
        ahead.insert(JUNE + 365 * DAY + day, None, n=day)
        for author in (early, ahead):
            author.seal()
            await bring(store, author.take(), JUNE + day * DAY)
    before = await store.frontiers()
    assert await expire(store, JUNE + 400 * DAY) == (0, 0)
    await store.retain("readings", KEPT)
    assert await store.retention() == [Retained("readings", KEPT, 0, 0)]
    assert await expire(store, JUNE + KEPT) == (0, 0)
    assert await expire(store, JUNE + KEPT + DAY + 1) == (4, 4)
    assert [value["n"] for _, value in await values(store)] == [2, 3, 2, 3]
    assert await store.retention() == [Retained("readings", KEPT, JUNE + DAY + 1, 4)]
    # What is held, sealed and receipted stays so, after a start too; what comes again is passed over.
    for _ in range(2):
        assert await store.frontiers() == before
        for author in (early, ahead):
            operations, skips = await store.operations(author.author, 1, 9)
            assert [entry.number for entry in operations] == [3, 4]
            told = [Skip.decode(entry.body) for entry in skips]
            assert [(skip.first, skip.last, skip.kind, skip.detail) for skip in told] == [
                (1, 2, SUPERSEDED, [author.author, 2])
            ]
            await bring(store, author.entries, JUNE + KEPT + 3 * DAY)
        assert await store.lost(10) == [] and len(await values(store)) == 4
        await store.close()
        store = await open_store("a")
        before = await store.frontiers()
    # A part of a range is told as that part.
    (skip,) = (await store.operations(early.author, 2, 3))[1]
    assert Skip.decode(skip.body).detail == [early.author, 2] and Skip.decode(skip.body).first == 2
    # No change of a document is told.
    rows = await store.outbox((0, 0), 100)
    assert {row.op for row in rows} == {"c"} and len(rows) == 8
    # For ever from now on; what is gone is said all the same.
    await store.retain("readings", 0)
    assert await expire(store, JUNE + 900 * DAY) == (0, 0)
    assert await store.retention() == [Retained("readings", 0, JUNE + DAY + 1, 4)]
    await store.close()
    ingest.MOMENT_MS = usual


@check
async def the_last_readings_expire_though_nothing_follows(open_store: OpenStore) -> None:
    store = await open_store("a")
    await store.retain("readings", KEPT)
    author, minute = readings(), 60_000
    for n in range(3):
        author.insert(1000 + n, None, n=n)
        author.seal()
        await bring(store, author.take(), JUNE + 4 * n * minute)
    # Of the two behind the only moment it is known that they came within ten minutes of it.
    assert await expire(store, JUNE + KEPT + 10 * minute) == (1, 1)
    assert await expire(store, JUNE + KEPT + 10 * minute + 1) == (2, 2)
    assert await values(store) == []
    await store.close()


@check
async def nothing_expires_that_is_not_receipted_or_lives_on(open_store: OpenStore) -> None:
    usual, ingest.MOMENT_MS = ingest.MOMENT_MS, 0
    store = await open_store("a")
    await store.retain("readings", KEPT)
    author = readings()
    author.insert(1000, None, n=1)
    author.seal()
    author.insert(2000, None, n=2)
    await bring(store, author.take(), JUNE)
    # Documents of a schema that lives on are carried along, in whichever collection.
    keeper = RawAuthor(2, collection="readings", kind=KEEP)
    keeper.insert(1000, "lives", n=3)
    keeper.seal()
    await bring(store, keeper.take(), JUNE)
    assert await expire(store, JUNE + 2 * KEPT) == (1, 1)
    assert sorted(value["n"] for _, value in await values(store)) == [2, 3]
    author.seal()
    await bring(store, author.take(), JUNE + 2 * KEPT)
    assert await expire(store, JUNE + 2 * KEPT) == (1, 1)
    assert (await frontier(store, author.author))[2:5] == (2, 2, 2)
    await store.close()
    ingest.MOMENT_MS = usual


@check
async def clock_records_and_what_other_documents_need_stay(open_store: OpenStore) -> None:
    usual, ingest.MOMENT_MS = ingest.MOMENT_MS, 0
    store = await open_store("a")
    await store.retain("readings", KEPT)
    author = readings()
    author.clock(epoch=1, uptime=0, source=SOURCE_BOOT, utc=None, error=0)
    # One operation of two readings, of which one is written to later.
    author.write(1000, (INSERT, "old", {"n": 1}), (INSERT, "new", {"n": 1}))
    author.clock(epoch=1, uptime=2000, source=SOURCE_GATEWAY, utc=JUNE, error=10)
    # A clock record and a reading.
    schema = schema_for("readings", STREAM, {"n": 1})
    both = [
        [CLOCK, 1, 2500, 0, SOURCE_GATEWAY, JUNE, 10],
        [INSERT, schema.name, "with", schema.pack({"n": 1})],
    ]
    author._append(2500, both)
    author.seal()
    await bring(store, author.take(), JUNE)
    author.update(3000, "new", n=2)
    author.seal()
    await bring(store, author.take(), JUNE + 60 * DAY)
    clocks = await store.clocks()
    assert await expire(store, JUNE + KEPT + DAY) == (0, 2)
    assert await values(store) == [("new", {"n": 2})]
    assert len((await store.operations(author.author, 1, 9))[0]) == 5
    # Who is judged anew brings nothing back.
    await bring(store, [JudgeEntry(author.author)], JUNE + KEPT + DAY)
    assert await values(store) == [("new", {"n": 2})]
    assert await expire(store, JUNE + 60 * DAY + KEPT + DAY) == (2, 1)
    assert await store.clocks() == clocks
    assert [entry.number for entry in (await store.operations(author.author, 1, 9))[0]] == [1, 3, 4]
    await bring(store, [JudgeEntry(author.author)], JUNE + 60 * DAY + KEPT + DAY)
    assert await values(store) == []
    await store.close()
    ingest.MOMENT_MS = usual


@check
async def what_is_ahead_of_its_time_does_not_stay_for_ever(open_store: OpenStore) -> None:
    usual, ingest.MOMENT_MS = ingest.MOMENT_MS, 0
    store = await open_store("a")
    await store.retain("readings", KEPT)
    author = readings()
    author.insert(JUNE + 20_000 * DAY, "mine", n=1)
    author.seal()
    done = await store.ingest([Submission(author.take())], JUNE)
    came = done.transaction
    assert done.due is not None and await values(store) == []
    # It never existed here, but a deletion of it might have: everybody has to have been told.
    assert await expire(store, JUNE + KEPT + DAY, lowest=0) == (0, 0)
    assert await expire(store, JUNE + KEPT + DAY) == (1, 1)
    done = await store.ingest([Submission(())], JUNE + 20_001 * DAY)
    assert done.due is None and await values(store) == []
    assert (await store.stable(0, 0)).collected == came
    # One operation of two documents, of which one is written to later: its time brings back no other.
    author.write(JUNE + 365 * DAY, (INSERT, "x", {"n": 1}), (INSERT, "y", {"n": 1}))
    author.seal()
    await bring(store, author.take(), JUNE)
    other = readings(2)
    other.update(JUNE + 60 * DAY, "x", m=2)
    other.seal()
    await bring(store, other.take(), JUNE + 60 * DAY)
    assert await expire(store, JUNE + KEPT + DAY) == (0, 1)
    await bring(store, [], JUNE + 366 * DAY)
    assert [document_id for document_id, _ in await values(store)] == ["x"]
    await store.close()
    ingest.MOMENT_MS = usual


@check
async def what_is_lost_stays_lost_beside_what_expired(open_store: OpenStore) -> None:
    usual, ingest.MOMENT_MS = ingest.MOMENT_MS, 0
    store = await open_store("a")
    await store.retain("readings", KEPT)
    author = readings()
    for n in range(5):
        author.insert(1000 + n, None, n=n)
    schema, *operations = author.take()
    skip = SkipEntry(author.author, Skip(2, 4, LOST, ["flash", b"\0" * 6]).encode())
    author.seal()
    (seal,) = author.take()
    await bring(store, [schema, operations[0], skip, operations[4], seal], JUNE)
    # A survivor in the middle of what is lost.
    await bring(store, [operations[2]], JUNE)
    lost = await store.lost(10)
    assert [(row.first, row.last) for row in lost] == [(2, 2), (4, 4)]
    assert await expire(store, JUNE + KEPT + DAY) == (3, 3)
    assert await store.lost(10) == lost
    told = [Skip.decode(entry.body) for entry in (await store.operations(author.author, 1, 9))[1]]
    assert sorted((skip.kind, skip.first, skip.last) for skip in told) == [
        (SUPERSEDED, 1, 1), (SUPERSEDED, 3, 3), (SUPERSEDED, 5, 5), (LOST, 2, 4),
    ]  # fmt: skip
    await store.close()
    ingest.MOMENT_MS = usual


@check
async def what_is_superseded_hides_nothing_that_is_lost(open_store: OpenStore) -> None:
    store = await open_store("a")
    author = RawAuthor(1)
    author.insert(1000, "a", n=1)
    author.insert(2000, "b", n=1)
    for n in (3, 4, 5):
        author.update(1000 * n, "a", n=n)
    schema, one, _, three, four, five = author.take()
    author.seal()
    (seal,) = author.take()
    skip = SkipEntry(author.author, Skip(2, 4, LOST, ["flash", b"\0" * 6]).encode())
    await bring(store, [schema, one, skip, five, seal], JUNE)
    await bring(store, [three, four], JUNE)
    lost = await store.lost(10)
    assert [(row.first, row.last) for row in lost] == [(2, 2)]
    assert (await store.collect(ALL, ("", b""), 10)).operations == 2
    assert await store.lost(10) == lost
    await store.close()


@check
async def that_readings_expired_is_told_once(open_store: OpenStore) -> None:
    store = await open_store("a")
    await store.retain("readings", KEPT)
    author = readings()
    author.insert(1000, None, n=1)
    await bring(store, author.take(), JUNE)
    done = await store.ingest([Submission([ExpiredEntry("readings")])], JUNE)
    assert (done.expired, done.collections) == (["readings"], ["readings"])
    if store.is_shared:
        assert done.transaction > 1
        follower = await open_store("a")
        told = await follower.follow(done.transaction - 1)
        assert told is not None and told.expired == ["readings"]
        assert await follower.follow(done.transaction) is None
        await follower.close()
    await store.close()


@check
async def a_step_goes_as_a_whole_and_nodes_do_not_count_twice(open_store: OpenStore) -> None:
    usual, ingest.MOMENT_MS = ingest.MOMENT_MS, 0
    store = await open_store("a")
    await store.retain("readings", KEPT)
    author = readings()
    for n in range(12):
        author.write(1000 + n, *[(INSERT, f"{n}{letter}", {"n": n}) for letter in "ab"])
    author.seal()
    await bring(store, author.take(), JUNE)
    now, note = JUNE + KEPT + DAY, _Expiry._note

    def fail(*_: object) -> None:
        raise RuntimeError

    _Expiry._note = fail  # type: ignore[method-assign]
    with contextlib.suppress(RuntimeError):
        await store.expire("readings", now, ALL, (0, b""), 6)
    _Expiry._note = note  # type: ignore[method-assign]
    assert len(await values(store)) == 24
    assert await store.retention() == [Retained("readings", KEPT, 0, 0)]
    other = await open_store("a") if store.is_shared else store
    done = await asyncio.gather(*[expire(each, now, limit=5) for each in (store, other)])
    assert [sum(counts) for counts in zip(*done, strict=True)] == [12, 24]
    assert (await store.retention())[0].operations == 12
    told = [Skip.decode(entry.body) for entry in (await store.operations(author.author, 1, 99))[1]]
    assert [(skip.first, skip.last) for skip in told] == [(1, 12)]
    for each in {store, other}:
        await each.close()
    ingest.MOMENT_MS = usual


@check
async def a_step_looks_at_so_many_operations(open_store: OpenStore) -> None:
    usual, ingest.MOMENT_MS = ingest.MOMENT_MS, 0
    most, limits.EXPIRE_OPERATIONS = limits.EXPIRE_OPERATIONS, 6
    store = await open_store("a")
    await store.retain("readings", KEPT)
    author = readings()
    for name, count in (("_", 1), ("a", 9), ("b", 2), ("c", 4), ("d", 1)):
        author.insert(1000, name, n=0)
        for n in range(1, count):
            author.update(1000 + n, name, n=n)
    author.seal()
    await bring(store, author.take(), JUNE)
    steps = []
    after: Any = (0, b"")
    while after is not None:
        step = await store.expire("readings", JUNE + KEPT + DAY, ALL, after, 100)
        steps.append(step[:2])
        after = step.after
    assert steps == [(1, 1), (9, 1), (6, 2), (1, 1)]
    assert await values(store) == []
    await store.close()
    ingest.MOMENT_MS, limits.EXPIRE_OPERATIONS = usual, most


class _Oracle:
    """Readings that are looked at one by one: when each was touched last, and what is held of it."""

    def __init__(self) -> None:
        self.touched: dict[str, int] = {}

    def expire(self, before: int) -> set[str]:
        gone = {name for name, at in self.touched.items() if at < before}
        for name in gone:
            del self.touched[name]
        return gone


@check
async def readings_expire_in_any_order_of_what_happens(open_store: OpenStore) -> None:
    usual, ingest.MOMENT_MS = ingest.MOMENT_MS, 0
    gone = 0
    for seed in range(6):
        random, oracle = Random(seed), _Oracle()
        store = await open_store(f"expire{seed}")
        await store.retain("readings", KEPT)
        authors = [readings(byte) for byte in (1, 2)]
        now, stamp = JUNE, 1000
        for _ in range(40):
            now += random.randrange(1, 30) * DAY
            stamp += 1000
            what = random.random()
            author = random.choice(authors)
            if what < 0.6:
                names = random.sample("abcdefgh", random.randrange(1, 4))
                author.write(stamp, *[(INSERT, name, {"n": stamp}) for name in names])
                author.seal()
                await bring(store, author.take(), now)
                oracle.touched |= dict.fromkeys(names, now)
            elif what < 0.7:
                await bring(store, authors[0].entries, now)
            elif what < 0.8:
                await bring(store, [JudgeEntry(author.author)], now)
            else:
                before = await store.frontiers()
                _, documents = await expire(store, now, limit=random.choice((1, 2, 50)))
                expected = oracle.expire(now - KEPT)
                gone += documents
                assert documents == len(expected), seed
                assert await store.frontiers() == before
            found = [document_id for document_id, _ in await values(store)]
            assert found == sorted(oracle.touched), seed
            for entry in authors:
                operations, skips = await store.operations(entry.author, 1, 1000)
                numbers = [operation.number for operation in operations]
                for skip in (Skip.decode(each.body) for each in skips):
                    numbers += range(skip.first, skip.last + 1)
                # All are held or have expired, and none is both.
                assert sorted(numbers) == list(range(1, entry.number + 1)), seed
        await store.close()
    assert gone > 20
    ingest.MOMENT_MS = usual
