"""The contract of radios, by BlueZ's advertising manager, and what BlueZ does besides."""

import asyncio
import random
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from gateway_kit import run, until
from radio_contract import RadioContract, Rig, frame

from hedgerow.errors import HedgerowError
from hedgerow_boards.air import Air
from hedgerow_boards.air.backend import backends
from hedgerow_gateway import bluez as bluez_calls
from hedgerow_gateway import limits
from hedgerow_gateway.adapter import AdapterSettings
from hedgerow_gateway.bluez_voice import BluezVoice
from hedgerow_gateway.host_radio import HostRadio
from hedgerow_gateway.radio import Radio

dbus_fast = pytest.importorskip("dbus_fast", reason="dbus-fast comes with bleak on Linux only")
if shutil.which("dbus-daemon") is None:
    pytest.skip("no dbus-daemon here", allow_module_level=True)

from emulated_bluez import PUBLIC, Bluez, system_bus  # noqa: E402

KERNEL = (6, 6, 31)


class TestBluezRadio(RadioContract):
    #: Of the emulated BlueZ, and the kernel below it.
    bluez: Bluez
    settings: dict[str, Any] = {}
    kernel = KERNEL

    @asynccontextmanager
    async def radio(
        self, air: Air, tmp_path: Path, heard: list[tuple[str, int, bytes, bool]]
    ) -> AsyncIterator[Radio]:
        scanner, _ = backends(air.path, PUBLIC)
        async with system_bus(tmp_path) as address:
            self.bluez = Bluez(air.path, **self.settings)
            self.address = address

            async def power_cycle() -> None:
                await bluez_calls.power_cycle(bus_address=address)

            settings = AdapterSettings(scanner_backend=scanner, power_cycle=power_cycle)
            voice = BluezVoice("hci0", bus_address=address, kernel=lambda: self.kernel, call_s=1.0)
            async with self.bluez.serving(address):
                yield HostRadio(settings, lambda *said: heard.append(said), random.Random(1), voice)

    @asynccontextmanager
    async def away(self, rig: Rig) -> AsyncIterator[None]:
        self.bluez.refuse["RegisterAdvertisement"] = "org.freedesktop.DBus.Error.ServiceUnknown"
        yield
        self.bluez.refuse.clear()


class TestOldBluezRadio(TestBluezRadio):
    """Before BlueZ 5.56 intervals cannot be set: Linux advertises once in 1.28 s."""

    settings = {"modern": False}


class TestBluezOnOldKernel(TestBluezRadio):
    """BlueZ takes the intervals, and the kernel below it has no way to."""

    kernel = (5, 4)


def rigged(**settings: Any) -> TestBluezRadio:
    test = TestBluezRadio()
    test.settings = settings
    return test


def test_each_payload_is_registered_anew_and_comes_from_another_address(tmp_path: Path) -> None:
    async def main() -> None:
        test = rigged(latency_s=0.05)
        async with test.rig(tmp_path) as rig:
            for number in range(3):
                await rig.radio.say(frame(number), False, 2)
            said = test.bluez.said
            assert [payload for _, payload in said] == [frame(number) for number in range(3)]
            assert len({address for address, _ in said}) == 3
            assert test.bluez.registered == []
            assert test.bluez.log.count("RegisterAdvertisement") == 3
            assert rig.radio.health.refresh_ms >= 100, "both calls count"

    run(main())


def test_what_is_connectable_and_too_long_with_flags_goes_out_as_a_broadcast(tmp_path: Path) -> None:
    async def main() -> None:
        test = rigged(discoverable=True)
        async with test.rig(tmp_path) as rig:
            await rig.radio.say(frame(1, 24), True, 1)
            assert test.bluez.said[-1] == (PUBLIC, b"\x02\x01\x06" + frame(1, 24))
            await rig.radio.say(frame(2, 27), True, 1)
            assert test.bluez.said[-1][1] == frame(2, 27)
            assert rig.radio.health.say_failures == 0

    run(main())


def test_no_free_instance_is_said_and_it_works_again_later(tmp_path: Path) -> None:
    async def main() -> None:
        test = rigged(instances=2, others=2, offload=True)
        async with test.rig(tmp_path) as rig:
            with pytest.raises(
                HedgerowError, match=r"RADIO_ADVERTISE: bluez: all 2 advertisements of .* taken"
            ):
                await rig.radio.say(frame(1), False, 1)
            test.bluez.others = 1
            await rig.radio.say(frame(2), False, 1)
            assert rig.said(frame(2))

    run(main())


