"""What is read under /api/hedgerow/v1: pages of documents, ranges of time, changes, peers; and how often."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from bigpeer_harness import Local, local
from log_writer import JUNE
from raw_author import RawAuthor

from hedgerow.codec.decimal import Decimal
from hedgerow.codec.schema import STREAM
from hedgerow.errors import HedgerowError
from hedgerow.operation import SOURCE_GATEWAY
from hedgerow_bigpeer import limits
from hedgerow_bigpeer.auth.rights import Rights
from hedgerow_bigpeer.auth.scope import Entry
from hedgerow_bigpeer.clock import rfc3339
from hedgerow_bigpeer.feed import Reader
from hedgerow_bigpeer.http.changes import ChangesEndpoint
from hedgerow_bigpeer.http.rates import Rates

V1 = "/api/hedgerow/v1"
MINUTE = 60_000


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    """A Big Peer with 25 documents in c."""
    with local(tmp_path_factory.mktemp("data")) as running:
        for n in range(25):
            running.execute("INSERT INTO c DOCUMENTS (:d)", {"d": {"_id": n, "n": n, "odd": n % 2 == 1}})
        yield running


def get(served: Local, path: str, status: int = 200, **params: Any) -> Any:
    answer = served.request("GET", V1 + path, params=params)
    assert answer.status_code == status, answer.text
    return json.loads(answer.text, parse_float=str)


def pages(served: Local, path: str, **params: Any) -> list[list[Any]]:
    """Read all pages."""
    found = []
    while True:
        page = get(served, path, **params)
        found.append(page["items"])
        if page["next"] is None:
            return found
        params["after"] = page["next"]


@pytest.mark.parametrize(("limit", "sizes"), [(10, [10, 10, 5]), (25, [25]), (24, [24, 1]), (1000, [25])])
def test_pages_are_by_keys(served: Local, limit: int, sizes: list[int]) -> None:
    found = pages(served, "/collections/c/documents", limit=limit)
    assert [len(page) for page in found] == sizes
    assert [row["n"] for page in found for row in page] == list(range(25))


def test_a_page_is_not_moved_by_what_is_written_meanwhile(tmp_path: Path) -> None:
    with local(tmp_path) as served:
        for n in range(0, 20, 2):
            served.execute("INSERT INTO c DOCUMENTS (:d)", {"d": {"_id": n}})
        page = get(served, "/collections/c/documents", limit=5)
        served.execute("INSERT INTO c DOCUMENTS ({'_id': 1})")
        served.execute("DELETE FROM c WHERE _id = 8")
        rest = get(served, "/collections/c/documents", after=page["next"])
        assert [row["_id"] for row in page["items"]] == [0, 2, 4, 6, 8]
        assert [row["_id"] for row in rest["items"]] == [10, 12, 14, 16, 18]


def test_pages_of_a_condition(served: Local) -> None:
    found = pages(served, "/collections/c/documents", limit=5, where="odd AND n > 6")
    assert [[row["n"] for row in page] for page in found] == [[7, 9, 11, 13, 15], [17, 19, 21, 23]]


@pytest.mark.parametrize(
    ("path", "params", "code"),
    [
        ("/collections/c/documents", {"limit": "0"}, "REQUEST_SYNTAX"),
        ("/collections/c/documents", {"limit": "ten"}, "REQUEST_SYNTAX"),
        ("/collections/c/documents", {"limt": "10"}, "REQUEST_SYNTAX"),
        ("/collections/c/documents", {"after": "AAAA"}, "REQUEST_SYNTAX"),
        ("/collections/c/documents", {"after": "!"}, "REQUEST_SYNTAX"),
        ("/collections/c/documents", {"where": "n >"}, "QUERY_SYNTAX"),
        ("/collections/c/documents", {"where": "count(*) > 1"}, "QUERY_AGGREGATE"),
        ("/collections/c/documents", {"where": "n = :x"}, "QUERY_PARAMETER"),
        ("/timeseries/c", {"from": "2026-06-01T00:00:00"}, "REQUEST_SYNTAX"),
        ("/timeseries/c", {"from": "yesterday"}, "REQUEST_SYNTAX"),
        ("/timeseries/c", {"from": "2026-06-02T00:00:00Z", "to": "2026-06-02T00:00:00Z"}, "REQUEST_SYNTAX"),
        ("/timeseries/c", {"window": "0m"}, "REQUEST_SYNTAX"),
        ("/timeseries/c", {"window": "15"}, "REQUEST_SYNTAX"),
        ("/timeseries/c", {"window": "15m"}, "REQUEST_SYNTAX"),
        ("/timeseries/c", {"window": "1ms", "fields": "n"}, "REQUEST_SYNTAX"),
        ("/timeseries/c", {"window": "15m", "fields": "n,n"}, "REQUEST_SYNTAX"),
        ("/timeseries/c", {"window": "15m", "fields": "n", "aggregates": "median"}, "REQUEST_SYNTAX"),
        ("/timeseries/c", {"aggregates": "avg"}, "REQUEST_SYNTAX"),
        ("/timeseries/c", {"after": "AAAA"}, "REQUEST_SYNTAX"),
        ("/changes", {"since": "AAAA"}, "REQUEST_SYNTAX"),
        ("/changes", {"wait": "31"}, "REQUEST_SYNTAX"),
        ("/peers", {"limit": "1"}, "REQUEST_SYNTAX"),
        ("/collections/a%00b/documents", {}, "REQUEST_SYNTAX"),
        ("/timeseries/a%00b", {}, "REQUEST_SYNTAX"),
        ("/changes", {"collection": "a\0b"}, "REQUEST_SYNTAX"),
    ],
)
def test_what_is_wrong_is_a_problem_with_a_code(
    served: Local, path: str, params: dict[str, str], code: str
) -> None:
    answer = served.request("GET", V1 + path, params=params)
    problem = answer.json()
    assert answer.status_code == problem["status"] == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["code"] == problem["error"]["code"] == code
    assert problem["type"] == f"urn:hedgerow:error:{code}" and problem["title"] and problem["detail"]


@pytest.fixture
def readings(tmp_path: Path) -> Iterator[tuple[Local, RawAuthor]]:
    """A Big Peer, and a board that takes its readings there."""
    with local(tmp_path, clock_error_ms=1) as served:
        author = RawAuthor(7, "readings", STREAM)
        author.clock(epoch=1, uptime=0, source=SOURCE_GATEWAY, utc=JUNE, error=10)
        yield served, author


def record(author: RawAuthor, at: int, **fields: object) -> None:
    """Write a reading, so many ms after the board's start at the beginning of June."""
    author.insert(at, None, **fields)


