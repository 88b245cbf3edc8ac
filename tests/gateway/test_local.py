"""`open_peer`: a peer for programs, on the thread that opened it, on a running loop, or on its own thread.

Statements are forwarded to the core; what they do is tested there. Here the core is often one that says on
which thread it was called.
"""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gateway_kit import MESH, BigPeer, listening, reading, run

from hedgerow.application import ReadyPeer
from hedgerow.codec.schema import KEEP
from hedgerow.errors import HedgerowError
from hedgerow.memory import MemoryLog
from hedgerow_gateway import LocalPeer, limits, local, open_peer
from hedgerow_gateway.membership import ProgramPeer

NOWHERE = "ws://127.0.0.1:1/"


class Core(ProgramPeer):
    """A peer whose statements tell who called them."""

    observers: list[Callable[[Any], object]] = []

    def execute(self, text: str, **parameters: Any) -> Any:
        if text == "WRONG":
            raise HedgerowError("QUERY_SYNTAX", text)
        return (text, parameters, threading.get_ident())

    def transaction(self) -> Any:
        self.ended = ""
        return self

    def __enter__(self) -> "Core":
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> bool:
        self.ended = "rolled back" if error else "committed"
        return False

    def dispatch(self) -> None:
        pass

    def observe(self, text: str, on_change: Callable[[Any], object], **parameters: Any) -> Callable[[], None]:
        self.observers = [on_change]
        on_change((text, parameters, threading.get_ident()))
        return self.observers.clear


