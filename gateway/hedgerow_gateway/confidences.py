"""The keys of confidential collections that an enrolled peer of this host goes by (SPEC 11.17)."""

import logging
from collections.abc import Sequence
from typing import Any

from hedgerow.codec.schema import GRANTS, Schema
from hedgerow.crypto.confidential import CollectionKeys, join_keys
from hedgerow.crypto.grants import FIELD, ask, granted, hold
from hedgerow.crypto.members import Members
from hedgerow.errors import HedgerowError
from hedgerow.limits import MAX_FRAME
from hedgerow.operation import CLOCK, decode_body
from hedgerow.peer import Peer

from .enrolment import Enrolment, Former

logger = logging.getLogger(__name__)


class HostKeys(CollectionKeys):
    """Keys of a peer that keeps those of the authors that it was before, too: `former`, to read by."""

    def __init__(self, owner: bytes, entries: list[list[Any]], former: Sequence[Former]) -> None:
        super().__init__(owner, entries)
        self._former = [CollectionKeys(*each) for each in former]

    def reveal(
        self, author: bytes, number: int, stamp: bytes, index: int, change: list[Any], schema: Schema
    ) -> list[Any] | None:
        """See CollectionKeys."""
        found = super().reveal(author, number, stamp, index, change, schema)
        for each in self._former if found is None else ():
            found = found or each.reveal(author, number, stamp, index, change, schema)
        return found


class Confidences:
    """Asks for a peer's grant, and lets the peer go by the one that is here, now and whenever another comes.

    What was granted last is kept beside the identity: before the first grant has come, and for who enrols
    boards, it is there too. Who meets `boards` asks for all grants, tells each board its own in sessions, and
    visits whom another was told.
    """

    def __init__(self, peer: Peer, members: Members, enrolment: Enrolment, *, boards: bool = False) -> None:
        """Raises IDENTITY_FILE."""
        self._boards = boards
        self._peer = peer
        self._members = members
        self._enrolment = enrolment
        self._opened = False
        self._asked = b""
        self._judged = members.on_judged
        members.on_judged = self._on_judged
        peer.on_filled = self._on_filled
        peer.add_listener(self._follow)
        self._follow()
        author, kept = enrolment.granted()
        self._former = enrolment.former()
        if kept:
            peer.collection_keys = self._keys_of(author, kept)
        self._take(kept if author == peer.author else [])
        if boards:
            members.grant_of = self._grant_of

    def _keys_of(self, owner: bytes, entries: list[list[Any]]) -> CollectionKeys:
        return HostKeys(owner, entries, self._former)

    def _follow(self) -> None:
        """Ask for the grant of the author that the peer writes as now."""
        if self._asked != self._peer.author:
            self._asked = self._peer.author
            ask(self._peer, self._boards)

    def _on_filled(self, bodies: Sequence[bytes]) -> None:
        schemas = self._peer.schemas
        holders = [
            change[2]
            for body in bodies
            for change in decode_body(body)[1]
            if change[0] != CLOCK and schemas[change[1]].collection == GRANTS
        ]
        if self._peer.author in holders:
            self._take([])
        if self._boards:
            for author in holders:
                self._members.owe(author)

    def _grant_of(self, author: bytes) -> bytes | None:
        """Return what keepers grant to somebody; only they can write that."""
        document = self._peer.down.documents.view(GRANTS, author) or {}
        grant = document.get(FIELD)
        return grant if isinstance(grant, bytes) and len(grant) <= MAX_FRAME else None

    def _on_judged(self, author: bytes) -> None:
        """The keeper that wrote the grant may be known only now."""
        if not self._opened and self._members.pair_of(author) is not None:
            self._take([])
        if self._judged is not None:
            self._judged(author)

    def _take(self, more: list[list[Any]]) -> None:
        """Go by the grant that is here, and by `more`: an enrolment may have brought that since."""
        entries = granted(self._peer, self._members.pair_of)
        if entries is None:
            return
        self._opened = True
        entries = join_keys(entries, more)
        try:
            self._enrolment.keep_granted(self._peer.author, entries)
            self._former = self._enrolment.former()
        except HedgerowError as error:
            # The grant itself lies in the log.
            logger.warning("%s", error)
        hold(self._peer, entries, self._keys_of)
        logger.info("keys of confidential collections: %s", _names(entries))


def _names(entries: list[list[Any]]) -> str:
    """Return of what, and of which epochs: not the keys themselves."""
    return ", ".join(f"{entry[0]} {entry[1]}" for entry in entries) or "none"
