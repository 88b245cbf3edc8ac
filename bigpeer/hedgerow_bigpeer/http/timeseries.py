"""GET /api/hedgerow/v1/timeseries/NAME: readings of half-open ranges of time, as they are or in windows.

The time of a reading is worked out when it is asked for (SPEC 10.7). So what came late is in its window from
the moment it is here, and what was corrected moves.
"""

import asyncio
import heapq
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from hedgerow.errors import HedgerowError
from hedgerow.query.aggregate import Aggregate
from hedgerow.query.expression import find, holds
from hedgerow.query.values import MISSING, order_key

from .. import limits
from ..clock import rfc3339
from ..names import check_collection
from ..query import Queries
from ..service import Service
from .caller import Name
from .cursors import read_cursor, write_cursor
from .parameters import known, length, listed, moment, refuse, whole
from .resources import Node, Seen, answer, condition_of, scan

AGGREGATES = ("count", "sum", "avg", "min", "max", "first", "last")
PARAMETERS = ("from", "to", "window", "fields", "aggregates", "group", "where", "limit", "after")


class Wanted(NamedTuple):
    """What is asked: readings with `first` <= time < `end` (ms since 2000); without a window the readings."""

    first: int
    end: int
    window: int | None
    fields: list[str]
    aggregates: list[str]
    group: list[str]
    limit: int
    after: tuple[int, bytes] | None


class TimeSeriesEndpoint:
    """Answers ranges of time of one collection."""

    def __init__(self, service: Service, queries: Queries, name: Name) -> None:
        self._service = service
        self._queries = queries
        self._name = name

    async def __call__(self, request: Request) -> Response:
        """Answer a range."""
        caller = await self._name(request)
        found = known(request, *PARAMETERS)
        wanted = read_wanted(found, self._service.clock.utc())
        where = await self._queries.work(condition_of, found.get("where"))
        collection = check_collection(request.path_params["collection"])
        rule = await self._queries.work(caller.rights.to_read, collection)
        series = _Points(wanted, where) if wanted.window is None else _Windows(wanted, where)
        try:
            async with asyncio.timeout(limits.STATEMENT_SECONDS):
                async with self._service.store.snapshot(limits.STATEMENT_SECONDS) as snapshot:
                    async for slice_ in scan(self._queries, snapshot, collection, rule, where, None):
                        await self._queries.work(series.add, slice_)
        except TimeoutError:
            raise HedgerowError("QUERY_TIMEOUT", f"over {limits.STATEMENT_SECONDS:g} s") from None
        items, after = await self._queries.work(series.result)
        gone = {row.collection: row.gone for row in await self._service.store.retention()}.get(collection, 0)
        return answer(
            {
                "transactionId": snapshot.transaction,
                "collection": collection,
                "from": rfc3339(wanted.first),
                "to": rfc3339(wanted.end),
                "untimed": series.untimed,
                # Looked up behind the answer: what it lacks, this says.
                "goneBefore": rfc3339(gone) if gone else None,
                "items": items,
                "next": after,
            }
        )


