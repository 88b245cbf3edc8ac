"""The contract of radios, by an emulated board on its serial port; and what a serial port does besides."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from fake_ble import Ether
from gateway_kit import BigPeer, config, listening, run, until
from mesh_node import Node, delivered, running
from radio_contract import RadioContract, Rig, frame

from hedgerow.errors import HedgerowError
from hedgerow.sync import usb_line
from hedgerow_boards.air import Air
from hedgerow_boards.board import Board
from hedgerow_cli.firmware_files import RADIO
from hedgerow_cli.flashing.flash import Firmware, Options, build_firmware, flash_board
from hedgerow_cli.flashing.side_channel import SideChannel
from hedgerow_gateway import Gateway
from hedgerow_gateway.radio import Radio, structure
from hedgerow_gateway.usb_radio import UsbRadio

ADDRESS = "c0:00:00:00:00:01"


@pytest.fixture(scope="module")
def firmware(tmp_path_factory: pytest.TempPathFactory) -> Firmware:
    """The firmware of a board with this role."""
    return build_firmware(tmp_path_factory.mktemp("firmware"), RADIO)


@contextmanager
def powered(air: Air, directory: Path, firmware: Firmware) -> Iterator[Board]:
    """A board as bought, flashed to be a radio."""
    with Board("radio", directory, address=ADDRESS, air=air.path, stock=True) as board, SideChannel(board):
        board.power_on()
        options = Options(board=board.profile.name, config={"name": "radio", "role": RADIO})
        flash_board(board.port, options, lambda *_: None, firmware)
        board.wait_for("radio 1", 20)
        yield board


class TestUsbRadio(RadioContract):
    @pytest.fixture(autouse=True)
    def _firmware(self, firmware: Firmware) -> None:
        self.firmware = firmware

    @asynccontextmanager
    async def radio(
        self, air: Air, tmp_path: Path, heard: list[tuple[str, int, bytes, bool]]
    ) -> AsyncIterator[Radio]:
        with powered(air, tmp_path / "radio", self.firmware) as self.board:
            radio = UsbRadio(self.board.port, lambda *said: heard.append(said), random.Random(1))
            yield radio

    @asynccontextmanager
    async def away(self, rig: Rig) -> AsyncIterator[None]:
        self.board.power_off()
        yield
        self.board.power_on()


@asynccontextmanager
async def rigged(firmware: Firmware, tmp_path: Path) -> AsyncIterator[tuple[TestUsbRadio, Rig]]:
    test = TestUsbRadio()
    test.firmware = firmware
    async with test.rig(tmp_path) as rig:
        await test.ready(rig)
        yield test, rig


def test_a_board_left_at_the_repl_is_started_anew(tmp_path: Path, firmware: Firmware) -> None:
    async def main() -> None:
        with Air(str(tmp_path / "air"), loss=0.0) as air, powered(air, tmp_path / "radio", firmware) as board:
            # mpremote interrupts the program, and leaves the board at the REPL.
            assert board.mpremote("exec", "print(6 * 7)").stdout.strip() == "42"
            radio = UsbRadio(board.port, lambda *_: None, random.Random(1))
            task = asyncio.create_task(radio.run())
            await until(lambda: radio.speaks, "answers")
            assert radio.counts["resets"] == 1
            task.cancel()
            await asyncio.wait({task})
            # The port is free again, and Ctrl-C gets the REPL.
            assert board.mpremote("exec", "print(6 * 7)").stdout.strip() == "42"

    run(main())


def test_another_program_on_the_board_is_left_alone(tmp_path: Path, firmware: Firmware) -> None:
    async def main() -> None:
        with Air(str(tmp_path / "air"), loss=0.0) as air, powered(air, tmp_path / "radio", firmware) as board:
            program = "import time\nwhile True:\n    time.sleep(0.05)\n    print('busy')\n"
            board.mpremote("exec", f"with open('/main.py', 'w') as file: file.write({program!r})")
            board.mpremote("reset")
            board.wait_for("busy", 10)
            radio = UsbRadio(board.port, lambda *_: None, random.Random(1))
            task = asyncio.create_task(radio.run())
            await until(lambda: "no answer" in radio.health.last_error, "given up", 15)
            assert not radio.speaks and radio.counts["resets"] == 0
            since = board.console_count
            board.wait_for("busy", 10, since)
            task.cancel()
            await asyncio.wait({task})

    run(main())


def test_a_gateway_that_takes_nothing_gets_no_more_than_a_window(tmp_path: Path, firmware: Firmware) -> None:
    async def main() -> None:
        async with rigged(firmware, tmp_path) as (_, rig):
            radio = rig.radio
            assert isinstance(radio, UsbRadio)
            before = radio._taken
            radio._told = radio._taken

            async def mute() -> None:
                radio._told = radio._taken

            tell, radio._tell_taken = radio._tell_taken, mute  # type: ignore[method-assign]
            number = 0
            while radio.counts["dropped"] == 0:
                number += 1
                await rig.beside(structure(b"\x1f" + number.to_bytes(2, "big")))
                await asyncio.sleep(0.02)
            # Some reports may have been acknowledged between two lines of this test.
            assert radio._taken - before <= 2 * usb_line.WINDOW
            taken = radio._taken
            await asyncio.sleep(0.2)
            assert radio._taken == taken
            radio._tell_taken = tell  # type: ignore[method-assign]
            await until(lambda: radio._taken > taken or not rig.task.done(), "more")
            await rig.beside(frame(77))
            await until(lambda: any(heard[2] == frame(77) for heard in rig.heard), "goes on")

    run(main())


def test_damaged_and_foreign_lines_are_counted_and_passed_over(tmp_path: Path) -> None:
    heard: list[bytes] = []

    async def main() -> None:
        radio = UsbRadio("loop://", lambda _, __, payload, ___: heard.append(payload), random.Random(1))
        report = usb_line.encode(usb_line.HEARD, bytes(7) + bytes([60, 3]) + frame(1))
        damaged = bytearray(report)
        damaged[20] ^= 1
        short = usb_line.encode(usb_line.HEARD, bytes(5))
        long = b"~" + b"A" * 5000 + b"\n"
        radio._feed(b"rst:0x1 (POWERON)\r\n" + damaged + short + long + report[:30])
        radio._feed(report[30:])
        assert heard == [frame(1)]
        assert radio.counts["bad_lines"] == 3

    run(main())


def test_a_gateway_with_a_board_as_its_radio_needs_no_adapter(tmp_path: Path, firmware: Firmware) -> None:
    async def main() -> None:
        big = BigPeer()
        with Air(str(tmp_path / "air"), loss=0.0) as air, powered(air, tmp_path / "radio", firmware) as board:
            node = Node(air, 2)
            settings: dict[str, Any] = {"radio": f"usb:{board.port}", **Ether().backends}
            async with listening(big) as url, running(node):
                gateway = Gateway(config(tmp_path / "gateway", uplink=url, **settings))
                task = asyncio.create_task(gateway.run())
                for n in range(3):
                    node.record(n)
                await delivered(big, gateway, node)
                report = gateway.report()["radio"]
                assert report["kind"] == "usb" and report["speaks"] and report["heard_age_s"] is not None
                assert air.counters.connections == 0
                gateway.stop()
                await task

    run(main(), 60)


def test_flashing_it_again_leaves_it_a_radio(tmp_path: Path, firmware: Firmware) -> None:
    with Air(str(tmp_path / "air"), loss=0.0) as air, powered(air, tmp_path / "radio", firmware) as board:
        since = board.console_count
        report = flash_board(board.port, Options(board=board.profile.name), lambda *_: None)
        assert report.sent == 0, "the board's own configuration says what it is"
        board.wait_for("radio 1", 20, since)


def test_a_port_that_is_not_there_is_said_and_tried_again(tmp_path: Path) -> None:
    async def main() -> None:
        radio = UsbRadio(str(tmp_path / "nothing"), lambda *_: None, random.Random(1))
        task = asyncio.create_task(radio.run())
        await until(lambda: radio.counts["reconnects"] >= 2, "tried again")
        assert "RADIO_USB" in radio.health.last_error and not radio.speaks
        with pytest.raises(HedgerowError, match="RADIO_USB: .*nothing: no board"):
            await radio.say(frame(1), False, 1)
        task.cancel()
        await asyncio.wait({task})

    run(main())
