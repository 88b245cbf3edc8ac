"""Moves that somebody else, a place that is gone, or a backup gets in the way of."""

import asyncio
from pathlib import Path

import psycopg
import pytest
from test_move import APP, Url, left_of, move_by_command, rights, rows

from hedgerow.errors import HedgerowError
from hedgerow_bigpeer import limits
from hedgerow_bigpeer.auth import relocate
from hedgerow_bigpeer.store import fence, relocation
from hedgerow_bigpeer.store.postgres import PostgresStore


def make_store(url: str, app: str = APP) -> None:
    """Let an app have data somewhere."""

    async def make() -> None:
        await (await PostgresStore.open(url, app)).close()

    asyncio.run(make())


def check_closed(url: str) -> None:
    with psycopg.connect(url) as connection, pytest.raises(psycopg.OperationalError, match="has moved"):
        connection.execute("UPDATE meta SET value = value WHERE app = 'default'")


def test_of_two_movers_the_second_does_not_open_what_was_left(
    database: Url, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = database("old"), database("new")
    other, begin = database("other"), relocation.Relocation.begin
    make_store(old)
    with rights(tmp_path, old) as registry:
        app = registry.ensure_app(APP, "mesh")

        def late(second: relocation.Relocation) -> None:
            """Wait for a mover who goes all the way meanwhile."""
            monkeypatch.undo()
            relocate.move_app(registry, "first", APP, old, new)
            begin(second)

        monkeypatch.setattr(relocation.Relocation, "begin", late)
        with pytest.raises(HedgerowError, match="PLACE_INVALID.*meanwhile"):
            relocate.move_app(registry, "second", APP, old, other)
        check_closed(old)
        assert relocate.show_places(registry, old) == [{"app": APP, "place": new, "moving_to": None}]
        # Nor does who goes by rights that were put back to before the move.
        registry.places._save("place", app, None)
        with pytest.raises(HedgerowError, match="PLACE_INVALID.*has left"):
            relocate.move_app(registry, "second", APP, old, other)
        registry.places.begin("second", app, registry.places.plan(app, other, APP))
        with pytest.raises(HedgerowError, match="PLACE_INVALID.*has left"):
            relocate.abandon_move(registry, "second", APP, old)
        check_closed(old)
        assert not relocation.is_known(other, APP)


def rename(url: str, old: str, new: str) -> None:
    """Let a database go away, or come back: its connections are closed before long."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {old} RENAME TO {new}".encode())


def interrupted(stage: str) -> None:
    if stage == "catch up":
        raise KeyboardInterrupt


def test_a_move_is_abandoned_though_its_target_is_gone(database: Url, tmp_path: Path) -> None:
    old, new = database("old"), database("new")
    to = database("to")
    name = psycopg.conninfo.conninfo_to_dict(to)["dbname"]
    fence = "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'hedgerow_moving%'"
    make_store(old)
    with rights(tmp_path, old) as registry:
        registry.ensure_app(APP, "mesh")
        with pytest.raises(KeyboardInterrupt):
            relocate.move_app(registry, "t", APP, old, to, interrupted)
        # What is under way to there is not for the purge.
        with pytest.raises(HedgerowError, match="PLACE_INVALID.*left nothing"):
            relocate.purge_app(registry, "t", APP, old, to)
        rename(old, str(name), f"{name}_away")
        assert rows(old, fence) != [(0,)]
        assert relocate.abandon_move(registry, "t", APP, old) == {"app": APP, "place": old, "left": to}
        assert rows(old, fence) == [(0,)]
        assert relocate.show_places(registry, old) == [{"app": APP, "place": old, "moving_to": None}]
        rename(old, f"{name}_away", str(name))
        assert left_of(to)["meta"] > 0
        with pytest.raises(HedgerowError, match="PLACE_INVALID.*rows of the app are there"):
            relocate.move_app(registry, "t", APP, old, to)
        relocate.purge_app(registry, "t", APP, old, to)
        assert set(left_of(to).values()) == {0}
        with pytest.raises(HedgerowError, match="PLACE_INVALID.*left nothing"):
            relocate.purge_app(registry, "t", APP, old, old)
        assert relocate.move_app(registry, "t", APP, old, new)["place"] == new


def test_an_app_whose_place_is_gone_is_placed_where_its_backup_is(database: Url, tmp_path: Path) -> None:
    old, gone, backup = database("a"), "postgresql://127.0.0.1:9/gone", database("backup")
    make_store(backup, "farm")
    with rights(tmp_path, old) as registry:
        app = registry.ensure_app("farm", "mesh")
        registry.places.set("t", app, gone)
        registry.places.begin("t", app, registry.places.plan(app, old, "farm"))
        with pytest.raises(HedgerowError, match="STORE_FAILED"):
            relocate.place_app(registry, "t", "farm", old, backup)
        assert "farm lies at" in move_by_command(tmp_path, old, "place", "farm", "--to", backup, "--lost")
        assert relocate.show_places(registry, old) == [{"app": "farm", "place": backup, "moving_to": None}]
        assert registry.audit.newest(1)[0].detail == {"to": backup, "lost": True}
        assert relocate.settled(registry, app, old) == backup


def test_triggers_that_go_hold_up_no_readers_behind_a_backup(
    database: Url, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = database("old"), database("new")
    make_store(old)
    pauses = 0
    with rights(tmp_path, old) as registry, psycopg.connect(old) as backup:
        registry.ensure_app(APP, "mesh")
        relocate.move_app(registry, "t", APP, old, new)
        backup.execute("LOCK TABLE documents IN ACCESS SHARE MODE")

        def pause(seconds: float) -> None:
            nonlocal pauses
            pauses += 1
            # Nobody stands in line before those who read, nor are other tables locked.
            for (table,) in rows(
                old, "SELECT relname FROM pg_class WHERE relname IN ('documents', 'commits')"
            ):
                with psycopg.connect(old) as reader:
                    reader.execute(f"LOCK TABLE {table} IN ACCESS SHARE MODE NOWAIT".encode())
            if pauses == 3:
                backup.rollback()

        monkeypatch.setattr(fence, "sleep", pause)
        monkeypatch.setattr(limits, "MOVE_LOCK_TRIES", 2)
        with pytest.raises(HedgerowError, match="STORE_FAILED: documents is being read for long"):
            relocate.purge_app(registry, "t", APP, old, old)
        assert pauses == 1 and left_of(old)["meta"] > 0
        monkeypatch.setattr(limits, "MOVE_LOCK_TRIES", 3)
        relocate.purge_app(registry, "t", APP, old, old)
        assert pauses == 3 and set(left_of(old).values()) == {0}
