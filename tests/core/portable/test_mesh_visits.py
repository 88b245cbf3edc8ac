"""Whom a peer connects to, and when: the most for it first, asked by CALL, and never for nothing again and
again. Runs on both VMs."""

from kit import Random
from mesh_kit import KEY, Air
from sync_kit import board, check, gateway, sync

from hedgerow import limits
from hedgerow.mesh import frames, pace, tells
from hedgerow.mesh.mesh import Mesh
from hedgerow.mesh.visits import BULK
from hedgerow.sync.hello import GATEWAY, LEAF, RELAY

HEAP = "4m"
MESH = b"\x11\x22\x33"
CAN = frames.CONNECTABLE
HOLD_OFF = 1000
DAY = 86400000


def engine(role: int = RELAY, **options: object) -> Mesh:
    """An engine two hops from a keeper, whose waits have no random part, and which says nothing by itself."""
    peer = gateway(mesh=MESH) if role == GATEWAY else board(mesh=MESH)
    mesh = Mesh(peer, 0, random=lambda _: 0, role=role, key=KEY, hold_off_ms=HOLD_OFF, **options)
    mesh.code = 2
    return mesh


def hear(mesh: Mesh, address: object, now: int, **fields: object) -> None:
    """Hear the STATE of a neighbour farther away, with a hundred operations more."""
    serial = fields.pop("serial", 0)
    rssi = fields.pop("rssi", -60)
    state = {"open_count": 100, "distance": 3, "flags": CAN | frames.GRADIENT, "role": RELAY}
    state.update(fields)
    author = address[:3] if isinstance(address, bytes) else b"aut"
    mesh.visits.heard(
        address,
        frames.State(
            MESH[:2], serial, 0, b"dig%03d" % serial, state["open_count"], state["distance"], state["flags"],
            state["role"], author, 3,
        ),
        rssi,
        now,
    )  # fmt: skip


def wants(mesh: Mesh, now: int, busy: tuple = ()) -> object:
    """Return whom an engine calls when a difference has lasted: the short name in the CALL, or None."""
    assert mesh.visit(now, busy) is None
    assert mesh.visit(now + pace.VISIT_MS, busy) is None
    return called_by(mesh, now + pace.VISIT_MS)


def called_by(mesh: Mesh, now: int) -> object:
    found = None
    for name in list(mesh.speaker.names):
        what = mesh.speaker.names[name][3]
        if isinstance(what, bytes) and what[0] & 15 == frames.CALL:
            assert found is None, "one at a time"
            found = tells.decode_call(what)[0]
            assert tells.decode_call(what)[1] == mesh.peer.author[:3]
            mesh.speaker.drop(name)
    return found


# ---- whom


def test_the_largest_backlog_comes_first() -> None:
    mesh = engine()
    for address, count in ((b"few", 50), (b"lot", 400), (b"mid", 100)):
        hear(mesh, address, 0, open_count=count)
    assert wants(mesh, 0) == b"lot"


def test_of_equal_backlogs_the_best_signal_comes_first() -> None:
    mesh = engine()
    for address, rssi in ((b"far", -90), (b"you", -40), (b"mid", -60)):
        hear(mesh, address, 0, rssi=rssi)
    assert wants(mesh, 0) == b"you"


def test_who_failed_lately_comes_last() -> None:
    mesh = engine()
    for address, rssi in ((b"bad", -40), (b"odd", -50), (b"you", -90)):
        hear(mesh, address, 0, rssi=rssi)
    for address in (b"bad", b"bad", b"odd"):
        mesh.failed(address, 0)
    start = HOLD_OFF << 3
    for address, rssi in ((b"bad", -40), (b"odd", -50), (b"you", -90)):
        hear(mesh, address, start, rssi=rssi)
    assert wants(mesh, start) == b"you"
    mesh = engine()
    for address in (b"bad", b"bad", b"odd"):
        mesh.failed(address, 0)
        hear(mesh, address, start)
    assert wants(mesh, start) == b"odd"


