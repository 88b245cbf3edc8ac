"""Tells people on the console how full the log is, before and while something has to give."""

from hedgerow.limits import const

from .modules import unload
from .uptime import now

# How often it looks, and prints at most.
_EVERY_MS = const(60000)
_HIGH = const(70)
_LOW = const(60)


class StorageWatch:
    """Prints a `storage` line when open operations pass 70 % of the room, and when something had to go."""

    def __init__(self, peer: object):
        self._peer = peer
        self._high = False
        self._at = -_EVERY_MS
        self._went = (0, 0, 0)

    def look(self) -> None:
        """Print what there is to say; called now and then."""
        account = self._peer.account
        went = (account["lost"], account["dropped"], account["refused"])
        if now() - self._at < _EVERY_MS:
            return
        self._at = now()
        from hedgerow.storage import line, open_percent

        report = self._peer.storage()
        percent = open_percent(report)
        if went != self._went or (percent >= _HIGH and not self._high):
            print(line(report))
        self._went = went
        self._high = percent >= (_LOW if self._high else _HIGH)
        unload("hedgerow.storage")
