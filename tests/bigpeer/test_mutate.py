"""UPDATE, DELETE, EVICT and counters over HTTP: one statement is one operation, or nothing (SPEC 10.8)."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bigpeer_harness import Local, local
from raw_author import YEAR, RawAuthor

from hedgerow.codec.schema import KEEP, SCOPE_BIG_PEER, SCOPE_LOCAL, Schema
from hedgerow.limits import MAX_CHANGES, MAX_NAME, MAX_OPERATION
from hedgerow.operation import decode_body
from hedgerow_bigpeer.store.rows import SchemaEntry


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Local]:
    with local(tmp_path) as running:
        yield running


def done(served: Local, statement: str, args: object = None) -> Any:
    """Run a statement that must succeed; return its answer."""
    response = served.execute(statement, args)
    assert response.status_code == 200, response.text
    return response.json()


def refused(served: Local, statement: str, args: object = None) -> tuple[int, str, str]:
    """Run a statement that must fail; return status, code and description."""
    response = served.execute(statement, args)
    error = response.json()["error"]
    return response.status_code, error["code"], error["description"]


def held(served: Local) -> int:
    return served.peer.service.frontier(served.peer.service.store.identity.author).held


def test_update_writes_what_it_names_and_nothing_else(served: Local) -> None:
    for n in range(4):
        done(served, "INSERT INTO cars DOCUMENTS (:d)", {"d": {"_id": n, "n": n, "size": {"l": 1, "w": 2}}})
    before = held(served)
    answer = done(served, "UPDATE cars SET size.l = n + 0.5, color = 'blue' UNSET size.w WHERE n >= 2")
    assert (answer["queryType"], answer["mutatedDocumentIds"], answer["items"]) == ("update", [2, 3], [])
    assert held(served) == before + 1
    assert served.items("SELECT * FROM cars WHERE n = 2") == [
        {"_id": 2, "n": 2, "size": {"l": "2.5"}, "color": "blue"}
    ]
    assert served.items("SELECT * FROM cars WHERE n = 1") == [{"_id": 1, "n": 1, "size": {"l": 1, "w": 2}}]
    assert done(served, "UPDATE cars SET n = 9 WHERE n = 77")["mutatedDocumentIds"] == []
    assert held(served) == before + 1


def test_delete_and_insert_again(served: Local) -> None:
    done(served, "INSERT INTO cars DOCUMENTS ({'_id': 1, 'a': 1}), ({'_id': 2, 'a': 1})")
    assert done(served, "DELETE FROM cars WHERE _id = 1")["mutatedDocumentIds"] == [1]
    assert served.items("SELECT _id FROM cars") == [{"_id": 2}]
    assert done(served, "DELETE FROM cars WHERE _id = 1")["mutatedDocumentIds"] == []
    done(served, "INSERT INTO cars DOCUMENTS ({'_id': 1, 'b': 2})")
    assert served.items("SELECT * FROM cars WHERE _id = 1") == [{"_id": 1, "b": 2}]
    assert done(served, "DELETE FROM cars")["mutatedDocumentIds"] == [1, 2]


def test_counters_count_every_increment(served: Local) -> None:
    done(served, "INSERT INTO cars DOCUMENTS ({'_id': 1})")

    async def count() -> None:
        statement = "UPDATE cars APPLY laps INCREMENT BY 3 WHERE _id = 1"
        answers = await asyncio.gather(*[served.ask(statement) for _ in range(8)])
        assert {answer.status_code for answer in answers} == {200}

    served.run(count())
    assert served.items("SELECT laps FROM cars") == [{"laps": 24}]
    done(served, "UPDATE cars SET laps = 5 WHERE _id = 1")
    done(served, "UPDATE cars APPLY laps INCREMENT BY 0.5 WHERE _id = 1")
    assert served.items("SELECT laps FROM cars") == [{"laps": "5.5"}]
    done(served, "UPDATE cars APPLY laps RESTART WHERE _id = 1")
    assert served.items("SELECT laps FROM cars") == [{"laps": 0}]


def test_a_statement_that_is_more_than_one_operation_changes_nothing(served: Local) -> None:
    for n in range(MAX_CHANGES + 1):
        done(served, "INSERT INTO cars DOCUMENTS (:d)", {"d": {"_id": n, "n": 0}})
    before = held(served)
    for statement in ("UPDATE cars SET n = 1", "DELETE FROM cars"):
        status, code, description = refused(served, statement)
        assert (status, code) == (400, "OPERATION_CHANGES") and "narrow it" in description
    # Two changes of each document, one that writes and one that counts.
    both = f"UPDATE cars SET n = 1 APPLY m INCREMENT BY 1 WHERE _id <= {MAX_CHANGES // 2}"
    status, code, description = refused(served, both)
    assert (status, code) == (400, "OPERATION_CHANGES") and "split it" in description
    text = "x" * (MAX_OPERATION // 2)
    status, code, description = refused(served, "UPDATE cars SET t = :t WHERE _id < 2", {"t": text})
    assert (status, code) == (400, "OPERATION_TOO_LARGE") and "split it" in description
    assert held(served) == before
    assert served.items("SELECT DISTINCT n, t FROM cars") == [{"n": 0}]
    assert len(done(served, f"UPDATE cars SET n = 1 WHERE _id < {MAX_CHANGES}")["mutatedDocumentIds"]) == 64


def test_evict_is_not_for_keepers(served: Local) -> None:
    done(served, "INSERT INTO cars DOCUMENTS ({'_id': 1})")
    status, code, description = refused(served, "EVICT FROM cars WHERE _id = 1")
    assert (status, code) == (400, "EVICT_KEEPER") and "DELETE" in description
    assert served.items("SELECT _id FROM cars") == [{"_id": 1}]


def test_what_was_written_is_read_by_its_transaction(served: Local) -> None:
    done(served, "INSERT INTO cars DOCUMENTS ({'_id': 1, 'n': 1})")
    for n in range(2, 6):
        answer = served.execute("UPDATE cars SET n = n + 1 WHERE _id = 1")
        seen = served.execute("SELECT n FROM cars", **{"X-DITTO-TXN-ID": answer.headers["X-DITTO-TXN-ID"]})
        assert seen.json()["items"] == [{"n": n}]


def test_an_update_over_json_finds_a_document_by_its_dot(served: Local) -> None:
    (dot,) = done(served, "INSERT INTO cars DOCUMENTS ({'n': 1})")["mutatedDocumentIds"]
    assert done(served, "UPDATE cars SET n = 2 WHERE _id = :id", {"id": dot})["mutatedDocumentIds"] == [dot]
    assert served.items("SELECT * FROM cars") == [{"_id": dot, "n": 2}]


def test_a_document_that_a_wrong_clock_wrote_can_be_changed(served: Local) -> None:
    board = RawAuthor(1, collection="readings")
    board.insert(43 * YEAR, None, t=1)
    served.run(served.peer.service.submit(board.take()))
    done(served, "UPDATE readings SET t = 2")
    assert served.items("SELECT t FROM readings") == [{"t": 2}]
    done(served, "DELETE FROM readings")
    assert served.items("SELECT t FROM readings") == []


def test_writes_keep_to_the_scope_of_their_collection(served: Local) -> None:
    kinds = {"inner": KEEP + 2 * SCOPE_BIG_PEER, "mine": KEEP + 2 * SCOPE_LOCAL}
    for name, kind in kinds.items():
        served.run(served.peer.service.submit([SchemaEntry(Schema(name, kind, ()).encoded)]))
        done(served, f"INSERT INTO {name} DOCUMENTS ({{'_id': 1, 'n': 1}})")
        assert served.items(f"SELECT * FROM {name}") == [{"_id": 1, "n": 1}]
    store = served.peer.service.store
    operations, _ = served.run(store.operations(store.identity.author, 2, 3))
    schemas = served.peer.service.schemas
    found = [schemas[decode_body(entry.body)[1][0][1]].kind for entry in operations]
    # What others keep to themselves is an ordinary collection here.
    assert found == [KEEP + 2 * SCOPE_BIG_PEER, KEEP]


def test_a_collection_that_not_every_store_can_hold_is_none(served: Local) -> None:
    for statement in (
        "SELECT * FROM `a\0b`",
        "INSERT INTO `a\0b` DOCUMENTS ({'_id': 1})",
        "UPDATE `a\0b` SET n = 1",
        "DELETE FROM `a\0b`",
        "CREATE INDEX i ON `a\0b` (n)",
        "CREATE INDEX `a\0b` ON c (n)",
        "DROP INDEX `a\0b` ON c",
    ):
        assert refused(served, statement)[:2] == (400, "REQUEST_SYNTAX")
        live = served.request("POST", "/api/hedgerow/v1/live", json={"statement": statement})
        assert (live.status_code, live.json()["error"]["code"] == "STORE_FAILED") == (400, False)
    # What is in documents is theirs; and so is a name of as many letters as there may be.
    name, document = "é" * MAX_NAME, {"_id": "a\0b", "a\0b": "a\0b"}
    done(served, f"INSERT INTO `{name}` DOCUMENTS (:d)", {"d": document})
    page = served.request("GET", f"/api/hedgerow/v1/collections/{name}/documents")
    assert page.json()["items"] == [document]
