"""90 days without a Big Peer on credentials of 30, with power cuts: expiry ends neither log nor delivery."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "portable"), str(HERE.parent / "portable")]

from crypto_kit import APP, DAY, MODE, NOW  # noqa: E402
from enrolled_kit import ROOT, Enrolled, varint  # noqa: E402

from hedgerow.crypto import claims  # noqa: E402
from hedgerow.crypto.channel import Answering, Member, Opening  # noqa: E402
from hedgerow.crypto.credentials import Trust  # noqa: E402
from hedgerow.crypto.ephemeral import Ephemerals  # noqa: E402
from hedgerow.crypto.greeting import Greeting  # noqa: E402
from hedgerow.crypto.members import Members  # noqa: E402
from hedgerow.crypto.resume import Resumables  # noqa: E402
from hedgerow.memory import MemoryLog  # noqa: E402
from hedgerow.operation import decode_body  # noqa: E402
from hedgerow.peer import Peer  # noqa: E402
from hedgerow.sync.exchange import Exchange  # noqa: E402
from hedgerow.sync.hello import GATEWAY, RELAY  # noqa: E402

DAY_MS = 1000 * DAY
DAYS = 90
A_DAY = 6


class Lasting(Enrolled):
    """An enrolled peer that meets others with real keys, and loses its power now and then."""

    def __init__(self, seed: int, keeper: bool = False, role: int = GATEWAY) -> None:
        super().__init__(seed, keeper=keeper, role=role, kinds=claims.KEEPS if keeper else 0)
        self.role = role
        self.since = 0
        self.met: bytes | None = None
        self.resumables = Resumables()

    def cut(self, at: int) -> None:
        """Begin anew with what is durable."""
        own = self.members.own
        self.log = MemoryLog(self.log.store)
        trust = Trust(self.p256, dict(ROOT.roots), APP, MODE)
        self.members = Members(self.log, trust, self.identity, self.sealed_under)
        self.members.enrol(own)
        self.peer = Peer(self.log, 0, role=self.role, mesh=b"msh", members=self.members)
        self.since = at
        self.met = None
        self.resumables = Resumables()

    def now(self, at: int) -> int:
        return at - self.since

    def member(self) -> Member:
        own = self.identity.own(self.members.own)
        member = Member(own, Ephemerals(self.p256), self.members.trust, None, self.p256.random, MODE)
        member.resumables = self.resumables
        return member


def meet(one: Lasting, two: Lasting, at: int) -> None:
    """Hold a session with keys to its end."""
    opening = Greeting(Opening(one.member(), one.now(at), one.met))
    answering = Greeting(Answering(two.member(), two.now(at)))
    sides = (
        Exchange(one.peer, one.now(at), central=True, keys=opening),
        Exchange(two.peer, two.now(at), keys=answering),
    )
    while not all(side.finished for side in sides):
        for index, member in ((0, one), (1, two)):
            while record := sides[index].outgoing(1200, member.now(at)):
                sides[1 - index].receive(record, (two, one)[index].now(at))
        at += 5
        for side in sides:
            assert side.error is None, side.error
    one.met = opening.channel.remote


def tell(one: Lasting, *others: Lasting) -> None:
    """Have one keep the credentials of others."""
    for place, other in enumerate(others, 1):
        one.members.take(varint(place) + other.members.own.value)
    one.peer.commit()


def test_90_days_apart_with_credentials_of_30_lose_nothing() -> None:
    keeper, gateway, board = Lasting(1, keeper=True), Lasting(2), Lasting(3, role=RELAY)
    tell(keeper, gateway, board)
    tell(gateway, keeper, board)
    tell(board, keeper, gateway)
    author = board.identity.author
    handshakes = 0
    for day in range(DAYS):
        at = day * DAY_MS
        if day % 7 == 6:
            for one in (gateway, board):
                one.cut(at)
        for count in range(A_DAY):
            board.put("readings", None, {"n": day * A_DAY + count})
        handshakes += gateway.met is None
        meet(gateway, board, at + DAY_MS // 2)
    assert gateway.log.held(author) == board.log.held(author) and board.peer.receipted(author) == 0
    assert handshakes == 1 + DAYS // 7
    # Whoever has the time sees that all of them have ended long since.
    at = DAYS * DAY_MS
    keeper.renew(None, NOW + DAYS * DAY)
    tell(gateway, keeper)
    tell(board, keeper)
    for one in (gateway, board):
        assert keeper.members.own.claims.issued > one.members.own.claims.expires
        assert one.members.trust.expired(one.members.own)
    meet(gateway, keeper, at)
    assert keeper.log.held(author) == keeper.log.sealed(author) == board.log.held(author)
    meet(gateway, board, at + 60_000)
    assert board.peer.receipted(author) == board.log.held(author)
    # Renewed, it goes on; what it wrote in between stays good.
    value = board.renew(None, NOW + DAYS * DAY)
    for one in (keeper, gateway):
        one.members.take(varint(9) + value)
    for count in range(A_DAY):
        board.put("readings", None, {"n": DAYS * A_DAY + count})
    gateway.met = None
    meet(gateway, board, at + 120_000)
    meet(gateway, keeper, at + 180_000)
    numbers = set()
    for number in range(1, board.log.held(author) + 1):
        stored = keeper.log.fetch(author, number)
        assert stored is not None
        for change in decode_body(stored)[1]:
            schema = keeper.peer.schemas.get(change[1])
            assert keeper.members.why_not(author, number, change, schema) == ""
            if schema is not None:
                numbers.add(schema.unpack(change[3])["n"])
    assert numbers == set(range((DAYS + 1) * A_DAY))
    assert keeper.log.sealed(author) == board.log.held(author)
