"""A PostgreSQL and a Kafka of our own on loopback, for programs that are no tests."""

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.kafka_server import KafkaServer, kafka_is_here
from bench.postgres_server import PostgresServer, postgres_programs


@contextlib.contextmanager
def own_servers(folder: Path) -> Iterator[tuple[PostgresServer, KafkaServer] | None]:
    """Start both with their data in a folder, and stop them after; None where one is not installed."""
    programs = postgres_programs()
    if programs is None or not kafka_is_here():
        yield None
        return
    # PostgreSQL refuses root, and runs as somebody else then.
    folder.chmod(0o755)
    (folder / "postgres").mkdir()
    (folder / "kafka").mkdir()
    postgres, kafka = PostgresServer(folder / "postgres", programs), KafkaServer(folder / "kafka")
    with contextlib.ExitStack() as stack:
        stack.callback(kafka.stop, crash=True)
        stack.callback(_stop, postgres)
        with ThreadPoolExecutor() as pool:
            for started in [pool.submit(_start, server) for server in (postgres, kafka)]:
                started.result()
        yield postgres, kafka


def _start(server: PostgresServer | KafkaServer) -> None:
    server.make()
    server.start()


def _stop(postgres: PostgresServer) -> None:
    with contextlib.suppress(AssertionError):
        postgres.stop("immediate")
