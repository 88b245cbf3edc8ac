"""A board's log brought to this machine as it lies in its flash, through mpremote."""

import binascii
import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hedgerow.errors import HedgerowError
from hedgerow_boards.partition_table import SECTOR, TABLE_BYTES, TABLE_OFFSET, Partition, parse
from hedgerow_boards.profiles import PROFILES, Profile
from hedgerow_cli.flashing import probe
from hedgerow_cli.flashing.contents import (
    FILES,
    LOG,
    Contents,
    Place,
    contents_of,
    place_of,
    with_files,
)
from hedgerow_cli.flashing.mpremote import greet, mpremote
from hedgerow_cli.flashing.transfer import Show
from hedgerow_cli.limits import FETCH_SECONDS
from hedgerow_cli.logfile.image import read_image, sectors
from hedgerow_device.tail import HEAD

CONFIG_PATH = "/hedgerow.json"
_LINE = "hedgerow-sector "

# Each sector without the erased bytes at its end, which most of a log's are. Through encryption erased cells
# read as noise: a sector that does not begin as one of a log counts as erased there.
_READ = """
import binascii, hashlib, json
from esp32 import Partition
part = [part for part in Partition.find(1) if part.info()[4] == %r][0]
sector = bytearray(4096)
blank = b"\\xff" * 4096
state = hashlib.sha256()
for block in range(%d, %d):
    part.readblocks(block, sector, 0)
    if %r and sector[:2] != b"Hg":
        sector[:] = blank
    state.update(sector)
    end = 4096
    while end and sector[end - 1] == 255:
        end -= 1
    print(%r + str(end), binascii.b2a_base64(memoryview(sector)[:end]).decode().strip())
print(%r + json.dumps(binascii.hexlify(state.digest()).decode()))
"""

# The author alone seals; without a seal no keeper receipts what was written last.
_SEAL = """
import json
from hedgerow.peer import Peer
from hedgerow_device.starting import open_log
class Sealer(Peer):
    def _boot(self, now):
        pass
log = open_log()
sealed = Sealer(log, 0).seal(0)
log.close()
print(%r + json.dumps(bool(sealed)))
"""


@dataclass(frozen=True)
class Note:
    """What an export remembers beside the image: where the log lay, how it is read, whose board it was."""

    board: str
    mesh: str
    offset: int
    size: int
    encrypted: bool
    sha256: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def note_of(path: Path) -> Path:
    """The file beside an image that says what it is."""
    return path.with_name(path.name + ".json")


