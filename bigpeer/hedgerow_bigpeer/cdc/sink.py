"""A sink: what takes the events of a bridge, and says of each whether it has it.

A sink that cannot at this moment raises `Later`; nothing is lost by that, the outbox waits. One that will
never take an event says so for that event alone.
"""

from collections.abc import Sequence
from typing import Protocol

from .events import Event

#: Why an event is not sent that could be.
BEHIND = "behind an event that is parked"


class Later(Exception):
    """A sink cannot take anything now; `seconds` says when to ask again, None for whenever."""

    def __init__(self, reason: str, seconds: float | None = None, taken: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.seconds = seconds
        #: How many of the events, from the first, are there.
        self.taken = taken


class Sink(Protocol):
    """Takes events in order; tests/bigpeer/sink_contract.py says what that means."""

    async def deliver(self, events: Sequence[Event]) -> Sequence[str]:
        """Take events; return of each "" once it is safe there, or why it will never be taken. Raises Later.

        Behind one that is refused, those of its key are not sent, and answered BEHIND.
        """
        ...

    async def close(self) -> None:
        """Let go."""
        ...
