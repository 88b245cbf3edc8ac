"""A small air in virtual time: who is in reach hears an advertising event, or not, by a seeded chance.

No collisions, no channels: the radio model proper is that of the boards' emulator. Runs on both VMs.
"""

from kit import Random
from sync_kit import KINDS, check_copies, check_receipts, durable

from hedgerow import limits
from hedgerow.codec.decimal import Decimal
from hedgerow.log import MemoryLog, MemoryStore
from hedgerow.mesh.mesh import Mesh
from hedgerow.mesh.tag import mesh_key
from hedgerow.peer import Peer
from hedgerow.sync import hello

KEY = mesh_key("test")
EVENT_MS = 105
#: What a keeper of pair() believes the time to be, ms since 2000.
NOW = 900000000000


class Member:
    """A peer with its mesh engine, on a store that outlives it."""

    def __init__(
        self, air: "Air", name: str, role: int, keeper: bool, author: bytes = b"", **options: object
    ):
        self.air = air
        self.name = name
        self.role = role
        self.keeper = keeper
        self.options = options
        self.number = len(air.members)
        self.store = MemoryStore(author or Random(air.seed * 1000 + self.number).bytes(8))
        self.address = bytes((0xC0, 0, 0, 0, self.number >> 8, self.number & 0xFF))
        self.acked = 0
        self.boots = 0
        self.off_until = 0
        self.wake_at: int | None = None
        self.boot(0)

    def boot(self, now: int) -> None:
        """Start with what is durable, and nothing else."""
        self.boots += 1
        self.started = now
        random = Random(self.air.seed * 1000 + self.number * 17 + self.boots * 7919)
        self.peer = self.new_peer()
        self.mesh = Mesh(self.peer, 0, random=random.below, role=self.role, key=KEY, **self.options)
        self.token = 0
        self.busy_until = now

    def new_peer(self) -> Peer:
        """Open the peer on what is durable."""
        return Peer(
            MemoryLog(self.store), 0, name=self.name, kinds=KINDS, role=self.role, keeper=self.keeper,
            mesh=b"\x11\x22\x33",
        )  # fmt: skip

    @property
    def author(self) -> bytes:
        return self.peer.author

    def now(self, at: int) -> int:
        """Return the peer's time at a moment of the air."""
        return at - self.started