def test_only_those_farther_from_a_keeper_are_called() -> None:
    for distance, found in ((1, None), (2, None), (3, b"you")):
        mesh = engine()
        mesh.flood = False
        hear(mesh, b"you", 0, distance=distance)
        assert wants(mesh, 0) == found, distance


def test_in_a_flood_one_of_two_equals_calls() -> None:
    found = []
    for other in (b"\0\0\0", b"\xff\xff\xff"):
        mesh = engine()
        hear(mesh, other, 0, open_count=1, distance=2, flags=CAN | BULK)
        assert mesh.visit(0) is None
        found.append(called_by(mesh, 0))
    assert found == [None, b"\xff\xff\xff"]


def test_in_a_flood_whoever_lacks_much_calls() -> None:
    for distance, other in ((2, b"\0\0\0"), (1, b"\xff\xff\xff"), (3, b"\0\0\0")):
        mesh = engine()
        hear(mesh, other, 0, distance=distance, flags=CAN)
        assert wants(mesh, 0) == other


def test_few_operations_come_by_advertisement() -> None:
    for count, found in ((32, None), (33, b"you")):
        mesh = engine()
        hear(mesh, b"you", 0, open_count=count)
        assert wants(mesh, 0) == found, count


def test_what_fits_no_advertisement_is_worth_a_session_at_once() -> None:
    mesh = engine()
    hear(mesh, b"you", 0, open_count=1, flags=CAN | BULK)
    assert mesh.visit(0) is None
    assert called_by(mesh, 0) == b"you"


def test_gateways_leaves_the_busy_and_those_that_cannot_are_not_called() -> None:
    for fields in ({"role": GATEWAY}, {"role": LEAF}, {"flags": frames.GRADIENT}):
        mesh = engine()
        hear(mesh, b"you", 0, **fields)
        assert wants(mesh, 0) is None, fields
    mesh = engine()
    hear(mesh, b"you", 0)
    assert wants(mesh, 0, (b"you",)) is None
    assert wants(mesh, 2 * pace.VISIT_MS) == b"you"


def test_what_differed_before_has_to_differ_anew() -> None:
    """A neighbour that says the same as before its last session has no news."""
    mesh = engine()
    hear(mesh, b"you", 0, serial=1)
    assert wants(mesh, 0) == b"you"
    mesh.synced(b"you", None, 30000)
    neighbour = mesh.visits._table[b"you"]
    hear(mesh, b"you", 40000, serial=1, open_count=0)
    neighbour.news = False
    hear(mesh, b"you", 100000, serial=1, open_count=100)
    assert wants(mesh, 100000) is None
    hear(mesh, b"you", 150000, serial=2, open_count=100)
    assert wants(mesh, 150000) == b"you"


# ---- CALL, then connect


def test_it_connects_once_the_one_that_it_called_is_heard_again() -> None:
    mesh = engine()
    hear(mesh, b"you", 0)
    assert wants(mesh, 0) == b"you"
    at = pace.VISIT_MS
    assert mesh.visit(at + 100) is None
    hear(mesh, b"oth", at + 150)
    assert mesh.visit(at + 200) is None, "another's STATE is no answer"
    hear(mesh, b"you", at + 300)
    assert mesh.visit(at + 400) == b"you"
    assert mesh.stats["calls"] == 1


def test_one_is_called_at_a_time() -> None:
    mesh = engine()
    for address in (b"one", b"two"):
        hear(mesh, address, 0)
    first = wants(mesh, 0)
    assert first in (b"one", b"two")
    for now in range(pace.VISIT_MS, pace.VISIT_MS + 9000, 500):
        assert mesh.visit(now) is None
    # It may not have heard the first call; nobody else is called meanwhile.
    assert called_by(mesh, 0) == first and mesh.stats["calls"] == 1


def test_who_does_not_answer_counts_as_a_failure() -> None:
    mesh = engine()
    hear(mesh, b"you", 0)
    assert wants(mesh, 0) == b"you"
    at = pace.VISIT_MS + 10000
    assert mesh.visit(at) is None
    assert mesh.visits._table[b"you"].failures == 1 and mesh.stats["calls"] == 1
    assert mesh.visit(at + 2 * HOLD_OFF) is None
    assert mesh.stats["calls"] == 2


