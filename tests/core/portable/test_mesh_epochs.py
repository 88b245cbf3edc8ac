"""Frames under group keys: a rotation while frames are on their way, who is left behind.

Runs on both VMs.
"""

from kit import Random
from mesh_kit import KEY, Air, check_air
from sync_kit import board

from hedgerow.crypto.rotation import epoch, settle, take
from hedgerow.log import MemoryStore
from hedgerow.mesh import frames, pace
from hedgerow.mesh.epochs import APART, BEFORE, NEWEST, STRANGE
from hedgerow.mesh.group import Group
from hedgerow.mesh.mesh import Mesh
from hedgerow.mesh.tag import check, link_tag
from hedgerow.sync.hello import GATEWAY, RELAY

HEAP = "2m"
MESH = b"\x11\x22\x33"


class Store:
    """What a power cut leaves; `cut` fails the next write, before or after what it does."""

    cut = ""

    def __init__(self) -> None:
        self.value: bytes | None = None

    def read(self, name: str) -> bytes | None:
        return self.value

    def write(self, name: str, value: bytes) -> None:
        if self.cut != "before":
            self.value = value
        if self.cut:
            raise OSError(self.cut)


class Word:
    """A statement that was verified."""

    def __init__(self, epoch: int, issued: int = 0) -> None:
        self.epoch = epoch
        self.issued = issued or epoch
        self.key = bytes((epoch,)) * 32
        self.statement = b"statement %d" % epoch


def group(*epochs: int) -> Group:
    made = Group(KEY, Store())
    for number in epochs:
        take(made, Word(number))
    return made


def relay(made: Group, author: bytes = b"\xf0self678") -> Mesh:
    store = MemoryStore()
    store.author = author
    return Mesh(board(store=store, mesh=MESH), 0, random=Random(1).below, key=KEY, group=made)


def op(key: bytes, number: int = 1) -> bytes:
    return frames.make(frames.OP, MESH, b"aut" + number.to_bytes(2, "big") + bytes(8), key)


def states(mesh: Mesh, since: int, until: int) -> list[int]:
    """Return when it says a STATE, of a time in which nobody connects to it."""
    found = []
    for now in range(since, until, 100):
        said = mesh.say(now)
        if said is not None and said[0][frames.find(said[0])] & 15 == frames.STATE:
            found.append(now)
    return found


def state(
    made: Group | None,
    counter: int = 1,
    author: bytes = b"\xfeut",
    role: int = RELAY,
    flags: int = frames.CONNECTABLE | frames.HAS_TIME,
    window: int = 0,
) -> bytes:
    said = frames.State(MESH[:2], counter, 0, bytes(6), 9, 2, flags, role, author, 3, window)
    return frames.encode_state(said, made.key if made else KEY, KEY)


def hear(mesh: Mesh, frame: bytes, now: int = 0, address: bytes = b"other") -> bool:
    return mesh.heard(address, -60, frames.advertise(frame), now, True)


def test_half_of_a_state_shows_the_epoch_and_no_byte_more() -> None:
    """SPEC 11.16.2."""
    first, second, third = group(1), group(1, 2), group(1, 2, 3)
    for made in (first, second, third):
        assert len(state(made)) == 24
    assert second.reads(state(second)) == NEWEST and second.reads(state(first)) == BEFORE
    assert second.reads(state(third)) == APART and third.reads(state(first)) == APART
    assert second.reads(state(None)) == APART and first.reads(state(None)) == BEFORE
    # Without an epoch nothing is other than it was.
    assert group().reads(state(None)) == NEWEST and check(KEY, state(None))
    strange = state(second)
    assert second.reads(strange[:20] + bytes((strange[20] ^ 1,)) + strange[21:]) == STRANGE
    settle(second)
    assert second.reads(state(first)) == APART and second.reads(op(first.key)) == STRANGE


def test_a_frame_is_heard_under_both_keys_and_is_one() -> None:
    """SPEC 11.16.2."""
    made = group(1, 2)
    mesh = relay(made)
    assert hear(mesh, op(made.before), 0, b"one") and hear(mesh, op(made.key), 0, b"two")
    assert mesh.epochs.read(op(made.before), b"one", -60, 0) == op(made.key)
    assert mesh.stats["heard"] == 2 and mesh.stats["strangers"] == 0
    assert not hear(mesh, op(KEY)) and mesh.stats["strangers"] == 1


