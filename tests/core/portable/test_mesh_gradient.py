"""Gradient mode: custody, receipts along the way back. Runs on both VMs."""

from mesh_kit import Air, check_air, gradient
from sync_kit import durable, operations

from hedgerow import limits
from hedgerow.custody.receipt import Receipt
from hedgerow.log import ENTRY_SEAL, STATE_CUSTODY, MemoryLog, MemoryStore
from hedgerow.mesh import frames
from hedgerow.sync import hello

HEAP = "4m"


def line(air: Air, count: int, **options: object) -> tuple:
    """Return (keeper, members) in a line."""
    keeper = air.add("keeper", hello.GATEWAY, True)
    keeper.peer.set_time(900000000000, 5, 4, 0)
    members = [air.add("b%d" % at, **options) for at in range(count)]
    air.line([keeper] + members)
    return keeper, members


def test_a_line_brings_all_to_the_keeper() -> None:
    with gradient():
        for seed in (1, 2):
            air = Air(seed, loss=30)
            keeper, members = line(air, 4)
            air.run(5000)
            air.readings(members, 60000, 240000)
            air.run(240000)
            air.settle([keeper], members, 300000)
            check_air(air)
            # Relays store no log of others' readings: they pass frames on.
            for member in members:
                others = [a for a in member.peer.log.authors() if a != member.author]
                assert sum([member.peer.log.held(a) for a in others]) <= 4 * len(members)
            assert sum([m.mesh.stats["custody"] for m in members]) > 10


def test_receipts_come_down_along_custody() -> None:
    with gradient():
        air = Air(3, loss=20)
        keeper, members = line(air, 4, seal_ms=60000)
        air.run(5000)
        air.readings(members, 60000, 300000)
        air.run(300000)
        air.settle([keeper], members, 300000)
        air.run(air.now + 200000)
        far = members[-1]
        assert 0 < far.peer.receipted(far.author) <= keeper.peer.receipted(far.author)
        check_air(air)


def test_a_receipt_of_what_came_in_elsewhere_is_said_once() -> None:
    """Who collects repeats receipts until they get on, but of authors who are nowhere near it."""
    with gradient():
        air = Air(4, loss=0)
        keeper, members = line(air, 1, seal_ms=20000)
        away = air.add("away", seal_ms=20000)
        said: dict = {}

        def sent(member: object, payload: bytes) -> None:
            if member is keeper and payload[4] & 15 == frames.RECEIPT:
                short = payload[13:16]
                said[short] = said.get(short, 0) + 1

        air.on_sent = sent
        air.run(5000)
        for member in (members[0], away):
            air.reading(member)
        air.run(60000)
        near = members[0]
        assert said == {near.author[:3]: said[near.author[:3]]}
        for schema in away.peer.schemas.values():
            keeper.peer.ingest_schema(schema.encoded)
        for kind, first, _, body in away.peer.log.read(away.author, 0, 0, 10000):
            if kind == ENTRY_SEAL:
                keeper.peer.ingest_seal(away.author, body)
            else:
                keeper.peer.ingest(away.author, first, [body])
        keeper.peer.commit()
        air.look(keeper)
        air.run(120000)
        assert keeper.peer.receipted(away.author) == away.peer.log.held(away.author) > 0
        assert said[away.author[:3]] == 1
        assert said[near.author[:3]] >= 1


def test_custody_outlives_a_power_cut() -> None:
    with gradient():
        air = Air(4, loss=0, duty=100)
        keeper, members = line(air, 2)
        air.run(30000)
        near, far = members
        keeper.off_until = 10**9
        before = far.peer.log.held(far.author)
        air.reading(far)
        air.run(45000)
        # The author is rid of it; the relay has it, and alone.
        assert far.mesh.feed.safe()[0] == before + 1
        assert near.mesh.custody.count() >= 1
        air.unlink(near, far)
        air.reboot(near)
        air.run(47000)
        keeper.off_until = 0
        air.reboot(keeper)
        air.run(180000)
        assert keeper.peer.log.held(far.author) == before + 1
        check_air(air)


def test_a_relay_that_is_not_nearer_does_not_store_it() -> None:
    with gradient():
        air = Air(5, loss=0, duty=100)
        keeper, members = line(air, 2)
        aside = air.add("aside")
        air.link(members[1], aside)
        air.run(30000)
        assert aside.peer.distance(0) > members[1].peer.distance(0)
        taken = aside.mesh.stats["custody"]
        air.readings(members[1:], 10000, 90000)
        air.run(120000)
        assert aside.mesh.stats["custody"] == taken
        assert keeper.peer.log.held(members[1].author) == members[1].peer.log.held(members[1].author)


