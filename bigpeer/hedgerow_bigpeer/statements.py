"""What a session says of other members: credentials and revocations, as far as it was asked for."""

from hashlib import sha256

from hedgerow.codec.varint import write_uint
from hedgerow.sync import frames
from hedgerow.sync.session import Session

from .auth.authority import work
from .auth.membership import Membership

#: A statement is at most so long; fewer bytes of credit are not enough for one.
_ROOM = 2200


class Statements:
    """The statements that one session has yet to send; none before the other side has asked."""

    def __init__(self, membership: Membership) -> None:
        self.membership = membership
        self._since: int | None = None
        self._said: set[bytes] = set()
        self._waiting: list[tuple[int, bytes]] = []

    async def ask(self, since: int) -> None:
        """The other side has everything before a moment (s since 1970)."""
        self._since = since
        self._said.clear()
        await self.look()

    async def look(self) -> bool:
        """Find what is new; say whether anything waits to be said."""
        if self._since is None:
            return False
        for moment, body in await work(self.membership.statements, self._since):
            name = sha256(body).digest()
            if name not in self._said:
                if moment > self._since:
                    # What was said of earlier moments is not found again.
                    self._since, self._said = moment, set()
                self._said.add(name)
                self._waiting.append((moment, body))
        return bool(self._waiting)

    def fill(self, session: Session) -> None:
        """Queue what the other side has room for."""
        while self._waiting and session.room() >= _ROOM:
            moment, body = self._waiting.pop(0)
            out = bytearray()
            write_uint(out, moment)
            session.queue(frames.STATEMENT, bytes(out) + body)
