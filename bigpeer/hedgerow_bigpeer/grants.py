"""Keys of confidential collections, on their way to those who have a right to them (SPEC 11.17.4).

Every node looks: whoever is first writes a grant, the others find it there.
"""

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from hedgerow.codec import cbor
from hedgerow.codec.schema import GRANTS
from hedgerow.crypto.claims import Claims
from hedgerow.crypto.grants import FIELD, wrap

from . import limits
from .auth.apps import App
from .auth.authority import work
from .auth.confidential import DerivedKeys
from .auth.membership import Membership
from .auth.registry import Registry
from .auth.rights import KEEPER
from .draft import Draft
from .own import OwnAuthor
from .service import Service
from .store.port import Keyed

log = logging.getLogger(__name__)


class Grants:
    """Brings the epochs of a service's keys up to date, and writes the grant of each holder that has changed.

    `open` before the store takes anything.
    """

    def __init__(
        self, service: Service, own: OwnAuthor, membership: Membership, registry: Registry, app: App
    ) -> None:
        self._service = service
        self._own = own
        self._membership = membership
        self._registry = registry
        self._app = app
        self._keys: DerivedKeys | None = None
        self._seen: object = None
        # What each holder was granted, by the author: its agreement key and the keys.
        self._granted: dict[bytes, tuple[bytes, bytes]] = {}
        self._lock = asyncio.Lock()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Let the store read what is confidential."""
        author = self._service.store.identity.author
        self._keys = await work(self._registry.confidential.keys, self._app, author)
        self._service.store.keys = self._keys
        if self._keys is not None:
            self._learn(self._keys, self._keys.epochs)

    def start(self) -> None:
        """Begin to look."""
        if self._keys is not None:
            self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while True:
            try:
                await self.look()
            except Exception:
                # The database of rights may be locked, the store away: what was granted stands.
                log.exception("could not look who is granted keys")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(limits.REVOCATION_LOOK_SECONDS):
                    await self._wake.wait()
            self._wake.clear()

    async def refresh(self) -> None:
        """Go by what was declared, or begun anew, wherever; grants follow."""
        if self._keys is not None:
            self._learn(self._keys, await work(self._registry.confidential.epochs, self._app))
            self._wake.set()

    async def look(self) -> None:
        """Look once, and write what there is to grant."""
        if self._keys is None:
            return
        async with self._lock:
            epochs = await work(self._registry.confidential.epochs, self._app)
            self._learn(self._keys, epochs)
            if not epochs or (epochs, self._membership.standing) == self._seen:
                return
            # Behind the epochs: for whom one ended is known to be shut out before it is granted.
            await work(self._membership.refresh)
            seen = (epochs, self._membership.standing)
            due = await work(self._due, self._keys)
            for at in range(0, len(due), limits.OWN_BATCH):
                await self._write(due[at : at + limits.OWN_BATCH])
            self._seen = seen

    def _learn(self, keys: DerivedKeys, epochs: Mapping[str, Sequence[int]]) -> None:
        keys.epochs = epochs
        self._service.epochs = {collection: found[-1] for collection, found in epochs.items()}

    def _due(self, keys: DerivedKeys) -> list[tuple[Claims, bytes]]:
        """Return the holders of whom what they are granted has changed, each with its keys."""
        found = []
        for claims in self._membership.holders():
            entries = cbor.encode(keys.entries_for(claims))
            if self._granted.get(claims.author or b"") != (claims.agreement, entries):
                found.append((claims, entries))
        return found

    async def _write(self, due: Sequence[tuple[Claims, bytes]]) -> None:
        await asyncio.gather(*map(self._grant, due))

    async def _grant(self, due: tuple[Claims, bytes]) -> None:
        claims, entries = due
        holder = claims.author or b""
        pair = await work(self._membership.pair_with, claims.agreement)
        data = wrap(pair, self._service.store.identity.keeper, holder, cbor.decode(entries))

        async def plan(draft: Draft, snapshot: Keyed) -> None:
            row = await snapshot.document(GRANTS, cbor.encode(holder))
            known: dict[str, Any] = cbor.decode(row.value) if row is not None and row.value else {}
            # Who holds nothing, and never did, needs no word of it.
            if known.get(FIELD) != data and (known or cbor.decode(entries)):
                document = {"_id": holder, FIELD: data}
                await draft.insert(snapshot, GRANTS, [document], "update", initial=False, by_json=False)

        await self._own.write(plan, KEEPER)
        self._granted[holder] = (claims.agreement, entries)
