"""Whose place in a log on flash goes to another author when all are taken (SPEC 5.19). Loaded on demand."""

from array import array

from hedgerow import limits
from hedgerow.errors import HedgerowError
from hedgerow.limits import const
from hedgerow.log import ENTRY_OP
from hedgerow.spent import frontier, keep_names, owned

from . import flashframes as frames
from .flashbeside import OF_RUN
from .flashindex import AuthorIndex
from .flashring import HEADER

# Sectors that are read for one place, if the log has documents that live on; of each so much at once.
_SECTORS = const(32)
_PART = const(256)
# Of the sector that is written, a quarter is used before it ends for the sake of a place.
_USED = const(4)
# The bytes of a schema's name.
_NAME = const(4)


def leaving(log: object, probe: bool) -> int:
    """Return the slot of the author that goes for another's sake; AUTHORS_FULL if nobody does.

    A `probe` changes nothing.
    """
    slot = _leaving(log, probe)
    if slot is None:
        raise HedgerowError("AUTHORS_FULL", str(limits.MAX_AUTHORS))
    return slot


def _leaving(log: object, probe: bool) -> int | None:
    """Return the slot of the author that is spent and has been silent longest, None if there is none.

    None of them has a frame in the sector that is written: within a sector a slot is one author's.
    """
    ring = log.ring
    state = (ring.seq, sum(log.receipts.values()))
    if log.no_place == state:
        return None
    found, here = _candidates(log)
    if not found and not here:
        # Until a receipt comes, or a sector.
        log.no_place = state
    ends = not found and ring.end > ring.size // _USED and ring.free() > log.spare
    if ends:
        found = here
    staying = owned(log) if found else ()
    looks = Looks(log)
    for _, slot in sorted(found):
        author = log.slots[slot]
        if author not in staying and _is_receipted(log, author) and not looks.stays(author):
            if ends and not probe:
                log.open_sector(0)
            return slot
    return None


def _candidates(log: object) -> tuple:
    """Return [(its newest sector, slot)] of authors of whom all seems to be receipted, and nothing was given
    up lately; those with frames in the sector that is written come apart."""
    ring = log.ring
    more = log.more
    receipts: dict = {}
    for name, number in log.receipts.items():
        author = name[1:9]
        receipts[author] = max(number, receipts.get(author, 0))
    found: list = []
    here: list = []
    for author, index in log.indexes.items():
        if author in log.own or max(index.held, index.sealed) > receipts.get(author, 0):
            continue
        if index.stays and index.stays + _SECTORS > ring.seq:
            continue
        if more and (author in more.cuts or author in more.ranges):
            # What is void of it would be back with the author.
            continue
        entry = (index.seqs[-1] if index.seqs else 0, index.slot)
        if _is_written(log, index):
            here.append(entry)
        else:
            found.append(entry)
    return found, here


def _is_written(log: object, index: AuthorIndex) -> bool:
    """Say whether the sector that is written has frames of an author."""
    return index.touched == log.ring.seq


def _is_receipted(log: object, author: bytes) -> bool:
    """Say whether whoever has to hold an author holds all of it, by words that count still."""
    keepers = [name[9:] for name in log.receipts if name[1:9] == author]
    index = log.indexes[author]
    return frontier(log, author, keepers) >= max(index.held, index.sealed)


class Looks:
    """Looks for what of authors has to stay, in so many sectors at most.

    `log.plain` has, by sector, the lap in which it was found to name no schema of a keep collection.
    """

    def __init__(self, log: object):
        self.log = log
        self.names = keep_names(log) if log.keeps else []
        self.left = _SECTORS
        if self.names and (log.plain is None or log.plain[-1] != len(self.names)):
            log.plain = array("H", bytes(2 * log.ring.count) + bytes(2))
            log.plain[-1] = len(self.names)

    def stays(self, author: bytes) -> bool:
        """Say whether something of an author is here that was asked for, or that lives on."""
        log = self.log
        index = log.indexes[author]
        if index.highest:
            for reader in log.beside().entries(author, 1, limits.MAX_NUMBER):
                if reader.type == frames.FILLED and not reader.kind & OF_RUN:
                    return self._note(index)
        seq = index.start(0, log.ring.tail)
        while self.names and seq <= log.ring.seq:
            if not self._is_plain(seq):
                if self.left < 0:
                    # Nobody knows yet; the next look goes on from here.
                    return True
                if self._lives_on(author, seq):
                    return self._note(index)
            seq = index.after(seq)
        return False

    def _note(self, index: AuthorIndex) -> bool:
        """It stays, and is not looked at again for a while."""
        index.stays = self.log.ring.seq
        return True

    def _is_plain(self, seq: int) -> bool:
        """Say whether none of the names stands in a sector; False too where that may not be looked for any
        more."""
        log = self.log
        ring = log.ring
        at = seq % ring.count
        lap = seq // ring.count + 1 & 0xFFFF
        if log.plain[at] == lap:
            return True
        self.left -= 1
        if self.left < 0 or self._mentions(seq):
            return False
        if seq < ring.seq:
            log.plain[at] = lap
        return True

    def _mentions(self, seq: int) -> bool:
        ring = self.log.ring
        before = b""
        for at in range(0, ring.size, _PART):
            part = before + ring.read(seq, at, _PART)
            for name in self.names:
                if name in part:
                    return True
            before = part[1 - _NAME :]
        return False

    def _lives_on(self, author: bytes, seq: int) -> bool:
        """Say whether a sector has an operation of an author whose document is asked for here."""
        log = self.log
        reader = frames.Reader(log.ring, seq, HEADER)
        while reader.next():
            if reader.type in (ENTRY_OP, frames.FILLED) and reader.author == author:
                body = reader.body()
                if [1 for name in self.names if name in body] and log.wants(reader, body, True):
                    return True
        return False


def let_go(log: object, author: bytes) -> None:
    """Forget an author whose slot has another one now."""
    log.forget_hints()
    del log.indexes[author]
    if log.has_beside():
        log.beside().forget(author)


def is_named(log: object, author: bytes, seq: int) -> bool:
    """Say whether frames in a sector that have an author's slot are its own, and not another's before it."""
    index = log.indexes.get(author)
    for known in index.seqs if index else ():
        if known == seq:
            return True
    reader = frames.Reader(log.ring, seq, HEADER)
    while index and reader.next():
        if reader.type == frames.AUTHOR and reader.slot == index.slot:
            return reader.author == author
    return False
