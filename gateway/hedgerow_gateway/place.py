"""Tells a database that went on from one that was copied or put back from a backup.

Two stores that both go on as one author would give one dot two contents, so a copy must become a new
author. Two files lie beside `field.db`. `field.db.place` is never written: its inode and the moment at which
that inode changed last, which no copy can take along, say where this is. `field.db.seen` repeats them, a
random token that the database repeats too, the database's inode, a hash of the machine's id with the token,
and the greatest number that this store committed as author. A database without these files, in another
place, or with a smaller number of its own than was seen is a copy.

What this cannot see: a whole disk image put back. A false alarm (files renamed one by one, hard links made
to them, a file system that changes inodes on each mount) costs a new author and nothing else.
"""

import fcntl
import os
import struct
from hashlib import sha256
from pathlib import Path

from hedgerow.errors import HedgerowError

_FORM = struct.Struct(">4s16s8sQQQQ")  # magic, token, machine, three anchors (Place._here), own number
_MAGIC = b"HGP2"
_NUMBER = struct.Struct(">Q")


def _machine(token: bytes) -> bytes:
    try:
        identity = Path("/etc/machine-id").read_bytes().strip()
    except OSError:
        identity = b""
    return sha256(token + identity).digest()[:8]


def _open(database: Path, suffix: str) -> int:
    try:
        return os.open(
            database.with_name(database.name + suffix), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
    except OSError as error:
        raise HedgerowError("DATABASE_FAILED", f"{database}: {error.strerror}") from error


class Place:
    """The place of one database, open and locked as long as the database is."""

    def __init__(self, database: Path) -> None:
        """Open and lock; DATABASE_IN_USE when another process has it, DATABASE_FAILED for no place."""
        self._database = database
        self._files = [_open(database, ".place"), _open(database, ".seen")]
        try:
            fcntl.flock(self._files[0], fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.close()
            raise HedgerowError("DATABASE_IN_USE", str(database)) from None

    def is_home(self, token: bytes, own_number: int) -> bool:
        """Return whether the database with this token and own frontier has always been right here."""
        data = os.pread(self._files[1], _FORM.size, 0)
        if len(data) != _FORM.size:
            return False
        *home, number = _FORM.unpack(data)
        return home == self._here(token) and bool(number <= own_number)

    def settle(self, token: bytes) -> None:
        """Write anew what was seen, for a database that starts as a new author here; durable on return."""
        os.pwrite(self._files[1], _FORM.pack(*self._here(token), 0), 0)
        os.fsync(self._files[1])

    def remember(self, own_number: int) -> None:
        """Note the greatest own number that is committed.

        Without fsync: it must survive the death of the process, and after a power cut a smaller number
        only makes this check milder for an old backup.
        """
        os.pwrite(self._files[1], _NUMBER.pack(own_number), _FORM.size - _NUMBER.size)

    def close(self) -> None:
        """Release the lock; closing again does nothing."""
        while self._files:
            os.close(self._files.pop())

    def _here(self, token: bytes) -> list[bytes | int]:
        place = os.fstat(self._files[0])
        inode = self._database.stat().st_ino
        return [_MAGIC, token, _machine(token), inode, place.st_ino, place.st_ctime_ns]
