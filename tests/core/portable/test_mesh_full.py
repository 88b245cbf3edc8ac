"""A mesh of full logs, far from any keeper: it is calm, and goes on once there is room. Runs on both VMs."""

from mesh_kit import Air, check_air

from hedgerow import limits
from hedgerow.mesh import letters, pace
from hedgerow.mesh.outcome import TAKEN, WAITS
from hedgerow.sync import hello

HEAP = "8m"
QUOTA = limits.SEAL_EVERY


def full_mesh(seed: int, loss: int, shape: object = Air.all) -> tuple:
    """Three relays in a shape, who write 100 readings each; of each other a seal's find room."""
    air = Air(seed, loss=loss, duty=100)
    members = [air.add("b%d" % at) for at in range(3)]
    for member in members:
        member.peer.quota = QUOTA
    shape(air, members)
    air.run(3000)
    air.readings(members, 6000, 600000)
    air.run(600000)
    return air, members


def keeper_beside(air: Air, member: object) -> object:
    """Return a gateway that is a keeper, and has come into one member's reach."""
    door = air.add("door", role=hello.GATEWAY, keeper=True)
    air.link(member, door)
    return door


def test_what_finds_no_room_is_not_asked_for() -> None:
    """It was, by everybody, and said again, for as long as no keeper came: eight times the talk of before."""
    for loss in (0, 20):
        air, members = full_mesh(1, loss)
        before = [(member.mesh.stats["wants"], member.mesh.stats["said"]) for member in members]
        air.readings(members, 20000, 1200000)
        air.run(1200000)
        for member, (wants, said) in zip(members, before):
            others = [other.author for other in members if other is not member]
            held = [member.peer.log.held(author) - member.peer.receipted(author) for author in others]
            assert held == [QUOTA, QUOTA], held
            # 30 readings of its own in these ten minutes.
            assert member.mesh.stats["wants"] - wants < 6, member.mesh.stats["wants"] - wants
            assert member.mesh.stats["said"] - said < 30 * 12, member.mesh.stats["said"] - said
            assert not member.mesh.has_room(others[0], member.now(air.now))
            assert not member.mesh.intake.lacking(member.now(air.now))
        # What differs for long is hardly talked about.
        before = [member.mesh.stats["haves"] for member in members]
        air.run(3000000)
        haves = [member.mesh.stats["haves"] - count for member, count in zip(members, before)]
        assert max(haves) < 30 * 3, haves
        check_air(air)


def test_what_found_no_room_comes_once_there_is_some() -> None:
    air, members = full_mesh(2, 10)
    door = keeper_beside(air, members[0])
    air.settle([door], members, 3600000)
    # Receipts make room: what is new is taken again.
    air.run(air.now + 300000)
    for member in members:
        assert member.peer.receipted(member.author) > 100 - limits.SEAL_EVERY
        for other in members:
            assert member is other or member.mesh.takes(other.author, member.now(air.now))
    air.reading(members[2])
    air.settle(members, [members[2]], 60000)
    check_air(air)


def test_a_seal_that_was_lost_is_asked_for_though_there_is_no_room() -> None:
    """All 32 operations were at the keeper without it: no receipt, and no room, for half an hour or more."""
    for seed in range(6):
        air, members = full_mesh(seed, 40, Air.line)
        air.run(900000)
        door = keeper_beside(air, members[0])
        air.settle([door], members, 900000)


def test_a_keeper_that_comes_to_full_logs_is_told_at_once() -> None:
    """What differs for long is told ever more rarely: not to who has just come."""
    took = []
    for seed in range(4):
        air, members = full_mesh(seed, 0)
        air.run(2400000)
        door = keeper_beside(air, members[0])
        took.append(air.settle([door], members[:1], 600000))
    assert max(took) < 120000, took


def test_a_log_that_was_full_is_tried_again_after_a_minute() -> None:
    air = Air(3, loss=0, duty=100)
    one, other = air.add("one"), air.add("other")
    air.link(one, other)
    air.reading(one)
    air.run(20000)
    now = other.now(air.now)
    repair = other.mesh.repair
    other.mesh.lacks_room("LOG_FULL", one.author[:3], now)
    assert not other.mesh.takes(one.author, now)
    other.mesh.intake.note_height(one.author, one.peer.log.held(one.author) + 3)
    for later, lacks in ((0, False), (pace.FULL_MS - 1, False), (pace.FULL_MS, True)):
        want = repair._lacks_operations(one.author, [0, 0, 0, 0], now + later)
        assert bool(want and want[2]) == lacks == bool(other.mesh.intake.lacking(now + later)), later


def test_what_is_refused_of_one_author_is_asked_for_of_others() -> None:
    """A place for an author, or a stranger's share: that is full for its author alone."""
    air = Air(4, loss=0, duty=100)
    one, other, third = air.add("one"), air.add("other"), air.add("third")
    air.all([one, other, third])
    for member in (one, third):
        air.reading(member)
    air.run(20000)
    now = other.now(air.now)
    for code, full in (("AUTHORS_FULL", True), ("QUOTA_FULL", True), ("SCHEMA_UNKNOWN", False)):
        other.mesh._full.clear()
        other.mesh.lacks_room(code, one.author[:3], now)
        assert other.mesh.takes(one.author, now + pace.FULL_MS - 1) != full
        assert other.mesh.takes(one.author, now + pace.FULL_MS) and other.mesh.takes(third.author, now)


def test_what_a_gateway_has_acknowledged_waits_while_its_log_is_full() -> None:
    air = Air(5, loss=0, duty=100)
    one, door = air.add("one"), air.add("door", role=hello.GATEWAY, keeper=True)
    air.link(one, door)
    air.reading(one)
    air.run(20000)
    air.unlink(one, door)
    lost, late = written(air, one), written(air, one)
    now = door.now(air.now)
    intake = door.mesh.intake
    assert intake.take(late, 2, now) == WAITS
    door.mesh.lacks_room("LOG_FULL", one.author[:3], now)
    assert intake.take(late, 2, now) == WAITS and 2 in intake.waiting
    now += pace.FULL_MS
    assert intake.take(lost, 1, now) == TAKEN and not intake.waiting


def written(air: Air, member: object) -> bytes:
    """Return one more reading as what a letter says."""
    air.reading(member)
    number = member.peer.log.held(member.author)
    return letters.encode_operation(member.author, number, member.peer.log.fetch(member.author, number))
