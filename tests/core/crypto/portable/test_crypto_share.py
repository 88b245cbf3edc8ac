"""Authors without a verified credential share one sector of a full log. Runs on both VMs."""

from enrolled_kit import Enrolled
from kit import Random, raises
from mesh_kit import KEY, Air
from sync_kit import board
from vouched_kit import bring, carrier, filled, line, size, sizes, written

from hedgerow import limits
from hedgerow.custody.receipt import Receipt
from hedgerow.custody.skip import LOST, Skip
from hedgerow.errors import HedgerowError
from hedgerow.log import MemoryStore
from hedgerow.mesh import frames
from hedgerow.mesh.feed import letter_frames
from hedgerow.mesh.letters import encode_operation

HEAP = "8m"
_KEEPER = b"keeper-1"


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


def test_who_has_given_up_a_place_is_not_counted_any_more() -> None:
    peer, _ = carrier(4)
    peer.strange = {}
    bring(peer, written(b"stranger", 3))
    assert list(peer.strange) == [b"stranger"]
    peer.ingest_receipt(Receipt(_KEEPER, 1, b"stranger", peer.log.held(b"stranger")), True)
    peer.log.let_go(b"stranger")
    peer.strange[b"another!"] = [limits.MAX_STRANGE_BYTES, 0, 0]
    # Whether there is room again is not looked for each time.
    peer.crowded = 1
    for _ in range(2):
        raises("QUOTA_FULL", bring, peer, written(b"a third!", 1))
    assert list(peer.strange) == [b"another!"]


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
    peer.strange[b"another!"] = [limits.MAX_STRANGE_BYTES - peer.strange[b"stranger"][0], 0, 0]
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
    assert peer.strange[first] == [before * (held - held // 2) // held, held // 2, held]
    raises("QUOTA_FULL", bring, peer, more)
    assert peer.ingest_receipt(Receipt(_KEEPER, 1, first, held))
    last = written(b"the last", 40)
    raises("QUOTA_FULL", bring, peer, last)
    assert peer.strange[first] == [0, held, held]
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


def test_a_gateway_has_more_places_where_boards_have_credentials() -> None:
    gateway = Enrolled(6)
    assert gateway.members.vouches(b"stranger")
    gateway.members.group = object()
    assert not gateway.members.vouches(b"stranger")
    assert gateway.members.strange_room[1] == 256 * limits.MAX_STRANGE_AUTHORS
    bring(gateway.peer, written(b"stranger", 3))
    assert gateway.peer.log.held(b"stranger")


def test_each_keeps_a_part_however_large_what_it_says() -> None:
    peer, ring = carrier(7)
    authors = [b"autho-%02d" % at for at in range(20)]
    for author in authors:
        other = board(store=MemoryStore(author), mesh=b"msh")
        for at in range(3):
            other.insert("readings", {"t": "x" * 215 + str(at)}, at)
        bring(peer, other)
    ring.vouch(b"verified", b"credential")
    with_room = written(b"verified", 250)
    bring(peer, with_room)
    assert peer.log.held(b"verified") == with_room.log.held(b"verified")
    # A clock record, and of most a reading.
    kept = [peer.log.held(author) for author in authors]
    assert sorted(set(kept)) == [1, 2] and 12 < kept.count(2) < 18, kept
    total = sum([size(peer, author) for author in authors])
    assert limits.MAX_STRANGE_BYTES - 250 < total <= limits.MAX_STRANGE_BYTES


def test_what_the_log_does_not_take_is_not_counted() -> None:
    peer, _ = carrier(8)
    filled(peer, 100, "LOG_FULL")
    peer.strange = {}
    for at in range(50):
        raises("LOG_FULL", bring, peer, written(b"autho-%02d" % at, 1))
    assert not [author for author in peer.strange if author[:6] == b"autho-"]


def test_what_is_taken_of_a_segment_that_finds_no_room_is_counted() -> None:
    peer, _ = carrier(9)
    peer.strange = {}
    other = written(b"stranger", 30)
    for schema in other.schemas.values():
        peer.ingest_schema(schema.encoded)
    bodies = [other.log.fetch(b"stranger", number) for number in range(1, 31)]
    append = peer.log.append

    def fails(kind: int, author: bytes, first: int, last: int, body: bytes) -> None:
        if first > 10:
            raise HedgerowError("LOG_FULL", "here")
        append(kind, author, first, last, body)

    peer.log.append = fails
    raises("LOG_FULL", peer.ingest, b"stranger", 1, bodies)
    assert peer.strange[b"stranger"] == [sum([len(body) + 8 for body in bodies[:10]]), 0, 10]
    # What is given up by others' rules is found out when there is no room.
    peer.log.cut(b"stranger", 4)
    peer.strange[b"another!"], peer.crowded = [limits.MAX_STRANGE_BYTES, 0, 0], 1
    raises("QUOTA_FULL", peer.ingest, b"stranger", 5, bodies[4:5])
    assert peer.strange[b"stranger"] == [sum([len(body) + 8 for body in bodies[:4]]), 0, 4]


def test_where_there_is_no_memory_to_tell_it_is_for_later() -> None:
    peer, ring = carrier(10)
    peer.strange = {}

    def fails() -> None:
        raise MemoryError

    ring.vouchers = fails
    raises("QUOTA_FULL", bring, peer, written(b"stranger", 1))
    del ring.vouchers
    peer.strange = None
    filled(peer, 100, "LOG_FULL")
    ring.vouchers = fails
    raises("LOG_FULL", bring, peer, written(b"verified", 40))


def test_who_has_no_credential_itself_knows_no_strangers() -> None:
    peer, ring = carrier(11)
    peer.strange, peer.crowded, ring.ready = {b"another!": [limits.MAX_STRANGE_BYTES, 0, 0]}, 1, False
    bring(peer, written(b"stranger", 1))
    ring.ready = True
    raises("QUOTA_FULL", bring, peer, written(b"autho-01", 1))


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
