"""What an enrolled peer of this host knows of the others: the core's Members on its log and its identity."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from hedgerow.application import ReadyPeer
from hedgerow.codec.schema import CONFIDENTIAL, Schema
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
# Before the number of a delegation (8 bytes), and the first 8 of the hash of a sealing key: the value is
# that, and the authors that were met of it, one after the other.
_MET = b"u:"
_MET_KEY = 18
# Before the name of a collection: the kind that this peer has written it as, openly.
_OPEN = b"o:"
_SEALING = 33
_AUTHOR = 8


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

    _under: dict[bytes, dict[bytes, set[bytes]]]

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
        for key, value in log.items(STATE_CONFIG):
            if key[:2] == _MET and len(key) == _MET_KEY:
                authors = {value[at : at + _AUTHOR] for at in range(_SEALING, len(value), _AUTHOR)}
                self._under.setdefault(key[2:10], {})[value[:_SEALING]] = authors

    def meet(self, found: Credential, proven: bool = False) -> None:
        """See Members; who was met counts for ever, durably on return. Raises DELEGATION_FULL, AUTHOR_TAKEN,
        KEY_WORN_OUT, and what a log raises.
        """
        under, sealing = found.claims.under or b"", found.claims.sealing or b""
        before = self._under.get(under, {}).get(sealing)
        super().meet(found, proven)
        authors = self._under.get(under, {}).get(sealing)
        if authors is not None and authors != before:
            value = sealing + b"".join(sorted(authors))
            self._kept.put(STATE_CONFIG, _MET + under + sha256(sealing).digest()[:8], value)
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


class ProgramPeer(ReadyPeer):
    """A program's peer. Own writes are refused here where the credential does not allow them, and what it has
    written openly it goes on to write so, whoever says that the collection is confidential, until it has a
    key; of what it never wrote, whoever says so is believed: nothing is in the clear by mistake.
    """

    def __init__(self, log: SqliteLog, clock: Callable[[], int], **options: Any) -> None:
        super().__init__(log, clock, **options)
        self._named = frozenset(self.kinds)
        self._open = {
            key[len(_OPEN) :].decode(): value[0]
            for key, value in log.items(STATE_CONFIG)
            if key[: len(_OPEN)] == _OPEN
        }

    def kind_of(self, collection: str) -> int:
        """See Peer."""
        kind = super().kind_of(collection)
        keys = self.collection_keys
        if collection in self._named or (keys is not None and keys.newest(collection)):
            return kind
        if collection in self._open:
            return self._open[collection]
        known = [schema.kind for schema in self.schemas.values() if schema.collection == collection]
        return next((said for said in known if said & CONFIDENTIAL), kind)

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
        number = super().write(changes, schemas, now, local, stamp)
        self._note_open([] if local else schemas)
        return number

    def _note_open(self, schemas: Sequence[Schema]) -> None:
        news = {
            schema.collection: schema.kind
            for schema in schemas
            if not schema.kind & CONFIDENTIAL and schema.collection not in self._open
        }
        for collection, kind in news.items():
            self.log.put(STATE_CONFIG, _OPEN + collection.encode(), bytes((kind,)))
        if news:
            self._open |= news
            self.commit()


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
