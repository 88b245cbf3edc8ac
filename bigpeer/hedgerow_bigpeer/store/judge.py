"""Verdicts over seals and operations of the store: which do not count, and of which that has changed."""

from collections.abc import Iterator
from typing import Any

from hedgerow.codec.schema import Schema
from hedgerow.crypto.confidential import CollectionKeys
from hedgerow.crypto.rules import Rules
from hedgerow.operation import CLOCK, HIDDEN
from hedgerow.trust.seal import NO_SEAL, SEAL_SIGNED, Seal, check_seal, is_bare, names_holder
from hedgerow.trust.verify import names

from .reveal import UNREADABLE, read_operation
from .rows import Refused
from .sql import Connection


class Judge:
    """Asks `rules` (None: everything counts), and keeps what was refused; within a transaction. `keys` reveal
    what is confidential.
    """

    def __init__(
        self,
        connection: Connection,
        key: tuple[str, int],
        rules: Rules | None,
        keys: CollectionKeys | None,
    ) -> None:
        self._keys = keys
        self._db = connection
        self._key = key
        self._rules = rules

    def marks(self, author: bytes, first: int, last: int) -> list[bytes]:
        """Return the H16s of the operations that are held of a range."""
        rows = self._db.execute(
            "SELECT h16 FROM operations WHERE app = ? AND shard = ? AND author = ? AND number BETWEEN ? AND ?"
            " ORDER BY number",
            (*self._key, author, first, last),
        )
        return [mark for (mark,) in rows]

    def is_good(self, author: bytes, seal: Seal, body: bytes, marks: list[bytes], *, apart: bool) -> bool:
        """Say whether a seal is its author's word for what is held, in its place; see Ingest.add_seal.

        `marks` are those of what is held of its range.
        """
        before = self._db.execute(
            "SELECT body FROM seals WHERE app = ? AND shard = ? AND author = ? AND last = ?",
            (*self._key, author, seal.first - 1),
        ).fetchone()
        rules = self._rules
        good = is_bare(author, body, rules)
        if good:
            return True
        if before is not None and is_bare(author, before[0], rules):
            # It may stand for one that its author has lost.
            whole = len(marks) == seal.last - seal.first + 1
            good = check_seal(author, body, marks, rules) if whole else names_holder(author, seal, rules)
        elif len(marks) == seal.last - seal.first + 1:
            follows = names(seal.previous, before[0]) if before else seal.previous == NO_SEAL or apart
            good = check_seal(author, body, marks, rules) and follows
        else:
            # Without the operations that are skipped there is no root: the seal is taken for its place.
            good = before is None or names(seal.previous, before[0])
            good = good and names_holder(author, seal, rules)
        return bool(good)

    def vouched(self, author: bytes, sealed: int) -> int:
        """Return up to which number an author has vouched itself for what is `sealed`: of one with a
        credential up to its last signed seal, which names those before it.
        """
        if self._rules is None or not self._rules.knows(author):
            return sealed
        query = "SELECT last, body FROM seals WHERE app = ? AND shard = ? AND author = ? ORDER BY last DESC"
        for end in (" LIMIT 1", ""):
            for last, body in self._db.execute(query + end, (*self._key, author)):
                if Seal.decode(body).kind == SEAL_SIGNED:
                    return int(last)
        return 0

    def why_not(self, author: bytes, number: int, change: list[Any], schema: Schema) -> str:
        """Return the code of why a change does not count, "" if it does."""
        if self._rules is None:
            return ""
        why: str = self._rules.why_not(author, number, change, schema, self._sealed_under)
        return why

    def _sealed_under(self, author: bytes, number: int) -> bytes | None:
        row = self._db.execute(
            "SELECT body FROM seals WHERE app = ? AND shard = ? AND author = ? AND last >= ?"
            " ORDER BY last LIMIT 1",
            (*self._key, author, number),
        ).fetchone()
        seal = Seal.decode(row[0]) if row else None
        if seal is None or seal.kind != SEAL_SIGNED or seal.first > number:
            return None
        return bytes(seal.credential)

    def note(self, author: bytes, number: int, code: str) -> Refused:
        """Note that something of an operation does not count."""
        self._db.execute(
            "INSERT INTO refused VALUES (?, ?, ?, ?, ?) ON CONFLICT (app, shard, author, number)"
            " DO UPDATE SET code = excluded.code",
            (*self._key, author, number, code),
        )
        return Refused(author, number, code)

    def changed(
        self, author: bytes, first: int, last: int, schemas: dict[bytes, Schema], news: list[Refused]
    ) -> Iterator[tuple[int, bytes]]:
        """Judge a range anew; yield (number, body) of operations whose documents are to be merged again, and
        add to `news` what was refused.
        """
        key = (*self._key, author, first, last)
        before = dict(
            self._db.execute(
                "SELECT number, code FROM refused WHERE app = ? AND shard = ? AND author = ?"
                " AND number BETWEEN ? AND ?",
                key,
            )
        )
        rows = self._db.execute(
            "SELECT number, body FROM operations WHERE app = ? AND shard = ? AND author = ?"
            # Of what was collected, or has expired, there is nothing to judge.
            " AND number BETWEEN ? AND ? AND length(body) > 0",
            key,
        ).fetchall()
        for number, body in rows:
            changes = read_operation(author, number, body, schemas, self._keys)
            codes = [
                UNREADABLE
                if change[0] == HIDDEN
                else self.why_not(author, number, change, schemas[change[1]])
                for change in changes
                if change[0] != CLOCK
            ]
            code = next((code for code in codes if code), None)
            # Of several changes some may count now, and others no more.
            if code == before.get(number) and (code is None or len(codes) == 1):
                continue
            if code is None:
                self._db.execute(
                    "DELETE FROM refused WHERE app = ? AND shard = ? AND author = ? AND number = ?",
                    (*self._key, author, number),
                )
            elif code != before.get(number):
                news.append(self.note(author, number, code))
            yield number, body