def test_who_is_called_is_connectable_for_a_while_and_says_so() -> None:
    mesh = engine()
    mesh.say(0)
    mesh.speaker.names.clear()
    body = tells.encode_call(b"other-01", b"sender-1", 10)
    mesh.heard(b"s", -50, frames.advertise(frames.make(frames.CALL, MESH, body, KEY)), 20000)
    assert not mesh.called(20000)
    body = tells.encode_call(mesh.peer.author, b"sender-1", 4)
    mesh.heard(b"s", -50, frames.advertise(frames.make(frames.CALL, MESH, body, KEY)), 20000)
    assert mesh.called(20000) and mesh.called(23999) and not mesh.called(24000)
    payload, connectable, _ = mesh.say(20000)
    assert payload[frames.find(payload)] & 15 == frames.STATE and connectable
    # However long somebody wants it to be.
    body = tells.encode_call(mesh.peer.author, b"sender-1", 255)
    mesh.heard(b"s", -50, frames.advertise(frames.make(frames.CALL, MESH, body, KEY)), 30000)
    assert mesh.called(39999) and not mesh.called(40000)


# ---- holding off


def first_visit(mesh: Mesh, start: int, **fields: object) -> int:
    """When a mute gateway names a neighbour that it goes on hearing, after a moment."""
    now = start
    while now < start + DAY:
        hear(mesh, b"you", now, serial=now % 997, **fields)
        if mesh.visit(now) == b"you":
            return now - start
        now += 100
    raise AssertionError("never")


def test_failures_make_the_pause_twice_as_long_each_time_up_to_a_bound() -> None:
    mesh = engine(GATEWAY)
    mesh.visits.mute = True
    now = 0
    pauses = []
    for _ in range(limits.MAX_BACKOFF_DOUBLINGS + 2):
        mesh.failed(b"you", now)
        pauses.append(first_visit(mesh, now))
        now += pauses[-1]
    expected = [HOLD_OFF << count for count in range(1, limits.MAX_BACKOFF_DOUBLINGS + 1)]
    assert pauses == expected + expected[-1:] * 2
    mesh.synced(b"you", None, now)
    assert first_visit(mesh, now, open_count=50) == HOLD_OFF, "one that ends well makes it short again"


def test_a_pause_has_a_random_part_of_up_to_half_of_it() -> None:
    """Those who failed at the same moment do not try again at the same moment."""
    mesh = engine(GATEWAY)
    mesh.visits.mute = True
    asked: list = []

    def most(below: int) -> int:
        asked.append(below)
        return below - 1

    mesh.random = most
    mesh.failed(b"you", 0)
    assert asked == [HOLD_OFF + 1]
    assert first_visit(mesh, 0) == 3 * HOLD_OFF
    mesh.synced(b"you", None, 10000)
    assert first_visit(mesh, 10000, open_count=0, role=LEAF) == HOLD_OFF * 3 // 2


def test_sessions_that_change_nothing_are_held_ever_longer() -> None:
    mesh = engine(GATEWAY)
    mesh.visits.mute = True
    now = 0
    pauses = []
    for _ in range(12):
        mesh.synced(b"you", None, now)
        pauses.append(first_visit(mesh, now))
        now += pauses[-1]
    assert pauses[-1] == HOLD_OFF << 9 and pauses == sorted(pauses)
    mesh.synced(b"you", None, now)
    assert first_visit(mesh, now, open_count=50) == HOLD_OFF, "one that helped makes it short again"


