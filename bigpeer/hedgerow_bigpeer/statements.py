"""What a session says of other members: credentials and revocations, as far as it was asked for."""

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
        self._waiting: list[tuple[int, bytes]] = []

    async def ask(self, since: int) -> None:
        """The other side has everything up to a place; what it was told in this session is not said again."""
        self._waiting = [said for said in self._waiting if said[0] > since]
        self._since = since if self._since is None else max(since, self._since)
        await self.look()

    async def look(self) -> bool:
        """Find what is new; say whether anything waits to be said."""
        if self._since is None:
            return False
        for place, body in await work(self.membership.statements, self._since):
            self._since = place
            self._waiting.append((place, body))
        return bool(self._waiting)

    def fill(self, session: Session) -> None:
        """Queue what the other side has room for."""
        while self._waiting and session.room() >= _ROOM:
            place, body = self._waiting.pop(0)
            out = bytearray()
            write_uint(out, place)
            session.queue(frames.STATEMENT, bytes(out) + body)
