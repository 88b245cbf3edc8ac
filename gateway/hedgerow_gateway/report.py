"""The shape of the gateway's report, which /status shows as JSON and /metrics in Prometheus' text."""

from typing import TypedDict


class AuthorReport(TypedDict):
    """One author: hex author, its name, frontiers, and when it was last seen (RFC 3339 UTC, or null).

    Of one in reach that sleeps: in how many seconds it is due to wake, and whether it has missed three of
    its wakes; null and false of others.
    """

    author: str
    name: str
    held: int
    sealed: int
    receipted: int
    last_seen: str | None
    due_s: int | None
    overdue: bool


class BytesReport(TypedDict("_Ways", {"in": int, "out": int})):
    """Bytes by direction."""


class UplinkReport(TypedDict):
    """The uplink; null in the report of a gateway without one."""

    url: str
    connected: bool
    attempts: int
    sessions: int
    outages: int
    failures: int
    bytes: BytesReport
    last_error: str


class RadioReport(TypedDict):
    """The radio that speaks, and the Bluetooth adapter. `heard_age_s` is null before anything was heard."""

    kind: str
    speaks: bool
    scanning: bool
    adverts: int
    heard_age_s: float | None
    said: int
    say_failures: int
    refresh_ms: float
    restarts: int
    scanner_starts: int
    scanner_failures: int
    silences: int
    power_cycles: int
    connect_failures: int
    disconnect_failures: int
    last_error: str


class TimeReport(TypedDict):
    """The gateway's clock: who vouches for it, whether it may be given to boards now, and its bound."""

    mode: str
    trusted: bool
    error_ms: int | None


class LogReport(TypedDict):
    """The log's database; `reclaimed` counts entries removed to make room."""

    commits: int
    bytes: int
    reclaimed: int
    incarnation: int


class Report(TypedDict):
    """Everything at one moment."""

    author: str
    name: str
    mesh: str
    security: str
    uptime_ms: int
    time: TimeReport
    log: LogReport
    radio: RadioReport
    beacons: int
    connections: int
    connections_failed: int
    connected: int
    hourly: int
    errors: dict[str, int]
    suspects: list[list[str | int]]
    link_bytes: BytesReport
    uplink: UplinkReport | None
    boards: dict[str, int] | None
    authors: list[AuthorReport]