def test_a_neighbour_that_differs_for_ever_makes_no_storm() -> None:
    """It always has more, always something new, always answers; whatever is done changes nothing."""
    mesh = engine()
    sessions = 0
    for now in range(0, DAY, 2000):
        hear(mesh, b"you", now, serial=now // 2000 % 997)
        if mesh.visit(now) is not None:
            sessions += 1
            mesh.synced(b"you", None, now)
        mesh.speaker.names.clear()
    assert 5 < sessions < DAY // (HOLD_OFF << 9) + 20, sessions


def test_neighbours_that_never_answer_make_no_storm_of_calls() -> None:
    mesh = engine()
    addresses = [b"n%02d" % at for at in range(12)]
    for now in range(0, DAY // 4, 5000):
        for address in addresses:
            # An answer would come after the CALL: what is heard was said before it.
            hear(mesh, address, now, serial=now // 5000 % 997)
            mesh.visits._table[address].heard_at = min(now, mesh.visits._called_at)
            mesh.visits._table[address].heard_at = now if mesh.visits._calling != address else 0
        assert mesh.visit(now) is None
        mesh.speaker.names.clear()
    most = 12 * (DAY // 4 // (HOLD_OFF << limits.MAX_BACKOFF_DOUBLINGS) + limits.MAX_BACKOFF_DOUBLINGS + 1)
    assert 12 < mesh.stats["calls"] < most, mesh.stats["calls"]


# ---- many at once


# Operations and letters do not get through.
HEARD = (frames.STATE, frames.CALL, frames.HAVE, frames.ANNOUNCE)


class Field:
    """Members that hear how much others have, and nothing of it; they hold the sessions that they ask for,
    each for as long as its bytes take."""

    def __init__(self, seed: int, count: int, backlog: int):
        self.air = Air(seed, loss=20)
        self.members = [self.air.add("b%d" % at, hold_off_ms=HOLD_OFF) for at in range(count)]
        self.air.all(self.members)
        self.random = Random(seed)
        self.busy: dict = {}
        self.sessions = 0
        self.most_at_once = 0
        on_air = self.air._on_air

        def but_operations(member: object, boots: int, payload: bytes, connectable: bool) -> None:
            if payload[frames.find(payload)] & 15 in HEARD:
                on_air(member, boots, payload, connectable)

        self.air._on_air = but_operations
        for member in self.members:
            for _ in range(backlog):
                self.air.reading(member)

    def run(self, ms: int) -> None:
        end = self.air.now + ms
        while self.air.now < end:
            self.air.run(self.air.now + 500)
            now = self.air.now
            self.busy = {member: until for member, until in self.busy.items() if until > now}
            for member in self.members:
                if member not in self.busy:
                    self.turn(member, now)

    def turn(self, member: object, now: int) -> None:
        """One session at most of each, as on a board: a peer that is in one is not there to connect to."""
        address = member.mesh.visit(now)
        self.air.look(member)
        if address is None:
            return
        other = [other for other in self.members if other.address == address][0]
        if other in self.busy or self.random.chance(10):
            member.mesh.failed(address, now)
            return
        pipe = sync(member.peer, other.peer, now, delay=30)
        self.sessions += 1
        self.busy[member] = self.busy[other] = pipe.now
        self.most_at_once = max(self.most_at_once, len(self.busy))
        for one, remote, end in ((member, other, pipe.ends[0]), (other, member, pipe.ends[1])):
            one.mesh.synced(remote.address, end.summary, now, end.told())
            self.air.look(one)

    def apart(self) -> int:
        return len(self.air.lacking(self.members, self.members))


def test_two_who_differ_do_not_wait_for_two_others() -> None:
    """Of forty fields 25 had two sessions or more at the same time."""
    at_once = []
    for seed in (1, 2, 3, 4):
        field = Field(seed, 8, 45)
        field.run(60000)
        at_once.append(field.most_at_once)
        field = None
    assert max(at_once) > 2, at_once


def test_many_that_all_differ_agree_after_a_bounded_number_of_sessions() -> None:
    count = 8
    field = Field(1, count, 45)
    assert field.apart() == count * (count - 1)
    field.run(600000)
    assert not field.apart()
    assert count - 1 <= field.sessions <= 4 * count, field.sessions
    check([member.peer for member in field.members])
    # And then there is peace.
    sessions = field.sessions
    calls = sum([member.mesh.stats["calls"] for member in field.members])
    field.run(3600000)
    assert field.sessions == sessions
    assert sum([member.mesh.stats["calls"] for member in field.members]) == calls
