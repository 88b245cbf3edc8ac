"""Readings that are kept for so long: the setting, who sees that they have gone, and who never notices."""

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bigpeer_harness import Local, eventually, local
from log_writer import JUNE
from raw_author import RawAuthor
from store_contract import DAY
from test_data_api import get
from wire import Asker, Subscriber, done, ids, link

from hedgerow.codec.schema import STREAM
from hedgerow.custody.skip import SUPERSEDED, Skip
from hedgerow.sync import frames
from hedgerow.sync.interest import write_wants
from hedgerow_bigpeer import limits
from hedgerow_bigpeer.auth import manage
from hedgerow_bigpeer.auth.rights import EVERY_RIGHT
from hedgerow_bigpeer.http.live import CHANGES, ROWS
from hedgerow_bigpeer.retention import Retention
from hedgerow_bigpeer.store import ingest
from hedgerow_bigpeer.store.rows import Expired, ExpiredEntry, Retained, Submission
from hedgerow_bigpeer.store.sqlite import SqliteStore

V1 = "/api/hedgerow/v1"
PATH = f"{V1}/collections/readings/retention"
NINETY = {"keep": "90d"}


class Aged:
    """A Big Peer whose clock can be put on, with one board of readings."""

    def __init__(self, served: Local, monkeypatch: pytest.MonkeyPatch) -> None:
        self.served = served
        self.service = served.peer.service
        self.board = RawAuthor(1, collection="readings", kind=STREAM)
        utc, self.later = self.service.clock.utc, 0
        monkeypatch.setattr(self.service.clock, "utc", lambda: utc() + self.later)
        self.keys = {
            verb: manage.create_key(served.peer.registry, "t", "default", {"name": verb, "verbs": [verb]})[
                "key"
            ]
            for verb in ("admin", "read")
        }

    def bring(self, *numbers: int) -> None:
        for n in numbers:
            self.board.insert(1000 + n, None, n=n)
        self.board.seal()
        self.served.run(self.service.submit(self.board.take()))

    def ask(self, method: str, path: str, body: Any = None, verb: str = "admin") -> tuple[int, Any]:
        options: dict[str, Any] = {} if body is None else {"json": body}
        headers = {"authorization": f"Bearer {self.keys[verb]}"}
        answer = self.served.request(method, path, headers=headers, **options)
        return answer.status_code, answer.json()

    def run(self) -> int:
        return self.served.run(self.served.peer.retention.run())


@pytest.fixture
def aged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Aged]:
    monkeypatch.setattr(ingest, "MOMENT_MS", 0)
    # Tests say when.
    monkeypatch.setattr(Retention, "look", lambda self: None)
    with local(tmp_path / "aged") as served:
        yield Aged(served, monkeypatch)


