"""What identities cost: the same board and keeper without keys (kind 0) and with them.

Sessions are real exchanges in memory, advertising is two engines that hear all of each other. Bytes are all
that is said by both sides.
"""

import os
from collections.abc import Callable

from hedgerow.codec import cbor
from hedgerow.codec.decimal import Decimal
from hedgerow.codec.schema import STREAM
from hedgerow.crypto import claims, cose
from hedgerow.crypto.channel import Answering, Member, Opening
from hedgerow.crypto.credentials import Credential, Trust
from hedgerow.crypto.ephemeral import Ephemerals
from hedgerow.crypto.greeting import Greeting
from hedgerow.crypto.handshake import Gate
from hedgerow.crypto.identity import Identity
from hedgerow.crypto.members import Members
from hedgerow.crypto.port import P256, finish
from hedgerow.memory import MemoryLog, MemoryStore
from hedgerow.mesh.mesh import Mesh
from hedgerow.mesh.tag import mesh_key
from hedgerow.peer import Peer
from hedgerow.sync.exchange import Exchange
from hedgerow.sync.hello import GATEWAY, RELAY

from .figure import Figure, figure

READINGS = 50
HOUR_MS = 3_600_000
MINUTE_MS = 60_000
MODE = [claims.PRODUCTION, b"mesh-one"]
NOW_S = 1_800_000_000
KEY = mesh_key("bench")


class Issuer:
    """An Authentication Service."""

    def __init__(self) -> None:
        self.p256 = P256(os.urandom)
        self.private, self.public = finish(self.p256.make_key())
        self.roots = {cose.name_of(self.public): self.public}

    def credential(self, identity: Identity, kinds: int) -> Credential:
        values = {
            claims.ISS: "12345678-1234-1234-1234-123456789abc",
            claims.SUB: "board-1",
            claims.EXP: NOW_S + 30 * 86_400,
            claims.IAT: NOW_S,
            claims.CTI: os.urandom(8),
            claims.CNF: claims.key_of(identity.agreement),
            claims.SCOPE: [["readings", claims.READ | claims.WRITE]],
            claims.SEALING_KEY: identity.sealing,
            claims.AUTHOR: identity.author,
            claims.MODE: MODE,
            claims.KINDS: kinds,
        }
        kid = cose.name_of(self.public)
        signed: bytes = finish(cose.sign1(self.p256, self.private, cbor.encode(values), kid))
        return Credential(signed)


class Party:
    """A peer, and what its sessions need if it has an `issuer`."""

    def __init__(self, keeper: bool, issuer: Issuer | None) -> None:
        self.p256 = P256(os.urandom)
        identity = Identity.make(self.p256)
        store = MemoryStore(identity.author)
        log = MemoryLog(store)
        self.members: Members | None = None
        self.member: Member | None = None
        if issuer is not None:
            credential = issuer.credential(identity, claims.KEEPS if keeper else 0)
            trust = Trust(self.p256, dict(issuer.roots), credential.claims.issuer, MODE)
            self.members = Members(log, trust, identity)
            self.members.enrol(credential)
            own = identity.own(credential)
            self.member = Member(own, Ephemerals(self.p256), trust, Gate([KEY]), os.urandom, MODE)
        role = GATEWAY if keeper else RELAY
        kinds = {"readings": STREAM}
        self.peer = Peer(log, 0, role=role, keeper=keeper, mesh=b"msh", members=self.members, kinds=kinds)

    def know(self, other: "Party") -> None:
        if self.members is not None and other.members is not None and other.members.own is not None:
            self.members.add(other.members.own.name, other.members.own.claims)

    def record(self, count: int, now: int) -> None:
        values = {"t": Decimal(200 + count % 90, -1), "h": Decimal(400 + count % 70, -1)}
        self.peer.insert("readings", values, now)


def pair(secured: bool) -> tuple[Party, Party]:
    issuer = Issuer() if secured else None
    keeper, board = Party(True, issuer), Party(False, issuer)
    keeper.know(board)
    board.know(keeper)
    return keeper, board


