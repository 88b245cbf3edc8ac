"""Radios that hear nothing, as has been seen of ESP32s; for tests of what brings a board back."""

from hedgerow.errors import HedgerowError

UNTIL = ("scan", "active", "reset")


class Faults:
    """Which radios are deaf, and what the board must do to hear again."""

    def __init__(self) -> None:
        self._deaf: dict[str, str] = {}

    def deafen(self, address: str, until: str) -> None:
        """No report reaches it until it begins a `scan` anew, is switched off and on (`active`), or its
        board has been `reset`. What is enough for the one is for those before it, too.

        Raises HedgerowError AIR_PARAMETER for another word.
        """
        if until not in UNTIL:
            raise HedgerowError("AIR_PARAMETER", f"deaf until {until!r}")
        self._deaf[address] = until

    def is_deaf(self, address: str) -> bool:
        return address in self._deaf

    def scan(self, address: str) -> None:
        """A scan begins."""
        self._end(address, 1)

    def begin(self, address: str, first: bool) -> None:
        """A radio is switched on, for the first time since the board's reset or not."""
        self._end(address, 3 if first else 2)

    def _end(self, address: str, enough: int) -> None:
        if self._deaf.get(address) in UNTIL[:enough]:
            del self._deaf[address]
