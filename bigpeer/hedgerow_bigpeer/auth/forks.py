"""Authors that have forked, as the issuer says it to everybody; the evidence stands in the audit log."""

from hashlib import sha256

from hedgerow.crypto.cose import Sign1
from hedgerow.crypto.forks import FORK, Fork, payload
from hedgerow.errors import HedgerowError
from hedgerow.limits import MAX_NUMBER
from hedgerow_host.fork import Evidence

from . import cose
from .apps import App
from .audit import Audit
from .database import Database, now
from .issuers import Issuers


class Forks:
    """The forks of all apps: statements, so that every peer that judges hears of them."""

    def __init__(self, database: Database, audit: Audit, issuers: Issuers) -> None:
        self._database = database
        self._audit = audit
        self._issuers = issuers

    def all(self, app: App) -> dict[bytes, tuple[int, int]]:
        """Return (last number that counts, when that was said) of every author of an app that has forked."""
        found: dict[bytes, tuple[int, int]] = {}
        for _, body in self._database.statements(app.id, 0):
            if Sign1(body).kind == FORK:
                fork = Fork(body, app.id)
                found[fork.author] = max((fork.last, fork.issued), found.get(fork.author, (0, 0)))
        return found

    def note(self, actor: str, app: App, last: int, shown: Evidence, held: bytes) -> None:
        """Quarantine an author behind a number, once; `held` is the seal that the shown one contradicts."""
        with self._database.change():
            if shown.author in self.all(app):
                return
            self._state(app, shown.author, last)
            self._audit.add(
                actor,
                "author.fork",
                shown.author.hex(),
                app=app.id,
                code="AUTHOR_FORKED",
                last=last,
                held=held.hex(),
                shown=shown.seal.hex(),
                root=sha256(b"".join(shown.marks)).hexdigest(),
            )

    def accept(self, actor: str, app: App, author: bytes, last: int) -> int:
        """Let more of an author that has forked count, as it is held; return the number.

        Raises FORK_UNKNOWN, REVOCATION_LOWER, PERMISSION_INVALID for a senseless number.
        """
        if not 0 <= last <= MAX_NUMBER:
            raise HedgerowError("PERMISSION_INVALID", f"last: 0 to {MAX_NUMBER}")
        with self._database.change():
            before = self.all(app).get(author)
            if before is None:
                raise HedgerowError("FORK_UNKNOWN", author.hex())
            if last < before[0]:
                raise HedgerowError("REVOCATION_LOWER", f"{last}; {before[0]} stands")
            if last > before[0]:
                self._state(app, author, last)
                self._audit.add(actor, "author.accept", author.hex(), app=app.id, last=last)
        return last

    def _state(self, app: App, author: bytes, last: int) -> None:
        said = payload(app.id, now(), author, last)
        self._database.state(app.id, cose.sign(self._issuers.private(app), said, FORK))
