"""The board's peer: the core's Peer on the flash log."""

import hashlib

from hedgerow.codec.schema import STREAM
from hedgerow.errors import HedgerowError
from hedgerow.peer import Peer
from hedgerow.sync.hello import LEAF, RELAY

from .flashlog import FlashLog
from .uptime import now

LABEL = "hedgerow"
# What one side may send before it is acknowledged; the receive buffers hold it with the records around it.
CREDIT = 1024
# Free sectors left for clock records of later boots once this boot has written its own.
_SPARE = 7


class DevicePeer(Peer):
    """A Peer that also says when it has learnt the time: `on_time(source, error_ms)`."""

    on_time = None

    def set_time(self, utc_ms: int, error_ms: int, source: int, now: int) -> bool:
        """See Peer.set_time."""
        taken = super().set_time(utc_ms, error_ms, source, now)
        if taken and self.on_time:
            self.on_time(source, error_ms)
        return taken


def mesh_tag(name: str) -> bytes:
    """Return the 3 bytes that beacons and hellos show of a mesh."""
    return hashlib.sha256(b"hedgerow mesh " + name.encode()).digest()[:3]


def open_log() -> FlashLog:
    """Open the log on the partition named `hedgerow`; LOG_PARTITION if the flash has none."""
    from esp32 import Partition

    found = Partition.find(Partition.TYPE_DATA, label=LABEL)
    if not found:
        raise HedgerowError("LOG_PARTITION", LABEL)
    return FlashLog(found[0])


def open_device_peer(config: dict) -> DevicePeer:
    """Open the log and boot the peer on it."""
    log = open_log()
    peer = DevicePeer(
        log,
        now(),
        name=config["name"],
        role=LEAF if config["role"] == "leaf" else RELAY,
        mesh=mesh_tag(config["mesh"]),
        kinds={config["collection"]: STREAM},
        credit=CREDIT,
    )
    log.spare = _SPARE
    return peer
