"""Live queries over HTTP: what changes in an answer, and what leaves a reader's rule."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bigpeer_harness import Local
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_access_http import farm_at

from hedgerow.errors import HedgerowError
from hedgerow_bigpeer import limits
from hedgerow_bigpeer.auth import manage
from hedgerow_bigpeer.auth.rights import EVERY_RIGHT

TWO = "INSERT INTO cars DOCUMENTS ({'_id': 1, 'color': 'blue'}), ({'_id': 2, 'color': 'red'})"
LIVE = "/api/hedgerow/v1/live"


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Local]:
    running = farm_at(tmp_path)
    yield running
    running.close()


def key(farm: Local, condition: str = "") -> tuple[str, str]:
    """Return id and text of an API key that reads cars, those of a condition."""
    wanted: dict[str, Any] = {"name": "x", "verbs": ["read"]}
    wanted["permission"] = {"read": {"queriesByCollection": {"cars": [condition or "true"]}}}
    made = manage.create_key(farm.peer.registry, "test", "farm", wanted)
    return made["id"], made["key"]


class Reader:
    """One stream, read as ASGI gives it: the client of other tests waits for the end of an answer."""

    def __init__(self, farm: Local, statement: str, text: str, args: object = None) -> None:
        self._farm = farm
        body = json.dumps({"statement": statement, "args": args or {}}).encode()
        self._parts: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._gone = asyncio.Event()
        self._sent = False
        headers = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")]
        headers.append((b"authorization", f"Bearer {text}".encode()))
        scope = {
            "type": "http",
            "method": "POST",
            "path": LIVE,
            "raw_path": LIVE.encode(),
            "query_string": b"",
            "headers": headers,
            "client": ("127.0.0.1", 9),
            "server": ("127.0.0.1", 8080),
            "scheme": "http",
            "root_path": "",
            "http_version": "1.1",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
        }

        async def receive() -> dict[str, Any]:
            if not self._sent:
                self._sent = True
                return {"type": "http.request", "body": body, "more_body": False}
            await self._gone.wait()
            return {"type": "http.disconnect"}

        self._task = asyncio.ensure_future(farm.asgi(scope, receive, self._parts.put))  # type: ignore[arg-type]

    async def start(self) -> int:
        return int((await self._parts.get())["status"])

    async def next(self) -> tuple[str, Any]:
        """Return the next event; ("end", None) at the end."""
        async with asyncio.timeout(20):
            part = await self._parts.get()
        if not part.get("body"):
            return "end", None
        name, data = part["body"].decode().rstrip("\n").split("\n")
        return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))

    async def close(self) -> None:
        self._gone.set()
        await self._task


async def write(farm: Local, statement: str, args: dict[str, Any] | None = None) -> None:
    await farm.peer.queries.execute(statement, args or {}, by_json=True, rights=EVERY_RIGHT)


def test_what_leaves_the_rule_is_a_removal_without_values(farm: Local) -> None:
    async def run() -> None:
        await write(farm, TWO)
        reader = Reader(farm, "SELECT * FROM cars ORDER BY _id", key(farm, "color = 'blue'")[1])
        assert await reader.start() == 200
        name, first = await reader.next()
        assert (name, first["items"]) == ("rows", [{"_id": 1, "color": "blue"}])
        await write(farm, "INSERT INTO cars DOCUMENTS ({'_id': 3, 'color': 'blue'})")
        name, change = await reader.next()
        assert change["insertions"] == [{"at": 1, "row": {"_id": 3, "color": "blue"}}] and name == "changes"
        await write(farm, "UPDATE cars SET wheels = 4 WHERE _id = 3")
        assert (await reader.next())[1]["updates"] == [
            {"at": 1, "row": {"_id": 3, "color": "blue", "wheels": 4}}
        ]
        await write(farm, "UPDATE cars SET color = 'red', secret = 7 WHERE _id = 1")
        _, change = await reader.next()
        assert change["deletions"] == [0] and change["updates"] == change["insertions"] == []
        assert "red" not in json.dumps(change) and "secret" not in json.dumps(change)
        # What is outside of the rule changes unseen, until it comes in.
        await write(farm, "UPDATE cars SET secret = 8 WHERE _id = 2")
        await write(farm, "UPDATE cars SET color = 'blue' WHERE _id = 2")
        _, change = await reader.next()
        assert change["insertions"] == [{"at": 0, "row": {"_id": 2, "color": "blue", "secret": 8}}]
        await write(farm, "DELETE FROM cars WHERE _id = 3")
        assert (await reader.next())[1]["deletions"] == [1]
        await reader.close()
        assert not farm.peer.live._open

    farm.run(run())


def test_aggregates_count_only_what_may_be_read(farm: Local) -> None:
    async def run() -> None:
        reader = Reader(farm, "SELECT COUNT(*) AS n FROM cars", key(farm, "color = 'blue'")[1])
        await reader.start()
        assert (await reader.next())[1]["items"] == [{"n": 0}]
        await write(farm, TWO)
        assert (await reader.next())[1]["insertions"] == [{"at": 0, "row": {"n": 1}}]
        await reader.close()

    farm.run(run())


def test_a_revoked_key_ends_its_stream(farm: Local) -> None:
    async def run() -> None:
        key_id, text = key(farm)
        reader = Reader(farm, "SELECT * FROM cars", text)
        await reader.start()
        await reader.next()
        manage.revoke_key(farm.peer.registry, "test", "farm", key_id)
        await write(farm, "INSERT INTO cars DOCUMENTS ({'_id': 1, 'secret': 7})")
        name, value = await reader.next()
        assert (name, value["code"]) == ("error", "AUTH_INVALID") and "secret" not in json.dumps(value)
        assert (await reader.next())[0] == "end"
        await reader.close()

    farm.run(run())


def test_a_quiet_stream_says_so_and_is_asked_again(farm: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LIVE_QUIET_SECONDS", 0.05)

    async def run() -> None:
        key_id, text = key(farm)
        reader = Reader(farm, "SELECT * FROM cars", text)
        await reader.start()
        assert [(await reader.next())[0] for _ in range(3)] == ["rows", "quiet", "quiet"]
        manage.revoke_key(farm.peer.registry, "test", "farm", key_id)
        while (event := await reader.next())[0] == "quiet":
            pass
        assert event[0] == "error"
        await reader.close()

    farm.run(run())


def test_a_quiet_stream_is_asked_however_busy_others_are(
    farm: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LIVE_ASK_SECONDS", 0.02)
    monkeypatch.setattr(limits, "LIVE_QUIET_SECONDS", 3600.0)

    async def run() -> None:
        key_id, text = key(farm)
        reader = Reader(farm, "SELECT * FROM cars", text)
        await reader.start()
        await reader.next()
        manage.revoke_key(farm.peer.registry, "test", "farm", key_id)
        told = asyncio.ensure_future(reader.next())
        while not told.done():
            # It is woken, and nothing is there for it.
            for listener in farm.peer.service._listeners:
                listener(())
            await asyncio.sleep(0.005)
        assert told.result()[0] == "error"
        await reader.close()

    farm.run(run())


def test_streams_are_bounded_and_end_with_the_server(farm: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LIVE_QUERIES", 1)

    async def run() -> None:
        first = Reader(farm, "SELECT * FROM cars", key(farm)[1])
        assert await first.start() == 200
        second = Reader(farm, "SELECT * FROM cars", key(farm)[1])
        assert await second.start() == 400
        await second.close()
        await first.next()
        farm.peer.live.stop()
        assert (await first.next())[0] == "end"
        await first.close()

    farm.run(run())


def test_nobody_takes_all_the_places(farm: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STREAMS_PER_CALLER", 2)
    mine, yours = key(farm)[1], key(farm)[1]

    async def run() -> None:
        readers, statuses = [], []
        for text in (mine, mine, mine, yours):
            readers.append(Reader(farm, "SELECT * FROM cars", text))
            statuses.append(await readers[-1].start())
        assert statuses == [200, 200, 400, 200]
        await readers[0].close()
        again = Reader(farm, "SELECT * FROM cars", mine)
        assert await again.start() == 200
        for reader in (*readers[1:], again):
            await reader.close()
        assert len(farm.peer.live) == farm.peer.live._places._held.total() == 0

    farm.run(run())


def test_who_goes_away_before_it_begins_leaves_no_stream(farm: Local) -> None:
    async def run() -> None:
        gone = Reader(farm, "SELECT * FROM cars", key(farm)[1])
        # A connection that takes nothing any more, and is closed before it was told that there is an answer.
        gone._parts._maxsize = 1  # type: ignore[attr-defined]
        gone._parts.put_nowait({})
        gone._gone.set()
        await asyncio.wait([gone._task])
        assert len(farm.peer.live) == farm.peer.live._places._held.total() == 0

    listeners = len(farm.peer.service._listeners)
    farm.run(run())
    assert len(farm.peer.service._listeners) == listeners


@pytest.mark.parametrize(
    "statement, status",
    [
        ("SELECT * FROM boats", 403),
        ("INSERT INTO cars DOCUMENTS ({'a': 1})", 400),
        ("SELEKT", 400),
        ("SELECT * FROM cars WHERE a = :missing", 400),
    ],
)
def test_what_has_no_live_answer(farm: Local, statement: str, status: int) -> None:
    headers = {"authorization": f"Bearer {key(farm)[1]}"}
    assert farm.request("POST", LIVE, json={"statement": statement}, headers=headers).status_code == status
    assert farm.request("POST", LIVE, json={"statement": statement}).status_code == 401


def test_one_change_is_read_once_for_all_streams(farm: Local) -> None:
    async def run() -> None:
        await write(farm, TWO)
        keys = [key(farm), key(farm, "color = 'blue'")]
        readers = [Reader(farm, "SELECT * FROM cars ORDER BY _id", keys[n % 2][1]) for n in range(20)]
        readers += [Reader(farm, "SELECT COUNT(*) AS n FROM cars", keys[0][1]) for _ in range(5)]
        for reader in readers:
            assert await reader.start() == 200
            await reader.next()
        readings = farm.peer.live.readings
        for turn in range(3):
            document = {"_id": 10 + turn, "color": "blue"}
            await write(farm, "INSERT INTO cars DOCUMENTS (:d)", {"d": document})
            for number, reader in enumerate(readers):
                (inserted,) = (await reader.next())[1]["insertions"]
                assert inserted["row"] == (document if number < 20 else {"n": 3 + turn})
            assert readings.made == turn + 1
        for reader in readers:
            await reader.close()

    farm.run(run())


def test_a_reading_has_the_newest_and_a_failed_one_is_done_anew(
    farm: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings = farm.peer.live.readings
    store = farm.peer.service.store

    async def ids(after: int = 0) -> list[Any]:
        return [each.document_id for each in (await readings.read("cars", (after, b""))).touched]

    async def run() -> None:
        await write(farm, TWO)
        assert await ids() == [1, 2] and await ids() == [1, 2] and readings.made == 1
        await write(farm, "DELETE FROM cars WHERE _id = 2")
        found = (await readings.read("cars", (0, b""))).touched
        assert [(each.document_id, each.document is None) for each in found] == [(1, False), (2, True)]
        assert readings.made == 2
        # Who goes away leaves the reading to the others.
        await write(farm, "DELETE FROM cars")
        first, second = asyncio.ensure_future(ids()), asyncio.ensure_future(ids())
        await asyncio.sleep(0)
        first.cancel()
        assert await second == [1, 2] and readings.made == 3
        touched = store.touched

        async def fails(*_: object) -> Any:
            monkeypatch.setattr(store, "touched", touched)
            raise HedgerowError("STORE_FAILED")

        monkeypatch.setattr(store, "touched", fails)
        with pytest.raises(HedgerowError):
            await ids(1)
        assert await ids(1) == [1, 2]
        for after in range(2 * limits.LIVE_READINGS):
            await ids(after)
        assert len(readings._kept) == limits.LIVE_READINGS

    farm.run(run())


def test_a_reading_of_much_goes_on_where_it_ended(farm: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SLICE_DOCUMENTS", 2)

    async def run() -> None:
        reader = Reader(farm, "SELECT _id FROM cars ORDER BY _id", key(farm)[1])
        await reader.start()
        await reader.next()
        documents = ", ".join(f"({{'_id': {n}}})" for n in range(7))
        await write(farm, f"INSERT INTO cars DOCUMENTS {documents}")
        _, change = await reader.next()
        assert [each["row"]["_id"] for each in change["insertions"]] == list(range(7))
        assert farm.peer.live.readings.made == 4
        await reader.close()

    farm.run(run())


def follow(items: list[Any], change: dict[str, Any]) -> list[Any]:
    """Return an answer after a step, as a client works it out."""
    moved = [old for old, _ in change["moves"]]
    gone = {*change["deletions"], *moved}
    kept = [row for at, row in enumerate(items) if at not in gone]
    news = {each["at"]: each["row"] for each in change["insertions"]}
    news |= {new: items[old] for old, new in change["moves"]}
    for at in sorted(news):
        kept.insert(at, news[at])
    for each in change["updates"]:
        kept[each["at"]] = each["row"]
    return kept


steps = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from(["blue", "red", "gone"]), st.integers(0, 3)), max_size=12
)


@given(steps=steps)
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_following_the_steps_gives_the_answer(farm: Local, steps: list[tuple[int, str, int]]) -> None:
    async def run() -> None:
        await write(farm, "DELETE FROM cars")
        question = "SELECT _id, n FROM cars ORDER BY n, _id LIMIT 4"
        reader = Reader(farm, question, key(farm, "color = 'blue'")[1])
        await reader.start()
        items = (await reader.next())[1]["items"]
        for number, color, n in steps:
            if color == "gone":
                await write(farm, "DELETE FROM cars WHERE _id = :i", {"i": number})
            else:
                document = {"_id": number, "color": color, "n": n}
                await write(farm, "INSERT INTO cars DOCUMENTS (:d) ON ID CONFLICT DO UPDATE", {"d": document})
        await write(farm, "INSERT INTO cars DOCUMENTS ({'_id': 9, 'color': 'blue', 'n': -1})")
        while not items or items[0]["_id"] != 9:
            name, change = await reader.next()
            assert name == "changes"
            items = follow(items, change)
        wanted = await farm.peer.queries.execute(
            "SELECT _id, n FROM cars WHERE color = 'blue' ORDER BY n, _id LIMIT 4", {}, by_json=True
        )
        assert items == wanted.items
        await reader.close()

    farm.run(run())