def test_one_taker_is_enough() -> None:
    with gradient():
        air = Air(6, loss=0, duty=100)
        keeper = air.add("keeper", hello.GATEWAY, True)
        row = [air.add("r%d" % at) for at in range(6)]
        far = air.add("far")
        air.all([keeper] + row)
        for member in row:
            air.link(far, member)
        air.run(60000)
        before = sum([member.mesh.stats["custody"] for member in row])
        for at in range(20):
            air.at(60000 + 10000 * at, air.reading, far)
        air.run(280000)
        air.settle([keeper], [far], 100000)
        taken = sum([member.mesh.stats["custody"] for member in row]) - before
        assert 20 <= taken <= 30, taken


def test_a_full_table_takes_nothing_and_loses_nothing() -> None:
    with gradient():
        air = Air(7, loss=0, duty=100)
        keeper, members = line(air, 2)
        near, far = members
        air.run(30000)
        keeper.off_until = 10**9
        for at in range(40):
            air.at(31000 + 500 * at, air.reading, far)
        air.run(400000)
        # One author does not fill the places of all.
        assert 8 < near.mesh.custody.count() <= 16
        keeper.off_until = 0
        air.reboot(keeper)
        air.settle([keeper], [far], 900000)
        check_air(air)


def test_what_waits_at_a_gateway_is_durable_before_it_is_acknowledged() -> None:
    with gradient():
        air = Air(8, loss=0, duty=100)
        keeper, members = line(air, 1)
        one = members[0]
        air.run(30000)
        held = keeper.peer.log.held(one.author)
        assert held == one.peer.log.held(one.author)
        keeper.off_until = 10**9
        air.reading(one)
        air.run(31000)
        one.mesh.custody.clear()
        keeper.off_until = 0
        sent: list = []
        air.on_sent = lambda member, payload: sent.append((member, payload))
        air.reading(one)
        for _ in range(80):
            air.run(air.now + 50)
            if [1 for member, payload in sent if member is keeper and payload[4] & 15 == frames.ACK]:
                break
        else:
            raise AssertionError("no ACK")
        log = durable(keeper.peer)
        waiting = [key for key, value in log.items(STATE_CUSTODY) if key[:1] == b"w" and value]
        assert log.held(one.author) == held + 2 or len(waiting) == 1
        air.reboot(keeper)
        air.settle([keeper], [one], 200000)


def test_without_a_receipt_in_time_it_is_pushed_again() -> None:
    with gradient():
        air = Air(9, loss=0, duty=100)
        keeper, members = line(air, 1, seal_ms=5000)
        one = members[0]
        air.run(30000)
        air.on_sent = None
        # The relay that had it is gone for good: as if a gateway had been replaced by an empty one.
        keeper.off_until = 10**9
        air.reading(one)
        air.run(32000)
        one.mesh.custody.clear()
        air.run(60000)
        keeper.off_until = 0
        air.reboot(keeper)
        air.run(60000 + 1800000 + 120000)
        assert keeper.peer.log.held(one.author) == one.peer.log.held(one.author)
        assert one.peer.receipted(one.author) == one.peer.log.held(one.author)


def test_two_gateways_share_the_work_and_none_keeps_it_all() -> None:
    with gradient():
        air = Air(10, loss=20)
        keepers = [air.add("k%d" % at, hello.GATEWAY, True) for at in range(2)]
        members = [air.add("b%d" % at) for at in range(4)]
        air.line([keepers[0]] + members + [keepers[1]])
        air.run(5000)
        air.readings(members, 30000, 200000)
        air.run(400000)
        for member in members:
            most = max([keeper.peer.log.held(member.author) for keeper in keepers])
            assert most == member.peer.log.held(member.author), member.name
        check_air(air)


def test_what_a_session_brought_is_pushed_on() -> None:
    with gradient():
        air = Air(11, loss=20)
        keeper, members = line(air, 2)
        away = air.add("away")
        air.run(40000)
        for _ in range(5):
            air.reading(away)
        near = members[1].peer
        for schema in away.peer.schemas.values():
            near.ingest_schema(schema.encoded)
        near.ingest(away.author, 1, [body for _, body in operations(away.peer.log, away.author)])
        near.commit()
        air.look(members[1])
        air.settle([keeper], [away], 200000)
        check_air(air)


