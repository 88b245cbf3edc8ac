"""A request with an Idempotency-Key is done once, whatever happened to its answer."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bigpeer_harness import EXECUTE, Local, local

from hedgerow.errors import HedgerowError
from hedgerow_bigpeer import limits

ADD = "INSERT INTO c DOCUMENTS ({'n': 1})"
COUNT = "UPDATE c APPLY n INCREMENT BY 1 WHERE _id = 1"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Local]:
    with local(tmp_path) as running:
        yield running


def test_the_second_answer_is_the_first(served: Local) -> None:
    first = served.execute(ADD, **{"idempotency-key": "a"})
    served.execute("INSERT INTO c DOCUMENTS ({'n': 2})")
    again = served.execute(ADD, **{"idempotency-key": "a"})
    assert again.status_code == 200 and again.json() == first.json()
    assert again.headers["x-ditto-txn-id"] == first.headers["x-ditto-txn-id"]
    other = served.execute(ADD, **{"idempotency-key": "b"})
    assert other.json()["mutatedDocumentIds"] != first.json()["mutatedDocumentIds"]
    assert len(served.items("SELECT * FROM c")) == 3


def test_another_request_of_the_key_is_refused(served: Local) -> None:
    served.execute(ADD, **{"idempotency-key": "a"})
    refused = served.execute("DELETE FROM c", **{"idempotency-key": "a"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "REQUEST_REPEATED")
    assert len(served.items("SELECT * FROM c")) == 1


def test_what_changed_nothing_changes_nothing_later(served: Local) -> None:
    statement = "UPDATE c SET n = 5 WHERE n = 1"
    assert served.execute(statement, **{"idempotency-key": "a"}).json()["mutatedDocumentIds"] == []
    served.execute(ADD)
    assert served.execute(statement, **{"idempotency-key": "a"}).json()["mutatedDocumentIds"] == []
    assert served.items("SELECT n FROM c") == [{"n": 1}]


def test_requests_at_the_same_time_are_one(served: Local) -> None:
    served.execute("INSERT INTO c DOCUMENTS ({'_id': 1})")

    async def ask() -> Any:
        return await served._client.post(EXECUTE, json={"statement": COUNT}, headers={"idempotency-key": "k"})

    async def all_of_them() -> list[Any]:
        return [answer.json() for answer in await asyncio.gather(*[ask() for _ in range(8)])]

    answers = served.run(all_of_them())
    assert all(answer == answers[0] for answer in answers) and answers[0]["mutatedDocumentIds"] == [1]
    assert served.items("SELECT n FROM c") == [{"n": 1}]


def test_what_the_same_request_wrote_first_is_in_nobodys_way(served: Local) -> None:
    async def ask() -> Any:
        body = {"statement": "INSERT INTO c DOCUMENTS ({'_id': 1})"}
        return await served._client.post(EXECUTE, json=body, headers={"idempotency-key": "k"})

    async def all_of_them() -> list[Any]:
        return [answer.json() for answer in await asyncio.gather(*[ask() for _ in range(8)])]

    answers = served.run(all_of_them())
    assert all(answer == answers[0] for answer in answers) and answers[0]["mutatedDocumentIds"] == [1]


def test_a_refusal_is_not_kept(served: Local) -> None:
    insert = "INSERT INTO c DOCUMENTS ({'_id': 1})"
    served.execute(insert)
    assert served.execute(insert, **{"idempotency-key": "a"}).status_code == 409
    served.execute("DELETE FROM c WHERE _id = 1")
    assert served.execute(insert, **{"idempotency-key": "a"}).status_code == 200


def test_an_answer_that_was_lost_is_given_again(served: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    store = served.peer.service.store
    ingest = store.ingest

    async def lossy(*args: Any) -> Any:
        await ingest(*args)
        raise HedgerowError("STORE_FAILED", "the answer is lost")

    monkeypatch.setattr(store, "ingest", lossy)
    assert served.execute(ADD, **{"idempotency-key": "a"}).status_code == 503
    monkeypatch.setattr(store, "ingest", ingest)
    assert served.execute(ADD, **{"idempotency-key": "a"}).status_code == 200
    assert len(served.items("SELECT * FROM c")) == 1


def test_a_key_is_free_again_after_a_day(served: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    served.execute(ADD, **{"idempotency-key": "a"})
    monkeypatch.setattr(limits, "ANSWER_MS", -60_000)
    served.execute(ADD, **{"idempotency-key": "a"})
    assert len(served.items("SELECT * FROM c")) == 2


@pytest.mark.parametrize("key", ["", "x" * 256, "\x7f"])
def test_what_is_no_key(served: Local, key: str) -> None:
    refused = served.execute(ADD, **{"idempotency-key": key})
    assert refused.json()["error"]["code"] == "REQUEST_SHAPE"
