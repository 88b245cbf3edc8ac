"""What nodes on one PostgreSQL share besides its tables: private keys, sealed under a key in a file."""

import os
import sqlite3
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hedgerow.errors import HedgerowError

from .database import Database, SqliteEngine
from .vault import IDENTITY, Vault, write_private

_KEY_BYTES = 32
_NONCE = 12
_MARK = "rights.key"
_TABLES = (
    *("apps", "issuers", "keys", "providers", "users", "sessions", "credentials", "authors"),
    *("revocations", "statements", "audit"),
)


class TableVault:
    """See `Vault`: rows of `secrets`, each sealed with AES-GCM under the key in a file, its name covered.

    The file has 64 hexadecimal digits, and is the same at every server. The first one makes it.
    """

    def __init__(self, database: Database, path: Path) -> None:
        """Within a change. Raises REGISTRY_KEY for another key than that of the database, or none."""
        self._database = database
        row = database.row("SELECT value FROM secrets WHERE name = ?", _MARK)
        self._cipher = AESGCM(_read_key(path, make=row is None))
        if row is None:
            self.save(_MARK, b"")
        elif self.load(_MARK) != b"":
            raise AssertionError("a seal that opens holds what was sealed")

    def load(self, name: str) -> bytes | None:
        """See `Vault`."""
        row = self._database.row("SELECT value FROM secrets WHERE name = ?", name)
        return None if row is None else self.unseal(name, row[0])

    def save(self, name: str, value: bytes) -> None:
        """See `Vault`."""
        self._database.run("INSERT INTO secrets VALUES (?, ?)", name, self.seal(name, value))

    def seal(self, name: str, value: bytes) -> bytes:
        """See `Vault`."""
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, value, name.encode())

    def unseal(self, name: str, value: bytes) -> bytes:
        """See `Vault`."""
        try:
            return self._cipher.decrypt(value[:_NONCE], value[_NONCE:], name.encode())
        except InvalidTag:
            raise HedgerowError("REGISTRY_KEY", f"{name} was sealed with another key") from None


def _read_key(path: Path, *, make: bool) -> bytes:
    try:
        if make and not path.exists():
            write_private(path, os.urandom(_KEY_BYTES).hex().encode() + b"\n")
        key = bytes.fromhex(path.read_text("ascii").strip())
    except FileNotFoundError:
        raise HedgerowError("REGISTRY_KEY", f"{path} is not there; copy it from another node") from None
    except (OSError, ValueError) as error:
        raise HedgerowError("REGISTRY_KEY", f"{path}: {type(error).__name__}") from None
    if len(key) != _KEY_BYTES:
        raise HedgerowError("REGISTRY_KEY", f"{path}: {2 * _KEY_BYTES} hexadecimal digits")
    return key


def adopt(database: Database, file: Path, vault: Vault) -> bool:
    """Take over the rights that a server had in a file beside, where the database has none yet; say if so."""
    if not file.exists() or database.row("SELECT 1 FROM apps LIMIT 1") is not None:
        return False
    before = SqliteEngine(file)
    try:
        for table in _TABLES:
            for row in before.execute(f"SELECT * FROM {table}").fetchall():  # noqa: S608
                marks = ", ".join("?" * len(row))
                database.run(f"INSERT INTO {table} VALUES ({marks})", *row)  # noqa: S608
        database.rows("SELECT setval('statements_id_seq', (SELECT coalesce(max(id), 0) + 1 FROM statements))")
        for name, value in before.execute("SELECT name, value FROM secrets").fetchall():
            database.run("INSERT INTO secrets VALUES (?, ?)", name, database.vault.seal(name, value))
        names = [f"issuers/{kid.hex()}.pem" for (kid,) in database.rows("SELECT kid FROM issuers")]
        for name in (IDENTITY, *names):
            value = vault.load(name)
            if value is not None:
                database.vault.save(name, value)
    except sqlite3.Error as error:
        raise HedgerowError("REGISTRY_FAILED", f"{file}: {error}") from error
    finally:
        before.close()
    return True
