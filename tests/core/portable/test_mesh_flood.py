"""Flood mode: own operations reach everybody over lossy hops, without a connection. Runs on both VMs."""

from mesh_kit import Air, check_air
from sync_kit import durable

from hedgerow.codec.decimal import Decimal
from hedgerow.custody.receipt import Receipt
from hedgerow.mesh import frames
from hedgerow.mesh.tag import mesh_key
from hedgerow.sync import hello

HEAP = "4m"


def test_a_line_converges_without_a_keeper() -> None:
    for seed in (1, 2):
        air = Air(seed, loss=20)
        members = [air.add("b%d" % at) for at in range(4)]
        air.line(members)
        air.run(3000)
        air.readings(members, 60000, 200000)
        air.run(200000)
        air.settle(members, members, 240000)
        check_air(air)
        assert not [m for m in members if m.mesh.visit(m.now(air.now)) is not None]
        # Most of it was pushed on and needed no repair.
        assert sum([m.mesh.stats["repairs"] for m in members]) < sum(
            [m.mesh.stats["stored"] for m in members]
        )


def test_one_reading_over_one_hop_is_one_payload() -> None:
    air = Air(3, loss=0, duty=100)
    one, other = air.add("one"), air.add("other")
    air.link(one, other)
    air.reading(one)
    air.run(60000)
    sent: list = []
    air.on_sent = lambda member, payload: sent.append((member, payload[4] & 0x0F, payload))
    air.reading(one)
    air.run(70000)
    assert other.peer.log.held(one.author) == one.peer.log.held(one.author)
    of_one = [entry for entry in sent if entry[0] is one and entry[1] == frames.OP]
    assert len(of_one) == 1, len(of_one)


def test_a_board_that_joins_late_gets_all_that_is_open() -> None:
    air = Air(4, loss=20)
    members = [air.add("b%d" % at) for at in range(3)]
    late = air.add("late")
    air.line(members)
    air.run(3000)
    air.readings(members, 20000, 120000)
    air.run(120000)
    air.settle(members, members, 240000)
    air.link(members[2], late)
    air.settle([late], members, 400000)
    check_air(air)


def test_reboots_lose_nothing_that_was_acknowledged() -> None:
    air = Air(5, loss=30)
    members = [air.add("b%d" % at) for at in range(4)]
    air.line(members)
    air.run(3000)
    air.readings(members, 30000, 240000)
    for at in range(6):
        air.at(20000 + 35000 * at, air.reboot, members[at % 4], 3000)
    air.run(240000)
    air.settle(members, members, 400000)
    check_air(air)
    for member in members:
        assert durable(member.peer).held(member.author) >= member.acked


def test_a_partition_heals() -> None:
    air = Air(6, loss=20)
    members = [air.add("b%d" % at) for at in range(4)]
    air.line(members)
    air.run(5000)
    air.unlink(members[1], members[2])
    air.readings(members, 40000, 200000)
    air.run(200000)
    assert air.lacking(members[:1], members[2:])
    air.settle(members[:2], members[:2], 240000)
    air.link(members[1], members[2])
    air.settle(members, members, 400000)
    check_air(air)


def test_short_names_that_collide_are_told_apart() -> None:
    air = Air(7, loss=20)
    twins = [air.add("a", author=b"twins-01"), air.add("b", author=b"twins-02")]
    middle = air.add("middle")
    air.line([twins[0], middle, twins[1]])
    air.run(3000)
    air.readings(twins + [middle], 20000, 150000)
    air.run(150000)
    air.settle(twins + [middle], twins + [middle], 400000)
    check_air(air)


def test_receipts_come_back_to_the_author() -> None:
    air = Air(8, loss=20)
    keeper = air.add("keeper", hello.GATEWAY, True)
    keeper.peer.set_time(900000000000, 5, 4, 0)
    members = [air.add("b%d" % at, seal_ms=30000) for at in range(3)]
    air.line([keeper] + members)
    air.run(5000)
    air.readings(members, 60000, 200000)
    air.run(200000)
    air.settle([keeper], members, 240000)
    for _ in range(300):
        if not [m for m in members if m.peer.receipted(m.author) < m.peer.log.held(m.author)]:
            break
        air.run(air.now + 1000)
    for member in members:
        assert member.peer.receipted(member.author) == member.peer.log.held(member.author), member.name
        # The time came the same way, and is right within its bound.
        utc, error = member.peer.utc(member.now(air.now))
        assert abs(utc - 900000000000 - air.now) <= error < 1000
    check_air(air)


def test_an_operation_too_long_for_a_frame_goes_as_a_letter() -> None:
    air = Air(9, loss=20)
    members = [air.add("b%d" % at) for at in range(3)]
    air.line(members)
    air.run(3000)
    members[0].peer.insert("notes", {"text": "the north fence is down", "level": Decimal(5, 0)}, 3000)
    air.look(members[0])
    air.settle(members, members[:1], 200000)
    check_air(air)


