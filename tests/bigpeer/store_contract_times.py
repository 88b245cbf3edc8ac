"""What every Store must tell of times that become others: adds its checks to those of store_contract."""

from random import Random
from typing import Any

from log_writer import JUNE
from raw_author import RawAuthor
from store_contract import OpenStore, check, take

from hedgerow.clock.timemap import TimeMap
from hedgerow.codec.schema import KEEP, STREAM
from hedgerow.operation import CLOCK, SOURCE_BOOT, SOURCE_GATEWAY, decode_body
from hedgerow_bigpeer import limits
from hedgerow_bigpeer.store.corrections import Correction
from hedgerow_bigpeer.store.port import Store
from hedgerow_bigpeer.store.rows import TIMES, Operation


async def corrections(store: Store) -> list[tuple[int, Correction]]:
    """Return the corrections that stand in the outbox, each with its transaction."""
    rows = await store.outbox((0, 0), 10_000)
    return [(row.transaction, Correction.decode(row.after or b"")) for row in rows if row.collection == TIMES]


def board(kind: int = STREAM) -> RawAuthor:
    """Return an author that has booted, does not know the time, and has written at uptimes of 1 and 2 s."""
    author = RawAuthor(1, collection="readings", kind=kind)
    author.clock(epoch=1, uptime=0, source=SOURCE_BOOT, utc=None, error=0)
    author.insert(1000, None, t=1)
    author.insert(2000, None, t=2)
    return author


@check
async def a_time_that_comes_later_is_told_once_for_all_readings(open_store: OpenStore) -> None:
    store = await open_store("a")
    author = board()
    assert await take(store, author.take()) == [None]
    assert await corrections(store) == []
    author.clock(epoch=1, uptime=3000, source=SOURCE_GATEWAY, utc=JUNE, error=10)
    author.insert(4000, None, t=4)
    assert await take(store, author.take()) == [None]
    ((transaction, told),) = await corrections(store)
    assert (told.collections, told.boots) == (["readings"], (1, 1))
    assert (told.first, told.last) == (
        (1, None, (JUNE - 3000, 12, SOURCE_GATEWAY)),
        (3, None, (JUNE - 1000, 12, SOURCE_GATEWAY)),
    )
    rows = [row for row in await store.outbox((0, 0), 100) if row.collection == TIMES]
    assert [(row.author, row.number, row.transaction) for row in rows] == [(author.author, 4, transaction)]
    # What comes again is no news.
    assert await take(store, author.entries) == [None]
    assert len(await corrections(store)) == 1
    # A mapping that contradicts the one before moves all of the boot.
    author.clock(epoch=1, uptime=5000, source=SOURCE_GATEWAY, utc=JUNE + 60_000, error=10)
    assert await take(store, author.take()) == [None]
    ((_, again),) = (await corrections(store))[1:]
    assert again.first == (1, told.first.after, (JUNE + 55_000, 12, SOURCE_GATEWAY))
    assert (again.last.number, again.last.after) == (5, (JUNE + 59_000, 12, SOURCE_GATEWAY))
    await store.close()


@check
async def a_time_that_nobody_has_seen_is_no_correction(open_store: OpenStore) -> None:
    store = await open_store("a")
    # All at once.
    author = board()
    author.clock(epoch=1, uptime=3000, source=SOURCE_GATEWAY, utc=JUNE, error=10)
    # Documents that live on show no time.
    keeper = board(KEEP)
    keeper.author = b"\2" * 8
    keeper.entries = []
    for entries in (author.take(), keeper.take()):
        assert await take(store, entries) == [None]
    keeper = RawAuthor(3, collection="things", kind=KEEP)
    keeper.clock(epoch=1, uptime=0, source=SOURCE_BOOT, utc=None, error=0)
    keeper.insert(1000, None, t=1)
    assert await take(store, keeper.take()) == [None]
    keeper.clock(epoch=1, uptime=3000, source=SOURCE_GATEWAY, utc=JUNE, error=10)
    # A refused submission corrects nothing.
    late = RawAuthor(4, collection="readings", kind=STREAM)
    late.clock(epoch=1, uptime=0, source=SOURCE_BOOT, utc=None, error=0)
    late.insert(1000, None, t=1)
    assert await take(store, keeper.take(), late.take()) == [None, None]
    late.clock(epoch=1, uptime=3000, source=SOURCE_GATEWAY, utc=JUNE, error=10)
    gap = [*late.take(), Operation(late.author, 9, b"\0")]
    assert [error and error.code for error in await take(store, gap)] == ["SYNC_GAP"]
    assert await corrections(store) == []
    await store.close()


