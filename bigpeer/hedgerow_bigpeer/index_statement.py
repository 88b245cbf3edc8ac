"""CREATE INDEX and DROP INDEX: statements of the store, which no board and no gateway has.

CREATE INDEX [IF NOT EXISTS] name ON collection (path)
DROP INDEX [IF EXISTS] name ON collection
"""

import re
from typing import NamedTuple

from hedgerow.errors import HedgerowError

from .store.facets import name_of
from .store.rows import Index

_NAME = r"([A-Za-z_]\w*|`[^`]+`)"
_BEGIN = re.compile(r"\s*(?:CREATE|DROP)\s+INDEX\b", re.I | re.A)
_CREATE = re.compile(
    rf"\s*CREATE\s+INDEX\s+(IF\s+NOT\s+EXISTS\s+)?{_NAME}\s+ON\s+{_NAME}"
    rf"\s*\(\s*({_NAME}(?:\.{_NAME})*)\s*\)\s*;?\s*",
    re.I | re.A,
)
_DROP = re.compile(rf"\s*DROP\s+INDEX\s+(IF\s+EXISTS\s+)?{_NAME}\s+ON\s+{_NAME}\s*;?\s*", re.I | re.A)
_STEP = re.compile(_NAME, re.A)


class IndexStatement(NamedTuple):
    """What to do with an index; `lenient` says that finding it done is no error."""

    drop: bool
    lenient: bool
    wanted: Index


def index_statement(text: str) -> IndexStatement | None:
    """Return what a text says, None for a statement of another kind. Raises QUERY_SYNTAX."""
    if not _BEGIN.match(text):
        return None
    found = _DROP.fullmatch(text)
    if found is not None:
        lenient, name, collection = found.groups()
        return IndexStatement(True, bool(lenient), Index(_bare(collection), _bare(name), ""))
    found = _CREATE.fullmatch(text)
    if found is None:
        reason = "CREATE INDEX [IF NOT EXISTS] name ON collection (path), or DROP INDEX [IF EXISTS] name ON"
        raise HedgerowError("QUERY_SYNTAX", f"{reason} collection")
    lenient, name, collection, path = found.groups()[:4]
    steps = tuple([_bare(step) for step in _STEP.findall(path)])
    return IndexStatement(False, bool(lenient), Index(_bare(collection), _bare(name), name_of(steps)))


def _bare(name: str) -> str:
    return name[1:-1] if name.startswith("`") else name
