"""Authors without a verified credential share one sector; credentials come in letters. Runs on both VMs."""

from crypto_kit import Issuer
from enrolled_kit import Enrolled
from kit import Random, raises
from mesh_kit import KEY, Air, check_air
from sync_kit import KINDS, board
from vouched_kit import ROOT, Ring, add, line, short

from hedgerow import limits
from hedgerow.application import ReadyPeer
from hedgerow.crypto.inquiry import want
from hedgerow.crypto.vouchers import lacks, part, take, whole
from hedgerow.custody.receipt import Receipt
from hedgerow.custody.skip import LOST, Skip
from hedgerow.errors import HedgerowError
from hedgerow.log import ENTRY_OP, ENTRY_SEAL, MemoryLog, MemoryStore
from hedgerow.mesh import asks, frames, pace
from hedgerow.mesh.feed import letter_frames
from hedgerow.mesh.letters import encode_operation
from hedgerow.peer import Peer
from hedgerow.sync.hello import RELAY

HEAP = "8m"
_KEEPER = b"keeper-1"


CAPACITY = 24000


def carrier(seed: int, store: object = None) -> tuple:
    """Return (a board with an identity and a small log, its ring)."""
    ring = Ring(seed)
    ring.log = MemoryLog(store or MemoryStore(ring.named), capacity=CAPACITY)
    peer = ReadyPeer(ring.log, lambda: 0, name="board", kinds=KINDS, mesh=b"msh", role=RELAY)
    peer.members = ring
    return peer, ring


def written(author: bytes, count: int) -> Peer:
    """Return an author with so many readings, and a seal over them."""
    peer = board(store=MemoryStore(author), mesh=b"msh")
    for at in range(count):
        peer.insert("readings", {"t": at}, at)
    peer.seal(count)
    return peer


def bring(peer: Peer, other: Peer, most: int = 1 << 20) -> None:
    """Have a peer take what another wrote, as it comes on the air."""
    for schema in other.schemas.values():
        peer.ingest_schema(schema.encoded)
    for kind, first, last, body in other.log.read(other.author, 0, 0, 1 << 20):
        if last <= most and last > (peer.log.held if kind == ENTRY_OP else peer.log.sealed)(other.author):
            if kind == ENTRY_OP:
                peer.ingest(other.author, first, [body])
            elif kind == ENTRY_SEAL:
                peer.ingest_seal(other.author, body)


def filled(peer: Peer, seed: int, code: str = "QUOTA_FULL") -> list:
    """Bring strangers until there is no room; return them."""
    strangers: list = []
    while True:
        other = written(Random(seed + len(strangers)).bytes(8), 40)
        strangers.append(other)
        try:
            bring(peer, other)
        except HedgerowError as error:
            assert error.code == code, error
            return strangers


def size(peer: Peer, author: bytes) -> int:
    """Return what an author takes in a log, receipts apart."""
    return sum([len(entry[3]) + 8 for entry in peer.log.read(author, 0, 0, 1 << 20)])


def sizes(peer: Peer, others: list) -> int:
    return sum([size(peer, other.author) for other in others])


# ---- the share


def test_strangers_make_room_for_those_who_are_known_and_keep_to_a_sector() -> None:
    peer, ring = carrier(1)
    # Room that nobody needs is anybody's.
    strangers = filled(peer, 100, "LOG_FULL")
    assert sizes(peer, strangers) > 3 * limits.MAX_STRANGE_BYTES and not peer.crowded
    known = written(b"verified", 300)
    ring.vouch(b"verified", b"credential")
    bring(peer, known)
    assert peer.log.held(b"verified") == known.log.held(b"verified") > 300
    assert limits.MAX_STRANGE_BYTES // 4 < sizes(peer, strangers) <= limits.MAX_STRANGE_BYTES
    assert peer.account["dropped"] > 200
    # From then on they have no more.
    more = filled(peer, 200)
    total = sizes(peer, strangers + more)
    assert limits.MAX_STRANGE_BYTES - 200 < total <= limits.MAX_STRANGE_BYTES
    assert total == sum([place[0] for place in peer.strange.values()])
    raises("QUOTA_FULL", bring, peer, written(b"stranger", 1))
    assert peer.crowded >= 2 and peer.stranger == b"stranger" and not peer.log.held(b"stranger")
    skip = Skip(1, 2, LOST, [1, b"123456"]).encode()
    raises("QUOTA_FULL", peer.ingest_skip, b"stranger", skip)
    # A playground has no strangers.
    peer.members = None
    bring(peer, written(b"stranger", 1))
    assert peer.log.held(b"stranger")


