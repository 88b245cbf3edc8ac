"""The group key goes from member to member in sessions, never back, to nobody that is out. On both VMs."""

from crypto_kit import APP, DAY, NOW, Issuer, finish
from enrolled_kit import ROOT, Enrolled, meet, next_issuer, varint
from kit import raises
from test_crypto_words import out

from hedgerow.codec import cbor
from hedgerow.crypto import claims, cose
from hedgerow.crypto.words import GROUP, Word, Words
from hedgerow.mesh.group import Group
from hedgerow.sync.hello import GATEWAY, LEAF, RELAY

HEAP = "4m"
BASE = bytes(range(32))


class Store:
    """Keys of a log, which outlive what reads them."""

    def __init__(self, log: object) -> None:
        self._log = log

    def read(self) -> bytes | None:
        return getattr(self._log, "kept_group", None)

    def write(self, value: bytes) -> None:
        self._log.kept_group = value


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
    members.group = Group(BASE, Store(made.log))
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
        kept = Group(BASE, Store(known.log))
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
    group = Group(BASE, Store(one.log))
    assert group.epoch == 7
    Words(one.log, trust, one.identity.p256, group)
    assert group.epoch == 0 and group.key == BASE and Group(BASE, Store(one.log)).epoch == 0


def test_who_has_slept_through_two_epochs_another_issuer_and_its_credential_gets_the_newest() -> None:
    gateway, sleeper, thief = member(51), member(52, LEAF), member(53)
    for known in (gateway, sleeper, thief):
        known.members.take_word(word(1))
    later, second = NOW + 90 * DAY, Issuer(55)
    gateway.members.take_word(out(thief))
    gateway.members.take_word(word(2, NOW + 40 * DAY))
    gateway.members.take_word(next_issuer(ROOT, second, NOW + 60 * DAY))
    gateway.members.take_word(word(3, later, second))
    assert gateway.members.trust.expired(sleeper.members.own)
    finish(gateway.members.trust.accept(sleeper.members.own))
    near, far, _ = meet(gateway, sleeper)
    assert near.error is None and far.error is None
    group = sleeper.members.group
    assert (group.epoch, group.key, group.before) == (3, b"\3" * 32, b"\1" * 32)
    # With the key it knows who is out: it tells nobody of those.
    assert not sleeper.members.stands(thief.members.own.claims)
    meet(sleeper, thief)
    assert thief.members.group.epoch == 1


def test_a_flash_that_was_put_back_gets_the_key_anew() -> None:
    board, gateway = member(61, LEAF), member(62)
    board.members.take_word(word(1))
    dump = Store(board.log).read()
    for known in (board, gateway):
        known.members.take_word(word(2))
    Store(board.log).write(dump)
    members = board.members
    members.group = Group(BASE, Store(board.log))
    members.words = Words(board.log, members.trust, board.identity.p256, members.group)
    assert members.group.epoch == 1
    meet(gateway, board)
    assert members.group.epoch == 2 and members.group.key == gateway.members.group.key


def test_a_group_key_is_no_statement_that_anybody_may_know() -> None:
    one = member(71, GATEWAY)
    raises("STATEMENT_INVALID", one.members.take, varint(7) + word(1))
    assert one.members.group.epoch == 0 and one.members.words.all() == []
