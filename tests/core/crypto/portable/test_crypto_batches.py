"""Batches of receipts as letters: a keeper's word that acts everywhere, once an hour. Runs on both VMs."""

from crypto_kit import APP, NOW, finish
from enrolled_kit import Enrolled
from kit import raises
from mesh_kit import KEY, Air, gradient
from test_crypto_receipts import add, know
from ways_kit import hear, op, relay, take

from hedgerow import limits
from hedgerow.crypto import claims
from hedgerow.crypto.batches import Batch, unfold_batch
from hedgerow.crypto.signer import sign_batch
from hedgerow.custody.receipt import Receipt
from hedgerow.mesh import frames
from hedgerow.mesh.feed import letter_frames
from hedgerow.mesh.letters import BATCH
from hedgerow.mesh.tells import encode_receipt
from hedgerow.sync.hello import GATEWAY, RELAY

HEAP = "4m"
_APART = 3000


def keeper_of(seed: int) -> Enrolled:
    return Enrolled(seed, keeper=True, kinds=claims.KEEPS)


def signed(keeper: Enrolled, entries: list, moment: int = NOW) -> bytes:
    """Return the batch in which a keeper says of each author up to which number it holds it."""
    own = keeper.identity
    receipts = [Receipt(own.author, 1, author, number) for author, number in entries]
    return finish(sign_batch(own.p256, own.keys[32:64], own.sealing, APP, moment, receipts))


def test_a_batch_is_folded_into_a_letter_and_is_the_same_again() -> None:
    keeper = keeper_of(301)
    known = [(bytes(8), keeper.identity.sealing), (keeper.identity.author, keeper.identity.sealing)]
    entries = [(bytes((at,)) * 8, 1 << 7 * at) for at in range(4)]
    data = signed(keeper, entries)
    brief = Batch(data, APP).fold()
    assert len(brief) <= limits.MAX_FOLDED and len(letter_frames(keeper.peer, b"\x0a" + brief, KEY)) <= 8
    batch, sealing = unfold_batch(brief, APP, known)
    assert batch.data == data and sealing == keeper.identity.sealing
    finish(batch.verify(keeper.p256, sealing))
    assert unfold_batch(brief, APP, known[:1]) is None
    assert Batch(signed(keeper, entries + [(b"\x09" * 8, 1 << 21)]), APP).fold() == b""
    for at in range(4, len(brief), 30):
        false = brief[:at] + bytes((brief[at] ^ 1,)) + brief[at + 1 :]
        raises("RECEIPT_INVALID", verified, keeper, false, known)
    for count in (0, 40, 73, len(brief) - 1, len(brief) + 1):
        raises("RECEIPT_INVALID", verified, keeper, (brief + bytes(1))[:count], known)


def verified(keeper: Enrolled, brief: bytes, known: list) -> None:
    batch, sealing = unfold_batch(brief, APP, known)
    finish(batch.verify(keeper.p256, sealing))


def row(seed: int) -> tuple:
    """Return (air, a keeper away from it, [gateway, two relays that hold an author], that author)."""
    air = Air(seed, loss=10)
    keeper = keeper_of(seed)
    ends = [Enrolled(seed + 1), Enrolled(seed + 2, role=RELAY), Enrolled(seed + 3, role=RELAY)]
    for one in ends:
        know(one, keeper)
    members = [add(air, one, role) for one, role in zip(ends, (GATEWAY, RELAY, RELAY))]
    air.line(members)
    away = air.add("away")
    body = away.peer.log.fetch(away.author, 1)
    for member in members[1:]:
        for at in range(1, 5):
            member.peer.log.append(0, away.author, at, at, body)
    air.run(20000)
    return air, keeper, members, away.author


def letters_of(air: Air) -> list:
    """Note who says fragments down from now on."""
    said: list = []

    def sent(member: object, payload: bytes) -> None:
        if payload[frames.find(payload)] & 0x0F == frames.LETTER_DOWN:
            said.append((member, payload[frames.find(payload) + 4 :]))

    air.on_sent = sent
    return said


def test_all_go_by_what_a_gateway_was_told_once_an_hour() -> None:
    air, keeper, (gateway, near, far), author = row(311)
    said = letters_of(air)

    def tell(number: int, moment: int) -> None:
        assert gateway.peer.members.take_batch(signed(keeper, [(author, number)], moment), gateway.peer)
        gateway.peer.commit()
        air.look(gateway)
        air.run(air.now + 120_000)

    tell(2, NOW)
    assert (near.peer.receipted(author), far.peer.receipted(author)) == (2, 2)
    assert near.mesh.visits.ways.alive_at > 20_000 < far.mesh.visits.ways.alive_at
    for member in (gateway, near, far):
        count = len([1 for one, _ in said if one is member])
        assert 1 <= count <= 4 * len({fragment for one, fragment in said if one is member})
    # Neither an older one nor the next before its time is said; what it says comes with the next.
    del said[:]
    for moment in (NOW - _APART, NOW, NOW + _APART - 1):
        tell(3, moment)
    assert not said and far.peer.receipted(author) == 2
    tell(4, NOW + _APART)
    assert said and far.peer.receipted(author) == 4


