"""Credentials of others in letters: asked for, put together, verified once. Runs on both VMs."""

from crypto_kit import Issuer
from mesh_kit import KEY, Air, check_air
from sync_kit import board
from vouched_kit import ROOT, Ring, add, bring, carrier, line, short, written

from hedgerow import limits
from hedgerow.crypto.inquiry import want
from hedgerow.crypto.vouchers import lacks, part, take, whole
from hedgerow.errors import HedgerowError
from hedgerow.log import STATE_VOUCHED
from hedgerow.mesh import asks, frames, pace
from hedgerow.mesh.feed import letter_frames
from hedgerow.peer import Peer

HEAP = "8m"


def test_a_credential_goes_in_parts_and_is_the_same_again() -> None:
    ring = Ring(10, ROOT.delegate(11))
    said = [ring.credential_part(ring.named[:3], at) for at in range(limits.MAX_PARTS + 1)]
    assert [len(content) > 0 for content in said] == [True, True, True, False, False]
    peer = board()
    assert max([len(letter_frames(peer, content, KEY)) for content in said[:3]]) == limits.MAX_FRAGMENTS
    parts = ring.parts
    assert lacks(parts, ring.named) == 0
    for at, after in ((2, 0), (0, 1), (1, -1)):
        assert not whole(ring, 0) and take(parts, said[at], 0)
        assert lacks(parts, ring.named) == after
    assert whole(ring, 0) == [(said[0][1:8], ring.value)]
    # What comes to something else than its name says goes; so do parts that nobody completes.
    for at in (0, 1):
        take(parts, said[at][:3] + b"\0" + said[at][4:], 0)
    take(parts, said[2][:3] + b"\0" + said[2][4:-1] + b"\0", 0)
    assert len(parts) == 2 and len(whole(ring, 0)) == 1 and len(parts) == 1
    take(parts, said[0][:3] + b"\1" + said[0][4:], 0)
    assert not take(parts, said[0][:3] + b"\2" + said[0][4:], pace.VOUCH_OPEN_MS - 1)
    assert take(parts, said[0][:3] + b"\2" + said[0][4:], pace.VOUCH_OPEN_MS) and len(parts) == 1
    for odd in (said[0][:8], said[0][:8] + b"\x05" + said[0][9:], said[0][:8] + b"\x33" + said[0][9:]):
        assert take(parts, odd, 0) and len(parts) == 1


def test_a_credential_of_too_many_parts_goes_in_sessions_only() -> None:
    most = limits.MAX_PARTS * 119
    assert part(bytes(most), b"author-1", limits.MAX_PARTS - 1)
    assert part(bytes(most + 1), b"author-1", 0) == b""


def test_credentials_are_asked_for_from_board_to_board_where_room_is_short() -> None:
    air = Air(41, loss=10, duty=100)
    members = line(air, [41, 42, 43], ROOT.delegate(44))
    other = add(air, 45, ROOT.delegate(46))
    air.link(members[-1], other)
    members.append(other)
    air.run(30_000)
    air.readings(members, 60_000, 300_000)
    air.run(300_000)
    # Where there is room nobody asks, and nothing is computed.
    assert [member.ring.checks for member in members] == [0] * 4
    short(other)
    air.readings(members, 60_000, air.now + 600_000)
    air.run(air.now + 600_000)
    air.settle(members, members, 600_000)
    check_air(air)
    # Who is nearer to an author asks on for who is farther.
    for member, known in ((other, members[:3]), (members[2], members[:2]), (members[1], members[:1])):
        ring = member.ring
        assert all(ring.vouches(one.author) for one in known)
        assert not ring.refused and not ring.parts
    # A signature of each, and one of the other delegation: two multiplications each.
    assert other.ring.checks == 2 * 4 and members[0].ring.checks == 0
    asked = [member.mesh.stats["wants"] for member in members]
    checks = [member.ring.checks for member in members]
    air.readings(members, 60_000, air.now + 300_000)
    air.run(air.now + 600_000)
    # Nobody asks any more, nor computes anything.
    assert [member.ring.checks for member in members] == checks
    assert sum([member.mesh.stats["wants"] for member in members]) - sum(asked) < 40


def test_only_what_was_asked_for_is_put_together() -> None:
    air = Air(47, loss=0, duty=100)
    (one,) = line(air, [47])
    air.run(20_000)
    other = Ring(48)
    told(one, other.credential_part(other.named[:3], 0), one.now(air.now))
    assert not one.ring.parts
    asks_for(one, other.named)
    told(one, other.credential_part(other.named[:3], 1), one.now(air.now))
    assert len(one.ring.parts) == 1


def asks_for(member: object, name: bytes) -> None:
    """Have it ask for a credential."""
    member.peer.stranger = name
    want(member.mesh, member.now(member.air.now))


def told(member: object, content: bytes, now: int) -> None:
    for frame in letter_frames(member.peer, content, KEY, frames.LETTER_DOWN):
        member.mesh.heard(b"evil", -50, frames.advertise(frame), now)


def test_it_is_asked_for_those_of_three_strangers_at_a_time() -> None:
    air = Air(55, loss=0, duty=100)
    (one,) = line(air, [55])
    air.run(20_000)
    for at in range(5):
        one.peer.stranger = b"autho-%02d" % at
        want(one.mesh, one.now(air.now))
    asked = one.mesh.repair.sought(asks.WANT_CREDENTIALS)
    assert sorted(asked) == [b"autho-00", b"autho-01", b"autho-02"] and not one.peer.stranger


