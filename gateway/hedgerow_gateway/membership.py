"""What an enrolled peer of this host knows of the others: the core's Members on its log and its identity."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from hedgerow.application import ReadyPeer
from hedgerow.codec.schema import Schema
from hedgerow.crypto.credentials import Credential, Trust
from hedgerow.crypto.identity import Identity
from hedgerow.crypto.members import Members
from hedgerow.errors import HedgerowError
from hedgerow.limits import MAX_NUMBER
from hedgerow.log import ENTRY_OP, STATE_CONFIG
from hedgerow.mesh.group import Group
from hedgerow.peer import Peer
from hedgerow.trust.lost import seal_over
from hedgerow.trust.seal import SEAL_SIGNED

from .enrolment import Enrolment
from .files import replace_file
from .sqlite_log import SqliteLog

_READ_BYTES = 65_536
# Before the number of a delegation (8 bytes), and the first 8 of the hash of a sealing key: the value.
_MET = b"u:"
_MET_KEY = 18


class GroupFile:
    """See hedgerow.mesh.group.Group: its keys, in a file for its owner only, as the log is not."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, _: str) -> bytes | None:
        """Return what was written last; None for a file that says nothing: sessions bring it anew."""
        try:
            return bytes.fromhex(self._path.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None

    def write(self, _: str, value: bytes) -> None:
        """Replace what is there in one step. Raises OSError."""
        try:
            replace_file(self._path, value.hex())
        except HedgerowError as error:
            raise OSError(str(error)) from error


class HostMembers(Members):
    """Members on the log of a host, which count under a delegation whom sessions have shown before, too."""

    _under: dict[bytes, set[bytes]]

    def __init__(
        self,
        log: SqliteLog,
        trust: Trust,
        identity: Identity,
        sealed_under: Callable[[bytes, int], bytes | None] | None = None,
        group: Group | None = None,
    ) -> None:
        super().__init__(log, trust, identity, sealed_under, group)
        self._kept = log
        for key, sealing in log.items(STATE_CONFIG):
            if key[:2] == _MET and len(key) == _MET_KEY:
                self._under.setdefault(key[2:10], set()).add(sealing)

    def meet(self, found: Credential) -> None:
        """See Members; who was met counts for ever, durably on return. Raises DELEGATION_FULL, and what a log
        raises.
        """
        under, sealing = found.claims.under or b"", found.claims.sealing or b""
        before = sealing in self._under.get(under, ())
        super().meet(found)
        if not before and sealing in self._under.get(under, ()):
            self._kept.put(STATE_CONFIG, _MET + under + sha256(sealing).digest()[:8], sealing)
            self._kept.commit()


def members_of(log: SqliteLog, enrolment: Enrolment | None, group: Group | None = None) -> HostMembers | None:
    """Return who judges for a log, None without an identity; `group` keeps the keys of a mesh whose boards
    have credentials. Raises CREDENTIAL_UNKNOWN before enrolment.
    """
    if enrolment is None:
        return None

    def sealed_under(author: bytes, number: int) -> bytes | None:
        seal = seal_over(log, author, number)
        return seal.credential if seal is not None and seal.kind == SEAL_SIGNED else None

    members = HostMembers(log, enrolment.trust, enrolment.identity, sealed_under, group)
    assert enrolment.credential is not None
    members.enrol(enrolment.credential)
    return members


class EnrolledPeer(ReadyPeer):
    """A peer whose own writes are refused here where its credential does not allow them."""

    def write(
        self,
        changes: list[Any],
        schemas: Sequence[Schema],
        now: int,
        local: bool = False,
        stamp: bytes | None = None,
    ) -> int:
        """See ReadyPeer.write; WRITE_FORBIDDEN and WRITE_REVOKED write nothing."""
        if self.members is not None and not local:
            known = {**self.schemas, **{schema.name: schema for schema in schemas}}
            self.members.permit(self.log.held(self.author) + 1, changes, known)
        return super().write(changes, schemas, now, local, stamp)


def tell_observers(peer: Peer, author: bytes) -> None:
    """Look again at the documents of an author whose operations are judged otherwise now."""
    documents = peer.down.documents
    if documents.on_touch is None:
        return
    number = 0
    while entries := peer.log.read(author, number, MAX_NUMBER, _READ_BYTES):
        for kind, first, last, _ in entries:
            number = last
            for collection, document_id in documents.touched(author, first) if kind == ENTRY_OP else ():
                documents.on_touch(collection, document_id)
