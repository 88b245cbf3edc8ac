"""Questions to a board, answered by a program that mpremote runs there."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hedgerow.errors import HedgerowError
from hedgerow_boards.partition_table import FLAG_ENCRYPTED, Partition
from hedgerow_cli.flashing.mpremote import mpremote
from hedgerow_cli.logfile.image import HEAD_BYTES, Author, Custody, Sector
from hedgerow_device.tail import HEAD

MARK = "hedgerow-answer "

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
    table = [part.info() for kind in (0, 1) for part in Partition.find(kind)]
except ImportError:
    table = []
heads, sectors = [], []
if table:
    head = bytearray(%d)
    for part in Partition.find(1):
        if part.info()[4] == "vfs":
            for block in (0, 1):
                part.readblocks(block, head, 0)
                heads.append(binascii.hexlify(head).decode())
    head = bytearray(%d)
    for part in Partition.find(1):
        _, _, at, size, label, _ = part.info()
        if label in ("vfs", "hedgerow"):
            for block in range(size // 4096):
                part.readblocks(block, head, 0)
                if head[0] == 0x48 and head[1] == 0x67 and 0 < head[2] < 16:
                    sectors.append((at // 4096 + block, binascii.hexlify(head).decode()))
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
    "heads": heads,
    "sectors": sectors,
    "tree": tree("", []),
    "digests": [digest(path) for path in %r],
    "has_rom": segments is not None,
    "rom": rom,
}
# Not in one piece: the board may have no room for that.
sys.stdout.write(%r)
json.dump(answer, sys.stdout)
print()
"""

_CUSTODY = """
import binascii, json
from hedgerow.custody.receipt import Receipt
from hedgerow.log import ENTRY_OP, STATE_RECEIPT
from hedgerow.operation import CLOCK, decode_body
from hedgerow_device.starting import open_log
log = open_log()
received = {}
for _, value in log.items(STATE_RECEIPT):
    receipt = Receipt.decode(value)
    received[receipt.author] = max(receipt.number, received.get(receipt.author, 0))
authors = []
for author in log.authors():
    number = start = received.get(author, 0)
    count = newest = 0
    while True:
        entries = log.read(author, number, 0xFFFFFFFF, 2048)
        if not entries:
            break
        for kind, _, last, body in entries:
            number = max(number, last)
            if kind == ENTRY_OP and decode_body(body)[1][0][0] != CLOCK:
                count, newest = count + 1, last
    held, sealed = log.held(author), log.sealed(author)
    authors.append((binascii.hexlify(author).decode(), held, sealed, start, count, newest))
print(%r + json.dumps((binascii.hexlify(log.author).decode(), authors)))
"""

_ERASE = """
from esp32 import Partition
part = [part for part in Partition.find(1) if part.info()[4] == %r][0]
for block in %r:
    part.ioctl(6, block)
"""

_DIGEST = """
import binascii, hashlib, json
from esp32 import Partition
part = [part for part in Partition.find(1) if part.info()[4] == %r][0]
sector = bytearray(4096)
state = hashlib.sha256()
for block in range(%d, %d):
    part.readblocks(block, sector, 0)
    if %r and sector[:2] != b"Hg":
        sector[:] = b"\\xff" * 4096
    state.update(sector)
print(%r + json.dumps(binascii.hexlify(state.digest()).decode()))
"""


@dataclass(frozen=True)
class BoardState:
    """What is on a board: its kind, its partitions in order of place, its files with sizes and digests.

    `heads` are the first bytes of the first two sectors of `vfs`, `sectors` those in `vfs` and `hedgerow`
    that begin like sectors of a log, by their place in the flash. `has_rom` says whether its MicroPython can
    use firmware in place; `rom_digest` is that of what it has.
    """

    platform: str
    machine: str
    identity: str
    config: str | None
    table: tuple[Partition, ...]
    heads: tuple[bytes, ...]
    sectors: tuple[Sector, ...]
    files: dict[str, int]
    digests: dict[str, str | None]
    has_rom: bool
    rom_digest: str | None


def board_state(port: str, paths: Sequence[str], rom_bytes: int = 0) -> BoardState:
    """Look at a board; `digests` has the SHA-256 in hex of each of `paths`, None for one that is not there.

    `rom_digest` is that of the first `rom_bytes` of the ROM partition. Raises what mpremote() raises.
    """
    answer = ask(port, _STATE % (HEAD, HEAD_BYTES, rom_bytes, list(paths), MARK))
    table = [
        Partition(label, kind, subtype, offset, size, FLAG_ENCRYPTED if encrypted else 0)
        for kind, subtype, offset, size, label, encrypted in answer["table"]
    ]
    sectors = (Sector.of(index, bytes.fromhex(head)) for index, head in answer["sectors"])
    return BoardState(
        platform=answer["platform"],
        machine=answer["machine"],
        identity=answer["identity"],
        config=answer["config"],
        table=tuple(sorted(table, key=lambda entry: entry.offset)),
        heads=tuple(bytes.fromhex(head) for head in answer["heads"]),
        sectors=tuple(sector for sector in sectors if sector is not None),
        files={path: int(size) for path, size in answer["tree"]},
        digests=dict(zip(paths, answer["digests"], strict=True)),
        has_rom=answer["has_rom"],
        rom_digest=answer["rom"],
    )


def custody_of(port: str) -> Custody | None:
    """What the board's log holds, as its own firmware reads it; None where that cannot."""
    try:
        author, authors = ask(port, _CUSTODY % MARK)
    except HedgerowError as error:
        if error.code != "MPREMOTE_FAILED":
            raise
        return None
    return Custody(author, tuple(Author(*entry) for entry in authors))


def open_readings(port: str) -> int | None:
    """Operations in the board's log that no keeper has receipted, clock records apart; None: unreadable."""
    found = custody_of(port)
    return None if found is None else found.readings


def digest_of(port: str, label: str, first: int, last: int, encrypted: bool) -> str:
    """SHA-256 in hex of the sectors `first` to before `last` of a partition, as an export has them."""
    return str(ask(port, _DIGEST % (label, first, last, encrypted, MARK)))


def erase(port: str, label: str, sectors: Sequence[int]) -> None:
    """Erase sectors of a partition."""
    mpremote(port, "exec", _ERASE % (label, list(sectors)))


def ask(port: str, program: str) -> Any:
    """Run a program on the board and return what it prints as JSON behind the mark."""
    printed = mpremote(port, "exec", program)
    for line in printed.splitlines():
        if line.startswith(MARK):
            return json.loads(line.removeprefix(MARK))
    raise HedgerowError("MPREMOTE_FAILED", f"{port}: the board did not answer a question")
