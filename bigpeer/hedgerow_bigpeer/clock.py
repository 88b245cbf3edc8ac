"""The Big Peer's two clocks: milliseconds since its start, and UTC milliseconds since 2000."""

import datetime
import time

#: Times are counted from here.
EPOCH = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
_EPOCH_NS = int(EPOCH.timestamp()) * 1_000_000_000
_MILLISECOND = datetime.timedelta(milliseconds=1)
_LATEST_MS = (datetime.datetime.max.replace(tzinfo=datetime.UTC) - EPOCH) // _MILLISECOND


class Clock:
    """`error_ms` bounds the error of the machine's clock; the operator vouches for it."""

    def __init__(self, error_ms: int) -> None:
        self.error_ms = error_ms
        self._start = time.monotonic_ns()

    def uptime(self) -> int:
        """Return milliseconds since the start."""
        return (time.monotonic_ns() - self._start) // 1_000_000

    def utc(self) -> int:
        """Return milliseconds since 2000."""
        return max(0, (time.time_ns() - _EPOCH_NS) // 1_000_000)


def rfc3339_of_unix(seconds: int) -> str:
    """Write a time in seconds since 1970 as RFC 3339 in UTC, to the second."""
    return rfc3339(seconds * 1000 - _EPOCH_NS // 1_000_000)[:19] + "Z"


def unix_seconds(utc_ms: int) -> int:
    """Return a time in ms since 2000 as whole seconds since 1970."""
    return (utc_ms + _EPOCH_NS // 1_000_000) // 1000


def rfc3339(utc_ms: int) -> str:
    """Write a time in ms since 2000 as RFC 3339 in UTC with milliseconds."""
    moment = EPOCH + min(max(utc_ms, 0), _LATEST_MS) * _MILLISECOND
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
