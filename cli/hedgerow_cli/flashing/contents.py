"""What lies in a board's flash, whatever its partition table says: a file system, a log."""

from collections.abc import Sequence
from dataclasses import dataclass

from hedgerow_boards.partition_table import FLAG_ENCRYPTED, SECTOR, SUBTYPE_FAT, TYPE_DATA, Partition
from hedgerow_boards.profiles import Profile
from hedgerow_cli.logfile.image import Sector, foreign
from hedgerow_device.tail import FEWEST, files_end

FILES = "vfs"
LOG = "hedgerow"


@dataclass(frozen=True)
class Place:
    """A range of the flash in bytes, and how it is read: by the chip through its encryption or not."""

    offset: int
    size: int
    encrypted: bool = False

    @property
    def end(self) -> int:
        return self.offset + self.size

    def holds(self, sectors: Sequence[Sector]) -> bool:
        """Whether sectors of a log, given by their place in the flash, are those of one log right here."""
        count, first = self.size // SECTOR, self.offset // SECTOR
        return all(
            0 <= sector.index - first < count and sector.seq % count == sector.index - first
            for sector in sectors
        )


@dataclass(frozen=True)
class Contents:
    """Where the file system and the log lie; `via` names the partition through which the log is reached, and
    `base` is where in the flash that begins.

    `sectors` begin like sectors of a log, by their place in the flash; `stray` are those outside of it.
    """

    files: Place | None
    log: Place | None
    via: str
    base: int
    sectors: tuple[Sector, ...]

    @property
    def own(self) -> tuple[Sector, ...]:
        """The sectors of the log."""
        return tuple(sector for sector in self.sectors if self._within(sector))

    @property
    def stray(self) -> tuple[Sector, ...]:
        return tuple(sector for sector in self.sectors if not self._within(sector))

    @property
    def foreign(self) -> tuple[Sector, ...]:
        """Sectors of the log that this version of the software does not read."""
        return tuple(foreign(self.own))

    def _within(self, sector: Sector) -> bool:
        return self.log is not None and self.log.offset <= sector.index * SECTOR < self.log.end


def place_of(table: Sequence[Partition], label: str) -> Place | None:
    """Where a table has the partition of this name."""
    for entry in table:
        if entry.label == label:
            return Place(entry.offset, entry.size, bool(entry.flags & FLAG_ENCRYPTED))
    return None


def contents_of(
    table: Sequence[Partition], heads: Sequence[bytes], sectors: Sequence[Sector], profile: Profile
) -> Contents:
    """Tell from a table, the first bytes of two sectors of `vfs` and the sectors that look like a log's.

    A log that no partition names, such as one that a MicroPython image was written over, counts where it is
    the one that the profile's table has there.
    """
    files, log = place_of(table, FILES), place_of(table, LOG)
    via = LOG
    end = files_end(*heads) if len(heads) == 2 else None
    if files is not None and end is not None and end * SECTOR <= files.size:
        behind = Place(files.offset + end * SECTOR, files.size - end * SECTOR, files.encrypted)
        files = Place(files.offset, end * SECTOR, files.encrypted)
        if log is None and behind.size >= FEWEST * SECTOR:
            log, via = behind, FILES
    wanted = place_of(profile.table, LOG)
    if wanted is not None and sectors and wanted.holds(sectors) and (log is None or not log.holds(sectors)):
        if place_of(table, LOG) is None:
            log, via = wanted, FILES
    base = place_of(table, via)
    return Contents(files, log, via, base.offset if base else 0, tuple(sectors))


def with_files(table: Sequence[Partition], flash_bytes: int) -> tuple[Partition, ...]:
    """A table with the file system that MicroPython adds at boot to one that names none."""
    if not table or place_of(table, FILES) is not None:
        return tuple(table)
    end = max(entry.end for entry in table)
    return (*table, Partition(FILES, TYPE_DATA, SUBTYPE_FAT, end, flash_bytes - end))
