"""Which radio a gateway has, by its settings: what hears, what speaks, and what connects."""

import asyncio
import random
import sys
import time

from . import bluez
from .adapter import Adapter, AdapterSettings
from .bluez_voice import BluezVoice
from .config import AUTO, BLUEZ, USB, GatewayConfig
from .host_radio import HostRadio, Voice
from .radio import OnHeard, Radio
from .report import RadioReport
from .usb_radio import UsbRadio


class Radios:
    """`adapter` connects; `voice` is the radio that speaks, and `all` are those that hear."""

    def __init__(self, config: GatewayConfig, on_heard: OnHeard, rng: random.Random) -> None:
        host = HostRadio(_adapter_settings(config), on_heard, rng, _voice(config))
        self.adapter: Adapter = host.adapter
        self.voice: Radio = host
        self.all: list[Radio] = [host]
        if config.radio.startswith(USB):
            # The host's adapter goes on hearing, for it can only connect to whom it has heard.
            self.voice = UsbRadio(config.radio.removeprefix(USB), on_heard, rng)
            self.all.append(self.voice)

    async def run(self) -> None:
        """Run all until cancelled."""
        async with asyncio.TaskGroup() as group:
            for radio in self.all:
                group.create_task(radio.run())

    def report(self) -> RadioReport:
        """Return what /status and /metrics show of them."""
        adapter, health = self.adapter.counters, self.voice.health
        heard = [radio.health.heard_at for radio in self.all if radio.health.heard_at is not None]
        return {
            "kind": self.voice.name,
            "speaks": self.voice.speaks,
            "scanning": self.adapter.scanning,
            "adverts": adapter.adverts,
            "heard_age_s": round(time.monotonic() - max(heard), 1) if heard else None,
            "said": health.said,
            "say_failures": health.say_failures,
            "refresh_ms": round(health.refresh_ms, 1),
            "restarts": health.restarts,
            "scanner_starts": adapter.scanner_starts,
            "scanner_failures": adapter.scanner_failures,
            "silences": adapter.silences,
            "power_cycles": adapter.power_cycles,
            "connect_failures": adapter.connect_failures,
            "disconnect_failures": adapter.disconnect_failures,
            "last_error": health.last_error or adapter.last_error,
        }


def _voice(config: GatewayConfig) -> Voice | None:
    if config.radio in (AUTO, BLUEZ) and config.voice is not None:
        return config.voice
    on_bluez = config.scanner_backend is None and sys.platform.startswith("linux")
    if config.radio == BLUEZ or (config.radio == AUTO and on_bluez):
        return BluezVoice(config.adapter or bluez.FIRST)
    return None


def _adapter_settings(config: GatewayConfig) -> AdapterSettings:
    power_cycle = config.power_cycle
    if power_cycle is None and config.scanner_backend is None and sys.platform.startswith("linux"):

        async def power_cycle() -> None:
            await bluez.power_cycle(config.adapter or bluez.FIRST)

    return AdapterSettings(
        scanner_backend=config.scanner_backend,
        client_backend=config.client_backend,
        adapter=config.adapter,
        pause_scan=config.pause_scan,
        power_cycle=power_cycle,
        call_s=config.call_s,
        connect_s=config.connect_s,
        silence_s=config.silence_s,
    )
