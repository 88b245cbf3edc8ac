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
from hedgerow_cli.logfile.image import Sector

#: What the firmware as files, and the board's own, get of a partition that is large enough.
FILES_BYTES = 512 * 1024
#: Smaller than this a partition cannot hold both.
LEAST_BYTES = 768 * 1024
#: Of `FILES_BYTES` the firmware takes about 110 clusters of 4 KiB.
_OWN_BYTES = 48 * SECTOR
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


def place_for_log(state: probe.BoardState, contents: Contents) -> Place | None:
    """Where the log is to lie once the file system is made anew; None where it has its place.

    Raises `TABLE_NEEDED` where there is no room for both.
    """
    if place_of(state.table, LOG) is not None:
        return None
    here, log = contents.files, contents.log
    if here is not None and log is not None and log.offset == here.end:
        return None
    files = place_of(state.table, FILES)
    if files is None or files.size < LEAST_BYTES:
        size = f"{files.size // 1024} KiB" if files else "none"
        raise HedgerowError(
            "TABLE_NEEDED", f"partition vfs: {size}; it takes {LEAST_BYTES // 1024} to hold files and a log"
        )
    return Place(files.offset + FILES_BYTES, files.size - FILES_BYTES, files.encrypted)


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
    tables.keep_files(port, state, firmware, _OWN_BYTES, lambda: str(mpremote(port, "exec", program)))
