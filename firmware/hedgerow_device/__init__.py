"""Hedgerow on a board: the log on flash, the radio, the sensor program. MicroPython only."""


def open_peer(config: dict | None = None) -> object:
    """Return a ready Peer on this board's log; `config` as config.load() returns it, which is the default.

    Raises CONFIG_INVALID, LOG_PARTITION and what FlashLog raises.
    """
    from . import config as configuration
    from .device_peer import open_device_peer

    return open_device_peer(config or configuration.load())
