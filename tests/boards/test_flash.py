"""The emulated flash: NOR rules, counters, partitions, and how a power cut leaves it."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from hedgerow.errors import HedgerowError
from hedgerow_boards import flash
from hedgerow_boards.board import Board
from hedgerow_boards.partition_table import TABLE_OFFSET, pack
from hedgerow_boards.profiles import STOCK_TABLE

LOG = "from esp32 import Partition\nlog = Partition.find(Partition.TYPE_DATA, label='hedgerow')[0]\n"


def run(board: Board, program: str) -> list[str]:
    """Lines that a program prints, without a soft reset before it."""
    return board.mpremote("resume", "exec", program).stdout.splitlines()


def test_programming_clears_bits_only(board: Board) -> None:
    before = board.counters.overwrites
    printed = run(
        board,
        LOG
        + """
buf = bytearray(4)
log.writeblocks(3, b"\\xf0\\x0f", 100)
log.writeblocks(3, b"\\x30", 100)        # clears two more bits
log.writeblocks(3, b"\\x30\\x0f", 100)   # the same again
try:
    log.writeblocks(3, b"\\x00\\x10\\x00", 100)
except OSError as error:
    print(error.errno)
log.readblocks(3, buf, 99)
print(buf)
log.ioctl(6, 3)
log.readblocks(3, buf, 99)
print(buf)
log.writeblocks(3, bytes(4096))
log.writeblocks(3, b"\\xa5" * 4096)      # without an offset it erases first
log.readblocks(3, buf, 4092)
print(buf)
""",
    )
    assert printed == [
        "5",
        r"bytearray(b'\xff0\x0f\xff')",
        r"bytearray(b'\xff\xff\xff\xff')",
        r"bytearray(b'\xa5\xa5\xa5\xa5')",
    ]
    assert board.counters.overwrites - before == 1


def test_device_protocol_and_bounds(board: Board) -> None:
    printed = run(
        board,
        LOG
        + """
print(log.info(), [log.ioctl(command, 0) for command in (1, 2, 3, 4, 5)])
print(Partition(Partition.RUNNING).info()[4], Partition.find(Partition.TYPE_DATA, 0x40)[0].info()[4])
for call in (
    lambda: Partition("nothing"),
    lambda: log.readblocks(384, bytearray(1)),
    lambda: log.readblocks(383, bytearray(2), 4095),
    lambda: log.writeblocks(383, b"ab", 4095),
    lambda: log.writeblocks(0, b"not a sector"),
    lambda: log.readblocks(-1, bytearray(1)),
    lambda: log.ioctl(6, 384),
):
    try:
        call()
        print("no error")
    except OSError as error:
        print(error.errno)
""",
    )
    assert printed[0] == "(1, 64, 2621440, 1572864, 'hedgerow', False) [0, 0, 0, 384, 4096]"
    assert printed[1] == "factory hedgerow"
    assert printed[2:] == ["2", "-260", "-260", "-260", "-260", "-260", "-260"]


def test_counters_and_wear(board: Board) -> None:
    board.wait_for(">>> ", 5)  # until boot.py has been read
    before = board.counters
    sector = board.partition("hedgerow").offset // 4096 + 7
    wear = board.erase_counts[sector]
    run(board, LOG + "log.ioctl(6, 7); log.ioctl(6, 7)\nlog.writeblocks(7, bytes(300), 10)")
    run(board, LOG + "log.writeblocks(7, bytes(1), 310); log.readblocks(7, bytearray(50))")
    after = board.counters
    assert after.programmed - before.programmed == 301
    assert after.programs - before.programs == 2
    assert after.erases - before.erases == 2
    assert after.read - before.read == 50
    assert board.erase_counts[sector] - wear == 2


def test_stock_board_has_the_automatic_vfs(boards: Callable[..., list[Board]]) -> None:
    (board,) = boards(stock=True)
    show = "from esp32 import Partition\nprint([p.info()[2:5] for p in Partition.find(1)])"
    entries = "[(36864, 24576, 'nvs'), (61440, 4096, 'phy_init'), (2097152, 2097152, 'vfs')]"
    assert run(board, show) == [entries]
    with pytest.raises(HedgerowError) as caught:
        board.partition("vfs")
    assert caught.value.code == "PARTITION_UNKNOWN"


def test_a_new_table_counts_from_the_next_boot(boards: Callable[..., list[Board]]) -> None:
    (board,) = boards(stock=True)
    with pytest.raises(HedgerowError) as caught:
        board.write_flash(TABLE_OFFSET, b"")
    assert caught.value.code == "BOARD_STATE"
    board.power_off()
    board.write_flash(TABLE_OFFSET, pack(board.profile.table, board.profile.flash_bytes))
    board.write_flash(board.profile.table[3].offset, b"\xff" * board.profile.table[3].size)
    board.power_on()
    assert board.partitions == board.profile.table
    assert run(board, LOG + "print(log.info()[3])") == ["1572864"]
    blocks = board.profile.table[3].size // 4096
    assert run(board, "import os; print(os.statvfs('/')[2])") == [str(blocks)]


def test_writing_flash_erases_whole_sectors(tmp_path: Path) -> None:
    image = tmp_path / "image"
    flash.create(image, 64 * 4096 * 4, STOCK_TABLE[:2])
    flash.write(image, 0x1000, b"\x00" * 0x1800)
    assert flash.read(image, 0x27FF, 2) == b"\x00\xff"
    assert flash.partitions(image) == STOCK_TABLE[:2]
    for offset, data in ((0x1001, b"x"), (64 * 4096 * 4, b"x"), (-4096, b"x")):
        with pytest.raises(HedgerowError) as caught:
            flash.write(image, offset, data)
        assert caught.value.code == "FLASH_RANGE"


@pytest.mark.parametrize("model", flash.PROGRAM_MODELS)
def test_torn_programs_only_clear_bits_of_the_program(model: str, tmp_path: Path) -> None:
    image = tmp_path / "image"
    rng = random.Random(3)
    for done in (0, 1, 50, 99, 100):
        before, data = bytes([0xFF] * 100), rng.randbytes(100)
        image.write_bytes(before)
        flash.tear_program(image, 0, data, done, model, rng)
        after = image.read_bytes()
        assert all(data[i] & ~after[i] == 0 for i in range(100))
        if model == "suffix":
            assert after[100 - done :] == data[100 - done :]
            assert after[: 100 - done] == before[: 100 - done]
        else:
            assert after[:done] == data[:done]
        if model == "prefix":
            assert after[done:] == before[done:]
        if model == "byte":
            assert after[done + 1 :] == before[done + 1 :]


def test_torn_erases(tmp_path: Path) -> None:
    image = tmp_path / "image"
    for model, unset in (("none", 4096), ("half", 2048), ("blank", 0)):
        image.write_bytes(bytes(8192))
        flash.tear_erase(image, 4096, model, random.Random(1))
        assert image.read_bytes()[:4096] == bytes(4096)
        assert image.read_bytes()[4096:].count(0) == unset
    image.write_bytes(b"\x81" * 4096)
    flash.tear_erase(image, 0, "bits", random.Random(1))
    torn = image.read_bytes()
    assert all(byte & 0x81 == 0x81 for byte in torn)
    assert len(set(torn)) > 16
