"""Revocations and issuers go from member to member, and shut out whom they name. Runs on both VMs."""

from crypto_kit import APP, NOW, Issuer
from enrolled_kit import ROOT, Enrolled, meet, next_issuer, revocation
from kit import raises
from mesh_kit import KEY, Air, gradient
from test_crypto_receipts import add

from hedgerow.codec import cbor
from hedgerow.crypto import claims
from hedgerow.crypto.credentials import Trust
from hedgerow.crypto.members import Members
from hedgerow.crypto.resume import Resumable, Resumables
from hedgerow.crypto.words import Word
from hedgerow.errors import HedgerowError
from hedgerow.limits import MAX_WORDS
from hedgerow.memory import MemoryLog
from hedgerow.mesh import pace
from hedgerow.mesh.feed import letter_frames
from hedgerow.mesh.frames import LETTER_DOWN, advertise
from hedgerow.mesh.letters import REVOKED
from hedgerow.sync.hello import GATEWAY, LEAF, RELAY

HEAP = "4m"


def out(other: Enrolled, last: int = 3, at: int = NOW, issuer: Issuer = ROOT) -> bytes:
    """Return the revocation of a member."""
    own = other.members.own.claims
    return revocation(other.identity.author, own.cti, last, issuer, at)


def again(member: Enrolled) -> Members:
    """Return what a member knows after a power cut."""
    log = MemoryLog(member.log.store)
    return Members(log, Trust(member.p256, dict(ROOT.roots), APP, member.mode), member.identity)


def test_a_word_goes_from_member_to_member_and_outlives_a_power_cut() -> None:
    gateway, board, other, thief = Enrolled(1), Enrolled(2, role=LEAF), Enrolled(3, role=RELAY), Enrolled(4)
    own = thief.members.own.claims
    gateway.members.take_word(out(thief))
    for one, two in ((gateway, board), (other, board)):
        assert two.members.stands(own) or one is other
        near, far, count = meet(one, two)
        assert near.error is None and far.error is None and count == 1
    for member in (board, other):
        assert not member.members.stands(own) and member.members.words.all() == [out(thief)]
        kept = again(member)
        assert not kept.trust.stands(own) and kept.words.digest() == gateway.members.words.digest()
        # Nor by a credential that it got before, whose number nobody has named.
        second = claims.Claims(dict(own.values))
        second.cti = b"another!"
        assert not kept.trust.stands(second)
        known = Resumables()
        entry = Resumable(bytes(32), thief.members.own.name, own.cti, bytes(8), NOW + 9, True)
        assert not known.usable(entry, bytes(8), kept.trust)
    # Who has the same words says four bytes.
    assert meet(gateway, other)[2] == 0


def test_a_word_is_verified_once() -> None:
    one, two, thief = Enrolled(11), Enrolled(12), Enrolled(13)
    word = out(thief)
    # What it wrote until now is sealed when they meet.
    meet(one, two)
    one.members.take_word(word)
    two.p256.multiplications = 0
    assert meet(one, two)[2] == 1 and two.p256.multiplications == 2
    for _ in range(3):
        two.members.take_word(word)
        meet(one, two)
    # Less than what is known is not even looked at.
    two.members.take_word(out(thief, 2, NOW + 5))
    assert two.p256.multiplications == 2 and two.members.words.all() == [word]


def test_what_no_issuer_has_signed_changes_nothing() -> None:
    for issuer, code in ((Issuer(9), None), (None, "STATEMENT_INVALID")):
        one, two, victim = Enrolled(21), Enrolled(22, role=LEAF), Enrolled(23)
        word = out(victim, issuer=issuer or ROOT)
        if issuer is None:
            word = word[:-1] + bytes((word[-1] ^ 1,))
        # Who makes it up believes it.
        one.members.words.keep(Word(word, APP))
        _, far, count = meet(one, two)
        assert count == 1 and (far.error and far.error.code) == code
        assert two.members.stands(victim.members.own.claims) and two.members.words.all() == []
        assert again(two).words.all() == []
    raises("STATEMENT_INVALID", two.members.take_word, b"no word")
    odd = [cbor.encode({1: -7, 16: [1]}), {4: ROOT.kid}, cbor.encode({}), bytes(64)]
    raises("STATEMENT_INVALID", two.members.take_word, b"\xd2" + cbor.encode(odd))


class Full(MemoryLog):
    """A log without room."""

    full = True

    def put(self, kind: int, key: bytes, value: bytes) -> None:
        if self.full and key[:4] == b"word":
            raise HedgerowError("LOG_FULL", "for a test")
        MemoryLog.put(self, kind, key, value)


