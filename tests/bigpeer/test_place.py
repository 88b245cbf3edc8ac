"""A copied or restored store goes on as a new author under the next incarnation (SPEC 5.6)."""

import asyncio
import shutil
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from bigpeer_harness import eventually, local, remote
from log_writer import JUNE, Writer
from sync_link import Link

from hedgerow.errors import HedgerowError
from hedgerow_bigpeer.store import place
from hedgerow_bigpeer.store.rows import Identity, Submission
from hedgerow_bigpeer.store.sqlite import SqliteStore

Result = TypeVar("Result")

SOME = 40


def run(work: Coroutine[Any, Any, Result]) -> Result:
    return asyncio.run(work)


async def write(path: Path, count: int = 0) -> Identity:
    """Open, take `count` commits, and close; return who the store was."""
    store = await SqliteStore.open(path, full_sync=False)
    for _ in range(count):
        writer = Writer()
        writer.insert_many(1)
        await store.ingest([Submission(writer.entries())], JUNE)
    await store.close()
    return store.identity


def check_new(before: Identity, after: Identity) -> None:
    assert after.incarnation == before.incarnation + 1
    assert after.keeper == before.keeper
    assert after.author != before.author and after.epoch != before.epoch


def check_same(before: Identity, after: Identity) -> None:
    assert after == before._replace(boot=after.boot)


def test_a_store_that_goes_on_stays_itself(tmp_path: Path) -> None:
    first = run(write(tmp_path / "a.db"))
    assert first.incarnation == 1
    check_same(first, run(write(tmp_path / "a.db", 3)))
    check_same(first, run(write(tmp_path / "a.db")))


def test_a_moved_store_stays_itself(tmp_path: Path) -> None:
    first = run(write(tmp_path / "a" / "a.db", 3))
    (tmp_path / "a").rename(tmp_path / "b")
    check_same(first, run(write(tmp_path / "b" / "a.db")))


@pytest.mark.parametrize("with_place", [False, True])
def test_a_copy_is_another(tmp_path: Path, with_place: bool) -> None:
    first = run(write(tmp_path / "a.db", 3))
    shutil.copy(tmp_path / "a.db", tmp_path / "b.db")
    if with_place:
        for suffix in (".place", ".seen"):
            shutil.copy2(tmp_path / f"a.db{suffix}", tmp_path / f"b.db{suffix}")
    copy = run(write(tmp_path / "b.db"))
    check_new(first, copy)
    check_same(copy, run(write(tmp_path / "b.db")))
    check_same(first, run(write(tmp_path / "a.db")))


def test_a_backup_put_back_in_place_is_another(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    first = run(write(path, 2))
    backup = path.read_bytes()
    run(write(path, 1))
    with path.open("r+b") as file:
        file.write(backup)
        file.truncate()
    restored = run(write(path))
    check_new(first, restored)
    check_same(restored, run(write(path, 1)))


def test_a_store_on_another_machine_is_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run(write(tmp_path / "a.db"))
    (tmp_path / "machine-id").write_text("another\n")
    monkeypatch.setattr(place, "_MACHINE_ID", tmp_path / "machine-id")
    check_new(first, run(write(tmp_path / "a.db")))


def test_two_processes_cannot_have_one_store(tmp_path: Path) -> None:
    async def twice() -> None:
        store = await SqliteStore.open(tmp_path / "a.db", full_sync=False)
        with pytest.raises(HedgerowError, match="DATABASE_IN_USE"):
            await SqliteStore.open(tmp_path / "a.db", full_sync=False)
        await store.close()

    run(twice())
    run(write(tmp_path / "a.db"))


def test_a_killed_store_stays_itself(tmp_path: Path) -> None:
    writer = Writer()
    with remote(tmp_path / "data") as running:
        before = running.status()
        writer.insert_many(40)
        link = Link(writer.peer, running.sync_url, writer.now)
        link.until(33)
        running.kill()
        link.close()
    with remote(tmp_path / "data") as running:
        after = running.status()
    assert (after["author"], after["incarnation"]) == (before["author"], before["incarnation"])


def test_a_restored_keeper_is_told_again(tmp_path: Path) -> None:
    data, backup = tmp_path / "data", tmp_path / "backup"
    writer = Writer("gateway")
    writer.insert_many(SOME)
    with local(data) as running:
        assert running.execute("INSERT INTO c DOCUMENTS ({'_id': 'old'})").status_code == 200
        old = running.peer.service.store.identity
    shutil.copytree(data, backup)
    with remote(data) as served:
        link = Link(writer.peer, served.sync_url, writer.now)
        link.until(SOME + 1)
        link.close()
        assert served.stop() == 0
    # A new file often gets the inode of one just removed.
    shutil.rmtree(data)
    shutil.copytree(backup, data)
    with remote(data) as served:
        status = served.status()
        assert status["incarnation"] == old.incarnation + 1 and status["author"] != old.author.hex()
        # What the gateway still holds is open again, and comes in once more.
        link = Link(writer.peer, served.sync_url, writer.now + 60_000)
        eventually(lambda: link.step() and link.exchange.remote is not None)
        assert writer.peer.receipted(writer.peer.author) == 0
        link.until(SOME + 1)
        link.close()
        answer = served.execute("SELECT count(*) AS n FROM readings")
        assert answer["items"] == [{"n": SOME}]
        assert served.execute("INSERT INTO c DOCUMENTS ({'_id': 'new'})")["error"] == {}
        assert len(served.execute("SELECT * FROM c")["items"]) == 2
        assert served.stop() == 0


def test_a_transaction_that_a_restore_took_is_never_reached(tmp_path: Path) -> None:
    def ask(txn: int) -> tuple[int, str]:
        answer = served.execute("SELECT * FROM c", **{"X-DITTO-TXN-ID": str(txn)})
        return answer.status_code, answer.json()["error"].get("description", "")

    path = tmp_path / "bigpeer.db"
    with local(tmp_path) as served:
        served.execute("INSERT INTO c DOCUMENTS ({'_id': 1})")
        kept = served.peer.service.transaction
    backup = path.read_bytes()
    with local(tmp_path) as served:
        served.execute("INSERT INTO c DOCUMENTS ({'_id': 2})")
        lost = served.peer.service.transaction
    path.write_bytes(backup)
    for _ in range(2):
        with local(tmp_path) as served:
            for n in range(lost - kept + 1):
                served.execute("INSERT INTO c DOCUMENTS (:d)", {"d": {"n": n}})
            assert served.peer.service.transaction > lost and ask(served.peer.service.transaction)[0] == 200
            assert ask(kept)[0] == 200
            assert ask(lost) == (404, f"{lost} was lost: the store was put back")
