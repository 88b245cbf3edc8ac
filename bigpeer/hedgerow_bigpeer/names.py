"""Names of collections that every store can hold."""

from hedgerow.errors import HedgerowError
from hedgerow.limits import MAX_NAME

#: What the names of system collections begin with.
SYSTEM = "system:"


def is_collection(name: str) -> bool:
    """Say whether a collection can be called so: PostgreSQL has no text with a NUL."""
    return 0 < len(name) <= MAX_NAME and "\0" not in name


def check_collection(name: str) -> str:
    """Return the name of a collection. Raises REQUEST_SYNTAX."""
    if not is_collection(name):
        raise HedgerowError("REQUEST_SYNTAX", "no name of a collection")
    return name
