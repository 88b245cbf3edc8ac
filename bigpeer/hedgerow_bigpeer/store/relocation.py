"""The way of an app from one PostgreSQL to another, while nodes write to it.

Rows are copied table by table, and what changes meanwhile once more, in rounds, until little is left. Then
writers are kept off for a moment, the rest follows, and the app closes at its old place. What arrives is the
same store: incarnation, epoch and authors stay, numbers of transactions go on above the old ones, so cursors,
receipts and transaction ids hold. A move that was interrupted before the app has closed begins anew.
"""

import contextlib
import time
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg import sql

from hedgerow.errors import HedgerowError

from .. import limits
from .fence import ARRIVING, FENCE, LEFT, Fence, Table, has_left, lock_of, names, tables_of
from .filter import POSTGRES
from .indexes import make_index
from .pg_connection import PostgresConnection
from .postgres import HOME_QUERY, migrate
from .sql import get_meta, set_meta

#: Held by whoever moves an app, beside the lock of the fence.
_MOVER = FENCE + 1
_KEPT = "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3"
_TIMEOUTS = (
    *("statement_timeout", "lock_timeout", "idle_session_timeout"),
    "idle_in_transaction_session_timeout",
)
_CHUNK_BYTES = 1 << 22
_CHUNK_ROWS = 20_000
_XID = "SELECT pg_current_xact_id()::text::bigint"
#: Told what is done: `stage` "copy", "catch up", "freeze", "close", "done".
Report = Callable[[str], None]


