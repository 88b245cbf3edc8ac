"""The Store on PostgreSQL: any number of nodes on one database.

A transaction's number is PostgreSQL's own (xid8). A reader follows the *stable* transactions: those below
`pg_snapshot_xmin`, of which none is on its way any more. A plain sequence would be handed out before commits,
and its reader would pass over rows that are committed late.

Whoever ingests takes advisory locks first, for the authors and documents that it is about, in stripes and in
their order, so that nobody waits in a circle; only then does the transaction get its number. So of one author
and of one document the order of the numbers is the order of the writing.
"""

import contextlib
import hashlib
import importlib.resources
import logging
import os
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import psycopg
from psycopg import errors

from hedgerow.codec import cbor
from hedgerow.document import document_ids
from hedgerow.errors import HedgerowError
from hedgerow.log import new_author
from hedgerow.operation import decode_body

from .. import limits
from . import fence
from .cut import cut_since
from .filter import POSTGRES
from .ingest import Ingest
from .pg_connection import PostgresConnection
from .rows import (
    AbsentEntry,
    AnswerEntry,
    ClockRecord,
    CutEntry,
    Entry,
    ExpiredEntry,
    Frontier,
    Identity,
    Ingested,
    JudgeEntry,
    Operation,
    SchemaEntry,
    SealEntry,
    Submission,
    Written,
)
from .sql import (
    CLOCK_QUERY,
    FRONTIER_QUERY,
    SCHEMA_QUERY,
    Connection,
    gaps_of,
    get_meta,
    set_meta,
    skip_transactions,
)
from .sql_store import SqlStore

Result = TypeVar("Result")

STRIPES = 64
ATTEMPTS = 5
COMMITS_KEPT_MS = 3_600_000

#: The stable transactions that changed something; the parameter is the store's base.
NEWEST_QUERY = (
    "SELECT coalesce(max(xid), 0) FROM commits WHERE app = ? AND shard = ?"
    " AND xid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint + ?::bigint"
)
# And whether the app is still here.
FOLLOW_QUERY = f"SELECT ({NEWEST_QUERY}), NOT EXISTS (SELECT 1 FROM meta WHERE app = ? AND name = ?)"  # noqa: S608
EXPIRED_QUERY = "SELECT collection FROM retention WHERE app = ? AND shard = ? AND xid > ?"
# The place of a database: another after a restore, a copy, or the promotion of a standby. A dump that is put
# back where it came from makes its tables anew.
HOME_QUERY = (
    # The timeline that is written now; the control file says it only at the next checkpoint.
    "SELECT s.system_identifier || '/' ||"
    " ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int || '/' ||"
    " (SELECT oid FROM pg_database WHERE datname = current_database()) || '/' || 'meta'::regclass::oid"
    " FROM pg_control_system() s"
)

log = logging.getLogger(__name__)


