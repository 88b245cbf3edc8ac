"""Who is of another epoch: visited while it can be, and nothing of what it says counts. Runs on both VMs."""

from kit import Random
from mesh_kit import KEY
from sync_kit import board
from test_mesh_epochs import MESH, group, hear, op, relay, state, states

from hedgerow.crypto.rotation import settle
from hedgerow.log import MemoryStore
from hedgerow.mesh import frames, pace, tells
from hedgerow.mesh.epochs import NEWEST
from hedgerow.mesh.group import Group
from hedgerow.mesh.mesh import Mesh
from hedgerow.mesh.tag import check
from hedgerow.sync.hello import GATEWAY, LEAF, RELAY

HEAP = "2m"


def test_who_has_slept_through_epochs_is_visited() -> None:
    """SPEC 11.16.4, 11.16.5."""
    made = group(1, 2, 3)
    for stale in (None, group(1)):
        for mesh, author, role, comes in (
            (relay(made), b"\xfeut", RELAY, True),
            (relay(made), b"\x01ut", RELAY, False),
            (relay(made), b"\x01ut", LEAF, True),
        ):
            assert not hear(mesh, state(stale, 1, author, role, window=100)) and mesh.stats["apart"] == 1
            # It is a member, and whom gateways name has no key of this mesh.
            assert mesh.stats["strangers"] == 0
            calls = [mesh.visit(now) for now in (0, pace.VISIT_MS)]
            assert calls == [None, None] and mesh.stats["calls"] == comes
            if not comes:
                # It comes itself.
                continue
            # Whatever key it has, it knows the one of the call.
            while True:
                frame = mesh.say(pace.VISIT_MS)[0]
                if frame[4] & 15 == frames.CALL:
                    break
            assert check(KEY, frame[4:]) and (stale or group()).reads(frame[4:]) == NEWEST
            assert not hear(mesh, state(stale, 2, author, role), pace.VISIT_MS + 100)
            assert mesh.visit(pace.VISIT_MS + 200) == b"other"
            mesh.synced(b"other", None, 6000)
            # Now it is of the same epoch, and no reason for more.
            assert hear(mesh, state(made, 3, author, role), 7000)
            assert mesh.visits._table[b"other"].apart is None


def test_who_is_out_is_no_way_and_brings_nothing() -> None:
    """SPEC 11.16.4."""
    made = group(1, 2)
    settle(made)
    mesh = relay(made)
    outcast = group(1)
    for number in range(1, 20):
        assert not hear(mesh, state(outcast, number), 100 * number)
        assert not hear(mesh, op(outcast.key, number), 100 * number)
        assert not hear(mesh, op(KEY, number), 100 * number)
    known = mesh.visits._table[b"other"]
    assert known.hops == 255 and known.apart.flags == frames.CONNECTABLE and not known.apart.open_count
    assert known.state is None
    assert not mesh.visits.has_time() and mesh.stats["heard"] == 0
    # Sessions that it cannot have are tried ever less often, be it that it shows itself as a leaf.
    for role in (RELAY, LEAF):
        hear(mesh, state(outcast, 30 + role, b"\xfeut", role), 10000)
        known.failures = known.not_before = 0
        for _ in range(12):
            mesh.failed(b"other", 10000)
        assert known.not_before >= 10000 + (2000 << 9)


def gateway(table: int = 8) -> Mesh:
    made = group(1, 2, 3)
    settle(made)
    peer = board(store=MemoryStore(), mesh=MESH, role=GATEWAY, keeper=True)
    return Mesh(peer, 0, random=Random(1).below, role=GATEWAY, key=KEY, group=made, table=table)


def called(mesh: Mesh, since: int, until: int) -> list[tuple[int, bytes]]:
    """Return whom it calls, and when it says so."""
    found = []
    for now in range(since, until, 100):
        mesh.visit(now)
        said = mesh.say(now)
        at = frames.find(said[0]) if said is not None else 0
        if at and said[0][at] & 15 == frames.CALL:
            found.append((now, bytes(tells.decode_call(said[0][at:])[0])))
    return found


def test_a_leaf_of_another_epoch_is_called_while_it_is_awake_alone() -> None:
    """SPEC 11.16.4."""
    mesh = gateway()
    stale = group(1)
    for at in range(4):
        leaf = b"\xfe\0" + bytes((at,))
        hear(mesh, state(stale, 1, leaf, LEAF, frames.CONNECTABLE, 40), 0, leaf)
    # Its window is over before others have had their turns.
    assert all(when <= 4000 for when, _ in called(mesh, 0, 200000))
    for at in range(4):
        leaf = b"\xfe\0" + bytes((at,))
        moment = 600000 + 20000 * at
        hear(mesh, state(stale, 2, leaf, LEAF, frames.CONNECTABLE, 15), moment, leaf)
        found = called(mesh, moment, moment + 20000)
        # At once, once, and whoever is awake next does not wait for it.
        assert [short for _, short in found] == [leaf] and found[0][0] <= moment + 200
        assert mesh.visits._calling is None
    # A call so late that it would hear nothing of it waits for its next wake.
    for moment, late in ((700000, 1100), (800000, 1200)):
        hear(mesh, state(stale, 3 + late, leaf, LEAF, frames.CONNECTABLE, 15), moment, leaf)
        mesh.visits._table[leaf].not_before = 0
        assert bool(called(mesh, moment + late, moment + late + 1000)) == (late < 1125)
    # One that listens always is called as long as it is about, and so is who has not told its window.
    for window, often in ((255, True), (0, False)):
        mesh = gateway()
        hear(mesh, state(stale, 1, b"\xfeut", LEAF, frames.CONNECTABLE, window), 0)
        mesh.visits._table[b"other"].parted = 0
        times = [when for when, _ in called(mesh, 500, 20000)]
        assert times and (times[-1] > 10000) == often and (often or times[-1] <= 1500)


