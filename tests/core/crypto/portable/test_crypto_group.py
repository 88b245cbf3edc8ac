"""The group key goes from member to member in sessions, never back, to nobody that is out. On both VMs."""

from crypto_kit import APP, DAY, NOW, Issuer, finish
from enrolled_kit import ROOT, Enrolled, meet, next_issuer, revocation, varint
from kit import raises
from test_crypto_words import out

from hedgerow.codec import cbor
from hedgerow.crypto import claims, signer
from hedgerow.crypto.rotation import KEPT, epoch, forget, settle
from hedgerow.crypto.words import GROUP, Word, Words
from hedgerow.errors import HedgerowError
from hedgerow.limits import MAX_WORDS
from hedgerow.mesh.group import Group
from hedgerow.mesh.pace import GRACE_MS
from hedgerow.sync.hello import GATEWAY, LEAF, RELAY

HEAP = "4m"
BASE = bytes(range(32))


class Store:
    """Keys of a log, which outlive what reads them."""

    def __init__(self, log: object) -> None:
        self._log = log

    def read(self, _: str) -> bytes | None:
        return getattr(self._log, "kept_group", None)

    def write(self, _: str, value: bytes) -> None:
        self._log.kept_group = value


def word(number: int, at: int = NOW, issuer: Issuer = ROOT, app: str = APP, key: bytes = b"") -> bytes:
    values = {
        claims.ISS: app,
        claims.IAT: at,
        claims.EPOCH: number,
        claims.GROUP_KEY: key or bytes((number & 255,)) * 32,
    }
    return finish(signer.sign1(issuer.p256, issuer.private, cbor.encode(values), issuer.kid, GROUP))


def member(seed: int, role: int = RELAY) -> Enrolled:
    """A member with a store of group keys."""
    made = Enrolled(seed, role=role)
    members = made.members
    members.group = Group(BASE, Store(made.log))
    members.words = Words(made.log, members.trust, made.identity.p256, members.group)
    return made


def test_the_newest_key_goes_from_member_to_member_and_outlives_a_power_cut() -> None:
    """SPEC 11.16.1."""
    gateway, board, other = member(1), member(2, LEAF), member(3)
    for number in (1, 2, 5):
        gateway.members.take_word(word(number))
    for one, two in ((gateway, board), (other, board)):
        near, far, _ = meet(one, two)
        assert near.error is None and far.error is None
    for known in (board, other):
        group = known.members.group
        assert (epoch(group)[0], group.key, group.before) == (5, b"\5" * 32, BASE)
        kept = Group(BASE, Store(known.log))
        assert (epoch(kept)[0], kept.key, epoch(kept)[2]) == (5, group.key, word(5))
        assert known.members.words.all() == [word(5)]
    # Who has the same says four bytes.
    assert meet(gateway, other)[2] == 0


def test_an_epoch_never_goes_back() -> None:
    """SPEC 11.16.1."""
    one, two = member(11), member(12)
    one.members.take_word(word(3))
    two.members.take_word(word(4))
    multiplications = two.p256.multiplications
    for stale in (word(3), word(1), word(4), word(3, NOW + 9)):
        two.members.take_word(stale)
    assert epoch(two.members.group)[0] == 4 and two.p256.multiplications == multiplications
    meet(one, two)
    assert epoch(one.members.group)[0] == epoch(two.members.group)[0] == 4
    # The same key, signed by a later issuer, is no other epoch: frames go on as they were.
    before = two.members.group.before
    two.members.take_word(word(4, NOW + 1))
    assert epoch(two.members.group)[2] == word(4, NOW + 1) and two.members.group.before == before
    settle(two.members.group)
    two.members.take_word(word(4, NOW + 2))
    assert two.members.group.before is None


def test_of_two_keys_of_one_epoch_and_second_all_members_go_by_one() -> None:
    """As two Big Peers make them of which one is a backup of the other. SPEC 11.16.1."""
    pair = [word(3, key=bytes((part,)) * 32) for part in (1, 2)]
    found = []
    for at in range(2):
        one = member(91 + at)
        for said in (pair[at], pair[1 - at], pair[at]):
            one.members.take_word(said)
        found.append(one.members.group.key)
    assert found[0] == found[1]


