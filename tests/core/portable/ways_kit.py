"""What tests of ways and custody share: a relay without a flood, and what it hears. Runs on both VMs."""

from kit import Random
from mesh_kit import KEY
from sync_kit import board

from hedgerow.log import MemoryStore
from hedgerow.mesh import frames
from hedgerow.mesh.mesh import Mesh
from hedgerow.sync.hello import RELAY

MESH = b"\x11\x22\x33"


def relay(code: int = 3, author: bytes | None = None) -> Mesh:
    """A relay so far from a keeper, where nobody floods; how long its frames are may hang on its author."""
    store = MemoryStore()
    store.author = author or store.author
    mesh = Mesh(board(store=store, mesh=MESH), 0, random=Random(1).below, key=KEY)
    mesh.set_flood(False, 0)
    mesh.peer.note_distance(code - 1, 0)
    mesh.say(0)
    assert mesh.code == code
    return mesh


def op(code: int, repeat: int = 0, number: int = 1) -> bytes:
    frame = frames.make(frames.OP, MESH, b"aut" + number.to_bytes(2, "big") + bytes(8), KEY)
    return frames.with_hop(frame, code, repeat)


def hear(mesh: Mesh, address: bytes, frame: bytes, now: int) -> None:
    assert mesh.heard(address, -60, frames.advertise(frame), now)


def take(mesh: Mesh, now: int) -> None:
    """Let it take what it has decided to take."""
    for at in range(now, now + 12000, 200):
        mesh.say(at)


def pushes(mesh: Mesh, now: int) -> list:
    """What it pushes of others in 45 s."""
    return [
        frame for at in range(now, now + 45000, 500) for _, frame, own in mesh.custody.step(at, 1) if not own
    ]


def state(mesh: Mesh, address: bytes, counter: int, distance: int, now: int, **more: object) -> None:
    fields = {"flags": frames.GRADIENT, "role": RELAY, "rssi": -60, "open": 0}
    fields.update(more)
    said = frames.State(
        MESH[:2],
        counter,
        0,
        fields.get("shows", b"\xff" * 6),
        fields["open"],
        distance,
        fields["flags"],
        fields["role"],
        address,
        3,
    )
    payload = frames.advertise(frames.encode_state(said, KEY))
    assert mesh.heard(address, fields["rssi"], payload, now, True)