def give(served: Local, author: RawAuthor) -> None:
    served.run(served.peer.service.submit(author.take()))


def june(minutes: int) -> str:
    return rfc3339(JUNE + minutes * MINUTE)


def test_a_range_is_half_open(readings: tuple[Local, RawAuthor]) -> None:
    served, author = readings
    for minute in range(5):
        record(author, minute * MINUTE, t=Decimal(390 + minute, -1), board="a")
    give(served, author)
    found = get(served, "/timeseries/readings", **{"from": june(1), "to": june(3)})
    assert [item["time"] for item in found["items"]] == [june(1), june(2)]
    assert [item["document"]["t"] for item in found["items"]] == ["39.1", "39.2"]
    assert (found["from"], found["to"], found["next"], found["untimed"]) == (june(1), june(3), None, 0)
    some = get(served, "/timeseries/readings", fields="t", **{"from": june(1), "to": june(2)})
    assert set(some["items"][0]["document"]) == {"_id", "t"}
    paged = pages(served, "/timeseries/readings", limit=2, **{"from": june(0), "to": june(9)})
    assert [[item["time"] for item in page] for page in paged] == [
        [june(0), june(1)],
        [june(2), june(3)],
        [june(4)],
    ]


def test_windows_are_exact_and_late_readings_are_in_theirs(readings: tuple[Local, RawAuthor]) -> None:
    served, author = readings
    for minute in (0, 5, 14, 15, 40):
        record(author, minute * MINUTE, t=Decimal(minute, -1), board="ab"[minute % 2])
    give(served, author)
    asked = {
        "from": june(0),
        "to": june(45),
        "window": "15m",
        "fields": "t",
        "aggregates": "avg,min,max,count",
    }
    found = get(served, "/timeseries/readings", **asked)["items"]
    assert [(item["start"], item["end"], item["readings"]) for item in found] == [
        (june(0), june(15), 3),
        (june(15), june(30), 1),
        (june(30), june(45), 1),
    ]
    assert found[0]["fields"]["t"] == {"avg": "0.6333333", "min": "0.0", "max": "1.4", "count": 3}
    # Another board's readings of the same time come days later.
    late = RawAuthor(8, "readings", STREAM)
    late.clock(epoch=1, uptime=0, source=SOURCE_GATEWAY, utc=JUNE, error=10)
    record(late, 7 * MINUTE, t=Decimal(100, -1), board="c")
    give(served, late)
    found = get(served, "/timeseries/readings", **asked)["items"]
    assert (found[0]["readings"], found[0]["fields"]["t"]["max"]) == (4, "10.0")
    grouped = get(served, "/timeseries/readings", group="board", **{**asked, "aggregates": "first,last,sum"})
    first = [item for item in grouped["items"] if item["start"] == june(0)]
    assert [(item["group"]["board"], item["fields"]["t"]) for item in first] == [
        ("a", {"first": "0.0", "last": "1.4", "sum": "1.4"}),
        ("b", {"first": "0.5", "last": "0.5", "sum": "0.5"}),
        ("c", {"first": "10.0", "last": "10.0", "sum": "10.0"}),
    ]
    only = get(served, "/timeseries/readings", where="board = 'c'", **asked)["items"]
    assert [item["readings"] for item in only] == [1]