def read_wanted(found: dict[str, str], now: int) -> Wanted:
    """Return what parameters ask; the last hour by default. Raises REQUEST_SYNTAX."""
    end = moment(found, "to")
    end = now if end is None else end
    first = moment(found, "from")
    first = end - limits.SERIES_MS if first is None else first
    if first >= end:
        raise refuse("from", "is not before `to`")
    window = length(found, "window")
    aggregates = listed(found, "aggregates", len(AGGREGATES)) or ["avg", "min", "max"]
    for name in aggregates:
        if name not in AGGREGATES:
            raise refuse("aggregates", f"has {name[:40]}; there are {', '.join(AGGREGATES)}")
    fields = listed(found, "fields", limits.SERIES_FIELDS)
    if window is None:
        for name in ("aggregates", "group"):
            if name in found:
                raise refuse(name, "wants a `window`")
    elif not fields:
        raise refuse("fields", "must name what is aggregated in a `window`")
    elif "after" in found or -((first - end) // window) > limits.SERIES_WINDOWS:
        raise refuse("window", f"gives more than {limits.SERIES_WINDOWS} windows, or stands beside `after`")
    after = None
    if "after" in found:
        time, key = read_cursor("after", found["after"], int, bytes)
        after = (time, key)
    limit = whole(found, "limit", limits.PAGE_DOCUMENTS, 1, limits.MOST_PAGE_DOCUMENTS)
    group = listed(found, "group", limits.SERIES_FIELDS)
    return Wanted(first, end, window, fields, aggregates, group, limit, after)


class _Series:
    """What is common: which readings are in the range, and how many have no time."""

    def __init__(self, wanted: Wanted, where: Node | None) -> None:
        self.wanted = wanted
        self._where = where
        self.untimed = 0

    def add(self, slice_: list[Seen]) -> None:
        """Take readings; what has no time is counted, and is in no range."""
        for row, document, at in slice_:
            if self._where is not None and not holds(self._where, document):
                continue
            if at is None:
                self.untimed += 1
            elif self.wanted.first <= at.utc < self.wanted.end:
                self.take(at.utc, row.id, document)

    def take(self, at: int, key: bytes, document: dict[str, Any]) -> None:
        """Take a reading of the range."""
        raise NotImplementedError

    def result(self) -> tuple[list[Any], str | None]:
        """Return the items, and the cursor of the next ones."""
        raise NotImplementedError


class _Points(_Series):
    """The readings themselves, by time and id; the least so many are kept."""

    def __init__(self, wanted: Wanted, where: Node | None) -> None:
        super().__init__(wanted, where)
        self._kept: list[tuple[int, bytes, dict[str, Any]]] = []

    def take(self, at: int, key: bytes, document: dict[str, Any]) -> None:
        if self.wanted.after is None or (at, key) > self.wanted.after:
            self._kept.append((at, key, document))
            if len(self._kept) >= 2 * (self.wanted.limit + 1):
                self._cut()

    def _cut(self) -> None:
        self._kept = heapq.nsmallest(self.wanted.limit + 1, self._kept, key=lambda entry: entry[:2])

    def result(self) -> tuple[list[Any], str | None]:
        self._cut()
        page = self._kept[: self.wanted.limit]
        items = []
        for at, _, document in page:
            shown = document
            if self.wanted.fields:
                shown = {"_id": document["_id"], **_picked(document, self.wanted.fields)}
            items.append({"time": rfc3339(at), "document": shown})
        more = len(self._kept) > self.wanted.limit
        return items, write_cursor(*page[-1][:2]) if more else None


class _Windows(_Series):
    """Windows that begin at multiples of their length since 2000, each by group; those without readings are
    left out.
    """

    def __init__(self, wanted: Wanted, where: Node | None) -> None:
        super().__init__(wanted, where)
        self._found: dict[tuple[Any, ...], _Window] = {}

    def take(self, at: int, key: bytes, document: dict[str, Any]) -> None:
        wanted = self.wanted
        assert wanted.window is not None
        group = _picked(document, wanted.group)
        place = (at // wanted.window, order_key(group))
        window = self._found.get(place)
        if window is None:
            if len(self._found) >= limits.SERIES_WINDOWS:
                raise HedgerowError("QUERY_ROWS", f"more than {limits.SERIES_WINDOWS} windows of groups")
            window = self._found[place] = _Window(wanted, group)
        window.add(at, key, document)

    def result(self) -> tuple[list[Any], str | None]:
        length = self.wanted.window
        assert length is not None
        items = []
        for number, group in sorted(self._found):
            window = self._found[number, group]
            items.append(
                {
                    # At the edges a window may be cut by the range.
                    "start": rfc3339(max(number * length, self.wanted.first)),
                    "end": rfc3339(min((number + 1) * length, self.wanted.end)),
                    "group": window.group,
                    "readings": window.readings,
                    "fields": window.result(),
                }
            )
        return items, None


class _Window:
    """The aggregates of one window and group."""

    def __init__(self, wanted: Wanted, group: dict[str, Any]) -> None:
        self.group = group
        self.readings = 0
        self._fields = wanted.fields
        self._names = wanted.aggregates
        plain = [name for name in wanted.aggregates if name not in ("first", "last")]
        self._plain = {(field, name): Aggregate(name, False) for field in wanted.fields for name in plain}
        self._ends: dict[tuple[str, str], tuple[tuple[int, bytes], Any]] = {}

    def add(self, at: int, key: bytes, document: dict[str, Any]) -> None:
        """Take a reading."""
        self.readings += 1
        for field in self._fields:
            value = find(document, tuple(field.split(".")))
            for name in self._names:
                if name not in ("first", "last"):
                    self._plain[field, name].add(value)
                elif value is not MISSING and value is not None:
                    known = self._ends.get((field, name))
                    if known is None or ((at, key) < known[0]) is (name == "first"):
                        self._ends[field, name] = ((at, key), value)

    def result(self) -> dict[str, dict[str, Any]]:
        """Return the aggregates of each field, null where there are no values."""
        found: dict[str, dict[str, Any]] = {field: {} for field in self._fields}
        for field in self._fields:
            for name in self._names:
                if name in ("first", "last"):
                    found[field][name] = self._ends.get((field, name), (None, None))[1]
                else:
                    found[field][name] = self._plain[field, name].result()
        return found


def _picked(document: dict[str, Any], fields: list[str]) -> dict[str, Any]:
    found = {field: find(document, tuple(field.split("."))) for field in fields}
    return {field: value for field, value in found.items() if value is not MISSING}
