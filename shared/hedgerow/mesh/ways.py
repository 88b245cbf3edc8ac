"""How far a keeper is, by what neighbours say and how well they are heard (SPEC 6.21.1)."""

from .. import limits
from ..presence import UNKNOWN_DISTANCE, learnt
from ..sync.hello import GATEWAY, LEAF
from . import pace
from .frames import GRADIENT

# Of a good link, and of one that was good and may still be: percent of the STATEs that both hear.
_STEADY = limits.const(45)
STAYS = limits.const(32)
# Percent of the STATEs heard of one whose frames are taken at once.
_NEAR = limits.const(50)
# How well a peer is heard, in 2 bits: from these percents on; and what that counts for.
_LEVELS = (25, 50, 70)
_WORTH = (10, 40, 65, 100)
_SLOTS = limits.const(24)
# How often what is pushed in vain shows that who should take it is no way: it may not hear us as we hear it.
_DEAF = limits.const(2)
# It counts once in so long: much that waits is no proof that nothing is taken.
_VAIN_MS = limits.const(60000)
# Of one who took something before it takes so many more.
_TRUST = limits.const(6)
# Who brought no receipt is no way for twice as long each time, up to this often.
_BARREN = limits.const(4)
# So long one author's receipts are watched: it may seal once an hour.
_WATCH_MS = limits.const(9000000)


def slot(short: bytes, counter: int) -> int:
    """Return the place of a short author in what a STATE with this counter shows of others."""
    return (short[0] << 16 | short[1] << 8 | short[2]) % (229 + 2 * (counter & 7)) % _SLOTS


