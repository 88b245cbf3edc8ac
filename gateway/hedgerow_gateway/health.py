"""What a gateway says of itself once an hour: its health document (SPEC 5.15)."""

import asyncio
import logging
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from hedgerow.errors import HedgerowError
from hedgerow.health import is_due, write_health
from hedgerow.peer import Peer

from . import limits
from .config import GatewayConfig
from .suspects import Suspects

logger = logging.getLogger(__name__)


def firmware() -> str:
    """Return the version of what runs here, "unknown" where it was not installed."""
    try:
        return version("hedgerow")
    except PackageNotFoundError:
        return "unknown"


def facts(config: GatewayConfig, peer: Peer, path: Path, now: int) -> dict[str, Any]:
    """Return what the document says; `path` is the log's file, `now` ms since the start.

    How full a log is whose size cannot be read is left out.
    """
    said: dict[str, Any] = {
        "name": config.name,
        "firmware": firmware(),
        "boots": peer.epoch,
        "uptime_s": now // 1000,
        "due_s": config.health_s,
    }
    try:
        said["log"] = min(100, path.stat().st_size * 100 // config.log_bytes)
    except OSError as error:
        logger.warning("size of the log: %s", error)
    return {**said, "place": config.place} if config.place else said


async def tell_health(
    config: GatewayConfig, peer: Peer, path: Path, clock: Callable[[], int], suspects: Suspects
) -> None:
    """Write the document of a gateway again and again, and when there is news of `suspects`; a log that takes
    it not is named, and asked again.
    """
    last = 0
    while True:
        now = clock()
        every_ms = config.health_s * 1000
        if config.health_s and (is_due(now, last, every_ms) or suspects.due(now)):
            said = facts(config, peer, path, now)
            if suspects.counts:
                said["suspects"] = suspects.tell(now)
            try:
                write_health(peer, said, now)
            except HedgerowError as error:
                logger.warning("no health document: %s", error)
        last = now
        await asyncio.sleep(min(limits.HEALTH_LOOK_S, config.health_s or limits.HEALTH_LOOK_S))