class PostgresStore(SqlStore):
    """See `port.Store`. Open with `await PostgresStore.open(url)`; a commit is durable as PostgreSQL's are.

    A node that loses its slot to another, or whose database was promoted or put back, ingests no more
    [STORE_FAILED]: it has to be started anew. So has one whose app moved to another database [STORE_MOVED].
    """

    dialect = POSTGRES
    is_shared = True

    def __init__(self, url: str, app: str) -> None:
        super().__init__(app)
        self._url = url
        self._lock = fence.lock_of(app)
        self._slot = -1
        self._base = 0

    @classmethod
    async def open(cls, url: str, app: str = "default") -> "PostgresStore":
        """Open an app's store, and make what it lacks. Raises STORE_VERSION, STORE_FAILED."""
        store = cls(url, app)
        try:
            await store._run(store._open)
        except BaseException:
            store._thread.shutdown()
            raise
        return store

    def _meant(self, error: Exception) -> HedgerowError | None:
        if isinstance(error, errors.QueryCanceled):
            return HedgerowError("QUERY_TIMEOUT", "reading the store took too long")
        state = error.sqlstate if isinstance(error, psycopg.Error) else None
        if state == fence.MOVED:
            return self._leave()
        if state == fence.MOVING:
            return HedgerowError("STORE_MOVED", "it is being moved to another database: try again")
        return HedgerowError("STORE_FAILED", str(error).strip()) if isinstance(error, psycopg.Error) else None

    def _connect(self) -> PostgresConnection:
        return PostgresConnection(self._url)

    # ---- opening

    def _open(self) -> None:
        # Closed by hand or by the end of the process; PostgreSQL then frees the slot.
        self._anchor = self._connect()
        self._db = connection = self._connect()
        try:
            self._transaction(range(STRIPES), migrate, connection)
            self._identity = self._transaction(range(STRIPES), self._introduce)
            self._read_schemas()
            self._read_indexes()
        except BaseException:
            self._close()
            raise

    def _introduce(self) -> Identity:
        """Read who this store is, and take a slot; at a new place the store is a new incarnation, and its
        nodes new authors.
        """
        db, app = self._db, self._app
        home = db.execute(HOME_QUERY).fetchone()[0].encode()
        meta = {"incarnation": b"0", "home": b"", "base": b"0"} | get_meta(db, app)
        if fence.LEFT in meta or fence.ARRIVING in meta:
            raise HedgerowError("STORE_MOVED", f"{app} is not in this database, or not yet")
        (now,) = db.execute("SELECT pg_current_xact_id()::text::bigint").fetchone()
        # Versions before did not look at the table.
        if meta["home"] not in (home, home.rpartition(b"/")[0]):
            (last,) = db.execute("SELECT coalesce(max(xid), 0) FROM commits WHERE app = ?", (app,)).fetchone()
            if meta["home"]:
                log.warning("the store of %s was restored, copied or promoted: it goes on anew", app)
                # Numbers go on above those that were given, wherever this PostgreSQL counts.
                meta["base"] = str(skip_transactions(meta, last) - now).encode()
            meta.setdefault("keeper", new_author())
            meta |= {"home": home, "epoch": os.urandom(16), "stable": b"0"}
            meta["incarnation"] = str(int(meta["incarnation"]) + 1).encode()
            db.execute("UPDATE peers SET position = 0 WHERE app = ?", (app,))
            db.execute("DELETE FROM nodes WHERE app = ?", (app,))
        set_meta(db, app, meta)
        self._base = int(meta["base"])
        self.gaps = gaps_of(meta)
        self._slot = self._take_slot()
        node = (app, self._slot)
        db.execute("INSERT INTO nodes VALUES (?, ?, ?, 0) ON CONFLICT DO NOTHING", (*node, new_author()))
        db.execute("UPDATE nodes SET boot = boot + 1 WHERE app = ? AND slot = ?", node)
        author, boot = db.execute(
            "SELECT author, boot FROM nodes WHERE app = ? AND slot = ?", node
        ).fetchone()
        return Identity(meta["keeper"], author, int(meta["incarnation"]), meta["epoch"], boot)

    def _take_slot(self) -> int:
        for slot in range(limits.NODES):
            if self._try_slot(self._anchor, slot):
                return slot
        raise HedgerowError("STORE_FAILED", f"{limits.NODES} nodes are on this database")

    def _try_slot(self, anchor: PostgresConnection, slot: int) -> bool:
        query = "SELECT pg_try_advisory_lock(?::int, ?::int)"
        return bool(anchor.execute(query, (self._lock, STRIPES + slot)).fetchone()[0])

    # ---- writing

    def _write(self, function: Callable[..., Result], *args: Any) -> Result:
        def informed() -> Result:
            self._read_new_schemas()
            return function(*args)

        return self._transaction(range(STRIPES), informed)

    def _aside(self, function: Callable[..., Result], *args: Any) -> Result:
        self._mend()
        return self._transaction((), function, *args)

    def _transaction(self, stripes: Iterable[int], function: Callable[..., Result], *args: Any) -> Result:
        """Run a function in a transaction that holds stripes; again after what another node has caused."""
        wanted = sorted(stripes)
        for attempt in range(ATTEMPTS):
            self._db.execute("BEGIN")
            try:
                self._db.execute(
                    "SELECT pg_advisory_xact_lock(?::int, s) FROM unnest(?::int[]) AS s", (self._lock, wanted)
                )
                result = function(*args)
                self._db.execute("COMMIT")
                return result
            except (errors.DeadlockDetected, errors.SerializationFailure, errors.LockNotAvailable):
                self._db.rollback()
                if attempt == ATTEMPTS - 1:
                    raise
                time.sleep(0.01 * 2**attempt)
            except BaseException:
                self._db.rollback()
                raise
        raise AssertionError("a loop that returns or raises")

    def _read_new_schemas(self) -> None:
        """Know every schema: other nodes may have written since the last look, and what they wrote under new
        ones cannot be read without.
        """
        query = "SELECT count(*) FROM schemas WHERE app = ? AND shard = ?"
        if self._db.execute(query, self._key).fetchone()[0] != len(self._schemas):
            self._read_schemas()

    def _ingest(self, submissions: Sequence[Submission], at: int) -> Ingested:
        self._mend()
        query = "SELECT 1 FROM ahead WHERE app = ? AND shard = ? AND due <= ? LIMIT 1"
        due = self._db.execute(query, (*self._key, at)).fetchone()
        # What becomes due, or is judged anew, may be any documents.
        judged = (JudgeEntry, CutEntry) if self.rules is None else (JudgeEntry, CutEntry, SealEntry)
        entries = [entry for submission in submissions for entry in submission.entries]
        anything = due or any(isinstance(entry, judged) for entry in entries)
        stripes = range(STRIPES) if anything else _stripes(entries)
        ingest, ingested = self._transaction(stripes, self._take, submissions, at)
        self._schemas = ingest.effects.schemas
        return ingested

    def _take(self, submissions: Sequence[Submission], at: int) -> tuple[Ingest, Ingested]:
        self._read_new_schemas()
        newest = self._newest(self._db)
        row = self._db.execute(
            "SELECT n.boot, m.value, pg_current_xact_id()::text::bigint FROM nodes n JOIN meta m"
            " ON m.app = n.app AND m.name = 'incarnation' WHERE n.app = ? AND n.slot = ?",
            (self._app, self._slot),
        ).fetchone()
        identity = self._identity
        if row is None or (row[0], int(row[1])) != (identity.boot, identity.incarnation):
            raise self._outdate("another node is here in this one's place")
        xid = row[2] + self._base
        ingest = Ingest(self._db, self._app, identity, self._schemas, at, xid, self.rules, self.keys)
        ingested = ingest.run(submissions, newest)
        if ingested.transaction == xid:
            self._db.execute(
                "INSERT INTO commits VALUES (?, ?, ?, ?, ?)",
                (*self._key, xid, at, list(ingested.collections)),
            )
            self._db.execute(
                "DELETE FROM commits WHERE app = ? AND shard = ? AND at < ? AND xid < ?",
                (*self._key, at - COMMITS_KEPT_MS, newest),
            )
        return ingest, ingested

    def _outdate(self, why: str) -> HedgerowError:
        self.outdated = HedgerowError("STORE_FAILED", f"{why}: start it anew")
        return self.outdated

    def _leave(self) -> HedgerowError:
        """Note that the app is at another database now, where it goes on as what it was."""
        self.outdated = HedgerowError("STORE_MOVED", "it is at another database now: try again")
        return self.outdated

    def _mend(self) -> None:
        """Connect anew what was lost. The slot must still be free then, and the database where it was."""
        if self.outdated is not None:
            raise self.outdated
        if self._db.is_closed:
            self._db = self._connect()
            # It idles, and would not notice by itself that its server is gone.
            with contextlib.suppress(psycopg.Error):
                self._anchor.execute("SELECT 1")
        if not self._anchor.is_closed:
            return
        anchor = self._connect()
        try:
            if not self._try_slot(anchor, self._slot):
                raise self._outdate("another node has taken this one's slot")
            if anchor.execute(HOME_QUERY).fetchone()[0].encode() != get_meta(anchor, self._app)["home"]:
                raise self._outdate("the database was promoted or put back")
        except BaseException:
            anchor.close()
            raise
        self._anchor = anchor

    # ---- following

    async def follow(self, after: int) -> Ingested | None:
        """See `port.Store`."""
        return await self._run(self._follow, after)

    def _follow(self, after: int) -> Ingested | None:
        self._mend()
        newest, is_here = self._db.execute(
            FOLLOW_QUERY, (*self._key, self._base, self._app, fence.LEFT)
        ).fetchone()
        if not is_here:
            raise self._leave()
        if newest <= after:
            return None
        key = (*self._key, after)

        def rows(query: str) -> list[Any]:
            return self._db.execute(query, key).fetchall()

        collections = rows(
            "SELECT DISTINCT unnest(collections) FROM commits WHERE app = ? AND shard = ? AND xid > ?"
        )
        written = rows(
            "SELECT o.author, o.number, o.stamp FROM authors a JOIN operations o ON o.app = a.app"
            " AND o.shard = a.shard AND o.author = a.author AND o.number = a.held"
            " WHERE a.app = ? AND a.shard = ? AND a.xid > ?"
        )
        written += rows(
            "SELECT o.author, o.number, o.stamp FROM clocks c JOIN operations o ON o.app = c.app"
            " AND o.shard = c.shard AND o.author = c.author AND o.number = c.number - 1"
            " WHERE c.app = ? AND c.shard = ? AND c.xid > ?"
        )
        (due,) = self._db.execute(
            "SELECT min(due) FROM ahead WHERE app = ? AND shard = ?", self._key
        ).fetchone()
        self._read_indexes()
        schemas = [encoded for (encoded,) in rows(f"{SCHEMA_QUERY} AND xid > ?")]
        self._learn(schemas)
        return Ingested(
            newest,
            (),
            [Frontier(*row) for row in rows(f"{FRONTIER_QUERY} AND a.xid > ?")],
            schemas,
            [ClockRecord(*row) for row in rows(f"{CLOCK_QUERY} AND xid > ?")],
            [Written(*row) for row in written],
            0,
            0,
            due,
            [collection for (collection,) in collections],
            (),
            [name for (name,) in rows(EXPIRED_QUERY)],
            cut_since(self._db, self._app, after),
        )

    # ---- reading

    def _newest(self, db: Connection) -> int:
        return int(db.execute(NEWEST_QUERY, (*self._key, self._base)).fetchone()[0])

    def _begin_view(self, db: Connection, seconds: float | None) -> None:
        db.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        if seconds is not None:
            query = "SELECT set_config('statement_timeout', ?, true)"
            db.execute(query, (str(max(1, int(seconds * 1000))),))

    def _end_view(self, db: Connection) -> None:
        db.rollback()

    def _interrupt(self, db: Connection) -> None:
        # To cancel takes a connection, and may come so late that it cancels what is next on this one.
        pass

    def _close(self) -> None:
        super()._close()
        self._anchor.close()