class Ways:
    """The distance of `mesh` by the neighbours in `table`, those of Visits."""

    def __init__(self, mesh: object, table: dict, now: int):
        self._mesh = mesh
        self._table = table
        # The least distance since a way was lost, or was the same for long; until when none is taken.
        self._base = UNKNOWN_DISTANCE
        self._ranked_at = self._apart_until = now
        self._late_at = now + pace.AROUND_MS // 3
        # When a keeper's word came last; without proofs, a receipt that is watched, and when it was chosen.
        self.alive_at = self._word_at = now - 2 * pace.AGAIN_MS
        self._word = b""
        # How many are nearer.
        self.nearer = 0
        self._vain_at = now - _VAIN_MS

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
            if now < neighbour.barred_until:
                last = min(last, hops)
                continue
            if neighbour.deaf >= _DEAF:
                if now - neighbour.deaf_at < pace.AGAIN_MS:
                    last = min(last, hops)
                    continue
                neighbour.deaf = _DEAF // 2
            if hops <= mine:
                self.nearer += 1
                kept = kept or hops == mine
            elif hops >= way and not leaf:
                # One that is nearer is good.
                continue
            share = self.quality(neighbour, hops, mine)
            good = share >= STAYS
            if not leaf and (share >= _STEADY or (good and hops == mine)):
                way = min(way, hops)
            rank = (good or leaf, neighbour.rssi)
            if (hops == mine or rank[0] or late) and (best is None or rank > best):
                best = rank
                found = hops
        if way == UNKNOWN_DISTANCE:
            way = found
            if way == UNKNOWN_DISTANCE != last:
                # Nobody else is a way, so those who bring no receipt are as good as any.
                for neighbour in self._table.values():
                    neighbour.barred_until = 0
        if way > mine + 1 and kept:
            # To lose a way costs more than to have one that is bad.
            return mine
        return last if way == UNKNOWN_DISTANCE else way

    def quality(self, neighbour: object, hops: int, mine: int) -> int:
        """Return the percentage of frames that get through to a neighbour and back.

        What others are shown in one place with this peer may show it heard better than it is, never worse.
        """
        told = neighbour.told_us
        level = told & 3
        if mine != UNKNOWN_DISTANCE:
            for _ in range(3 if hops < mine else 1):
                told >>= 2
                level = min(level, told & 3) if hops < mine else max(level, told & 3)
        return neighbour.share * _WORTH[level] // 100

    def near(self, address: object) -> bool:
        """Say whether an address is well heard, as far as that is known."""
        neighbour = self._table.get(address)
        if neighbour is None:
            return len(self._table) < limits.MAX_NEIGHBOURS
        return neighbour.share >= _NEAR

    def turn(self, address: object, wait: int) -> int:
        """Return how long to wait of a turn before a frame of an address is taken: those first who hear it
        best, as it hears them best when they pass it on."""
        neighbour = self._table.get(address)
        share = neighbour.share if neighbour is not None else 0
        return wait * (125 - share) // 100 if share else wait

    def better(self, neighbour: object, now: int) -> bool:
        """Say whether a neighbour is a shorter way than the one there is, or there is none."""
        if self._mesh.peer.way is None:
            return True
        mine = self._mesh.peer.distance(now)
        hops = learnt(neighbour.hops)
        if now < neighbour.barred_until:
            return False
        return hops < mine and (mine == UNKNOWN_DISTANCE or self.quality(neighbour, hops, mine) >= _STEADY)

    def heard(self, counter: int, now: int) -> bytes:
        """Return 6 bytes of 24 places of 2 bits: how well those are heard to whom this peer may be a way."""
        mine = self._mesh.peer.distance(now)
        places = bytearray(_SLOTS)
        for neighbour in self._table.values():
            if neighbour.state and neighbour.hops >= mine and now - neighbour.heard_at <= pace.LOST_MS:
                at = slot(neighbour.state.author, counter)
                level = len([1 for least in _LEVELS if neighbour.share >= least])
                places[at] = max(places[at], level)
        shown = bytearray(_SLOTS // 4)
        for at in range(_SLOTS):
            shown[at >> 2] |= places[at] << (at & 3) * 2
        return bytes(shown)

    def told(self, neighbour: object, state: object) -> None:
        """Take note of how well a neighbour hears this peer, if its STATE shows that."""
        level = 3
        if state.flags & GRADIENT and state.role != LEAF:
            at = slot(self._mesh.peer.author, state.counter)
            level = state.digest[at >> 2] >> (at & 3) * 2 & 3
        neighbour.told_us = (neighbour.told_us << 2 | level) & 0xFF

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

    def unheard(self, now: int) -> None:
        """Note that nobody nearer a keeper takes what is pushed again and again."""
        if now - self._vain_at < _VAIN_MS and self._mesh.role != LEAF:
            # A leaf has but its wake.
            return
        self._vain_at = now
        mine = self._mesh.peer.distance(now)
        deaf = False
        for neighbour in self._table.values():
            if neighbour.hops < mine:
                neighbour.deaf = min(neighbour.deaf + 1, 2 * _DEAF)
                neighbour.deaf_at = now
                deaf = deaf or neighbour.deaf >= _DEAF
        if deaf:
            self.rank(now)

    def hears(self, address: object, now: int) -> None:
        """Note that an address has taken, or acknowledged, what we pushed."""
        neighbour = self._table.get(address)
        if neighbour is not None:
            neighbour.deaf = -_TRUST
            neighbour.took_at = now

    def gradient(self, now: int, any_: bool) -> bool:
        """Say whether a neighbour does not flood, one that is nearer a keeper or `any_`."""
        mine = self._mesh.peer.distance(now)
        for neighbour in self._table.values():
            state = neighbour.state
            if state and state.flags & GRADIENT and (any_ or neighbour.hops < mine):
                if now - neighbour.heard_at <= pace.LOST_MS and now >= neighbour.barred_until:
                    return True
        return False

    # ---- who brings no receipts

    def word(self, frame: bytes, now: int) -> None:
        """Note a RECEIPT where none has a proof: one that says more than before shows a keeper is there."""
        # Keeper and author; the number.
        if self._word[:8] == frame[4:12] and frame[12:16] > self._word[8:]:
            self.alive_at = now
        elif self._word and now - self._word_at < _WATCH_MS:
            return
        self._word = frame[4:16]
        self._word_at = now

    def judge(self, now: int) -> None:
        """Where no receipt came of own operations that are pushed again: while a keeper is heard of, who is
        nearer, and took them, is no way for a while."""
        mesh = self._mesh
        since = mesh.feed.silent_since
        mesh.feed.silent_since = None
        if since is None or mesh.flood or mesh.role == LEAF or self.alive_at < since + pace.ROUTE_MS:
            return
        mine = mesh.peer.distance(now)
        for neighbour in self._table.values():
            if neighbour.took_at >= since and neighbour.hops < mine:
                late = now - neighbour.barred_until >= pace.CROWD_MS
                neighbour.barren = 1 if late else min(neighbour.barren + 1, _BARREN)
                neighbour.barred_until = now + (pace.AGAIN_MS << neighbour.barren)
                mesh.stats["barren"] += 1
        self.rank(now)

    def barred(self, address: object, code: int, now: int) -> bool:
        """Say whether an address is no way now as nothing came of what it took: what it says to have, as one
        who is nearer, counts for nothing."""
        neighbour = self._table.get(address)
        return neighbour is not None and now < neighbour.barred_until and code < self._mesh.code
