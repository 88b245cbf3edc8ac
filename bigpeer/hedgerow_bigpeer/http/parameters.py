"""Parameters of a URL, and names of fields: each checked, and refused with REQUEST_SYNTAX and its name."""

import re
from collections.abc import Collection, Iterable
from datetime import UTC, datetime

from starlette.requests import Request

from hedgerow.errors import HedgerowError

from ..clock import EPOCH

#: The largest whole number that is read: one of 12 digits.
MOST_WHOLE = 10**12 - 1
_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_LENGTH = re.compile(r"(\d{1,9})(ms|s|m|h|d)", re.ASCII)


def refuse(name: str, reason: str) -> HedgerowError:
    """Return the refusal of a parameter or field."""
    return HedgerowError("REQUEST_SYNTAX", f"`{name}` {reason}")


def only(given: Iterable[str], names: Collection[str], what: str = "field") -> None:
    """Raise REQUEST_SYNTAX for a name that is none of `names`: a slip would be taken for what is left out."""
    for name in given:
        if name not in names:
            there = f"are {', '.join(names)}" if names else "is none"
            raise refuse(name[:40], f"is no {what}; there {there}")


def known(request: Request, *names: str) -> dict[str, str]:
    """Return the parameters; one of another name, or given twice, is refused."""
    only(request.query_params, names, "parameter")
    found: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name in found:
            raise refuse(name, "is given twice")
        found[name] = value
    return found


def whole(found: dict[str, str], name: str, default: int, least: int, most: int) -> int:
    """Return a whole number within bounds."""
    text = found.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdecimal() or len(text) > 12 or not least <= int(text) <= most:
        raise refuse(name, f"is no whole number within {least} and {most}")
    return int(text)


def listed(found: dict[str, str], name: str, most: int) -> list[str]:
    """Return the items of a list with commas; none is empty or there twice."""
    text = found.get(name, "")
    items = text.split(",") if text else []
    if len(items) > most or len(set(items)) != len(items) or not all(items):
        raise refuse(name, f"is no list of at most {most} different names")
    return items


def moment(found: dict[str, str], name: str) -> int | None:
    """Return an RFC 3339 time with its zone in ms since 2000, whole ones; None if not given."""
    text = found.get(name)
    if text is None:
        return None
    try:
        # A plus sign in a URL is a space to those who did not encode it.
        value = datetime.fromisoformat(text.replace(" ", "+").replace("Z", "+00:00"))
    except ValueError:
        raise refuse(name, "is no RFC 3339 time") from None
    if value.tzinfo is None:
        raise refuse(name, "has no time zone; end it with Z")
    try:
        apart = value.astimezone(UTC) - EPOCH
    except OverflowError:
        raise refuse(name, "is out of the calendar") from None
    return apart.days * 86_400_000 + apart.seconds * 1000 + apart.microseconds // 1000


def length(found: dict[str, str], name: str) -> int | None:
    """Return a length of time such as 15m in ms, None if not given."""
    text = found.get(name)
    if text is None:
        return None
    parts = _LENGTH.fullmatch(text)
    if parts is None or not int(parts[1]):
        raise refuse(name, f"is no length such as 15m; units are {', '.join(_UNITS)}")
    return int(parts[1]) * _UNITS[parts[2]]
