"""Lengths of time in words."""


def length_text(ms: int) -> str:
    """Return a length as people say it: hours below two days, days above."""
    hours = ms / 3_600_000
    return f"{hours:g} h" if hours < 48 else f"{hours / 24:g} d"
