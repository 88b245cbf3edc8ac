"""The partition table of a board: what differs, whether it may be changed, and how it is."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hedgerow.errors import HedgerowError
from hedgerow_boards.partition_table import (
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
from hedgerow_cli.flashing.programmer import Piece, Programmer
from hedgerow_cli.limits import SAVED_FILES

FILES = "vfs"
LOG = "hedgerow"
_SPARE_FILE_BLOCKS = 8
# Of a littlefs the first two blocks say what it is; without them the board makes a new one.
_SUPERBLOCKS = 2 * SECTOR


def _place(table: Sequence[Partition], label: str) -> tuple[int, int] | None:
    return next(((entry.offset, entry.size) for entry in table if entry.label == label), None)


def differs(table: Sequence[Partition], profile: Profile) -> bool:
    """Whether a board's partitions are other than its profile wants."""
    return {(entry.label, entry.offset, entry.size) for entry in table} != {
        (entry.label, entry.offset, entry.size) for entry in profile.table
    }


def check_change(table: Sequence[Partition], profile: Profile) -> None:
    """Refuse (`TABLE_FOREIGN`) a table whose programs lie elsewhere than ours: the board would not boot."""
    apps = [(entry.label, entry.offset, entry.size) for entry in table if entry.type == TYPE_APP]
    wanted = [(entry.label, entry.offset, entry.size) for entry in profile.table if entry.type == TYPE_APP]
    if apps != wanted:
        shown = ", ".join(f"{label} at 0x{offset:x}" for label, offset, _ in apps) or "no program"
        raise HedgerowError("TABLE_FOREIGN", f"the board has {shown}")


def moves_log(table: Sequence[Partition], profile: Profile) -> bool:
    """Whether there is a log now that the profile's table would have elsewhere."""
    here = _place(table, LOG)
    return here is not None and here != _place(profile.table, LOG)


def check_log(port: str, table: Sequence[Partition], profile: Profile) -> None:
    """Refuse (`LOG_UNRECEIPTED`) to move or shrink a log with readings that no Big Peer has."""
    if not moves_log(table, profile):
        return
    count = probe.open_readings(port)
    if count is None:
        raise HedgerowError("LOG_UNRECEIPTED", f"{port}: the board's log cannot be read, and would be moved")
    if count:
        raise HedgerowError("LOG_UNRECEIPTED", f"{port}: {count} readings are on this board only")


def pieces(table: Sequence[Partition], profile: Profile) -> list[Piece]:
    """What to write to the flash: the table; blanks where the file system or the log come to lie anew."""
    written: list[Piece] = [(TABLE_OFFSET, pack(profile.table, profile.flash_bytes))]
    for label, blank in ((FILES, _SUPERBLOCKS), (LOG, None)):
        place = _place(profile.table, label)
        if place is not None and place != _place(table, label):
            written.append((place[0], b"\xff" * (blank or place[1])))
    return written


def change(
    port: str, state: probe.BoardState, profile: Profile, tool: Programmer, firmware: set[str]
) -> None:
    """Write the table. Files of the board other than `firmware` are fetched before and put back after.

    Raises `FILES_TOO_LARGE` before anything is changed if they do not fit the file system to come. If it
    fails later, the error says where the files lie.
    """
    if _place(state.table, FILES) == _place(profile.table, FILES):
        tool.write(pieces(state.table, profile))
        return
    paths = [path for path in sorted(state.files) if path not in firmware and not transfer.is_former(path)]
    blocks = sum(-(-state.files[path] // SECTOR) + 1 for path in paths) + _SPARE_FILE_BLOCKS
    place = _place(profile.table, FILES)
    if place is None or blocks * SECTOR > place[1] // 2 or len(paths) > SAVED_FILES:
        raise HedgerowError("FILES_TOO_LARGE", f"{len(paths)} files, {blocks * SECTOR // 1024} KiB")
    folder = Path(tempfile.mkdtemp(prefix="hedgerow-files-"))
    try:
        kept = transfer.save(port, paths, folder)
        tool.write(pieces(state.table, profile))
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
