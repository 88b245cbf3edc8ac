"""The partition table of a board: what differs, whether it may be changed, and how it is."""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from hedgerow.errors import HedgerowError
from hedgerow_boards.partition_table import (
    FLAG_ENCRYPTED,
    SECTOR,
    TABLE_BYTES,
    TABLE_OFFSET,
    TYPE_APP,
    Partition,
    pack,
    parse,
)
from hedgerow_boards.profiles import Profile
from hedgerow_cli.flashing import probe, transfer
from hedgerow_cli.flashing.contents import FILES, LOG, Contents, place_of
from hedgerow_cli.flashing.programmer import Piece, Programmer
from hedgerow_cli.limits import SAVED_FILES

_SPARE_FILE_BLOCKS = 8
# Of a littlefs the first two blocks say what it is; without them the board makes a new one.
_SUPERBLOCKS = 2 * SECTOR


def differs(table: Sequence[Partition], profile: Profile) -> bool:
    """Whether a board's partitions are other than its profile wants."""
    return _rows(table) != _rows(profile.table)


def _rows(table: Sequence[Partition]) -> set[tuple[str, int, int, int]]:
    return {(entry.label, entry.offset, entry.size, entry.flags & FLAG_ENCRYPTED) for entry in table}


def check_change(table: Sequence[Partition], profile: Profile) -> None:
    """Refuse (`TABLE_FOREIGN`) a table whose programs lie elsewhere than ours: the board would not boot."""
    apps = [(entry.label, entry.offset, entry.size) for entry in table if entry.type == TYPE_APP]
    wanted = [(entry.label, entry.offset, entry.size) for entry in profile.table if entry.type == TYPE_APP]
    if apps != wanted:
        shown = ", ".join(f"{label} at 0x{offset:x}" for label, offset, _ in apps) or "no program"
        raise HedgerowError("TABLE_FOREIGN", f"the board has {shown}")


def pieces(contents: Contents, profile: Profile) -> list[Piece]:
    """What to write to the flash: the table; blanks where the file system or the log come to lie anew.

    A log that is left behind is blanked, or its sectors would be taken for one that nobody knows.
    """
    written: list[Piece] = [(TABLE_OFFSET, pack(profile.table, profile.flash_bytes))]
    kept: set[int] = set()
    for label, here, blank in ((FILES, contents.files, _SUPERBLOCKS), (LOG, contents.log, None)):
        place = place_of(profile.table, label)
        if place is None:
            continue
        size = place.size
        if place != here:
            size = blank or size
            written.append((place.offset, b"\xff" * size))
        kept |= set(range(place.offset // SECTOR, (place.offset + size) // SECTOR))
    if contents.log != place_of(profile.table, LOG):
        left = [sector.index for sector in contents.sectors if sector.index not in kept]
        written += [(index * SECTOR, b"\xff" * SECTOR) for index in left]
    return written


def change(
    port: str,
    state: probe.BoardState,
    contents: Contents,
    profile: Profile,
    tool: Programmer,
    firmware: set[str],
) -> None:
    """Write the table. Files of the board other than `firmware` are fetched before and put back after."""
    if contents.files == place_of(profile.table, FILES):
        tool.write(pieces(contents, profile))
        return
    place = place_of(profile.table, FILES)
    room = place.size * 2 // 3 if place else 0
    keep_files(port, state, firmware, room, lambda: tool.write(pieces(contents, profile)))


def keep_files(
    port: str, state: probe.BoardState, firmware: set[str], room: int, renew: Callable[[], object]
) -> None:
    """Fetch a board's files other than `firmware`, have its file system made anew, and put them back.

    Raises `FILES_TOO_LARGE` before anything is changed if they take more than `room` bytes. If it fails
    later, the error says where the files lie.
    """
    paths = [path for path in sorted(state.files) if path not in firmware and not transfer.is_former(path)]
    blocks = sum(-(-state.files[path] // SECTOR) + 1 for path in paths) + _SPARE_FILE_BLOCKS
    if blocks * SECTOR > room or len(paths) > SAVED_FILES:
        raise HedgerowError("FILES_TOO_LARGE", f"{len(paths)} files, {blocks * SECTOR // 1024} KiB")
    folder = Path(tempfile.mkdtemp(prefix="hedgerow-files-"))
    try:
        kept = transfer.save(port, paths, folder)
        renew()
        if kept:
            fresh = probe.board_state(port, paths)
            transfer.send(port, kept, fresh, lambda what, done, total: None)
    except HedgerowError as error:
        if not any(folder.iterdir()):
            folder.rmdir()
            raise
        raise HedgerowError(error.code, f"{error.detail}; the board's own files are in {folder}") from None
    shutil.rmtree(folder)


def table_in_flash(tool: Programmer) -> tuple[Partition, ...]:
    """The table as it lies in the flash, where no MicroPython can be asked; empty if there is none."""
    try:
        return parse(tool.read(TABLE_OFFSET, TABLE_BYTES))
    except HedgerowError as error:
        if error.code != "PARTITION_TABLE_INVALID":
            raise
        return ()
