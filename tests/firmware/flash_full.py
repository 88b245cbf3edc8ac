"""Boards whose log on flash fills up: a peer as on a board, power cuts anywhere, and a keeper in the end."""

import random
import sys
import time
from pathlib import Path

_CORE = Path(__file__).parents[1] / "core"
sys.path[:0] = [str(_CORE), str(_CORE / "portable")]
# The module of a board's uptime wants the clock of MicroPython when it is loaded.
_LENT = {"ticks_ms": lambda: 0, "ticks_diff": lambda later, now: later - now}
for _name in _LENT:
    setattr(time, _name, _LENT[_name])

from flash_cuts import seeded  # noqa: E402
from flash_rows import CutNor, PowerCut  # noqa: E402
from full_kit import UTC, check_all_named, documents, keeper  # noqa: E402
from full_kit import Rig as MemoryRig  # noqa: E402
from sync_kit import converse, sync  # noqa: E402

from hedgerow.codec.schema import KEEP, STREAM  # noqa: E402
from hedgerow.errors import HedgerowError  # noqa: E402
from hedgerow.operation import SOURCE_KEEPER  # noqa: E402
from hedgerow.sync.hello import RELAY  # noqa: E402
from hedgerow_device import device_peer  # noqa: E402
from hedgerow_device.flashlog import FlashLog  # noqa: E402

for _name in _LENT:
    delattr(time, _name)

KINDS = {"readings": STREAM, "alarms": STREAM, "plants": KEEP}
#: Operations of one other author that the board takes.
QUOTA = 2048
_SPARE = 7
POLICIES = (
    {},
    {"readings": "oldest"},
    {"readings": "thin"},
    {"readings": "thin", "alarms": "oldest"},
    {"readings": "oldest", "alarms": "thin", "plants": "oldest"},
    {"alarms": "thin"},
)


class Board(device_peer.DevicePeer):
    """The peer of a board that has time and a heap that is never short."""

    look_limit = 1 << 20


device_peer.is_tight = lambda: False


class Rig(MemoryRig):
    """A board on a ring of `count` sectors of `size` bytes.

    `written` are the readings that were acknowledged; `cuts` how often the power went; `plants` the newest
    acknowledged (height) by id, None for what may be either.
    """

    def __init__(self, seed: int, full: dict | None, count: int, size: int = 4096):
        self.rng = random.Random(f"full/{seed}")
        self.nor = CutNor(count, size, self.rng)
        self.cuts = 0
        self.plants: dict = {}
        self.author = b""
        #: Milliseconds before this boot.
        self.before = 0
        super().__init__(full)
        self.author = self.peer.author

    def open(self) -> None:
        """Boot, however often the power goes while booting."""
        while True:
            self.before += self.now
            self.now = 1000
            try:
                log = FlashLog(self.nor)
                self.peer = Board(
                    log, lambda: self.now, name="board", kinds=KINDS, role=RELAY, full=self.full, quota=QUOTA
                )
                break
            except PowerCut:
                self.cuts += 1
        log.spare = _SPARE
        log.keeps = self.peer.keeps
        assert not self.author or self.peer.author == self.author, "another author"
        assert not log.damaged

    def do(self, method: object, *args: object, **options: object) -> object:
        """Call a method; boot again if the power went meanwhile."""
        try:
            return method(*args, **options)  # type: ignore[operator]
        except PowerCut:
            self.cuts += 1
            self.open()
            return None

    def plant(self, which: int, height: int) -> None:
        """Set the height of a plant, a document that is kept."""
        self.now += 1000
        try:
            self.plants[which] = None
            self.peer.execute(
                "INSERT INTO plants DOCUMENTS (:p) ON ID CONFLICT DO UPDATE",
                p={"_id": which, "height": height},
            )
            self.plants[which] = height
        except HedgerowError as error:
            assert error.code == "LOG_FULL", error
            self.refused += 1

    def idle(self, steps: int) -> None:
        """Let the log work ahead."""
        for _ in range(steps):
            if not self.peer.log.prepare():
                return