def test_windows_are_cut_at_the_edges_of_the_range(readings: tuple[Local, RawAuthor]) -> None:
    served, author = readings
    for minute in (1, 3, 16):
        record(author, minute * MINUTE, t=1)
    give(served, author)
    found = get(
        served,
        "/timeseries/readings",
        **{"from": june(2), "to": june(17), "window": "15m", "fields": "t,none", "aggregates": "count,min"},
    )["items"]
    assert [(item["start"], item["end"], item["readings"]) for item in found] == [
        (june(2), june(15), 1),
        (june(15), june(17), 1),
    ]
    assert found[0]["fields"] == {"t": {"count": 1, "min": 1}, "none": {"count": 0, "min": None}}


def test_what_has_no_time_is_counted_apart(readings: tuple[Local, RawAuthor]) -> None:
    served, _ = readings
    lost = RawAuthor(9, "readings", STREAM)
    record(lost, 1000, t=1)
    give(served, lost)
    found = get(served, "/timeseries/readings", **{"from": june(0), "to": june(9)})
    assert (found["items"], found["untimed"]) == ([], 1)


def test_changes_are_told_once_and_in_order(tmp_path: Path) -> None:
    with local(tmp_path) as served:
        served.execute("INSERT INTO c DOCUMENTS ({'_id': 1, 'n': 1})")
        served.execute("UPDATE c SET n = 2 WHERE _id = 1")
        done = served.execute("INSERT INTO d DOCUMENTS ({'_id': 'x'})").json()
        served.execute("DELETE FROM c WHERE _id = 1")
        first = get(served, "/changes", limit=2)
        rest = get(served, "/changes", since=first["next"])
        told = [(c["op"], c["collection"], c["_id"], c["before"], c["after"]) for c in first["changes"]]
        assert told == [
            ("c", "c", 1, None, {"_id": 1, "n": 1}),
            ("u", "c", 1, {"_id": 1, "n": 1}, {"_id": 1, "n": 2}),
        ]
        assert [(c["op"], c["_id"]) for c in rest["changes"]] == [("c", "x"), ("d", 1)]
        assert rest["changes"][0]["transactionId"] == done["transactionId"]
        author = served.peer.service.store.identity.author.hex()
        assert {c["author"] for c in rest["changes"]} == {author}
        end = get(served, "/changes", since=rest["next"])
        assert end == {"changes": [], "next": rest["next"]}
        assert [c["_id"] for c in get(served, "/changes", collection="d")["changes"]] == ["x"]
        now = get(served, "/changes", since="now")
        assert now["changes"] == []
        served.execute("INSERT INTO d DOCUMENTS ({'_id': 'y'})")
        assert [c["_id"] for c in get(served, "/changes", since=now["next"])["changes"]] == ["y"]


