"""Many power cuts of one board, each inside a program or an erase of its log, while it records."""

import random
import time
from collections import Counter
from collections.abc import Callable

from hedgerow_boards.flash import ERASE_MODELS, PROGRAM_MODELS
from hedgerow_cli.demo.ledger import BoardLedger

LOG = "hedgerow"
_OFF_SECONDS = 0.05
_CUT_SECONDS = 20.0
#: An erase comes with the first frame after a cut tore one; if it does not, a program is cut instead.
_ERASE_SECONDS = 3.0
_ERASE_SHARE = 0.25
#: Bytes to come of the log: a boot's own records and a reading or two; a reading or two.
_FROM_BOOT_BYTES, _FROM_READING_BYTES = 200, 100


class Cuts:
    """Cuts one board's power `wanted` times; `happened` counts cuts by the kind of write that they tore.

    One half is armed while the board is off, so that it may fall into what a boot writes; the other when a
    reading has been acknowledged. `until(condition)` waits and says False when the demo has ended first.
    """

    def __init__(
        self,
        ledger: BoardLedger,
        wanted: int,
        rng: random.Random,
        until: Callable[[Callable[[], bool]], bool],
        show: Callable[[str], None],
    ) -> None:
        self._ledger = ledger
        self._board = ledger.board
        self._wanted = wanted
        self._rng = rng
        self._until = until
        self._show = show
        self.happened: Counter[str] = Counter()
        self._seen = self._board.power_cuts

    def run(self) -> None:
        """All cuts, one after the other; fewer if one does not come, or the demo ends."""
        self._arm_program(_FROM_BOOT_BYTES)
        kind = "program"
        for number in range(1, self._wanted + 1):
            if not self._wait(kind):
                return
            self._show(f"{number} of {self._wanted} cuts")
            time.sleep(_OFF_SECONDS)
            kind = self._go_on(number)
            if not kind:
                return

    def _go_on(self, number: int) -> str:
        """Give power again and arm the next cut; returns what it is to tear, nothing at the demo's end."""
        if number == self._wanted:
            self._board.power_on()
            return ""
        if self._rng.random() < _ERASE_SHARE:
            self._board.cut_power(in_erase=1, model=self._rng.choice(ERASE_MODELS), partition=LOG)
            self._board.power_on()
            return "erase"
        if self._rng.random() < 0.5:
            self._arm_program(_FROM_BOOT_BYTES)
            self._board.power_on()
            return "program"
        said = len(self._ledger.acknowledged) + self._ledger.reacknowledged
        self._board.power_on()
        if not self._until(lambda: len(self._ledger.acknowledged) + self._ledger.reacknowledged > said):
            return ""
        self._arm_program(_FROM_READING_BYTES)
        return "program"

    def _arm_program(self, most: int) -> None:
        after, model = self._rng.randrange(most), self._rng.choice(PROGRAM_MODELS)
        self._board.cut_power(after_bytes=after, model=model, partition=LOG)

    def _wait(self, kind: str) -> bool:
        """Until the armed cut has happened."""
        if kind == "erase" and not self._come(_ERASE_SECONDS):
            self._arm_program(_FROM_READING_BYTES)
            kind = "program"
        if not self._come(_CUT_SECONDS):
            return False
        self._board.wait_power_cut(_CUT_SECONDS)
        self._seen = self._board.power_cuts
        self.happened[kind] += 1
        return True

    def _come(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        self._until(lambda: self._board.power_cuts > self._seen or time.monotonic() > deadline)
        return self._board.power_cuts > self._seen
