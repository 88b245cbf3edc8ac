"""What must hold whatever happens, checked where it can break.

No acknowledged operation is lost; nothing is held that nobody wrote; seen vectors never fall, clock vectors
only by a stated drop; a receipt is true the moment it is taken; no station has more connections than it may;
a day's charge keeps to its budget; a place for what is pushed becomes free again; nobody talks on when
there is nothing new; and at the end all have converged.
"""

from collections import Counter, deque
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from hedgerow.sync.exchange import Exchange
from hedgerow.sync.hello import KEEPER
from hedgerow_sim import limits
from hedgerow_sim.documents import Documents
from hedgerow_sim.missing import missing, names_of

if TYPE_CHECKING:
    from hedgerow_sim.session import Session
    from hedgerow_sim.station import Station
    from hedgerow_sim.uplink import Uplink
    from hedgerow_sim.world import World

DAY_S = 86_400
HOUR_US = 3_600_000_000


class Broken(AssertionError):
    """An invariant does not hold. `rule` is a word for it."""

    def __init__(self, rule: str, text: str):
        super().__init__(f"{rule}: {text}")
        self.rule = rule


def _mark(body: bytes) -> bytes:
    return blake2b(body, digest_size=6).digest()


def has(station: "Station", author: bytes, number: int) -> bool:
    """Say whether a station's log has an operation."""
    peer = station.peer
    return peer is not None and peer.log.fetch(author, number) is not None


def _carries(station: "Station", name: int) -> bool:
    custody = getattr(station.engine, "custody", None) if station.role < KEEPER else None
    return custody is not None and bool(custody.has(name))