def test_a_rotation_while_frames_are_on_their_way() -> None:
    """SPEC 11.16.3."""
    made = group(1)
    mesh = relay(made)
    old = made.key
    said = op(old)
    take(made, Word(2))
    mesh.say(1000)
    # Whoever lacks the key hears it still; whoever has it is heard.
    assert mesh.key == mesh.feed.key == old and hear(mesh, op(made.key, 2), 1000)
    assert mesh.epochs.sign(said) == said
    mesh.say(1000 + pace.HANDOVER_MS)
    assert mesh.key == mesh.feed.key == made.key and hear(mesh, op(old, 3), 40000)
    assert check(made.key, mesh.epochs.sign(said)) and mesh.epochs.sign(said)[:-3] == said[:-3]
    end = 1000 + pace.HANDOVER_MS + pace.GRACE_MS
    assert mesh.due(end) <= end
    mesh.say(end)
    assert made.before is None and not hear(mesh, op(old, 4), end + 1)
    # What waited all that time is said so that others hear it.
    assert check(made.key, mesh.epochs.sign(said))


def test_a_key_that_is_signed_anew_ends_no_handover() -> None:
    """SPEC 11.16.1, 11.16.3."""
    end = 1000 + pace.HANDOVER_MS + pace.GRACE_MS
    for at in (10000, 60000):
        made = group(1)
        mesh = relay(made)
        old = made.key
        take(made, Word(2))
        for now in range(1000, end + 1, 1000):
            if now == at:
                take(made, Word(2, 9))
            mesh.say(now)
            assert (mesh.key == old) == (now < 1000 + pace.HANDOVER_MS)
            assert (made.before == old) == (now < end)
        assert epoch(made)[1] == 9 and not hear(mesh, op(old), end + 1)


def test_the_time_of_grace_outlives_engines_and_not_many_boots() -> None:
    """SPEC 11.16.3."""
    made = group(1, 2)
    relay(made)
    due = made.due
    mesh = relay(made)
    assert made.due == due == pace.GRACE_MS
    mesh.say(due)
    assert made.before is None and Group(KEY, made.store).before is None
    store = group(1, 2).store
    boots = 0
    while Group(KEY, store).before:
        boots += 1
    assert boots == 8 and epoch(Group(KEY, store))[0] == 2


def test_an_engine_that_is_made_anew_goes_on_with_the_handover() -> None:
    """SPEC 11.16.3."""
    made = group(1)
    old = made.key
    mesh = relay(made)
    take(made, Word(2))
    mesh.say(1000)
    spoken = 1000 + pace.HANDOVER_MS
    for now in range(2000, spoken + pace.GRACE_MS + 1, 5000):
        store = MemoryStore()
        mesh = Mesh(board(store=store, mesh=MESH), now, random=Random(1).below, key=KEY, group=made)
        assert (mesh.key == old) == (now < spoken)
        mesh.say(now + 1)
        assert made.before == old and now < mesh.due(now) <= spoken + (pace.GRACE_MS if now >= spoken else 0)
    mesh.say(spoken + pace.GRACE_MS)
    assert made.before is None and mesh.key == made.key


def test_a_power_cut_leaves_one_epoch_or_the_other() -> None:
    """SPEC 11.16.1."""
    for cut, number in (("before", 2), ("after", 3)):
        made = group(1, 2)
        made.store.cut = cut
        try:
            take(made, Word(3))
            raise AssertionError("no power cut")
        except OSError:
            pass
        assert made.key == Word(2).key
        made.store.cut = ""
        again = Group(KEY, made.store)
        assert epoch(again) == (number, number, Word(number).statement)
        assert (again.key, again.before) == (Word(number).key, Word(number - 1).key)


def test_half_a_tag_is_no_half_of_another() -> None:
    made = group(1)
    frame = state(made)
    assert frame[20:22] == link_tag(KEY, frame[:20])[:2] and frame[22:] == link_tag(made.key, frame[:20])[2:]


