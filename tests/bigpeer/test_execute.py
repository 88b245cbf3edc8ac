"""POST /api/v4/store/execute: three encodings, errors, limits, INSERT and its policies."""

import asyncio
import decimal
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cbor2
import httpx
import msgpack
import pytest
from bigpeer_harness import EXECUTE, Local, local
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hedgerow.errors import CODES
from hedgerow.limits import MAX_LISTED
from hedgerow_bigpeer import limits
from hedgerow_bigpeer.draft import Draft
from hedgerow_bigpeer.store.port import Snapshot
from hedgerow_bigpeer.store.sql_store import READERS
from hedgerow_bigpeer.store.sqlite import SqliteStore

ENVELOPE = {
    "transactionId",
    "queryType",
    "items",
    "mutatedDocumentIds",
    "warnings",
    "totalWarningsCount",
    "error",
}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Local]:
    with local(tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    """One Big Peer for the fuzzers; what they insert does not matter."""
    with local(tmp_path_factory.mktemp("bigpeer")) as running:
        yield running


def refusal(response: httpx.Response) -> tuple[int, str]:
    """Return status and code of a refusal, its envelope checked."""
    body = response.json()
    assert set(body) == ENVELOPE and body["queryType"] == "unknown" and body["items"] == []
    assert body["error"]["code"] in CODES and body["error"]["description"]
    return response.status_code, body["error"]["code"]


def test_insert_and_select(served: Local) -> None:
    response = served.execute(
        "INSERT INTO cars DOCUMENTS (:a), ({'_id': 'second', 'price': 12.50})",
        {"a": {"color": "blue", "size": {"length": 4}}},
    )
    body = response.json()
    assert set(body) == ENVELOPE and response.status_code == 200
    assert (body["queryType"], body["error"], body["totalWarningsCount"]) == ("insert", {}, 0)
    dot, second = body["mutatedDocumentIds"]
    assert second == "second" and len(dot) == 2 and len(dot[0]) == 11
    assert response.headers["x-ditto-txn-id"] == str(body["transactionId"])
    assert served.items("SELECT * FROM cars WHERE price IS MISSING") == [
        {"_id": dot, "color": "blue", "size": {"length": 4}}
    ]
    assert served.items("SELECT * FROM cars WHERE _id = 'second'") == [{"_id": "second", "price": "12.50"}]
    assert served.items("SELECT size.length FROM cars WHERE color LIKE :p", {"p": "b%"}) == [{"length": 4}]


def test_decimals_keep_their_digits_in_every_encoding(served: Local) -> None:
    insert = b'"statement": "INSERT INTO t DOCUMENTS (:d)"'
    body = b"{" + insert + b', "args": {"d": {"_id": 1, "x": 39.40, "y": 1e3, "z": -0.10}}}'
    assert served.request(
        "POST", EXECUTE, content=body, headers={"content-type": "application/json"}
    ).is_success
    served.request(
        "POST",
        EXECUTE,
        content=cbor2.dumps(
            {
                "statement": "INSERT INTO t DOCUMENTS (:d)",
                "args": {"d": {"_id": 2, "x": decimal.Decimal("39.40")}},
            }
        ),
        headers={"content-type": "application/cbor"},
    )
    extension = msgpack.ExtType(4, b"39.40")
    served.request(
        "POST",
        EXECUTE,
        content=msgpack.packb(
            {"statement": "INSERT INTO t DOCUMENTS (:d)", "args": {"d": {"_id": 3, "x": extension}}}
        ),
        headers={"content-type": "application/msgpack"},
    )
    assert served.items("SELECT * FROM t WHERE _id = 1") == [
        {"_id": 1, "x": "39.40", "y": "1e3", "z": "-0.10"}
    ]
    question = {"statement": "SELECT x, y, sum(x) AS s FROM t GROUP BY x, y ORDER BY y DESC LIMIT 1"}
    answers: dict[str, Callable[[bytes], Any]] = {
        "application/json": lambda data: json.loads(data, parse_float=decimal.Decimal),
        "application/cbor": cbor2.loads,
        "application/msgpack": lambda data: msgpack.unpackb(
            data, ext_hook=lambda code, raw: decimal.Decimal(raw.decode()) if code == 4 else None
        ),
    }
    for media_type, loads in answers.items():
        headers = {"content-type": "application/json", "accept": media_type}
        response = served.request("POST", EXECUTE, content=json.dumps(question), headers=headers)
        assert response.headers["content-type"] == media_type
        (row,) = loads(response.content)["items"]
        assert [str(row[name]) for name in ("x", "s")] == ["39.40", "39.40"], media_type
        assert row["y"] == 1000
    assert served.items("SELECT count(*) AS n FROM t WHERE x = 39.4") == [{"n": 3}]


def test_accept_is_negotiated(served: Local) -> None:
    body = cbor2.dumps({"statement": "SELECT * FROM c"})
    for accept, media_type in (
        ("", "application/cbor"),
        ("*/*", "application/cbor"),
        ("application/json", "application/json"),
        ("text/html, application/msgpack;q=0.5, application/json;q=0.4", "application/msgpack"),
        ("application/json;q=0, application/x-msgpack", "application/msgpack"),
        ("application/json;q=0.1, */*;q=0.9", "application/cbor"),
    ):
        headers = {"content-type": "application/cbor", "accept": accept}
        response = served.request("POST", EXECUTE, content=body, headers=headers)
        assert (response.status_code, response.headers["content-type"]) == (200, media_type), accept
    headers = {"content-type": "application/cbor", "accept": "text/html"}
    response = served.request("POST", EXECUTE, content=body, headers=headers)
    assert response.status_code == 406 and cbor2.loads(response.content)["error"]["code"] == "REQUEST_ACCEPT"


def test_refusals_are_coded(served: Local) -> None:
    def post(content: bytes, content_type: str = "application/json", **headers: str) -> tuple[int, str]:
        all_headers = {"content-type": content_type, "accept": "application/json", **headers}
        return refusal(served.request("POST", EXECUTE, content=content, headers=all_headers))

    assert post(b"{}", "text/plain") == (415, "REQUEST_TYPE")
    assert post(b"{") == (400, "REQUEST_SYNTAX")
    assert post(b'{"statement": 1}') == (400, "REQUEST_SHAPE")
    assert post(b'{"statement": "SELECT * FROM c", "args": []}') == (400, "REQUEST_SHAPE")
    assert post(b'{"statement": "SELECT * FROM c", "args": {"x": NaN}}') == (400, "REQUEST_SYNTAX")
    assert post(b'{"statement": "SELECT :x AS x FROM c", "args": {"x": "\\ud800"}}') == (400, "REQUEST_VALUE")
    assert post(b'{"statement": "SELECT :x AS x FROM c", "args": {"x": 1e999}}') == (400, "REQUEST_SYNTAX")
    assert post(b"[" * 100_000) == (400, "REQUEST_SYNTAX")
    assert post(b'{"a":' * 300 + b"1" + b"}" * 300) == (400, "REQUEST_VALUE")
    assert post(b" " * (limits.BODY_BYTES + 1)) == (413, "REQUEST_TOO_LARGE")
    assert post(cbor2.dumps(1) + b"\x00", "application/cbor") == (400, "REQUEST_SYNTAX")
    assert post(b"\xd8\x1c\x81\xd8\x1d\x00", "application/cbor") == (400, "REQUEST_VALUE")
    # A mantissa of 900,000 bytes, and an exponent of ten digits.
    long = b"\xc4\x82\x00\xc2\x5a\x00\x0d\xbb\xa0" + b"\xff" * 900_000
    assert post(long, "application/cbor") == (400, "REQUEST_SYNTAX")
    assert post(b"\xc4\x82\x1b\x00\x00\x00\xe8\xd4\xa5\x10\x00\x01", "application/cbor")[0] == 400
    assert post(b"\xc1", "application/msgpack") == (400, "REQUEST_SYNTAX")
    assert post(b'{"statement": "SELECT * FROM c WHERE a = :x"}') == (400, "QUERY_PARAMETER")
    assert post(b'{"statement": "SELEKT"}') == (400, "QUERY_SYNTAX")
    selected = b'{"statement": "SELECT * FROM c"}'
    assert post(selected, **{"X-DITTO-TXN-ID": "x"}) == (400, "REQUEST_SHAPE")
    response = served.request("POST", EXECUTE, content=selected)
    assert refusal(response) == (415, "REQUEST_TYPE")


def test_a_transaction_can_be_waited_for(served: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    written = served.execute("INSERT INTO c DOCUMENTS ({'_id': 1})").json()["transactionId"]
    response = served.execute("SELECT * FROM c", **{"X-DITTO-TXN-ID": str(written)})
    assert response.status_code == 200 and response.json()["transactionId"] >= written
    monkeypatch.setattr(limits, "TRANSACTION_WAIT_SECONDS", 0.05)
    response = served.execute("SELECT * FROM c", **{"X-DITTO-TXN-ID": str(written + 1)})
    assert refusal(response) == (404, "TRANSACTION_NOT_REACHED")


def test_conflict_policies(served: Local) -> None:
    def insert(document: dict[str, Any], policy: str) -> httpx.Response:
        return served.execute(f"INSERT INTO c DOCUMENTS (:d) ON ID CONFLICT {policy}", {"d": document})

    assert insert({"_id": 1, "a": 1, "b": {"x": 1}}, "FAIL").status_code == 200
    assert refusal(insert({"_id": 1, "a": 2}, "DO FAIL")) == (409, "QUERY_CONFLICT")
    body = insert({"_id": 1, "a": 2}, "DO NOTHING").json()
    assert body["mutatedDocumentIds"] == [] and body["totalWarningsCount"] == 1
    assert body["warnings"][0]["_id"] == 1
    assert served.items("SELECT * FROM c") == [{"_id": 1, "a": 1, "b": {"x": 1}}]
    assert insert({"_id": 1, "a": 3, "c": "new"}, "DO UPDATE").json()["mutatedDocumentIds"] == [1]
    assert served.items("SELECT * FROM c") == [{"_id": 1, "a": 3, "b": {"x": 1}, "c": "new"}]
    assert insert({"_id": 1, "a": 3}, "DO UPDATE_LOCAL_DIFF").json()["mutatedDocumentIds"] == []
    assert insert({"_id": 1, "a": 4, "c": "new"}, "DO UPDATE_LOCAL_DIFF").json()["mutatedDocumentIds"] == [1]
    assert served.items("SELECT a FROM c") == [{"a": 4}]
    twice = served.execute("INSERT INTO c DOCUMENTS ({'_id': 2}), ({'_id': 2}) ON ID CONFLICT DO UPDATE")
    assert refusal(twice) == (409, "QUERY_CONFLICT")
    assert served.items("SELECT count(*) AS n FROM c") == [{"n": 1}]


def test_initial_yields_to_any_write(served: Local) -> None:
    assert served.execute("INSERT INTO c INITIAL DOCUMENTS ({'_id': 1, 'a': 'default'})").status_code == 200
    assert served.items("SELECT * FROM c") == [{"_id": 1, "a": "default"}]
    served.execute("INSERT INTO c DOCUMENTS ({'_id': 1, 'a': 'real'}) ON ID CONFLICT DO UPDATE")
    assert served.items("SELECT * FROM c") == [{"_id": 1, "a": "real"}]


def test_documents_over_a_limit_are_refused(served: Local) -> None:
    for document, code in (
        ({"a": "x" * 4000}, "OPERATION_TOO_LARGE"),
        ({"a": "x" * 5000}, "CBOR_TOO_LONG"),
        ({f"f{n}": n for n in range(65)}, "DOCUMENT_FIELDS"),
        ({"_id": {"a": 1}}, "DOCUMENT_ID"),
        ({"_id": "x" * 200}, "DOCUMENT_ID"),
        ({"": 1}, "SCHEMA_INVALID"),
        ({"a": {"": 1}}, "SCHEMA_INVALID"),
    ):
        assert refusal(served.execute("INSERT INTO c DOCUMENTS (:d)", {"d": document}))[1] == code
    assert refusal(served.execute("INSERT INTO c DOCUMENTS (:d)", {"d": 1})) == (400, "QUERY_DOCUMENT")
    assert served.items("SELECT * FROM c") == []
    assert served.execute("INSERT INTO c DOCUMENTS ({'a': 1})").status_code == 200


def test_own_operations_are_sealed_in_order(served: Local) -> None:
    for number in range(70):
        assert served.execute("INSERT INTO c DOCUMENTS (:d)", {"d": {"_id": number}}).status_code == 200
    own = served.peer.service.frontier(served.peer.service.store.identity.author)
    assert (own.held, own.sealed) == (71, 65)


def test_a_caller_that_goes_away_does_not_stop_a_write(served: Local) -> None:
    async def gone() -> None:
        for number in range(20):

            async def plan(draft: Draft, snapshot: Snapshot, document_id: int = number) -> None:
                documents = [{"_id": document_id}]
                await draft.insert(snapshot, "c", documents, "fail", initial=False, by_json=False)

            write = asyncio.create_task(served.peer.own.write(plan))
            for _ in range(number % 5):
                await asyncio.sleep(0)
            write.cancel()
            await asyncio.wait([write])

    served.run(gone())
    assert served.execute("INSERT INTO c DOCUMENTS ({'_id': 'last'})").status_code == 200
    held = served.peer.service.frontier(served.peer.service.store.identity.author).held
    assert served.items("SELECT count(*) AS n FROM c") == [{"n": held - 1}]
    assert held > 2
    served.run(served.peer.own.stop())
    own = served.peer.service.frontier(served.peer.service.store.identity.author)
    assert own.sealed == own.held == held


def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    for round_number in range(3):
        with local(tmp_path) as running:
            count = len(running.items("SELECT * FROM c"))
            assert count == 2 * round_number
            for document in ({"_id": count}, {"a": 1.5}):
                assert running.execute("INSERT INTO c DOCUMENTS (:d)", {"d": document}).status_code == 200
            own = running.peer.service.frontier(running.peer.service.store.identity.author)
            assert own.held == 3 * (round_number + 1)


def test_rows_and_time_have_limits(served: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        served.execute("INSERT INTO c DOCUMENTS (:d)", {"d": {"_id": number}})
    monkeypatch.setattr(limits, "ANSWER_ROWS", 3)
    assert refusal(served.execute("SELECT * FROM c")) == (400, "QUERY_ROWS")
    assert len(served.items("SELECT * FROM c LIMIT 3")) == 3
    monkeypatch.setattr(limits, "STATEMENT_SECONDS", 0.0)
    assert refusal(served.execute("SELECT * FROM c LIMIT 3")) == (408, "QUERY_TIMEOUT")


def test_like_takes_no_more_text_than_a_document_may_hold(served: Local) -> None:
    served.execute("INSERT INTO c DOCUMENTS ({'_id': 1})")
    text = "a" * 100_000
    response = served.execute("SELECT * FROM c WHERE :a LIKE :b", {"a": text, "b": "%a" * 50_000 + "b"})
    assert refusal(response) == (400, "QUERY_TOO_LONG")


def test_lists_of_expressions_have_a_limit(served: Local) -> None:
    many = ", ".join(["a"] * (MAX_LISTED + 1))
    for clause in ("GROUP BY", "ORDER BY"):
        assert refusal(served.execute(f"SELECT a FROM c {clause} {many}")) == (400, "QUERY_TOO_LONG")
    columns = ", ".join(f"a AS a{n}" for n in range(MAX_LISTED + 1))
    assert refusal(served.execute(f"SELECT {columns} FROM c")) == (400, "QUERY_TOO_LONG")


def test_aggregates_of_one_and_of_true_are_two(served: Local) -> None:
    served.execute("INSERT INTO c DOCUMENTS ({'a': 1})")
    assert served.items("SELECT max(a = 1) AS o, max(a = TRUE) AS t FROM c") == [{"o": True, "t": False}]
    assert served.items("SELECT 1 AS o, TRUE AS t FROM c GROUP BY 1") == [{"o": 1, "t": True}]


def test_the_loop_is_free_while_a_statement_runs(served: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    started, go = threading.Event(), threading.Event()

    def slow(*args: object) -> None:
        started.set()
        assert go.wait(20)

    for number in range(3):
        served.execute("INSERT INTO c DOCUMENTS (:d)", {"d": {"_id": number}})
    monkeypatch.setattr("hedgerow_bigpeer.query._add", slow)

    async def both() -> list[int]:
        statement = asyncio.create_task(served.ask("SELECT * FROM c"))
        while not started.is_set():
            await asyncio.sleep(0.001)
        others = [(await served.get(path)).status_code for path in ("/healthz", "/", "/metrics")]
        assert not statement.done()
        go.set()
        return [*others, (await statement).status_code]

    assert served.run(both()) == [200] * 4


def test_a_caller_that_leaves_gives_its_view_back(served: Local) -> None:
    store = served.peer.service.store
    assert isinstance(store, SqliteStore)

    async def leave() -> None:
        async def look() -> None:
            async with store.snapshot() as snapshot:
                await snapshot.document("c", b"")

        for number in range(30):
            work = asyncio.create_task(look())
            for _ in range(number % 10):
                await asyncio.sleep(0)
            work.cancel()
            await asyncio.wait([work])
        await idle()
        await asyncio.sleep(0)
        await idle()

    async def idle() -> None:
        """Wait until all that the reading threads were given is done: each is at the barrier then."""
        barrier = threading.Barrier(READERS)
        loop = asyncio.get_running_loop()
        await asyncio.gather(*[loop.run_in_executor(store._reading, barrier.wait) for _ in range(READERS)])

    served.run(leave())
    opened = len(store._readers)
    served.items("SELECT * FROM c")
    assert 0 < opened == len(store._readers) <= 30
    # A view that was never given back would hold the log of the database for ever.
    assert store._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0


def test_a_fault_in_a_statement_is_coded(served: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(*args: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("hedgerow_bigpeer.query._prepare", fault)
    assert refusal(served.execute("SELECT * FROM c")) == (503, "STORE_FAILED")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
STATEMENTS = st.sampled_from(
    [
        "SELECT :x AS x, :x + 1 AS y, sum(a) AS s FROM fuzz GROUP BY a",
        "SELECT * FROM fuzz WHERE a < :x OR a IN :x OR a LIKE :x ORDER BY :x, a LIMIT 5",
        "SELECT * FROM fuzz LIMIT :x OFFSET :x",
        "INSERT INTO fuzz DOCUMENTS (:x) ON ID CONFLICT DO UPDATE",
        "INSERT INTO fuzz DOCUMENTS ({'_id': :x, 'a': :x}) ON ID CONFLICT DO NOTHING",
        "INSERT INTO fuzz INITIAL DOCUMENTS ({'_id': 'i', 'a': :x}) ON ID CONFLICT DO UPDATE_LOCAL_DIFF",
    ]
)
FUZZ = settings(deadline=None, max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])


def packed(value: Any, media_type: str) -> bytes:
    """Encode what the encoding can hold; anything else as a CBOR item, which it then misreads."""
    try:
        if media_type == "application/json":
            return json.dumps(value, default=repr).encode()
        if media_type == "application/msgpack":
            packed_value: bytes = msgpack.packb(value)
            return packed_value
    except (ValueError, OverflowError):
        pass
    return cbor2.dumps(value)


@FUZZ
@given(
    VALUES,
    STATEMENTS,
    st.sampled_from(["application/json", "application/cbor", "application/msgpack"]),
    st.sampled_from(["application/json", "application/cbor", "application/msgpack"]),
)
def test_any_arguments_are_answered(
    shared: Local, value: Any, statement: str, media_type: str, accept: str
) -> None:
    content = packed({"statement": statement, "args": {"x": value}}, media_type)
    headers = {"content-type": media_type, "accept": accept}
    response = shared.request("POST", EXECUTE, content=content, headers=headers)
    assert response.status_code in (200, 400, 409), response.content
    assert response.headers["content-type"] == accept


@FUZZ
@given(
    st.binary(max_size=200), st.sampled_from(["application/json", "application/cbor", "application/msgpack"])
)
def test_any_bytes_are_refused(shared: Local, content: bytes, media_type: str) -> None:
    headers = {"content-type": media_type, "accept": "application/json"}
    assert refusal(shared.request("POST", EXECUTE, content=content, headers=headers))[0] == 400