class Audit:
    """Sees what stations write, hold, are told and connect; raises Broken.

    `made` maps (author, number) of readings to the moment (us) at which they were acknowledged, `came` to
    that at which the first keeper had them, `known` to that at which their author knew a receipt.
    """

    def __init__(self, world: "World"):
        self._world = world
        self._truth: dict[bytes, dict[int, bytes]] = {}
        self._writers: dict[bytes, Station] = {}
        self._acknowledged: dict[bytes, int] = {}
        self._held: dict[tuple[int, bytes], int] = {}
        self._seen: dict[tuple[int, bytes], int] = {}
        # Of whom a station held something when it was looked at last.
        self._here: dict[int, set[bytes]] = {}
        self._days: dict[int, tuple[int, float]] = {}
        self._connections: dict[int, int] = {}
        self.made: dict[tuple[bytes, int], int] = {}
        self.came: dict[tuple[bytes, int], int] = {}
        self.known: dict[tuple[bytes, int], int] = {}
        #: Who wrote no more from a moment on, as its flash was lost; and what nobody else had of it.
        self.ended: set[bytes] = set()
        self.gone: dict[tuple[bytes, int], int] = {}
        # What is on its way of those who are over, with the names of its frames.
        self._left_behind: dict[tuple[bytes, int], list[int]] = {}
        self._receipted: dict[bytes, int] = {}
        self.said_kinds: Counter[str] = Counter()
        self.documents = Documents()
        self._next = 0
        # When what was said was counted last; how much that was, and how many readings there were.
        self._counted = (0, 0, 0)
        self.checks = 0
        self.sessions = 0
        self.broken_sessions = 0
        self.events: deque[str] = deque(maxlen=limits.EVENTS_KEPT)

    def note(self, text: str) -> None:
        """Remember something for the report of a failure."""
        self.events.append(f"{self._world.now / 1e6:12.3f} s  {text}")

    # ---- operations

    def booted(self, station: "Station") -> None:
        """A station has opened its log: what it had acknowledged is there."""
        self.note(f"{station.name} boots")
        peer = station.peer
        self._writers[peer.author] = station
        self.check_station(station)

        def receipt(author: bytes, number: int) -> None:
            self.receipt(station, author, number)

        peer.on_receipt = receipt
        log = peer.log
        if hasattr(log, "watch"):
            log.watch = self._watcher(station)

    def _watcher(self, station: "Station") -> Any:
        def changed(author: bytes) -> None:
            self.moved(station, author)

        return changed

    def arrived(self, station: "Station", author: bytes, number: int, body: bytes) -> None:
        """An operation came into a station's log: it is what its author wrote."""
        self.checks += 1
        numbers = self._truth.setdefault(author, {})
        known = numbers.get(number)
        if known is None:
            peer = station.peer
            if author != station.storage.author() and not (peer and peer.is_own(author)):
                raise Broken("invented", f"{station.name} holds {author.hex()} {number}, which nobody wrote")
            numbers[number] = _mark(body)
        elif known != _mark(body):
            raise Broken("changed", f"{station.name} holds another {author.hex()} {number} than was written")
        self.documents.arrived(station, author, number, self._world.now)
        if station.role >= self._world.counts_from:
            key = author, number
            if key in self.made and key not in self.came:
                self.came[key] = self._world.now

    def highest(self, author: bytes) -> int:
        """The greatest number that an author is known to have written."""
        return max(self._truth.get(author, {0: b""}), default=0)

    def acknowledged(self, station: "Station", number: int) -> None:
        """A reading was acknowledged to the application."""
        author = station.peer.author
        self._acknowledged[author] = number
        self.made[author, number] = self._world.now

    def check_station(self, station: "Station") -> None:
        """What a station acknowledged it holds, and of nobody it holds less than before without a word."""
        peer = station.peer
        log = peer.log
        author = peer.author
        self.checks += 1
        self._check_own(station, author)
        here = set(log.authors())
        for other in here:
            self.moved(station, other)
        for other in self._here.get(station.node, here) - here:
            self._left(station, other)
        self._here[station.node] = here
        custody = getattr(station.engine, "custody", None) if station.role < KEEPER and station.on else None
        if custody is not None and not all(custody.has(name) for name in custody.flying()):
            raise Broken("custody", f"{station.name} has a place in its window that nothing frees")

    def _check_own(self, station: "Station", author: bytes) -> None:
        peer = station.peer
        log = peer.log
        number = self._acknowledged.get(author, 0)
        if log.held(author) < number:
            raise Broken("lost", f"{station.name} acknowledged {number} and holds {log.held(author)}")
        truth = self._truth.get(author, {})
        for open_number in range(peer.receipted(author) + 1, number + 1):
            body = log.fetch(author, open_number)
            if body is None:
                raise Broken("lost", f"{station.name} has lost its own {open_number}, which is not receipted")
            if truth.get(open_number) != _mark(body):
                raise Broken("changed", f"{station.name} has changed its own {open_number}")

    def _left(self, station: "Station", author: bytes) -> None:
        """Nothing of an author is held any more: it was cut, or a keeper has all of it."""
        held = self._held.get((station.node, author), 0)
        if (author, 0) in getattr(station.peer.log, "cuts", ()):
            return
        for keeper in self._world.keepers:
            log = keeper.peer.log if keeper.peer else None
            if log is None or log.held(author) >= held:
                return
        raise Broken("fallen", f"{station.name} let {author.hex()} go, of whom no keeper has {held}")

    def moved(self, station: "Station", author: bytes) -> None:
        """A clock vector's entry moved: down only by a stated drop. Nor does what was seen fall otherwise."""
        log = station.peer.log
        held, seen = log.held(author), log.seen(author)
        key = station.node, author
        dropped = (author, held) in getattr(log, "cuts", ())
        before = self._held.get(key, 0)
        if held < before and not dropped:
            raise Broken("fallen", f"{station.name} held {author.hex()} up to {before}, now {held}")
        before = self._seen.get(key, 0)
        if seen < held or (seen < before and not dropped):
            raise Broken("seen", f"{station.name} saw {author.hex()} up to {before}, now {seen}")
        self._held[key], self._seen[key] = held, seen

    def elsewhere(self, board: "Station") -> dict[tuple[bytes, int], list[int]]:
        """Return a board's readings that no keeper has yet, with the names of their frames."""
        author = board.peer.author
        waiting = [key for key in self.made if key[0] == author and key not in self.came]
        return {key: names_of(board, key[1]) for key in waiting}

    def lost_flash(
        self, board: "Station", author: bytes, elsewhere: dict[tuple[bytes, int], list[int]]
    ) -> None:
        """A board begins anew under another name; what others hold or carry of the former has to arrive."""
        self.note(f"{board.name} loses its flash")
        self.ended.add(author)
        self._acknowledged.pop(author, None)
        self._forget(board)
        last: dict[tuple[bytes, int], list[int]] = {
            key: [] for key in self.made if key[0] == author and key not in self.came
        }
        self._left_behind.update({**last, **elsewhere})
        # What it carried of others whose flash is lost too may be gone with it.
        for key, frames in list(self._left_behind.items()):
            if key in self.came or not self._is_somewhere(key, frames):
                del self._left_behind[key]
                if key not in self.came:
                    self.gone[key] = self.made.pop(key)

    def _is_somewhere(self, key: tuple[bytes, int], frames: list[int]) -> bool:
        """Whether others hold an operation, or carry all of its frames."""
        stations = [station for station in self._world.stations if station.peer]
        if any(has(station, *key) for station in stations):
            return True
        return bool(frames) and all(any(_carries(station, name) for station in stations) for name in frames)

    def restored(self, keeper: "Station") -> None:
        """A keeper goes on from a backup: what it and all others lack of what it had is gone, the rest comes
        again, and its authors have no receipt for it till then."""
        self.note(f"{keeper.name} is restored")
        self._forget(keeper)
        lost = [key for key in self.came if not any(has(other, *key) for other in self._world.keepers)]
        for key in lost:
            del self.came[key]
            self.known.pop(key, None)
            self._receipted[key[0]] = min(self._receipted.get(key[0], 0), key[1] - 1)
            if not any(has(other, *key) for other in self._world.stations):
                self.gone[key] = self.made.pop(key)
        self.booted(keeper)

    def _forget(self, station: "Station") -> None:
        """What a station held falls, and that is stated."""
        self._here.pop(station.node, None)
        for vector in (self._held, self._seen):
            for key in [key for key in vector if key[0] == station.node]:
                del vector[key]

    # ---- receipts

    def receipt(self, station: "Station", author: bytes, number: int) -> None:
        """A station learnt that a keeper holds an author up to a number: one does."""
        self.checks += 1
        for keeper in self._world.keepers:
            log = keeper.peer.log if keeper.peer else None
            if log is not None and min(log.held(author), log.sealed(author)) >= number:
                break
            if log is None and self._held.get((keeper.node, author), 0) >= number:
                break
        else:
            raise Broken("receipt", f"{station.name} was told {author.hex()} {number}, which no keeper holds")
        if station.peer.author == author:
            for below in range(self._receipted.get(author, 0) + 1, number + 1):
                if (author, below) in self.made:
                    self.known.setdefault((author, below), self._world.now)
            self._receipted[author] = max(number, self._receipted.get(author, 0))

    def said(self, station: "Station", payload: bytes) -> None:
        """A station is about to say something."""
        kind = self._world.kind(payload)
        self.said_kinds[kind] += 1

    def idled(self, station: "Station", turns: int) -> None:
        """So many turns in a row its engine had nothing to say, and wanted the next one at once."""
        if turns > limits.IDLE_TURNS:
            raise Broken("idle", f"{station.name} has something due for ever, and does not do it")

    # ---- sessions

    def connected(self, central: "Station", other: "Station") -> None:
        """A connection is up: nobody has more than a board can hold."""
        self.sessions += 1
        for station in (central, other):
            count = len({id(s) for s in station.sessions if s.up and not s.over})
            if station is central:
                count += not any(s.up and s.other is other for s in station.sessions)
            if count > limits.CONNECTIONS:
                raise Broken("connections", f"{station.name} has {count}")

    def exchanged(self, session: "Session", ends: tuple[Exchange, Exchange]) -> None:
        """A session is over: its protocol was not broken by either side."""
        for station, end in zip((session.central, session.other), ends, strict=True):
            if end.error is not None:
                self.broken_sessions += 1
                self.note(f"{station.name}: session ends with {end.error}")

    def uplinked(self, uplink: "Uplink") -> None:
        """Something went over an uplink."""
        for station, end in zip(uplink.stations, uplink.ends, strict=True):
            if end.error is not None:
                self.note(f"{station.name}: uplink ends with {end.error}")

    # ---- charge

    def check_charge(self) -> None:
        """Each virtual day keeps to the budget that a board was told."""
        budget = self._world.scenario.budget_mah
        if not budget:
            return
        day = self._world.now // (DAY_S * 1_000_000)
        for station in self._world.boards:
            charge = self._world.field.stats(station.node)["charge_mah"]
            began, before = self._days.get(station.node, (0, 0.0))
            if day > began:
                self._days[station.node] = (day, charge)
                before = before if charge - before else charge
            if charge - before > budget * (1 + limits.BUDGET_TOLERANCE):
                raise Broken("budget", f"{station.name} took {charge - before:.1f} mAh in a day of {budget}")

    # ---- now and then

    def check_talk(self) -> None:
        """What was said in an hour has to do with what there was to say: nobody goes on and on."""
        world = self._world
        before, said, made = self._counted
        if world.now - before < HOUR_US or world.scenario.engine != "mesh":
            return
        self._counted = world.now, sum(self.said_kinds.values()), len(self.made)
        hours = (world.now - before) / HOUR_US
        news = self._counted[2] - made + len(world.boards) * hours
        talk = (self._counted[1] - said) / len(world.radios)
        if talk > limits.TALK * news + limits.SMALL_TALK * hours:
            raise Broken("storm", f"each radio said {talk:.0f} frames for {news:.0f} readings and boards")

    def tend(self) -> None:
        """What is looked at from time to time: talk, charge, and a few stations as a whole, in turn."""
        self.check_talk()
        self.check_charge()
        stations = self._world.stations
        for _ in range(min(len(stations), limits.LOOKED_AT)):
            self._next = (self._next + 1) % len(stations)
            station = stations[self._next]
            if station.on and station.peer is not None:
                self.check_station(station)

    # ---- the end

    def missing(self) -> int:
        """How many acknowledged readings no keeper has."""
        return len(self.made) - len(self.came)

    def unreceipted(self) -> int:
        """How many acknowledged readings whose author knows no receipt."""
        if not self.ended:
            return len(self.made) - len(self.known)
        # Of whom nobody is left nobody waits for a receipt.
        return sum(key not in self.known and key[0] not in self.ended for key in self.made)

    def converged(self) -> bool:
        """Whether all that was acknowledged is with a keeper, and the authors know it."""
        if self._world.scenario.uplink == "none" or self.documents.missing():
            return False
        return not self.missing() and not self.unreceipted()

    def check_end(self) -> None:
        """All has arrived, all keepers hold the same, and nobody has lost anything."""
        for station in self._world.stations:
            if station.peer is not None:
                self.check_station(station)
        if self._world.scenario.uplink == "none":
            return
        if not self.converged():
            count = f"{self.missing()} of {len(self.made)} readings did not arrive"
            lines = [f"{count}, {self.unreceipted()} have no receipt", *missing(self._world)]
            raise Broken("convergence", "\n  ".join(lines))
        self._check_keepers()
        without = self.documents.missing()
        if without:
            raise Broken("documents", f"{len(without)} boards want the settings and do not have them")

    def _check_keepers(self) -> None:
        vectors = []
        for keeper in self._world.keepers:
            log = keeper.peer.log
            vectors.append({author: log.held(author) for author in self._acknowledged})
        for author, number in self._acknowledged.items():
            if max(vector[author] for vector in vectors) < number:
                raise Broken("lost", f"{author.hex()} {number} is with no keeper at the end")