def test_an_advertisement_that_has_to_wait_for_its_turn_is_held_for_longer(tmp_path: Path) -> None:
    async def main() -> None:
        test = rigged(others=1)
        async with test.rig(tmp_path) as rig:
            await rig.radio.say(frame(1), False, 2)
            assert rig.said(frame(1)), "another program's advertisement had its turn first"

    run(main())


@pytest.mark.parametrize("call", ["GetAll", "RegisterAdvertisement", "UnregisterAdvertisement"])
def test_a_call_without_an_answer_is_cut_and_leaves_nothing_on_the_air(tmp_path: Path, call: str) -> None:
    async def main() -> None:
        test = rigged()
        async with test.rig(tmp_path) as rig:
            await rig.radio.say(frame(1), False, 1)
            test.bluez.hang = {call}
            with pytest.raises(HedgerowError, match=f"RADIO_TIMEOUT: {call}"):
                await rig.radio.say(frame(2), False, 1)
            await asyncio.sleep(0.3)
            said = rig.said(frame(2))
            await asyncio.sleep(0.3)
            assert rig.said(frame(2)) == said
            test.bluez.hang.clear()
            await rig.radio.say(frame(3), False, 1)
            assert rig.said(frame(3))

    run(main())


@pytest.mark.parametrize(
    "error", ["NotPermitted", "InvalidLength", "Failed", "NotReady", "InvalidArguments", "AlreadyExists"]
)
def test_errors_of_bluez_are_coded_and_do_not_last(tmp_path: Path, error: str) -> None:
    async def main() -> None:
        test = rigged()
        async with test.rig(tmp_path) as rig:
            test.bluez.refuse["RegisterAdvertisement"] = f"org.bluez.Error.{error}"
            with pytest.raises(HedgerowError, match=f"RADIO_ADVERTISE: bluez: .*{error}"):
                await rig.radio.say(frame(1), False, 1)
            test.bluez.refuse.clear()
            await rig.radio.say(frame(2), False, 1)

    run(main())


def test_an_adapter_that_goes_on_refusing_is_switched_off_and_on_then_left_in_peace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bluez_calls, "OFF_S", 0.01)

    async def main() -> None:
        test = rigged()
        async with test.rig(tmp_path) as rig:
            radio = rig.radio
            assert isinstance(radio, HostRadio)
            test.bluez.refuse["RegisterAdvertisement"] = "org.bluez.Error.Failed"
            while not radio.adapter.scanning:
                await asyncio.sleep(0.01)
            starts = radio.adapter.counters.scanner_starts
            for attempt in range(1, 2 * limits.VOICE_FAILURES + 1):
                assert radio.speaks and radio.rest_s() == 0
                with pytest.raises(HedgerowError, match="RADIO_ADVERTISE"):
                    await radio.say(frame(attempt), False, 1)
                powered = [entry for entry in test.bluez.log if entry.startswith("Powered")]
                expected = ["Powered=False", "Powered=True"] if attempt >= limits.VOICE_FAILURES else []
                assert powered == expected
            assert not radio.speaks and (radio.rest_s() or 0) > 1
            await until(lambda: radio.adapter.counters.scanner_starts == starts + 1, "scans again")
            with pytest.raises(HedgerowError, match=r"RADIO_MUTE: .*org\.bluez\.Error\.Failed"):
                await radio.say(frame(1), False, 1)
            test.bluez.refuse.clear()
            radio._not_before = 0.0
            await radio.say(frame(2), False, 1)
            assert radio.speaks

    run(main())


def test_an_adapter_that_is_switched_off_drops_the_advertisement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bluez_calls, "OFF_S", 0.01)

    async def main() -> None:
        test = rigged()
        async with test.rig(tmp_path) as rig:
            saying = asyncio.create_task(rig.radio.say(frame(1), False, 50))
            while not rig.said(frame(1)):
                await asyncio.sleep(0.01)
            await bluez_calls.power_cycle(bus_address=test.address)
            with pytest.raises(HedgerowError, match="RADIO_ADVERTISE: bluez: BlueZ has dropped"):
                await saying
            await rig.radio.say(frame(2), False, 1)
            assert rig.said(frame(2))

    run(main())


def test_without_bluetoothd_or_a_bus_it_says_what_to_do(tmp_path: Path) -> None:
    async def main() -> None:
        settings = AdapterSettings(scanner_backend=backends(str(tmp_path / "nothing"))[0])
        for bus_address in (None, f"unix:path={tmp_path / 'nothing'}"):
            async with system_bus(tmp_path) as address:
                voice = BluezVoice("hci0", bus_address=bus_address or address)
                radio = HostRadio(settings, lambda *_: None, random.Random(1), voice)
                with pytest.raises(HedgerowError, match="RADIO_ADVERTISE: bluez"):
                    await radio.say(frame(1), False, 1)

    run(main())
