"""Which operations that are held have other times now, because a better mapping came (SPEC 2.8 to 2.10).

A mapping in an author's log moves the times of its own boot, of those operations to which it is nearer than
the mappings before, and of the boots without a mapping beside it. Each such run of operations is one
`Correction`, however many documents it is about.
"""

from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from hedgerow.clock import hlc
from hedgerow.clock.timemap import TimeMap
from hedgerow.codec import cbor
from hedgerow.codec.schema import Schema, is_stream
from hedgerow.limits import DRIFT_PPM

from .. import limits
from .rows import ClockRecord
from .sql import Connection

Key = tuple[str, int]
#: UTC in ms since 2000, the error in ms, and the source of the mapping (SPEC 2.7), None between boots.
Time = tuple[int, int, int | None]

_CLOCK = "SELECT author, number, epoch, uptime, base, source, utc, error, xid FROM clocks"
_NEWEST = f"{_CLOCK} WHERE app = ? AND shard = ? AND author = ? ORDER BY number DESC LIMIT ?"
_TOLD = (
    "SELECT number FROM operations WHERE app = ? AND shard = ? AND author = ? AND xid < ?"
    " ORDER BY number DESC LIMIT 1"
)
_OPERATION = (
    "SELECT number, stamp FROM operations WHERE app = ? AND shard = ? AND author = ? AND number <= ?"
    " ORDER BY number DESC LIMIT 1"
)
_HAS_DOCUMENT = (
    "SELECT 1 FROM documents WHERE app = ? AND shard = ? AND collection = ? AND id BETWEEN ? AND ?"
    " AND value IS NOT NULL LIMIT 1"
)
# Documents called by what is no dot of the author of their insert, whose time that has.
NAMED_QUERY = (
    "SELECT 1 FROM documents WHERE app = ? AND shard = ? AND collection = ? AND author = ?"
    " AND number BETWEEN ? AND ? AND value IS NOT NULL"
    " AND NOT (substr(id, 1, 2) IN ({}, {}) AND substr(id, 3, 8) = author) LIMIT 1"
)
# How the ids [author, number] and [author, number, index] begin.
DOTS = (b"\x82\x48", b"\x83\x48")
_MANY = 1 << 30
_NUMBER = attrgetter("number")


class End(NamedTuple):
    """An operation at an end of a correction, and its times; None where it was, or is, not known."""

    number: int
    before: Time | None
    after: Time | None


class Correction(NamedTuple):
    """Of operations from `first` to `last` of an author, written in `boots` (first, last), the times are
    others than before; readings that they have inserted are in `collections`.
    """

    collections: list[str]
    boots: tuple[int, int]
    first: End
    last: End

    def encode(self) -> bytes:
        """Return it as it stands in the outbox."""
        encoded: bytes = cbor.encode(
            [self.collections, list(self.boots), *[_listed(end) for end in (self.first, self.last)]]
        )
        return encoded

    @classmethod
    def decode(cls, data: bytes) -> "Correction":
        """Read what encode() wrote."""
        collections, boots, first, last = cbor.decode(data)
        return cls(list(collections), (boots[0], boots[1]), _end(first), _end(last))


class _Run(NamedTuple):
    """Operations of one boot, or of boots that follow each other and have no mapping."""

    epochs: list[int]
    first: int
    last: int


def corrections(
    db: Connection,
    key: Key,
    author: bytes,
    transaction: int,
    news: Sequence[ClockRecord],
    schemas: dict[bytes, Schema],
) -> list[Correction]:
    """Return what the mappings `news` of an author, which a transaction brings, change of what earlier ones
    brought; of operations that have inserted no reading, nothing.
    """
    who = (*key, author)
    told = db.execute(_TOLD, (*who, transaction)).fetchone()
    epochs = {record.epoch for record in news if record.utc is not None}
    if told is None or not epochs:
        return []
    times = _load(db, who, told[0], transaction, limits.CORRECTED_BY)
    if times.is_cut and not times.suffice(epochs, min(record.number for record in news)):
        times = _load(db, who, told[0], transaction, limits.CORRECTED_BY_MOST)
    found = []
    for run in times.runs(epochs):
        ends = times.changed(run)
        collections = _collections(db, key, author, ends, schemas) if ends else []
        if ends and collections:
            found.append(Correction(collections, (run.epochs[0], run.epochs[-1]), *ends))
    return found


def _load(db: Connection, who: tuple[str, int, bytes], told: int, transaction: int, limit: int) -> "_Times":
    """Look at the newest clock records of an author, so many at most."""
    rows = db.execute(_NEWEST, (*who, limit)).fetchall()[::-1]
    is_cut = len(rows) == limit
    records = [(ClockRecord(*row[:8]), row[8] < transaction) for row in rows]
    return _Times(db, who, told, records, is_cut=is_cut)


