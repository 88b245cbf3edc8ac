"""Whose word a stability frontier is, where peers have credentials (SPEC 5.11.5). Runs on both VMs."""

from enrolled_kit import Agreed, Enrolled, hand

from hedgerow.crypto import claims
from hedgerow.custody.frontier import Frontier
from hedgerow.limits import MAX_NUMBER
from hedgerow.subscribe import interest_of
from hedgerow.sync import frames
from hedgerow.sync.exchange import Exchange
from hedgerow.sync.hello import KEEPER

HEAP = "1200k"


def session(one: Enrolled, two: Enrolled, said: Frontier | None = None) -> None:
    """Let two members talk; the second says a frontier besides."""
    sides = [
        Exchange(member.peer, 0, central=at == 0, keys=Agreed(other.members.own.claims))
        for at, (member, other) in enumerate(((one, two), (two, one)))
    ]
    for _ in range(60):
        for at in range(2):
            if said is not None and at and sides[1].remote is not None:
                sides[1].session.queue(frames.FRONTIER, b"\1" + said.encode())
                said = None
            record = sides[at].outgoing(400, 0)
            if record:
                sides[1 - at].receive(record, 0)
    assert said is None and not sides[0].error


def shown(kinds: int, known: bool) -> tuple:
    """The documents of a subscriber to whom a member of these kinds has said a frontier that it made up, and
    what it has after the next session with the keeper; `known`: it follows that keeper already."""
    keeper = Enrolled(11, keeper=True, role=KEEPER, kinds=claims.KEEPS)
    author, victim, evil = Enrolled(12), Enrolled(13), Enrolled(14, kinds=kinds)
    everyone = (keeper, author, victim, evil)
    for one in everyone:
        for other in everyone:
            if one is not other:
                one.members.add(other.members.own.name, other.members.own.claims)
    for number in range(3):
        author.put("cars", number, {"color": "blue"})
    author.peer.seal(0)
    hand(author, keeper)
    victim.peer.down.subscriptions.subscribe(interest_of("SELECT * FROM cars", {}, 0))
    victim.peer.may_want = True
    session(victim, keeper)
    assert victim.show("cars") == [0, 1, 2]
    named = keeper.identity.author
    if known:
        victim.peer.down.pass_frontier(Frontier(named, 1, 3, {author.identity.author: 1}), False)
    else:
        named = b"nobody.."
    session(victim, evil, Frontier(named, 1, 1 << 40, {author.identity.author: MAX_NUMBER}))
    after = victim.show("cars")
    for number in range(3, 6):
        author.put("cars", number, {"color": "red"})
    author.peer.seal(0)
    hand(author, keeper)
    session(victim, keeper)
    return after, victim.show("cars")


def test_who_only_records_is_not_believed_what_everybody_was_told() -> None:
    for known in (False, True):
        assert shown(0, known) == ([0, 1, 2], [0, 1, 2, 3, 4, 5]), known


def test_a_gateway_passes_a_frontier_on() -> None:
    """Whoever may tell the time may tell this: what it makes up does harm, as SECURITY.md says."""
    assert shown(claims.GIVES_TIME, True)[0] == []