def test_a_setting_is_made_by_who_may_and_shown_everywhere(aged: Aged) -> None:
    aged.bring(1, 2)
    done(aged.served, "INSERT INTO cars DOCUMENTS ({'_id': 1})")
    assert aged.ask("PUT", PATH, NINETY, "read")[1]["code"] == "AUTH_FORBIDDEN"
    assert aged.ask("GET", f"{V1}/collections", verb="read")[0] == 403
    for path, body, code in (
        (PATH, {"keep": "59m"}, "RETENTION_INVALID"),
        (PATH, {"keep": "36501d"}, "RETENTION_INVALID"),
        (PATH, {"keep": "soon"}, "REQUEST_SYNTAX"),
        (PATH, {"keep": 90}, "REQUEST_SYNTAX"),
        (PATH, {}, "REQUEST_SYNTAX"),
        (PATH, {**NINETY, "from": "now"}, "REQUEST_SYNTAX"),
        (f"{V1}/collections/cars/retention", NINETY, "RETENTION_INVALID"),
    ):
        status, answer = aged.ask("PUT", path, body)
        assert (status, answer["code"]) == (400, code)
    assert aged.served.run(aged.service.store.retention()) == []
    status, answer = aged.ask("PUT", PATH, NINETY)
    assert (status, answer["kind"], answer["keep_ms"]) == (200, "stream", 90 * DAY)
    assert answer["gone_before"] is None
    # A collection of which nothing has come yet may have one.
    assert aged.ask("PUT", f"{V1}/collections/later/retention", {"keep": "2h"})[0] == 200
    aged.later = 91 * DAY
    aged.bring(3)
    assert aged.run() == 2
    rows = {row["name"]: row for row in aged.ask("GET", f"{V1}/collections")[1]["collections"]}
    assert sorted(rows) == ["cars", "later", "readings"]
    assert (rows["later"]["kind"], rows["cars"]["kind"], rows["cars"]["keep_ms"]) == (None, "keep", None)
    shown = rows["readings"]
    assert (shown["kind"], shown["keep_ms"], shown["expired"]) == ("stream", 90 * DAY, 2)
    system = aged.served.items("SELECT * FROM system:collections WHERE _id = 'readings'")
    assert system == [{"_id": "readings", **shown}]
    metrics = aged.served.request("GET", "/metrics").text
    assert 'hedgerow_bigpeer_retention_seconds{collection="readings"} 7776000' in metrics
    assert "hedgerow_bigpeer_operations_expired_total 2" in metrics
    assert "stream, 90 d" in aged.served.request("GET", "/data").text
    # A range of time says of what it may lack some.
    series = get(aged.served, "/timeseries/readings")
    assert series["goneBefore"] == shown["gone_before"] is not None
    assert get(aged.served, "/timeseries/cars")["goneBefore"] is None
    status, answer = aged.ask("DELETE", PATH)
    assert (status, answer) == (200, {**shown, "keep_ms": None})
    never = {"name": "never", "kind": None, "keep_ms": None, "gone_before": None, "expired": 0}
    never |= {"confidential": False, "epoch": None}
    assert aged.ask("DELETE", f"{V1}/collections/never/retention") == (200, never)
    told = [entry for entry in aged.served.peer.registry.audit.newest(20) if "retain" in entry.action]
    assert [(entry.subject, entry.detail["keep_ms"]) for entry in reversed(told)] == [
        ("readings", 90 * DAY), ("later", DAY // 12), ("readings", None), ("never", None),
    ]  # fmt: skip


def test_as_many_collections_as_are_allowed_have_one(aged: Aged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RETAINED", 2)
    for name, status in (("a", 200), ("readings", 200), ("c", 400), ("a", 200)):
        assert aged.ask("PUT", f"{V1}/collections/{name}/retention", NINETY)[0] == status, name
    # What once expired is told for ever, and takes no place.
    aged.bring(1)
    aged.later = 91 * DAY
    aged.bring(2)
    assert aged.run() == 1
    assert aged.ask("DELETE", PATH)[0] == 200
    for name, status in (("c", 200), ("readings", 400)):
        assert aged.ask("PUT", f"{V1}/collections/{name}/retention", NINETY)[0] == status, name


def test_what_turns_out_to_live_on_is_not_read_over_and_over(
    aged: Aged, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    run = Retention._run

    async def looking(self: Retention, collection: str) -> int:
        looked.append(collection)
        return await run(self, collection)

    monkeypatch.setattr(Retention, "_run", looking)
    for name in ("cars", "readings"):
        assert aged.ask("PUT", f"{V1}/collections/{name}/retention", NINETY)[0] == 200
    done(aged.served, "INSERT INTO cars DOCUMENTS ({'_id': 1})")
    aged.bring(1)
    assert aged.run() == 0
    assert looked == ["readings"]


def test_a_collection_that_fails_keeps_no_other_from_expiring(
    aged: Aged, monkeypatch: pytest.MonkeyPatch
) -> None:
    aged.bring(1)
    assert aged.ask("PUT", f"{V1}/collections/broken/retention", NINETY)[0] == 200
    assert aged.ask("PUT", PATH, NINETY)[0] == 200
    aged.later = 91 * DAY
    aged.bring(2)
    store = aged.service.store
    expire = store.expire

    async def failing(collection: str, *args: Any) -> Expired:
        if collection == "broken":
            raise RuntimeError("its schema")
        return await expire(collection, *args)

    monkeypatch.setattr(store, "expire", failing)
    with pytest.raises(RuntimeError, match="its schema"):
        aged.run()
    assert aged.service.counters.expired == 1


def test_a_live_answer_loses_what_expires(aged: Aged) -> None:
    aged.bring(1, 2)
    aged.ask("PUT", PATH, NINETY)
    aged.later = 91 * DAY
    aged.bring(3)

    async def follow() -> None:
        stream = await aged.served.peer.live.open(
            "SELECT n FROM readings ORDER BY n", {}, EVERY_RIGHT, "t", by_json=True
        )
        steps = stream.steps()
        first = await anext(steps)
        assert (first.name, [row["n"] for row in first.changes.rows]) == (ROWS, [1, 2, 3])
        # Of the store more may have been read than the node has heard of.
        stream._position = 1 << 40
        assert await aged.served.peer.retention.run() == 2
        async with asyncio.timeout(20):
            while (step := await anext(steps)).name != CHANGES:
                pass
        assert ([row["n"] for row in step.changes.rows], list(step.changes.deletions)) == ([3], [0, 1])
        stream.close()

    aged.served.run(follow())


def test_a_live_answer_loses_what_expired_though_the_node_that_did_it_died(
    aged: Aged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "EXPIRE_HEED_SECONDS", 0.01)
    monkeypatch.setattr(limits, "LIVE_ASK_SECONDS", 0.05)
    aged.bring(1, 2)
    aged.ask("PUT", PATH, NINETY)
    aged.later = 91 * DAY

    async def follow() -> None:
        peer = aged.served.peer
        # What another node has done, and told nobody of.
        stream = await peer.live.open("SELECT n FROM readings", {}, EVERY_RIGHT, "t", by_json=True)
        steps = stream.steps()
        assert len((await anext(steps)).changes.rows) == 2
        step = await peer.service.store.expire(
            "readings", peer.service.clock.utc(), 1 << 40, (0, b""), limits.EXPIRE_DOCUMENTS
        )
        assert step.documents == 2
        async with asyncio.timeout(20):
            while (seen := await anext(steps)).name != CHANGES:
                peer.retention.look()
        assert seen.changes.rows == []
        stream.close()

    aged.served.run(follow())


def test_bridges_and_readers_of_changes_are_told_no_deletion(aged: Aged, tmp_path: Path) -> None:
    out = tmp_path / "aged" / "bridges" / "out.jsonl"
    sink = {"type": "file", "path": "out.jsonl"}
    assert aged.ask("PUT", f"{V1}/bridges/out", {"sources": [], "format": "ditto", "sink": sink})[0] == 200
    aged.bring(1, 2)
    aged.ask("PUT", PATH, NINETY)
    cursor = get(aged.served, "/changes")["next"]
    aged.later = 91 * DAY
    assert aged.run() == 2
    aged.bring(3)
    changes = get(aged.served, "/changes", since=cursor)["changes"]
    assert [(change["op"], change["after"]["n"]) for change in changes] == [("c", 3)]

    def delivered() -> list[Any]:
        aged.served.run(asyncio.sleep(0.02))
        lines = out.read_text().splitlines() if out.exists() else []
        return lines if len(lines) == 3 else []

    events = [json.loads(line)["change"] for line in eventually(delivered)]
    assert [(event["method"], event["newValue"]["n"]) for event in events] == [
        ("upsert", 1), ("upsert", 2), ("upsert", 3),
    ]  # fmt: skip


def test_who_asks_for_what_expired_is_told_so_and_keeps_its_own(aged: Aged) -> None:
    served, author = aged.served, aged.board.author
    old = Subscriber(served)
    old.peer.subscribe("SELECT * FROM readings")
    aged.bring(1, 2)
    wire = link(served, old)
    wire.until(lambda: len(ids(old, "readings")) == 2)
    wire.settle()
    wire.cut()
    aged.ask("PUT", PATH, NINETY)
    aged.later = 91 * DAY
    aged.bring(3)
    assert aged.run() == 2
    missing = served.items("SELECT * FROM system:gaps")
    assert [(row["author"], row["state"]) for row in missing] == [(old.peer.author.hex(), "unsealed")]
    frontier = aged.service.frontier(author)
    assert (frontier.held, frontier.receipted) == (3, 3)
    receipt = aged.service.receipt(author)
    assert receipt is not None and receipt.number == 3
    # It holds what it has, and gets on.
    wire = link(served, old)
    wire.until(lambda: len(ids(old, "readings")) == 3)
    wire.cut()
    late = Asker(served)
    late.ask(("readings", "", 0))
    late.wire.settle()
    assert late.picked() == [(author, 3)]
    late.session.queue(frames.WANT, write_wants([(author, 1, 3)]))
    late.wire.until(lambda: late.wire.of(frames.SKIP))
    (body,) = late.wire.of(frames.SKIP)
    skip = Skip.decode(body[8:])
    assert body[:8] == author
    assert (skip.first, skip.last, skip.kind, skip.detail) == (1, 2, SUPERSEDED, [author, 2])


def test_a_step_that_fails_is_made_up_for_and_writers_have_their_turns(
    aged: Aged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "EXPIRE_DOCUMENTS", 4)
    aged.bring(*range(20))
    aged.ask("PUT", PATH, NINETY)
    aged.later = 91 * DAY
    store, steps, written, rests = aged.service.store, [], [], []
    expire = store.expire

    async def failing(*args: Any) -> Expired:
        if len(steps) == 2:
            steps.append(0)
            raise RuntimeError("the disk")
        done = await expire(*args)
        steps.append(done.documents)
        return done

    async def write() -> None:
        while sum(steps) < 20:
            aged.board.insert(5000 + len(written), None, n=len(written))
            await aged.service.submit(aged.board.take())
            written.append(len(steps))
            await asyncio.sleep(0)

    async def both() -> None:
        writing = asyncio.create_task(write())
        with pytest.raises(RuntimeError):
            await aged.served.peer.retention.run()
        # What went is told, though the rest has not.
        assert aged.service.expired("readings")[0] == aged.service.transaction > 0
        await aged.served.peer.retention.run()
        await writing

    async def rest(_: Retention, seconds: float) -> None:
        rests.append(seconds)
        await asyncio.sleep(0)

    monkeypatch.setattr(store, "expire", failing)
    monkeypatch.setattr(Retention, "rest", rest)
    aged.served.run(both())
    assert steps == [4, 4, 0, 4, 4, 4, 0] and max(steps) <= limits.EXPIRE_DOCUMENTS
    assert len(rests) == 5 and all(seconds > 0 for seconds in rests)
    assert len(set(written)) > 3
    assert [row["n"] for row in aged.served.items("SELECT n FROM readings ORDER BY n")] == list(
        range(len(written))
    )


def test_it_looks_by_itself_and_at_once_when_something_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "MOMENT_MS", 0)
    with local(tmp_path) as served:
        aged = Aged(served, monkeypatch)
        aged.bring(1)
        aged.later = 91 * DAY
        aged.ask("PUT", PATH, NINETY)

        def gone() -> bool:
            served.run(asyncio.sleep(0.01))
            return aged.service.counters.expired == 1

        eventually(gone)
        aged.bring(2)
        aged.later = 182 * DAY
        aged.service.counters.expired = 0
        monkeypatch.setattr(limits, "EXPIRE_EVERY_MS", 10)
        served.peer.retention.look()
        eventually(gone)


def test_a_backup_that_is_put_back_has_the_setting_and_expires_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "MOMENT_MS", 0)
    path, board = tmp_path / "a.db", RawAuthor(1, collection="readings", kind=STREAM)
    for n in range(3):
        board.insert(1000 + n, None, n=n)
    board.seal()

    async def let_expire() -> tuple[int, Any, Any]:
        store = await SqliteStore.open(path, full_sync=False)
        before = await store.retention()
        done = await store.expire("readings", JUNE + 91 * DAY, 0, (0, b""), 9)
        assert done == Expired(3, 3, None)
        await store.ingest([Submission([ExpiredEntry("readings")])], JUNE + 91 * DAY)
        assert (await store.ingest([Submission(board.entries)], JUNE + 91 * DAY)).operations == 0
        frontiers = await store.frontiers()
        await store.close()
        return store.identity.incarnation, before, frontiers

    async def fill() -> None:
        store = await SqliteStore.open(path, full_sync=False)
        await store.retain("readings", 90 * DAY)
        await store.ingest([Submission(board.entries)], JUNE)
        await store.close()

    asyncio.run(fill())
    shutil.copy(path, tmp_path / "backup.db")
    first = asyncio.run(let_expire())
    shutil.copy(tmp_path / "backup.db", path)
    again = asyncio.run(let_expire())
    assert again == (first[0] + 1, *first[1:])
    assert again[1] == [Retained("readings", 90 * DAY, 0, 0)]
