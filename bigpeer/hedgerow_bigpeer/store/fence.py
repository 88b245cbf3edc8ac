"""What keeps writers off an app that moves to another PostgreSQL: triggers on every table of the old one.

While it is copied they note the keys of the rows that change. While the mover holds the lock `FENCE` they
refuse: should it die, PostgreSQL gives the lock back, and writing goes on. Once the app is closed they refuse
for ever, and `meta` names the move: that commit is the moment at which the app is at its new place. All of it
lies in a schema of its own; to drop that is to undo it.
"""

import hashlib
from time import sleep
from typing import Any, NamedTuple

from psycopg import errors, sql

from hedgerow.errors import HedgerowError

from .. import limits
from .pg_connection import PostgresConnection

#: What the triggers raise: try later, or the app is elsewhere. Of a class that spoils a transaction.
MOVING, MOVED = "57HM1", "57HM2"
#: The number of the lock, beside those of stripes and slots.
FENCE = 1000
#: Names in `meta`: where an app is arriving, and where it has left.
ARRIVING, LEFT = "arriving", "left"
_KEYLESS = {"outbox": ["app", "xid", "seq"]}
_NOTE = """
CREATE OR REPLACE FUNCTION {note}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
IF NOT pg_try_advisory_xact_lock_shared({lock}, {fence}) THEN
RAISE EXCEPTION USING ERRCODE = {moving}, MESSAGE = 'the app is being moved to another database: try again';
END IF;
IF TG_OP = 'DELETE' THEN INSERT INTO {log} ({keys}) VALUES ({old});
ELSE INSERT INTO {log} ({keys}) VALUES ({new}); END IF;
RETURN NULL; END $$
"""
_SHUT = """
CREATE OR REPLACE FUNCTION {note}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
RAISE EXCEPTION USING ERRCODE = {moved}, MESSAGE = 'the app has moved to another database: try again';
END $$
"""
_TRIGGER = """
CREATE TRIGGER {trigger} AFTER {what} ON {table} FOR EACH ROW WHEN ({row}.app = {app})
EXECUTE FUNCTION {note}()
"""
_TRIGGERS = """
SELECT c.relname, t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname = ? AND c.relnamespace = current_schema()::regnamespace ORDER BY c.relname, t.tgname
"""


class Table(NamedTuple):
    """One of the tables that have rows of apps: its columns, and those that tell its rows apart."""

    name: str
    columns: list[str]
    keys: list[str]


def lock_of(app: str) -> int:
    """Return the first half of the numbers of an app's locks."""
    return int.from_bytes(hashlib.sha256(app.encode()).digest()[:4], "big", signed=True)


def schema_of(app: str) -> str:
    """Return the schema of an app's fence."""
    return "hedgerow_moving_" + hashlib.sha256(app.encode()).hexdigest()[:16]


def has_left(db: Any, app: str) -> bytes | None:
    """Return the token of the move by which an app has left this database, None if it is here."""
    row = db.execute("SELECT value FROM meta WHERE app = ? AND name = ?", (app, LEFT)).fetchone()
    return None if row is None else bytes(row[0])


def tables_of(db: PostgresConnection) -> list[Table]:
    """Return every table that has rows of apps."""
    found: dict[str, list[str]] = {}
    for table, column in db.execute(
        "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
        " WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace AND a.attnum > 0"
        " AND NOT a.attisdropped ORDER BY c.relname, a.attnum"
    ):
        found.setdefault(table, []).append(column)
    keys: dict[str, list[str]] = {}
    for table, column in db.execute(
        "SELECT c.relname, a.attname FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid"
        " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey)"
        " WHERE i.indisprimary AND c.relnamespace = current_schema()::regnamespace ORDER BY a.attnum"
    ):
        keys.setdefault(table, []).append(column)
    return [
        Table(name, columns, _KEYLESS.get(name) or keys[name])
        for name, columns in found.items()
        if "app" in columns
    ]