def test_strangers_make_room_for_own_readings_before_anybody_else() -> None:
    peer, ring = carrier(2)
    known = written(b"verified", 200)
    ring.vouch(b"verified", b"credential")
    bring(peer, known)
    strangers = filled(peer, 100, "LOG_FULL")
    for at in range(150):
        peer.insert("readings", {"t": at}, at)
    assert peer.log.held(b"verified") == known.log.held(b"verified") > 200
    assert sizes(peer, strangers) <= limits.MAX_STRANGE_BYTES


def test_a_stranger_makes_no_room_for_a_stranger() -> None:
    peer, ring = carrier(3)
    strangers = filled(peer, 100, "LOG_FULL")
    raises("LOG_FULL", bring, peer, written(b"stranger", 40))
    assert peer.strange is None and sizes(peer, strangers) > 3 * limits.MAX_STRANGE_BYTES
    # And a keeper has none.
    peer.keeper = True
    ring.vouch(b"verified", b"credential")
    raises("LOG_FULL", bring, peer, written(b"verified", 40))
    assert peer.strange is None


def test_where_there_is_room_again_it_is_anybodys() -> None:
    peer, ring = carrier(4)
    strangers = filled(peer, 100, "LOG_FULL")
    known = written(b"verified", 300)
    ring.vouch(b"verified", b"credential")
    bring(peer, known)
    filled(peer, 200)
    assert peer.ingest_receipt(Receipt(_KEEPER, 1, b"verified", known.log.held(b"verified")))
    for _ in range(64):
        # Every so often it is looked for.
        assert peer.strange is not None
        try:
            bring(peer, strangers[-1])
            break
        except HedgerowError as error:
            assert error.code == "QUOTA_FULL"
    assert peer.strange is None
    bring(peer, strangers[0])
    assert peer.log.held(strangers[0].author) == strangers[0].log.held(strangers[0].author)


def test_seals_of_strangers_count() -> None:
    peer, _ = carrier(2)
    peer.strange = {}
    other = written(b"stranger", 3)
    bring(peer, other, 2)
    before = peer.strange[b"stranger"][0]
    bring(peer, other)
    assert before < peer.strange[b"stranger"][0] == size(peer, b"stranger")
    peer.strange[b"another!"] = [limits.MAX_STRANGE_BYTES - peer.strange[b"stranger"][0], 0]
    other.insert("readings", {"t": 1}, 9)
    # Nobody is to look whether there is room.
    peer.crowded = 1
    raises("QUOTA_FULL", bring, peer, other)
    peer.strange[b"another!"][0] -= size(other, b"stranger") - size(peer, b"stranger")
    bring(peer, other)
    other.seal(10)
    raises("QUOTA_FULL", bring, peer, other)


