"""Which operations of an author are not here, and why."""

from hedgerow.custody.skip import RECEIPTED, Skip
from hedgerow.log import ENTRY_OP, ENTRY_SKIP

from . import flashframes as frames
from .flashframes import REPLACED
from .flashscan import run


def missing(log: object, author: bytes) -> list:
    """See MemoryLog.missing; it reads what there is of the author's run, and beside it, once."""
    here: list = []
    skips: list = []
    for reader in _beside(log, author):
        if reader.type == frames.FILLED:
            _join(here, reader.last)
        elif reader.kind in (ENTRY_SKIP, REPLACED):
            skips.append((reader.first, reader.last, Skip.decode(reader.body()).kind))
    for reader in run(log, author, 0, False):
        if reader.type == ENTRY_OP:
            _join(here, reader.last)
        elif reader.type == ENTRY_SKIP:
            skips.append((reader.first, reader.last, Skip.decode(reader.body()).kind))
    skips.sort()
    found: list = []
    number = 1
    for present, end in here + [[log.held(author) + 1, 0]]:
        while number < present:
            kind, last = _reason(skips, number, present - 1)
            if found and found[-1][2] == kind and found[-1][1] == number - 1:
                found[-1] = (found[-1][0], last, kind)
            else:
                found.append((number, last, kind))
            number = last + 1
        number = max(number, end + 1)
    return found


def _join(ranges: list, number: int) -> None:
    """Put a number into an ascending list of [first, last]."""
    i = len(ranges)
    while i and ranges[i - 1][0] > number:
        i -= 1
    if i and ranges[i - 1][1] >= number:
        return
    if i and ranges[i - 1][1] == number - 1:
        ranges[i - 1][1] = number
    else:
        ranges.insert(i, [number, number])
        i += 1
    if i < len(ranges) and ranges[i][0] == number + 1:
        ranges[i - 1][1] = ranges[i][1]
        ranges.pop(i)


def _reason(skips: list, number: int, end: int) -> tuple:
    """Return (kind, last): why a number is not here, and up to which number, at most `end`, that holds."""
    for first, last, kind in skips:
        if first <= number <= last:
            return kind, min(last, end)
        if number < first:
            return RECEIPTED, min(end, first - 1)
    return RECEIPTED, end


def _beside(log: object, author: bytes) -> object:
    index = log.indexes.get(author)
    return log.beside().entries(author, 1, index.held) if index and index.highest else ()