def test_a_long_poll_answers_when_something_comes(tmp_path: Path) -> None:
    with local(tmp_path) as served:
        since = get(served, "/changes", since="now")["next"]

        async def poll() -> tuple[Any, Any]:
            waiting = asyncio.create_task(served.get(f"{V1}/changes?since={since}&wait=20"))
            await asyncio.sleep(0.05)
            assert not waiting.done()
            await served.ask("INSERT INTO c DOCUMENTS ({'_id': 5})")
            answer = await waiting
            nothing = await served.get(f"{V1}/changes?since={answer.json()['next']}")
            return answer.json(), nothing.json()

        told, nothing = served.run(poll())
        assert [c["_id"] for c in told["changes"]] == [5] and nothing["changes"] == []


def test_changes_as_server_sent_events(tmp_path: Path) -> None:
    with local(tmp_path) as served:
        served.execute("INSERT INTO c DOCUMENTS ({'_id': 1})")
        events = _events(served, {"accept": "text/event-stream"}, 2, "INSERT INTO c DOCUMENTS ({'_id': 2})")
        assert [(name, json.loads(data)["_id"]) for name, _, data in events] == [("change", 1), ("change", 2)]
        again = {"accept": "text/event-stream", "last-event-id": events[0][1]}
        assert [json.loads(data)["_id"] for _, _, data in _events(served, again, 1, None)] == [2]


def _events(
    served: Local, headers: dict[str, str], count: int, write: str | None
) -> list[tuple[str, str, str]]:
    """Read so many events of the feed from the application itself; write something after the first."""

    async def read() -> list[tuple[str, str, str]]:
        found: list[tuple[str, str, str]] = []
        async for event in _stream(served, headers):
            lines = dict(line.split(": ", 1) for line in event.decode().strip().split("\n"))
            found.append((lines["event"], lines.get("id", ""), lines["data"]))
            if len(found) == 1 and write is not None:
                await served.ask(write)
            if len(found) == count:
                break
        return found

    return served.run(read())


async def _stream(served: Local, headers: dict[str, str]) -> AsyncIterator[bytes]:
    """Yield the events of a stream."""
    from starlette.requests import Request

    scope = {
        "type": "http",
        "method": "GET",
        "path": f"{V1}/changes",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "state": {},
    }
    answer: Any = await served.peer.changes(Request(scope))
    assert answer.media_type == "text/event-stream"
    async for event in answer.body_iterator:
        yield event


def test_a_cursor_of_another_epoch_or_behind_what_is_kept_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hedgerow_bigpeer.store.ingest.MOMENT_MS", 0)
    with local(tmp_path / "one") as one, local(tmp_path / "two") as two:
        for served in (one, two):
            for n in range(4):
                served.execute("INSERT INTO c DOCUMENTS (:d)", {"d": {"_id": n}})
        first = get(one, "/changes", limit=1)["next"]
        gone = one.request("GET", f"{V1}/changes", params={"since": get(two, "/changes", limit=1)["next"]})
        assert (gone.status_code, gone.json()["code"]) == (410, "CURSOR_GONE")
        store, now = one.peer.service.store, one.peer.service.clock.utc()
        last = get(one, "/changes")["next"]
        assert one.run(store.trim(0, 100)) == 0
        while one.run(store.trim(now + 10_000, 2)):
            pass
        assert one.run(store.outbox((0, 0), 10)) == []
        assert get(one, "/changes", 410, since=first)["code"] == "CURSOR_GONE"
        assert get(one, "/changes", since=last)["changes"] == []


def test_a_reader_sees_what_it_may_read(tmp_path: Path) -> None:
    """What comes into its sight is new, what leaves it is gone, and the rest is not told."""
    rights = Rights((Entry("c", 1, "n > 1"), Entry("d", 1)))
    with local(tmp_path) as served:
        served.execute("INSERT INTO c DOCUMENTS ({'_id': 1, 'n': 1})")
        for n in (2, 3, 0):
            served.execute("UPDATE c SET n = :n WHERE _id = 1", {"n": n})
        served.execute("INSERT INTO secret DOCUMENTS ({'_id': 1})")
        served.execute("INSERT INTO d DOCUMENTS ({'_id': 2})")
        rows = list(served.run(served.peer.service.store.outbox((0, 0), 100)))
        told = [(c.op, c.collection, c.before, c.after) for c in Reader(rights, None).read(rows)]
        assert told == [
            ("c", "c", None, {"_id": 1, "n": 2}),
            ("u", "c", {"_id": 1, "n": 2}, {"_id": 1, "n": 3}),
            ("d", "c", {"_id": 1, "n": 3}, None),
            ("c", "d", None, {"_id": 2}),
        ]
        with pytest.raises(HedgerowError, match="AUTH_FORBIDDEN"):
            Reader(rights, "secret")


