"""How far a keeper is: by whom, and how well they hear each other. Runs on both VMs."""

from kit import Random
from mesh_kit import KEY, gradient
from sync_kit import board
from ways_kit import MESH, hear, op, relay, state, take

from hedgerow import limits
from hedgerow.mesh import frames, pace
from hedgerow.mesh.mesh import Mesh
from hedgerow.mesh.ways import slot
from hedgerow.presence import learnt
from hedgerow.sync.hello import LEAF

HEAP = "4m"


def test_the_nearest_of_those_who_are_well_heard_counts() -> None:
    with gradient():
        mesh = relay()
        for counter in range(1, 7):
            state(mesh, b"one", counter, 5, counter * 1000, rssi=-50)
            state(mesh, b"two", counter, 4, counter * 1000, rssi=-80)
            state(mesh, b"odd", 5 * counter, 1, counter * 1000, rssi=-40)
        assert mesh.peer.distance(7000) == 5
        # What is good stays so for a while: a way that is taken is not given up for a few that were missed.
        state(mesh, b"two", 9, 4, 9000)
        assert mesh.peer.distance(9000) == 5


def places(level: int) -> bytes:
    """What a STATE shows of everybody."""
    return bytes((level * 0x55,)) * 6


def test_who_does_not_hear_us_well_is_no_way_however_well_it_is_heard() -> None:
    for level, distance in ((0, 3), (1, 3), (2, 2), (3, 2)):
        with gradient():
            mesh = relay()
            for counter in range(1, 7):
                state(mesh, b"dea", counter, 1, counter * 1000, shows=places(level))
                state(mesh, b"two", counter, 2, counter * 1000)
            assert mesh.peer.distance(7000) == distance, level
    # One good word of four may stand for another in the same place; two bad ones do not.
    with gradient():
        mesh = relay()
        for counter in range(1, 10):
            shows = places(0 if counter % 4 == 1 else 3)
            state(mesh, b"dea", counter, 1, counter * 1000, shows=shows)
            state(mesh, b"two", counter, 2, counter * 1000)
        assert mesh.peer.distance(10000) == 3
        for counter in range(10, 14):
            state(mesh, b"dea", counter, 1, counter * 1000)
        assert mesh.peer.distance(14000) == 2
        state(mesh, b"dea", 14, 1, 14000, shows=places(0))
        mesh.visits.ways.rank(14000)
        assert mesh.peer.distance(14000) == 2, "a way that is taken needs two"
        state(mesh, b"dea", 15, 1, 15000, shows=places(0))
        mesh.visits.ways.rank(15000)
        assert mesh.peer.distance(15000) == 3
        # What one that floods shows there is something else.
        state(mesh, b"dea", 16, 1, 16000, shows=places(0), flags=0)
        assert mesh.visits._table[b"dea"].told_us & 3 == 3


def test_a_state_shows_how_well_others_are_heard() -> None:
    with gradient():
        mesh = relay()
        for counter in range(1, 9):
            state(mesh, b"nea", counter, 1, counter * 1000)
            state(mesh, b"equ", counter, 3, counter * 1000)
            if counter % 2:
                state(mesh, b"far", counter, 4, counter * 1000)
        state(mesh, b"new", 1, 255, 9000)
        for counter in (3, 4):
            shown = mesh.visits.ways.heard(counter, 10000)
            level = {}
            for name in (b"nea", b"equ", b"far", b"new"):
                at = slot(name, counter)
                level[name] = shown[at >> 2] >> (at & 3) * 2 & 3
            assert level == {b"nea": 0, b"equ": 3, b"far": 1, b"new": 0}, (counter, level)
        assert slot(b"equ", 3) != slot(b"equ", 4)
        assert mesh.visits.ways.heard(3, 10000 + pace.LOST_MS) == bytes(6)
        for at in range(10000, 90000, 100):
            said = mesh.say(at)
            if said and said[0][7] & 15 == frames.STATE:
                found = frames.decode_state(said[0][7:])
                assert found.digest == mesh.visits.ways.heard(found.counter, at) != bytes(6)
                break
        else:
            raise AssertionError("no STATE")


