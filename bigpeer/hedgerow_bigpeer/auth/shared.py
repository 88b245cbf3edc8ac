"""What nodes on one PostgreSQL share besides its tables: private keys, sealed under a key in a file."""

import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hedgerow.errors import HedgerowError

from .database import Database
from .vault import write_private

_KEY_BYTES = 32
_NONCE = 12
_MARK = "rights.key"


class TableVault:
    """See `Vault`: rows of `secrets`, each sealed with AES-GCM under the key in a file, its name covered.

    The file has 64 hexadecimal digits, and is the same at every server.
    """

    def __init__(self, database: Database, path: Path, *, may_make: bool) -> None:
        """Within a change. With `may_make` the first server makes the file.

        Raises REGISTRY_KEY for another key than that of the database, or none.
        """
        self._database = database
        row = database.row("SELECT value FROM secrets WHERE name = ?", _MARK)
        # A file that somebody named is one that others have, or are to have: not one of this server's own.
        if row is None and may_make:
            make_key(path)
        self._cipher = AESGCM(_read_key(path))
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


def make_key(path: Path) -> None:
    """Make the file of a key if it is not there. Raises REGISTRY_KEY."""
    try:
        if not path.exists():
            write_private(path, os.urandom(_KEY_BYTES).hex().encode() + b"\n")
    except OSError as error:
        raise HedgerowError("REGISTRY_KEY", f"{path}: {type(error).__name__}") from None


def _read_key(path: Path) -> bytes:
    try:
        key = bytes.fromhex(path.read_text("ascii").strip())
    except FileNotFoundError:
        reason = f"{path} is not there; copy it from another node, or make it: openssl rand -hex 32"
        raise HedgerowError("REGISTRY_KEY", reason) from None
    except (OSError, ValueError) as error:
        raise HedgerowError("REGISTRY_KEY", f"{path}: {type(error).__name__}") from None
    if len(key) != _KEY_BYTES:
        raise HedgerowError("REGISTRY_KEY", f"{path}: {2 * _KEY_BYTES} hexadecimal digits")
    return key
