"""What strangers and other members say to an enrolled gateway, and what a revoked key may do."""

from crypto_kit import APP, NOW, Issuer, finish
from enrolled_kit import ROOT, Agreed, Enrolled, entries, hand, revocation, varint
from kit import raises

from hedgerow.clock import hlc
from hedgerow.codec import cbor
from hedgerow.codec.varint import read_uint
from hedgerow.crypto import claims, cose, signer
from hedgerow.crypto.credentials import Credential
from hedgerow.crypto.members import ISSUER, Members
from hedgerow.custody.receipt import Receipt
from hedgerow.memory import MemoryLog
from hedgerow.sync import frames
from hedgerow.sync.exchange import Exchange
from hedgerow.sync.hello import KEEPER, LEAF, Hello
from hedgerow.sync.session import Session
from hedgerow.trust.lost import make_lost
from hedgerow.trust.seal import (
    NO_CREDENTIAL,
    NO_SEAL,
    SEAL_HASH,
    SEAL_SIGNED,
    Seal,
    names_holder,
    seal_hash,
)
from hedgerow.trust.verify import twin

HEAP = "1200k"
BIG = b"bigpeer!"


_CLAIMS = Credential(ROOT.credential(ROOT.public, AUTHOR=BIG)).claims.values


# What the other side of the last session was told.
TOLD: list = []


def talk(gateway: Enrolled, hello: Hello, kinds: int | None, *said: tuple) -> Exchange:
    """Hold a session with the gateway: its other side greets so, and says these frames."""
    said_of = dict(_CLAIMS)
    said_of[claims.KINDS] = kinds
    said_of[claims.AUTHOR] = hello.author
    keys = None if kinds is None else Agreed(claims.Claims(said_of))
    exchange = Exchange(gateway.peer, 0, linger_ms=0, central=True, keys=keys)
    other = Session(hello, 0)
    TOLD.clear()
    for frame in said:
        other.queue(*frame)
    for _ in range(4):
        while record := exchange.outgoing(1200, 0):
            TOLD.extend(other.receive(record, 0))
        while record := other.outgoing(1200, 0):
            exchange.receive(record, 0)
    return exchange


def test_receipts_and_statements_count_from_who_has_shown_to_be_a_keeper() -> None:
    gateway = Enrolled(1)
    gateway.put("cars", 1, {"color": "red"})
    gateway.peer.seal(0)
    author = gateway.identity.author
    receipt = (frames.RECEIPT, Receipt(BIG, 1, author, 2).encode())
    statement = (frames.STATEMENT, varint(1 << 40) + revocation(author, bytes(8), 0, Issuer(9)))
    for role, kinds in ((LEAF, None), (KEEPER, None), (LEAF, 0)):
        exchange = talk(gateway, Hello(b"msh", BIG, role=role, incarnation=7), kinds, statement, receipt)
        assert exchange.remote is not None and exchange.error is None
        assert gateway.members.position == 0 and gateway.peer.receipted(author) == 0
        assert gateway.peer.ledger.incarnation(BIG) == 0
    talk(gateway, Hello(b"msh", BIG, role=KEEPER, incarnation=1), claims.KEEPS, statement, receipt)
    assert gateway.members.position == 1 << 40 and gateway.peer.receipted(author) == 2


def test_a_keeper_that_was_put_back_is_asked_from_the_start() -> None:
    gateway = Enrolled(14)
    members = gateway.members

    def asked(incarnation: int, *said: tuple) -> int:
        there = Hello(b"msh", BIG, role=KEEPER, incarnation=incarnation)
        assert talk(gateway, there, claims.KEEPS, *said).error is None
        (asks,) = [value for kind, value in TOLD if kind == frames.STATEMENTS]
        return read_uint(asks, 0)[0]

    def say(place: int, number: int) -> tuple:
        return frames.STATEMENT, varint(place) + revocation(bytes([number]) * 8, bytes([number]) * 8, 0)

    assert asked(1, say(119, 1), say(120, 2)) == 0 and asked(1) == 120
    # It has had 100 again, and given 101 to 125 to others.
    assert asked(2, say(101, 3), say(121, 4)) == 0 and asked(2) == 121
    assert asked(1) == 0, "nor does that say anything to the one before"
    assert len(members.trust.revoked) == 4
    gateway.peer.commit()
    again = Members(MemoryLog(gateway.log.store), members.trust, gateway.identity)
    assert again.position == 121 and again.asking(2) == varint(121)


def test_whoever_holds_a_revoked_key_is_out_with_all_its_credentials() -> None:
    for late in (False, True):
        one, two = Enrolled(3), Enrolled(4)
        first = one.members.own
        second = Credential(one.renew(None, NOW + 5))
        said = [first.value, second.value, revocation(one.identity.author, first.claims.cti, 3)]
        for place, body in enumerate(said[::-1] if late else said):
            two.members.take(varint(place + 1) + body)
        assert not two.members.trust.stands(first.claims) and not two.members.trust.stands(second.claims)
        assert two.members.trust.stands(two.members.own.claims)


