"""What keeps readings that are nowhere else: a log is not moved, blanked or outgrown unless it may be."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hedgerow.errors import HedgerowError
from hedgerow_boards.partition_table import SECTOR, TYPE_APP, Partition
from hedgerow_boards.profiles import Profile
from hedgerow_cli.flashing import probe, tables
from hedgerow_cli.flashing.contents import FILES, LOG, Contents, Place, contents_of, place_of, with_files
from hedgerow_cli.flashing.programmer import Programmer
from hedgerow_cli.logfile.image import Custody, custody, open_image, read_image, sectors
from hedgerow_device.tail import HEAD


@dataclass(frozen=True)
class Consent:
    """What allows a log to go: `discard`, or a file that `hedgerow log export` made of it."""

    discard: bool = False
    exported: Path | None = None

    def image(self) -> bytes | None:
        """The bytes of the export; LOG_IMAGE if it cannot be read."""
        return None if self.exported is None else read_image(self.exported)


def check_board(port: str, contents: Contents, consent: Consent, why: str) -> None:
    """Refuse (`LOG_UNRECEIPTED`) to give up a log that a board holds; `why` says what would happen to it.

    It may go if no sector of a log is there, if every reading is receipted, if the export has it, or if it is
    discarded.
    """
    exported = consent.image()
    if consent.discard:
        return
    if contents.stray:
        at = contents.stray[0].index * SECTOR
        raise _refused(port, f"sectors of a log lie at 0x{at:x}, where no partition says so; {why}")
    if contents.log is None or not contents.own:
        return
    if exported is not None and _digest(port, contents, contents.log) == hashlib.sha256(exported).hexdigest():
        return
    held = probe.custody_of(port)
    if held is None:
        raise _refused(port, f"{_unreadable(contents, exported)}; {why}")
    if held.readings:
        _check_covered(port, held, _custody(exported, contents.log.encrypted), why)


def _check_covered(port: str, held: Custody, there: Custody | None, why: str) -> None:
    """Refuse unless the log in the export has all readings that the board's holds."""
    if there is None:
        raise _refused(port, f"{held.readings} readings are on this board only; {why}")
    if not there.covers(held):
        raise _refused(port, f"the export is not of this log, or older than its newest readings; {why}")


def check_chip(tool: Programmer, profile: Profile, consent: Consent) -> Contents:
    """As check_board() for a chip whose MicroPython is to be written anew, so that nobody can be asked.

    Returns what lies in its flash.
    """
    exported = consent.image()
    table: Sequence[Partition] = tables.table_in_flash(tool)
    here, wanted = place_of(table, LOG), place_of(profile.table, LOG)
    if here is not None and here == wanted:
        return contents_of(table, (), (), profile)
    start = max(entry.end for entry in profile.table if entry.type == TYPE_APP)
    if here is not None and (here.encrypted or here.offset < start) and not consent.discard:
        raise _refused("the chip", "it has a log in another place, which cannot be read now")
    flash = tool.read(start, profile.flash_bytes - start)
    first = start // SECTOR
    found = [replace(sector, index=sector.index + first) for sector in sectors(flash)]
    table = with_files(table, profile.flash_bytes)
    files = place_of(table, FILES)
    at = max(files.offset - start, 0) if files else 0
    heads = [flash[at : at + HEAD], flash[at + SECTOR : at + SECTOR + HEAD]]
    contents = contents_of(table, heads, found, profile)
    if consent.discard or (contents.log == wanted and not contents.stray) or not found:
        return contents
    if contents.log is None or contents.stray:
        at = found[0].index * SECTOR
        raise _refused("the chip", f"sectors of a log lie at 0x{at:x}, and cannot be read now")
    place = contents.log
    image = flash[place.offset - start : place.end - start]
    if exported is not None and exported == image:
        return contents
    held = _custody(image)
    if held is None:
        raise _refused("the chip", "it has a log in another place, which cannot be read now")
    if held.readings:
        _check_covered("the chip", held, _custody(exported), "its log would be moved")
    return contents


def sectors_of(contents: Contents) -> list[int]:
    """The log's sectors as indexes in the partition through which it is reached."""
    return [sector.index - contents.base // SECTOR for sector in contents.own]


def _digest(port: str, contents: Contents, log: Place) -> str:
    first = (log.offset - contents.base) // SECTOR
    return probe.digest_of(port, contents.via, first, first + log.size // SECTOR, log.encrypted)


def _unreadable(contents: Contents, exported: bytes | None) -> str:
    if exported is not None:
        return "the board's log cannot be read, and is not what the export holds"
    return "the board's log is of another version" if contents.foreign else "the board's log cannot be read"


def _custody(image: bytes | None, encrypted: bool = False) -> Custody | None:
    """What the log in an image holds; None if there is none that can be read."""
    if image is None:
        return None
    try:
        return custody(open_image(image, encrypted=encrypted))
    except HedgerowError:
        return None


def _refused(where: str, what: str) -> HedgerowError:
    return HedgerowError("LOG_UNRECEIPTED", f"{where}: {what}")
