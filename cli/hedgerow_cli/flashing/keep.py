"""A board whose partition table must not change: the log behind a smaller file system, firmware as files.

MicroPython mounts the whole partition `vfs` before any of our code runs. littlefs refuses a device of
another size than the one it was made for; FAT goes by its boot sector. So the file system becomes a FAT that
ends early, and what lies behind it is the log's (hedgerow_device.tail).
"""

from collections.abc import Sequence

from hedgerow.errors import HedgerowError
from hedgerow_boards.partition_table import SECTOR, Partition
from hedgerow_boards.profiles import Profile
from hedgerow_cli.flashing import probe, tables
from hedgerow_cli.flashing.contents import FILES, LOG, Contents, Place, place_of
from hedgerow_cli.flashing.mpremote import mpremote
from hedgerow_cli.flashing.transfer import File, folders_of
from hedgerow_cli.logfile.image import Sector

#: The least that the file system becomes. On our own boards without firmware among the files, the log then
#: lies just where the profile's table has it.
FILES_BYTES = 512 * 1024
_STEP_BYTES = 128 * 1024
#: The least that is left to the log.
LOG_BYTES = 128 * 1024
# Clusters of one sector: what the board's own files may take, and what a FAT takes for itself.
_OWN = 48
_FAT = 6
#: Imported from files the firmware lies in the heap; the 72 KiB of an ESP32 are too few for it.
LEAST_HEAP_KIB = 112

_MAKE_FAT = """
import vfs
from esp32 import Partition
part = Partition.find(Partition.TYPE_DATA, label="vfs")[0]
class Front:
    first = b""
    def readblocks(self, block, buf, offset=0):
        part.readblocks(block, buf, offset)
    def writeblocks(self, block, buf, offset=0):
        if block == 0:
            self.first = bytes(buf[:4096])
            buf = buf[4096:]
            block = 1
        if len(buf):
            part.writeblocks(block, buf)
    def ioctl(self, command, argument):
        return {4: %d, 5: 4096}.get(command, 0)
try:
    vfs.umount("/")
except OSError:
    pass
for block in %r:
    part.ioctl(6, block)
# A file system that is made half is none: its first sector comes last.
part.ioctl(6, 0)
front = Front()
vfs.VfsFat.mkfs(front)
part.writeblocks(0, front.first)
"""


def has_room(table: Sequence[Partition], rom_bytes: int) -> bool:
    """Whether the table has a partition that MicroPython uses firmware of that size in place from."""
    place = place_of(table, "romfs")
    return place is not None and place.size >= rom_bytes


def check_memory(profile: Profile) -> None:
    """Refuse (`TABLE_NEEDED`) a board whose heap cannot hold the firmware."""
    if profile.heap_kib < LEAST_HEAP_KIB:
        raise HedgerowError(
            "TABLE_NEEDED",
            f"an {profile.name} has {profile.heap_kib} KiB of heap, and firmware from files takes more: "
            "its table needs a partition romfs",
        )


def files_bytes(firmware: Sequence[File]) -> int:
    """How large a file system must be for firmware as files and a board's own."""
    clusters = _FAT + _OWN + len(folders_of(firmware)) + sum(-(-file.size // SECTOR) for file in firmware)
    return max(FILES_BYTES, -(-clusters * SECTOR // _STEP_BYTES) * _STEP_BYTES)


def place_for_log(state: probe.BoardState, contents: Contents, firmware: Sequence[File]) -> Place | None:
    """Where the log is to lie once the file system is made anew, with `firmware` among the files; None where
    it has its place.

    Raises `TABLE_NEEDED` where there is no room for both.
    """
    if place_of(state.table, LOG) is not None:
        return None
    here, log = contents.files, contents.log
    if here is not None and log is not None and log.offset == here.end:
        return None
    files = place_of(state.table, FILES)
    size = files_bytes(firmware)
    if files is None or files.size < size + LOG_BYTES:
        there = f"{files.size // 1024} KiB" if files else "none"
        least = (size + LOG_BYTES) // 1024
        raise HedgerowError(
            "TABLE_NEEDED", f"partition vfs: {there}; it takes {least} to hold files and a log"
        )
    return Place(files.offset + size, files.size - size, files.encrypted)


def make_room(
    port: str, state: probe.BoardState, log: Place, stale: Sequence[Sector], firmware: set[str]
) -> None:
    """Make the file system end where the log begins; the board's files but `firmware` are kept.

    `stale` sectors are erased. Raises as tables.keep_files() does.
    """
    files = place_of(state.table, FILES)
    assert files is not None
    blank = [sector.index - files.offset // SECTOR for sector in stale]
    program = _MAKE_FAT % ((log.offset - files.offset) // SECTOR, blank)
    tables.keep_files(port, state, firmware, _OWN * SECTOR, lambda: str(mpremote(port, "exec", program)))
