"""Where much is said at once: nothing is asked for that is here, who was asked answers, and who passes on
says what is its own, too. Runs on both VMs."""

from kit import Random
from mesh_kit import KEY, away
from sync_kit import board, record
from ways_kit import MESH

from hedgerow.log import ENTRY_SEAL
from hedgerow.mesh import asks, frames, letters
from hedgerow.mesh.custody import name_of
from hedgerow.mesh.digests import BUCKETS
from hedgerow.mesh.feed import frames_of, letter_frames, seal_letter
from hedgerow.mesh.mesh import Mesh
from hedgerow.mesh.outcome import WAITS
from hedgerow.mesh.speaker import FORWARD
from hedgerow.mesh.talk import LOG2
from hedgerow.sync.hello import RELAY

HEAP = "8m"


def kind_of(payload: bytes) -> int:
    return payload[frames.find(payload)] & 0x0F


def frame_of(payload: bytes) -> bytes:
    at = frames.find(payload)
    return payload[at : frames.end(payload, at)]


def asked_for(whole: bool) -> list:
    """What a keeper asks for in ten minutes while an operation waits there for its schema."""
    air, keeper, one = away(10)
    number = one.peer.log.held(one.author)
    stored = one.peer.log.fetch(one.author, number)
    intake, now = keeper.mesh.intake, keeper.now(air.now)
    if whole:
        for part in letter_frames(one.peer, letters.encode_operation(one.author, number, stored), KEY):
            assert intake.take_fragment(part, now) == WAITS
    else:
        frame = frames_of(one.peer, one.author, number, stored, KEY)[0]
        assert intake.take(frame, name_of(frame), now) == WAITS
    asked: list = []

    def sent(member: object, payload: bytes) -> None:
        if member is keeper and kind_of(payload) == frames.WANT:
            asked.append(asks.decode_want(frame_of(payload))[0])

    air.on_sent = sent
    keeper.mesh.repair.want(asks.WANT_OPERATIONS, one.author, now)
    air.run(air.now + 600000)
    return asked


def test_what_waits_for_its_schema_is_not_asked_for() -> None:
    for whole in (False, True):
        asked = asked_for(whole)
        assert asked and asked == [asks.WANT_SCHEMAS] * len(asked), (whole, asked)


def relay(code: int) -> Mesh:
    """A relay of a flood that has told of two readings, and of the seal over them."""
    mesh = Mesh(board(mesh=MESH), 0, random=Random(1).below, key=KEY, role=RELAY)
    mesh.peer.note_distance(code - 1, 0)
    record(mesh.peer, 2, 0)
    mesh.peer.seal(1000)
    mesh.say(0)
    assert mesh.code == code and mesh.flood
    for now in range(0, 300000, 50):
        mesh.say(now)
    mesh.peer.note_distance(code - 1, 300000)
    return mesh


def answers(kind: int, asker: int, other: int) -> int:
    """How many fragments a relay at 3 says of its schema, for a WANT, or its seal, for a HAVE, of somebody at
    a distance code, while another one is heard saying all of that."""
    mesh = relay(3)
    peer = mesh.peer
    if kind == frames.WANT:
        schema = next(iter(peer.schemas.values()))
        content = bytes((letters.SCHEMA,)) + schema.encoded
        body = asks.encode_want(asks.WANT_SCHEMAS, [schema.name])
    else:
        held = peer.log.held(peer.author)
        seals = [entry[3] for entry in peer.log.read(peer.author, held, 0, 1) if entry[0] == ENTRY_SEAL]
        content = seal_letter(peer, peer.author, seals[0])
        lacks = (peer.author[:3], held, asks.hint(held, 0, 0))
        body = asks.encode_have(LOG2, peer.author[0] & BUCKETS - 1, [lacks])
    parts = letter_frames(peer, content, KEY)
    question = frames.make(kind, MESH, body, KEY)
    start = 300000
    mesh.heard(b"asker", -60, frames.advertise(frames.with_hop(question, asker, 0)), start)
    for part in parts:
        mesh.heard(b"other", -60, frames.advertise(frames.with_hop(part, other, 1)), start)
    said = set()
    for now in range(start, start + 20000, 50):
        saying = mesh.say(now)
        if saying is not None:
            said.add(name_of(frame_of(saying[0])))
    return len([part for part in parts if name_of(part) in said])


def test_an_answer_is_left_to_those_alone_whom_the_asker_may_hear() -> None:
    for kind in (frames.WANT, frames.HAVE):
        assert answers(kind, 2, 4)
        assert answers(kind, 2, 3) == answers(kind, 2, 2) == 0
        # Who asks from farther away hears those who are farther, too.
        assert answers(kind, 4, 4) == answers(kind, 4, 3) == 0


def test_who_passes_on_without_a_pause_says_its_own_readings_too() -> None:
    mesh = relay(2)
    now = start = 300000
    number = 0
    record(mesh.peer, 1, now)
    last = mesh.peer.log.held(mesh.peer.author)
    stored = mesh.peer.log.fetch(mesh.peer.author, last)
    own = name_of(frames_of(mesh.peer, mesh.peer.author, last, stored, KEY)[0])
    said: list = []
    while now < start + 20000:
        while len(mesh.speaker) < 12:
            number += 1
            frame = frames.make(frames.OP, MESH, b"aut" + number.to_bytes(2, "big") + bytes(8), KEY)
            mesh.speaker.add(now, FORWARD, name_of(frame), frame, 2)
        saying = mesh.say(now)
        if saying is not None:
            said.append(name_of(frame_of(saying[0])))
        now += 50
    assert number > 40 and own in said
