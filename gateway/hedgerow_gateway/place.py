"""Tells a database that went on from one that was copied or put back from a backup.

Two stores that both go on as one author would give one dot two contents, so a copy must become a new
author. Beside `field.db` lies `field.db.place`: a random token that the database repeats, the inode of
the database and a hash of the machine's id with the token, and the greatest number that this store
committed as author. A database in another place, without its place file, or with a smaller number of
its own than the place file remembers (a backup put back) is a copy.

What this cannot see: a whole disk image put back, place file included. A false alarm (a file system
that changes inodes on each mount) costs a new author and nothing else.
"""

import fcntl
import os
import struct
from hashlib import sha256
from pathlib import Path

from hedgerow.errors import HedgerowError

_FORM = struct.Struct(">4s16s8sQQ")  # magic, token, machine, inode, own number
_MAGIC = b"HGP1"
_NUMBER = struct.Struct(">Q")


def _machine(token: bytes) -> bytes:
    try:
        identity = Path("/etc/machine-id").read_bytes().strip()
    except OSError:
        identity = b""
    return sha256(token + identity).digest()[:8]


class Place:
    """The place file of one database, open and locked as long as the database is."""

    def __init__(self, database: Path) -> None:
        """Open and lock; raises DATABASE_IN_USE when another process has it."""
        self._database = database
        path = database.with_name(database.name + ".place")
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise HedgerowError("DATABASE_IN_USE", str(database)) from None

    def is_home(self, token: bytes, own_number: int) -> bool:
        """Return whether the database with this token and own frontier has always been right here."""
        data = os.pread(self._file, _FORM.size, 0)
        if len(data) != _FORM.size:
            return False
        magic, known, machine, inode, number = _FORM.unpack(data)
        home = (_MAGIC, token, _machine(token), self._database.stat().st_ino)
        return (magic, known, machine, inode) == home and bool(number <= own_number)

    def settle(self, token: bytes) -> None:
        """Write the file anew for a database that starts as a new author here; durable on return."""
        inode = self._database.stat().st_ino
        os.pwrite(self._file, _FORM.pack(_MAGIC, token, _machine(token), inode, 0), 0)
        os.fsync(self._file)

    def remember(self, own_number: int) -> None:
        """Note the greatest own number that is committed.

        Without fsync: it must survive the death of the process, and after a power cut a smaller number
        only makes this check milder for an old backup.
        """
        os.pwrite(self._file, _NUMBER.pack(own_number), _FORM.size - _NUMBER.size)

    def close(self) -> None:
        """Release the lock; closing again does nothing."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)