def meet(keeper: Party, board: Party, known: bytes | None, now: int) -> tuple[int, Greeting | None]:
    """Hold a session that the keeper's side opens; return its bytes, and how it came to keys."""
    greetings: list[Greeting | None] = [None, None]
    if keeper.member is not None and board.member is not None:
        greetings = [
            Greeting(Opening(keeper.member, now, known, keeper.member.gate)),
            Greeting(Answering(board.member, now)),
        ]
    ends = (
        Exchange(keeper.peer, now, central=True, keys=greetings[0]),
        Exchange(board.peer, now, keys=greetings[1]),
    )
    count = 0
    while not all(end.finished for end in ends):
        for at in (0, 1):
            record = ends[at].outgoing(244, now)
            count += len(record)
            if record:
                ends[1 - at].receive(record, now)
            if ends[at].error is not None:
                raise ends[at].error
        now += 5
    return count, greetings[0]


def sessions() -> list[Figure]:
    """A first contact, one that resumes, and 50 readings in each."""
    counts: dict[str, list[int]] = {}
    multiplications = 0
    for name, secured in (("kind_0", False), ("secured", True)):
        keeper, board = pair(secured)
        known = None
        counts[name] = []
        for contact in range(4):
            now = contact * HOUR_MS
            for at in range(READINGS if contact % 2 else 0):
                board.record(at, now + at * MINUTE_MS)
            before = board.p256.multiplications
            size, greeting = meet(keeper, board, known, now + HOUR_MS)
            if contact == 1:
                multiplications = board.p256.multiplications - before
            counts[name].append(size)
            known = None if greeting is None else greeting.channel.remote
    plain, secured_counts = counts["kind_0"], counts["secured"]
    return [
        figure("security.session.first_contact", secured_counts[0], "B", None, {"kind_0": plain[0]}),
        figure("security.session.resumed_contact", secured_counts[2], "B", None, {"kind_0": plain[2]}),
        figure(
            "security.session.bytes_per_reading",
            secured_counts[3] / READINGS,
            "B",
            None,
            {"kind_0": plain[3] / READINGS},
        ),
        # The signature of a seal.
        figure("security.session.multiplications_resumed", multiplications, "1", None),
    ]


def advertised(secured: bool, hours: int = 4) -> tuple[int, int]:
    """Say a reading a minute by advertisements; return frames and bytes, of both engines."""
    keeper, board = pair(secured)
    engines = []
    for at, party in enumerate((keeper, board)):
        state = [at + 1]

        def random(below: int, state: list[int] = state) -> int:
            state[0] = (state[0] * 1_103_515_245 + 12_345) & 0x7FFFFFFF
            return (state[0] >> 8) % max(1, below)

        engines.append(Mesh(party.peer, 0, random=random, role=party.peer.role, key=KEY))
    free = [0, 0]
    frames = size = 0
    now = 0
    readings = 0
    while now < hours * HOUR_MS:
        if readings * MINUTE_MS <= now:
            board.record(readings, now)
            readings += 1
        for at in (0, 1):
            if now < free[at] or engines[at].due(now) > now:
                continue
            said = engines[at].say(now)
            if said is not None:
                payload, connectable, events = said
                frames += events
                size += events * len(payload)
                free[at] = now + 105 * events
                engines[1 - at].heard(bytes((at,)) * 6, -60, payload, now + 1, connectable)
        if engines[0].visit(now) is not None:
            raise AssertionError("a connection")
        now += 20
    held = keeper.peer.log.held(board.peer.author)
    if held < readings or board.peer.receipted(board.peer.author) < held - 64:
        raise AssertionError(f"{held} of {readings}")
    return frames, size


def on_the_air() -> list[Figure]:
    """A reading a minute of two values, one hop, without a connection."""
    plain, secured = advertised(False), advertised(True)
    count = 4 * 60
    return [
        figure(
            "security.air.events_per_reading", secured[0] / count, "1", None, {"kind_0": plain[0] / count}
        ),
        figure("security.air.bytes_per_reading", secured[1] / count, "B", None, {"kind_0": plain[1] / count}),
        figure("security.air.connections", 0, "1", 0, {"kind_0": 0}),
    ]


FIGURES: list[Callable[[], list[Figure]]] = [sessions, on_the_air]
