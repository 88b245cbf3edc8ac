"""How far a keeper is, by what neighbours say and how well they are heard (SPEC 6.21.1)."""

from .. import limits
from ..presence import UNKNOWN_DISTANCE, learnt
from ..sync.hello import GATEWAY, LEAF
from . import pace

# Percent of the STATEs heard of a good link, and of one that was good and may still be.
_STEADY = limits.const(50)
STAYS = limits.const(35)
# Pushes in vain after which who should have taken them is no way: it may not hear us as we hear it.
_DEAF = limits.const(16)
# Of one who took something before it takes so many more.
_TRUST = limits.const(48)


class Ways:
    """The distance of `mesh` by the neighbours in `table`, those of Visits."""

    def __init__(self, mesh: object, table: dict, now: int):
        self._mesh = mesh
        self._table = table
        # The least distance since a way was lost, or was the same for long; until when none is taken.
        self._base = UNKNOWN_DISTANCE
        self._ranked_at = self._apart_until = now
        self._late_at = now + pace.AROUND_MS // 3
        # How many are nearer.
        self.nearer = 0

    def find(self, now: int) -> int:
        """Return the hops to a keeper by way of those whose STATEs come through.

        While there is none of these, the best heard of others counts. A single lucky packet from far away
        makes no way while better ones may come.
        """
        mine = self._mesh.peer.distance(now)
        # It hears too little to know more than who is near.
        leaf = self._mesh.role == LEAF
        late = mine == UNKNOWN_DISTANCE and (self._mesh.flood or now >= self._late_at)
        way = found = last = UNKNOWN_DISTANCE
        best = None
        kept = False
        self.nearer = 0
        for neighbour in self._table.values():
            hops = learnt(neighbour.hops)
            if hops == UNKNOWN_DISTANCE or (now - neighbour.heard_at > pace.LOST_MS and not leaf):
                continue
            if neighbour.deaf >= _DEAF:
                if now - neighbour.deaf_at < pace.AGAIN_MS:
                    last = min(last, hops)
                    continue
                neighbour.deaf = _DEAF // 2
            self.nearer += hops <= mine
            kept = kept or hops == mine
            good = neighbour.share >= STAYS
            if not leaf and (neighbour.share >= _STEADY or (good and hops == mine)):
                way = min(way, hops)
            rank = (good or leaf, neighbour.rssi)
            if (hops == mine or rank[0] or late) and (best is None or rank > best):
                best = rank
                found = hops
        if way == UNKNOWN_DISTANCE:
            way = found
        if way > mine + 1 and kept:
            # To lose a way costs more than to have one that is bad.
            return mine
        return last if way == UNKNOWN_DISTANCE else way

    def rank(self, now: int) -> None:
        """Tell the peer how many hops it is from a keeper; a gateway knows that by its uplink.

        A way that is longer by more than a hop may be our own, come back: before one is taken the peer knows
        none for a while, and so do those who had theirs by way of us.
        """
        peer = self._mesh.peer
        mine = peer.way
        way = self.find(now)
        if self._mesh.role == GATEWAY or (mine is None and way == UNKNOWN_DISTANCE):
            return
        if mine is None or mine == UNKNOWN_DISTANCE:
            if now < self._apart_until and way > self._base + 1:
                return
            self._base = way
        elif way <= mine:
            self._base = min(self._base, way)
        elif way > self._base + 1 and self._mesh.role != LEAF:
            self._apart_until = now + pace.APART_MS
            way = UNKNOWN_DISTANCE
        if way != mine:
            self._ranked_at = now
        elif now - self._ranked_at >= limits.DISTANCE_EXPIRY_MS:
            self._base = way
        peer.way = way

    def unheard(self, count: int, now: int) -> None:
        """Note that nobody nearer a keeper took what was pushed so often."""
        mine = self._mesh.peer.distance(now)
        for neighbour in self._table.values():
            if neighbour.hops < mine:
                neighbour.deaf = min(neighbour.deaf + count, 2 * _DEAF)
                neighbour.deaf_at = now
        self.rank(now)

    def hears(self, address: object) -> None:
        """Note that an address has taken, or acknowledged, what we pushed."""
        neighbour = self._table.get(address)
        if neighbour is not None:
            neighbour.deaf = -_TRUST
