"""What the demo can be asked for, and the times that it keeps."""

from dataclasses import dataclass
from pathlib import Path

INTERVAL_MS = 250
OUTAGE_SECONDS = 4.0
POWER_OFF_SECONDS = 1.0
MESH = "demo"
RELAY_PROFILE = "esp32c3"
#: A board records on between its power cuts, and has readings left after the last.
READINGS_PER_CUT = 2
_SECONDS_PER_CUT = 5


@dataclass(frozen=True)
class DemoOptions:
    """See `hedgerow demo --help`; `readings` is per board, and with `cuts` some more for each."""

    boards: int = 5
    readings: int = 100
    seed: int = 1
    data: Path | None = None
    profile: str = "esp32"
    keep: bool = False
    air: bool = True
    far: bool = False
    cuts: int = 0
    directory: Path | None = None

    @property
    def readings_per_board(self) -> int:
        return self.readings + self.cuts * READINGS_PER_CUT

    @property
    def limit_seconds(self) -> float:
        """When the demo gives up, counted from the start of recording."""
        return self.readings_per_board * INTERVAL_MS / 1000 * 1.3 + 45 + self.cuts * _SECONDS_PER_CUT
