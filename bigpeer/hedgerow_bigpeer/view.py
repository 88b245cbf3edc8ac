"""How queries and conditions see a document: fields, `_id`, and in streams the time (SPEC 10.7)."""

from typing import Any, NamedTuple

from hedgerow import operation

from .clock import rfc3339

TIME = "_time"
TIME_ERROR = "_time_error_ms"
TIME_SOURCE = "_time_source"


# By whose word a moment is known; "between" other moments if by nobody's.
_SOURCES = {
    operation.SOURCE_JUMP: "jump",
    operation.SOURCE_GATEWAY: "gateway",
    operation.SOURCE_RELAYED: "relayed",
    operation.SOURCE_KEEPER: "keeper",
}


def source_name(source: int | None) -> str:
    """Return by whose word a moment is known: a source of SPEC 2.7, None between other moments."""
    return "between" if source is None else _SOURCES[source]


class Moment(NamedTuple):
    """When an operation was written: UTC in ms since 2000, its error in ms, and by whose word."""

    utc: int
    error: int
    source: str


def seen(document_id: Any, fields: dict[str, Any], moment: Moment | None) -> dict[str, Any]:
    """Return a document as queries see it."""
    document: dict[str, Any] = {"_id": document_id}
    document.update(fields)
    document["_id"] = document_id
    if moment is not None and TIME not in document:
        document[TIME] = rfc3339(moment.utc)
        document[TIME_ERROR] = moment.error
        document[TIME_SOURCE] = moment.source
    return document
