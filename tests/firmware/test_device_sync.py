"""The firmware over the air: sessions with a keeper, relaying, garbage, and one board after another."""

import asyncio
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from bleak import BleakClient, BleakScanner
from device_rig import SERIES, acks, errors, install
from keeper import Keeper

from hedgerow.codec.schema import Schema
from hedgerow.log import ENTRY_OP, STATE_SCHEMA
from hedgerow.operation import CLOCK, decode_body
from hedgerow.sync import gatt
from hedgerow_boards.air import Air
from hedgerow_boards.air.backend import backends
from hedgerow_boards.board import Board

Boards = Callable[..., list[Board]]
KEEPER_ADDRESS = "e0:00:00:00:00:01"


def author_of(board: Board) -> bytes:
    line = board.wait_for("boot ", 10)
    return bytes.fromhex(line.text.split("=")[1])


def at_keeper(keeper: Keeper, author: bytes) -> dict[int, str]:
    """The author's readings at the keeper: n to value."""
    schemas = {key: Schema.decode(value) for key, value in keeper.log.items(STATE_SCHEMA)}
    found = {}
    for kind, _, _, body in keeper.log.read(author, 0, 0, 1 << 30):
        change = decode_body(body)[1][0] if kind == ENTRY_OP else [CLOCK]
        if change[0] != CLOCK:
            document = schemas[change[1]].unpack(change[3])
            found[document["n"]] = str(document["temperature_f"])
    return found


def until_receipted(board: Board, number: int, seconds: float) -> None:
    """Wait until the board has a receipt over its operation of that number."""
    deadline = time.monotonic() + seconds
    pattern = re.compile(r"receipt op=(\d+)")
    while True:
        found = [int(match[1]) for line in board.console if (match := pattern.fullmatch(line.text))]
        if max(found, default=0) >= number:
            return
        assert time.monotonic() < deadline, (board.name, found, number)
        time.sleep(0.05)


@pytest.mark.parametrize("profile", ["esp32", "esp32c3"])
def test_everything_reaches_a_keeper_and_receipts_and_time_come_back(
    boards: Boards, firmware: Path, air: Air, profile: str
) -> None:
    (board,) = boards(sensor=SERIES, air=air.path, profile=profile)
    install(board, firmware, readings=40)
    with Keeper(air.path) as keeper:
        board.wait_for("ack 40 ", 20)
        last = acks(board)[-1].number
        author = author_of(board)
        keeper.wait_for(author, last, 60)
        board.wait_for("time source=4 ", 30)
        until_receipted(board, last, 20)
        assert at_keeper(keeper, author) == {ack.n: ack.value for ack in acks(board)}
    assert errors(board) == []
    assert keeper.errors == []


def test_garbage_gets_a_code_and_the_board_goes_on(boards: Boards, firmware: Path, air: Air) -> None:
    (board,) = boards(sensor=SERIES, air=air.path)
    install(board, firmware, readings=10)
    board.wait_for("ack 10 ", 20)

    async def annoy() -> bytes:
        scanner, client = backends(air.path)
        device = await BleakScanner.find_device_by_address(board.address, timeout=10, backend=scanner)
        assert device
        answer = bytearray()
        async with BleakClient(device, backend=client) as link:
            await link.start_notify(gatt.TX, lambda _, data: answer.extend(data))
            await link.write_gatt_char(gatt.RX, bytes(100), response=False)
            async with asyncio.timeout(10):
                while b"RECORD_LENGTH" not in answer:
                    await asyncio.sleep(0.02)
        return bytes(answer)

    asyncio.run(annoy())
    board.wait_for("error RECORD_LENGTH", 10)
    with Keeper(air.path) as keeper:
        keeper.wait_for(author_of(board), acks(board)[-1].number, 60)
    assert errors(board) == ["RECORD_LENGTH"]


@pytest.mark.slow
def test_a_board_relays_another_that_hears_no_keeper(boards: Boards, firmware: Path, air: Air) -> None:
    near, far = boards(2, sensor=SERIES, air=air.path, profile="esp32c3")
    air.block(KEEPER_ADDRESS, far.address)
    for board in (near, far):
        install(board, firmware, readings=20, seal_s=2)
    with Keeper(air.path) as keeper:
        for board in (near, far):
            board.wait_for("ack 20 ", 20)
            keeper.wait_for(author_of(board), acks(board)[-1].number, 90)
            assert at_keeper(keeper, author_of(board)) == {ack.n: ack.value for ack in acks(board)}
        until_receipted(far, acks(far)[-1].number, 60)
        # By a TIME it is as good as its source, by a session it is that of a relay (SPEC 2.7, 6.29).
        assert far.wait_for("time source=", 60).text.startswith(("time source=3 ", "time source=4 "))
    assert errors(near) == errors(far) == []