class Air:
    """Members, who hears whom, and a queue of what happens when; `loss` is a percentage, `duty` how much
    all who listen do so, 0 for what they say themselves."""

    def __init__(self, seed: int, loss: int = 20, duty: int = 0):
        self.seed = seed
        self.loss = loss
        self.duty = duty
        self.random = Random(seed)
        self.members: list = []
        self.links: dict = {}
        self.now = 0
        self.frames = 0
        self.events = 0
        self._queue: list = []
        self._serial = 0
        self.on_sent: object = None

    def add(
        self, name: str, role: int = hello.RELAY, keeper: bool = False, author: bytes = b"", **options: object
    ) -> Member:
        member = Member(self, name, role, keeper, author, **options)
        self.members.append(member)
        self.links[member] = []
        self._wake(member, self.now)
        return member

    def link(self, one: Member, other: Member) -> None:
        """Let two hear each other."""
        self.links[one].append(other)
        self.links[other].append(one)

    def unlink(self, one: Member, other: Member) -> None:
        self.links[one].remove(other)
        self.links[other].remove(one)

    def line(self, members: list) -> None:
        for at in range(len(members) - 1):
            self.link(members[at], members[at + 1])

    def all(self, members: list) -> None:
        for at in range(len(members)):
            for other in members[at + 1 :]:
                self.link(members[at], other)

    # ---- what happens

    def at(self, moment: int, what: object, *args: object) -> None:
        """Have `what(*args)` called at a moment."""
        self._serial += 1
        entry = (moment, self._serial, what, args)
        low, high = 0, len(self._queue)
        while low < high:
            middle = (low + high) // 2
            if self._queue[middle][:2] > entry[:2]:
                low = middle + 1
            else:
                high = middle
        self._queue.insert(low, entry)

    def _wake(self, member: Member, moment: int) -> None:
        if member.wake_at is not None and member.wake_at <= moment:
            return
        member.wake_at = moment
        self.at(moment, self._turn, member, moment)

    def _turn(self, member: Member, moment: int) -> None:
        if member.wake_at != moment:
            return
        member.wake_at = None
        if self.now < member.off_until:
            return
        if self.now < member.busy_until:
            self._wake(member, member.busy_until)
            return
        said = member.mesh.say(member.now(self.now))
        if said is not None:
            payload, connectable, events = said
            assert len(payload) <= 31
            self.frames += 1
            self.events += events
            if self.on_sent:
                self.on_sent(member, payload)
            member.busy_until = self.now + events * EVENT_MS
            for index in range(events):
                delay = index * EVENT_MS + 1 + self.random.below(10)
                self.at(self.now + delay, self._on_air, member, member.boots, payload, connectable)
        due = member.mesh.due(member.now(self.now)) + member.started
        self._wake(member, max(due, self.now + 1, member.busy_until))

    def _on_air(self, member: Member, boots: int, payload: bytes, connectable: bool) -> None:
        if boots != member.boots or self.now < member.off_until:
            return
        for other in self.links[member]:
            if self.now < other.off_until or not self.random.chance(100 - self.loss):
                continue
            duty = other.mesh.duty(other.now(self.now))
            if not self.random.chance(self.duty if duty and self.duty else duty):
                continue
            other.mesh.heard(member.address, -60, payload, other.now(self.now), connectable)
            self.look(other)

    def look(self, member: Member) -> None:
        """Wake a member when it has something to do."""
        due = member.mesh.due(member.now(self.now)) + member.started
        self._wake(member, max(due, self.now, member.busy_until))

    def run(self, until: int) -> None:
        while self._queue and self._queue[-1][0] <= until:
            moment, _, what, args = self._queue.pop()
            self.now = max(self.now, moment)
            what(*args)
        self.now = until

    def reading(self, member: Member) -> None:
        """Record a reading of two values; it is acknowledged when this returns."""
        if self.now < member.off_until:
            return
        values = {
            "t": Decimal(200 + self.random.below(100), -1),
            "h": Decimal(400 + self.random.below(300), -1),
        }
        member.peer.insert("readings", values, member.now(self.now))
        member.acked += 1
        self.look(member)

    def readings(self, members: list, every: int, until: int) -> None:
        """Have each of them record now and then, from now until a moment."""
        for member in members:
            at = self.now + self.random.below(every)
            while at < until:
                self.at(at, self.reading, member)
                at += every - every // 20 + self.random.below(every // 10 + 1)

    def reboot(self, member: Member, off_ms: int = 500) -> None:
        """Take the power from a member: what is not durable is gone."""
        member.off_until = self.now + off_ms
        member.wake_at = None
        self.at(member.off_until, self._restart, member)

    def _restart(self, member: Member) -> None:
        member.boot(self.now)
        self._wake(member, self.now)

    # ---- what must hold

    def lacking(self, members: list, authors: list) -> list:
        """Return [(member, author, held, of)] of what has not arrived."""
        found = []
        for member in members:
            for source in authors:
                of = source.peer.log.held(source.author)
                held = max(member.peer.log.held(source.author), member.peer.receipted(source.author))
                if held < of:
                    found.append((member.name, source.name, held, of))
        return found

    def settle(self, members: list, authors: list, limit: int) -> int:
        """Run until nothing is lacking; return how many ms that took, or fail at the limit."""
        start = self.now
        while self.lacking(members, authors):
            assert self.now - start < limit, self.lacking(members, authors)[:8]
            self.run(self.now + 1000)
        return self.now - start


class gradient:
    """While entered, nobody floods, however few authors there are."""

    def __enter__(self) -> None:
        self.before = limits.FLOOD_AUTHORS, limits.FLOOD_AGAIN_AUTHORS
        limits.FLOOD_AUTHORS = limits.FLOOD_AGAIN_AUTHORS = -1

    def __exit__(self, *details: object) -> None:
        limits.FLOOD_AUTHORS, limits.FLOOD_AGAIN_AUTHORS = self.before


def check_air(air: Air) -> None:
    """Copies are true prefixes, receipts are true, acknowledged operations are durable at their author."""
    peers = [member.peer for member in air.members]
    check_copies(peers)
    check_receipts(peers)
    for member in air.members:
        assert durable(member.peer).held(member.author) >= member.acked


def pair(seed: int, keeper: bool = True, loss: int = 0) -> tuple:
    """Return (air, one that has the time, a board in its reach); the one may be a keeper."""
    air = Air(seed, loss=loss, duty=100)
    first = air.add("keeper", hello.GATEWAY, True) if keeper else air.add("one")
    first.peer.set_time(NOW, 5, 4, 0)
    other = air.add("other", seal_ms=1000)
    air.link(first, other)
    return air, first, other


def away(seed: int) -> tuple:
    """Return (air, a keeper that knows a board by name, that board, which has recorded out of its reach)."""
    air = Air(seed, loss=0, duty=100)
    keeper = air.add("keeper", hello.GATEWAY, True, author=b"keeper-1")
    one = air.add("one", author=b"one-auth")
    air.link(keeper, one)
    air.run(20000)
    air.unlink(keeper, one)
    air.reading(one)
    return air, keeper, one
