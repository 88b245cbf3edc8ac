"""One ingest transaction, in the SQL that every engine here understands."""

import logging
from collections.abc import Iterable, Sequence
from typing import Any

from hedgerow.codec import cbor
from hedgerow.codec.schema import HEALTH, Schema
from hedgerow.crypto.confidential import CollectionKeys
from hedgerow.crypto.rules import Rules
from hedgerow.custody.skip import Skip
from hedgerow.errors import HedgerowError
from hedgerow.operation import INSERT, decode_body
from hedgerow.trust.lost import check_word
from hedgerow.trust.seal import Seal

from . import ahead
from .answers import keep_answer
from .corrections import corrections
from .cut import give_up, unseal
from .effects import Effects
from .facets import facets_of
from .frontiers import withdraw, write_frontier
from .judge import Judge
from .losses import lost_between
from .merge import Change, Documents, Merge, touched_by
from .reading import Reading
from .rows import (
    TIMES,
    AnswerEntry,
    Arrival,
    ClockRecord,
    CutEntry,
    DocumentRow,
    Entry,
    Frontier,
    Identity,
    Ingested,
    Operation,
    Submission,
    Written,
)
from .sql import (
    ARRIVAL_QUERY,
    DOCUMENT_QUERY,
    DOCUMENTS,
    FRONTIER_QUERY,
    OPERATIONS,
    OUTBOX,
    SAVE_AGAIN,
    SCHEMA_QUERY,
    SHARD,
    TOUCH_AGAIN,
    TOUCHES,
    Connection,
    Table,
    places_left,
)
from .work import Work

log = logging.getLogger(__name__)

MOMENT_MS = 600_000
DUE_AT_ONCE = 256
PREFETCHED = 256


