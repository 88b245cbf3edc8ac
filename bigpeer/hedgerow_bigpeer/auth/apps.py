"""Apps: one app is one data set with its own issuer, keys, providers and mode."""

import re
import secrets
import uuid
from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

from hedgerow.codec import cbor
from hedgerow.crypto import claims
from hedgerow.errors import HedgerowError

from .audit import Audit
from .credential import MESH_BYTES
from .database import Database, now

MODES = {"production": claims.PRODUCTION, "playground": claims.PLAYGROUND}
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_COLUMNS = "id, name, mode, mesh, token, created"


class App(NamedTuple):
    """`id` is a UUID; `mode` claims.PRODUCTION or PLAYGROUND; `token` the shared one of a playground."""

    id: str
    name: str
    mode: int
    mesh: str
    token: str | None
    created: int

    @property
    def is_playground(self) -> bool:
        """Whether a shared token is enough to get in."""
        return self.mode == claims.PLAYGROUND

    @property
    def mesh_id(self) -> bytes:
        """Return the 8 bytes of the mesh in credentials: app, mesh and mode all count."""
        parts = cbor.encode(["hedgerow mesh", self.id, self.mesh, self.mode])
        return sha256(parts).digest()[:MESH_BYTES]


class Apps:
    """The apps of this installation."""

    def __init__(self, database: Database, audit: Audit) -> None:
        self._database = database
        self._audit = audit

    def create(self, actor: str, name: str, mode: str, mesh: str) -> App:
        """Make an app; a playground gets a random token of its own. Raises APP_INVALID."""
        if not _NAME.fullmatch(name):
            raise HedgerowError("APP_INVALID", "a name is 1 to 63 of a-z, 0-9 and inner hyphens")
        if mode not in MODES:
            raise HedgerowError("APP_INVALID", f"mode: one of {', '.join(MODES)}")
        if not 0 < len(mesh) <= 64:
            raise HedgerowError("APP_INVALID", "mesh: 1 to 64 characters")
        if ":" in mesh:
            raise HedgerowError("APP_INVALID", "mesh: its name alone, without the secret of its boards")
        token = secrets.token_urlsafe(24) if MODES[mode] == claims.PLAYGROUND else None
        app = App(str(uuid.uuid4()), name, MODES[mode], mesh, token, now())
        with self._database.change():
            if self._find(name) is not None:
                raise HedgerowError("APP_INVALID", f"an app {name} exists")
            self._database.run(f"INSERT INTO apps ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)", *app)  # noqa: S608
            self._audit.add(actor, "app.create", app.id, name=name, mode=mode, mesh=mesh)
        return app

    def get(self, id_or_name: str) -> App:
        """Return an app. Raises APP_UNKNOWN."""
        app = self._find(id_or_name)
        if app is None:
            raise HedgerowError("APP_UNKNOWN", id_or_name[:100])
        return app

    def ensure(self, name: str, mode: str, mesh: str) -> App:
        """Return the app of this name; it is made if it is not there."""
        with self._database.change():
            return self._find(name) or self.create("system", name, mode, mesh)

    def all(self) -> Sequence[App]:
        """Return every app, by name."""
        rows = self._database.rows(f"SELECT {_COLUMNS} FROM apps ORDER BY name")  # noqa: S608
        return [App(*row) for row in rows]

    def renew_token(self, actor: str, app: App) -> App:
        """Give a playground app a new token; the old one lets nobody in any more. Raises APP_INVALID."""
        if not app.is_playground:
            raise HedgerowError("APP_INVALID", f"{app.name} is no playground")
        token = secrets.token_urlsafe(24)
        with self._database.change():
            self._database.run("UPDATE apps SET token = ? WHERE id = ?", token, app.id)
            self._audit.add(actor, "app.token", app.id)
        return app._replace(token=token)

    def _find(self, id_or_name: str) -> App | None:
        query = f"SELECT {_COLUMNS} FROM apps WHERE id = ? OR name = ?"  # noqa: S608
        row = self._database.row(query, id_or_name, id_or_name)
        return None if row is None else App(*row)
