"""Where private keys lie: files for their owner only, or sealed rows of a database that nodes share."""

import os
from pathlib import Path
from typing import Protocol

from hedgerow.errors import HedgerowError

#: The Big Peer's own keys.
IDENTITY = "identity.key"


class Vault(Protocol):
    """Keeps what only servers may read, by a name such as `identity.key`."""

    def load(self, name: str) -> bytes | None:
        """Return what is kept, None where nothing is. Raises REGISTRY_FAILED."""
        ...

    def save(self, name: str, value: bytes) -> None:
        """Keep a value of a new name, durably. Raises REGISTRY_FAILED."""
        ...

    def seal(self, name: str, value: bytes) -> bytes:
        """Return a secret as it may stand in the database."""
        ...

    def unseal(self, name: str, value: bytes) -> bytes:
        """Return a secret that stands in the database. Raises REGISTRY_KEY."""
        ...


class FileVault:
    """See `Vault`: files below the data directory. The database beside them needs no seal."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def load(self, name: str) -> bytes | None:
        """See `Vault`."""
        try:
            return (self._directory / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise HedgerowError("REGISTRY_FAILED", str(error)) from None

    def save(self, name: str, value: bytes) -> None:
        """See `Vault`."""
        path = self._directory / name
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            write_private(path, value)
        except OSError as error:
            raise HedgerowError("REGISTRY_FAILED", str(error)) from None

    def seal(self, name: str, value: bytes) -> bytes:
        """See `Vault`."""
        return value

    def unseal(self, name: str, value: bytes) -> bytes:
        """See `Vault`."""
        return value


def write_private(path: Path, value: bytes) -> None:
    """Write a new file for its owner only, whole or not at all. Raises OSError, FileExistsError."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(value)
        file.flush()
        os.fsync(file.fileno())
    # Of two who make it at once one finds it there.
    try:
        os.link(fresh, path)
    finally:
        fresh.unlink()