def test_an_author_stays_with_the_key_that_it_was_known_with() -> None:
    one, thief, two = Enrolled(5), Enrolled(6), Enrolled(7)
    author = one.identity.author
    mine = one.members.own
    keys = {"SEALING_KEY": thief.identity.sealing, "AUTHOR": author}
    false = Credential(ROOT.credential(thief.identity.agreement, IAT=NOW + 1, **keys))
    assert two.members.add(mine.name, mine.claims) and not two.members.add(false.name, false.claims)
    message = b"some words"
    assert two.members.check_word(author, message, one.members.sign(message))
    assert not two.members.check_word(author, message, thief.members.sign(message))
    assert raises("CREDENTIAL_UNKNOWN", two.members.holds, author, false.name)


def test_a_seal_under_a_credential_without_a_sealing_key_is_nobodys() -> None:
    one, two = Enrolled(8), Enrolled(9)
    bare = Credential(ROOT.credential(one.identity.agreement, AUTHOR=one.identity.author))
    two.members.add(bare.name, bare.claims)
    assert not two.members.check_seal(one.identity.author, bare.name, b"signed", bytes(64))


def test_the_next_issuer_is_learnt_from_the_one_before() -> None:
    one, board = Enrolled(10), Enrolled(11)
    after = Issuer(2)
    chain = issuer(ROOT, after)
    keys = {"SEALING_KEY": board.identity.sealing, "AUTHOR": board.identity.author}
    later = after.credential(board.identity.agreement, **keys)
    one.members.take(varint(1) + issuer(Issuer(12), Issuer(13)))
    one.members.take(varint(2) + later)
    assert not one.members.knows(board.identity.author), "nobody known has named that issuer"
    one.members.take(varint(3) + chain)
    one.members.take(varint(4) + later)
    assert one.members.knows(board.identity.author) and one.members.position == 4
    assert len(one.members.trust.roots) == 2
    for wrong in ({1: {1: 2, -1: 1, -2: b"short", -3: True}}, 5, None):
        assert raises("STATEMENT_INVALID", one.members.take, varint(5) + issuer(ROOT, after, wrong))


def issuer(before: Issuer, after: Issuer, key: object = 0) -> bytes:
    """Return the word of one issuer about the next."""
    values = {claims.ISS: APP, claims.IAT: NOW, claims.CNF: claims.key_of(after.public) if key == 0 else key}
    return finish(signer.sign1(before.p256, before.private, cbor.encode(values), before.kid, ISSUER))


def test_the_name_of_a_key_is_bytes() -> None:
    for kid in ([1], {}, "text", 5):
        parts = cbor.decode(ROOT.credential(ROOT.public)[1:])
        parts[1] = {4: kid}
        assert raises("COSE_INVALID", cose.Sign1, b"\xd2" + cbor.encode(parts))


def test_behind_a_loss_a_seal_names_at_least_its_author() -> None:
    one, relay, keeper = Enrolled(14), Enrolled(15), Enrolled(16, keeper=True)
    author = one.identity.author
    number = one.put("cars", 1, {"color": "red"})
    one.peer.seal(0)
    seal = Seal.decode(entries(one)[-1][3])
    for peer in (one, relay):
        keeper.members.add(peer.members.own.name, peer.members.own.claims)
    lost = make_lost(author, number, number, 0, hlc.wire(one.peer.clock.last), None, None, one.members)
    hand(one, keeper, 1)
    keeper.peer.ingest_skip(author, lost)
    for credential, kind in ((NO_CREDENTIAL, SEAL_HASH), (relay.members.own.name, SEAL_SIGNED)):
        parts = [1, seal.first, seal.last, credential, seal.previous, kind, seal.signature]
        assert not names_holder(author, Seal(*parts[1:]), keeper.members)
        assert raises("SEAL_INVALID", keeper.peer.ingest_seal, author, cbor.encode(parts))
    keeper.peer.ingest_seal(author, entries(one)[-1][3])
    assert keeper.log.sealed(author) == number


def test_a_lost_range_names_the_seal_before_it_by_either_of_its_signatures() -> None:
    one, keeper = Enrolled(17), Enrolled(18, keeper=True)
    author = one.identity.author
    one.put("cars", 1, {"color": "red"})
    one.peer.seal(0)
    number = one.log.held(author)
    seal = entries(one)[-1][3]
    keeper.members.add(one.members.own.name, one.members.own.claims)
    hand(one, keeper, number)
    # A relay has written the other one.
    keeper.peer.ingest_seal(author, twin(seal))

    def lost(previous: bytes) -> bytes:
        stamp = hlc.wire(one.peer.clock.last)
        return make_lost(author, number + 1, number + 3, 0, stamp, None, previous, one.members)

    for wrong in (NO_SEAL, bytes(15) + b"\1"):
        assert raises("SKIP_INVALID", keeper.peer.ingest_skip, author, lost(wrong))
    keeper.peer.ingest_skip(author, lost(seal_hash(seal)))
    assert keeper.log.held(author) == number + 3


def test_before_the_keys_a_farewell_says_nothing_of_us() -> None:
    from crypto_kit import member

    from hedgerow.crypto.channel import Answering
    from hedgerow.crypto.greeting import Greeting

    big = member(4, ROOT, ROOT.roots, False, AUTHOR=BIG)
    session = Session(Hello(b"msh", BIG, name="the cellar"), 0, Greeting(Answering(big, 0)))
    session.close("SYNC_BUSY")
    said = bytes(session.outgoing(1200, 0))
    assert b"SYNC_BUSY" in said and BIG not in said and b"the cellar" not in said
