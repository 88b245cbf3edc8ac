"""Lines to PostgreSQL end soon when the other side says nothing: a machine that went away sends no end."""

import socket
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from hedgerow_bigpeer.auth.registry import Registry
from hedgerow_bigpeer.cdc.postgres import PostgresSink
from hedgerow_bigpeer.store.pg_connection import PostgresConnection

Url = Callable[[str], str]
OPTIONS = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)


def asked_of_the_system(connection: psycopg.Connection[Any]) -> list[int]:
    with socket.socket(fileno=socket.dup(connection.fileno())) as line:
        assert line.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        return [line.getsockopt(socket.IPPROTO_TCP, option) for option in OPTIONS]


@pytest.mark.parametrize("extra", ["", "?keepalives_idle=9&application_name=mine"])
def test_every_line_has_its_end(extra: str, database: Url, tmp_path: Path) -> None:
    url = database("a") + extra
    wanted = [9 if extra else 5, 2, 3, 10_000]
    with closing(Registry(tmp_path, url)) as registry:
        assert asked_of_the_system(registry.database._engine._connection) == wanted  # type: ignore[attr-defined]
    with closing(PostgresConnection(url)) as store:
        assert asked_of_the_system(store._connection) == wanted
        assert store.execute("SELECT current_setting('lock_timeout')").fetchone() == ("20s",)
    sink = PostgresSink({"url": url, "table": "mirror"})
    assert asked_of_the_system(sink._open()) == wanted
    sink._close()