def test_a_call_names_who_is_called_when_it_is_said() -> None:
    mesh = gateway()
    stale = group(1)
    for at in range(2):
        leaf = b"\xfe\0" + bytes((at,))
        hear(mesh, state(stale, 1, leaf, LEAF, frames.CONNECTABLE, 10), 5000 * at, leaf)
        mesh.visits._table[leaf].parted = 0
        mesh.visit(5000 * at)
        assert mesh.visits._calling == leaf
        if not at:
            # It is asleep before there was a turn to say it.
            mesh.visit(2000)
            assert mesh.visits._calling is None
    assert [short for _, short in called(mesh, 5000, 5300)] == [b"\xfe\0\1"]


def test_what_an_address_shows_last_says_whether_it_can_be_visited() -> None:
    """SPEC 11.16.4."""
    stale = group(1)
    for flags in (0, frames.CONNECTABLE):
        mesh = gateway()
        # It was in a session, and of this epoch; then an old flash was put back.
        hear(mesh, state(mesh.epochs.group, 1, b"\xfeut", RELAY, frames.CONNECTABLE - flags), 0)
        for number in range(2, 30):
            hear(mesh, state(stale, number, b"\xfeut", RELAY, flags), 1000 * number)
        assert bool(called(mesh, 30000, 34000)) == bool(flags)


def test_who_shows_another_epoch_behind_an_address_changes_nothing_of_what_its_member_said() -> None:
    """SPEC 11.16.4."""
    mesh = relay(group(1, 2, 3))
    settle(mesh.epochs.group)
    flags = frames.GRADIENT | frames.HAS_TIME
    hear(mesh, state(mesh.epochs.group, 1, b"\x01ut", RELAY, flags), 0)
    # More than advertisements bring waits over there, by that one's own word.
    for number in range(2, 40):
        hear(mesh, state(group(1), number, b"\x01ut", RELAY, frames.CONNECTABLE, 254), 1000 * number)
    assert mesh.visits.ways.gradient(40000, True) and mesh.visits.has_time()
    assert called(mesh, 40000, 60000) == [] and mesh.stats["calls"] == 0
    # What that one said itself is no reason for a session with who is there now.
    for apart in (False, True):
        mesh = gateway()
        mesh.say(0)
        hear(mesh, state(mesh.epochs.group, 1, b"\xfeut", RELAY, frames.CONNECTABLE, 254), 0)
        if apart:
            hear(mesh, state(group(1), 2, b"\xfeut"), 1000)
            mesh.visits._table[b"other"].parted = 10**6
        assert bool(called(mesh, 1000, 60000)) != apart


def sessions_for(mesh: Mesh, made: Group, author: bytes, role: int, until: int) -> int:
    """Return how many sessions somebody gets who shows an old epoch behind a member's address."""
    count = 0
    stale = group(1)
    number = 0
    for now in range(0, until, 500):
        number += 1
        hear(mesh, state(stale, number, author, role), now)
        at = mesh.visit(now)
        if at is not None:
            # The true owner of the address is there, and has the newest key.
            count += 1
            mesh.synced(at, None, now)
            number += 1
            hear(mesh, state(made, number, author, role), now)
        mesh.say(now)
    return count


def test_who_plays_a_member_of_another_epoch_behind_its_address_costs_ever_fewer_sessions() -> None:
    """SPEC 11.16.4."""
    made = group(1, 2, 3)
    settle(made)
    for role in (RELAY, LEAF):
        assert 0 < sessions_for(relay(made), made, b"\xfeut", role, 600000) <= 8


