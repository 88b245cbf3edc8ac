"""The credentials that were issued or countersigned, and whose author is whose."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from hedgerow.crypto.rules import check_author
from hedgerow.errors import HedgerowError

from .apps import App
from .credential import Credential
from .database import Database
from .engine import Violated

_COLUMNS = (
    "number, app, user, provider, agreement, sealing, author, issued, expires, identified,"
    " under, challenge, body"
)


class Issued(NamedTuple):
    """One credential as it was issued: see the table. A token for HTTP has no keys and no `body`."""

    number: bytes
    app: str
    user: str
    provider: str
    agreement: bytes
    sealing: bytes
    author: bytes | None
    issued: int
    expires: int
    identified: int
    under: bytes | None
    challenge: bytes | None
    body: bytes


class Ledger:
    """Remembers what was issued."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, issued: Issued) -> None:
        """Note a credential, for other peers too if it names an author; within a change.

        Raises CHALLENGE_INVALID if its challenge was used already.
        """
        try:
            self._database.run(
                f"INSERT INTO credentials ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
                *issued,
            )
        except Violated:
            raise HedgerowError("CHALLENGE_INVALID", "used already") from None
        if issued.author is not None:
            self._database.state(issued.app, issued.body)

    def get(self, app: App, number: bytes) -> Issued:
        """Return what was issued under a number. Raises CREDENTIAL_UNKNOWN."""
        found = self.find(app, number)
        if found is None:
            raise HedgerowError("CREDENTIAL_UNKNOWN", number.hex())
        return found

    def find(self, app: App, number: bytes) -> Issued | None:
        """Return what was issued under a number, None if nothing was."""
        query = f"SELECT {_COLUMNS} FROM credentials WHERE number = ? AND app = ?"  # noqa: S608
        row = self._database.row(query, number, app.id)
        return None if row is None else Issued(*row)

    def newest(self, app: App, limit: int, user: str = "") -> Sequence[Issued]:
        """Return what was issued, the newest first; to one user if it is given."""
        rows = self._database.rows(
            f"SELECT {_COLUMNS} FROM credentials WHERE app = ? AND (? = '' OR user = ?)"  # noqa: S608
            " ORDER BY issued DESC, number LIMIT ?",
            app.id,
            user,
            user,
            limit,
        )
        return [Issued(*row) for row in rows]

    def newest_of(self, app: App, author: bytes, sealing: bytes) -> bytes:
        """Return the body of the last credential of an author with these keys, b"" for none."""
        query = (
            "SELECT body FROM credentials WHERE app = ? AND author = ? AND sealing = ?"
            " ORDER BY issued DESC LIMIT 1"
        )
        row = self._database.row(query, app.id, author, sealing)
        return b"" if row is None else bytes(row[0])

    def sealing_keys_under(self, number: bytes) -> set[bytes]:
        """Return the sealing keys of the peers that were countersigned or met under a delegation."""
        query = (
            "SELECT sealing FROM credentials WHERE under = ?"
            " UNION SELECT sealing FROM met WHERE delegation = ?"
        )
        return {row[0] for row in self._database.rows(query, number, number)}

    def note_met(self, number: bytes, sealing: bytes) -> None:
        """Count a peer that was met under a delegation."""
        self._database.run("INSERT INTO met VALUES (?, ?) ON CONFLICT DO NOTHING", number, sealing)

    def count_since(self, app: App, sealing: bytes, provider: str, since: int) -> int:
        """Return how many credentials a sealing key was given from a provider after a moment."""
        query = (
            "SELECT count(*) FROM credentials"
            " WHERE app = ? AND issued > ? AND sealing = ? AND provider = ? AND under IS NULL"
        )
        row = self._database.row(query, app.id, since, sealing, provider)
        assert row is not None
        return int(row[0])

    def bind_author(self, app: App, author: bytes, sealing: bytes) -> None:
        """Let an author belong to a sealing key, which has so many in its life.

        Raises AUTHOR_TAKEN if it belongs to another, KEY_WORN_OUT for one more.
        """
        owner = self._owner(app, author)
        count = "SELECT count(*) FROM authors WHERE app = ? AND sealing = ?"
        check_author(author, sealing, owner, self._count(count, app.id, sealing))
        if owner is None:
            self._database.run("INSERT INTO authors VALUES (?, ?, ?)", app.id, author, sealing)

    def note_author(self, app: App, number: bytes, author: bytes, sealing: bytes) -> None:
        """Note that an author was met with a sealing key under a delegation, which proves nothing of that
        key: it uses up none of its logs elsewhere. Within a change. Raises as bind_author().
        """
        find = "SELECT sealing FROM met_authors WHERE delegation = ? AND author = ?"
        row = self._database.row(find, number, author)
        owner = self._owner(app, author) or (None if row is None else bytes(row[0]))
        count = "SELECT count(*) FROM met_authors WHERE delegation = ? AND sealing = ?"
        check_author(author, sealing, owner, self._count(count, number, sealing))
        if row is None:
            self._database.run("INSERT INTO met_authors VALUES (?, ?, ?)", number, author, sealing)

    def has_met(self, number: bytes, author: bytes | None, sealing: bytes) -> bool:
        """Say whether an author (None: nobody's) was met with a sealing key under a delegation."""
        if author is None:
            return sealing in self.sealing_keys_under(number)
        query = "SELECT count(*) FROM met_authors WHERE delegation = ? AND author = ? AND sealing = ?"
        return self._count(query, number, author, sealing) > 0

    def _owner(self, app: App, author: bytes) -> bytes | None:
        row = self._database.row("SELECT sealing FROM authors WHERE app = ? AND author = ?", app.id, author)
        return None if row is None else bytes(row[0])

    def _count(self, query: str, *values: Any) -> int:
        row = self._database.row(query, *values)
        return 0 if row is None else int(row[0])


def issued_of(
    credential: Credential, body: bytes, provider: str, identified: int, challenge: bytes | None = None
) -> Issued:
    """Return the row of a credential."""
    return Issued(
        credential.number,
        credential.app,
        credential.user,
        provider,
        credential.agreement,
        credential.sealing,
        credential.author,
        credential.issued,
        credential.expires,
        identified,
        credential.under,
        challenge,
        body,
    )
