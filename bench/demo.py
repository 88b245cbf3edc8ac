"""What the whole path costs: the demo, run as a user runs it."""

import json
import subprocess
import sys
from collections.abc import Callable

from .figure import Figure, figure

BOARDS = 5
READINGS = 100
SEED = 1


def connections_per_reading() -> list[Figure]:
    """Connections and beacons on the air for each reading that arrived, with the power cut and the outage."""
    command = [sys.executable, "-m", "hedgerow_cli", "demo"]
    options = ["--boards", str(BOARDS), "--readings", str(READINGS), "--seed", str(SEED)]
    done = subprocess.run([*command, *options], stdout=subprocess.PIPE, text=True, check=True)
    result = json.loads(done.stdout.splitlines()[-1])
    arrived = result["at_big_peer"]
    return [
        figure("demo.connections_per_reading", result["connections"] / arrived, "1"),
        figure("demo.beacons_per_reading", result["beacons"] / arrived, "1"),
    ]


FIGURES: list[Callable[[], list[Figure]]] = [connections_per_reading]
