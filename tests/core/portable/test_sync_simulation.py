"""Four peers in a row on bad links, in virtual time: what the whole system promises, checked at every step.

board B - board A - gateway - keeper: B and A hear each other, A and the gateway do, the gateway has an
uplink that stays open. Links break at random bytes, peers lose power and open their logs again, clocks
drift. In the end every operation is at the keeper once, with receipts and time back at B.
"""

from kit import Random
from sync_kit import UTC, check, durable, operations

from hedgerow.clock.timemap import TimeMap
from hedgerow.codec.decimal import Decimal
from hedgerow.codec.schema import STREAM
from hedgerow.log import MemoryLog, MemoryStore
from hedgerow.operation import CLOCK, SOURCE_KEEPER, decode_body
from hedgerow.peer import Peer
from hedgerow.sync import hello
from hedgerow.sync.exchange import Exchange

HEAP = "2m"
READINGS = 40
STEP_MS = 20


class Visits:
    """Whom a node connects to: who was looked at lately, and has news since their last session; after it
    there is a pause, after failures a longer one."""

    def __init__(self) -> None:
        self._seen: dict = {}
        self._not_before: dict = {}
        self._failures: dict = {}
        self._ended: dict = {}

    def look(self, other: "Node", now: int) -> None:
        self._seen[other.name] = (other, now)

    def synced(self, name: str, summary: list | None, now: int) -> None:
        self._ended[name] = summary
        self._failures[name] = 0
        self._not_before[name] = now + 500
        del self._seen[name]

    def failed(self, name: str, now: int) -> None:
        failures = self._failures[name] = min(self._failures.get(name, 0) + 1, 5)
        self._not_before[name] = now + (500 << failures)

    def wants(self, node: "Node", name: str, now: int) -> bool:
        other, seen_at = self._seen.get(name, (None, 0))
        if other is None or now - seen_at > 10000 or now < self._not_before.get(name, 0):
            return False
        mine, peer = node.peer, other.peer
        summary = peer.summary()
        if peer.distance(other.uptime()) > mine.distance(now) and summary[0]:
            if summary != self._ended.get(name):
                return True
        if peer.wants_time(other.uptime()) and mine.utc(now) and not mine.wants_time(now):
            return True
        return any(mine.receipted(author) > peer.receipted(author) for author in peer.authors())


class Node:
    """A peer on a store that outlives it, with an uptime of its own that drifts by `ppm`."""

    def __init__(self, world: "World", name: str, role: int, ppm: int):
        self.world = world
        self.name = name
        self.role = role
        self.ppm = ppm
        self.store = MemoryStore(name.encode() + b"-author")
        self.written: list = []
        self.boot()

    def boot(self) -> None:
        self.booted = self.world.now
        is_keeper = self.role == hello.KEEPER
        self.peer = Peer(
            MemoryLog(self.store),
            0,
            name=self.name,
            role=self.role,
            kinds={"readings": STREAM},
            keeper=is_keeper,
            credit=2048 if self.role == hello.RELAY else 8192,
        )
        self.visits = Visits()
        if is_keeper:
            self.peer.set_time(UTC + self.world.now, 5, SOURCE_KEEPER, self.uptime())

    def uptime(self) -> int:
        passed = self.world.now - self.booted
        return passed + passed * self.ppm // 1000000

    def write(self) -> None:
        document = {"n": len(self.written) + 1, "t": Decimal(394 + len(self.written) % 9, -1)}
        number = self.peer.insert("readings", document, self.uptime())
        self.written.append((number, self.world.now))

    def check_time(self) -> None:
        known = self.peer.utc(self.uptime())
        assert known is None or abs(known[0] - UTC - self.world.now) <= known[1], (self.name, known)


class Link:
    """One exchange under way; it breaks after a random number of bytes, or never."""

    def __init__(self, world: "World", central: Node, other: Node, *, uplink: bool):
        linger = None if uplink else 0
        self.world = world
        self.nodes = (central, other)
        self.ends = (
            Exchange(central.peer, central.uptime(), central=True, linger_ms=linger),
            Exchange(other.peer, other.uptime(), linger_ms=linger),
        )
        random = world.random
        self.left = random.between(1, 3000) if random.chance(world.trouble) else 1 << 30
        self.on_the_way: list = [b"", b""]

    def step(self) -> bool:
        """Carry what each side sent a step ago, take what they say now; False when the link is gone."""
        arriving = self.on_the_way
        self.on_the_way = [b"", b""]
        for at in (0, 1):
            data = arriving[at][: self.left]
            self.left -= len(arriving[at])
            for start in range(0, len(data), 100):
                self.ends[1 - at].receive(data[start : start + 100], self.nodes[1 - at].uptime())
        if self.left <= 0:
            return False
        for at in (0, 1):
            self.on_the_way[at] = self.ends[at].outgoing(600, self.nodes[at].uptime())
        done = self.ends[0].finished and self.ends[1].finished
        return not (done and self.on_the_way == [b"", b""])

    def report(self, well: bool) -> None:
        central, other = self.nodes
        end = self.ends[0]
        assert end.error is None and self.ends[1].error is None, (end.error, self.ends[1].error)
        if well:
            central.visits.synced(other.name, end.summary, central.uptime())
        else:
            central.visits.failed(other.name, central.uptime())


