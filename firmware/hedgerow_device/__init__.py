"""Hedgerow on a board: the log on flash, the radio, the sensor program. MicroPython only."""


def open_peer(
    path: str | None = None, url: str | None = None, *, config: dict | None = None, full: dict | None = None
) -> object:
    """Return a ready Peer on this board's log; `config` as config.load() returns it, which is the default.

    `path` and `url` are those of open_peer on a Pi, so that one program runs on both: a board has its log in
    a partition of its own, and reaches the Big Peer over the mesh. `full` maps collections to "refuse",
    "oldest" or "thin" in the place of what the configuration says. Raises CONFIG_INVALID, SETTING_INVALID,
    LOG_PARTITION and what FlashLog raises.
    """
    from .modules import unload
    from .starting import open_device_peer

    if config is None:
        from .config import load

        config = load()
    if full is not None:
        config["full"] = full
    peer = open_device_peer(config)
    unload("hedgerow_device.starting")
    return peer
