"""Boards that verify each other's credentials from the air, on an air in virtual time. Runs on both VMs."""

from crypto_kit import APP, MODE, Delegate, Issuer, finish
from kit import Random
from mesh_kit import Air, Member
from sync_kit import KINDS, board

from hedgerow.application import ReadyPeer
from hedgerow.crypto.credentials import Trust
from hedgerow.crypto.identity import Identity
from hedgerow.crypto.port import P256
from hedgerow.crypto.vouched import Vouched
from hedgerow.crypto.vouchers import Later, judge, verify, whole
from hedgerow.errors import HedgerowError
from hedgerow.log import ENTRY_OP, ENTRY_SEAL, MemoryLog, MemoryStore
from hedgerow.mesh import pace
from hedgerow.peer import Peer
from hedgerow.sync.hello import RELAY

ROOT = Issuer(1)


class Ring:
    """What a board's Keyring does for that, without slices: `identity`, and a credential from an issuer or a
    delegate."""

    ready = True
    verdict = None
    hearsay = True

    def __init__(self, seed: int, issuer: object = ROOT):
        self.parts: dict = {}
        self.refused: list = []
        self.believed: list = []
        self.asked: list = []
        self.vouching = None
        self.vouch_at = 0
        self.strange_room = Vouched.strange_room
        self.p256 = P256(Random(seed).bytes)
        self.identity = Identity.make(self.p256)
        own = self.identity
        given = {"SEALING_KEY": own.sealing, "AUTHOR": own.author}
        if isinstance(issuer, Delegate):
            given["SALT"] = own.keys[64:]
        self.value = issuer.credential(own.agreement, **given)[1:]
        self.issuer = issuer
        self.named = own.author
        self.log = MemoryLog(MemoryStore(own.author))
        self.checks = 0
        self.fresh: list = []
        self.said: list = []
        self.p256.multiplications = 0

    def delegation(self) -> bytes | None:
        return self.issuer.value[1:] if isinstance(self.issuer, Delegate) else None

    def vouchers(self) -> Vouched:
        found = Vouched(self)
        found.strange_room = self.strange_room
        return found

    def vouches(self, author: bytes) -> bool:
        return self.vouchers().vouches(author)

    def vouch(self, name: bytes, value: bytes) -> None:
        self.vouchers().vouch(name, value)

    def credential_part(self, short: bytes, index: int) -> bytes:
        return self.vouchers().credential_part(short, index)

    @property
    def credential(self) -> bytes:
        return self.named

    def sign(self, message: bytes) -> bytes:
        return bytes(64)

    def proves(self, receipt: object) -> bool:
        return False

    def tend(self, peer: object, now: int) -> None:
        """Verify what is whole, as a board does in slices."""
        found = whole(self, now) if now >= self.vouch_at else None
        if found:
            self.vouch_at = now + pace.VOUCH_MS
            later = Later()
            good = judge(peer, self, Trust(later, dict(ROOT.roots), APP, MODE), found)
            self.p256.multiplications = 0
            if good:
                finish(verify(self, self.p256, later.jobs, good))


class Relay(Member):
    """A relay with an identity and a small log that looks each second for what is to be verified."""

    CAPACITY = 24000

    def __init__(self, air: Air, ring: Ring):
        self.ring = ring
        Member.__init__(self, air, "relay", RELAY, False, ring.named)

    def new_peer(self) -> ReadyPeer:
        log = MemoryLog(self.store, capacity=self.CAPACITY)
        peer = ReadyPeer(
            log, lambda: self.now(self.air.now), name="relay", kinds=KINDS, role=RELAY, mesh=b"\x11\x22\x33"
        )
        self.ring.log = log
        peer.members = self.ring
        return peer

    def tend(self) -> None:
        """Verify what is whole, now and every second."""
        self.ring.tend(self.peer, self.now(self.air.now))
        self.air.look(self)
        self.air.at(self.air.now + 1000, self.tend)


def add(air: Air, seed: int, issuer: object = ROOT) -> Relay:
    """Return a relay with an identity."""
    relay = Relay(air, Ring(seed, issuer))
    air.members.append(relay)
    air.links[relay] = []
    air._wake(relay, air.now)
    relay.tend()
    return relay


def line(air: Air, seeds: list, issuer: object = ROOT) -> list:
    members = [add(air, seed, issuer) for seed in seeds]
    air.line(members)
    return members


def short(member: Relay, room: int = 0) -> None:
    """Have its log be as good as full, with so many bytes for strangers."""
    member.peer.log.storage = lambda: {"capacity": 1, "open": 1}
    member.ring.strange_room = (room, member.ring.strange_room[1])
    member.peer.strange = {}


# ---- authors, and those who carry for them


def carrier(seed: int, store: object = None) -> tuple:
    """Return (a board with an identity and a small log, its ring)."""
    ring = Ring(seed)
    ring.log = MemoryLog(store or MemoryStore(ring.named), capacity=Relay.CAPACITY)
    peer = ReadyPeer(ring.log, lambda: 0, name="board", kinds=KINDS, mesh=b"msh", role=RELAY)
    peer.members = ring
    return peer, ring


def written(author: bytes, count: int) -> Peer:
    """Return an author with so many readings, and a seal over them."""
    peer = board(store=MemoryStore(author), mesh=b"msh")
    for at in range(count):
        peer.insert("readings", {"t": at}, at)
    peer.seal(count)
    return peer


def bring(peer: Peer, other: Peer, most: int = 1 << 20) -> None:
    """Have a peer take what another wrote, as it comes on the air."""
    for schema in other.schemas.values():
        peer.ingest_schema(schema.encoded)
    for kind, first, last, body in other.log.read(other.author, 0, 0, 1 << 20):
        if last <= most and last > (peer.log.held if kind == ENTRY_OP else peer.log.sealed)(other.author):
            if kind == ENTRY_OP:
                peer.ingest(other.author, first, [body])
            elif kind == ENTRY_SEAL:
                peer.ingest_seal(other.author, body)


def filled(peer: Peer, seed: int, code: str = "QUOTA_FULL") -> list:
    """Bring strangers until there is no room; return them."""
    strangers: list = []
    while True:
        other = written(Random(seed + len(strangers)).bytes(8), 40)
        strangers.append(other)
        try:
            bring(peer, other)
        except HedgerowError as error:
            assert error.code == code, error
            return strangers


def size(peer: Peer, author: bytes) -> int:
    """Return what an author takes in a log, receipts apart."""
    return sum([len(entry[3]) + 8 for entry in peer.log.read(author, 0, 0, 1 << 20)])


def sizes(peer: Peer, others: list) -> int:
    return sum([size(peer, other.author) for other in others])
