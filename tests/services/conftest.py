"""Real servers for tests, started on loopback with data in a temporary folder.

`make test-services` installs what is missing and runs these; in `make test` they are left out.
"""

import contextlib
import shutil
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS / "bigpeer"), str(TESTS / "system"), str(TESTS.parent)]

import bigpeer_harness  # noqa: E402
import psycopg  # noqa: E402

from bench.kafka_server import KafkaServer, kafka_is_here  # noqa: E402
from bench.postgres_server import PostgresServer, postgres_programs, running  # noqa: E402

MEMORY = Path("/dev/shm")
ROOM = 4 << 30


def _in_memory() -> Path | None:
    """Return where files never reach a disk, if there is room: a database for every test is a gigabyte, and
    only to delete them took as long as half of the tests.
    """
    return MEMORY if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM else None


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A running PostgreSQL."""
    with _postgres() as server:
        yield server


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A running PostgreSQL of this test's own, which may crash it; whoever stops it starts it again."""
    with _postgres() as server:
        yield server


@contextlib.contextmanager
def _postgres() -> Iterator[PostgresServer]:
    programs = postgres_programs()
    if programs is None:
        pytest.fail("no PostgreSQL here: make test-services installs it")
    # Not among pytest's own folders, which only their owner may enter.
    with running(programs, inside=_in_memory()) as server:
        yield server


@pytest.fixture(scope="session")
def kafka() -> Iterator[KafkaServer]:
    """A running Apache Kafka; whoever stops it starts it again."""
    if not kafka_is_here():
        pytest.fail("no Kafka here: make test-services installs it")
    with tempfile.TemporaryDirectory(prefix="hedgerow-kafka-") as folder:
        server = KafkaServer(Path(folder))
        server.make()
        server.start()
        try:
            yield server
        finally:
            server.stop(crash=True)


@pytest.fixture
def database(postgres: PostgresServer) -> Callable[[str], str]:
    """Return a function from names to the URLs of databases of this test's own."""
    return databases(postgres)


@pytest.fixture(scope="module")
def on_postgres(postgres: PostgresServer) -> Iterator[None]:
    """Let every Big Peer of a module have a database of PostgreSQL for each of its folders."""
    url = databases(postgres)
    begin = bigpeer_harness.Local.__init__

    def begin_there(self: bigpeer_harness.Local, directory: Path, **options: object) -> None:
        begin(self, directory, **{"store": url(str(directory)), **options})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bigpeer_harness.Local, "__init__", begin_there)
        yield


def databases(postgres: PostgresServer) -> Callable[[str], str]:
    """Return a function from names to the URLs of databases, made when they are first asked for."""
    mark = uuid.uuid4().hex[:12]
    made: dict[str, str] = {}

    def url(name: str) -> str:
        if name not in made:
            made[name] = f"t_{mark}_{len(made)}"
            with psycopg.connect(postgres.url(), autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {made[name]}".encode())
        return postgres.url(made[name])

    return url
