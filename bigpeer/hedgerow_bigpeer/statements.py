"""What a session says of other members: credentials and revocations, as far as it was asked for; and what is
held here of them, signed for everybody."""

import time
from bisect import bisect

from hedgerow.codec.varint import write_uint
from hedgerow.custody.receipt import Receipt
from hedgerow.limits import MAX_BATCH
from hedgerow.sync import frames
from hedgerow.sync.hello import GATEWAY
from hedgerow.sync.session import Session

from . import limits
from .auth.authority import work
from .auth.membership import Membership

#: A statement is at most so long; fewer bytes of credit are not enough for one.
_ROOM = 2200


class Statements:
    """The statements that one session has yet to send; none before the other side has asked."""

    def __init__(self, membership: Membership) -> None:
        self.membership = membership
        self._since: int | None = None
        self._waiting: list[tuple[int, bytes]] = []
        # The group key to be said once nothing else waits, and the one that was said last.
        self._group = self._said = b""
        self._receipts: dict[bytes, Receipt] = {}
        # Up to which author short batches have gone round.
        self._last = b""
        self._batch_at = self._quiet_at = time.monotonic()

    def note(self, receipt: Receipt) -> None:
        """A receipt was given that is to stand in a batch too."""
        self._receipts[receipt.author] = receipt
        self._quiet_at = time.monotonic() + limits.BATCH_QUIET_SECONDS

    def wait(self, session: Session) -> float:
        """Return the seconds until fill() has something to sign; credit wakes a session besides."""
        if not self._receipts or session.room() < _ROOM:
            return limits.BATCH_SECONDS
        return max(0.0, max(self._batch_at, self._quiet_at) - time.monotonic())

    async def ask(self, since: int) -> None:
        """The other side has everything up to a place; what it was told in this session is not said again."""
        self._waiting = [said for said in self._waiting if said[0] > since]
        self._since = since if self._since is None else max(since, self._since)
        await self.look()

    async def look(self) -> bool:
        """Find what is new; say whether anything waits to be said."""
        if self._since is None:
            return False
        # Before the revocations are read that come before it.
        self._group = self.membership.group
        for place, body in await work(self.membership.statements, self._since):
            self._since = place
            self._waiting.append((place, body))
        return bool(self._waiting) or self._group != self._said

    def fill(self, session: Session) -> None:
        """Queue what the other side has room for."""
        while self._waiting and session.room() >= _ROOM:
            place, body = self._waiting.pop(0)
            out = bytearray()
            write_uint(out, place)
            session.queue(frames.STATEMENT, bytes(out) + body)
        if not self._waiting and self._group != self._said and session.room() >= _ROOM:
            self._tell_group(session)
        if self._receipts and session.keys is not None and self.wait(session) == 0:
            self._tell_receipts(session)

    def _tell_group(self, session: Session) -> None:
        """Queue the group key for who has shown a credential that stands."""
        keys = session.keys
        if keys is not None and keys.done and self.membership.check(keys) is None:
            self._said = self._group
            session.queue(frames.WORD, self._group)

    def _tell_receipts(self, session: Session) -> None:
        """Queue what was receipted since the last time, in batches; seldom, as signing is dear. A gateway
        gets a short one besides, which fits a letter: each time of other authors.
        """
        short = self._short() if session.remote is not None and session.remote.role == GATEWAY else []
        while self._receipts and session.room() >= _ROOM:
            found = [self._receipts.pop(author) for author in sorted(self._receipts)[:MAX_BATCH]]
            session.queue(frames.BATCH, self.membership.sign_batch(found))
        if short and session.room() >= _ROOM:
            self._last = short[-1].author
            session.queue(frames.BATCH, self.membership.sign_batch(short))
        if not self._receipts:
            self._batch_at = time.monotonic() + limits.BATCH_SECONDS

    def _short(self) -> list[Receipt]:
        """Return what goes into a short batch, [] where all fit one."""
        known = sorted(self._receipts)
        if len(known) <= limits.BATCH_LETTER:
            return []
        after = bisect(known, self._last)
        return [self._receipts[author] for author in (known[after:] + known[:after])[: limits.BATCH_LETTER]]