def test_receipts_that_are_on_their_way_are_no_reason_to_connect() -> None:
    air = Air(12, loss=20)
    keeper, members = line(air, 3)
    air.run(5000)
    air.readings(members, 5000, 330000)
    found = []
    while air.now < 500000:
        air.run(air.now + 1000)
        found += [member.name for member in air.members if member.mesh.visit(member.now(air.now))]
        for member in air.members:
            air.look(member)
    assert keeper.peer.receipted(members[2].author) >= 32
    assert not found and not [member for member in air.members if member.mesh.stats["calls"]]


def test_what_was_heard_passed_on_is_not_pushed_again() -> None:
    with gradient():
        air = Air(13, loss=0, duty=100)
        keeper, members = line(air, 3)
        air.run(60000)
        sent: list = []
        air.on_sent = lambda member, payload: sent.append(payload) if payload[4] & 15 == frames.OP else None
        for at in range(20):
            air.at(60000 + 5000 * at, air.reading, members[2])
        air.run(180000)
        air.settle([keeper], members, 60000)
        # Three hops each, and hardly a push of what others were heard saying.
        again = [1 for payload in sent if payload[7] & 7]
        assert len(sent) <= 80 and len(again) <= 12, (len(sent), len(again))


def test_a_keeper_restored_from_a_copy_gets_what_came_after_it_again() -> None:
    """It goes on in a new incarnation; who has its receipts of the one before learns of that by asking."""
    with gradient():
        air = Air(3, loss=10)
        keeper, members = line(air, 2)
        far = members[1]

        def record(count: int) -> None:
            for at in range(count):
                air.at(air.now + at * 4000, air.reading, far)
            air.run(air.now + count * 4000 + 400000)

        air.run(60000)
        record(64)
        copy = MemoryStore(keeper.store.author)
        copy.entries = list(keeper.store.entries)
        copy.state = dict(keeper.store.state)
        before = keeper.peer.log.held(far.author)
        record(64)
        assert far.peer.receipted(far.author) > before + 32
        MemoryLog(copy).renew()
        keeper.store = copy
        air.reboot(keeper)
        air.run(air.now + 1000)
        assert keeper.peer.log.held(far.author) == before
        # Those on the way still know these frames as ones that got on.
        record(1)
        air.run(air.now + 1200000)
        assert keeper.peer.log.held(far.author) == far.peer.log.held(far.author)
        assert far.peer.ledger.incarnation(keeper.peer.identity) == 2


def test_who_writes_nothing_more_hears_that_its_keeper_was_restored() -> None:
    """It says the receipts that count now; whoever was told more pushes that again."""
    late = 0
    with gradient():
        for seed in (3, 4, 5):
            air = Air(seed, loss=10)
            keeper, members = line(air, 2)
            air.run(60000)
            for turn in range(2):
                for at in range(64):
                    for member in members:
                        air.at(air.now + at * 4000, air.reading, member)
                air.run(air.now + 660000)
                if not turn:
                    copy = MemoryStore(keeper.store.author)
                    copy.entries = list(keeper.store.entries)
                    copy.state = dict(keeper.store.state)
            MemoryLog(copy).renew()
            keeper.store = copy
            air.reboot(keeper)
            air.run(air.now + 1200000)
            for member in members:
                late += keeper.peer.log.held(member.author) < member.peer.log.held(member.author)
    assert not late


def test_what_a_restored_keeper_does_not_hold_is_pushed_at_once() -> None:
    """Though nobody asks, and the last push was a moment ago."""
    with gradient():
        air = Air(3, loss=0, duty=100)
        keeper, members = line(air, 1)
        far = members[0]
        air.run(60000)
        for at in range(64):
            air.at(air.now + at * 2000, air.reading, far)
        air.run(air.now + 200000)
        held = far.peer.receipted(far.author)
        assert held >= 64 and not far.mesh.feed.backlog()
        far.peer.ingest_receipt(Receipt(keeper.peer.identity, 2, far.author, 10))
        far.peer.commit()
        far.mesh.say(far.now(air.now))
        assert far.mesh.feed.backlog() == far.peer.log.held(far.author) - 10 - limits.MESH_WINDOW
        assert far.mesh.feed.due() is not None
