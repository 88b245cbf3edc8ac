"""The scanner: one that stays on, and what happens when it cannot start, falls silent, or hears too many."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from fake_ble import Board, Ether
from gateway_kit import run, until

from hedgerow_gateway import limits
from hedgerow_gateway.adapter import Adapter, AdapterSettings


@asynccontextmanager
async def listening(ether: Ether, **settings: Any) -> AsyncIterator[Adapter]:
    quick: dict[str, Any] = {"call_s": 0.1, "connect_s": 0.1, "silence_s": 0.05}
    radio = Adapter(
        AdapterSettings(**{**quick, **settings}, **ether.backends), lambda *_: None, random.Random(1)
    )
    task = asyncio.create_task(radio.run())
    try:
        yield radio
    finally:
        task.cancel()
        await asyncio.wait({task})


def test_a_silent_scanner_is_restarted_then_the_adapter_power_cycled() -> None:
    async def main() -> None:
        ether = Ether()
        ether.deaf = True
        Board(ether, "C0:00:00:00:00:01", "b1")
        order: list[str] = []

        async def power_cycle() -> None:
            order.append("power")
            ether.calls.append("power")

        async with listening(ether, power_cycle=power_cycle) as radio:
            await until(lambda: radio.counters.power_cycles == 2, "two power cycles")
            assert radio.counters.silences == 3, "the first stage only restarts the scanner"
            first = ether.calls.index("power")
            assert ether.calls[:first] == ["scanner.start", "scanner.stop", "scanner.start", "scanner.stop"]
            ether.deaf = False
            await until(lambda: radio.counters.adverts > 0, "it hears again")
            silences = radio.counters.silences
            await until(lambda: radio.counters.adverts > 5, "and goes on")
            assert radio.counters.silences <= silences + 1
        assert ether.scanning == 0

    run(main())


@pytest.mark.parametrize("call", ["scanner.start", "scanner.stop"])
def test_a_scanner_call_that_hangs_is_cut(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CANCEL_GRACE_S", 0.05)
    monkeypatch.setattr(limits, "SCANNER_RETRY_S", 0.05)

    async def main() -> None:
        ether = Ether()
        Board(ether, "C0:00:00:00:00:01", "b1")
        ether.hang = {call}
        ether.stubborn = True
        ether.deaf = True
        async with listening(ether) as radio:
            await until(lambda: "took more than" in radio.counters.last_error, "cut")
            ether.hang = set()
            ether.deaf = False
            await until(lambda: radio.counters.adverts > 0, "it hears in the end")

    run(main())


def test_a_power_cycle_that_hangs_or_fails_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "POWER_CYCLE_S", 0.05)

    async def main() -> None:
        ether = Ether()
        ether.deaf = True
        results = [OSError("no bus"), None]

        async def power_cycle() -> None:
            error = results.pop(0)
            if error is not None:
                raise error
            await asyncio.sleep(3600)

        async with listening(ether, power_cycle=power_cycle) as radio:
            await until(
                lambda: "RADIO_UNAVAILABLE: power cycle: no bus" in radio.counters.last_error, "failed"
            )
            await until(lambda: "RADIO_TIMEOUT: power cycle" in radio.counters.last_error, "hung")

    run(main())


def test_a_missing_adapter_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SCANNER_RETRY_S", 0.02)

    async def main() -> None:
        ether = Ether()
        Board(ether, "C0:00:00:00:00:01", "b1")
        ether.fail = {"scanner.start"}
        async with listening(ether, power_cycle=lambda: ether.gate("power")) as radio:
            await until(lambda: radio.counters.power_cycles == 2, "tried, and the adapter power-cycled")
            assert ether.calls[: ether.calls.index("power")] == ["scanner.start"] * limits.SCANNER_FAILURES
            assert not radio.scanning
            ether.fail = set()
            await until(lambda: radio.scanning and radio.counters.adverts > 0, "it is back")

    run(main())


def test_too_many_strangers_start_the_scanner_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SEEN_DEVICES", 50)

    async def main() -> None:
        ether = Ether()
        ether.strangers = 60
        async with listening(ether, silence_s=5.0) as radio:
            await until(lambda: radio.counters.scanner_starts >= 2, "started anew")
            assert radio.counters.silences == 0

    run(main())


def test_the_scanner_can_pause_for_connects() -> None:
    async def main() -> None:
        ether = Ether()
        board = Board(ether, "C0:00:00:00:00:01", "b1")
        async with listening(ether, pause_scan=True, silence_s=5.0) as radio:
            await until(lambda: radio.counters.adverts > 0, "heard")
            client = await radio.connect(board.address, lambda: None)
            at = ether.calls.index("connect")
            assert ether.calls[at - 1] == "scanner.stop"
            assert ether.calls[at + 1] == "scanner.start"
            await radio.release(client)

    run(main())


def test_broadcasts_from_passing_addresses_do_not_drive_boards_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "DEVICES", 4)

    async def main() -> None:
        ether = Ether()
        adapter = Adapter(AdapterSettings(**ether.backends), lambda *_: None, random.Random(1))
        Board(ether, "24:0A:C4:00:00:01", "b1")
        adverts = [("24:0A:C4:00:00:01", "public")]
        # Another gateway on BlueZ: an address of its own for each thing that it says.
        adverts += [(f"2A:00:00:00:00:{number:02X}", "random") for number in range(20)]
        for address, kind in adverts:
            device = BLEDevice(address, None, {"path": "/", "props": {"AddressType": kind}})
            advert = AdvertisementData(None, {0xFFFF: b"\x20"}, {}, [], None, -60, ())
            adapter._on_detection(device, advert)
        assert adapter.counters.adverts == 21
        await adapter.release(await adapter.connect("24:0A:C4:00:00:01", lambda: None))

    run(main())
