"""An app that moves from one PostgreSQL to another while others write; movers that are killed."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from bigpeer_harness import EXECUTE, Remote, eventually, local, rights_key
from soak import Clerk
from test_storm import PORTION, Board, Nodes, told

from bench.postgres_server import PostgresServer
from hedgerow.errors import HedgerowError
from hedgerow_bigpeer import limits
from hedgerow_bigpeer.auth import manage, relocate
from hedgerow_bigpeer.auth.places import shown
from hedgerow_bigpeer.auth.registry import Registry
from hedgerow_bigpeer.store import relocation

BOARDS, FOLLOW_SECONDS = 8, 5
CHANGES, BRIDGE = "/api/hedgerow/v1/changes", "/api/hedgerow/v1/bridges/out"
COLLECTIONS = "/api/hedgerow/v1/collections"
APP = "default"
Url = Callable[[str], str]


@pytest.fixture
def places(database: Url, own_postgres: PostgresServer) -> tuple[str, str]:
    """Two databases on two PostgreSQL."""
    return database("a"), own_postgres.url()


@contextlib.contextmanager
def rights(folder: Path, url: str) -> Iterator[Registry]:
    registry = Registry(folder / "commands", url, rights_key(folder))
    try:
        yield registry
    finally:
        registry.close()


def move_by_command(folder: Path, store: str, *words: str) -> str:
    """Run `hedgerow bigpeer apps`."""
    environment = {"HEDGEROW_STORE": store, "HEDGEROW_RIGHTS_KEY": str(rights_key(folder))}
    command = [sys.executable, "-m", "hedgerow_cli", "bigpeer", "apps", *words, "--data", str(folder / "c")]
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rows(url: str, query: str) -> list[Any]:
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode()).fetchall()


def left_of(url: str) -> dict[str, int]:
    """Return how many rows of apps each table has."""
    found = {}
    with psycopg.connect(url) as connection:
        tables = connection.execute(
            "SELECT table_name FROM information_schema.columns WHERE table_schema = 'public'"
            " AND column_name = 'app'"
        ).fetchall()
        assert len(tables) > 15
        for (table,) in tables:
            query = f"SELECT count(*) FROM public.{table}"
            ((found[table],),) = connection.execute(query.encode()).fetchall()
    return found


def ask(url: str, key: str, statement: str, **headers: str) -> httpx.Response:
    body = {"statement": statement}
    return httpx.post(
        url + EXECUTE, json=body, headers={"authorization": f"Bearer {key}", **headers}, timeout=20
    )


@pytest.mark.timeout(120)
def test_nothing_is_lost_or_doubled_while_an_app_moves(
    places: tuple[str, str], database: Url, tmp_path: Path
) -> None:
    old, new = places
    nodes = Nodes(tmp_path, old)
    with rights(tmp_path, old) as registry:
        key = manage.create_key(registry, "t", APP, {"name": "t", "verbs": ["admin", "read", "write"]})["key"]
    boards = [Board(number, nodes, float("inf"), 0.3) for number in range(BOARDS)]
    clerk = Clerk(nodes, 3)
    try:
        node = nodes.nodes[0]
        sink = {"type": "postgresql", "url": database("sink"), "table": "events", "mode": "events"}
        put = {"sources": [], "format": "ditto", "sink": sink, "from": "oldest"}
        head = {"authorization": f"Bearer {key}"}
        assert httpx.put(node.url + BRIDGE, json=put, headers=head, timeout=20).status_code == 200
        assert ask(node.url, key, "CREATE INDEX by_n ON notes (n)").status_code == 200
        retain = node.url + COLLECTIONS + "/readings/retention"
        assert httpx.put(retain, json={"keep": "90d"}, headers=head, timeout=20).status_code == 200
        once = {"idempotency-key": "once"}
        first = ask(node.url, key, "INSERT INTO single DOCUMENTS ({'a': 1})", **once).json()
        cursor = httpx.get(f"{node.url}{CHANGES}?since=now", headers=head, timeout=20).json()["next"]
        before = node.status()
        for worker in (*boards, clerk):
            worker.start()
        receipted_beyond(boards, 0)
        said = move_by_command(tmp_path, old, "move", APP, "--to", new)
        assert "takes no writes" in said and "apps purge" in said
        known = sum(board.receipted for board in boards)
        # Every node, and not only those that write, goes to the new place.
        for node in nodes.nodes:
            eventually(lambda node=node: at_new(node, key), 60)
        receipted_beyond(boards, known)
        for worker in (*boards, clerk):
            worker.enough.set()
        for worker in (*boards, clerk):
            worker.join(60)
            assert not worker.is_alive() and worker.error is None, worker.error
        total = sum(board.made for board in boards)
        assert len(clerk.written) > 2
        after = nodes.nodes[0].status()
        assert [after[name] for name in ("keeper", "incarnation")] == [
            before[name] for name in ("keeper", "incarnation")
        ]
        readings, notes = told(nodes), told(nodes, "notes")
        assert len({(change["author"], change["number"]) for change in readings}) == len(readings) == total
        for document, numbers in clerk.written.items():
            assert [change["after"]["n"] for change in notes if change["_id"] == document] == numbers
        kept = httpx.get(nodes.nodes[1].url + COLLECTIONS, headers=head, timeout=20).json()["collections"]
        assert [row["name"] for row in kept if row["keep_ms"] == 90 * limits.DAY_MS] == ["readings"]
        check_what_holds(nodes.nodes[1], key, first, cursor, total + len(notes))
        check_events(database("sink"), [*readings, *notes])
        check_old_copy(tmp_path, old, new)
        assert nodes.mend() == 0
    finally:
        for worker in (*boards, clerk):
            worker.enough.set()
        for board in boards:
            board.over.set()
        nodes.stop()


def receipted_beyond(boards: list[Board], number: int) -> None:
    """Wait until each could have had two portions receipted."""
    goal = number + 2 * BOARDS * PORTION
    eventually(lambda: sum(board.receipted for board in boards) >= goal, 60)


def at_new(node: Remote, key: str) -> bool:
    """Say whether a node takes writes; one that ended is a failure at once."""
    assert node.process.poll() is None, node.log.read_text()[-2000:]
    with contextlib.suppress(httpx.HTTPError):
        return ask(node.url, key, "INSERT INTO marks DOCUMENTS ({'a': 1})").status_code == 200
    return False


def check_what_holds(node: Remote, key: str, first: Any, cursor: str, changes: int) -> None:
    """What was given out before the move counts after it."""
    transaction = str(first["transactionId"])
    answer = ask(node.url, key, "SELECT * FROM single", **{"X-DITTO-TXN-ID": transaction})
    assert answer.status_code == 200 and len(answer.json()["items"]) == 1
    again = ask(node.url, key, "INSERT INTO single DOCUMENTS ({'a': 1})", **{"idempotency-key": "once"})
    assert again.json()["mutatedDocumentIds"] == first["mutatedDocumentIds"]
    found = 0
    for _ in range(1000):
        page = httpx.get(
            node.url + CHANGES,
            params={"since": cursor, "limit": "500"},
            headers={"authorization": f"Bearer {key}"},
            timeout=20,
        ).json()
        if not page["changes"]:
            break
        found += sum(change["collection"] in ("readings", "notes") for change in page["changes"])
        cursor = page["next"]
    assert found == changes


def check_events(sink: str, changes: list[Any]) -> None:
    """The bridge has brought every change, those of a document in their order."""
    query = (
        "SELECT key, (value->>'txnId')::bigint FROM events"
        " WHERE key LIKE '%|readings|%' OR key LIKE '%|notes|%' ORDER BY number"
    )
    eventually(lambda: len(rows(sink, query)) >= len(changes), 30)
    found = rows(sink, query)
    assert len(found) == len(changes)
    for key in {event[0] for event in found}:
        numbers = [number for place, number in found if place == key]
        assert numbers == sorted(set(numbers)), key


def check_old_copy(folder: Path, old: str, new: str) -> None:
    """The copy that was left takes nothing, and can be removed; what is at the new place cannot."""
    assert left_of(old)["documents"] > 0
    with psycopg.connect(old) as connection, pytest.raises(psycopg.OperationalError, match="has moved"):
        connection.execute("DELETE FROM outbox")
    with psycopg.connect(old) as connection, pytest.raises(psycopg.OperationalError, match="has moved"):
        connection.execute("UPDATE authors SET held = 0")
    assert rows(new, "SELECT count(*) FROM pg_indexes WHERE indexname LIKE 'facet_%'") == [(1,)]
    with rights(folder, old) as registry, pytest.raises(HedgerowError, match="PLACE_INVALID"):
        relocate.purge_app(registry, "t", APP, old, new)
    with rights(folder, old) as registry:
        relocate.purge_app(registry, "t", APP, old, old)
    assert set(left_of(old).values()) == {0} and left_of(new)["documents"] > 0
    actions = ["app.move.begin", "app.move", "app.purge"]
    with rights(folder, old) as registry:
        entries = [entry.action for entry in registry.audit.newest(100) if entry.action.startswith("app.")]
    assert [action for action in reversed(entries) if action != "app.create"] == actions


_MOVER = """
import os, signal, sys
from pathlib import Path
from hedgerow_bigpeer.auth import relocate
from hedgerow_bigpeer.auth.registry import Registry
folder, store, to, wanted = sys.argv[1:]
registry = Registry(Path(folder, "commands"), store, Path(folder, "rights.key"))
def report(stage):
    if stage == wanted:
        os.kill(os.getpid(), signal.SIGKILL)
