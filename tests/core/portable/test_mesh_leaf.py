"""Leaves: they say their own, listen for a moment, and sleep. Runs on both VMs."""

from mesh_kit import Air, check_air, gradient

from hedgerow.sync import hello

HEAP = "4m"


def scene(seed: int, loss: int = 20) -> tuple:
    air = Air(seed, loss=loss)
    keeper = air.add("keeper", hello.GATEWAY, True)
    keeper.peer.set_time(900000000000, 5, 4, 0)
    relays = [air.add("r%d" % at) for at in range(2)]
    leaf = air.add("leaf", hello.LEAF, seal_ms=60000)
    air.line([keeper] + relays + [leaf])
    return air, keeper, relays, leaf


def run(air: Air, keeper: object, leaf: object) -> None:
    air.run(5000)
    air.readings([leaf], 60000, 600000)
    air.run(600000)
    air.settle([keeper], [leaf], 300000)
    check_air(air)
    # Its receipts were held for it, and handed over while it listened.
    assert leaf.peer.receipted(leaf.author) > 2
    assert leaf.peer.utc(leaf.now(air.now)) is not None


def test_a_leaf_in_a_flood() -> None:
    air, keeper, _, leaf = scene(1)
    run(air, keeper, leaf)


def test_a_leaf_in_a_gradient() -> None:
    with gradient():
        air, keeper, _, leaf = scene(2)
        run(air, keeper, leaf)


def test_a_leaf_listens_only_in_its_windows() -> None:
    air, _, _, leaf = scene(3)
    air.run(60000)
    for _ in range(5):
        air.run(air.now + 20000)
        air.reading(leaf)
        assert leaf.mesh.due(leaf.now(air.now)) == leaf.now(air.now)
        air.run(air.now + 300)
        assert leaf.mesh.duty(leaf.now(air.now)) == 100
        assert leaf.mesh.sleep_until(leaf.now(air.now)) is None
        # Learning the time is a reason to be awake once more.
        for _ in range(3):
            air.run(air.now + 13500)
            if not leaf.mesh.duty(leaf.now(air.now)):
                break
        assert leaf.mesh.duty(leaf.now(air.now)) == 0
        assert leaf.mesh.sleep_until(leaf.now(air.now)) > leaf.now(air.now)


def test_neighbours_know_when_a_leaf_is_due_and_overdue() -> None:
    air, _, relays, leaf = scene(4)
    leaf.mesh.window.period = 30000
    air.run(5000)
    air.readings([leaf], 30000, 200000)
    air.run(200000)
    near = relays[-1]
    rows = [row for row in near.mesh.neighbours(near.now(air.now)) if row[4] == hello.LEAF]
    assert len(rows) == 1 and rows[0][0] == leaf.author
    assert 0 < rows[0][5] - near.now(air.now) <= 30000 and not rows[0][6]
    leaf.off_until = 10**9
    air.run(400000)
    rows = [row for row in near.mesh.neighbours(near.now(air.now)) if row[4] == hello.LEAF]
    assert rows[0][6]


def test_what_is_saved_survives_a_deep_sleep() -> None:
    air, keeper, _, leaf = scene(5, loss=0)
    air.run(5000)
    for _ in range(6):
        air.reading(leaf)
        air.run(air.now + 20000)
    pushed = leaf.mesh.feed.safe()
    assert pushed[0] == leaf.peer.log.held(leaf.author)
    saved = leaf.mesh.save()
    assert len(saved) <= 512
    leaf.boot(air.now)
    assert leaf.mesh.feed.safe()[0] < pushed[0]
    assert leaf.mesh.restore(saved)
    assert leaf.mesh.feed.safe() == pushed
    leaf.boot(air.now)
    for at in range(len(saved)):
        torn = bytearray(saved)
        torn[at] ^= 0x10
        assert not leaf.mesh.restore(bytes(torn))
    assert not leaf.mesh.restore(b"")
    assert not keeper.mesh.restore(saved)


def test_what_nobody_has_acknowledged_is_not_counted_as_pushed() -> None:
    air, keeper, relays, leaf = scene(6, loss=0)
    air.run(30000)
    before = leaf.mesh.feed.safe()[0]
    for relay in relays:
        relay.off_until = 10**9
    air.reading(leaf)
    air.run(60000)
    assert leaf.mesh.feed.safe()[0] == before
    for relay in relays:
        relay.off_until = 0
        air.reboot(relay)
    air.run(70000)
    air.reading(leaf)
    air.settle([keeper], [leaf], 100000)


def test_who_relays_nothing_loads_nothing_for_it() -> None:
    air, keeper, relays, _ = scene(7)
    small = air.add("small", relays=False, seal_ms=60000)
    air.link(relays[0], small)
    air.run(5000)
    air.readings([small, relays[1]], 60000, 400000)
    air.run(400000)
    air.settle([keeper], [small], 300000)
    check_air(air)
    assert small.peer.receipted(small.author) > 2
    assert small.peer.utc(small.now(air.now)) is not None
    # It hears others' operations and keeps none of them.
    assert small.mesh.stats["stored"] == 0 and small.peer.log.authors() == [small.author]
    assert small.mesh._intake is None
    # Its neighbours take it for a leaf that always listens: nobody compares itself with it.
    rows = [row for row in relays[0].mesh.neighbours(relays[0].now(air.now)) if row[0] == small.author]
    assert rows and rows[0][4] == hello.LEAF


def test_a_receipt_that_came_while_a_leaf_slept_is_handed_over() -> None:
    with gradient():
        air, keeper, relays, leaf = scene(8, loss=0)
        air.duty = 100
        air.run(5000)
        air.readings([leaf], 60000, 200000)
        air.run(200000)
        near = relays[-1]
        # It says what it has, and hears nothing.
        air.links[near].remove(leaf)
        air.reading(leaf)
        leaf.peer.seal(leaf.now(air.now))
        number = leaf.peer.log.held(leaf.author)
        while keeper.peer.receipted(leaf.author) < number or leaf.mesh.duty(leaf.now(air.now)):
            air.run(air.now + 1000)
            assert air.now < 800000
        air.run(air.now + 30000)
        assert leaf.peer.receipted(leaf.author) < number
        # Who has the receipt says nothing more by itself.
        keeper.off_until = relays[0].off_until = 1 << 30
        air.links[near].append(leaf)
        air.run(air.now + 70000)
        assert leaf.peer.receipted(leaf.author) == number