def test_what_no_issuer_has_signed_is_no_key() -> None:
    """SPEC 11.16."""
    one = member(21)
    one.members.take_word(word(1, issuer=Issuer(9)))
    raises("STATEMENT_INVALID", one.members.take_word, word(1)[:-1] + b"\0")
    raises("STATEMENT_INVALID", one.members.take_word, word(1, app="another"))
    for odd in (word(0), word(1 << 30), word(1, key=bytes(31)), word(1, at=1 << 40)):
        raises("STATEMENT_INVALID", one.members.take_word, odd)
    assert epoch(one.members.group)[0] == 0 and one.members.group.key == BASE
    # Of a member without a mesh of boards it is none of its business.
    plain = Enrolled(22)
    plain.members.take_word(word(1))
    assert plain.members.words.all() == [] and Word(word(1), APP).epoch == 1


def test_who_is_out_gets_no_key() -> None:
    """SPEC 11.16.7."""
    gateway, thief = member(31), member(32)
    gateway.members.take_word(word(1))
    meet(gateway, thief)
    gateway.members.take_word(out(thief))
    gateway.members.take_word(word(2))
    near, far, _ = meet(gateway, thief)
    assert near.error or far.error
    assert epoch(thief.members.group)[0] == 1


def test_who_has_no_room_for_a_revocation_takes_no_key_that_came_after_it() -> None:
    """It would let in whom that names, and hand on the key. SPEC 11.16.7."""
    gateway, board, thief = member(35), member(36), member(37)
    for one in (gateway, board, thief):
        one.members.take_word(word(1))
    gateway.members.take_word(out(thief))
    gateway.members.take_word(word(2))
    put, board.log.put = board.log.put, full
    meet(gateway, board)
    meet(board, thief)
    assert epoch(board.members.group)[0] == epoch(thief.members.group)[0] == 1
    # Once there is room it has both.
    board.log.put = put
    meet(gateway, board)
    assert epoch(board.members.group)[0] == 2 and not board.members.stands(thief.members.own.claims)
    meet(board, thief)
    assert epoch(thief.members.group)[0] == 1


def full(*_: object) -> None:
    raise HedgerowError("LOG_FULL", "for a test")


def test_a_revocation_that_found_no_room_is_waited_for_until_the_newest_ones_are_here() -> None:
    """SPEC 11.15, 11.16.7."""
    board = member(36)
    words, put = board.members.words, board.log.put
    board.log.put = full
    board.members.take_word(revocation(b"author00", b"cti00000", 0))
    board.log.put = put
    for at in range(1, MAX_WORDS + 1):
        board.members.take_word(word(at))
        assert epoch(board.members.group)[0] == 0
        board.members.take_word(revocation(b"auth%04d" % at, b"cti%05d" % at, 0, at=NOW + at))
    # Nobody keeps the first one any more: it does not come again, and nothing waits for it.
    board.members.take_word(revocation(b"author00", b"cti00000", 0))
    board.members.take_word(word(99))
    assert epoch(board.members.group)[0] == 99 and len(words.all()) == MAX_WORDS + 1
    # It would be among the newest ones if there were room.
    board.log.put = full
    board.members.take_word(revocation(b"author99", b"cti99999", 0, at=NOW + 99))
    board.members.take_word(word(100))
    assert epoch(board.members.group)[0] == 99


def test_of_revocations_without_room_no_more_are_remembered_than_are_kept() -> None:
    """SPEC 11.15."""
    board = member(34)
    put, board.log.put = board.log.put, full
    said = [revocation(b"auth%04d" % at, b"cti%05d" % at, 0, at=NOW + at) for at in range(MAX_WORDS + 8)]
    for each in said:
        board.members.take_word(each)
    missed = board.members.words._missed
    assert sorted(at for at, _ in missed.values()) == [NOW + at for at in range(8, MAX_WORDS + 8)]
    board.log.put = put
    for each in said[8:]:
        assert epoch(board.members.group)[0] == 0
        board.members.take_word(each)
        board.members.take_word(word(1))
    assert not missed and epoch(board.members.group)[0] == 1