class World:
    def __init__(self, seed: int, trouble: int):
        self.random = Random(seed)
        self.trouble = trouble
        self.now = 1000000
        self.keeper = Node(self, "K", hello.KEEPER, 0)
        self.gateway = Node(self, "G", hello.GATEWAY, 40)
        self.near = Node(self, "A", hello.RELAY, -90)
        self.far = Node(self, "B", hello.RELAY, 95)
        self.nodes = [self.keeper, self.gateway, self.near, self.far]
        self.hears = [
            (self.gateway, self.near),
            (self.near, self.far),
            (self.near, self.gateway),
            (self.far, self.near),
        ]
        self.links: list = []
        self.uplink: Link | None = None
        self.cuts = 0
        self.breaks = 0

    def step(self) -> None:
        self.now += STEP_MS
        random = self.random
        for node in (self.near, self.far):
            if len(node.written) < READINGS and random.chance(12):
                node.write()
        for listener, speaker in self.hears:
            if random.chance(20):
                listener.peer.note_distance(speaker.peer.distance(speaker.uptime()), listener.uptime())
                listener.visits.look(speaker, listener.uptime())
        if self.trouble and random.chance(1) and random.chance(60):
            self.cut_power(random.choice(self.nodes))
        self.connect()
        self.carry()
        for node in self.nodes:
            node.check_time()

    def connect(self) -> None:
        if self.uplink is None and self.random.chance(10):
            self.uplink = Link(self, self.gateway, self.keeper, uplink=True)
            self.links.append(self.uplink)
        for listener, speaker in self.hears:
            busy = [link for link in self.links if listener in link.nodes and speaker in link.nodes]
            if not busy and listener.visits.wants(listener, speaker.name, listener.uptime()):
                self.links.append(Link(self, listener, speaker, uplink=False))

    def carry(self) -> None:
        for link in list(self.links):
            if not link.step():
                self.drop(link, link.left > 0)

    def drop(self, link: Link, well: bool) -> None:
        self.links.remove(link)
        self.breaks += 0 if well else 1
        if link is self.uplink:
            self.uplink = None
            return
        link.report(well)

    def cut_power(self, node: Node) -> None:
        self.cuts += 1
        for link in list(self.links):
            if node in link.nodes:
                self.drop(link, False)
        node.boot()

    def settled(self) -> bool:
        for node in (self.near, self.far):
            log = node.peer.log
            if len(node.written) < READINGS or durable(self.keeper.peer).held(node.peer.author) < log.held(
                node.peer.author
            ):
                return False
            if node.peer.receipted(node.peer.author) < log.held(node.peer.author):
                return False
        return self.far.peer.utc(self.far.uptime()) is not None

    def check_end(self) -> None:
        peers = [node.peer for node in self.nodes]
        check(peers)
        for node in (self.near, self.far):
            author = node.peer.author
            at_keeper = operations(durable(self.keeper.peer), author)
            assert at_keeper == operations(durable(node.peer), author)
            self.check_times(node, at_keeper)

    def check_times(self, node: Node, at_keeper: list) -> None:
        """Every reading that the keeper has resolves to the moment of its writing, within its bound."""
        times = TimeMap()
        stamps: dict = {}
        for number, body in at_keeper:
            stamp, changes = decode_body(body)
            stamps[number] = stamp
            for change in changes:
                if change[0] == CLOCK:
                    times.add(number, *change[1:])
        for number, moment in node.written:
            resolved = times.resolve(number, stamps[number])
            assert resolved and abs(resolved[0] - UTC - moment) <= resolved[1], (
                node.name,
                number,
                resolved,
                moment,
            )


def _simulate(seed: int, trouble: int) -> World:
    world = World(seed, trouble)
    for turn in range(6000):
        world.step()
        if turn % 50 == 0:
            check([node.peer for node in world.nodes])
        if turn == 3000:
            world.trouble = 0
        if world.settled():
            world.check_end()
            return world
    raise AssertionError("seed %d: not settled: %r" % (seed, [node.peer.status(0) for node in world.nodes]))


def test_on_good_links() -> None:
    world = _simulate(1, 0)
    assert world.breaks == world.cuts == 0


def test_on_bad_links_with_power_cuts() -> None:
    breaks = cuts = 0
    for seed in (2, 3, 4):
        world = _simulate(seed, 60)
        breaks += world.breaks
        cuts += world.cuts
    assert breaks > 20 and cuts > 5, (breaks, cuts)