def test_what_nobody_has_signed_is_not_computed_twice() -> None:
    air = Air(51, loss=0, duty=100)
    (one,) = line(air, [51])
    ring = one.peer.members
    air.run(20_000)
    false = Ring(52, Issuer(9))
    wrong = Ring(53)
    value = wrong.value[:-1] + bytes((wrong.value[-1] ^ 1,))
    wrong.value = value
    good = Ring(54)
    for who in (false, wrong, good):
        for _ in range(2):
            asks_for(one, who.named)
            for at in range(3):
                content = who.credential_part(who.named[:3], at)
                if content:
                    told(one, content, one.now(air.now))
            air.run(air.now + 400_000)
        assert not ring.parts
    assert len(ring.refused) == 2 and ring.vouches(good.named)
    assert not ring.vouches(false.named) and not ring.vouches(wrong.named)
    # Of an issuer that nobody knows there is nothing to compute with.
    assert ring.checks == 4


def test_one_credential_is_verified_in_ten_seconds() -> None:
    air = Air(61, loss=0, duty=100)
    (one,) = line(air, [61])
    ring = one.peer.members
    air.run(20_000)
    for who in (Ring(62), Ring(63)):
        asks_for(one, who.named)
        for at in range(3):
            content = who.credential_part(who.named[:3], at)
            if content:
                told(one, content, one.now(air.now))
    air.run(air.now + 5_000)
    assert ring.checks == 2 and len(ring.parts) == 1
    air.run(air.now + 10_000)
    assert ring.checks == 4 and not ring.parts


def test_what_waits_in_vain_for_its_delegation_goes() -> None:
    air = Air(65, loss=0, duty=100)
    (one,) = line(air, [65])
    ring = one.ring
    air.run(20_000)
    good = Ring(68)
    # Somebody's word for an author, under what nobody has.
    own = Ring(66).identity
    given = {"SEALING_KEY": own.sealing, "AUTHOR": good.named, "SALT": own.keys[64:]}
    false = ROOT.delegate(67).credential(own.agreement, **given)[1:]
    asks_for(one, good.named)
    for at in range(3):
        content = part(false, good.named, at)
        if content:
            told(one, content, one.now(air.now))
    air.run(air.now + 15_000)
    assert len(ring.parts) == 1 and ring.vouchers().credential_lacks(good.named) == -1
    air.run(air.now + pace.VOUCH_OPEN_MS)
    assert not ring.parts and len(ring.refused) == 1 and ring.vouchers().credential_lacks(good.named) == 0


def test_what_nobody_answers_is_asked_for_a_few_times() -> None:
    air = Air(69, loss=0, duty=100)
    members = line(air, [69, 70])
    stranger = written(b"stranger", 3)
    for member in members:
        short(member)
        bring_all(member, stranger)
    air.run(20_000)
    before = sum([member.mesh.stats["wants"] for member in members])
    for _ in range(60):
        for member in members:
            # It is refused again and again, and each hears the other's question.
            asks_for(member, b"stranger")
        air.run(air.now + 5_000)
    wants = sum([member.mesh.stats["wants"] for member in members]) - before
    assert 8 <= wants <= 30, wants
    assert not [1 for member in members if member.mesh.repair.sought(asks.WANT_CREDENTIALS)]
    for member in members:
        asks_for(member, b"stranger")
        assert not member.mesh.repair.sought(asks.WANT_CREDENTIALS)
    air.run(air.now + pace.VOUCH_AGAIN_MS)
    asks_for(members[0], b"stranger")
    assert members[0].mesh.repair.sought(asks.WANT_CREDENTIALS)


def bring_all(member: object, other: Peer) -> None:
    """Have a member hold what another wrote, though there be no room."""
    members, member.peer.members = member.peer.members, None
    bring(member.peer, other)
    member.peer.members = members


def test_what_was_verified_outlives_a_boot_and_ends_with_a_revocation() -> None:
    peer, ring = carrier(71)
    for at in range(limits.MAX_VOUCHED):
        ring.vouch(b"autho-%02d" % at, b"credential %d" % at)
    for at in range(limits.MAX_VOUCHED):
        if at != 8:
            bring(peer, written(b"autho-%02d" % at, 1))
    ring.vouch(b"one more", b"credential")
    # Of whom nothing is here makes room, and its place is used again.
    assert ring.vouches(b"one more") and ring.vouches(b"autho-07") and not ring.vouches(b"autho-08")
    names = len(ring.log.items(STATE_VOUCHED))
    assert names == limits.MAX_VOUCHED + 1
    again = Ring(71)
    again.log = ring.log
    assert again.vouches(b"one more") and not again.vouches(b"autho-08")
    again.vouchers().shun(b"autho-07")
    assert not again.vouches(b"autho-07") and again.credential_part(b"one", 0)[9:] == b"credential"
    last = Ring(71)
    last.log = ring.log
    assert not last.vouches(b"autho-07") and last.vouches(b"one more")
    last.vouch(b"autho-99", b"another")
    assert last.credential_part(b"autho-99"[:3], 0)[9:] == b"credential 0"
    assert last.vouches(b"autho-99") and len(ring.log.items(STATE_VOUCHED)) == names


def test_what_a_full_log_does_not_keep_is_known_all_the_same() -> None:
    _, ring = carrier(72)
    put = ring.log.put

    def fails(*_: object) -> None:
        raise HedgerowError("LOG_FULL", "here")

    ring.log.put = fails
    for at in range(limits.MAX_BELIEVED + 1):
        ring.vouch(b"autho-%02d" % at, b"credential")
    assert ring.vouches(b"autho-08") and ring.vouches(b"autho-01") and not ring.vouches(b"autho-00")
    ring.vouchers().shun(b"autho-08")
    assert not ring.vouches(b"autho-08") and ring.vouches(b"autho-07")
    ring.log.put = put
    ring.vouch(b"autho-00", b"credential")
    ring.log.put = fails
    ring.vouchers().shun(b"autho-00")
    ring.log.put = put
    assert ring.vouches(b"autho-00")
