"""Whom gateways and boards had to refuse, from their health documents into the audit log (SPEC 5.15)."""

import asyncio
import logging

from hedgerow.codec.schema import HEALTH
from hedgerow.errors import HedgerowError

from . import limits
from .auth.authority import work
from .auth.membership import Membership
from .health import health
from .query import Queries
from .service import Service

log = logging.getLogger(__name__)


class Suspects:
    """Looks every second at what sessions here have brought, so of several nodes one writes it down.

    Only peers of whom a credential is known are believed; an address is no identity, so it shuts out nobody.
    """

    def __init__(self, service: Service, queries: Queries, membership: Membership) -> None:
        self._service = service
        self._queries = queries
        self._membership = membership
        self._counts: dict[tuple[bytes, str, str], int] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(limits.SUSPECTS_LOOK_SECONDS)
            try:
                await self.look()
            except Exception:
                # The database of rights may be locked; what was not written down is with the next document.
                log.exception("could not look whom others refused")

    async def look(self) -> None:
        """Look once."""
        brought, self._service.brought = self._service.brought, set()
        rules = self._membership.rules
        authors = [author for author in brought if rules.holder(author) is not None]
        if not authors or HEALTH not in self._service.kinds:
            return
        for author, said in (await health(self._service, self._queries, authors)).items():
            for code, address, count in said["suspects"]:
                if self._is_news(author, code, address, count):
                    await work(self._note, author, code, address, count)

    def _is_news(self, author: bytes, code: str, address: str, count: int) -> bool:
        key = (author, code, address)
        before = self._counts.pop(key, 0)
        self._counts[key] = count
        if len(self._counts) > limits.SUSPECTS_KNOWN:
            del self._counts[next(iter(self._counts))]
        # A peer counts anew with each start.
        return count != before

    def _note(self, author: bytes, code: str, address: str, count: int) -> None:
        found = self._membership.rules.holder(author)
        if found is None:
            return
        by = f"credential:{found.cti.hex()}:{found.subject}"
        try:
            self._membership.suspect(f"radio:{address}", by, code, count)
        except HedgerowError as failure:
            log.warning("the audit log could not be written: %s", failure)
