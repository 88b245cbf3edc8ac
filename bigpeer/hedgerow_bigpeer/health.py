"""What peers say of themselves: the health documents of boards and gateways (SPEC 5.15)."""

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from hedgerow.codec import cbor
from hedgerow.codec.schema import HEALTH, is_integer
from hedgerow.query.values import is_number, to_float

from . import limits
from .clock import rfc3339
from .query import Queries
from .service import Service
from .store.rows import DocumentRow

_TEXTS = ("name", "firmware", "reset", "place")
_NUMBERS = ("boots", "uptime_s", "heap_free", "log", "voltage_mv")
# A write's key is a stamp of 8 bytes and its author; a counter's state has four items behind its path.
_STAMP = 8
_COUNTER = 4
_SUSPECT = re.compile(r"[A-Z_]{1,40}", re.ASCII)
_SUSPECT_ADDRESS = re.compile(r"[0-9A-Fa-f:-]{0,40}", re.ASCII)
_GEO = re.compile(r"geo:(-?\d{1,3}(?:\.\d{1,12})?),(-?\d{1,3}(?:\.\d{1,12})?)(?:[,;].*)?", re.ASCII)
_METRES = re.compile(r"(-?\d{1,7}(?:\.\d{1,6})?)\s*,\s*(-?\d{1,7}(?:\.\d{1,6})?)", re.ASCII)


class Place(NamedTuple):
    """Where a peer is: degrees east and north if `on_earth`, else metres right and up of some corner."""

    x: float
    y: float
    on_earth: bool


def place_of(text: str | None) -> Place | None:
    """Read `geo:LATITUDE,LONGITUDE` (RFC 5870) or `X,Y`; None for anything else, such as words."""
    found = _GEO.fullmatch(text or "")
    if found is not None:
        latitude, longitude = float(found[1]), float(found[2])
        return Place(longitude, latitude, True) if abs(latitude) <= 90 and abs(longitude) <= 180 else None
    found = _METRES.fullmatch(text or "")
    return None if found is None else Place(float(found[1]), float(found[2]), False)


def _own(row: DocumentRow) -> set[str]:
    """Return the fields whose value the document's author wrote, read from the state (Document.encode)."""
    written, counted = set(), set()
    at = 0
    # Before the paths stand the version, the insert and the delete.
    for _ in range(3):
        _, at = cbor.decode_at(row.state, at)
    while at < len(row.state):
        (path, *state), at = cbor.decode_at(row.state, at)
        if len(state) == _COUNTER:
            counted.add(path[0])
        elif len(path) == 1 and state[0][_STAMP:] == row.author:
            written.add(path[0])
    return written - counted


async def health(service: Service, queries: Queries, authors: Iterable[bytes]) -> dict[bytes, dict[str, Any]]:
    """Return what authors say of themselves, as far as they do: of every field its value, or None where there
    is none that makes sense; `at` is when it was written. What others wrote under an author's id counts not:
    all of it where theirs is the last insert, else their fields.
    """
    ids = sorted(cbor.encode(author) for author in authors)
    found: dict[bytes, dict[str, Any]] = {}
    async with service.store.snapshot() as snapshot:
        for at in range(0, len(ids), limits.SLICE_DOCUMENTS):
            rows = await snapshot.some(HEALTH, ids[at : at + limits.SLICE_DOCUMENTS])
            for row, document, _ in await queries.documents(rows):
                author = document["_id"]
                if row.author != author or row.number is None or row.stamp is None:
                    continue
                moment = service.time_of(author, row.number, row.stamp)
                own = _own(row)
                said = {name: value for name, value in document.items() if name in own}
                found[author] = _shown(said, None if moment is None else rfc3339(moment.utc))
    return found


def suspects_of(value: Any) -> list[tuple[str, str, int]]:
    """Read what a peer says of others, (code, address, count); what makes no sense is left out."""
    found = []
    for row in value[: limits.SUSPECTS] if isinstance(value, list) else ():
        if not isinstance(row, list) or len(row) != 3:
            continue
        code, address, count = row
        texts = isinstance(code, str) and isinstance(address, str) and is_integer(count) and count > 0
        if texts and _SUSPECT.fullmatch(code) and _SUSPECT_ADDRESS.fullmatch(address):
            found.append((code, address, count))
    return found


def _shown(document: dict[str, Any], at: str | None) -> dict[str, Any]:
    shown: dict[str, Any] = {"at": at}
    for name in _TEXTS:
        value = document.get(name)
        shown[name] = value[: limits.SHOWN_NAME] if isinstance(value, str) else None
    for name in _NUMBERS:
        value = document.get(name)
        shown[name] = value if is_integer(value) and value >= 0 else None
    shown["suspects"] = suspects_of(document.get("suspects"))
    due = document.get("due_s")
    shown["due_s"] = due if is_number(due) and 0 < to_float(due) < limits.DUE_SECONDS else None
    return shown
