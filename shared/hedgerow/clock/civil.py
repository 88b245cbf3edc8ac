"""Moments as people write them: RFC 3339 in UTC."""

_DAY_MS = 86400000
# 0000-03-01 to 2000-01-01, in days: years are counted from March, so that the leap day comes last.
_EPOCH_DAYS = 730425
_LATEST_MS = 252455615999999


def rfc3339(utc_ms: int) -> str:
    """Write a time in ms since 2000 with milliseconds; what lies outside 2000 to 9999 is put at its edge.

    The calendar's arithmetic is that of H. Hinnant, "chrono-Compatible Low-Level Date Algorithms" (2013).
    """
    utc_ms = min(max(utc_ms, 0), _LATEST_MS)
    days, ms = divmod(utc_ms, _DAY_MS)
    era, day_of_era = divmod(days + _EPOCH_DAYS, 146097)
    year = (day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096) // 365
    day = day_of_era - (365 * year + year // 4 - year // 100)
    month = (5 * day + 2) // 153
    day = day - (153 * month + 2) // 5 + 1
    year += era * 400 + (month >= 10)
    month = month + 3 if month < 10 else month - 9
    seconds, ms = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    return "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ" % (
        year,
        month,
        day,
        minutes // 60,
        minutes % 60,
        seconds,
        ms,
    )