class _Times:
    """An author's times before and after a transaction; `records` with whether each was there before."""

    def __init__(
        self,
        db: Connection,
        who: tuple[str, int, bytes],
        told: int,
        records: list[tuple[ClockRecord, bool]],
        *,
        is_cut: bool,
    ) -> None:
        self.is_cut = is_cut
        self._db = db
        self._who = who
        self._told = told
        self._records = [record for record, _ in records]
        self._before, self._after = TimeMap(), TimeMap()
        for record, is_old in records:
            self._after.add(*record[1:])
            if is_old:
                self._before.add(*record[1:])
        self._mapped = {record.epoch for record in self._records if record.utc is not None}
        if any(record.epoch not in self._mapped for record in self._records):
            self._note()

    def _boots(self) -> list[tuple[int, int]]:
        """Return each boot's epoch and first operation."""
        return [
            (epoch, next(records).number)
            for epoch, records in groupby(self._records, lambda each: each.epoch)
        ]

    def _note(self) -> None:
        """Learn how long each boot lasted: what counts for those without a mapping."""
        for number in {*[first - 1 for _, first in self._boots()], self._told, _MANY}:
            number, stamp = self._operation(number)
            self._after.note(number, stamp)
            if number <= self._told:
                self._before.note(number, stamp)

    def suffice(self, epochs: set[int], first: int) -> bool:
        """Say whether mappings in these boots, from operation `first` on, move nothing but what the records
        are about, and by nothing but these.
        """
        oldest, earliest = self._records[0], min(epochs)
        if first <= oldest.number or earliest < oldest.epoch:
            return False
        if earliest > oldest.epoch:
            return any(epoch < earliest for epoch in self._mapped)
        # The boot began before the records do: none before them may have been nearer.
        for run in self.runs({earliest}):
            ends = self.changed(run) if run.epochs == [earliest] else None
            if ends and (ends[0].number <= oldest.number or not all(self._is_nearer(end) for end in ends)):
                return False
        return True

    def _is_nearer(self, end: End) -> bool:
        """Say whether nothing before the records could have known an operation's time better."""
        base = max((record for record in self._records if record.number <= end.number), key=_NUMBER).base
        uptime = hlc.stamp_ms(self._operation(end.number)[1]) - base
        apart = uptime - self._records[0].uptime
        return end.before is not None and end.before[1] <= apart * DRIFT_PPM // 1_000_000

    def runs(self, epochs: set[int]) -> list[_Run]:
        """Return what mappings in these boots may move, as far as it was told."""
        boots = self._boots()
        spans = [
            (epoch, first, min(self._told, boots[at + 1][1] - 1 if at + 1 < len(boots) else self._told))
            for at, (epoch, first) in enumerate(boots)
        ]
        found = []
        for boot, group in groupby(spans, lambda span: span[0] if span[0] in self._mapped else None):
            run = [span for span in group if span[1] <= span[2]]
            if run and (boot is None or boot in epochs):
                found.append(_Run([span[0] for span in run], run[0][1], run[-1][2]))
        return found

    def changed(self, run: _Run) -> tuple[End, End] | None:
        """Return the first and the last operation of a run whose times are others, None if none are."""
        first, last = self._look(run.first), self._look(run.last)
        if first.before != first.after:
            return first, last
        if last.before == last.after:
            return None
        # A later mapping is nearer from some operation on.
        low, high = run.first, run.last
        while high - low > 1:
            middle = (low + high) // 2
            end = self._look(middle)
            low, high = (middle, high) if end.before == end.after else (low, middle)
        return self._look(high), last

    def _look(self, number: int) -> End:
        number, stamp = self._operation(number)
        return End(number, _time(self._before, number, stamp), _time(self._after, number, stamp))

    def _operation(self, number: int) -> tuple[int, bytes]:
        """Return the operation held at a number, or the last before it."""
        row = self._db.execute(_OPERATION, (*self._who, number)).fetchone()
        return (row[0], row[1]) if row else (0, bytes(8))


def _time(times: TimeMap, number: int, stamp: bytes) -> Time | None:
    found = times.resolve(number, stamp)
    return None if found is None else (found[0], found[1], times.source(number, stamp))


def _collections(
    db: Connection, key: Key, author: bytes, ends: tuple[End, End], schemas: dict[bytes, Schema]
) -> list[str]:
    """Return the collections of readings in which documents were inserted by operations of a range."""
    first, last = ends[0].number, ends[1].number
    ranges = (
        (cbor.encode([author, first]), cbor.encode([author, last])),
        (cbor.encode([author, first, 0]), cbor.encode([author, last, _MANY])),
    )
    streams = {schema.collection for schema in schemas.values() if is_stream(schema.kind)}
    named = NAMED_QUERY.format(*map(db.constant, DOTS))
    return [
        name
        for name in sorted(streams)
        if any(db.execute(_HAS_DOCUMENT, (*key, name, *bounds)).fetchone() for bounds in ranges)
        or db.execute(named, (*key, name, author, first, last)).fetchone()
    ]


def _listed(end: End) -> list[object]:
    return [end.number, *[None if time is None else list(time) for time in (end.before, end.after)]]


def _end(data: list[list[int | None]]) -> End:
    number, before, after = data
    return End(number, *[None if time is None else tuple(time) for time in (before, after)])  # type: ignore[arg-type]