class Ingest(Documents):
    """A transaction that is under way, and its number; `schemas` are those known before it.

    The caller begins and commits. Each submission stands in a savepoint of its own.
    """

    def __init__(
        self,
        connection: Connection,
        app: str,
        identity: Identity,
        schemas: dict[bytes, Schema],
        at: int,
        transaction: int,
        rules: Rules | None = None,
        keys: CollectionKeys | None = None,
    ) -> None:
        self._db = connection
        self._rules = rules
        self.keys = keys
        self._judge = Judge(connection, (app, SHARD), rules, keys)
        self._app = app
        self._key = (app, SHARD)
        self._identity = identity
        self.at = at
        self._xid = transaction
        self.effects = Effects(dict(schemas))
        # Rows that nothing has read yet, by their statement or table; they go together, and not one by one.
        self._rows: dict[str | Table, list[tuple[Any, ...]]] = {}
        self._known: dict[tuple[str, bytes], DocumentRow | None] = {}
        # The H16s of what was added, until it is sealed.
        self._marks: dict[bytes, dict[int, bytes]] = {}

    def run(self, submissions: Sequence[Submission], before: int) -> Ingested:
        """Take the submissions; `before` is the newest transaction so far."""
        self._enter_due()
        errors = [self._submit(submission) for submission in submissions]
        effects = self.effects
        self._correct_times()
        if effects.changed:
            self._note_moment()
        (due,) = self._db.execute(
            "SELECT min(due) FROM ahead WHERE app = ? AND shard = ?", self._key
        ).fetchone()
        return Ingested(
            self._xid if effects.changed else before,
            errors,
            list(effects.moved.values()),
            effects.new_schemas,
            effects.clocks,
            [*effects.ended, *effects.last.values()],
            effects.operations,
            effects.documents,
            due,
            list(effects.collections),
            effects.refused,
            list(effects.expired),
            list(effects.cut),
        )

    def _correct_times(self) -> None:
        """Tell whose operations have got other times than they had, a row for each run of them."""
        news: dict[bytes, list[ClockRecord]] = {}
        for record in self.effects.clocks:
            news.setdefault(record.author, []).append(record)
        for author, records in news.items():
            found = corrections(self._db, self._key, author, self._xid, records, self.effects.schemas)
            query = "SELECT stamp FROM operations WHERE app = ? AND shard = ? AND author = ? AND number = ?"
            number = records[-1].number
            for correction in found:
                (stamp,) = self._db.execute(query, (*self._key, author, number)).fetchone()
                place = cbor.encode([author, correction.first.number])
                self._write(
                    OUTBOX,
                    (
                        *self._key, self._identity.epoch, self._xid, TIMES, place, "u",
                        None, correction.encode(), author, number, stamp, self.at,
                    ),
                )  # fmt: skip
        self._flush()

    def _note_moment(self) -> None:
        last = self._db.execute(
            "SELECT at FROM moments WHERE app = ? AND shard = ? ORDER BY xid DESC LIMIT 1", self._key
        ).fetchone()
        if last is None or self.at - last[0] >= MOMENT_MS:
            self._db.execute("INSERT INTO moments VALUES (?, ?, ?, ?)", (*self._key, self._xid, self.at))

    def _enter_due(self) -> None:
        """Let operations into the view whose time has come."""
        rows = self._db.execute(
            "SELECT a.due, a.author, a.number, o.body FROM ahead a"
            " JOIN operations o USING (app, shard, author, number)"
            " WHERE a.app = ? AND a.shard = ? AND a.due <= ? ORDER BY a.due, a.author, a.number LIMIT ?",
            (*self._key, self.at, DUE_AT_ONCE),
        ).fetchall()
        if not rows:
            return
        merge = Merge(self, self.at)
        for due, author, number, body in rows:
            self._db.execute(
                "DELETE FROM ahead WHERE app = ? AND shard = ? AND due = ? AND author = ? AND number = ?",
                (*self._key, due, author, number),
            )
            for place in self._touched_by(author, number, body):
                self.touch(*place, author, number)
                merge.rebuild(*place, self.effects.schemas)
        for change in merge.changes():
            self.save_document(change)
        self._flush()
        self.effects.changed = True

    def _write(self, query: str | Table, row: tuple[Any, ...]) -> None:
        self._rows.setdefault(query, []).append(row)

    def _flush(self) -> None:
        """Write what waits: before it is read, and at the end of a submission."""
        for query, rows in self._rows.items():
            if isinstance(query, Table):
                self._db.add(query, rows)
            else:
                self._db.executemany(query, rows)
        self._rows.clear()

    def _submit(self, submission: Submission) -> HedgerowError | None:
        error, good = self._savepoint(submission.entries)
        if error is not None and good and not submission.whole:
            self._savepoint(submission.entries[:good])
        return error

    def _savepoint(self, entries: Sequence[Entry]) -> tuple[HedgerowError | None, int]:
        """Take entries wholly or not at all; return the refusal, and how many went well before it."""
        before = self.effects.copy()
        self._db.execute("SAVEPOINT submission")
        work = Work(self)
        try:
            work.take(entries)
            self._flush()
            error = None
        except self._db.failures:
            raise
        except HedgerowError as refusal:
            error = refusal
        # Entries come from anybody: what they make fail here must stay theirs.
        except Exception as failure:
            log.exception("an entry could not be taken")
            error = HedgerowError("OPERATION_INVALID", repr(failure)[:200])
        if error is not None:
            self._rows.clear()
            self._known.clear()
            self._marks.clear()
            self._db.execute("ROLLBACK TO submission")
            self.effects = before
        self._db.execute("RELEASE submission")
        return error, work.taken

    # ---- what a submission calls

    def load_author(self, author: bytes) -> Frontier:
        """Return the frontier of an author, all zero for a new one."""
        row = self._db.execute(f"{FRONTIER_QUERY} AND a.author = ?", (*self._key, author)).fetchone()
        return Frontier(*row) if row else Frontier(author, "", 0, 0, 0, 0)

    def save_author(self, frontier: Frontier) -> None:
        """Write a frontier, and with it the receipt that it allows."""
        receipted = min(frontier.held, frontier.sealed)
        if receipted > frontier.receipted:
            receipted = min(receipted, self.vouched(frontier))
        forked = None if self._rules is None else self._rules.forked(frontier.author)
        if forked is not None:
            receipted = min(receipted, forked)
        frontier = frontier._replace(receipted=max(receipted, frontier.receipted), last_seen=self.at)
        write_frontier(self._db, self._key, frontier, self._identity.incarnation, self._xid)
        self.effects.moved[frontier.author] = frontier

    def vouched(self, frontier: Frontier) -> int:
        """Return up to which number an author has vouched itself for what is sealed here."""
        return self._judge.vouched(frontier.author, frontier.sealed)

    def withdraw(self, author: bytes, number: int) -> None:
        """Take back what was receipted of an author behind a number."""
        withdraw(self._db, self._key, author, number)
        self.effects.changed = True

    def add_schema(self, encoded: bytes) -> None:
        """Learn a schema."""
        schema = Schema.decode(encoded)
        known = self.effects.schemas.get(schema.name)
        if known is None:
            query, key = "INSERT INTO schemas VALUES (?, ?, ?, ?, ?)", (*self._key, schema.name)
            self._db.execute(f"{query} ON CONFLICT DO NOTHING", (*key, schema.encoded, self._xid))
            # Another node may have been first.
            (encoded,) = self._db.execute(f"{SCHEMA_QUERY} AND name = ?", key).fetchone()
            known = self.effects.schemas[schema.name] = Schema.decode(encoded)
        if known.hash != schema.hash:
            raise HedgerowError("SCHEMA_CONFLICT", schema.name.hex())
        # What others added is known to this store, and not yet to whoever asks it.
        if known.encoded not in self.effects.new_schemas:
            self.effects.new_schemas.append(known.encoded)

    def has_operation(self, author: bytes, number: int) -> bool:
        """Say whether an operation is, or was, held, and not only a skip in its place."""
        self._flush()
        query = "SELECT 1 FROM operations WHERE app = ? AND shard = ? AND author = ? AND number = ?"
        return self._db.execute(query, (*self._key, author, number)).fetchone() is not None

    def add_operation(self, entry: Operation, stamp: bytes, mark: bytes) -> None:
        """Keep an operation."""
        self._write(
            OPERATIONS,
            (*self._key, entry.author, entry.number, stamp, entry.body, mark, self._xid),
        )
        self._marks.setdefault(entry.author, {})[entry.number] = mark
        self.effects.last[entry.author] = Written(entry.author, entry.number, stamp)
        self.effects.operations += 1
        self.effects.changed = True

    def add_clock(self, record: ClockRecord) -> None:
        """Keep a clock record, before its operation; of several in one operation the first counts."""
        self._db.execute(
            "INSERT INTO clocks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (*self._key, *record, self._xid),
        )
        self.effects.clocks.append(record)
        if record.author in self.effects.last:
            self.effects.ended.append(self.effects.last[record.author])

    def lost_between(self, author: bytes, sealed: int, first: int) -> bool:
        """Say whether an author's skips cover all between what is sealed and a seal as lost."""
        return lost_between(self._db, self._key, author, sealed, first)

    def add_seal(self, author: bytes, seal: Seal, body: bytes, *, apart: bool) -> None:
        """Keep a seal that is its author's word for the operations held.

        `apart` says that the seals right before it are gone, with what its author has lost.
        """
        marks, count = self._marks.get(author, {}), seal.last - seal.first + 1
        numbers = range(seal.first, seal.last + 1) if count <= len(marks) else ()
        found = [marks.pop(number) for number in numbers if number in marks]
        if len(found) < count:
            self._flush()
            found = self._judge.marks(author, seal.first, seal.last)
        if not self._judge.is_good(author, seal, body, found, apart=apart):
            raise HedgerowError("SEAL_INVALID", f"{author.hex()} {seal.first}-{seal.last}")
        self._db.execute(
            "INSERT INTO seals VALUES (?, ?, ?, ?, ?, ?)", (*self._key, author, seal.last, seal.first, body)
        )
        self.effects.changed = True

    def add_skip(self, author: bytes, skip: Skip, body: bytes) -> None:
        """Keep a skip; a sealed one must be its author's word, behind the seal that it names."""
        before = self._db.execute(
            "SELECT body FROM seals WHERE app = ? AND shard = ? AND author = ? AND last = ?",
            (*self._key, author, skip.first - 1),
        ).fetchone()
        check_word(author, skip, before[0] if before else None, self._rules)
        self._db.execute(
            "INSERT INTO skips VALUES (?, ?, ?, ?, ?, ?)", (*self._key, author, skip.last, skip.first, body)
        )
        self.effects.changed = True

    def keep_answer(self, entry: AnswerEntry) -> None:
        """Keep an answer; there is none of its key yet. Old ones go."""
        keep_answer(self._db, self._key, entry, self._xid, self.at)
        self.effects.changed = True

    def cut(self, entry: CutEntry, frontier: Frontier, number: int, merge: Merge) -> Frontier | None:
        """Give up what an author has not vouched for, which is what lies behind a number: seals, and what
        is not what it has sealed. Return its frontier now, None if nothing went.
        """
        self._flush()
        found = give_up(self._db, self._key, entry, number, self.effects.schemas)
        if found is None and frontier.sealed <= number:
            return None
        unseal(self._db, self._key, entry.author, number, self._xid)
        for place, dot in (found or {}).items():
            merge.rebuild(*place, self.effects.schemas, dot)
        self._marks.pop(entry.author, None)
        self.effects.cut[entry.author] = None
        self.effects.changed = True
        return frontier._replace(held=frontier.held if found is None else number, sealed=number)

    # ---- who may write what

    def why_not(self, author: bytes, number: int, change: list[Any], schema: Schema) -> str:
        return self._judge.why_not(author, number, change, schema)

    def may_insert(self, entry: Operation, reading: Reading) -> bool:
        """Say whether an insert counts."""
        rules, schema = self._rules, reading.schema
        if rules is None:
            return True
        if rules.knows(entry.author) or schema.collection == HEALTH:
            change = decode_body(entry.body)[1][0]
        else:
            # Nobody has said what its author may write: its values are not looked at.
            change = [INSERT, schema.name, None, ()]
        return not self._judge.why_not(entry.author, entry.number, change, schema)

    def note_refused(self, author: bytes, number: int, code: str) -> None:
        self.effects.refused.append(self._judge.note(author, number, code))

    def judge(self, author: bytes, first: int, last: int, merge: Merge) -> None:
        """Judge operations anew, and merge the documents again of those of which the verdict is another."""
        self._flush()
        schemas = self.effects.schemas
        places: dict[tuple[str, bytes], None] = {}
        for number, body in self._judge.changed(author, first, last, schemas, self.effects.refused):
            for place in self._touched_by(author, number, body):
                self.touch(*place, author, number)
                places[place] = None
        for place in places:
            merge.rebuild(*place, schemas)
        self.effects.changed = self.effects.changed or bool(places)

    def _touched_by(self, author: bytes, number: int, body: bytes) -> list[tuple[str, bytes]]:
        """Return the documents that an operation changes, but those that were forgotten since."""
        self._flush()
        places = touched_by(author, number, body, self.effects.schemas)
        return places_left(self._db, self._key, author, number, places)

    def note_expired(self, collection: str) -> None:
        """Note that readings have expired, for all nodes."""
        query = "UPDATE retention SET xid = ? WHERE app = ? AND shard = ? AND collection = ?"
        self._db.execute(query, (self._xid, *self._key, collection))
        self.effects.collections[collection] = self.effects.expired[collection] = None
        self.effects.changed = True

    def prefetch(self, places: Iterable[tuple[str, bytes]]) -> None:
        """Read documents together, and not one by one."""
        wanted: dict[str, list[bytes]] = {}
        for collection, key in places:
            if (collection, key) not in self._known:
                self._known[collection, key] = None
                wanted.setdefault(collection, []).append(key)
        for collection, keys in wanted.items():
            for at in range(0, len(keys), PREFETCHED):
                rows = self._db.some(collection, keys[at : at + PREFETCHED], self._key)
                self._known |= {(collection, row[1]): DocumentRow(*row) for row in rows}

    def load_document(self, collection: str, key: bytes) -> DocumentRow | None:
        if (collection, key) in self._known:
            return self._known[collection, key]
        query = f"{DOCUMENT_QUERY} AND collection = ? AND id = ?"
        row = self._db.execute(query, (*self._key, collection, key)).fetchone()
        return DocumentRow(*row) if row else None

    def touch(self, collection: str, key: bytes, author: bytes, number: int, *, is_new: bool = False) -> None:
        self._write(
            TOUCHES if is_new else TOUCH_AGAIN,
            (*self._key, collection, key, author, number, self._xid),
        )

    def arrivals(self, collection: str, key: bytes) -> Sequence[Arrival]:
        self._flush()
        rows = self._db.execute(ARRIVAL_QUERY, (*self._key, collection, key))
        return [Arrival(*row) for row in rows]

    def hold_out(self, author: bytes, number: int, stamp: bytes) -> None:
        self._db.execute(
            "INSERT INTO ahead VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (*self._key, ahead.due(stamp), author, number),
        )

    def save_document(self, change: Change) -> None:
        """Write a merged document, and its outbox row if what is visible changed."""
        row, facets = change.row, change.facets
        self.effects.collections[row.collection] = None
        if facets is None and row.value is not None:
            facets = facets_of(cbor.decode(row.id), cbor.decode(row.value))
        self._known[row.collection, row.id] = row
        self._write(DOCUMENTS if change.is_new else SAVE_AGAIN, (*self._key, *row, self._xid, facets))
        if row.value == change.before:
            return
        kind = "c" if change.before is None else "d" if row.value is None else "u"
        self._write(
            OUTBOX,
            (
                *self._key, self._identity.epoch, self._xid, row.collection, row.id, kind,
                change.before, row.value, change.author, change.number, change.stamp, self.at,
            ),
        )  # fmt: skip
        self.effects.documents += 1
