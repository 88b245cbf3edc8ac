"""How queries and conditions see a document: fields, `_id`, and in streams the time (SPEC 10.7)."""

from typing import Any, NamedTuple

from .clock import rfc3339

TIME = "_time"
TIME_ERROR = "_time_error_ms"
TIME_SOURCE = "_time_source"


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
