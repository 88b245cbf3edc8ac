"""The peers of a fleet, and the links between them."""

from sync_kit import UTC, Pipe

from hedgerow.application import ReadyPeer
from hedgerow.clock import hlc
from hedgerow.codec import cbor
from hedgerow.codec.schema import SCOPE_BIG_PEER, SCOPE_LOCAL, STREAM
from hedgerow.limits import const
from hedgerow.log import MemoryLog, MemoryStore
from hedgerow.operation import SOURCE_KEEPER
from hedgerow.sync import hello

KINDS = {"readings": STREAM, "audit": SCOPE_BIG_PEER << 1, "notes": SCOPE_LOCAL << 1}
SHARED = ("cars", "jobs", "readings")
YEAR_MS = const(31557600000)


class Member:
    """A peer of the fleet: its store outlives it, its clock starts with each boot."""

    def __init__(self, fleet: object, at: int, role: int):
        random = fleet.random
        self.fleet = fleet
        self.role = role
        self.name = "LRGK"[role] + str(at)
        self.keeper = role == hello.KEEPER
        self.store = MemoryStore(b"author%02d" % at)
        self.image: tuple | None = None
        self.options: dict = {"name": self.name, "role": role, "kinds": KINDS, "keeper": self.keeper}
        self.options["distance"] = random.choice([255, 255, 1, 3])
        if not self.keeper and random.chance(25):
            self.options["quota"] = 3 + random.below(12)
        # Most boards begin in 2000, as their clocks do; some are decades ahead.
        self.jump = 0 if self.keeper else random.choice([0, 0, 0, 0, 7, 28, 43]) * YEAR_MS
        # What it wrote and has to have: numbers of its own that nobody has taken away on purpose.
        self.own: dict = {}
        self.marks: dict = {}
        self.receipted: dict = {}
        self.retired = False
        self.former: list = []
        self.boot()

    def boot(self) -> None:
        self.booted = self.fleet.now
        self.peer = ReadyPeer(MemoryLog(self.store), self.uptime, **self.options)
        if self.keeper:
            self.peer.set_time(UTC + self.fleet.now, 5, SOURCE_KEEPER, self.uptime())
        elif self.jump:
            self.peer.clock.jump(max(self.jump, self.peer.clock.base_ms))
            self.jump = 0

    def uptime(self) -> int:
        return self.fleet.now - self.booted

    def utc(self) -> int | None:
        known = self.peer.utc(self.uptime())
        return known and known[0]

    def wanted(self) -> list:
        """Return the collections that it wants whole; a keeper has all."""
        if self.keeper:
            return list(SHARED)
        return [interest.collection for interest in self.peer.down.subscriptions.own if not interest.where]

    def view(self, collection: str) -> dict:
        """Return {encoded id: encoded fields} as the peer itself shows them."""
        shown = {}
        for row in self.peer.execute("SELECT * FROM " + collection).rows:
            key = cbor.encode(row.pop("_id"))
            row.pop("_time", None)
            row.pop("_time_error_ms", None)
            shown[key] = cbor.encode(row)
        return shown

    def ahead(self) -> bool:
        """Say whether its own writes wait for their time, at itself too."""
        utc = self.utc()
        return utc is not None and hlc.stamp_ms(self.peer.clock.last) > utc + 200000


class Crossing(Pipe):
    """A pipe between two members, each with its own uptime.

    In `trouble` percent of its steps a record comes twice or too early; `between` is called before each.
    """

    random: object = None
    between: object = None
    trouble = 0

    def __init__(self, fleet: object, one: Member, two: Member, first: object, second: object, options: dict):
        self.fleet = fleet
        self.members = (one, two)
        Pipe.__init__(self, first, second, fleet.now, **options)

    def step(self) -> bool:
        if self.between:
            self.between()
        moved = False
        for at in (0, 1):
            data = self.ends[at].outgoing(1200, self.members[at].uptime())
            if data and not self.broken:
                moved = True
                self.records[at].append(data)
                self._carry(at, data)
        return moved

    def _deliver(self, at: int, data: bytes) -> None:
        self.fleet.now += self.delay
        left = self.cut[at] - self.sent[at] if at in self.cut else len(data)
        self.broken = self.broken or left < len(data)
        data = data[: max(0, left)]
        self.sent[at] += len(data)
        for start in range(0, len(data), self.chunk):
            self.ends[1 - at].receive(data[start : start + self.chunk], self.members[1 - at].uptime())

    def _carry(self, at: int, data: bytes) -> None:
        if self.trouble and self.random.chance(self.trouble):
            other = (
                data if self.random.chance(50) else self.ends[at].outgoing(1200, self.members[at].uptime())
            )
            if other:
                self._deliver(at, other)
        self._deliver(at, data)

    def run(self, limit: int = 3000) -> "Crossing":
        for _ in range(limit):
            if self.broken or (self.ends[0].finished and self.ends[1].finished):
                return self
            if not self.step():
                waits = []
                for at in (0, 1):
                    if not self.ends[at].finished:
                        uptime = self.members[at].uptime()
                        waits.append(max(1, self.ends[at].next_wakeup(uptime) - uptime))
                self.fleet.now += min(waits)
        raise AssertionError("the exchange does not end")
