"""`make demo-cluster`: the demo with a Big Peer of two nodes on PostgreSQL, and Kafka behind a bridge.

Starts a PostgreSQL and a Kafka on loopback, with data in a temporary folder, and stops them. Options are
those of `hedgerow demo`, whose last line, JSON, it ends with.
"""

import contextlib
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.kafka_server import KafkaServer, kafka_is_here
from bench.postgres_server import PostgresServer, postgres_programs


def main() -> int:
    """Run the demo between servers that are ours."""
    programs = postgres_programs()
    if programs is None or not kafka_is_here():
        print("no PostgreSQL or no Kafka here: tests/services/install installs them", file=sys.stderr)
        return 1
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hedgerow-cluster-")))
        # PostgreSQL refuses root, and runs as somebody else then.
        folder.chmod(0o755)
        (folder / "postgres").mkdir()
        (folder / "kafka").mkdir()
        postgres, kafka = PostgresServer(folder / "postgres", programs), KafkaServer(folder / "kafka")
        stack.callback(kafka.stop, crash=True)
        stack.callback(_stop, postgres)
        print("starting PostgreSQL and Kafka", flush=True)
        with ThreadPoolExecutor() as pool:
            for started in [pool.submit(_start, server) for server in (postgres, kafka)]:
                started.result()
        command = [sys.executable, "-m", "hedgerow_cli", "demo", "--nodes", "2", "--store", postgres.url()]
        return subprocess.call([*command, "--kafka", kafka.servers, *sys.argv[1:]])


def _start(server: PostgresServer | KafkaServer) -> None:
    server.make()
    server.start()


def _stop(postgres: PostgresServer) -> None:
    with contextlib.suppress(AssertionError):
        postgres.stop("immediate")


if __name__ == "__main__":
    sys.exit(main())
