"""What every Radio has to do, on an air with one other radio in reach; implementations bring a `Rig`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from bleak.exc import BleakError
from gateway_kit import run, until

from hedgerow.errors import HedgerowError
from hedgerow_boards.air import Air
from hedgerow_boards.air.adapter import Adapter
from hedgerow_boards.air.codec import address_text
from hedgerow_boards.air.events import ScanResult
from hedgerow_boards.air.messages import ADV_IND, ADV_NONCONN_IND
from hedgerow_gateway.radio import Radio, manufacturer_data, structure

WITNESS = "c0:00:00:00:00:77"
HEARD = {"RADIO_ADVERTISE", "RADIO_MUTE", "RADIO_TIMEOUT", "RADIO_USB"}


def frame(number: int, size: int = 27) -> bytes:
    """An advertisement of ours that differs from those of other numbers."""
    return structure(bytes([0x1F, number]) + bytes(range(size - 2)))


@dataclass
class Rig:
    """A radio under test with the witness beside it."""

    air: Air
    witness: Adapter
    radio: Radio
    task: asyncio.Task[None]
    heard: list[tuple[str, int, bytes, bool]]
    reports: list[ScanResult] = field(default_factory=list)

    def said(self, payload: bytes) -> int:
        """How many advertising events carried this payload."""
        return sum(event["kind"] == "adv" and event.get("data") == payload.hex() for event in self.air.frames)

    async def beside(self, payload: bytes) -> None:
        """Let the witness say something from now on."""
        while True:
            with suppress(BleakError):
                self.witness.advertise(payload, ADV_NONCONN_IND, 50_000)
                return
            await asyncio.sleep(0.05)

    def events(self) -> list[str]:
        """Payloads of all advertising events but the witness's, in order."""
        return [
            str(event["data"])
            for event in self.air.frames
            if event["kind"] == "adv" and event["from"] != WITNESS
        ]


class RadioContract:
    """Subclass it as Test...; `radio` makes one, `away` takes what it needs from it and gives it back."""

    @asynccontextmanager
    async def radio(
        self, air: Air, tmp_path: Path, heard: list[tuple[str, int, bytes, bool]]
    ) -> AsyncIterator[Radio]:
        raise NotImplementedError
        yield

    @asynccontextmanager
    async def away(self, rig: Rig) -> AsyncIterator[None]:
        raise NotImplementedError
        yield

    @asynccontextmanager
    async def rig(self, tmp_path: Path) -> AsyncIterator[Rig]:
        heard: list[tuple[str, int, bytes, bool]] = []
        with Air(str(tmp_path / "air"), loss=0.0) as air:
            witness = await Adapter.hold(air.path, WITNESS)
            async with self.radio(air, tmp_path, heard) as radio:
                task = asyncio.create_task(radio.run())
                rig = Rig(air, witness, radio, task, heard)
                witness.scan(rig.reports.append, False)
                try:
                    yield rig
                finally:
                    task.cancel()
                    with suppress(asyncio.CancelledError):
                        await task
                    await witness.release()

    async def ready(self, rig: Rig) -> None:
        """Wait until the radio can say something."""
        for attempt in range(100):
            with suppress(HedgerowError):
                await rig.radio.say(frame(200 + attempt % 50), False, 1)
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"never ready: {rig.radio.health.last_error}")

    def test_what_it_says_is_heard_for_a_number_of_events_and_no_longer(self, tmp_path: Path) -> None:
        async def main() -> None:
            async with self.rig(tmp_path) as rig:
                await self.ready(rig)
                payload = frame(1)
                assert len(payload) == 31
                await rig.radio.say(payload, False, 3)
                events = rig.said(payload)
                await asyncio.sleep(0.3)
                assert rig.said(payload) == events, "silent afterwards"
                assert 1 <= events <= 4
                await until(lambda: [r for r in rig.reports if r.data == payload], "heard")
                report = next(r for r in rig.reports if r.data == payload)
                assert report.adv_type != ADV_IND, "nobody is invited to connect"
                assert address_text(report.address) != WITNESS
                assert rig.radio.health.said >= 1 and rig.radio.speaks

        run(main())

    def test_it_hears_others_once_for_each_new_thing_they_say(self, tmp_path: Path) -> None:
        async def main() -> None:
            async with self.rig(tmp_path) as rig:
                for number in (1, 2, 1):
                    known = len(rig.heard)
                    await rig.beside(frame(number))
                    await until(lambda known=known: len(rig.heard) > known, "heard")
                await asyncio.sleep(0.3)
                rig.witness.stop_advertising()
                assert [manufacturer_data(payload) for _, _, payload, _ in rig.heard] == [
                    manufacturer_data(frame(number)) for number in (1, 2, 1)
                ]
                assert {address.lower() for address, _, _, _ in rig.heard} == {WITNESS}
                assert all(-110 < rssi < 0 for _, rssi, _, _ in rig.heard)
                assert rig.radio.health.heard == 3 and rig.radio.health.heard_at is not None

        run(main())

    def test_two_at_once_are_said_one_after_the_other(self, tmp_path: Path) -> None:
        async def main() -> None:
            async with self.rig(tmp_path) as rig:
                await self.ready(rig)
                first, second = frame(1), frame(2, 24)
                await asyncio.gather(rig.radio.say(first, False, 2), rig.radio.say(second, False, 2))
                said = [data for data in rig.events() if data in (first.hex(), second.hex())]
                assert said == sorted(said, key=[first.hex(), second.hex()].index)
                assert set(said) == {first.hex(), second.hex()}

        run(main())

    @pytest.mark.parametrize(
        ("payload", "events"), [(b"", 1), (bytes(32), 1), (frame(1), 0), (frame(1), 101)]
    )
    def test_what_no_radio_can_say_is_refused(self, tmp_path: Path, payload: bytes, events: int) -> None:
        async def main() -> None:
            async with self.rig(tmp_path) as rig:
                with pytest.raises(HedgerowError, match="RADIO_PAYLOAD"):
                    await rig.radio.say(payload, False, events)
                assert rig.radio.health.said == rig.radio.health.say_failures == 0

        run(main())

    def test_one_that_is_cancelled_falls_silent(self, tmp_path: Path) -> None:
        async def main() -> None:
            async with self.rig(tmp_path) as rig:
                await self.ready(rig)
                payload = frame(1)
                saying = asyncio.create_task(rig.radio.say(payload, False, 100))
                await until(lambda: rig.said(payload), "on the air")
                saying.cancel()
                await asyncio.wait({saying})
                await asyncio.sleep(0.1)
                said = rig.said(payload)
                await asyncio.sleep(0.3)
                assert rig.said(payload) == said
                await rig.radio.say(frame(2), False, 1)
                assert rig.said(frame(2))

        run(main())

    def test_it_comes_back_when_what_it_needs_was_away(self, tmp_path: Path) -> None:
        async def main() -> None:
            async with self.rig(tmp_path) as rig:
                await self.ready(rig)
                async with self.away(rig):
                    with pytest.raises(HedgerowError) as caught:
                        await rig.radio.say(frame(1), False, 1)
                    assert caught.value.code in HEARD
                    assert rig.radio.health.say_failures >= 1
                    assert rig.radio.health.last_error
                await self.ready(rig)
                await rig.beside(frame(9))
                await until(
                    lambda: any(
                        manufacturer_data(heard[2]) == manufacturer_data(frame(9)) for heard in rig.heard
                    ),
                    "hears",
                )

        run(main())