relocate.move_app(registry, "t", "default", store, to, report)
"""


def killed_at(stage: str, folder: Path, store: str, to: str) -> None:
    done = subprocess.run([sys.executable, "-c", _MOVER, str(folder), store, to, stage], check=False)
    assert done.returncode == -signal.SIGKILL


def test_a_node_that_leaves_waits_for_no_look(
    database: Url, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node whose app has moved looks seldom, as without its database: its end does not wait for that."""
    with local(tmp_path / "node", store=database("a"), rights_key=rights_key(tmp_path)) as served:
        service, looked = served.peer.service, asyncio.Event()

        async def moved(after: int) -> None:
            looked.set()
            raise HedgerowError("STORE_MOVED", "gone")

        monkeypatch.setattr(limits, "FOLLOW_AGAIN_SECONDS", 10_000.0)
        monkeypatch.setattr(service.store, "follow", moved)
        served.run(looked.wait())


@pytest.mark.timeout(120)
def test_a_mover_that_is_killed_leaves_an_app_that_goes_on(places: tuple[str, str], tmp_path: Path) -> None:
    old, new = places
    node = Remote(tmp_path / "node", store=old, rights_key=rights_key(tmp_path))
    nodes = [node]
    written = 0

    def write() -> None:
        nonlocal written
        body = {"statement": "INSERT INTO c DOCUMENTS (:d)", "args": {"d": {"_id": written}}}
        eventually(lambda: post(node, body), FOLLOW_SECONDS)
        written += 1

    try:
        write()
        before = node.status()["incarnation"]
        for stage in ("copy", "catch up", "freeze", "close"):
            killed_at(stage, tmp_path, old, new)
            write()
            assert rows(old, "SELECT count(*) FROM documents WHERE collection = 'c'") == [(written,)]
        with rights(tmp_path, old) as registry:
            with pytest.raises(HedgerowError, match="PLACE_INVALID.*is under way"):
                relocate.move_app(registry, "t", APP, old, f"{new}?application_name=x")
            relocate.abandon_move(registry, "t", APP, old)
            assert set(left_of(new).values()) == {0}
            with pytest.raises(HedgerowError, match="PLACE_INVALID.*not moving"):
                relocate.abandon_move(registry, "t", APP, old)
        write()
        # It has left, and nobody has said so in the rights: nodes do, also one that has nothing to write.
        idle = Remote(tmp_path / "idle", store=old, rights_key=rights_key(tmp_path))
        nodes.append(idle)
        killed_at("done", tmp_path, old, new)
        for _ in range(3):
            write()
        eventually(lambda: counts(idle, written), FOLLOW_SECONDS)
        assert rows(new, "SELECT count(*) FROM documents WHERE collection = 'c'") == [(written,)]
        assert node.status()["incarnation"] == before
        with rights(tmp_path, old) as registry:
            assert relocate.show_places(registry, old) == [{"app": APP, "place": new, "moving_to": None}]
            assert relocate.move_app(registry, "t", APP, old, new)["left"] is None
            # Back only into a place where nothing of it is.
            with pytest.raises(HedgerowError, match="PLACE_INVALID.*has left it"):
                relocate.move_app(registry, "t", APP, old, old)
            with pytest.raises(HedgerowError, match="PLACE_INVALID.*not moving"):
                relocate.abandon_move(registry, "t", APP, old)
            # Rights that were put back to before the move are told where it is.
            registry.places._save("place", registry.apps.get(APP), None)
            relocate.place_app(registry, "t", APP, old, new)
    finally:
        for served in nodes:
            served.kill()


