"""Whom to connect to: where advertisements would take too long, or cannot carry it (SPEC 6.32)."""

from .. import limits
from ..presence import UNKNOWN_DISTANCE
from ..sync.hello import GATEWAY, LEAF
from . import frames, pace, tells
from .speaker import OWN
from .ways import STAYS, Ways

# Operations behind which a session is worth its price.
MANY = limits.const(32)
# STATEs in a row that were not heard, of a peer that has not started anew.
_MOST_MISSED = limits.const(16)
_CALLED_MS = limits.const(10000)
_MOST_DOUBLINGS = limits.const(9)
_CALL_NAME = limits.const(-12)
# A flag of a STATE: something waits that fits no advertisement.
BULK = 128
# The window of who listens always and has more to push than advertisements bring in time.
BEHIND = 254


class _Neighbour:
    """What is remembered of one address."""

    # When it last took what we pushed; until when it is no way, since no receipt came of that; how often.
    took_at = -1
    barred_until = barren = 0

    def __init__(self) -> None:
        self.state: object = None
        self.rssi = 0
        self.heard_at = 0
        self.seen = False
        # The count of its last STATE, and how many percent of them are heard, lately; how far it is.
        self.counter = 0
        self.share = 0
        self.hops = UNKNOWN_DISTANCE
        # How well it heard us at its last four STATEs, 2 bits each.
        self.told_us = 0xFF
        # How often in vain we pushed what it should have taken, and when last.
        self.deaf = 0
        self.deaf_at = 0
        # Bucket digests heard, those of the last session's end, and the receipts told in it.
        self.digests: dict = {}
        self.told: list = []
        self.news = True
        self.synced_at = -1
        self.not_before = 0
        self.failures = 0
        # Sessions in a row that did not make the difference smaller; what it was before the last one.
        self.vain = 0
        self.before: int | None = None
        # How many operations more than we it said to hold, and how many had come here until then.
        self.lag = 0
        self.stored = 0
        # Since when that is too much for advertisements.
        self.many_at: int | None = None
        self.many = 0
        # Its last STATE of another epoch, if no newer one is of ours; when; when that is worth a session.
        self.apart: object = None
        self.shown_at = 0
        self.parted = 0
        # How many sessions in a row were for that.
        self.parts = 0


