"""The host's own adapter as a radio: it hears over bleak, and says through a Voice, if it has one."""

import random
import time
from typing import Protocol

from hedgerow.errors import HedgerowError

from . import limits
from .adapter import RADIO_ERRORS, Adapter, AdapterSettings
from .bounded import Backoff, bounded
from .radio import OnHeard, Radio, structure


class Voice(Protocol):
    """How an adapter says one advertisement: BlueZ's advertising manager, or the emulated air.

    Raises BleakError, OSError, EOFError; it is used by one caller at a time.
    """

    name: str

    async def say(self, payload: bytes, connectable: bool, events: int) -> float:
        """Say it for that many events, then be silent; return the seconds that the change took."""

    async def close(self) -> None:
        """Be silent and give back everything; the next `say` begins anew."""


class HostRadio(Radio):
    """`adapter` is also what connects to boards. Without a voice this radio only hears.

    When the voice fails it is begun anew; after `VOICE_FAILURES` failures in a row the adapter is switched
    off and on; after twice as many the radio counts as mute and is tried less and less often.
    """

    def __init__(
        self, settings: AdapterSettings, on_heard: OnHeard, rng: random.Random, voice: Voice | None = None
    ) -> None:
        super().__init__(on_heard)
        self.adapter = Adapter(settings, self._advert, rng)
        self.name = voice.name if voice else "none"
        self._voice = voice
        self._call_s = settings.call_s
        self._retry = Backoff(limits.VOICE_RETRY_S, limits.VOICE_RETRY_MAX_S, rng)
        self._not_before = 0.0

    @property
    def speaks(self) -> bool:
        return self._voice is not None and self._retry.failures < 2 * limits.VOICE_FAILURES

    def rest_s(self) -> float | None:
        return None if self._voice is None else max(0.0, self._not_before - time.monotonic())

    async def run(self) -> None:
        try:
            await self.adapter.run()
        finally:
            await self._begin_anew()

    def _advert(self, address: str, data: bytes, rssi: int) -> None:
        # bleak tells neither the whole advertisement nor its type.
        self.take(address, rssi, structure(data), False)

    async def _say(self, payload: bytes, connectable: bool, events: int) -> float:
        if self._voice is None:
            raise HedgerowError("RADIO_MUTE", "this radio only hears")
        if time.monotonic() < self._not_before:
            raise HedgerowError("RADIO_MUTE", f"tried again later; {self.health.last_error}")
        try:
            refresh_s = await self._voice.say(payload, connectable, events)
        except RADIO_ERRORS as error:
            raise HedgerowError("RADIO_ADVERTISE", f"{self.name}: {error}") from error
        self._retry.reset()
        return refresh_s

    async def _recover(self, error: HedgerowError) -> None:
        """Begin anew, and when that did not help switch the adapter off and on."""
        if error.code == "RADIO_MUTE":
            return
        pause_s = self._retry.pause()
        await self._begin_anew()
        if self._retry.failures == limits.VOICE_FAILURES:
            await self.adapter.begin_anew()
        if not self.speaks:
            self._not_before = time.monotonic() + pause_s

    async def _begin_anew(self) -> None:
        if self._voice is None:
            return
        self.health.restarts += 1
        try:
            await bounded(self._voice.close(), self._call_s, "RADIO_TIMEOUT", "end of advertising")
        except (HedgerowError, *RADIO_ERRORS) as error:
            self.health.last_error = f"end of advertising: {error}"