def test_a_revocation_is_durable_before_the_key_that_came_after_it() -> None:
    """SPEC 11.16.7."""
    board, thief = member(38), member(39)
    board.members.take_word(out(thief))
    seen = []

    class Cut(Store):
        def write(self, name: str, value: bytes) -> None:
            seen.append([value for value in board.log.store.state.values() if value == out(thief)])

    board.members.group.store = Cut(board.log)
    board.members.take_word(word(1))
    assert len(seen) == 1 and seen[0]


def test_the_keys_of_another_app_are_forgotten() -> None:
    """SPEC 11.16.1."""
    one = member(41)
    one.members.take_word(word(7))
    trust = one.members.trust
    trust.app = "another"
    group = Group(BASE, Store(one.log))
    assert epoch(group)[0] == 7
    Words(one.log, trust, one.identity.p256, group)
    assert epoch(group)[0] == 0 and group.key == BASE and epoch(Group(BASE, Store(one.log)))[0] == 0


def test_who_has_slept_through_two_epochs_another_issuer_and_its_credential_gets_the_newest() -> None:
    """SPEC 11.16.5."""
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
    assert (epoch(group)[0], group.key, group.before) == (3, b"\3" * 32, b"\1" * 32)
    # With the key it knows who is out: it tells nobody of those.
    assert not sleeper.members.stands(thief.members.own.claims)
    meet(sleeper, thief)
    assert epoch(thief.members.group)[0] == 1


def test_a_flash_that_was_put_back_gets_the_key_anew() -> None:
    """SPEC 11.16.5."""
    board, gateway = member(61, LEAF), member(62)
    board.members.take_word(word(1))
    dump = Store(board.log).read(KEPT)
    for known in (board, gateway):
        known.members.take_word(word(2))
    Store(board.log).write(KEPT, dump)
    members = board.members
    members.group = Group(BASE, Store(board.log))
    members.words = Words(board.log, members.trust, board.identity.p256, members.group)
    assert epoch(members.group)[0] == 1
    meet(gateway, board)
    assert epoch(members.group)[0] == 2 and members.group.key == gateway.members.group.key


def test_a_group_key_is_no_statement_that_anybody_may_know() -> None:
    """SPEC 11.16."""
    one = member(71, GATEWAY)
    raises("STATEMENT_INVALID", one.members.take, varint(7) + word(1))
    assert epoch(one.members.group)[0] == 0 and one.members.words.all() == []


def test_a_write_that_was_refused_and_came_through_counts_with_the_next_session() -> None:
    """SPEC 11.16.1."""
    one = member(81)

    class Cut(Store):
        def write(self, name: str, value: bytes) -> None:
            Store.write(self, name, value)
            raise OSError

    other = member(82)
    other.members.take_word(word(3))
    group = one.members.group
    for anew in (True, False):
        group.store = Cut(one.log)
        one.members.take_word(word(3))
        assert group.key == BASE
        group.store = Store(one.log)
        if anew:
            Words(one.log, one.members.trust, one.identity.p256, group)
        else:
            # A gateway does not start anew for months.
            meet(other, one)
            assert one.members.words.digest() == other.members.words.digest()
        assert (group.key, group.before, epoch(group)[2]) == (b"\3" * 32, BASE, word(3))
        if anew:
            forget(group)
    # The key before is heard as long as ever.
    assert group.turn(1000) == group.key and group.due == 1000 + GRACE_MS
    other.members.take_word(word(4))
    group.store = Cut(one.log)
    one.members.take_word(word(4))
    group.store = Store(one.log)
    meet(other, one)
    assert group.turn(GRACE_MS) == b"\4" * 32 and group.due == 2 * GRACE_MS
