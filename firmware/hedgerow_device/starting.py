"""How a board's log is opened and its peer boots on it: loaded once, forgotten after."""

from hedgerow.codec.schema import CONFIDENTIAL, STREAM
from hedgerow.limits import const
from hedgerow.mesh.tag import mesh_tag
from hedgerow.sync.hello import LEAF, RELAY

from .device_peer import CLOSING, DevicePeer
from .flashlog import FlashLog
from .modules import unload
from .uptime import now

LABEL = "hedgerow"
# What one side may send before it is acknowledged; the receive buffers hold it with the records around it.
CREDIT = 1024
# Open operations of one other author that a relay carries: no author fills the log of all.
_QUOTA = const(2048)
# Free sectors left for clock records of later boots once this boot has written its own.
_SPARE = 7


def open_log(keys: object = None) -> FlashLog:
    """Open the log on the partition named `hedgerow`, else behind the file system of `vfs` (see tail)."""
    from esp32 import Partition

    found = Partition.find(Partition.TYPE_DATA, label=LABEL)
    if found:
        device = found[0]
    else:
        from .tail import log_device

        device = log_device()
    log = FlashLog(device, keys and keys.name_log)
    if keys:
        keys.log = log
    unload("hedgerow_device.flashfind hedgerow_device.flashmount")
    return log


def open_device_peer(config: dict) -> DevicePeer:
    """Open the log and boot the peer on it."""
    from .unlock import give_keys, open_keys

    keys = open_keys(config)
    log = open_log(keys)
    sleeper = None
    if config["role"] == "leaf" and config["sleep_ms"]:
        from .sleep import Sleeper

        sleeper = Sleeper(config["sleep_ms"])
        now.resume(sleeper.read(log))
        sleeper.plan(now())
    peer = DevicePeer(
        log,
        now,
        sleeper,
        name=config["name"],
        role=LEAF if config["role"] == "leaf" else RELAY,
        mesh=mesh_tag(config["mesh"]),
        kinds={config["collection"]: STREAM | (CONFIDENTIAL if config.get("confidential") else 0)},
        credit=CREDIT,
        quota=_QUOTA,
        full=config.get("full"),
        members=keys if keys and keys.ready else None,
    )
    if keys:
        give_keys(peer, keys, config)
    unload("hedgerow.start hedgerow_device.unlock", CLOSING)
    peer.settings = config
    log.spare = _SPARE
    log.keeps = peer.keeps
    return peer
