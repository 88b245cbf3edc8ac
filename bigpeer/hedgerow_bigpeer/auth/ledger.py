"""The credentials that were issued or countersigned, and whose author is whose."""

from collections.abc import Sequence
from typing import NamedTuple

from hedgerow.errors import HedgerowError

from .. import limits
from .apps import App
from .credential import Credential
from .database import Database, Violated

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
        find = "SELECT sealing FROM authors WHERE app = ? AND author = ?"
        row = self._database.row(find, app.id, author)
        if row is None:
            of_key = "SELECT count(*) FROM authors WHERE app = ? AND sealing = ?"
            count = self._database.row(of_key, app.id, sealing)
            if count is not None and count[0] >= limits.LOG_EPOCHS:
                raise HedgerowError("KEY_WORN_OUT", f"{limits.LOG_EPOCHS} logs")
            self._database.run(
                "INSERT INTO authors VALUES (?, ?, ?) ON CONFLICT DO NOTHING", app.id, author, sealing
            )
            row = self._database.row(find, app.id, author)
        if row is None or row[0] != sealing:
            raise HedgerowError("AUTHOR_TAKEN", author.hex())


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
