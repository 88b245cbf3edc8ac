"""What the demo can be asked for, and the times that it keeps."""

from dataclasses import dataclass
from pathlib import Path

INTERVAL_MS = 250
#: Of the board that sleeps: from one wake to the next, and how long it listens after it has said all.
SLEEP_MS = 2500
WINDOW_MS = 1000
#: Receipts are to be seen soon; in the field a seal an hour does. A signed one is seven advertisements.
SEAL_S, SIGNED_SEAL_S = 3, 8
OUTAGE_SECONDS = 4.0
#: How long a node of several is away that was killed.
NODE_AWAY_SECONDS = 3.0
POWER_OFF_SECONDS = 1.0
MESH = "demo"
RIGHTS_KEY = "rights.key"
#: What has room for keys; and for keys and a far board's sessions beside the mesh.
KEYS_PROFILE, RELAY_PROFILE = "esp32c3", "esp32s3-psram"
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
    profile: str = ""
    playground: bool = False
    keep: bool = False
    air: bool = True
    near: bool = False
    cuts: int = 0
    nodes: int = 1
    patience_s: float = 0
    store: str = ""
    kafka: str = ""
    directory: Path | None = None

    @property
    def relay_kind(self) -> str:
        """The profile of the first board, which relays for a far one: it takes a heap for two sessions."""
        if self.far is None or self.profile not in ("", "esp32"):
            return self.kind
        return KEYS_PROFILE if self.playground else RELAY_PROFILE

    @property
    def kind(self) -> str:
        """The profile of the boards; one with room for keys, where they have any."""
        return self.profile or ("esp32" if self.playground else KEYS_PROFILE)

    @property
    def seal_s(self) -> int:
        """How soon boards seal what they have recorded."""
        return SEAL_S if self.playground else SIGNED_SEAL_S

    @property
    def barred(self) -> int | None:
        """The board that may not write `readings`: the second, if it is no other special one."""
        return self._tried(1)

    @property
    def revoked(self) -> int | None:
        """The board whose credential is revoked midway: the third, if it is no other special one."""
        return self._tried(2)

    def _tried(self, board: int) -> int | None:
        others = [at for at in (self.leaf, self.far) if at is not None]
        return None if self.playground or not self.air or board >= min([self.boards, *others]) else board

    @property
    def far(self) -> int | None:
        """The board out of the gateway's range: the last one, if there is another to relay for it."""
        return None if self.near or self.boards < 2 else self.boards - 1

    @property
    def leaf(self) -> int | None:
        """The board that is asleep most of the time: the last one that the gateway hears, of three."""
        return None if self.near or self.boards < 3 else self.boards - 2

    @property
    def readings_per_board(self) -> int:
        return self.readings + self.cuts * READINGS_PER_CUT

    def readings_of(self, board: int) -> int:
        """What a board records: one that sleeps does it once a wake, and so less in the same time."""
        if board != self.leaf:
            return self.readings_per_board
        return max(1, self.readings_per_board * INTERVAL_MS // SLEEP_MS)

    def cuts_after(self, board: int) -> int:
        """With how many readings a board's power cuts begin, even if it has not yet met anybody."""
        return self.readings if self.cuts else self.readings_of(board) // 2

    @property
    def readings_of_all(self) -> int:
        return sum(self.readings_of(board) for board in range(self.boards))

    def role_of(self, board: int) -> dict[str, object]:
        """Settings by which boards differ."""
        if board != self.leaf:
            return {"role": "relay"}
        return {"role": "leaf", "sleep_ms": SLEEP_MS, "window_ms": WINDOW_MS}

    @property
    def limit_seconds(self) -> float:
        """When the demo gives up, counted from the start of recording."""
        slow = 105 if self.playground else 165
        recording = self.readings_per_board * INTERVAL_MS / 1000 * 1.3
        return recording + slow + self.cuts * _SECONDS_PER_CUT + self.patience_s