@check
async def readings_with_ids_of_their_own_are_corrected_too(open_store: OpenStore) -> None:
    store = await open_store("a")
    author, other = board(), RawAuthor(2, collection="others", kind=STREAM)
    other.insert(1000, "beside", t=0)
    author.collection = "named"
    for document_id in ("a text", 7, [b"another.", 1]):
        author.insert(3000, document_id, t=3)
    author.collection = "gone"
    author.insert(3000, "deleted", t=4)
    author.delete(3001, "deleted")
    # Its time is that of another author's insert.
    author.collection = "others"
    author.insert(10, "beside", t=5)
    # Whose documents live on has no time.
    author.collection, author.kind = "keeps", KEEP
    author.insert(3000, "kept", t=6)
    assert await take(store, other.take(), author.take()) == [None, None]
    author.clock(epoch=1, uptime=4000, source=SOURCE_GATEWAY, utc=JUNE, error=10)
    assert await take(store, author.take()) == [None]
    ((_, told),) = await corrections(store)
    assert told.collections == ["named", "readings"]
    # Where only they are.
    lone = RawAuthor(3, collection="named", kind=STREAM)
    lone.clock(epoch=1, uptime=0, source=SOURCE_BOOT, utc=None, error=0)
    lone.insert(1000, "lone", t=1)
    assert await take(store, lone.take()) == [None]
    lone.clock(epoch=1, uptime=4000, source=SOURCE_GATEWAY, utc=JUNE, error=10)
    assert await take(store, lone.take()) == [None]
    assert (await corrections(store))[1][1].collections == ["named"]
    await store.close()


class _Oracle:
    """All times of all operations that are held, looked at one by one."""

    def __init__(self) -> None:
        self._times = TimeMap()
        self._stamps: dict[int, bytes] = {}

    def add(self, entries: list[Any]) -> tuple[dict[int, Any], dict[int, Any]]:
        """Hold more; return the times before and now of what was held."""
        before = self._all()
        for entry in entries:
            if isinstance(entry, Operation):
                stamp, changes = decode_body(entry.body)
                for change in changes:
                    if change[0] == CLOCK:
                        self._times.add(entry.number, *change[1:])
                self._times.note(entry.number, stamp)
                self._stamps[entry.number] = stamp
        after = self._all()
        return before, {number: after[number] for number in before}

    def _all(self) -> dict[int, Any]:
        return {
            number: found and (*found, self._times.source(number, stamp))
            for number, stamp in self._stamps.items()
            for found in [self._times.resolve(number, stamp)]
        }


@check
async def corrections_are_about_all_operations_that_move(open_store: OpenStore) -> None:
    moved, few, usual = 0, 3, limits.CORRECTED_BY
    for seed in range(10):
        store = await open_store(f"random{seed}")
        random, author, oracle = Random(seed), RawAuthor(1, collection="readings", kind=STREAM), _Oracle()
        told = 0
        # Few are looked at first: what they do not say has to be found all the same.
        limits.CORRECTED_BY = few if seed % 2 else usual
        for epoch in range(1, 7):
            uptime = 0
            author.clock(epoch=epoch, uptime=0, source=SOURCE_BOOT, utc=None, error=0)
            for _ in range(random.randrange(1, 5)):
                for _ in range(random.randrange(1, 12)):
                    uptime += random.randrange(1000, 900_000)
                    author.insert(uptime, None, t=uptime)
                if random.random() < 0.5:
                    uptime += 1000
                    error = random.choice((10, 10, 400, 5000))
                    wrong = random.choice((0, 0, 5, 90_000))
                    utc = JUNE + epoch * 40_000_000 + uptime + wrong
                    author.clock(epoch=epoch, uptime=uptime, source=SOURCE_GATEWAY, utc=utc, error=error)
                if random.random() < 0.3:
                    continue
                entries = author.take()
                before, after = oracle.add(entries)
                assert await take(store, entries) == [None]
                news = (await corrections(store))[told:]
                told += len(news)
                changed = {number for number in before if before[number] != after[number]}
                spans = [(entry.first.number, entry.last.number) for _, entry in news]
                covered = {number for first, last in spans for number in range(first, last + 1)}
                assert changed == covered, (seed, epoch)
                for _, entry in news:
                    for number, old, new in (entry.first, entry.last):
                        assert (before[number], after[number]) == (old, new)
                moved += len(changed)
        await store.close()
    limits.CORRECTED_BY = usual
    assert moved


@check
async def an_old_mapping_may_be_nearer_than_the_newest(open_store: OpenStore) -> None:
    """A good one, two that are worse, and a good one: the first is not among those looked at first."""
    store = await open_store("a")
    author, oracle = RawAuthor(1, collection="readings", kind=STREAM), _Oracle()
    author.clock(epoch=1, uptime=0, source=SOURCE_GATEWAY, utc=JUNE, error=10)
    for uptime in range(360_000, 10_800_000, 360_000):
        author.insert(uptime, None, t=uptime)
        if uptime in (3_600_000, 7_200_000):
            author.clock(epoch=1, uptime=uptime, source=SOURCE_GATEWAY, utc=JUNE + uptime, error=500)
    entries = author.take()
    oracle.add(entries)
    assert await take(store, entries) == [None]
    author.clock(epoch=1, uptime=10_800_000, source=SOURCE_GATEWAY, utc=JUNE + 10_800_000, error=10)
    entries = author.take()
    before, after = oracle.add(entries)
    usual, limits.CORRECTED_BY = limits.CORRECTED_BY, 3
    assert await take(store, entries) == [None]
    limits.CORRECTED_BY = usual
    changed = [number for number in before if before[number] != after[number]]
    ((_, told),) = await corrections(store)
    assert (told.first.number, told.last.number) == (changed[0], changed[-1])
    assert (told.first.before, told.last.after) == (before[changed[0]], after[changed[-1]])
    await store.close()