@pytest.fixture
def telling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let peers have a core that says on which thread it was called."""
    monkeypatch.setattr(local, "ProgramPeer", Core)


def elsewhere(function: Callable[[], object]) -> Any:
    """What a call gives on another thread, or the error that it raises."""
    found: list[Any] = []

    def call() -> None:
        try:
            found.append(function())
        except HedgerowError as error:
            found.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    return found[0]


@pytest.mark.usefixtures("telling")
def test_without_a_url_it_needs_no_loop_and_stays_on_its_thread(tmp_path: Path) -> None:
    with open_peer(tmp_path / "field.db", name="field") as peer:
        assert threading.active_count() == 1
        number = peer.insert("readings", reading(1))
        assert peer.execute("TEXT", a=1) == ("TEXT", {"a": 1}, threading.get_ident())
        refused = elsewhere(lambda: peer.execute("TEXT"))
        assert refused.code == "PEER_THREAD"
        assert peer.insert("readings", reading(2)) == number + 1, "the other thread did no harm"
        assert peer.status()[peer.author]["held"] == number + 1
    with pytest.raises(HedgerowError, match="PEER_CLOSED"):
        peer.execute("TEXT")
    peer.close()


@pytest.mark.usefixtures("telling")
def test_a_plain_script_with_a_url_syncs_on_a_thread_of_its_own(tmp_path: Path) -> None:
    """Three lines to a first write, and nothing of asyncio in them."""
    big = BigPeer()

    async def main() -> None:
        async with listening(big) as url:
            await asyncio.to_thread(script, url)

    def script(url: str) -> None:
        with open_peer(tmp_path / "field.db", url, name="field", time="trust") as peer:
            peer.insert("readings", reading(1))
            assert peer.wait_delivered(10)
            assert big.numbers(peer.author) == [1, 2, 3], "boot, time, reading"
            assert peer.uplink is not None and peer.uplink.connected
            caller = threading.get_ident()
            lives = peer.execute("TEXT")[2]  # type: ignore[index]
            assert lives != caller
            assert elsewhere(lambda: peer.execute("TEXT"))[2] == lives
            with pytest.raises(HedgerowError, match="QUERY_SYNTAX"):
                peer.execute("WRONG")

    run(main())
    assert not [thread for thread in threading.enumerate() if thread.name == "hedgerow"]


def test_many_threads_write_and_no_number_is_lost(tmp_path: Path) -> None:
    with open_peer(tmp_path / "field.db", NOWHERE, name="field") as peer:
        numbers: list[int] = []

        def write() -> None:
            for n in range(20):
                numbers.append(peer.insert("readings", reading(n)))

        threads = [threading.Thread(target=write) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(numbers) == list(range(min(numbers), min(numbers) + 80))
        assert not peer.wait_delivered(0.05), "nobody is there"
        assert peer.uplink is not None and peer.uplink.counters.attempts > 0


@pytest.mark.usefixtures("telling")
def test_on_a_running_loop_it_lives_there(tmp_path: Path) -> None:
    async def main() -> None:
        big = BigPeer()
        async with listening(big) as url:
            async with open_peer(tmp_path / "field.db", url, name="field", time="trust") as peer:
                here = threading.get_ident()
                await peer.ainsert("readings", reading(1))
                assert (await peer.aexecute("TEXT", b=2)) == ("TEXT", {"b": 2}, here)
                assert (await asyncio.to_thread(peer.execute, "TEXT"))[2] == here  # type: ignore[index]
                with pytest.raises(HedgerowError, match="PEER_THREAD"):
                    peer.wait_delivered(1)
                assert await peer.await_delivered(10)
                assert (await peer.astatus())[peer.author]["open"] == 0
            assert big.errors == []

    run(main())


@pytest.mark.usefixtures("telling")
@pytest.mark.parametrize("url", [None, NOWHERE])
def test_a_transaction_is_opened_used_and_ended_where_the_peer_lives(tmp_path: Path, url: str | None) -> None:
    with open_peer(tmp_path / "field.db", url, name="field") as peer:
        lives = peer.execute("TEXT")[2]  # type: ignore[index]
        with peer.transaction() as transaction:
            assert transaction.execute("TEXT", a=1) == ("TEXT", {"a": 1}, lives)
        assert peer._core.ended == "committed"
        with pytest.raises(HedgerowError, match="QUERY_SYNTAX"), peer.transaction() as transaction:
            transaction.execute("WRONG")
        assert peer._core.ended == "rolled back"
        with pytest.raises(HedgerowError, match="TRANSACTION_ENDED"):
            transaction.execute("TEXT")

        async def main() -> None:
            async with peer.transaction() as transaction:
                assert await transaction.aexecute("TEXT") == ("TEXT", {}, lives)
            assert peer._core.ended == "committed"

        run(main())


@pytest.mark.usefixtures("telling")
@pytest.mark.parametrize("url", [None, NOWHERE])
def test_an_observer_is_called_until_it_is_stopped(tmp_path: Path, url: str | None) -> None:
    with open_peer(tmp_path / "field.db", url, name="field") as peer:
        changes: list[Any] = []
        stop = peer.observe("TEXT", changes.append, a=1)
        assert changes == [("TEXT", {"a": 1}, peer.execute("TEXT")[2])]  # type: ignore[index]
        assert len(peer._core.observers) == 1
        stop()
        assert peer._core.observers == []
    stop()


def change(peer: LocalPeer, value: object) -> None:
    """Let the core report a change, on its own thread."""
    peer._home.call(lambda: peer._core.observers[0](value))


@pytest.mark.usefixtures("telling")
@pytest.mark.parametrize("url", [None, NOWHERE])
def test_changes_are_iterated_from_any_loop(tmp_path: Path, url: str | None) -> None:
    with open_peer(tmp_path / "field.db", url, name="field") as peer:

        async def main() -> None:
            seen: list[Any] = []
            changes = peer.aobserve("TEXT")
            async for value in changes:
                seen.append(value)
                if len(seen) == 3:
                    break
                change(peer, len(seen))
            assert [seen[0][0], *seen[1:]] == ["TEXT", 1, 2]
            await changes.aclose()  # type: ignore[attr-defined]
            assert peer._core.observers == []

        run(main())


@pytest.mark.usefixtures("telling")
def test_a_reader_that_falls_behind_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "OBSERVER_CHANGES", 3)
    with open_peer(tmp_path / "field.db", name="field") as peer:

        async def main() -> None:
            changes = peer.aobserve("TEXT")
            await anext(changes)
            for n in range(4):
                change(peer, n)
            await asyncio.sleep(0.01)
            with pytest.raises(HedgerowError, match="OBSERVER_SLOW"):
                await anext(changes)
            assert peer._core.observers == []

        run(main())


def test_what_cannot_be_opened_leaves_no_thread(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database at all\n" * 400)
    with pytest.raises(HedgerowError, match="DATABASE_FOREIGN"):
        open_peer(tmp_path / "notes.txt", NOWHERE)
    assert not [thread for thread in threading.enumerate() if thread.name == "hedgerow"]


def test_the_time_is_looked_at_again_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []
    monkeypatch.setattr(local, "tell_time", lambda core, clock: told.append(core))
    monkeypatch.setattr(limits, "TIME_EVERY_S", 3600)
    with open_peer(tmp_path / "field.db", name="field") as peer:
        peer.status()
        assert len(told) == 1
        monkeypatch.setattr(limits, "TIME_EVERY_S", 0)
        peer.status()
        assert len(told) == 2


# ---- with the core's own peer

CAR = {"_id": "a", "price": 3}


@pytest.mark.parametrize("url", [None, NOWHERE])
def test_statements_transactions_and_observers(tmp_path: Path, url: str | None) -> None:
    seen: list[list[dict[str, Any]]] = []
    with open_peer(tmp_path / "field.db", url, name="field") as peer:
        stop = peer.observe("SELECT * FROM cars", lambda change: seen.append(change.rows))
        assert peer.execute("INSERT INTO cars DOCUMENTS (:car)", car=CAR).mutated == ["a"]
        with peer.transaction() as transaction:
            transaction.execute("UPDATE cars SET price = :p WHERE _id = 'a'", p=4)
            assert transaction.execute("SELECT * FROM cars").rows == [CAR | {"price": 4}]
        stop()
        peer.execute("DELETE FROM cars WHERE _id = 'a'")
        assert list(peer.execute("SELECT * FROM cars")) == []
    assert seen == [[], [CAR], [CAR | {"price": 4}]]
    with open_peer(tmp_path / "field.db", name="field") as peer:
        assert peer.execute("SELECT * FROM cars").rows == []


def test_an_insert_is_seen_by_observers(tmp_path: Path) -> None:
    seen: list[int] = []
    with open_peer(tmp_path / "field.db", name="field") as peer:
        peer.observe("SELECT * FROM readings", lambda change: seen.append(len(change.rows)))
        peer.insert("readings", reading(1))
    assert seen == [0, 1]


def test_a_subscription_brings_what_the_big_peer_has_and_observers_hear_of_it(tmp_path: Path) -> None:
    async def main() -> None:
        big = BigPeer()
        writer = ReadyPeer(MemoryLog(), lambda: 1, name="writer", mesh=MESH, kinds={"cars": KEEP})
        writer.execute("INSERT INTO cars DOCUMENTS (:car)", car=CAR)
        for schema in writer.schemas.values():
            big.peer.ingest_schema(schema.encoded)
        bodies = [entry[3] for entry in writer.log.read(writer.author, 0, 0, 1 << 20)]
        big.peer.ingest(writer.author, 1, bodies)
        big.peer.commit()
        async with listening(big) as url, open_peer(tmp_path / "field.db", url, name="field") as peer:
            await peer.asubscribe("SELECT * FROM cars")
            async for change in peer.aobserve("SELECT * FROM cars"):
                if change.rows == [CAR]:
                    break

    run(main())


def test_what_cannot_be_opened_says_so(tmp_path: Path) -> None:
    with pytest.raises(HedgerowError, match="SETTING_INVALID: url: http://"):
        open_peer(tmp_path / "field.db", "http://127.0.0.1:8080")
    with pytest.raises(HedgerowError, match="DATABASE_FAILED: .*No such file or directory"):
        open_peer(tmp_path / "nowhere" / "field.db")
    assert list(tmp_path.iterdir()) == [], "nothing is left of it"