def test_so_many_feeds_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CHANGES_STREAMS", 0)
    with local(tmp_path) as served:
        assert get(served, "/changes", 400, wait=1)["code"] == "OBSERVERS_FULL"
        assert isinstance(served.peer.changes, ChangesEndpoint)
        assert get(served, "/changes")["changes"] == []


def test_peers_are_shown_with_what_is_held(served: Local) -> None:
    found = get(served, "/peers")["peers"]
    own = served.peer.service.store.identity.author.hex()
    (row,) = [row for row in found if row["author"] == own]
    assert (row["name"], row["held"], row["lost"], row["refused"]) == ("test", 26, [], None)


def test_whoever_is_expected_and_says_nothing_is_overdue(
    served: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = served.peer.service.store.identity.author.hex()
    served.execute("INSERT INTO peers DOCUMENTS ({'_id': 'test', 'place': 'the barn', 'due_s': 60})")
    served.execute(
        "INSERT INTO peers DOCUMENTS ({'_id': 'never', 'due_s': 0.5}), ({'_id': 'x', 'due_s': 'y'})"
    )

    def rows() -> dict[str, tuple[str, Any, Any, bool]]:
        found = get(served, "/peers")["peers"]
        return {row["name"]: (row["author"], row["place"], row["due_s"], row["overdue"]) for row in found}

    assert rows() == {
        "test": (own, "the barn", 60, False),
        "never": ("", None, "0.5", True),
        "x": ("", None, None, False),
    }
    gauge = "hedgerow_bigpeer_peer_overdue"
    metrics = served.request("GET", "/metrics").text
    assert f'{gauge}{{peer="never"}} 1\n{gauge}{{peer="test",user="big-peer"}} 0\n' in metrics
    now = served.peer.service.clock.utc
    monkeypatch.setattr(served.peer.service.clock, "utc", lambda: now() + 61_000)
    assert rows()["test"] == (own, "the barn", 60, True)
    # By its author too, which says more than a name.
    served.execute("INSERT INTO peers DOCUMENTS (:d)", {"d": {"_id": own, "due_s": 3600}})
    assert rows()["test"] == (own, None, 3600, False)
    served.execute("DELETE FROM peers")
    assert rows() == {"test": (own, None, None, False)}
    assert gauge not in served.request("GET", "/metrics").text


def test_a_caller_that_asks_too_often_waits() -> None:
    now = [100.0]
    rates = Rates(2.0, lambda: now[0])
    for _ in range(4):
        rates.take("a")
    with pytest.raises(HedgerowError, match="RATE_LIMITED: 1 s"):
        rates.take("a")
    rates.take("b")
    now[0] += 0.5
    rates.take("a")
    with pytest.raises(HedgerowError, match="RATE_LIMITED"):
        rates.take("a")
    now[0] += 100
    for _ in range(4):
        rates.take("a")
    Rates(0).take("a")


def test_callers_are_not_remembered_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CALLERS", 3)
    rates = Rates(1.0, lambda: 0.0)
    for n in range(9):
        rates.take(str(n))
    assert list(rates._left) == ["6", "7", "8"]


def test_too_many_requests_are_answered_with_429(tmp_path: Path) -> None:
    with local(tmp_path, requests_per_second=0.5) as served:
        assert served.execute("SELECT * FROM c").status_code == 200
        refused = served.execute("SELECT * FROM c")
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "RATE_LIMITED")
        assert 1 <= int(refused.headers["retry-after"]) <= 2
        again = served.request("GET", f"{V1}/changes")
        assert (again.status_code, again.headers["retry-after"]) == (429, refused.headers["retry-after"])


def test_the_oldest_name_of_the_header_is_understood(served: Local) -> None:
    assert served.execute("SELECT * FROM c LIMIT 1", **{"x-hydra-txn-id": "3"}).status_code == 200
    never = served.execute("SELECT * FROM c LIMIT 1", **{"x-hydra-txn-id": "nine"})
    assert never.json()["error"]["code"] == "REQUEST_SHAPE"