def test_one_that_fits_no_letter_asks_for_a_visit() -> None:
    air = Air(10, loss=20)
    one, other = air.add("one", author=b"zz-large"), air.add("other", author=b"aa-small")
    air.link(one, other)
    air.run(20000)
    one.peer.insert("notes", {"text": "x" * 300}, 20000)
    air.look(one)
    found = None
    for _ in range(120):
        air.run(air.now + 1000)
        found = other.mesh.visit(other.now(air.now)) or found
        air.look(other)
    assert found == one.address
    assert one.mesh.visit(one.now(air.now)) is None


def test_a_burst_asks_for_a_visit_at_once() -> None:
    for relays in (True, False):
        air = Air(12, loss=20)
        keeper, one = air.add("keeper", hello.GATEWAY, True), air.add("one", relays=relays)
        air.link(keeper, one)
        air.run(20000)
        for _ in range(60):
            air.reading(one)
            air.run(air.now + 20)
        found = None
        for _ in range(60):
            air.run(air.now + 500)
            found = keeper.mesh.visit(keeper.now(air.now)) or found
            air.look(keeper)
        assert found == one.address
        # What advertisements bring in time needs none.
        keeper.mesh.synced(one.address, None, keeper.now(air.now))
        air.settle([keeper], [one], 200000)
        while not one.mesh.feed.idle():
            assert air.now < 400000
            air.run(air.now + 1000)
        air.run(air.now + 60000)
        for _ in range(20):
            air.reading(one)
            air.run(air.now + 2000)
            assert keeper.mesh.visit(keeper.now(air.now)) is None


def test_noise_and_strangers_change_nothing() -> None:
    air = Air(11)
    member = air.add("b")
    mesh = member.mesh
    good = frames.advertise(frames.make(frames.OP, b"\x11\x22", bytes(16), bytes(32)))
    assert not mesh.heard(b"stranger", -50, good, 10)
    assert not mesh.heard(b"stranger", -50, b"\x02\x01\x06\x03\xff\x4c\x00", 10)
    for at in range(300):
        data = air.random.bytes(air.random.below(32))
        mesh.heard(b"noise", -50, data, 10 + at)
        mesh.heard(b"noise", -50, good[:5] + data[:26] if len(data) > 8 else data, 10 + at)
    assert member.peer.log.authors() == [member.author]
    assert mesh.stats["stored"] == 0 and mesh.stats["strangers"] >= 1


def test_who_knows_a_meshs_name_and_not_its_secret_says_nothing() -> None:
    air = Air(13)
    member = air.add("b")
    member.mesh.key = mesh_key("test:Vq3l9ZtB4xW7nYc2Ke8s")
    tag = member.peer.mesh[:2]
    for name in ("test", "test:Vq3l9ZtB4xW7nYc2Ke8x"):
        for kind, body in ((frames.OP, 16), (frames.RECEIPT, 16), (frames.TIME, 16)):
            said = frames.advertise(frames.make(kind, tag, bytes(body), mesh_key(name)))
            assert not member.mesh.heard(b"stranger", -50, said, 10)
    assert member.mesh.stats["strangers"] == 6 and member.mesh.stats["heard"] == 0
    true = frames.advertise(frames.make(frames.TIME, tag, bytes(16), member.mesh.key))
    assert member.mesh.heard(b"member", -50, true, 10) and member.mesh.stats["heard"] == 1


def test_what_is_receipted_needs_no_seal() -> None:
    """Who got a receipt before the seal and who got both show the same, or they would differ for ever."""
    air = Air(12, loss=0, duty=100)
    members = [air.add("b%d" % at, author=b"member-%d" % at) for at in range(2)]
    air.line(members)
    air.reading(members[0])
    air.run(20000)
    one, other = members
    number = one.peer.log.held(one.author)
    one.peer.seal(one.now(air.now))
    for member in members:
        member.peer.ingest_receipt(Receipt(b"keeper-1", 1, one.author, number - 1))
        member.peer.commit()
        member.mesh._look(member.now(air.now))
    assert one.peer.log.sealed(one.author) == number and not other.peer.log.sealed(one.author)
    bucket = one.author[0] & 7
    digests = [member.mesh.repair.digest(bucket) for member in members]
    assert digests[0] != digests[1]
    # The receipt for what the seal covers settles it, though the seal is lacking still.
    for member in members:
        member.peer.ingest_receipt(Receipt(b"keeper-1", 1, one.author, number))
        member.peer.commit()
        member.mesh._look(member.now(air.now))
    air.reading(one)
    air.run(air.now + 20000)
    assert not other.peer.log.sealed(one.author) and other.peer.log.held(one.author) > number
    digests = [member.mesh.repair.digest(bucket) for member in members]
    assert digests[0] == digests[1]
