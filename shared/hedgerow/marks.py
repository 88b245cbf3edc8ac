"""How far stores have answered interests, by their own word: positions, as many as are kept (SPEC 7.10.2)."""

from . import limits
from .log import STATE_CONFIG

_MARK = b"m"
_NAME = limits.const(12)


class Marks:
    """Positions, each under a name of 12 bytes; the one that was set longest ago makes room for a new one.

    To lose one costs no more than asking that store for everything again.
    """

    def __init__(self, log: object):
        self._log = log
        # An entry is the number of its durable value, its name and what was set, in one. Numbers are used
        # again, because a log never gives a value's name up. The one that was set longest ago comes first.
        self._entries: list = []
        for key, value in log.items(STATE_CONFIG):
            if key[:1] == _MARK and len(key) == 2 and value:
                self._entries.append(key[1:] + value)

    def get(self, name: bytes) -> bytes:
        """Return what was set under a name, b"" for nothing."""
        for entry in self._entries:
            if entry[1 : 1 + _NAME] == name:
                return entry[1 + _NAME :]
        return b""

    def set(self, name: bytes, value: bytes, durable: bool) -> None:
        """Set it; if `durable`, for good after the next commit."""
        place = self._take_place(name)
        entry = place + name + value
        self._entries.append(entry)
        self._put(place, entry[1:] if durable else b"")

    def forget(self, ending: bytes = b"") -> None:
        """Forget what stands under names with this ending."""
        for entry in self._entries:
            if entry[1 : 1 + _NAME].endswith(ending):
                self._put(entry[:1], b"")
        self._entries = [entry for entry in self._entries if not entry[1 : 1 + _NAME].endswith(ending)]

    def _take_place(self, name: bytes) -> bytes:
        """Take out the entry of a name, or the oldest if there is no room; return a number that is free."""
        for at in range(len(self._entries)):
            if self._entries[at][1 : 1 + _NAME] == name:
                return self._entries.pop(at)[:1]
        if len(self._entries) >= limits.MAX_MARKS:
            return self._entries.pop(0)[:1]
        used = [entry[0] for entry in self._entries]
        return bytes([min([place for place in range(limits.MAX_MARKS) if place not in used])])

    def _put(self, place: bytes, value: bytes) -> None:
        if value or self._log.get(STATE_CONFIG, _MARK + place):
            self._log.put(STATE_CONFIG, _MARK + place, value)
