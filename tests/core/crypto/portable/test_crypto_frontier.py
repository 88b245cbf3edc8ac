"""Whose word a stability frontier is, where peers have credentials (SPEC 5.11.5). Runs on both VMs."""

from crypto_kit import NOW
from enrolled_kit import Agreed, Enrolled, hand

from hedgerow.codec.schema import GRANTS, KEEP, schema_for
from hedgerow.crypto import claims
from hedgerow.crypto.credentials import Credential
from hedgerow.custody.frontier import Frontier
from hedgerow.limits import MAX_NUMBER
from hedgerow.operation import INSERT, SOURCE_KEEPER
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


def shown(
    kinds: int, known: bool, by: str = "keeper", position: int = 1 << 40, foreign: bool = False
) -> tuple:
    """The documents of a subscriber to whom a member of these kinds has said a frontier that it made up, and
    what it has after the next session with the keeper; `known`: it follows that keeper already, or with
    `foreign` another one; `by`: whose signature the frontier has.
    """
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
    if foreign or not known:
        named = b"nobody.."
    said = Frontier(named, 1, position, {author.identity.author: MAX_NUMBER})
    signer = {"keeper": keeper, "member": evil}.get(by)
    if signer is not None:
        said.signature = signer.members.sign(said.signed())
    if by == "altered":
        said.signature = keeper.members.sign(Frontier(named, 1, 1 << 39, said.numbers).signed())
    session(victim, evil, said)
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


def test_a_gateway_passes_on_what_the_keeper_has_signed() -> None:
    assert shown(claims.GIVES_TIME, True)[0] == []


def test_what_a_gateway_makes_up_is_nobodys_word() -> None:
    """SPEC 5.11.6."""
    for by in ("member", "altered", ""):
        for known in (False, True):
            assert shown(claims.GIVES_TIME, known, by) == ([0, 1, 2], [0, 1, 2, 3, 4, 5]), (by, known)
    # It need not be later than the one that is known, nor of that keeper.
    for position, foreign in ((3, False), (3, True), (1 << 40, True)):
        found = shown(claims.GIVES_TIME, True, "", position, foreign)
        assert found == ([0, 1, 2], [0, 1, 2, 3, 4, 5]), (position, foreign)
    # Nor is it of a member that the named keeper's name has, and not its kind.
    assert shown(claims.GIVES_TIME, False) == ([0, 1, 2], [0, 1, 2, 3, 4, 5])


def test_a_keeper_stays_one_whatever_else_is_issued_to_its_author() -> None:
    """A delegate may sign a later credential for any author whose keys it has seen, of no kind."""
    keeper, reader = Enrolled(11, keeper=True, role=KEEPER, kinds=claims.KEEPS), Enrolled(13)
    reader.members.add(keeper.members.own.name, keeper.members.own.claims)
    said = Frontier(keeper.identity.author, 1, 3, {keeper.identity.author: 1})
    said.signature = keeper.members.sign(said.signed())
    pair = reader.members.pair_of(keeper.identity.author)
    schema = schema_for(GRANTS, KEEP, {"keys": b""})
    change = [INSERT, schema.name, reader.identity.author, [b""]]
    keeper.kinds = 0
    value = keeper.renew(None, NOW + 60)
    later = Credential(value)
    reader.members.add(later.name, later.claims)
    assert reader.members.holder(keeper.identity.author).kinds == 0
    assert reader.members.proves_frontier(said)
    assert pair and reader.members.pair_of(keeper.identity.author) == pair
    assert reader.members.why_not(keeper.identity.author, 1, change, schema) == ""
    assert reader.members.why_not(reader.identity.author, 1, change, schema) == "WRITE_FORBIDDEN"


def test_who_passes_over_a_frontier_asks_as_before_until_it_is_signed() -> None:
    """Else who was away while a keeper that signs nothing yet collected would never hear what was deleted."""
    keeper, author, reader = (
        Enrolled(11, keeper=True, role=KEEPER, kinds=claims.KEEPS), Enrolled(12), Enrolled(13)
    )  # fmt: skip
    for one in (keeper, author, reader):
        for other in (keeper, author, reader):
            if one is not other:
                one.members.add(other.members.own.name, other.members.own.claims)
    author.put("cars", 1, {"color": "blue"})
    author.peer.seal(0)
    hand(author, keeper)
    interest = interest_of("SELECT * FROM cars", {}, 0)
    reader.peer.down.subscriptions.subscribe(interest)
    reader.peer.may_want = True
    said = Frontier(keeper.identity.author, 1, 3, {author.identity.author: 1})

    def heard() -> int:
        session(reader, keeper, said)
        name = keeper.identity.author
        return reader.peer.down.subscriptions.position(name, keeper.log.incarnation, interest.key)

    assert heard() == 0 and reader.show("cars") == [1]
    said.signature = keeper.members.sign(said.signed())
    assert heard() > 0 and reader.show("cars") == [1]


def test_a_keeper_signs_what_it_says() -> None:
    keeper, reader = Enrolled(11, keeper=True, role=KEEPER, kinds=claims.KEEPS), Enrolled(13)
    keeper.put("cars", 1, {"color": "blue"})
    keeper.peer.set_time(1 << 39, 5, SOURCE_KEEPER, 0)
    assert keeper.peer.down.advance(0, 0)
    said = Frontier.decode(keeper.peer.down.frontier.encode())
    assert len(said.signature) == 64 and not reader.members.proves_frontier(said)
    reader.members.add(keeper.members.own.name, keeper.members.own.claims)
    assert reader.members.proves_frontier(said)
    said.numbers = {keeper.identity.author: 9}
    assert not reader.members.proves_frontier(said)