def counts(node: Remote, number: int) -> bool:
    """Say whether a node sees so many documents."""
    with contextlib.suppress(httpx.HTTPError):
        return bool(node.execute("SELECT count(*) AS n FROM c")["items"] == [{"n": number}])
    return False


def post(node: Remote, body: Any) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        answer = httpx.post(node.url + EXECUTE, json=body, timeout=10)
        if answer.status_code == 200:
            return True
        assert answer.status_code == 503 and answer.json()["error"]["code"] == "STORE_MOVED", answer.text
    return False


def test_writers_are_kept_off_for_a_bounded_moment(
    places: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction that stays open at the old place keeps a move from closing, and nobody from writing."""
    old, new = places
    monkeypatch.setattr(limits, "MOVE_FREEZE_MS", 300)
    node = Remote(tmp_path / "node", store=old, rights_key=rights_key(tmp_path))
    try:
        node.execute("INSERT INTO c DOCUMENTS ({'_id': 0})")
        with rights(tmp_path, old) as registry, psycopg.connect(old) as other:

            def report(stage: str) -> None:
                if stage == "catch up":
                    # What goes while the rest is copied goes there too.
                    with psycopg.connect(old) as third:
                        assert third.execute("DELETE FROM documents").rowcount == 1
                if stage == "freeze":
                    other.execute("UPDATE meta SET value = value WHERE app = 'default' AND name = 'keeper'")

            with pytest.raises(HedgerowError, match="STORE_FAILED.*too long"):
                relocate.move_app(registry, "t", APP, old, new, report)
            assert rows(new, "SELECT id FROM documents") == []
            answer = node.execute("INSERT INTO c DOCUMENTS ({'_id': 1})")
            assert answer["mutatedDocumentIds"] == [1]
            other.rollback()
            assert relocate.move_app(registry, "t", APP, old, new)["place"] == new
    finally:
        node.kill()


def test_an_app_is_placed_before_it_has_data(places: tuple[str, str], tmp_path: Path) -> None:
    old, new = places
    with rights(tmp_path, old) as registry:
        registry.create_app("t", "farm", "playground", "farm")
        with pytest.raises(HedgerowError, match="PLACE_INVALID.*no data: place it"):
            relocate.move_app(registry, "t", "farm", old, new)
        relocate.place_app(registry, "t", "farm", old, new.replace("hedgerow@", "hedgerow:secret@"))
        (shown,) = relocate.show_places(registry, old)
        assert shown["place"] == new and "secret" not in str(registry.audit.newest(10))
    key = rights_key(tmp_path)
    one = Remote(tmp_path / "one", store=old, rights_key=key, app="farm", mesh="farm")
    two = Remote(tmp_path / "two", store=old, rights_key=key)
    try:
        one.execute("INSERT INTO c DOCUMENTS ({'_id': 1})")
        two.execute("INSERT INTO c DOCUMENTS ({'_id': 2})")
        assert one.execute("SELECT * FROM c")["items"] == [{"_id": 1}]
        where = "SELECT DISTINCT app FROM documents"
        assert (rows(new, where), rows(old, where)) == ([("farm",)], [(APP,)])
        with rights(tmp_path, old) as registry:
            with pytest.raises(HedgerowError, match="PLACE_INVALID.*has data: move it"):
                relocate.place_app(registry, "t", "farm", old, old)
            for wrong in ("sqlite:///x", ""):
                with pytest.raises(HedgerowError, match="PLACE_INVALID.*no URL"):
                    relocate.move_app(registry, "t", "farm", old, wrong)
            with pytest.raises(HedgerowError, match="PLACE_INVALID.*there already"):
                relocate.move_app(registry, "t", "farm", old, f"{new}?application_name=x")
            with pytest.raises(HedgerowError, match="PLACE_INVALID.*left nothing"):
                relocate.purge_app(registry, "t", "farm", old, new)
    finally:
        one.kill()
        two.kill()
    alone = Registry(tmp_path / "alone")
    with pytest.raises(HedgerowError, match="PLACE_INVALID.*in a file"):
        alone.places.set("t", alone.create_app("t", "farm", "playground", "farm"), new)
    alone.close()
    assert relocation.is_known(new, "farm") and not relocation.is_known(old, "farm")


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        (
            "postgresql://ann:secret@db1,db2:5433/farm?sslmode=require",
            "postgresql://ann@db1,db2:5433/farm?sslmode=require",
        ),
        (
            "postgresql://db/farm?user=ann&password=secret&sslmode=require",
            "postgresql://db/farm?user=ann&password=...&sslmode=require",
        ),
        ("postgresql://ann@db/farm", "postgresql://ann@db/farm"),
    ],
)
def test_a_place_is_shown_without_its_password(url: str, seen: str) -> None:
    assert shown(url) == seen
