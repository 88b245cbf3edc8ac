"""The group key goes from member to member in sessions, never back, to nobody that is out. On both VMs."""

from crypto_kit import APP, NOW, Issuer, finish
from enrolled_kit import ROOT, Enrolled, meet
from kit import raises
from test_crypto_words import out

from hedgerow.codec import cbor
from hedgerow.crypto import claims, cose
from hedgerow.crypto.words import GROUP, Word, Words
from hedgerow.log import STATE_CONFIG
from hedgerow.mesh.group import Group, LogStore
from hedgerow.sync.hello import LEAF, RELAY

HEAP = "4m"
BASE = bytes(range(32))


def word(epoch: int, at: int = NOW, issuer: Issuer = ROOT, app: str = APP, key: bytes = b"") -> bytes:
    values = {
        claims.ISS: app,
        claims.IAT: at,
        claims.EPOCH: epoch,
        claims.GROUP_KEY: key or bytes((epoch & 255,)) * 32,
    }
    return finish(cose.sign1(issuer.p256, issuer.private, cbor.encode(values), issuer.kid, GROUP))


def member(seed: int, role: int = RELAY) -> Enrolled:
    """A member with a store of group keys."""
    made = Enrolled(seed, role=role)
    members = made.members
    members.group = Group(BASE, LogStore(made.log, STATE_CONFIG))
    members.words = Words(made.log, members.trust, made.identity.p256, members.group)
    return made


def test_the_newest_key_goes_from_member_to_member_and_outlives_a_power_cut() -> None:
    gateway, board, other = member(1), member(2, LEAF), member(3)
    for epoch in (1, 2, 5):
        gateway.members.take_word(word(epoch))
    for one, two in ((gateway, board), (other, board)):
        near, far, _ = meet(one, two)
        assert near.error is None and far.error is None
    for known in (board, other):
        group = known.members.group
        assert (group.epoch, group.key, group.before) == (5, b"\5" * 32, BASE)
        kept = Group(BASE, LogStore(known.log, STATE_CONFIG))
        assert (kept.epoch, kept.key, kept.statement) == (5, group.key, word(5))
        assert known.members.words.all() == [word(5)]
    # Who has the same says four bytes.
    assert meet(gateway, other)[2] == 0


def test_an_epoch_never_goes_back() -> None:
    one, two = member(11), member(12)
    one.members.take_word(word(3))
    two.members.take_word(word(4))
    multiplications = two.p256.multiplications
    for stale in (word(3), word(1), word(4), word(3, NOW + 9)):
        two.members.take_word(stale)
    assert two.members.group.epoch == 4 and two.p256.multiplications == multiplications
    meet(one, two)
    assert one.members.group.epoch == two.members.group.epoch == 4
    # The same key, signed by a later issuer, is no other epoch: frames go on as they were.
    before = two.members.group.before
    two.members.take_word(word(4, NOW + 1))
    assert two.members.group.statement == word(4, NOW + 1) and two.members.group.before == before
    two.members.group.settle()
    two.members.take_word(word(4, NOW + 2))
    assert two.members.group.before is None


def test_what_no_issuer_has_signed_is_no_key() -> None:
    one = member(21)
    one.members.take_word(word(1, issuer=Issuer(9)))
    raises("STATEMENT_INVALID", one.members.take_word, word(1)[:-1] + b"\0")
    raises("STATEMENT_INVALID", one.members.take_word, word(1, app="another"))
    for odd in (word(0), word(1 << 30), word(1, key=bytes(31)), word(1, at=1 << 40)):
        raises("STATEMENT_INVALID", one.members.take_word, odd)
    assert one.members.group.epoch == 0 and one.members.group.key == BASE
    # Of a member without a mesh of boards it is none of its business.
    plain = Enrolled(22)
    plain.members.take_word(word(1))
    assert plain.members.words.all() == [] and Word(word(1), APP).epoch == 1


def test_who_is_out_gets_no_key() -> None:
    gateway, thief = member(31), member(32)
    gateway.members.take_word(word(1))
    meet(gateway, thief)
    gateway.members.take_word(out(thief))
    gateway.members.take_word(word(2))
    near, far, _ = meet(gateway, thief)
    assert near.error or far.error
    assert thief.members.group.epoch == 1


def test_the_keys_of_another_app_are_forgotten() -> None:
    one = member(41)
    one.members.take_word(word(7))
    trust = one.members.trust
    trust.app = "another"
    group = Group(BASE, LogStore(one.log, STATE_CONFIG))
    assert group.epoch == 7
    Words(one.log, trust, one.identity.p256, group)
    assert group.epoch == 0 and group.key == BASE and Group(BASE, LogStore(one.log, STATE_CONFIG)).epoch == 0