def test_a_way_that_is_lost_is_unknown_before_it_is_longer() -> None:
    with gradient():
        mesh = relay()
        for counter in range(1, 7):
            state(mesh, b"one", counter, 1, counter * 1000)
            state(mesh, b"two", counter, 2, counter * 1000)
            state(mesh, b"far", counter, 3, counter * 1000)
        assert mesh.peer.distance(7000) == 2
        end = 6000 + pace.LOST_MS
        for counter, now in ((7, 60000), (8, end)):
            state(mesh, b"two", counter, 2, now)
            state(mesh, b"far", counter, 3, now)
        mesh.visits.ways.rank(end + 1000)
        assert mesh.peer.distance(end + 1000) == 3, "by one that was as near as this one"
        state(mesh, b"two", 9, 255, end + 2000)
        assert mesh.peer.distance(end + 2000) == 255, "the other had its way by us, maybe"


def beside_one_that_takes_nothing() -> Mesh:
    """A relay that hears one near a keeper, by which it goes, and one that is as near as it is."""
    mesh = relay()
    for counter in range(1, 7):
        state(mesh, b"dea", counter, 1, counter * 1000)
        state(mesh, b"two", counter, 2, counter * 1000)
    return mesh


def test_who_does_not_hear_us_is_no_way() -> None:
    with gradient():
        mesh = beside_one_that_takes_nothing()
        mesh.say(7000)
        assert mesh.peer.distance(7000) == 2
        # Much that waits is pushed in vain many times in a minute: that counts once.
        for at, distance in ((7000, 2), (7100, 2), (66999, 2), (67000, 3)):
            mesh.custody.vain = True
            mesh.say(at)
            assert mesh.peer.distance(at) == distance
        # Until it has taken something.
        frame = op(5)
        mesh.custody.move(3, 68000)
        hear(mesh, b"far", frame, 69000)
        take(mesh, 69000)
        assert mesh.custody.count() == 1
        hear(mesh, b"dea", op(1), 82000)
        state(mesh, b"dea", 7, 1, 83000)
        assert mesh.peer.distance(83000) == 2


def test_a_push_in_vain_is_told() -> None:
    with gradient():
        mesh = relay()
        hear(mesh, b"far", op(4), 1000)
        pushes = 0
        for at in range(1000, 90000, 500):
            pushes += len(mesh.custody.step(at, 1))
            assert mesh.custody.vain == (pushes > 4)
        # Within a minute and a half.
        assert pushes > 4


def test_one_frame_alone_shows_within_minutes_that_nobody_takes_it() -> None:
    with gradient():
        mesh = beside_one_that_takes_nothing()
        hear(mesh, b"far", op(4), 7000)
        lost = 0
        for at in range(7000, 400000, 500):
            mesh.say(at)
            lost = lost or at * (mesh.peer.distance(at) == 3)
        assert 60000 < lost < 200000


def test_a_leaf_counts_within_a_wake() -> None:
    with gradient():
        mesh = relay()
        mesh.role = LEAF
        for counter in range(1, 7):
            state(mesh, b"dea", counter, 1, counter * 1000)
        for at in (7000, 7400):
            mesh.visits.ways.unheard(at)
        assert mesh.visits._table[b"dea"].deaf == 2


def test_leaves_are_no_way_and_take_whom_they_hear() -> None:
    with gradient():
        mesh = relay()
        for counter in range(1, 7):
            state(mesh, b"lea", counter, 1, counter * 1000, role=LEAF)
        assert mesh.peer.distance(7000) == 3
        leaf = Mesh(board(mesh=MESH), 0, random=Random(1).below, key=KEY, role=LEAF)
        state(leaf, b"rel", 1, 3, 1000)
        assert leaf.peer.distance(1000) == 4
        state(leaf, b"rel", 7, 6, 900000)
        assert leaf.peer.distance(900000) == 7


def test_a_full_table_keeps_those_who_are_near_and_a_way() -> None:
    mesh = relay()
    for counter in range(1, 4):
        state(mesh, b"way", counter, 1, counter * 1000, rssi=-90)
    for at in range(limits.MAX_NEIGHBOURS + 4):
        state(mesh, b"n%02d" % at, 1, 5, 4000, rssi=-60 - at)
    known = mesh.visits._table
    assert len(known) == limits.MAX_NEIGHBOURS and b"way" in known and b"n00" in known
    assert b"n%02d" % (limits.MAX_NEIGHBOURS + 1) not in known


def test_the_hops_by_way_of_another() -> None:
    found = [(0, 1), (14, 15), (15, 255), (99, 255), (100, 101), (114, 115), (115, 255), (255, 255)]
    for remote, hops in found:
        assert learnt(remote) == hops