def test_receipts_and_credentials_make_room() -> None:
    peer, ring = carrier(3)
    peer.strange, peer.crowded = {}, 1
    strangers = filled(peer, 200)
    more = written(b"stranger", 30)
    raises("QUOTA_FULL", bring, peer, more)
    # A receipt over half of what an author has there frees half of that.
    first = strangers[0].author
    before, held = peer.strange[first][0], peer.log.held(first)
    assert peer.ingest_receipt(Receipt(_KEEPER, 1, first, held // 2))
    bring(peer, more, 4)
    assert peer.strange[first] == [before * (held - held // 2) // held, held // 2]
    raises("QUOTA_FULL", bring, peer, more)
    assert peer.ingest_receipt(Receipt(_KEEPER, 1, first, held))
    last = written(b"the last", 40)
    raises("QUOTA_FULL", bring, peer, last)
    assert peer.strange[first] == [0, held]
    raises("QUOTA_FULL", bring, peer, last)
    ring.vouch(strangers[1].author, b"credential")
    bring(peer, last)
    assert strangers[1].author not in peer.strange


def test_strangers_take_half_of_the_places_of_a_log() -> None:
    peer, ring = carrier(4)
    for at in range(limits.MAX_STRANGE_AUTHORS):
        bring(peer, written(b"autho-%02d" % at, 0))
        assert peer.ingest_receipt(Receipt(_KEEPER, 1, b"autho-%02d" % at, 1))
    one = written(b"one more", 0)
    raises("QUOTA_FULL", bring, peer, one)
    assert peer.stranger == b"one more" and peer.strange is None
    # Who is there has a place, and who is known needs none of theirs.
    bring(peer, written(b"autho-01", 5))
    ring.vouch(b"verified", b"credential")
    bring(peer, written(b"verified", 0))
    raises("QUOTA_FULL", bring, peer, one)
    ring.vouch(b"autho-00", b"credential")
    bring(peer, one)


def test_after_a_boot_they_are_anybody_until_the_log_is_full_again() -> None:
    peer, ring = carrier(5)
    filled(peer, 300, "LOG_FULL")
    peer.commit()
    again, ring = carrier(5, peer.log.store)
    ring.vouch(b"verified", b"credential")
    bring(again, written(b"verified", 100))
    total = sum([place[0] for place in again.strange.values()])
    assert 0 < total <= limits.MAX_STRANGE_BYTES


def test_a_gateway_has_a_larger_share_where_boards_have_credentials() -> None:
    gateway = Enrolled(6)
    other = written(b"stranger", 3)
    assert gateway.members.vouches(b"stranger")
    gateway.members.group = object()
    assert not gateway.members.vouches(b"stranger")
    most, authors = gateway.members.strange_room
    assert (most, authors) == (256 * limits.MAX_STRANGE_BYTES, 256 * limits.MAX_STRANGE_AUTHORS)
    gateway.peer.strange, gateway.peer.crowded = {}, 1
    bring(gateway.peer, other)
    gateway.peer.strange[b"stranger"][0] = most
    raises("QUOTA_FULL", bring, gateway.peer, written(b"another!", 1))


# ---- letters


def test_a_credential_goes_in_parts_and_is_the_same_again() -> None:
    ring = Ring(10, ROOT.delegate(11))
    said = [ring.credential_part(ring.named[:3], at) for at in range(limits.MAX_PARTS + 1)]
    assert [len(content) > 0 for content in said] == [True, True, True, False, False]
    peer = board()
    assert max([len(letter_frames(peer, content, KEY)) for content in said[:3]]) == limits.MAX_FRAGMENTS
    parts: dict = {}
    assert lacks(parts, ring.named) == 0
    for at, after in ((2, 0), (0, 1), (1, -1)):
        assert not whole(parts) and take(parts, said[at], 0)
        assert lacks(parts, ring.named) == after
    assert whole(parts) == [(said[0][1:8], ring.value)]
    # What comes to something else than its name says goes; so do parts that nobody completes.
    for at in (0, 1):
        take(parts, said[at][:3] + b"\0" + said[at][4:], 0)
    take(parts, said[2][:3] + b"\0" + said[2][4:-1] + b"\0", 0)
    assert len(parts) == 2 and len(whole(parts)) == 1 and len(parts) == 1
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


def test_what_was_verified_outlives_a_boot_and_ends_with_a_revocation() -> None:
    peer, ring = carrier(71)
    for at in range(limits.MAX_AUTHORS):
        ring.vouch(b"autho-%02d" % at, b"credential")
    bring(peer, written(b"autho-07", 1))
    ring.vouch(b"one more", b"credential")
    # Of whom nothing is here make room.
    assert ring.vouches(b"one more") and ring.vouches(b"autho-07") and not ring.vouches(b"autho-08")
    again = Ring(71)
    again.log = ring.log
    assert again.vouches(b"one more") and not again.vouches(b"autho-08")
    again.vouchers().shun(b"autho-07")
    assert not again.vouches(b"autho-07") and again.credential_part(b"one", 0)[9:] == b"credential"
    last = Ring(71)
    last.log = ring.log
    assert not last.vouches(b"autho-07") and last.vouches(b"one more")


# ---- the attack


def test_of_ten_thousand_invented_authors_a_relay_keeps_a_sector() -> None:
    air = Air(81, loss=0, duty=100)
    members = line(air, [81, 82, 83])
    relay = members[1]
    air.run(30_000)
    rng = Random(84)
    liar = written(b"template", 0)
    stored = liar.log.fetch(b"template", 1)
    taken: list = []
    for at in range(10_000):
        author = rng.bytes(8)
        # Each says more as long as it is listened to.
        authors = [author] + taken[-1:]
        for other in authors:
            number = relay.peer.log.held(other) + 1
            for frame in letter_frames(relay.peer, encode_operation(other, number, stored), KEY):
                relay.mesh.heard(rng.bytes(6), -50, frames.advertise(frame), relay.now(air.now))
        if relay.peer.log.held(author):
            taken.append(author)
        if at % 50 == 0:
            air.reading(members[at // 50 % 3])
            air.run(air.now + 1_000)
    for member in members:
        peer = member.peer
        names = [one.author for one in members]
        strangers = [author for author in peer.authors() if author not in names]
        assert len(strangers) <= limits.MAX_STRANGE_AUTHORS
        if peer.strange is not None:
            total = sum([size(peer, author) for author in strangers if not member.ring.vouches(author)])
            assert total <= limits.MAX_STRANGE_BYTES
    assert relay.peer.crowded > 9_000 and relay.mesh.stats["crowded"] > 9_000
    # They had filled the log, and made room for what the three wrote.
    assert relay.peer.account["dropped"] > 400
    air.settle(members, members, 600_000)
