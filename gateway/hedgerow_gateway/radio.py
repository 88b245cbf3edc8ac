"""The Radio port: says advertisements, one at a time, and hears those of others.

Every implementation passes the suite in tests/gateway/radio_contract.py: the host's adapter through BlueZ or
on the emulated air (`host_radio`), and a board on USB (`usb_radio`).
"""

import asyncio
import logging
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field

from hedgerow.errors import HedgerowError

from . import limits
from .bounded import bounded

logger = logging.getLogger(__name__)

# Address as text, RSSI in dBm, the advertisement, whether it is known to be connectable.
OnHeard = Callable[[str, int, bytes, bool], None]

COMPANY = 0xFFFF
_ADDRESS_BYTES = 6
_MANUFACTURER_AD = 0xFF
_HEADER = bytes([_MANUFACTURER_AD, 0xFF, 0xFF])


def key_of(address: str) -> bytes:
    """Return the bytes of an address: six of Bluetooth's, or sixteen where macOS hides those."""
    return bytes.fromhex(address.replace(":", "").replace("-", ""))


def text_of(key: bytes) -> str:
    """Return the address as bleak writes it."""
    return key.hex(":").upper() if len(key) == _ADDRESS_BYTES else str(uuid.UUID(bytes=key)).upper()


def structure(data: bytes) -> bytes:
    """Return the AD structure that carries `data` as manufacturer data of Hedgerow's company identifier."""
    return bytes([len(data) + len(_HEADER)]) + _HEADER + data


def manufacturer_data(payload: bytes) -> bytes | None:
    """Return what an advertisement carries under Hedgerow's company identifier, None if nothing."""
    at = 0
    while at + 1 < len(payload) and payload[at]:
        end = at + 1 + payload[at]
        if end > len(payload):
            return None
        if payload[at + 1 : at + 4] == _HEADER:
            return payload[at + 4 : end]
        at = end
    return None


@dataclass
class RadioHealth:
    """What a radio did since the start; counters only grow.

    `refresh_ms` is what the last change of the payload took until it was on the air, `heard_at` and `said_at`
    are seconds of time.monotonic(), `restarts` counts what was begun anew to get going again.
    """

    said: int = 0
    say_failures: int = 0
    heard: int = 0
    restarts: int = 0
    refresh_ms: float = 0.0
    heard_at: float | None = None
    said_at: float | None = None
    last_error: str = field(default="")


class Repeats:
    """Tells an advertisement that is the last one of its address once more from one that is news."""

    def __init__(self) -> None:
        self._last: dict[str, bytes] = {}

    def again(self, address: str, payload: bytes) -> bool:
        """Note it; say whether the same address has just said the same."""
        same = self._last.pop(address, None) == payload
        self._last[address] = payload
        if len(self._last) > limits.DEVICES:
            del self._last[next(iter(self._last))]
        return same


class Radio(ABC):
    """Says and hears while `run` runs. `on_heard` is called on the event loop, and must not block.

    An advertisement that equals the last one of its address is not reported again: BlueZ repeats what it
    remembers whenever anything about a device changes. Who wants to be heard again says something new.
    """

    name = "radio"

    def __init__(self, on_heard: OnHeard) -> None:
        self.health = RadioHealth()
        self._on_heard = on_heard
        self._repeats = Repeats()
        self._turn = asyncio.Lock()

    @property
    @abstractmethod
    def speaks(self) -> bool:
        """Whether `say` has a chance now; what hears only has receipts brought by connections."""

    @abstractmethod
    def rest_s(self) -> float | None:
        """Return the seconds until the next `say` makes sense, 0 for at once, None for never."""

    def lag_ms(self) -> int:
        """Return how long it may be until what `say` is given is on the air: a change counts both ways."""
        return max(limits.LAG_MS, round(self.health.refresh_ms))

    @abstractmethod
    async def run(self) -> None:
        """Keep the radio going until cancelled, whatever becomes of it; leaves it silent."""

    @abstractmethod
    async def _say(self, payload: bytes, connectable: bool, events: int) -> float:
        """Say it and fall silent; return the seconds that the change of payload took."""

    @abstractmethod
    async def _recover(self, error: HedgerowError) -> None:
        """Do what may help after a failed `say`; within bounds, and without raising."""

    def say_limit_s(self, events: int) -> float:
        """Return how long a `say` may take before it is cut."""
        return limits.SAY_S + events * limits.SLOWEST_INTERVAL_S

    async def say(self, payload: bytes, connectable: bool, events: int) -> None:
        """Put the advertisement on the air for about `events` events; return when it is silent again.

        Calls wait for each other. Raises RADIO_PAYLOAD for what no radio can say; RADIO_MUTE,
        RADIO_ADVERTISE, RADIO_TIMEOUT or RADIO_USB when this one cannot now.
        """
        if not 0 < len(payload) <= limits.PAYLOAD_BYTES or not 0 < events <= limits.EVENTS_MAX:
            raise HedgerowError("RADIO_PAYLOAD", f"{len(payload)} bytes, {events} events")
        async with self._turn:
            try:
                refresh_s = await bounded(
                    self._say(payload, connectable, events),
                    self.say_limit_s(events),
                    "RADIO_TIMEOUT",
                    f"advertising over {self.name}",
                )
            except HedgerowError as error:
                self.health.say_failures += 1
                self.note(error)
                await self._recover(error)
                raise
        self.health.said += 1
        self.health.refresh_ms = refresh_s * 1000
        self.health.said_at = time.monotonic()

    def note(self, error: HedgerowError) -> None:
        """Remember an error for people; what is said again and again goes to the log once."""
        if str(error) != self.health.last_error:
            logger.warning("radio %s: %s", self.name, error)
        self.health.last_error = str(error)

    def take(self, address: str, rssi: int, payload: bytes, connectable: bool) -> None:
        """Report an advertisement unless its address has just said the same."""
        self.health.heard_at = time.monotonic()
        if self._repeats.again(address, payload):
            return
        self.health.heard += 1
        self._on_heard(address, rssi, payload, connectable)