class Relocation:
    """One move of an app's rows; `token` names it. close() at the end."""

    _there: PostgresConnection

    def __init__(self, app: str, source: str, target: str, token: bytes) -> None:
        """Connect to the old place. Raises STORE_FAILED."""
        self._app = app
        self._target = target
        self._token = token
        self._open = contextlib.ExitStack()
        self._here = self._connect(source)
        self._fence = Fence(self._here, app)

    def begin(self) -> None:
        """Wait until nobody else moves the app: a mover that was killed may be there for a moment."""
        self._here.execute("SELECT pg_advisory_lock(?::int, ?::int)", (lock_of(self._app), _MOVER))

    def prepare(self) -> None:
        """Connect to the target, and make its tables. Raises PLACE_INVALID, STORE_FAILED, STORE_VERSION."""
        self._check_here()
        self._there = self._connect(self._target)
        homes = [_home(db) for db in (self._here, self._there)]
        _once(self._there, lambda: migrate(self._there))
        if homes[0] == homes[1]:
            raise HedgerowError("PLACE_INVALID", "the app is there already")
        versions = [
            db.execute("SELECT max(version) FROM hedgerow_version").fetchone()
            for db in (self._here, self._there)
        ]
        if versions[0] != versions[1]:
            raise HedgerowError("STORE_VERSION", f"version {versions[0][0]} here, {versions[1][0]} there")
        self._tables = tables_of(self._here)
        found = get_meta(self._there, self._app)
        if found and found.get(ARRIVING) != self._token:
            reason = "has left it" if LEFT in found else "is there"
            raise HedgerowError("PLACE_INVALID", f"rows of the app are there: it {reason}")

    def _check_here(self) -> None:
        """Raise PLACE_INVALID if the app has left its old place, by whichever move: that stays closed."""
        if has_left(self._here, self._app) is not None:
            raise HedgerowError("PLACE_INVALID", "the app has left: say where it lies")

    def copy(self, report: Report) -> None:
        """Bring everything over but the last moment, while others write."""
        report("copy")
        # What an interrupted move has brought is not told from what was deleted since.
        clear(self._there, self._app)
        set_meta(self._there, self._app, {ARRIVING: self._token})
        self._fence.put_up(self._tables)
        for table in self._tables:
            self._copy(table)
        self._make_indexes()
        report("catch up")
        for _ in range(limits.MOVE_ROUNDS):
            if self._catch_up() < limits.MOVE_ROWS_LEFT:
                break

    def close_here(self, report: Report) -> None:
        """Keep writers off, bring the rest over, and close the app at its old place.

        Raises STORE_FAILED where that takes longer than MOVE_FREEZE_MS: the app goes on where it is.
        """
        report("freeze")
        deadline = time.monotonic() + limits.MOVE_FREEZE_MS / 1000
        # Should nobody be here any more, PostgreSQL ends the session, and the lock with it.
        for name in _TIMEOUTS:
            self._here.execute("SELECT set_config(?, ?, false)", (name, str(limits.MOVE_FREEZE_MS // 2)))
        lock = (lock_of(self._app), FENCE)
        try:
            self._here.execute("SELECT pg_advisory_lock(?::int, ?::int)", lock)
            self._catch_up(deadline)
            self._arrive()
            report("close")
            _check(deadline)
            _once(self._here, lambda: self._fence.shut(self._tables, self._token))
        except (psycopg.errors.QueryCanceled, psycopg.errors.LockNotAvailable):
            raise HedgerowError("STORE_FAILED", "writers would have waited too long: try again") from None
        finally:
            if not self._here.is_closed:
                self._here.execute("SELECT pg_advisory_unlock(?::int, ?::int)", lock)
        self._fence.forget(self._tables)
        report("done")

    def undo(self) -> None:
        """Let the app go on where it is. Raises PLACE_INVALID if it has left already."""
        self._check_here()
        self._fence.take_down()

    def close(self) -> None:
        """Let go of both."""
        self._open.close()

    def _connect(self, url: str) -> PostgresConnection:
        return self._open.enter_context(contextlib.closing(_connect(url)))

    def _copy(self, table: Table) -> None:
        """Copy a table in pieces, each committed: an open transaction would hold back other apps' readers."""
        out = sql.SQL("COPY (SELECT {} FROM {} WHERE app = {}) TO STDOUT").format(
            names(table.columns), sql.Identifier(table.name), self._app
        )
        into = _into(sql.Identifier(table.name), table.columns)
        with self._here.plain.cursor() as reader, reader.copy(out) as rows:
            piece, size = [], 0
            for row in rows:
                piece.append(bytes(row))
                size += len(row)
                # A line ends a row: within one it is escaped.
                if size >= _CHUNK_BYTES and piece[-1].endswith(b"\n"):
                    self._put(into, piece)
                    piece, size = [], 0
            if piece:
                self._put(into, piece)

    def _put(self, into: sql.Composed, piece: list[bytes]) -> None:
        with self._there.plain.cursor() as writer, writer.copy(into) as rows:
            rows.write(b"".join(piece))

    def _catch_up(self, deadline: float | None = None) -> int:
        """Bring over again what has changed; return how many rows that were."""
        count = 0
        for table in self._tables:
            while took := self._take(table):
                count += took
                if deadline is None and took < limits.MOVE_ROWS_LEFT:
                    break
                if deadline is not None:
                    _check(deadline)
        return count

    def _take(self, table: Table) -> int:
        count: int = _once(self._here, lambda: self._pass_on(table))
        return count

    def _pass_on(self, table: Table) -> int:
        """Bring over rows of a table that are noted to have changed, so many at most; return how many."""
        here, keys = self._here.plain, names(table.keys)
        taken = sql.Identifier(f"taken_{table.name}")
        log = self._fence.log(table)
        here.execute(
            sql.SQL("CREATE TEMP TABLE {} ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA").format(
                taken, keys, log
            )
        )
        # Deleted as they are read: one that is noted later is there for the next round.
        count = here.execute(
            sql.SQL(
                "WITH gone AS (DELETE FROM {0} WHERE ctid = ANY (ARRAY (SELECT ctid FROM {0} LIMIT {1}))"
                " RETURNING {2}) INSERT INTO {3} SELECT DISTINCT {2} FROM gone"
            ).format(log, _CHUNK_ROWS, keys, taken)
        ).rowcount
        if count:
            rows = sql.SQL("SELECT {} FROM {} t JOIN {} k USING ({})").format(
                names(table.columns), sql.Identifier(table.name), taken, keys
            )
            which = sql.SQL("SELECT {} FROM {}").format(keys, taken)
            _once(self._there, lambda: self._replace(table, which, rows))
        return count

    def _replace(self, table: Table, keys: sql.Composed, rows: sql.Composed) -> None:
        """Let the target have these rows, and no others of these keys."""
        there, name = self._there.plain, sql.Identifier(table.name)
        come = {"come_keys": (table.keys, keys), "come_rows": (table.columns, rows)}
        for temporary, (columns, query) in come.items():
            made = sql.SQL("CREATE TEMP TABLE {} ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA")
            there.execute(made.format(sql.Identifier(temporary), names(columns), name))
            out = sql.SQL("COPY ({}) TO STDOUT").format(query)
            with (
                self._here.plain.cursor() as reader,
                there.cursor() as writer,
                reader.copy(out) as source,
                writer.copy(_into(sql.Identifier(temporary), columns)) as sink,
            ):
                for block in source:
                    sink.write(block)
        same = sql.SQL(" AND ").join(
            sql.SQL("t.{0} = k.{0}").format(sql.Identifier(key)) for key in table.keys
        )
        there.execute(sql.SQL("DELETE FROM {} t USING come_keys k WHERE {}").format(name, same))
        there.execute(
            sql.SQL("INSERT INTO {0} ({1}) OVERRIDING SYSTEM VALUE SELECT {1} FROM come_rows").format(
                name, names(table.columns)
            )
        )

    def _make_indexes(self) -> None:
        query = "SELECT DISTINCT path FROM indexes WHERE app = ?"
        for (path,) in self._there.execute(query, (self._app,)).fetchall():
            make_index(self._there, path, POSTGRES)

    def _arrive(self) -> None:
        """Let the target be the store's home, whose numbers go on above all that were given out."""
        self._make_indexes()
        (last,) = self._here.execute(_XID).fetchone()
        base = int(get_meta(self._here, self._app).get("base", b"0"))
        _once(self._there, lambda: self._settle(last + base + 1))

    def _settle(self, first: int) -> None:
        (now,) = self._there.execute(_XID).fetchone()
        home = _home(self._there)
        set_meta(self._there, self._app, {"home": home, "base": str(first - now).encode()})
        # Who ran a bridge can say no more that it has ended.
        self._there.execute("UPDATE bridges SET owner = '', lease = 0 WHERE app = ?", (self._app,))


def land(url: str, app: str) -> None:
    """Let nodes open an app that has left its old place, and so is whole here."""
    with_it(url, lambda db: db.execute("DELETE FROM meta WHERE app = ? AND name = ?", (app, ARRIVING)))


def departed(url: str, app: str) -> bytes | None:
    """Return the token of the move by which an app has left a database, None if it has not."""
    token: bytes | None = with_it(url, lambda db: has_left(db, app) if is_made(db) else None)
    return token


def arriving(url: str, app: str) -> bytes | None:
    """Return the token of the move by which rows of an app come to a database, None once it has arrived."""
    token: bytes | None = with_it(url, lambda db: get_meta(db, app) if is_made(db) else {}).get(ARRIVING)
    return token


def is_open(url: str, app: str) -> bool:
    """Say whether an app is in a database: not arriving there, nor has it left."""
    meta = with_it(url, lambda db: get_meta(db, app) if is_made(db) else {})
    return bool(meta) and LEFT not in meta and ARRIVING not in meta


def is_known(url: str, app: str) -> bool:
    """Say whether a database has rows of an app."""
    known: bool = with_it(url, lambda db: is_made(db) and bool(get_meta(db, app)))
    return known


def purge(url: str, app: str) -> None:
    """Remove a copy of an app that has left, or was arriving. Raises PLACE_INVALID where there is none."""

    def remove(db: PostgresConnection) -> None:
        if not is_made(db) or not {LEFT, ARRIVING} & set(get_meta(db, app)):
            raise HedgerowError("PLACE_INVALID", "the app has left nothing there")
        Fence(db, app).take_down()
        clear(db, app)

    with_it(url, remove)


def is_made(db: PostgresConnection) -> bool:
    """Say whether a database has the tables of a store."""
    made: bool = db.execute("SELECT to_regclass('meta') IS NOT NULL").fetchone()[0]
    return made


def with_it(url: str, function: Callable[[PostgresConnection], Any]) -> Any:
    """Run a function of a connection. Raises STORE_FAILED."""
    db = _connect(url)
    try:
        return function(db)
    except psycopg.Error as error:
        raise HedgerowError("STORE_FAILED", str(error).strip()) from error
    finally:
        db.close()


def clear(db: PostgresConnection, app: str) -> None:
    """Delete what a database has of an app, some at a time; last what says whose it is."""
    tables = sorted(tables_of(db), key=lambda table: table.name == "meta")
    for table in tables:
        query = sql.SQL(
            "DELETE FROM {0} WHERE ctid = ANY (ARRAY (SELECT ctid FROM {0} WHERE app = {1} LIMIT {2}))"
        ).format(sql.Identifier(table.name), app, _CHUNK_ROWS)
        while db.plain.execute(query).rowcount:
            pass


def _connect(url: str) -> PostgresConnection:
    try:
        return PostgresConnection(url, _KEPT)
    except psycopg.Error as error:
        raise HedgerowError("STORE_FAILED", str(error).strip()) from error


def _home(db: PostgresConnection) -> bytes:
    if not is_made(db):
        return b""
    found: bytes = db.execute(HOME_QUERY).fetchone()[0].encode()
    return found


def _check(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise psycopg.errors.QueryCanceled


def _into(table: sql.Identifier, columns: list[str]) -> sql.Composed:
    return sql.SQL("COPY {} ({}) FROM STDIN").format(table, names(columns))


def _once(db: PostgresConnection, function: Callable[[], Any]) -> Any:
    """Run a function in a transaction."""
    with db.plain.transaction():
        return function()
