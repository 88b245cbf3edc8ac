"""Who waits for whom: reads for no write; writes for the transaction under way, and then go on together."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from bigpeer_harness import EXECUTE, Local, local

from hedgerow.errors import HedgerowError
from hedgerow.limits import SEAL_EVERY
from hedgerow_bigpeer import limits
from hedgerow_bigpeer.store.port import Snapshot
from hedgerow_bigpeer.store.sql import Connection
from hedgerow_host.dql import parser

MANY = 2 * limits.STATEMENTS_AT_ONCE


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Local]:
    with local(tmp_path) as running:
        yield running


@asynccontextmanager
async def held(served: Local) -> AsyncIterator[None]:
    """Keep a transaction of the store open within the block."""
    begun, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def hold(db: Connection, key: tuple[str, int]) -> bool:
        loop.call_soon_threadsafe(begun.set)
        return go_on.wait(60)

    holding = asyncio.create_task(served.peer.service.store.transact(hold))
    await begun.wait()
    try:
        yield
    finally:
        go_on.set()
        assert await holding


async def ask(served: Local, statement: str, key: str = "") -> Any:
    headers = {"idempotency-key": key} if key else {}
    return (await served._client.post(EXECUTE, json={"statement": statement}, headers=headers)).json()


async def waiting(served: Local, *asked: tuple[str, str]) -> list["asyncio.Task[Any]"]:
    """Begin statements, one by one; the first is in a transaction of its own, the others wait for it."""
    own = served.peer.own
    tasks = []
    for number, (statement, key) in enumerate(asked):
        tasks.append(asyncio.create_task(ask(served, statement, key)))
        while len(own._waiting) != number or own._task is None or own._task.done():
            await asyncio.sleep(0.001)
    return tasks


def test_a_select_waits_for_no_change(served: Local) -> None:
    served.execute("INSERT INTO c DOCUMENTS ({'_id': 'before'})")

    async def run() -> None:
        async with held(served):
            inserts = [(f"INSERT INTO c DOCUMENTS ({{'_id': {number}}})", "") for number in range(MANY)]
            tasks = await waiting(served, *inserts)
            async with asyncio.timeout(30):
                answer = await ask(served, "SELECT _id FROM c")
            assert answer["items"] == [{"_id": "before"}]
            assert not any(task.done() for task in tasks)
        assert [answer["error"] for answer in await asyncio.gather(*tasks)] == [{}] * MANY

    served.run(run())
    assert len(served.items("SELECT * FROM c")) == MANY + 1


def test_what_came_meanwhile_is_one_transaction(served: Local) -> None:
    async def run() -> list[Any]:
        async with held(served):
            inserts = [(f"INSERT INTO c DOCUMENTS ({{'_id': {number}}})", "") for number in range(MANY)]
            tasks = await waiting(served, *inserts)
        return list(await asyncio.gather(*tasks))

    before = served.peer.service.counters.commits
    answers = served.run(run())
    assert served.peer.service.counters.commits == before + 2
    transactions = {answer["transactionId"] for answer in answers[1:]}
    assert len(transactions) == 1 and answers[0]["transactionId"] == min(transactions) - 1
    own = served.peer.service.frontier(served.peer.service.store.identity.author)
    assert own.held == 1 + MANY, "each is an operation of its own"


def test_who_must_see_what_another_writes_comes_after_it(served: Local) -> None:
    one = "INSERT INTO c DOCUMENTS ({'_id': 1, 'n': 0})"
    count = "UPDATE c APPLY n INCREMENT BY 1 WHERE _id = 'counter'"
    served.execute("INSERT INTO c DOCUMENTS ({'_id': 'counter'})")

    async def run() -> list[Any]:
        async with held(served):
            asked = [("INSERT INTO c DOCUMENTS ({'_id': 0})", ""), (one, ""), (one, "")]
            tasks = await waiting(served, *asked, *[(count, "") for _ in range(3)])
        return list(await asyncio.gather(*tasks))

    answers = served.run(run())
    assert [answer["error"].get("code") for answer in answers] == [None, None, "QUERY_CONFLICT", *[None] * 3]
    assert served.items("SELECT n FROM c WHERE _id = 'counter'") == [{"n": 3}]


def test_what_follows_on_a_refused_write_is_written_all_the_same(served: Local) -> None:
    async def run() -> list[Any]:
        add = "INSERT INTO c DOCUMENTS ({'n': 1})"
        async with held(served):
            asked = [(add, ""), (add, "k"), (add, "k"), *[(add, "") for _ in range(MANY)]]
            tasks = await waiting(served, *asked)
        return list(await asyncio.gather(*tasks))

    answers = served.run(run())
    assert [answer["error"] for answer in answers] == [{}] * len(answers)
    assert answers[1]["mutatedDocumentIds"] == answers[2]["mutatedDocumentIds"]
    assert len(served.items("SELECT * FROM c")) == MANY + 2
    # A seal that does not fit what is held would be refused.
    served.run(served.peer.own.stop())
    own = served.peer.service.frontier(served.peer.service.store.identity.author)
    assert own.sealed == own.held == 1 + MANY + 2


def test_what_was_planned_in_a_view_that_could_not_be_left_is_forgotten(
    served: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = served.peer.service.store
    view = store.snapshot

    @asynccontextmanager
    async def lost(seconds: float | None = None) -> AsyncIterator[Snapshot]:
        async with view(seconds) as snapshot:
            yield snapshot
        raise HedgerowError("STORE_FAILED", "the connection is gone")

    with monkeypatch.context() as patch:
        patch.setattr(store, "snapshot", lost)
        assert _insert(served) == "STORE_FAILED"
    _writes_and_seals(served)


@pytest.mark.parametrize("known", [0, 1])
def test_who_planned_on_what_is_not_there_looks_again(served: Local, known: int) -> None:
    """A mark to be sealed is of an operation that is not there, in place of one that is or beside it."""
    assert _insert(served) is None
    own = served.peer.own
    own._marks = [*own._marks[:known], bytes(16)]
    told = {_insert(served) for _ in range(SEAL_EVERY)} - {None}
    assert len(told) == 1 and told < {"SEAL_INVALID", "SYNC_GAP"}
    _writes_and_seals(served)


def _writes_and_seals(served: Local) -> None:
    assert [_insert(served) for _ in range(SEAL_EVERY)] == [None] * SEAL_EVERY
    served.run(served.peer.own.stop())
    frontier = served.peer.service.frontier(served.peer.service.store.identity.author)
    assert frontier.sealed == frontier.held
    assert served.items("SELECT count(*) AS n FROM c") == [{"n": frontier.held - 1}]


def _insert(served: Local) -> str | None:
    """Insert a document; return the code of the refusal."""
    code: str | None = served.execute("INSERT INTO c DOCUMENTS ({'n': 1})").json()["error"].get("code")
    return code


def test_the_grammar_is_made_once_and_before_anybody_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    class Counted(parser.Lark):
        def __init__(self, *args: Any, **options: Any) -> None:
            made.append(threading.current_thread().name)
            super().__init__(*args, **options)

    monkeypatch.setattr(parser, "Lark", Counted)
    parser._made.cache_clear()
    threads = [threading.Thread(target=parser._lark) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1, "by each of those who need it at the same time"
    parser._made.cache_clear()
    parser._read.cache_clear()
    with local(tmp_path) as served:
        served.run(asyncio.wait_for(served.peer._ready, 60))
    assert len(made) == 2
    parser._made.cache_clear()