def test_a_full_log_ends_no_session_for_a_word() -> None:
    one, two, thief = Enrolled(25), Enrolled(26, role=LEAF), Enrolled(27)
    one.members.take_word(out(thief))
    log = Full(two.log.store)
    two.members.words._log = log
    near, far, count = meet(one, two)
    assert (near.error, far.error, count) == (None, None, 1) and two.members.words.all() == []
    log.full = False
    assert meet(one, two)[2] == 1 and two.members.words.all() == [out(thief)]


def test_a_number_may_only_be_raised() -> None:
    one, thief = Enrolled(31), Enrolled(32)
    cti = thief.members.own.claims.cti
    for last, at, kept in ((3, NOW, 3), (2, NOW + 9, 3), (7, NOW - 9, 7), (7, NOW - 20, 7)):
        one.members.take_word(out(thief, last, at))
        assert one.members.trust.revoked[cti] == kept
        assert [Word(word, APP).last for word in one.members.words.all()] == [kept]
    one.peer.commit()
    assert again(one).trust.revoked[cti] == 7


def test_who_is_revoked_in_its_own_session_is_out_at_once() -> None:
    board, thief = Enrolled(41, role=LEAF), Enrolled(42)
    thief.members.words.keep(Word(out(thief), APP))
    near, _, _ = meet(board, thief)
    assert near.error is not None and near.error.code == "CREDENTIAL_REVOKED"
    assert not board.members.stands(thief.members.own.claims)


def test_words_of_a_later_issuer_follow_that_of_the_one_before() -> None:
    one, two, thief = Enrolled(51), Enrolled(52, role=LEAF), Enrolled(53)
    later = Issuer(7)
    one.members.take_word(next_issuer(ROOT, later))
    one.members.take_word(out(thief, at=NOW + 1, issuer=later))
    assert meet(one, two)[2] == 2
    assert not two.members.stands(thief.members.own.claims)
    assert later.kid in again(two).trust.roots


def test_no_number_of_revocations_has_an_issuer_forgotten() -> None:
    one, later = Enrolled(55), Issuer(7)
    one.members.take_word(next_issuer(ROOT, later))
    for at in range(MAX_WORDS + 1):
        one.members.take_word(revocation(bytes(8), bytes((at,)) * 8, 0, later, NOW + 1 + at))
    one.peer.commit()
    kept = again(one)
    assert later.kid in kept.trust.roots and len(kept.words.all()) == MAX_WORDS + 1
    # What it says after that is still taken, and one of the places is anew for each.
    kept.take_word(revocation(bytes(8), b"the last", 0, later, NOW + 99))
    assert b"the last" in kept.trust.revoked and len(kept.words.all()) == MAX_WORDS + 1


def field(seed: int) -> tuple:
    """Return an air with a gateway and three enrolled relays in a line, and these peers."""
    air = Air(seed, loss=10)
    peers = [Enrolled(seed + at, role=RELAY if at else GATEWAY) for at in range(4)]
    air.line([add(air, one, GATEWAY if one is peers[0] else RELAY) for one in peers])
    air.run(20000)
    return air, peers


def test_a_revocation_reaches_boards_that_nobody_connects_to() -> None:
    for seed, mode in ((60, gradient), (70, None)):
        air, peers = field(seed)
        thief = Enrolled(seed + 9)
        if mode:
            with mode():
                spread(air, peers, thief)
        else:
            spread(air, peers, thief)


def spread(air: Air, peers: list, thief: Enrolled) -> None:
    peers[0].members.take(b"\x01" + out(thief))
    air.members[0].peer.commit()
    air.look(air.members[0])
    start = air.now
    while [1 for one in peers if one.members.stands(thief.members.own.claims)]:
        assert air.now - start < 200000
        air.run(air.now + 1000)
    for one in peers:
        assert one.members.words.all() == [out(thief)]
    # It is said while it is news, and no more.
    air.run(air.now + 150000)
    letters: list = []
    air.on_sent = lambda _, payload: letters.append(payload[4] & 15 == LETTER_DOWN)
    air.run(air.now + 100000)
    assert True not in letters


def test_false_words_on_the_air_cost_two_multiplications_a_minute() -> None:
    air, peers = field(80)
    one, member = peers[3], air.members[3]
    thief = Enrolled(90)
    true = Word(out(thief), APP).brief()
    one.p256.multiplications = 0
    start = air.now
    for at in range(30):
        air.run(start + 10000 * at)
        # Never the true one, whatever its last byte is.
        false = true[:-1] + bytes((true[-1] ^ (at + 1),))
        for part in letter_frames(member.peer, bytes((REVOKED,)) + false, KEY, LETTER_DOWN):
            member.mesh.heard(b"attack", -60, advertise(part), member.now(air.now))
    assert one.members.stands(thief.members.own.claims)
    assert pace.FALSE_WORD_MS == 60000 and one.p256.multiplications == 2 * 5
