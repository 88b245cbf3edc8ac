"""Moments and amounts as people read them."""

from typing import Any

#: So many seconds are shown in a unit of so many.
_UNITS = ((60, 1, "s"), (3600, 60, "min"), (48 * 3600, 3600, "h"))


def span(seconds: float) -> str:
    """Return a length of time in its greatest fitting unit: `12 s`, `5 min`, `7 h`, `3 d`."""
    left = max(0, int(seconds))
    for most, size, unit in _UNITS:
        if left < most:
            return f"{left // size} {unit}"
    return f"{left // 86_400} d"


def count(number: int | None) -> str:
    """Return a whole number with its thousands apart; a dash for none."""
    return "–" if number is None else f"{number:,}".replace(",", "\u202f")


def moment(text: str | None) -> str:
    """Return a time in RFC 3339 as a page shows it, to the second; a dash for none."""
    return "–" if not text else text[:19].replace("T", " ")


def volts(health: dict[str, Any] | None) -> str:
    """Return the voltage that a peer has told, "" for none."""
    told = (health or {}).get("voltage_mv")
    return "" if told is None else f"{told / 1000:.2f} V"


def kibibytes(number: int | None) -> str:
    """Return bytes as KiB, "" for none."""
    return "" if number is None else f"{number / 1024:.0f} KiB"