def _stripes(entries: Sequence[Entry]) -> set[int]:
    """Return the stripes of the authors and documents that entries are about."""
    found: set[int] = set()
    for entry in entries:
        if isinstance(entry, (SchemaEntry, AnswerEntry, ExpiredEntry, AbsentEntry)):
            continue
        found.add(_stripe(entry.author))
        if isinstance(entry, Operation):
            found |= _stripes_of_documents(entry)
    return found


def _stripes_of_documents(entry: Operation) -> set[int]:
    try:
        _, changes = decode_body(entry.body)
        ids = document_ids(entry.author, entry.number, changes)
        return {_stripe(cbor.encode(document_id)) for document_id in ids}
    # Whatever is wrong with it, it is refused when it is taken, before it touches a document.
    except Exception:  # noqa: BLE001
        return set()


def _stripe(key: bytes) -> int:
    return hashlib.sha256(key).digest()[0] % STRIPES


def migrate(db: Connection) -> None:
    """Bring the database to this version; raises STORE_VERSION if it is newer."""
    db.execute("CREATE TABLE IF NOT EXISTS hedgerow_version (version BIGINT NOT NULL)")
    (version,) = db.execute("SELECT coalesce(max(version), 0) FROM hedgerow_version").fetchone()
    folder = importlib.resources.files(__package__).joinpath("migrations", "postgres")
    scripts = sorted([entry for entry in folder.iterdir() if entry.name.endswith(".sql")], key=_name)
    if version > len(scripts):
        raise HedgerowError("STORE_VERSION", f"version {version}, {len(scripts)} is the newest known")
    for number, script in enumerate(scripts[version:], version + 1):
        db.execute(script.read_text("utf-8"))
        db.execute("INSERT INTO hedgerow_version VALUES (?)", (number,))


def _name(entry: Any) -> str:
    return str(entry.name)