class Visits:
    """A table of at most `limit` addresses; who was not heard for longest makes room.

    After a session an address is left alone for `hold_off_ms` and more, after failures, and sessions that
    changed nothing, for twice as long each time. A peer that cannot speak is `mute`: it has to connect for
    all that others say.
    """

    def __init__(self, mesh: object, hold_off_ms: int, limit: int, now: int):
        self._mesh = mesh
        self._hold_off_ms = hold_off_ms
        self._limit = limit
        self._table: dict = {}
        self.ways = Ways(mesh, self._table, now)
        self.mute = False
        self._called_until = 0
        # Whom we have asked to be connectable, and when.
        self._calling: object = None
        self._called_at = 0
        self._again_at = 0
        # Until when nobody is worth a session, unless something is heard.
        self._calm_until = 0
        # How weak it was who made room last, and until when nobody else as weak gets in.
        self._weak = 0
        self._weak_until = 0
        # When the next one of another epoch may be answered.
        self._answer_at = now

    def heard(self, address: object, state: object, rssi: int, now: int) -> bool:
        """Note a STATE; say whether the way to a keeper may be another by it."""
        if now < self._weak_until and rssi <= self._weak and address not in self._table:
            # Without a flood somebody weak may be a way, or in need of a session, or is of no interest.
            mesh = self._mesh
            usual = state.window != BEHIND and not state.flags & BULK
            if usual and not mesh.flood and state.distance >= mesh.peer.distance(now):
                return False
        neighbour = self._get(address)
        if neighbour.digests.get(state.bucket) != state.digest:
            neighbour.news = True
        gap = (state.counter - neighbour.counter) & 0xFFFF
        if neighbour.seen and 0 < gap <= _MOST_MISSED:
            share = neighbour.share * 3 // 4
            if gap > 1:
                for _ in range(gap - 1):
                    share = share * 3 // 4
            neighbour.share = share + 25 if neighbour.share else 50 // gap
        elif gap:
            # It has started anew.
            neighbour.share = neighbour.deaf = 0
        neighbour.seen = True
        neighbour.counter = state.counter
        hops = state.distance if state.role != LEAF else UNKNOWN_DISTANCE
        # Of who was not heard before that says nothing yet, but to a leaf.
        news = hops != neighbour.hops and (neighbour.share or self._mesh.role == LEAF)
        neighbour.hops = hops
        self.ways.told(neighbour, state)
        if state.open_count > MANY or state.flags & BULK or state.window == BEHIND or self.mute:
            self._calm_until = now
        neighbour.state = state
        neighbour.rssi = rssi
        neighbour.heard_at = now
        neighbour.digests[state.bucket] = state.digest
        if neighbour.before is not None and state.role != LEAF:
            # The first word after a session tells whether it was of use.
            gained = state.open_count < neighbour.before or self._gap(neighbour) < neighbour.before
            neighbour.vain = 0 if gained else neighbour.vain + 1
            neighbour.before = None
            if neighbour.vain:
                doublings = min(neighbour.vain + 2, _MOST_DOUBLINGS)
                neighbour.not_before = now + self._spread(self._hold_off_ms << doublings)
        return news or self.ways.better(neighbour, now)

    def part(self, address: object, state: object, rssi: int, now: int) -> None:
        """Note a STATE of a member of another epoch: in a session one has the newer key from the other."""
        neighbour = self._get(address)
        if neighbour.state is None:
            neighbour.rssi = rssi
        if neighbour.apart is None:
            if neighbour.state is None:
                neighbour.heard_at = now
            # Who was met for that, and is apart again, may be somebody else behind its address.
            since = now - neighbour.synced_at
            if since >= self._hold_off_ms << _MOST_DOUBLINGS:
                neighbour.parts = 0
            wait = max(0, (self._hold_off_ms << neighbour.parts) - since) if neighbour.parts else 0
            # Others hear it too.
            mesh = self._mesh
            neighbour.parted = now + wait + mesh.random(pace.VISIT_MS)
            if now >= self._answer_at and not self._opens(state):
                # It has to hear us, to see that.
                self._answer_at = now + pace.STATE_MAX_MS
                mesh.restate(now)
        neighbour.apart = state
        neighbour.shown_at = now
        self._calm_until = now

    def _opens(self, state: object) -> bool:
        """Say whether the session with somebody of another epoch is ours to open: of two one's, who can."""
        ours = self._mesh.collects or state.role == LEAF or state.author > self._mesh.peer.author[:3]
        return bool(ours and state.role != GATEWAY)

    def knows(self, address: object) -> bool:
        """Say whether a member was heard there, of whatever epoch."""
        return address in self._table

    def joined(self, address: object) -> None:
        """Note a STATE of a member of the same epoch."""
        neighbour = self._table.get(address)
        if neighbour is not None:
            neighbour.apart = None

    def _spread(self, wait: int) -> int:
        return wait + self._mesh.random(wait // 2 + 1)

    def shown(self, address: object) -> dict:
        """Return the digests that an address has shown, by bucket."""
        return self._table[address].digests

    def note_lag(self, address: object, count: int) -> None:
        """Note that an address holds so many operations more than we do, by what it said."""
        neighbour = self._table.get(address)
        if neighbour is not None:
            neighbour.lag = count
            self._calm_until = 0
            neighbour.stored = self._mesh.stats["stored"]

    def heard_call(self, frame: bytes, now: int) -> None:
        """Note that somebody wants to connect to a peer: maybe to us."""
        target, _, seconds = tells.decode_call(frame)
        if target == self._mesh.peer.author[:3]:
            self._called_until = now + min(seconds * 1000, _CALLED_MS)
            self._mesh.show(now)

    def called(self, now: int) -> bool:
        """Say whether somebody wants to connect to us now."""
        return now < self._called_until

    def authors(self, address: object) -> list:
        """Return the authors whom an address spoke of in the last session."""
        neighbour = self._table.get(address)
        return [author for author, _ in neighbour.told] if neighbour else []

    def synced(self, address: object, now: int, told: list | None = None) -> None:
        """Note a session that ended well."""
        self._called_until = 0
        for neighbour in self._table.values():
            # What is lacking of others has to be so anew.
            neighbour.many_at = None
            neighbour.lag = 0
        neighbour = self._get(address)
        neighbour.told = [entry[:2] for entry in told or ()]
        neighbour.failures = 0
        neighbour.synced_at = now
        neighbour.before = self._gap(neighbour) if neighbour.state else None
        # What was said before the session is no news after it.
        if neighbour.apart is not None:
            neighbour.parts = min(neighbour.parts + 1, _MOST_DOUBLINGS)
        neighbour.state = neighbour.apart = None
        neighbour.digests = {}
        neighbour.news = False
        neighbour.not_before = now + self._spread(self._hold_off_ms)
        self._calling = None

    def failed(self, address: object, now: int) -> None:
        """Note a connection that did not come about, or a session that ended in an error."""
        self._called_until = 0
        neighbour = self._get(address)
        neighbour.failures += 1
        most = limits.MAX_BACKOFF_DOUBLINGS
        if neighbour.apart is not None:
            # It may be one that has no way back.
            most = _MOST_DOUBLINGS
        doublings = min(neighbour.failures, most)
        neighbour.not_before = now + self._spread(self._hold_off_ms << doublings)
        self._calling = None

    def candidate(self, now: int, busy: object = ()) -> object:
        """Return the address to connect to now, or None; of several the one with the most for us.

        A peer that is not mute asks it first to be connectable, and names it once it is.
        """
        if self._calling is not None:
            neighbour = self._table.get(self._calling)
            known = _last(neighbour)
            if known and _shown(neighbour) > self._called_at:
                address = self._calling
                self._calling = None
                return None if address in busy else address
            if now - self._called_at < _CALLED_MS and not (known and _asleep(neighbour, now)):
                if known and now >= self._again_at:
                    # It may not have heard the first one.
                    self._say_call(self._calling, now)
                return None
            self.failed(self._calling, now)
        if now < self._calm_until or not self._mesh.relays:
            # Of what others have nothing is lacking where nothing is relayed.
            return None
        best = None
        found = None
        calm = True
        for address, neighbour in self._table.items():
            if not self._may(neighbour, now) or address in busy:
                waits = address in busy or now < neighbour.not_before
                calm = calm and not (waits and _last(neighbour))
                continue
            worth = self._worth(neighbour, now)
            calm = calm and not worth and neighbour.many_at is None and neighbour.apart is None
            rank = (worth, -neighbour.failures, neighbour.rssi)
            if worth and (best is None or rank > best):
                best = rank
                found = address
        if calm and not self.mute:
            self._calm_until = now + 12 * pace.VISIT_MS
        if found is not None and not self.mute:
            self._call(found, now)
            return None
        return found

    def _may(self, neighbour: _Neighbour, now: int) -> bool:
        state = _last(neighbour)
        fresh = limits.NEIGHBOUR_FRESH_MS if self.mute else pace.AROUND_MS
        if state is None or now - _shown(neighbour) > fresh or now < neighbour.not_before:
            return False
        return bool(state.flags & frames.CONNECTABLE) and state.role != GATEWAY

    def _call(self, address: object, now: int) -> None:
        self._calling = address
        self._called_at = now
        self._mesh.stats["calls"] += 1
        # Who was called before hears no more of it.
        self._mesh.speaker.drop(_CALL_NAME)
        self._say_call(address, now)

    def _say_call(self, address: object, now: int) -> None:
        mesh = self._mesh
        self._again_at = now + _CALLED_MS // 4
        author = _last(self._table[address]).author
        body = tells.encode_call(author, mesh.peer.author[:3], _CALLED_MS // 1000)
        # Whatever key it has, it knows this one.
        frame = frames.make(frames.CALL, mesh.peer.mesh, body, mesh.base)
        mesh.speaker.add(now, OWN, _CALL_NAME, frame, pace.EVENTS)

    def _gap(self, neighbour: _Neighbour) -> int:
        """Return about how many operations a neighbour has that we should have."""
        mesh = self._mesh
        state = neighbour.state
        if state.flags & frames.GRADIENT:
            return state.open_count
        if not mesh.flood and not self.mute:
            # What is open over there is so of all, and on its way by others.
            return 0
        # What has come since is lacking no more.
        lag = max(0, neighbour.lag - mesh.stats["stored"] + neighbour.stored)
        if neighbour.heard_at - mesh.receipts_at < pace.AGAIN_MS // 2:
            # What is receipted here and open there is no backlog, but what is known to be lacking.
            known = mesh.intake.lacking(neighbour.heard_at, state.open_count) if mesh.relays else 0
            return max(lag, min(state.open_count, known))
        return max(lag, state.open_count - (mesh.repair.open if mesh.relays else 0))

    def _worth(self, neighbour: _Neighbour, now: int) -> int:
        """Return how much a session would bring: operations up, or what no advertisement carries."""
        mesh = self._mesh
        if neighbour.apart is not None:
            if now >= neighbour.parted and self._opens(neighbour.apart) and not _asleep(neighbour, now, 75):
                return 1
            if neighbour.heard_at < neighbour.shown_at:
                # What it said before is no reason any more.
                return 0
        state = neighbour.state
        if state is None:
            return 0
        code = frames.code_of(state.distance)
        ours = code > mesh.code or (code == mesh.code and mesh.flood and state.author > mesh.peer.author[:3])
        members = mesh.peer.members
        if mesh.collects and members and state.author in members.owed and not _asleep(neighbour, now, 75):
            # Keys, which only a session tells.
            return 1
        gap = self._gap(neighbour)
        if self.mute:
            return self._worth_mute(neighbour, ours, now)
        if mesh.flood and not state.flags & frames.GRADIENT:
            # Who lacks much calls; of two whose difference shows on neither side, one.
            ours = ours or gap > MANY or (code == mesh.code and state.author > mesh.peer.author[:3])
        level = mesh.flood and code == mesh.code and gap and not mesh.many
        if state.window == BEHIND and (code > mesh.code or level):
            # It says itself that it has more to push than gets on.
            return max(gap, MANY + 1)
        if not ours or (state.role == LEAF and state.window < BEHIND):
            return 0
        if state.flags & BULK and (gap or mesh.flood):
            return max(gap, 1)
        if gap <= MANY:
            neighbour.many_at = None
            return 0
        if neighbour.many_at is None or 2 * gap < neighbour.many:
            # Not all at once.
            neighbour.many_at = now + mesh.random(pace.VISIT_MS // 4)
            neighbour.many = gap
        # What advertisements may still bring is given the time to come.
        return gap if neighbour.news and now - neighbour.many_at >= pace.VISIT_MS else 0

    def _worth_mute(self, neighbour: _Neighbour, ours: bool, now: int) -> int:
        peer = self._mesh.peer
        state = neighbour.state
        for author, receipted in neighbour.told:
            if peer.receipted(author) > receipted:
                return 1
        if state.flags & frames.WANTS_TIME and peer.utc(now) and not peer.wants_time(now):
            return 1
        if not ours or not neighbour.news:
            return 0
        return 1 if state.open_count or state.role == LEAF else 0

    def has_time(self) -> bool:
        """Say whether a neighbour has the time."""
        for neighbour in self._table.values():
            if neighbour.state and neighbour.state.flags & frames.HAS_TIME:
                return True
        return False

    def report(self, now: int) -> list:
        """Return [(name, rssi, age_ms, distance, role, due_ms or None, overdue)]."""
        from .schedule import plan

        found = []
        for neighbour in self._table.values():
            state = neighbour.state or neighbour.apart
            if state:
                names = self._mesh.names.find(state.author)
                name = names[0] if len(names) == 1 else state.author
                due, overdue = plan(self._mesh.names.get(name), neighbour.heard_at, now)
                age = now - neighbour.heard_at
                found.append((name, neighbour.rssi, age, state.distance, state.role, due, overdue))
        return found

    def _get(self, address: object) -> _Neighbour:
        neighbour = self._table.get(address)
        if neighbour is None:
            if len(self._table) >= self._limit:
                del self._table[self._least()]
            neighbour = self._table[address] = _Neighbour()
        return neighbour

    def _least(self) -> object:
        """Return whom to forget: who is gone, is no way, is apart, is far, was not heard for long."""
        now = max([known.heard_at for known in self._table.values()])
        mine = self._mesh.peer.distance(now)
        worst = least = None
        for address, known in self._table.items():
            near = known.hops < mine and known.share >= STAYS
            with_us = known.apart is None
            use = now - known.heard_at <= pace.LOST_MS, near, with_us, known.rssi, known.heard_at
            if least is None or use < least:
                worst, least = address, use
        self._weak = least[3]
        self._weak_until = now + pace.LOST_MS // 4 if least[0] and least[2] else 0
        return worst


def _shown(neighbour: _Neighbour) -> int:
    """Return when somebody was heard last, be it as of another epoch."""
    return max(neighbour.heard_at, neighbour.shown_at)


def _last(neighbour: _Neighbour | None) -> object:
    """Return the last STATE of somebody, be it as of another epoch."""
    return neighbour and (neighbour.apart or neighbour.state)


def _asleep(neighbour: _Neighbour, now: int, part: int = 100) -> bool:
    """Say whether somebody is a leaf of whose window so many percent are over."""
    state = _last(neighbour)
    sleeps = state is not None and state.role == LEAF and state.window < BEHIND
    return sleeps and now - _shown(neighbour) > (state.window or pace.LEAF_WINDOW_MS // 100) * part
