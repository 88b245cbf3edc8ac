"""The contract of radios, by the host's adapter on the emulated air."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from radio_contract import RadioContract, Rig

from hedgerow_boards.air import Air
from hedgerow_boards.air.backend import AirVoice, backends
from hedgerow_gateway.adapter import AdapterSettings
from hedgerow_gateway.host_radio import HostRadio
from hedgerow_gateway.radio import Radio


class TestAirRadio(RadioContract):
    @asynccontextmanager
    async def radio(
        self, air: Air, tmp_path: Path, heard: list[tuple[str, int, bytes, bool]]
    ) -> AsyncIterator[Radio]:
        scanner, _ = backends(air.path)
        settings = AdapterSettings(scanner_backend=scanner)
        yield HostRadio(settings, lambda *said: heard.append(said), random.Random(1), AirVoice(air.path))

    @asynccontextmanager
    async def away(self, rig: Rig) -> AsyncIterator[None]:
        path = rig.air.path
        rig.air.stop()
        yield
        rig.air = Air(path, loss=0.0)
        rig.air.start()
