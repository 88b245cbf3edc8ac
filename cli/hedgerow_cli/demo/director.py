"""What goes wrong on purpose: power cuts in flash writes, an outage of the uplink, a node that is killed."""

import math
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence

from hedgerow.errors import HedgerowError
from hedgerow_boards.flash import PROGRAM_MODELS
from hedgerow_cli.demo.cuts import LOG, Cuts
from hedgerow_cli.demo.intruders import Intruders
from hedgerow_cli.demo.ledger import BoardLedger
from hedgerow_cli.demo.nodes import Nodes
from hedgerow_cli.demo.options import (
    NODE_AWAY_SECONDS,
    OUTAGE_SECONDS,
    POWER_OFF_SECONDS,
    DemoOptions,
)
from hedgerow_cli.demo.proxy import Proxy

_CUT_SECONDS = 20.0
_EDIT_SECONDS = 40.0
_OUTAGE_AT = 0.3  # of all readings
_NODE_AT = 0.6


class Director:
    """Runs all mishaps in threads of its own while the demo reads the ledgers.

    The power cuts come after their board's first contact, which is when it learns the time, or when no more
    of its readings are left than they need; with the air switched off there are none. `notes` (by board) are
    for the table; `cuts` is how many there were in programs and in erases, `cut_board` the board that had
    them.
    """

    def __init__(
        self,
        options: DemoOptions,
        ledgers: Sequence[BoardLedger],
        proxy: Proxy,
        say: Callable[[str], None],
        nodes: Nodes | None = None,
        intruders: Intruders | None = None,
    ) -> None:
        self._options = options
        self._ledgers = ledgers
        self._proxy = proxy
        self._say = say
        self._nodes = nodes
        self._intruders = intruders
        self._rng = random.Random(options.seed)
        self._ended = threading.Event()
        self.notes: dict[int, str] = {} if intruders is None else intruders.trial.notes
        self.cuts: Counter[str] = Counter()
        self.cut_board: int | None = None
        self.failure: HedgerowError | None = None
        parts = [self._power, self._uplink] if options.air else [self._uplink]
        if nodes is not None and options.nodes > 1:
            parts.append(self._node)
        if intruders is not None:
            parts.append(lambda: intruders.revoke(self._until))
        self._threads = [threading.Thread(target=self._guarded, args=(part,), daemon=True) for part in parts]

    def __enter__(self) -> "Director":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    @property
    def done(self) -> bool:
        """Whether everything has happened that was to happen."""
        return not any(thread.is_alive() for thread in self._threads)

    def _guarded(self, part: Callable[[], None]) -> None:
        try:
            part()
        except HedgerowError as error:
            self.failure = error

    def _until(self, condition: Callable[[], bool], seconds: float = math.inf) -> bool:
        """Wait for it; False when the demo has ended first, or so many seconds have passed."""
        deadline = time.monotonic() + seconds
        while not condition():
            if self._ended.wait(0.02) or time.monotonic() > deadline:
                return False
        return True

    def _power(self) -> None:
        # One that sleeps writes too little for a cut to come soon, and one that is revoked learns nothing.
        others = (self._options.leaf, self._options.barred, self._options.revoked)
        chosen = self._rng.choice([at for at in range(len(self._ledgers)) if at not in others])
        model = self._rng.choice(PROGRAM_MODELS)
        after = self._rng.randrange(20, 300)
        ledger = self._ledgers[chosen]
        board = ledger.board
        # Later there may be too little left to record for a cut to come.
        most = self._options.cuts_after(chosen)
        if not self._until(lambda: ledger.met_time or len(ledger.acknowledged) >= most):
            return
        self.cut_board = chosen
        if self._options.cuts:
            self._many(chosen)
            return
        board.cut_power(after_bytes=after, model=model, partition=LOG)
        deadline = time.monotonic() + _CUT_SECONDS
        if not self._until(lambda: board.power_cuts > 0 or time.monotonic() > deadline):
            return
        board.wait_power_cut(0)
        self.cuts["program"] += 1
        self.notes[chosen] = "no power"
        self._say(f"{board.name} lost power inside a flash write ({model})")
        self._ended.wait(POWER_OFF_SECONDS)
        board.power_on()
        self.notes[chosen] = "power is back"
        self._say(f"{board.name} has power again, and believes that it is 2000-01-01")

    def _many(self, chosen: int) -> None:
        def show(words: str) -> None:
            self.notes[chosen] = words

        ledger = self._ledgers[chosen]
        self._say(f"{ledger.board.name} is about to lose power {self._options.cuts} times")
        cuts = Cuts(ledger, self._options.cuts, self._rng, self._until, show)
        self.cuts = cuts.happened
        cuts.run()
        self.notes[chosen] = f"{self.cuts.total()} cuts"
        self._say(
            f"{ledger.board.name} lost power inside {self.cuts['program']} programs and "
            f"{self.cuts['erase']} erases of its log"
        )

    def _node(self) -> None:
        assert self._nodes is not None
        wanted = self._options.readings_of_all * _NODE_AT

        def time_has_come() -> bool:
            return self._proxy.connected and sum(len(each.acknowledged) for each in self._ledgers) >= wanted

        if not self._until(time_has_come):
            return
        at = self._nodes.kill()
        self._say(f"node {at + 1} of the Big Peer, which the gateway was at, is killed")
        self._ended.wait(NODE_AWAY_SECONDS)
        self._nodes.restart(at)
        self._say(f"node {at + 1} is started again")

    def _uplink(self) -> None:
        wanted = self._options.readings_of_all * _OUTAGE_AT

        def time_has_come() -> bool:
            return self._proxy.connected and sum(len(each.acknowledged) for each in self._ledgers) >= wanted

        if not self._until(time_has_come):
            return
        self._proxy.cut()
        self._say(f"the uplink is down for {OUTAGE_SECONDS:g} s")
        if self._intruders is not None:
            # Before the true ones are there.
            self._intruders.edit(lambda condition: self._until(condition, _EDIT_SECONDS))
        self._ended.wait(OUTAGE_SECONDS)
        self._proxy.restore()
        self._say("the uplink is back")
