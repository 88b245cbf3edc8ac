"""What every Store must do where an author has sealed something else than what is held: adds its checks."""

from log_writer import JUNE
from raw_author import RawAuthor
from store_contract import OpenStore, check, frontier, take, values

from hedgerow.operation import SOURCE_BOOT, SOURCE_GATEWAY
from hedgerow_bigpeer.store.port import Store
from hedgerow_bigpeer.store.rows import CutEntry, Submission


async def changes(store: Store) -> list[str]:
    """Return what the outbox says of documents, in order."""
    rows = await store.outbox((0, 0), 1000)
    return [f"{row.op}{row.number}" for row in rows if row.collection]


@check
async def what_no_seal_covers_goes_where_its_author_has_sealed_something_else(open_store: OpenStore) -> None:
    store = await open_store("a")
    other, true, false = RawAuthor(1), RawAuthor(2), RawAuthor(2)
    other.insert(1000, "shed", by="Ada")
    for author in (true, false):
        author.insert(1001, "barn", n=1)
        author.seal()
    true.insert(1002, "shed", by="Grace")
    true.insert(1003, "mill", n=3)
    false.insert(1004, "shed", by="Mallory")
    false.insert(1005, "till", n=4)
    false.clock(epoch=1, uptime=1006, source=SOURCE_GATEWAY, utc=JUNE, error=10)
    false.insert(1007, "mill", n=5)
    assert await take(store, other.take(), false.take()) == [None, None]
    held = await frontier(store, true.author)
    assert (held.held, held.sealed, held.receipted) == (5, 1, 1)
    before = await changes(store)
    said = CutEntry(true.author, 2, tuple(true._marks))
    # What is held is right, or sealed, or nothing is: nothing goes.
    for same in (
        CutEntry(true.author, 2, tuple(false._marks[:2])),
        CutEntry(true.author, 1, (bytes(16),) * 3),
        CutEntry(true.author, 9, tuple(true._marks)),
        CutEntry(b"unknown.", 1, (bytes(16),)),
    ):
        done = await store.ingest([Submission([same])], JUNE)
        assert (done.errors, list(done.cut)) == ([None], [])
    assert await frontier(store, true.author) == held and len(await store.clocks()) == 1
    done = await store.ingest([Submission([said])], JUNE)
    assert (done.errors, list(done.cut)) == ([None], [true.author])
    held = await frontier(store, true.author)
    assert (held.held, held.sealed, held.receipted) == (1, 1, 1)
    assert list(done.frontiers) == [held] and set(done.collections) == {"things"}
    assert await values(store, "things") == [("barn", {"n": 1}), ("shed", {"by": "Ada"})]
    # Readers of changes are told, by the operation that went.
    assert (await changes(store))[len(before) :] == ["u1", "d3", "d5"]
    assert await store.clocks() == [] and not (await store.operations(true.author, 2, 9))[0]
    # The true ones come, of which the last is only as far as the false one was.
    assert await take(store, true.take()) == [None]
    assert await values(store, "things") == [
        ("barn", {"n": 1}),
        ("mill", {"n": 3}),
        ("shed", {"by": "Grace"}),
    ]
    true.seal()
    assert await take(store, true.take()) == [None]
    assert (await frontier(store, true.author)).receipted == 3
    touched, _ = await store.touched("things", (0, b""), 100)
    assert len({each.id for each in touched}) == 3, "what went has touched nothing"
    await store.close()
    store = await open_store("a")
    assert (await frontier(store, true.author)).held == 3
    await store.close()


@check
async def what_was_out_of_view_and_skipped_goes_too(open_store: OpenStore) -> None:
    store = await open_store("a")
    true, false = RawAuthor(2), RawAuthor(2)
    true.insert(1000, "barn", n=1)
    false.clock(epoch=1, uptime=0, source=SOURCE_BOOT, utc=None, error=0)
    # Ahead of its time.
    false.update(JUNE + 3_600_000, "barn", n=2)
    false.insert(1001, "barn", n=3)
    done = await store.ingest([Submission(false.take())], JUNE)
    assert done.errors == [None] and done.due is not None
    done = await store.ingest([Submission([CutEntry(true.author, 1, tuple(true._marks))])], JUNE)
    assert list(done.cut) == [true.author] and done.due is None
    assert await values(store, "things") == []
    assert await take(store, true.take()) == [None]
    assert await values(store, "things") == [("barn", {"n": 1})]
    await store.close()
