"""Counts from the air's frame log, read as it grows."""

import json
from collections import Counter
from pathlib import Path


class FrameTally:
    """Beacons by sender and connections by either side, over the whole log file.

    `last_beacon` has the time of each sender's newest, in seconds since 1970.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._at = 0
        self.beacons: Counter[str] = Counter()
        self.connections: Counter[str] = Counter()
        self.connection_total = 0
        self.last_beacon: dict[str, float] = {}

    @property
    def beacon_total(self) -> int:
        return self.beacons.total()

    def read(self) -> None:
        """Take in the whole lines that are new."""
        with self._log.open("rb") as file:
            file.seek(self._at)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._at += len(line)
                self._take(line)

    def _take(self, line: bytes) -> None:
        frame = json.loads(line)
        if frame["kind"] == "adv":
            self.beacons[frame["from"]] += 1
            self.last_beacon[frame["from"]] = frame["t"]
        elif frame["kind"] == "connect":
            self.connection_total += 1
            self.connections.update({frame["from"], frame["to"]})
