"""The audit log: who did what, for ever. A table that only grows, each row chained to the one before."""

import json
import threading
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from .. import limits
from .database import Database, now

_START = bytes(32)
_DETAIL_CHARACTERS = 2000
# Actors that have shown a key or a credential.
_KNOWN = ("credential:", "delegation:", "peer:", "key:", "user:")


class Entry(NamedTuple):
    """One row: `at` in seconds, `actor` such as `key:ab12` or `user:ann`, what was done, to what, and how."""

    id: int
    at: int
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]


class _Share:
    """How many rows of whom there are in a while; those that are left out get one row, `more`, at its end."""

    def __init__(self, audit: "Audit", more: str) -> None:
        self._audit = audit
        self._more = more
        self._lock = threading.Lock()
        self._since = 0
        self._counts: dict[str, int] = {}

    def take(self, of: str, most: int, seconds: int) -> bool:
        """Say whether one more row of somebody is within the share."""
        with self._lock:
            at = now()
            if at - self._since >= seconds:
                for who, count in self._counts.items():
                    if count > most:
                        self._audit.add("system", self._more, who, count=count - most, since=self._since)
                self._since, self._counts = at, {}
            is_known = of.startswith(_KNOWN)
            is_known = is_known and (of in self._counts or len(self._counts) < limits.AUDIT_ACTORS)
            who = of if is_known else ""
            self._counts[who] = self._counts.get(who, 0) + 1
            return self._counts[who] <= most


class Audit:
    """Appends and reads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._here = _Share(self, "refusals.more")
        self._told, self._days = _Share(self, "radio.more"), _Share(self, "radio.more")

    def add(self, actor: str, action: str, subject: str, **detail: Any) -> None:
        """Append a row, in the transaction that is under way if one is. No secret may be among the detail."""
        text = json.dumps(detail, sort_keys=True, default=str)[:_DETAIL_CHARACTERS]
        with self._database.change():
            last = self._database.row("SELECT id, chain FROM audit ORDER BY id DESC LIMIT 1")
            number, chain = last if last is not None else (0, _START)
            # Not every database has a NUL in a text, and the chain covers what stands there.
            actor, subject = (part[:200].replace("\0", "\ufffd") for part in (actor, subject))
            row = (number + 1, now(), actor, action, subject, text)
            values = (*row, _next(chain, row))
            self._database.run("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?)", *values)

    def refuse(self, actor: str, action: str, subject: str, **detail: Any) -> None:
        """Append what somebody was refused; so many in a while, the others as a number, lest they fill what
        only grows. Strangers share one such number: they hide nobody who is known.
        """
        if self._here.take(actor, limits.AUDIT_REFUSALS, limits.AUDIT_REFUSALS_SECONDS):
            self.add(actor, action, subject, **detail)

    def hear(self, actor: str, action: str, by: str, **detail: Any) -> None:
        """Append what a peer, `by`, says that it had to refuse somebody; so much in a while, and in a day.

        There is no more than its word for that. It hides nothing of what that peer was refused here.
        """
        # Once a day is full there is not even a number every minute.
        if self._days.take(by, limits.AUDIT_TOLD, limits.AUDIT_TOLD_SECONDS) and self._told.take(
            by, limits.AUDIT_REFUSALS, limits.AUDIT_REFUSALS_SECONDS
        ):
            self.add(actor, action, by, by=by, **detail)

    def newest(self, limit: int, before: int | None = None, action: str = "") -> Sequence[Entry]:
        """Return rows below an id, the newest first; of one action if it is given."""
        rows = self._database.rows(
            "SELECT id, at, actor, action, subject, detail FROM audit"
            " WHERE id < ? AND (? = '' OR action = ?) ORDER BY id DESC LIMIT ?",
            before if before is not None else 1 << 62,
            action,
            action,
            limit,
        )
        return [Entry(at, when, who, what, to, _loads(text)) for at, when, who, what, to, text in rows]

    def broken_at(self) -> int | None:
        """Return the id of the first row that does not follow on the one before, None if all do."""
        chain, expected = _START, 1
        for *row, found in self._all():
            chain = _next(chain, tuple(row))
            if row[0] != expected or found != chain:
                return int(row[0])
            expected += 1
        return None

    def _all(self) -> Iterator[tuple[Any, ...]]:
        after = 0
        while rows := self._database.rows("SELECT * FROM audit WHERE id > ? ORDER BY id LIMIT 1000", after):
            yield from rows
            after = rows[-1][0]


def _next(chain: bytes, row: tuple[Any, ...]) -> bytes:
    return sha256(chain + json.dumps(row).encode()).digest()


def _loads(text: str) -> dict[str, Any]:
    try:
        detail: dict[str, Any] = json.loads(text)
    except ValueError:
        return {"cut": text}
    return detail
