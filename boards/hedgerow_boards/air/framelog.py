"""What was on the air: counters, and one record per frame, in memory and as JSON lines."""

import json
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from hedgerow_boards.air.limits import FRAMES_KEPT

Frame = dict[str, Any]


@dataclass
class Counters:
    """Totals since the air was made.

    beacons: advertising events put on the air; reports: advertising reports handed to a host;
    connections, disconnections: links made and ended; gatt_packets, gatt_bytes: link-layer data
    packets delivered and their payload; collisions, lost: receptions that failed because of
    another transmission, or by chance; weak, interference: because the level was too low, or another
    user of the band was on; reports_dropped: heard, but the host had no free report buffer; refused:
    clients closed for breaking the protocol.
    """

    beacons: int = 0
    reports: int = 0
    connections: int = 0
    disconnections: int = 0
    gatt_packets: int = 0
    gatt_bytes: int = 0
    collisions: int = 0
    lost: int = 0
    weak: int = 0
    interference: int = 0
    reports_dropped: int = 0
    refused: int = 0


class FrameLog:
    """Records with the keys t (seconds), kind, from, and by kind to, type, rssi, data (hex), interval_ms,
    reason, code, detail. Kinds: adv, report, connect, disconnect, data, refused; and stats, one per radio
    when the air stops, with the keys of `Tally.report`. Memory keeps the newest FRAMES_KEPT of them."""

    def __init__(self, path: Path | None = None) -> None:
        self.frames: deque[Frame] = deque(maxlen=FRAMES_KEPT)
        self.origin = 0.0
        self._file: IO[str] | None = path.open("a", encoding="ascii") if path else None

    def add(self, now_us: int, kind: str, sender: str, **fields: Any) -> None:
        frame: Frame = {"t": round(self.origin + now_us / 1e6, 6), "kind": kind, "from": sender, **fields}
        self.frames.append(frame)
        if self._file:
            self._file.write(json.dumps(frame, separators=(",", ":")) + "\n")

    def flush(self) -> None:
        if self._file:
            self._file.flush()

    def close(self) -> None:
        if self._file:
            self._file.close()
            self._file = None