def test_who_is_of_another_epoch_pushes_nobody_out() -> None:
    """SPEC 11.16.4."""
    made = group(1, 2, 3)
    settle(made)
    store = MemoryStore()
    peer = board(store=store, mesh=MESH, role=GATEWAY, keeper=True)
    mesh = Mesh(peer, 0, random=Random(1).below, role=GATEWAY, key=KEY, group=made, table=8)
    for number in range(7):
        author = b"\xfe\x00" + bytes((number,))
        mesh.heard(b"own%d" % number, -90, frames.advertise(state(made, 1, author)), 0, True)
    stale = group(1)
    for number in range(100):
        frame = frames.advertise(state(stale, 1, bytes((1, 1, number))))
        mesh.heard(b"out%d" % number, -30, frame, 100 + number, True)
    names = sorted(mesh.visits._table)
    assert len([name for name in names if name[:3] == b"own"]) == 7
    # Nor do they keep out who comes later, however far it is.
    mesh.flood = False
    mesh.heard(b"late", -95, frames.advertise(state(made, 1, b"\xfe\x01\x01")), 300, True)
    assert b"late" in mesh.visits._table


def test_who_waits_to_be_visited_by_somebody_of_another_epoch_shows_itself() -> None:
    """SPEC 11.16.4."""
    stale = group(1)
    for author, role, answers in (
        (b"\x01ut", RELAY, True),
        (b"\xfeut", RELAY, False),
        (b"\xfeut", GATEWAY, True),
    ):
        mesh = relay(group(1, 2, 3))
        settle(mesh.epochs.group)
        states(mesh, 0, 200000)
        assert mesh._trickle.due > 210000
        hear(mesh, state(stale, 1, author, role), 200000)
        assert bool(states(mesh, 200000, 204100)) == answers
    # Whoever has many addresses makes it say no more than that.
    mesh = relay(group(1, 2, 3))
    settle(mesh.epochs.group)
    count = 0
    for number in range(600):
        hear(mesh, state(stale, 1, b"\1" + number.to_bytes(2, "big")), 1000 * number, b"out%d" % number)
        count += len(states(mesh, 1000 * number, 1000 * number + 1000))
    assert count <= 6 * 600000 // pace.STATE_MAX_MS


def test_who_has_the_key_from_somebody_else_is_left_alone() -> None:
    """SPEC 11.16.4."""
    for joined in (False, True):
        mesh = gateway()
        hear(mesh, state(group(1), 1), 0)
        if joined:
            hear(mesh, state(mesh.epochs.group, 2), 1000)
        assert bool(called(mesh, 1000, 20000)) != joined
    # Nor is whoever was met for that, and has said nothing since.
    mesh = gateway()
    hear(mesh, state(group(1), 1), 0)
    mesh.synced(b"other", None, 1000)
    assert called(mesh, 1000, 60000) == []


def test_who_is_of_another_epoch_is_a_neighbour_of_whom_little_is_known() -> None:
    """SPEC 11.16.4."""
    mesh = gateway(3)
    stale = group(1)
    hear(mesh, state(mesh.epochs.group, 1, b"\xfe\0\1"), 0, b"gone")
    hear(mesh, state(mesh.epochs.group, 1, b"\xfe\0\2"), 600000, b"live")
    for number, rssi in ((1, -80), (2, -50)):
        frame = frames.advertise(state(stale, number, b"\xfe\0\3"))
        mesh.heard(b"apart", rssi, frame, 600000 + number, True)
    found = [each for each in mesh.neighbours(600002) if each[0] == b"\xfe\0\3"]
    assert [(each[1], each[3]) for each in found] == [(-50, 255)]
    # Who was not heard for long makes room for it; who is here does not.
    hear(mesh, state(stale, 1, b"\xfe\0\4"), 600010, b"other")
    assert sorted(mesh.visits._table) == [b"apart", b"live", b"other"]
    hear(mesh, state(stale, 1, b"\xfe\0\5"), 600020, b"third")
    assert b"live" in mesh.visits._table and b"third" in mesh.visits._table


class Owes:
    """As much of a gateway's members as visits look at."""

    ready = False

    def __init__(self, *names: bytes) -> None:
        self.owed = set(names)
        self.fresh: list = []
        self.said: list = []


def test_whom_keys_wait_for_is_visited_by_its_gateway_while_it_is_awake() -> None:
    """SPEC 11.17.4, 6.32.1."""
    for name, role, owed, comes in (
        (b"\xfeut", RELAY, b"\xfeut", True),
        (b"\xfeut", RELAY, b"\x01ut", False),
        (b"\xfeut", LEAF, b"\xfeut", True),
    ):
        mesh = gateway()
        mesh.peer.members = Owes(owed)
        hear(mesh, state(mesh.epochs.group, 1, name, role, window=20), 0)
        found = called(mesh, 100, 60000)
        assert bool(found) == comes and {whom for _, whom in found} == ({name} if comes else set())
        # A window of 2 s is nearly over after 1.5.
        assert role != LEAF or found[-1][0] < 2000
        # Others have none to tell.
        other = relay(mesh.epochs.group)
        other.peer.members = mesh.peer.members
        hear(other, state(other.epochs.group, 1, name, role, window=20), 0)
        assert called(other, 100, 60000) == []
        # It was told.
        mesh.peer.members.owed.clear()
        mesh.visits.synced(b"other", 60000)
        hear(mesh, state(mesh.epochs.group, 2, name, role, window=20), 90000)
        assert called(mesh, 90100, 150000) == []