def names(columns: list[str], of: str = "") -> sql.Composable:
    """Return a list of columns, of a table or row if one is named."""
    return sql.SQL(", ").join(sql.Identifier(*([of] if of else []), column) for column in columns)


class Fence:
    """The triggers of one app; each statement commits by itself, so that no two tables are locked at once."""

    def __init__(self, db: PostgresConnection, app: str) -> None:
        self._db = db
        self._app = app
        self._schema = schema_of(app)

    def log(self, table: Table) -> sql.Identifier:
        """Return the table of the keys of the rows of a table that have changed."""
        return sql.Identifier(self._schema, table.name)

    def put_up(self, tables: list[Table]) -> None:
        """Begin to note what changes."""
        self.take_down()
        self._run(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(self._schema)))
        for table in tables:
            name, keys = sql.Identifier(table.name), names(table.keys)
            made = sql.SQL("CREATE TABLE {} AS SELECT {} FROM {} WITH NO DATA")
            self._run(made.format(self.log(table), keys, name))
            self._run(
                sql.SQL(_NOTE).format(
                    note=self._note(table),
                    lock=lock_of(self._app),
                    fence=FENCE,
                    moving=MOVING,
                    log=self.log(table),
                    keys=keys,
                    old=sql.SQL(", ").join(sql.SQL("OLD.{}").format(sql.Identifier(k)) for k in table.keys),
                    new=sql.SQL(", ").join(sql.SQL("NEW.{}").format(sql.Identifier(k)) for k in table.keys),
                )
            )
            for what, row in (("INSERT OR UPDATE", "NEW"), ("DELETE", "OLD")):
                trigger = f"{self._schema}_{row.lower()}"
                self._run(
                    sql.SQL(_TRIGGER).format(
                        trigger=sql.Identifier(trigger),
                        what=sql.SQL(what),
                        table=name,
                        row=sql.SQL(row),
                        app=self._app,
                        note=self._note(table),
                    )
                )

    def shut(self, tables: list[Table], token: bytes) -> None:
        """Let nobody write any more, and say that the app has left; within a transaction."""
        self._db.execute("INSERT INTO meta VALUES (?, ?, ?)", (self._app, LEFT, token))
        for table in tables:
            self._run(sql.SQL(_SHUT).format(note=self._note(table), moved=MOVED))

    def forget(self, tables: list[Table]) -> None:
        """Drop what was noted; the triggers stay."""
        for table in tables:
            self._run(sql.SQL("DROP TABLE IF EXISTS {}").format(self.log(table)))

    def take_down(self) -> None:
        """Let everybody write again. Raises STORE_FAILED while a table is read for long, as by a backup."""
        triggers = self._db.execute(_TRIGGERS, (self._schema,)).fetchall()
        for table, trigger in triggers:
            self._drop(table, trigger)
        # The tables of the app are not touched any more.
        self._run(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(self._schema)))

    def _drop(self, table: str, trigger: str) -> None:
        query = sql.SQL("DROP TRIGGER IF EXISTS {} ON {}").format(
            sql.Identifier(trigger), sql.Identifier(table)
        )
        for turn in range(limits.MOVE_LOCK_TRIES):
            if turn:
                sleep(limits.MOVE_LOCK_PAUSE_SECONDS)
            last = turn + 1 == limits.MOVE_LOCK_TRIES
            wait = limits.MOVE_LOCK_LAST_MS if last else limits.MOVE_LOCK_MS
            try:
                with self._db.plain.transaction():
                    self._run(sql.SQL("SET LOCAL lock_timeout = {}").format(wait))
                    self._run(query)
            except errors.LockNotAvailable:
                continue
            return
        raise HedgerowError("STORE_FAILED", f"{table} is being read for long, by a backup perhaps: try again")

    def _note(self, table: Table) -> sql.Identifier:
        return sql.Identifier(self._schema, f"note_{table.name}")

    def _run(self, query: sql.Composed) -> None:
        self._db.plain.execute(query)
