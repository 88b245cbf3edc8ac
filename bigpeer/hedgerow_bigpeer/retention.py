"""How long readings are kept: what a node does with those that are older (SPEC 10.14.1)."""

import asyncio
import contextlib
import logging
from collections.abc import Collection
from typing import Any

from hedgerow.codec.schema import is_stream
from hedgerow.errors import HedgerowError

from . import limits
from .clock import rfc3339
from .service import Service
from .store.rows import ExpiredEntry, Place, Retained

log = logging.getLogger(__name__)


class Retention:
    """Looks now and then in steps of one transaction each; between two everybody else has as long a turn."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._wake = asyncio.Event()
        self._stopping = False
        self._heed_at = 0.0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._look_forever())

    def look(self) -> None:
        """Look at once: something was set."""
        self._wake.set()

    async def stop(self) -> None:
        """End behind the step that is under way."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            await self._task

    async def _look_forever(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while not self._stopping:
            is_due = self._wake.is_set() or loop.time() >= due
            self._wake.clear()
            try:
                if is_due:
                    due = loop.time() + limits.EXPIRE_EVERY_MS / 1000
                    await self.run()
                await self.heed()
            except HedgerowError as error:
                log.warning("readings could not expire: %s", error)
            except Exception:
                log.exception("readings could not expire")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(limits.EXPIRE_HEED_SECONDS):
                    await self._wake.wait()

    async def heed(self) -> None:
        """See what has expired that no node has told of: one may have died behind its step."""
        self._heed_at = asyncio.get_running_loop().time() + limits.EXPIRE_HEED_SECONDS
        for row in await self._service.store.retention():
            self._service.heed_expired(row.collection, (row.gone, row.operations))

    async def run(self) -> int:
        """Let expire what is old enough; return how many documents went. What fails in one collection is
        raised behind the others.
        """
        service, documents = self._service, 0
        failure: Exception | None = None
        for row in await service.store.retention():
            # A collection may turn out to hold no readings after it was set.
            if not row.keep or _lives_on(service, row.collection) or self._stopping:
                continue
            try:
                documents += await self._run(row.collection)
            except Exception as error:  # noqa: BLE001  (raised below)
                failure = failure or error
        if failure is not None:
            raise failure
        return documents

    async def _run(self, collection: str) -> int:
        service = self._service
        lowest = (await service.refresh_frontier()).lowest
        loop = asyncio.get_running_loop()
        operations = documents = 0
        after: Place | None = (0, b"")
        try:
            while after is not None and not self._stopping:
                begun = loop.time()
                step = await service.store.expire(
                    collection, service.clock.utc(), lowest, after, limits.EXPIRE_DOCUMENTS
                )
                operations, documents = operations + step.operations, documents + step.documents
                service.counters.expired += step.operations
                after = step.after
                if loop.time() >= self._heed_at:
                    await self.heed()
                if after is not None:
                    await self.rest(loop.time() - begun)
        finally:
            # Once, and not for each step: live answers look anew at all that is left.
            if documents:
                await service.submit([ExpiredEntry(collection)])
        if documents:
            log.info("%s: %d documents expired, %d operations", collection, documents, operations)
        return documents

    async def rest(self, seconds: float) -> None:
        """Let others have a turn as long as the last step."""
        await asyncio.sleep(seconds)


def show_collections(
    rows: Collection[Retained], kinds: dict[str, int], epochs: dict[str, int]
) -> list[dict[str, Any]]:
    """Return every collection by name: its `kind`, for how many ms its readings are kept (`keep_ms`, None for
    ever), before which time of arrival they may be `gone_before`, and how many operations have `expired`;
    whether it is `confidential`, and in which `epoch` then.
    """
    set_ = {row.collection: row for row in rows}
    found = []
    for name in sorted({*set_, *kinds, *epochs}):
        row = set_.get(name, Retained(name, 0, 0, 0))
        kind = kinds.get(name)
        found.append(
            {
                "name": name,
                "kind": None if kind is None else "stream" if is_stream(kind) else "keep",
                "keep_ms": row.keep or None,
                "gone_before": rfc3339(row.gone) if row.gone else None,
                "expired": row.operations,
                "confidential": name in epochs,
                "epoch": epochs.get(name),
            }
        )
    return found


def check_keep(service: Service, collection: str, keep: int) -> None:
    """Raise RETENTION_INVALID for what cannot be set."""
    if not limits.RETAIN_LEAST_MS <= keep <= limits.RETAIN_MOST_MS:
        raise HedgerowError("RETENTION_INVALID", "readings are kept for 1h to 36500d")
    if _lives_on(service, collection):
        raise HedgerowError("RETENTION_INVALID", f"documents of {collection} live on: it holds no readings")


def _lives_on(service: Service, collection: str) -> bool:
    """Say whether a collection is known to hold documents, and not readings."""
    return collection in service.kinds and not service.is_stream(collection)


def retention_metrics(rows: Collection[Retained]) -> str:
    """Return what is set in the text format of Prometheus, "" if nothing is."""
    kept = [row for row in rows if row.keep]
    if not kept:
        return ""
    name = "hedgerow_bigpeer_retention_seconds"
    lines = [f"# HELP {name} How long readings of a collection are kept.", f"# TYPE {name} gauge"]
    lines += [f'{name}{{collection="{_label(row.collection)}"}} {row.keep // 1000}' for row in kept]
    return "\n".join(lines) + "\n"


def _label(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
