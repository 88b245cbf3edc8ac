"""Questions to a board, answered by a program that mpremote runs there."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hedgerow.errors import HedgerowError
from hedgerow_boards.partition_table import Partition
from hedgerow_cli.flashing.mpremote import mpremote

_MARK = "hedgerow-answer "

_STATE = """
import os, sys, json, hashlib, binascii
def digest(path):
    try:
        file = open(path, "rb")
    except OSError:
        return None
    state = hashlib.sha256()
    piece = bytearray(512)
    while True:
        count = file.readinto(piece)
        if not count:
            break
        state.update(memoryview(piece)[:count])
    file.close()
    return binascii.hexlify(state.digest()).decode()
def tree(path, found):
    for entry in os.ilistdir(path or "/"):
        name = path + "/" + entry[0]
        if name == "/rom":
            continue
        if entry[1] == 0x4000:
            tree(name, found)
        else:
            found.append([name, entry[3]])
    return found
try:
    from esp32 import Partition
    table = [part.info()[:5] for kind in (0, 1) for part in Partition.find(kind)]
except ImportError:
    table = []
try:
    import machine
    identity = binascii.hexlify(machine.unique_id()).decode()
except (ImportError, AttributeError):
    identity = ""
try:
    config = open("/hedgerow.json").read(4096)
except OSError:
    config = None
segments = rom = None
try:
    import vfs
    segments = vfs.rom_ioctl(1)
    if segments > 0:
        rom = binascii.hexlify(hashlib.sha256(memoryview(vfs.rom_ioctl(2, 0))[:%d]).digest()).decode()
except (ImportError, AttributeError):
    pass
answer = {
    "platform": sys.platform,
    "machine": getattr(sys.implementation, "_machine", ""),
    "identity": identity,
    "config": config,
    "table": table,
    "tree": tree("", []),
    "digests": [digest(path) for path in %r],
    "has_rom": segments is not None,
    "rom": rom,
}
print(%r + json.dumps(answer))
"""

_OPEN = """
import json
from hedgerow.custody.receipt import Receipt
from hedgerow.log import ENTRY_OP, STATE_RECEIPT
from hedgerow.operation import CLOCK, decode_body
from hedgerow_device.device_peer import open_log
log = open_log()
received = {}
for _, value in log.items(STATE_RECEIPT):
    receipt = Receipt.decode(value)
    received[receipt.author] = max(receipt.number, received.get(receipt.author, 0))
count = 0
for author in log.authors():
    number = received.get(author, 0)
    while number < log.held(author):
        for kind, _, last, body in log.read(author, number, 0xFFFFFFFF, 2048):
            number = max(number, last)
            if kind == ENTRY_OP and decode_body(body)[1][0][0] != CLOCK:
                count += 1
print(%r + json.dumps(count))
"""

_BLANK = """
import json
from esp32 import Partition
part = Partition.find(Partition.TYPE_DATA, label="hedgerow")[0]
sector = bytearray(4096)
blank = True
for block in range(part.ioctl(4, 0)):
    part.readblocks(block, sector)
    if sector != b"\\xff" * 4096:
        blank = False
        break
print(%r + json.dumps(blank))
"""


@dataclass(frozen=True)
class BoardState:
    """What is on a board: its kind, its partitions in order of place, its files with sizes and digests.

    `has_rom` says whether its MicroPython can use firmware in place; `rom_digest` is that of what it has.
    """

    platform: str
    machine: str
    identity: str
    config: str | None
    table: tuple[Partition, ...]
    files: dict[str, int]
    digests: dict[str, str | None]
    has_rom: bool
    rom_digest: str | None


def board_state(port: str, paths: Sequence[str], rom_bytes: int = 0) -> BoardState:
    """Look at a board; `digests` has the SHA-256 in hex of each of `paths`, None for one that is not there.

    `rom_digest` is that of the first `rom_bytes` of the ROM partition. Raises what mpremote() raises.
    """
    answer = _ask(port, _STATE % (rom_bytes, list(paths), _MARK))
    table = [Partition(info[4], info[0], info[1], info[2], info[3]) for info in answer["table"]]
    return BoardState(
        platform=answer["platform"],
        machine=answer["machine"],
        identity=answer["identity"],
        config=answer["config"],
        table=tuple(sorted(table, key=lambda entry: entry.offset)),
        files={path: int(size) for path, size in answer["tree"]},
        digests=dict(zip(paths, answer["digests"], strict=True)),
        has_rom=answer["has_rom"],
        rom_digest=answer["rom"],
    )


def open_readings(port: str) -> int | None:
    """Operations in the board's log that no keeper has receipted, clock records apart; None: unreadable.

    A log partition that is blank holds none, whether or not the board has the firmware to read one.
    """
    try:
        return int(_ask(port, _OPEN % _MARK))
    except HedgerowError as error:
        if error.code != "MPREMOTE_FAILED":
            raise
    return 0 if _ask(port, _BLANK % _MARK) else None


def _ask(port: str, program: str) -> Any:
    printed = mpremote(port, "exec", program)
    for line in printed.splitlines():
        if line.startswith(_MARK):
            return json.loads(line.removeprefix(_MARK))
    raise HedgerowError("MPREMOTE_FAILED", f"{port}: the board did not answer a question")
