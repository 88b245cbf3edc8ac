"""`make demo-cluster`: the demo with a Big Peer of two nodes on PostgreSQL, and Kafka behind a bridge.

Starts a PostgreSQL and a Kafka on loopback, with data in a temporary folder, and stops them. Options are
those of `hedgerow demo`, whose last line, JSON, it ends with.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from own_servers import own_servers


def main() -> int:
    """Run the demo between servers that are ours."""
    print("starting PostgreSQL and Kafka", flush=True)
    with tempfile.TemporaryDirectory(prefix="hedgerow-cluster-") as folder, own_servers(Path(folder)) as ours:
        if ours is None:
            print("no PostgreSQL or no Kafka here: tests/services/install installs them", file=sys.stderr)
            return 1
        postgres, kafka = ours
        command = [sys.executable, "-m", "hedgerow_cli", "demo", "--nodes", "2", "--store", postgres.url()]
        return subprocess.call([*command, "--kafka", kafka.servers, *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