class Life:
    """A seeded life: ring-fulls of readings, a neighbour's too, power cuts, sessions that break off."""

    def __init__(self, seed: int, count: int, size: int, full: dict, cuts: bool = True, quiet: bool = False):
        self.rng = rng = random.Random(seed)
        self.rig = Rig(seed, full, count, size)
        self.cuts = cuts
        #: Nobody but the board itself writes: what is thinned can be counted.
        self.quiet = quiet
        self.neighbour = MemoryRig(None, capacity=0)
        self.top = keeper()
        self.top.kinds.update(KINDS)
        self.top.now = lambda: self.rig.now
        #: Numbers whose readings the board has thinned, as it says itself.
        self.thinned: set = set()
        # One in so many turns meets somebody.
        self.lonely = rng.choice((3, 8, 1000))

    def turn(self, amount: int) -> None:
        """Do one thing of about `amount` writes."""
        rng, rig = self.rng, self.rig
        rig.nor.left = rng.randrange(1, 2 * amount) if self.cuts and rng.randrange(4) else 0
        kind = rng.randrange(10)
        now = rig.now
        if kind < 5:
            rig.do(rig.record, rng.randrange(1, amount), rng.choice(("readings", "readings", "alarms")))
        elif kind == 5 and not self.quiet:
            for _ in range(rng.randrange(1, amount // 4 + 2)):
                rig.do(rig.plant, rng.randrange(12), rng.randrange(1000))
        elif kind == 6:
            rig.do(rig.peer.seal, now)
        elif kind == 7:
            rig.do(rig.idle, rng.randrange(30))
        elif kind == 8 and not self.quiet:
            self.neighbour.record(rng.randrange(1, amount))
            # Its clock does not start anew with the board's.
            self.neighbour.peer._time = None
            self._meet(self.neighbour.peer)
        elif rng.randrange(self.lonely) == 0:
            self._meet(self.top)
        rig.nor.left = 0
        if rng.randrange(12) == 0:
            rig.open()

    def _set_time(self) -> None:
        """Give the keeper the time, by the clock of the board's boot."""
        rig = self.rig
        self.top._time = (UTC + rig.before + rig.now, 5, rig.now, SOURCE_KEEPER)

    def _note_thinned(self) -> None:
        for row in self.rig.peer.losses(self.rig.peer.author):
            if row["reason"] == "thinned":
                self.thinned.update(range(row["first"], row["last"] + 1))

    def _meet(self, other: object) -> None:
        rng = self.rng
        self._note_thinned()
        self._set_time()
        cut = {rng.randrange(2): rng.randrange(12000)} if rng.randrange(2) else {}
        rig = self.rig
        pipe = rig.do(converse, rig.peer, other, rig.now, cut=cut)
        if pipe is not None:
            rig.now = pipe.now
            # A log that is full takes no more of others: that is said and no fault.
            for end in pipe.ends:
                assert end.error is None or "FULL" in str(end.error), end.error

    def end(self) -> dict:
        """Meet the keeper, check that all arrived or is named, and that the log records again."""
        rig, top = self.rig, self.top
        rig.nor.left = 0
        self._note_thinned()
        self._set_time()
        for _ in range(3):
            self._sync(rig.peer)
        author = rig.peer.author
        assert top.receipted(author) == rig.peer.log.held(author), "something is stuck"
        assert rig.peer.receipted(author) == rig.peer.log.held(author), "a receipt did not come"
        self._set_time()
        gone = check_all_named(rig, top, ("dropped", "thinned"))
        self._check_plants()
        self._check_counts(gone)
        self._check_neighbour()
        self._records_again()
        return gone

    def _sync(self, peer: object) -> None:
        self._set_time()
        self.rig.now = sync(peer, self.top, self.rig.now).now

    def _check_plants(self) -> None:
        shown = {row["_id"]: row["height"] for row in self.top.execute("SELECT * FROM plants").rows}
        here = {row["_id"]: row["height"] for row in self.rig.peer.execute("SELECT * FROM plants").rows}
        if "plants" in self.rig.peer.full:
            return
        for which, height in self.rig.plants.items():
            if height is not None:
                assert (shown.get(which), here.get(which)) == (height, height), which

    def _check_counts(self, gone: dict) -> None:
        held = documents(self.top, self.rig.peer.author)
        # A summary that had arrived before it went into another one counts no more.
        rows = [row for number in held if number not in self.thinned for row in held[number]]
        count = sum([row.get("_count", 0) for row in rows])
        thinned = gone.get("thinned", 0)
        assert thinned <= count, "readings that no summary has"
        # What was under way when the power went may be there too; what arrived before stands in both.
        written = len([1 for number in self.rig.written if number in self.thinned])
        assert written <= count <= written + self.rig.cuts, (written, count, self.rig.cuts)

    def _check_neighbour(self) -> None:
        top, other = self.top, self.neighbour.peer
        for number in range(1, top.log.held(other.author) + 1):
            body = top.log.fetch(other.author, number)
            assert body == other.log.fetch(other.author, number), number
        other._time = None
        self._sync(other)
        assert top.receipted(other.author) == other.log.held(other.author), "the neighbour is stuck"
        self._sync(self.rig.peer)

    def _records_again(self) -> None:
        rig = self.rig
        log = rig.peer.log
        rig.refused = 0
        assert log.storage()["open"] <= log.storage()["capacity"] // 20, log.storage()
        rig.open()
        rig.idle(10000)
        log = rig.peer.log
        # A fifth of the room at once, and more as long as receipts come.
        for _ in range(6):
            rig.record(log.storage()["capacity"] // 6 // 48)
            self._sync(rig.peer)
        assert not rig.refused, "the log does not record again"
        check_all_named(rig, self.top, ("dropped", "thinned"))


def live(seed: int, count: int, size: int = 4096, laps: float = 3, cuts: bool = True) -> tuple:
    """Live until so many ring-fulls were programmed, and die well; return the life and what went."""
    rng = random.Random(f"life/{seed}")
    with seeded(seed):
        quiet = rng.randrange(3) == 0
        life = Life(seed, count, size, rng.choice(POLICIES), cuts, quiet)
        amount = count * size // 200
        turns = 0
        while life.rig.nor.programmed < laps * count * size and turns < 40 * laps:
            life.turn(amount)
            turns += 1
        return life, life.end()


__all__ = ["Life", "Rig", "check_all_named", "keeper", "live", "sync"]
