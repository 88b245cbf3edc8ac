"""Boards with the firmware on them, and what is in their logs."""

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from hedgerow.codec.schema import Schema
from hedgerow.log import ENTRY_OP, STATE_SCHEMA
from hedgerow.operation import CLOCK, decode_body
from hedgerow_boards.board import Board
from hedgerow_boards.sensor import SensorSeries
from hedgerow_cli.firmware_cache import built
from hedgerow_cli.firmware_files import ROM, rom_image
from hedgerow_device.flashlog import FlashLog
from hedgerow_sim.nor import Nor

FIELD = "temperature_f"
SERIES = SensorSeries(FIELD, [f"{30 + n // 10}.{n % 10}" for n in range(500)])
_ACK = re.compile(r"ack (\d+) op=(\d+) value=(\S+)")


def stage(folder: Path) -> Path:
    """Build the firmware: its image, and a folder that looks like a board's root; return where both lie."""
    files = built(folder / "build")
    (folder / "firmware.romfs").write_bytes(rom_image(files))
    root = folder / "board"
    root.mkdir()
    for local, name in files:
        if not name.startswith(f"{ROM}/"):
            shutil.copy(local, root / name[1:])
    return folder


def install(board: Board, root: Path, **settings: object) -> None:
    """Put the firmware and a configuration on a board with mpremote, and start it."""
    config = {"name": board.name, "field": FIELD, "interval_ms": 50, **settings}
    path = board.directory / "hedgerow.json"
    path.write_text(json.dumps(config))
    rom = ["romfs", "deploy", str(root / "firmware.romfs")]
    copies = ["+", "cp", "-r", f"{root}/board/.", ":/", "+", "cp", str(path), ":/hedgerow.json", "+", "reset"]
    board.mpremote(*rom, *copies)


@dataclass(frozen=True)
class Ack:
    """An acknowledgement from a board's console."""

    n: int
    number: int
    value: str


def acks(board: Board) -> list[Ack]:
    """Every acknowledgement that the board has printed, in order."""
    found = (_ACK.fullmatch(line.text) for line in board.console)
    return [Ack(int(match[1]), int(match[2]), match[3]) for match in found if match]


def errors(board: Board) -> list[str]:
    """Codes of the errors that the board has printed."""
    return [line.text.split()[1] for line in board.console if line.text.startswith("error ")]


def open_image(board: Board) -> FlashLog:
    """Mount a copy of the log in the board's flash on the host."""
    partition = board.partition("hedgerow")
    cells = bytearray(board.read_flash(partition.offset, partition.size))
    return FlashLog(Nor(partition.size // 4096, 4096, cells))


def readings(log: FlashLog) -> list[Ack]:
    """The log's own readings, in order; everything that the log holds is decoded on the way."""
    schemas = {key: Schema.decode(value) for key, value in log.items(STATE_SCHEMA)}
    found: list[Ack] = []
    for kind, number, _, body in log.read(log.author, 0, 0, 1 << 30):
        if kind == ENTRY_OP:
            change = decode_body(body)[1][0]
            if change[0] != CLOCK:
                document = schemas[change[1]].unpack(change[3])
                found.append(Ack(document["n"], number, str(document[FIELD])))
    return found


def check_log(board: Board) -> list[Ack]:
    """Check what the log holds against what was acknowledged; return the readings."""
    log = open_image(board)
    assert log.damaged == 0
    held = readings(log)
    assert [ack.n for ack in held] == list(range(1, len(held) + 1)), "a hole in n"
    lost = set(acks(board)) - set(held)
    assert not lost, f"acknowledged and lost: {sorted(lost, key=lambda ack: ack.n)[:3]}"
    truth = {sample.text for sample in board.samples}
    assert {ack.value for ack in held} <= truth
    return held
