"""Tells a database that went on from one that was copied or put back from a backup.

Two stores that both went on under one name would write one dot twice, and a keeper that was put back no
longer holds all that it has receipted. So a copy becomes a new author under the next incarnation. Two
files lie beside `name.db`. `name.db.place` is empty and never touched: its inode and the moment at which its
inode changed last, which no copy can take along, say where this is. `name.db.seen` repeats that, the
database's token and inode, a hash of the token with the machine's id, and the newest transaction
committed here. A database without these files, in another place, or with an older transaction than was
seen is a copy.

Not seen is a whole disk put back as an image. A false alarm (hard links made to the file, a file system
that changes inodes, a container without a machine id of its own) costs a new author, and that gateways
send again what they still hold.
"""

import fcntl
import os
import struct
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from hedgerow.errors import HedgerowError

_FORM = struct.Struct(">4s16s8sQQQQ")
_MAGIC = b"HBP1"
_TRANSACTION = struct.Struct(">Q")
_MACHINE_ID = Path("/etc/machine-id")


class _Record(NamedTuple):
    magic: bytes
    token: bytes
    machine: bytes
    inode: int
    place: int
    changed: int
    transaction: int


def _machine(token: bytes) -> bytes:
    try:
        return sha256(token + _MACHINE_ID.read_bytes().strip()).digest()[:8]
    except OSError:
        return bytes(8)


def _open(database: Path, suffix: str) -> int:
    return os.open(database.with_name(database.name + suffix), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


class Place:
    """The place of a database; open and locked as long as the database is."""

    def __init__(self, database: Path) -> None:
        """Open and lock. Raises DATABASE_IN_USE when another process has it, STORE_FAILED."""
        self._database = database
        try:
            self._place = _open(database, ".place")
            self._seen = _open(database, ".seen")
        except OSError as error:
            raise HedgerowError("STORE_FAILED", str(error)) from error
        try:
            fcntl.flock(self._place, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.close()
            raise HedgerowError("DATABASE_IN_USE", str(database)) from None

    def is_home(self, token: bytes, transaction: int) -> bool:
        """Say whether the database with this token, at this transaction, has always been right here."""
        data = os.pread(self._seen, _FORM.size, 0)
        if len(data) != _FORM.size:
            return False
        record = _Record(*_FORM.unpack(data))
        return record[:-1] == self._here(token) and record.transaction <= transaction

    def settle(self, token: bytes, transaction: int) -> None:
        """Say durably that the database with this token lives here."""
        os.pwrite(self._seen, _FORM.pack(*self._here(token), transaction), 0)
        os.fsync(self._seen)

    def remember(self, transaction: int) -> None:
        """Note the newest transaction.

        Not forced to the disk: it outlives the process, and after a loss of power a smaller number lets an
        old backup pass at worst.
        """
        os.pwrite(self._seen, _TRANSACTION.pack(transaction), _FORM.size - _TRANSACTION.size)

    def close(self) -> None:
        """Release the lock."""
        os.close(self._seen)
        os.close(self._place)

    def _here(self, token: bytes) -> tuple[bytes, bytes, bytes, int, int, int]:
        place = os.fstat(self._place)
        return _MAGIC, token, _machine(token), self._database.stat().st_ino, place.st_ino, place.st_ctime_ns
