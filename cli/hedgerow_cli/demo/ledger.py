"""What the boards said on their serial ports, kept outside of them: the word that the audit goes by."""

import re
from dataclasses import dataclass, field, replace

from hedgerow_boards.board import Board
from hedgerow_boards.console import ConsoleLine

_WAKE = re.compile(r"wake (\d+) author=([0-9a-f]{16})$")
_BOOT = re.compile(r"boot (\d+) author=([0-9a-f]{16})$")
_ACK = re.compile(r"ack (\d+) op=(\d+) value=(\S+)$")
_TIME = re.compile(r"time source=(\S+) error_ms=(\d+)$")
_RECEIPT = re.compile(r"receipt op=(\d+)$")


@dataclass(frozen=True)
class Acknowledgement:
    """Reading `n` is durable on its board as operation `op`; `host_time` is when the board said so."""

    n: int
    op: int
    text: str
    host_time: float


@dataclass
class Boot:
    """One start of a board's program; `met_time` is when it first learnt the time, None for not yet."""

    host_time: float
    met_time: float | None = None


@dataclass
class BoardLedger:
    """Everything that one board has said; read() takes in what is new, and writes it to `console.log`.

    `author` is that of its newest boot, `minted` how often it was another one than the boot before.
    """

    board: Board
    author: str = ""
    minted: int = 0
    boots: list[Boot] = field(default_factory=list)
    acknowledged: dict[int, Acknowledgement] = field(default_factory=dict)
    receipted_op: int = 0
    errors: list[str] = field(default_factory=list)
    reacknowledged: int = 0
    _read: int = 0

    def read(self) -> None:
        """Take in the console lines since the last call."""
        lines, self._read = self.board.console_since(self._read)
        with (self.board.directory / "console.log").open("a", encoding="utf-8") as log:
            for line in lines:
                log.write(f"{line.host_time:.3f} {line.text}\n")
                self._take(line)

    def _take(self, line: ConsoleLine) -> None:
        if match := _ACK.match(line.text):
            n = int(match[1])
            self.reacknowledged += n in self.acknowledged
            self.acknowledged[n] = Acknowledgement(n, int(match[2]), match[3], line.host_time)
        elif match := _BOOT.match(line.text):
            self.minted += self.author not in ("", match[2])
            self.author = match[2]
            self.boots.append(Boot(line.host_time))
        elif match := _WAKE.match(line.text):
            # It goes on with the boot before, and knows the time that that one knew.
            self.minted += self.author not in ("", match[2])
        elif match := _RECEIPT.match(line.text):
            self.receipted_op = max(self.receipted_op, int(match[1]))
        elif _TIME.match(line.text):
            if self.boots and self.boots[-1].met_time is None:
                self.boots[-1].met_time = line.host_time
        elif line.text.startswith(("error ", "Traceback", "MemoryError")):
            self.errors.append(line.text)

    @property
    def met_time(self) -> bool:
        """Whether the board has learnt the time since it last started."""
        return bool(self.boots) and self.boots[-1].met_time is not None

    @property
    def timed(self) -> bool:
        """Whether it has said something since it learnt the time: the record of that comes before."""
        last = max((each.host_time for each in self.acknowledged.values()), default=0.0)
        return any(boot.met_time is not None and boot.met_time < last for boot in self.boots)

    def boot_at(self, host_time: float) -> Boot | None:
        """The boot during which a moment lies."""
        before = [boot for boot in self.boots if boot.host_time <= host_time]
        return before[-1] if before else None

    def ended_timeless(self, host_time: float) -> bool:
        """Whether the boot during which a moment lies lost power before it learnt the time: nobody can tell
        it any more.
        """
        boot = self.boot_at(host_time)
        return boot is not None and boot.met_time is None and boot is not self.boots[-1]

    def until(self, op: int) -> "BoardLedger":
        """Return what was said of operations up to a number, to be looked at only."""
        kept = {n: reading for n, reading in self.acknowledged.items() if reading.op <= op}
        return replace(self, acknowledged=kept)

    def up_to(self, op: int) -> int:
        """Acknowledged readings with operation numbers up to `op`."""
        return sum(reading.op <= op for reading in self.acknowledged.values())