def read_export(path: Path) -> tuple[bytes, Note | None]:
    """An image and what was noted of it; LOG_IMAGE if they do not belong together."""
    data = read_image(path)
    try:
        note = Note(**json.loads(note_of(path).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return data, None
    except (OSError, ValueError, TypeError) as error:
        raise HedgerowError("LOG_IMAGE", f"{note_of(path)}: {error}") from None
    if hashlib.sha256(data).hexdigest() != note.sha256:
        raise HedgerowError("LOG_IMAGE", f"{path} is not what {note_of(path).name} was written for")
    return data, note


def save(path: Path, data: bytes, note: Note) -> None:
    """Write an image and its note; LOG_IMAGE if the file is there already."""
    try:
        with path.open("xb") as file:
            file.write(data)
        note_of(path).write_text(json.dumps(note.as_dict(), indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise HedgerowError("LOG_IMAGE", str(error)) from None


def fetch(port: str, show: Show, *, seal: bool = True) -> tuple[bytes, Note]:
    """Read the log of a board, which stops running for it; `show(what, done, total)` hears of the progress.

    With `seal` the board's firmware first seals what it has written, if it can, so that all of it can be
    receipted. Raises LOG_PARTITION where there is none, LOG_FETCH if it did not arrive whole.
    """
    show("looking at the board", 0, 1)
    greet(port)
    state = probe.board_state(port, [CONFIG_PATH])
    contents = contents_of(state.table, state.heads, state.sectors, _profile(state.table))
    log = contents.log
    if log is None:
        raise HedgerowError("LOG_PARTITION", port)
    if seal and contents.own and not contents.foreign:
        show("sealing what was written last", 0, 1)
        _seal(port)
    data = _read(port, contents, log, show)
    settings = _settings(state.config)
    return data, Note(
        board=str(settings.get("name", state.identity)),
        # A delivery needs no more of it, and a file goes many ways: the secret of a mesh stays on the board.
        mesh=str(settings.get("mesh", "demo")).partition(":")[0],
        offset=log.offset,
        size=log.size,
        encrypted=log.encrypted,
        sha256=hashlib.sha256(data).hexdigest(),
    )


def _profile(table: tuple[Partition, ...]) -> Profile:
    """Any profile as large as this flash: where a log that no partition names may lie."""
    end = max((entry.end for entry in table), default=0)
    return min(PROFILES.values(), key=lambda profile: (profile.flash_bytes < end, profile.flash_bytes))


def _seal(port: str) -> None:
    try:
        probe.ask(port, _SEAL % probe.MARK)
    except HedgerowError as error:
        # A board without working firmware, or with a full log: it is saved as it is.
        if error.code != "MPREMOTE_FAILED":
            raise


def _read(port: str, contents: Contents, log: Place, show: Show) -> bytes:
    first = (log.offset - contents.base) // SECTOR
    count = log.size // SECTOR
    found = bytearray()

    def on_line(line: str) -> None:
        if line.startswith(_LINE):
            found.extend(_sector(line))
            show("fetching the log", min(len(found) // SECTOR, count - 1), count)

    program = _READ % (contents.via, first, first + count, log.encrypted, _LINE, probe.MARK)
    printed = mpremote(port, "exec", program, on_line=on_line, seconds=FETCH_SECONDS)
    last = printed.rpartition("\n")[2].removeprefix(probe.MARK).strip('"')
    if len(found) != log.size or hashlib.sha256(found).hexdigest() != last:
        raise HedgerowError("LOG_FETCH", f"{port}: {len(found)} of {log.size} bytes, or other ones")
    show("fetching the log", count, count)
    return bytes(found)


def _sector(line: str) -> bytes:
    _, size, *text = line.split(" ", 2)
    try:
        data = binascii.a2b_base64(text[0] if text else "", strict_mode=True)
    except ValueError:
        data = b""
    return data.ljust(SECTOR, b"\xff") if str(len(data)) == size else b""


def _settings(config: str | None) -> dict[str, Any]:
    try:
        settings = json.loads(config or "{}")
    except ValueError:
        return {}
    return settings if isinstance(settings, dict) else {}


def cut_out(path: Path) -> tuple[bytes, Note]:
    """The log in an image of a whole flash, as esptool reads it; raises as fetch() does.

    Of an encrypted chip such an image is of no use: only the chip reads it.
    """
    flash = read_image(path)
    table = with_files(parse(flash[TABLE_OFFSET : TABLE_OFFSET + TABLE_BYTES]), len(flash))
    files = place_of(table, FILES)
    heads = [flash[at : at + HEAD] for at in (files.offset, files.offset + SECTOR)] if files else []
    wanted = [place for label in (FILES, LOG) if (place := place_of(table, label))]
    found = [
        sector
        for sector in sectors(flash)
        if any(place.offset <= sector.index * SECTOR < place.end for place in wanted)
    ]
    log = contents_of(table, heads, found, _profile(table)).log
    if log is None or log.encrypted:
        raise HedgerowError("LOG_PARTITION", f"{path}: {'encrypted' if log else 'none'}")
    data = flash[log.offset : log.end]
    digest = hashlib.sha256(data).hexdigest()
    return data, Note("", "demo", log.offset, log.size, log.encrypted, digest)
