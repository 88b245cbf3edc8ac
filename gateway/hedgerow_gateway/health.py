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

logger = logging.getLogger(__name__)


def firmware() -> str:
    """Return the version of what runs here, "unknown" where it was not installed."""
    try:
        return version("hedgerow")
    except PackageNotFoundError:
        return "unknown"


def facts(config: GatewayConfig, peer: Peer, size: int, now: int) -> dict[str, Any]:
    """Return what the document says; `size` is that of the log's file in bytes, `now` ms since the start."""
    said = {
        "name": config.name,
        "firmware": firmware(),
        "boots": peer.epoch,
        "uptime_s": now // 1000,
        "log": min(100, size * 100 // config.log_bytes),
        "due_s": config.health_s,
    }
    return {**said, "place": config.place} if config.place else said


async def tell_health(config: GatewayConfig, peer: Peer, path: Path, clock: Callable[[], int]) -> None:
    """Write the document of a gateway again and again; a log that takes it not is named, and asked again."""
    last = 0
    while True:
        now = clock()
        if config.health_s and is_due(now, last, config.health_s * 1000):
            try:
                write_health(peer, facts(config, peer, path.stat().st_size, now), now)
            except HedgerowError as error:
                logger.warning("no health document: %s", error)
        last = now
        await asyncio.sleep(min(limits.HEALTH_LOOK_S, config.health_s or limits.HEALTH_LOOK_S))
