"""Two nodes on one PostgreSQL: one runs a bridge, and the other goes on when it ends."""

import asyncio
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest
from bigpeer_harness import Local, eventually, local
from log_writer import JUNE
from raw_author import RawAuthor
from store_contract_expire import KEPT, expire, readings
from test_bridges import TO_FILE, Admin, FakeSink

from hedgerow.errors import HedgerowError
from hedgerow.operation import SOURCE_GATEWAY
from hedgerow_bigpeer import limits
from hedgerow_bigpeer.cdc import runner
from hedgerow_bigpeer.store import ingest
from hedgerow_bigpeer.store.postgres import PostgresStore
from hedgerow_bigpeer.store.rows import JudgeEntry, SchemaEntry, Submission

Url = Callable[[str], str]


def test_a_bridge_goes_on_at_another_node(
    database: Url, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeSink()
    monkeypatch.setattr(runner, "open_sink", lambda config, folder: fake)
    monkeypatch.setattr(limits, "BRIDGE_LOOK_SECONDS", 0.02)
    url = database("a")
    with local(tmp_path / "two", store=url) as two:
        with local(tmp_path / "one", store=url, rights_key=tmp_path / "two" / "rights.key") as one:
            admin = Admin(one)
            admin.call("PUT", "/b", TO_FILE)
            for n in range(10):
                (one, two)[n % 2].execute("INSERT INTO c DOCUMENTS (:d)", {"d": {"_id": n}})
            _both_until(one, two, lambda: len(fake.got) >= 10)
            first = len(fake.got)
        two.execute("INSERT INTO c DOCUMENTS ({'_id': 10})")
        _both_until(two, two, lambda: len(fake.got) > first)
    ids = [json.loads(event.value)["change"]["newValue"]["_id"] for event in fake.got]
    assert sorted(set(ids)) == list(range(11))
    # In order, but for what may have come twice.
    places = list(dict.fromkeys(event.place for event in fake.got))
    assert places == sorted(places)


def test_of_two_nodes_that_insert_one_id_one_is_refused(
    database: Url, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, insert = database("a"), "INSERT INTO c DOCUMENTS ({'_id': 1, 'by': '%s'})"
    with (
        local(tmp_path / "two", store=url) as two,
        local(tmp_path / "one", store=url, rights_key=tmp_path / "two" / "rights.key") as one,
    ):
        offer = one.peer.service.offer

        async def late(submissions: Iterable[Submission]) -> Sequence[HedgerowError | None]:
            # What is offered was planned on a view without the document.
            monkeypatch.setattr(one.peer.service, "offer", offer)
            assert (await asyncio.to_thread(two.execute, insert % "two")).status_code == 200
            return await offer(submissions)

        monkeypatch.setattr(one.peer.service, "offer", late)
        refused = one.execute(insert % "one")
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "QUERY_CONFLICT")
        done = one.execute("INSERT INTO c DOCUMENTS ({'_id': 2})")
        token = {"x-ditto-txn-id": str(done.json()["transactionId"])}
        assert two.execute("SELECT * FROM c ORDER BY _id", **token).json()["items"] == [
            {"_id": 1, "by": "two"},
            {"_id": 2},
        ]


def test_what_another_node_wrote_under_new_schemas_is_read_before_it_is_told(database: Url) -> None:
    """A node that has just opened its store judges authors: others have written there since."""

    async def run() -> None:
        one, two = [await PostgresStore.open(database("a")) for _ in range(2)]
        author = RawAuthor(2)
        author.clock(epoch=1, uptime=0, source=SOURCE_GATEWAY, utc=JUNE, error=10)
        author.insert(1000, "barn", n=1)
        await one.ingest([Submission(author.take())], JUNE)
        assert list((await two.ingest([Submission([JudgeEntry(author.author)])], JUNE)).errors) == [None]
        # Whoever asks this store has been told of none yet.
        said = [SchemaEntry(encoded) for encoded in await one.schemas()]
        again = await two.ingest([Submission([*said, *said])], JUNE)
        assert list(again.schemas) == list(await one.schemas())
        await one.retain("readings", KEPT)
        writer = readings()
        for n in range(3):
            writer.insert(1000 + n, None, n=n)
            writer.seal()
            await two.ingest([Submission(writer.take())], JUNE + n * ingest.MOMENT_MS)
        assert await expire(one, JUNE + 3 * KEPT) == (3, 3)
        await one.close()
        await two.close()

    asyncio.run(run())


def _both_until(one: Local, two: Local, condition: Callable[[], bool]) -> None:
    """Let both applications run until something is so; each has a loop of its own."""

    def look() -> bool:
        one.run(asyncio.sleep(0.01))
        two.run(asyncio.sleep(0.01))
        return condition()

    eventually(look)
