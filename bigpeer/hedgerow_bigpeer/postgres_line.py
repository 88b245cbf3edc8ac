"""Connections to PostgreSQL that give up soon when the other side goes away without a word."""

from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

#: Seconds, but for the last, in milliseconds. Without them TCP waits a quarter of an hour for an answer.
LINE: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


def read_url(url: str) -> dict[str, Any]:
    """Return what a URL says. Raises psycopg.ProgrammingError, whose text has no part of the URL: any may be
    of a password.
    """
    refusal = psycopg.ProgrammingError(
        "no URL of PostgreSQL: reserved characters of a password are written as %XX"
    )
    try:
        found: dict[str, Any] = conninfo_to_dict(url)
    except psycopg.Error:
        raise refusal from None
    # A password with a bare / or @ in it would be read as a host or a name, which errors show.
    if "@" in f"{found.get('host', '')}{found.get('dbname', '')}":
        raise refusal
    return found


def connect(url: str, **settings: str | None) -> psycopg.Connection[Any]:
    """Connect; statements commit by themselves. What the URL says of the line goes before.

    Raises psycopg.Error.
    """
    own = {name: value for name, value in settings.items() if value is not None}
    merged: dict[str, Any] = LINE | read_url(url) | own
    return psycopg.connect(autocommit=True, **merged)