def test_a_member_that_is_late_is_no_stranger() -> None:
    """SPEC 11.16.2."""
    made = group(1, 2, 3)
    settle(made)
    mesh = relay(made)
    hear(mesh, state(group(1)), 0)
    assert not hear(mesh, op(group(1).key), 100) and mesh.stats["strangers"] == 0
    # Of an address that no member has shown it is somebody else's, and so is what no member says.
    assert not hear(mesh, op(group(1).key, 2), 200, b"new") and mesh.stats["strangers"] == 1
    strange = state(made, 9)
    assert not hear(mesh, strange[:20] + bytes(4), 300) and mesh.stats["strangers"] == 2


def test_who_has_a_new_key_shows_it_at_once_and_often() -> None:
    """SPEC 11.16.3."""
    mesh = relay(group(1))
    states(mesh, 0, 200000)
    # Long before its next one would have been due.
    assert mesh.due(200000) < mesh._trickle.due and mesh._trickle.due > 210000
    take(mesh.epochs.group, Word(2))
    assert states(mesh, 200000, 200100) == [200000] and len(states(mesh, 200100, 240000)) >= 3


def met(air: Air, one: object, two: object) -> None:
    """Let two have a session, as far as group keys go."""
    groups = [member.options["group"] for member in (one, two)]
    epochs = [epoch(each)[0] for each in groups]
    if epochs[0] != epochs[1]:
        take(groups[epochs[0] > epochs[1]], Word(max(epochs)))
    for member, other in ((one, two), (two, one)):
        member.mesh.synced(other.address, None, member.now(air.now))
        air.look(member)


def sessions(air: Air, until: int) -> int:
    """Run, and let whoever wants one have a session; return how many there were."""
    count = 0
    while air.now < until:
        air.run(air.now + 250)
        for member in air.members:
            address = member.mesh.visit(member.now(air.now))
            for other in air.links[member] if address is not None else ():
                if other.address == address:
                    count += 1
                    met(air, member, other)
    return count


def test_a_gateway_that_is_offline_learns_of_an_epoch_from_boards_and_nothing_is_lost() -> None:
    """SPEC 11.16.5."""
    air = Air(7, loss=10)
    keys = [group(1) for _ in range(4)]
    for made in keys:
        settle(made)
    west = air.add("west", GATEWAY, True, group=keys[0])
    east = air.add("east", GATEWAY, True, group=keys[3])
    boards = [air.add("board%d" % at, RELAY, group=keys[1 + at]) for at in range(2)]
    air.line([west, boards[0], boards[1], east])
    air.readings(boards, 5000, 120000)
    sessions(air, 20000)
    # Only the western gateway hears of the next two: its neighbour tells the others.
    for number in (2, 3):
        take(keys[0], Word(number))
    assert sessions(air, 130000) <= 12
    assert [epoch(made)[0] for made in keys] == [3, 3, 3, 3]
    for gateway in (west, east):
        air.settle([gateway], boards, 120000)
    check_air(air)
    # After the time of grace nobody goes by an older key, and nobody is apart.
    sessions(air, 130000 + pace.HANDOVER_MS + pace.GRACE_MS + 60000)
    apart = [member.mesh.stats["apart"] for member in air.members]
    sessions(air, air.now + 200000)
    assert [member.mesh.stats["apart"] for member in air.members] == apart
    assert all(made.before is None for made in keys)


def test_a_key_is_handed_on_within_seconds_where_nothing_else_happens() -> None:
    """SPEC 11.16.4: a line, so each waits for the one before it."""
    air = Air(7, loss=10)
    keys = [group(1) for _ in range(9)]
    for made in keys:
        settle(made)
    members = [air.add("gate", GATEWAY, True, group=keys[0])]
    members += [air.add("board%d" % at, RELAY, group=made) for at, made in enumerate(keys[1:])]
    air.line(members)
    sessions(air, 60000)
    take(keys[0], Word(2))
    # One each, and no more of them.
    assert sessions(air, 60000 + 8 * 25000) == 8
    assert [epoch(made)[0] for made in keys] == [2] * 9
