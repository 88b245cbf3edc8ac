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


def connect(url: str, **settings: str | None) -> psycopg.Connection[Any]:
    """Connect; statements commit by themselves. What the URL says of the line goes before.

    Raises psycopg.Error.
    """
    own = {name: value for name, value in settings.items() if value is not None}
    merged: dict[str, Any] = LINE | conninfo_to_dict(url) | own
    return psycopg.connect(autocommit=True, **merged)
