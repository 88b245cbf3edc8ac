"""Who may go on: what operators and other processes decide reaches open sessions and documents."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection

from hedgerow.crypto.greeting import Greeting
from hedgerow.errors import HedgerowError

from . import limits
from .auth.authority import work
from .auth.membership import Membership
from .service import Service

log = logging.getLogger(__name__)

#: Raises AUTH_INVALID or AUTH_FORBIDDEN once the API key that opened a session counts no more.
AskOn = Callable[[], Awaitable[None]]


class Watched:
    """What is asked of an open session; `ask_on` where it was opened with an API key."""

    ask_on: AskOn | None = None

    @property
    def keys(self) -> Greeting | None:
        """The keys of the session, None where it has none."""
        raise NotImplementedError

    def end(self, error: HedgerowError) -> None:
        """End the session with an error."""
        raise NotImplementedError

    async def tell(self, *, news: bool) -> None:
        """Say what has been said of others; `news`: credentials are known that were not before."""
        raise NotImplementedError


class Watch:
    """Looks every second; `sessions()` are those that are open."""

    def __init__(
        self, service: Service, membership: Membership, sessions: Callable[[], Collection[Watched]]
    ) -> None:
        self._service = service
        self._membership = membership
        self._sessions = sessions
        self._known = 0

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(limits.REVOCATION_LOOK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Look once. Each step stands for itself: what one lacks keeps no revocation from the others."""
        for step in (self._refresh, self._ask_on, self._ask_api_keys, self._stand_by, self._judge):
            try:
                await step()
            except Exception:
                # The database of rights may be locked, a key gone; what was known counts until then.
                log.exception("could not look who may go on")

    async def _refresh(self) -> None:
        await work(self._membership.refresh)

    async def _ask_on(self) -> None:
        count = self._membership.rules.count
        sessions = list(self._sessions())
        for session in sessions:
            error = self._membership.check(session.keys)
            if error is not None:
                session.end(error)
        news, self._known = count != self._known, count
        for session in sessions:
            await session.tell(news=news)

    async def _ask_api_keys(self) -> None:
        for session in list(self._sessions()):
            try:
                if session.ask_on is not None:
                    await session.ask_on()
            except HedgerowError as error:
                # The database of rights may fail for a while: that is no verdict.
                if not error.code.startswith("AUTH_"):
                    raise
                session.end(error)

    async def _stand_by(self) -> None:
        service = self._service
        await work(self._membership.stand_by, lambda author: service.frontier(author).receipted)

    async def _judge(self) -> None:
        await self._service.judge(self._membership.unjudged)
