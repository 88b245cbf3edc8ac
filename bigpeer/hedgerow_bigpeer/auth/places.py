"""Where apps lie: of those that share one database of rights, each may have a PostgreSQL of its own.

A place is a URL, whose password is nobody's business, so it stands sealed among the secrets. An app without
one lies where the rights do. A move that was begun stands there too; it is over once the app has left its old
place, and whoever sees that first says so here.
"""

import json
import os
import re
from typing import NamedTuple

from hedgerow.errors import HedgerowError

from .apps import App
from .audit import Audit
from .database import Database

_TOKEN_BYTES = 16


class Move(NamedTuple):
    """A move under way: whereto, its name, and under which name the store knows the app."""

    to: str
    token: bytes
    key: str


class Places:
    """See the module. All but get() and move() need rights in a PostgreSQL [PLACE_INVALID]."""

    def __init__(self, database: Database, audit: Audit) -> None:
        self._database = database
        self._audit = audit

    def get(self, app: App) -> str:
        """Return where an app lies, "" for where the rights do."""
        return (self._load("place", app) or b"").decode()

    def move(self, app: App) -> Move | None:
        """Return the move of an app that is under way."""
        found = self._load("move", app)
        if found is None:
            return None
        to, token, key = json.loads(found)
        return Move(to, bytes.fromhex(token), key)

    def set(self, actor: str, app: App, url: str, lost: bool = False) -> None:
        """Let an app lie somewhere; of a `lost` place a move is forgotten too."""
        check(url)
        with self._database.change():
            self._save("place", app, url.encode())
            if lost:
                self._save("move", app, None)
            self._audit.add(actor, "app.place", app.id, to=shown(url), lost=lost)

    def plan(self, app: App, to: str, key: str) -> Move:
        """Return the move that was begun, or a new one. Raises PLACE_INVALID for another target."""
        known = self.move(app)
        if known is not None and known.to != to:
            raise HedgerowError("PLACE_INVALID", f"a move to {shown(known.to)} is under way")
        return known or Move(to, os.urandom(_TOKEN_BYTES), key)

    def begin(self, actor: str, app: App, move: Move) -> None:
        """Begin a move, if it was not. Raises PLACE_INVALID if another one was."""
        with self._database.change():
            if self.plan(app, move.to, move.key) != move:
                self._save("move", app, json.dumps([move.to, move.token.hex(), move.key]).encode())
                self._audit.add(actor, "app.move.begin", app.id, to=shown(move.to))

    def settle(self, actor: str, app: App, move: Move) -> None:
        """Say that an app has arrived; nothing if that was said before."""
        with self._database.change():
            if self.move(app) == move:
                self._save("place", app, move.to.encode())
                self._save("move", app, None)
                self._audit.add(actor, "app.move", app.id, to=shown(move.to))

    def abandon(self, actor: str, app: App) -> None:
        """Forget a move."""
        with self._database.change():
            self._save("move", app, None)
            self._audit.add(actor, "app.move.abandon", app.id)

    def _load(self, what: str, app: App) -> bytes | None:
        name = f"{what}/{app.id}"
        row = self._database.row("SELECT value FROM secrets WHERE name = ?", name)
        return None if row is None else self._database.vault.unseal(name, row[0])

    def _save(self, what: str, app: App, value: bytes | None) -> None:
        if not self._database.is_shared:
            raise HedgerowError(
                "PLACE_INVALID", "the rights are in a file: HEDGEROW_STORE names no PostgreSQL"
            )
        name = f"{what}/{app.id}"
        self._database.run("DELETE FROM secrets WHERE name = ?", name)
        if value is not None:
            self._database.vault.save(name, value)


def check(url: str) -> None:
    """Raise PLACE_INVALID for what is no URL of PostgreSQL."""
    if not url.startswith(("postgresql://", "postgres://")):
        raise HedgerowError("PLACE_INVALID", "no URL of PostgreSQL")


def shown(url: str) -> str:
    """Return a URL without its password."""
    return re.sub(
        r"(//[^:/@]*):[^@/]*@|([?&]password=)[^&]*", lambda m: f"{m[1]}@" if m[1] else f"{m[2]}...", url
    )