def test_what_no_keeper_has_signed_is_not_passed_on() -> None:
    air, keeper, (_, near, far), author = row(321)
    said = letters_of(air)
    brief = Batch(signed(keeper, [(author, 3)]), APP).fold()
    unknown = Batch(signed(keeper_of(322), [(author, 3)]), APP).fold()

    def tell(content: bytes) -> None:
        for part in letter_frames(near.peer, bytes((BATCH,)) + content, KEY, frames.LETTER_DOWN):
            near.mesh.heard(b"evil", -60, frames.advertise(part), near.now(air.now))
        air.look(near)
        air.run(air.now + 10_000)

    alive = near.mesh.visits.ways.alive_at
    tell(brief[:-1] + bytes((brief[-1] ^ 1,)))
    assert near.mesh.stats["false"] == 1
    tell(unknown)
    # It costs two multiplications a minute at most.
    tell(brief[:-2] + bytes((brief[-2] ^ 1,)) + brief[-1:])
    assert near.mesh.stats["false"] == 1 and not said
    assert near.mesh.visits.ways.alive_at == alive and not near.peer.receipted(author)
    air.run(air.now + 60_000)
    tell(brief)
    assert (near.peer.receipted(author), far.peer.receipted(author)) == (3, 3)


class _Told:
    """Of members, what the engine asks for."""

    def __init__(self) -> None:
        self.fresh: list = []
        self.said: list = [(bytes(80), [(b"author-1", 4)])]


def test_a_relay_lets_go_of_what_a_batch_covers() -> None:
    with gradient():
        mesh = relay(3)
        for number in (4, 5):
            hear(mesh, b"far", op(4, 0, number), 1000)
        take(mesh, 1000)
        assert mesh.custody.count() == 2
        mesh.peer.members = _Told()
        mesh._say_words(14_000)
        left = [frame for _, frame, own in mesh.custody.step(60_000, 4) if not own]
        assert [frame[7] << 8 | frame[8] for frame in left] == [5]


def swallowed(seed: int, told: bool) -> tuple:
    """Return (how many are no way, whether all arrived) for a board beside one that claims to be next to a
    keeper, passes nothing on, and makes receipts up; `told`: batches come by others.
    """
    with gradient():
        air = Air(seed, loss=0, duty=100)
        keeper = keeper_of(seed)
        boards = [Enrolled(seed + at, role=RELAY) for at in range(1, 3)]
        for one in boards:
            know(one, keeper)
            know(keeper, one)
        top = add(air, keeper, GATEWAY)
        honest, far = [add(air, one, RELAY) for one in boards]
        evil = air.add("evil")
        air.line([top, honest, far, evil])
        says = evil.mesh.say

        def say(now: int) -> object:
            while (said := says(now)) is not None:
                if said[0][frames.find(said[0])] & 0x0F in (frames.STATE, frames.ACK):
                    return said
            return None

        evil.mesh.say = say
        evil.mesh.visits.ways.rank = lambda now: None
        evil.peer.way = 0
        air.run(300_000)
        assert far.mesh.code == 1
        air.reading(far)
        far.peer.seal(far.now(air.now))
        air.look(far)
        for hour in range(5):
            for half in range(2):
                air.run(air.now + 1_800_000)
                body = encode_receipt(b"keep", 1, b"som", 10 + 2 * hour + half, bytes(8))
                hear(
                    far.mesh,
                    b"evil2",
                    frames.make(frames.RECEIPT, far.peer.mesh, body, KEY),
                    far.now(air.now),
                )
            if told:
                keeper.members._say(Batch(signed(keeper, [(b"author-1", 1)], NOW + 3600 * hour), APP))
                top.peer.commit()
                air.look(top)
        return far.mesh.stats["barren"], top.peer.log.held(far.author) == far.peer.log.held(far.author)


def test_who_brings_no_receipt_is_judged_by_what_a_keeper_has_signed() -> None:
    assert swallowed(331, True) == (1, True)
    # What anybody can make up shuts nobody out.
    assert swallowed(331, False) == (0, False)
