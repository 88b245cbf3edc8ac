"""When something is due is remembered while nothing changes it. Runs on both VMs."""

from mesh_kit import Air, Member, check_air, gradient
from sync_kit import board, record, sync
from ways_kit import MESH, relay

from hedgerow import limits
from hedgerow.mesh import pace
from hedgerow.sync import hello

HEAP = "4m"


class Doubting(Air):
    """Works out anew what is due after all that a member hears."""

    looks = 0
    remembered = 0

    def look(self, member: Member) -> None:
        mesh = member.mesh
        now = member.now(self.now)
        self.remembered += mesh._due_at is not None
        due = mesh.due(now)
        mesh._due_at = None
        assert mesh.due(now) == due, (member.name, now, due)
        self.looks += 1
        super().look(member)


def scene(seed: int) -> None:
    air = Doubting(seed, loss=25)
    keepers = [air.add("k%d" % at, hello.GATEWAY, True) for at in range(2)]
    members = [air.add("b%d" % at, seal_ms=40000) for at in range(5)]
    leaf = air.add("leaf", hello.LEAF, seal_ms=40000)
    air.line([keepers[0]] + members + [keepers[1]])
    air.link(members[0], members[2])
    air.link(members[2], leaf)
    air.run(5000)
    air.readings(members + [leaf], 20000, 120000)
    air.at(70000, air.reboot, members[1])
    air.run(200000)
    check_air(air)
    assert air.looks > 1500 and air.remembered > air.looks // 4, (air.looks, air.remembered)


def test_what_is_due_is_what_it_would_be_if_worked_out_anew() -> None:
    scene(1)
    with gradient():
        scene(2)


def test_what_finds_no_room_to_be_pushed_again_is_not_due_for_ever() -> None:
    """As what a session brought, while an own schema waits for more places than are free."""
    with gradient():
        mesh = relay()
        now = record(mesh.peer, limits.MESH_WINDOW - 4)
        mesh.peer.insert("measured", {"t": 394, "h": 512, "pressure": 1013}, now)
        mesh.peer.seal(now)
        mesh.say(now)
        other = board("other", mesh=MESH)
        other.seal(record(other, 2))
        sync(mesh.peer, other, now)
        mesh.say(now)
        source = mesh.feed.sources[other.author]
        assert mesh.custody.room() == 1 and mesh.feed.full
        now += pace.AGAIN_MS
        mesh.peer.note_distance(2, now)
        turns = 0
        while mesh.due(now) <= now:
            mesh.say(now)
            turns += 1
            assert turns < 8, "due for ever"
        assert mesh.custody.room() == 1 and not source.number
        # Once there is room, it gets on.
        for _ in range(3):
            mesh.custody.clear()
            mesh.say(now)
        assert mesh.feed.idle()
