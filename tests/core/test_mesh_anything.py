"""The engine takes whatever members, or those who know the key, may say: nothing raises, no table grows."""

import random

import pytest
from mesh_kit import KEY, Air, Member, gradient

from hedgerow import limits
from hedgerow.mesh import frames, letters, tells
from hedgerow.sync import hello

MESH = b"\x11\x22"
SIZES = {frames.RECEIPT: 20, frames.TIME: 10, frames.ANNOUNCE: 20, frames.CALL: 7}


def payload(chance: random.Random, authors: list[bytes], said: list[bytes]) -> bytes:
    """Return an advertisement of the mesh: a changed one of those said, or a body of chance."""
    kind = chance.randrange(16)
    if kind == frames.STATE:
        state = frames.State(
            MESH, chance.randrange(65536), chance.randrange(8), chance.randbytes(6), chance.randrange(65536),
            chance.choice((0, 1, 15, 100, 255)), chance.randrange(16), chance.randrange(4),
            chance.choice(authors)[:3], 3, chance.randrange(256),
        )  # fmt: skip
        return frames.advertise(frames.encode_state(state, KEY))
    if said and chance.random() < 0.3:
        old = chance.choice(said)
        at = frames.find(old)
        body = bytearray(old[at + 4 : frames.end(old, at) - 3])
        kind = old[at] & 0x0F or frames.OP
        if body:
            body[chance.randrange(len(body))] = chance.randrange(256)
    else:
        body = bytearray(chance.randbytes(SIZES.get(kind, chance.randrange(21))))
        if kind in (frames.WANT, frames.HAVE, frames.ACK) and body:
            body[0] = chance.randrange(5) if kind != frames.HAVE else chance.randrange(256)
            body[1:4] = chance.choice(authors)[:3]
        if kind == frames.HAVE:
            body = body[:7].ljust(7, b"\1")
    frame = frames.make(kind, MESH, bytes(body), KEY)
    return frames.advertise(frames.with_hop(frame, chance.randrange(32), chance.randrange(8)))


def letter(chance: random.Random, author: bytes) -> list[bytes]:
    """Return the advertisements of a letter that says anything."""
    content = bytes((chance.randrange(1, 10),)) + author + chance.randbytes(chance.randrange(40))
    kind = chance.choice((frames.LETTER_UP, frames.LETTER_DOWN))
    return [frames.advertise(frames.make(kind, MESH, body, KEY)) for body in letters.split(content)]


def sizes(member: Member) -> dict[str, tuple[int, int]]:
    """Return name -> (how many, the most) of an engine's tables."""
    mesh = member.mesh
    most = 1024 if mesh.collects else limits.MESH_WAITING
    found = {
        "addresses": (len(mesh._last), limits.MESH_ADDRESSES),
        "sayings": (len(mesh.speaker.names), limits.MAX_SAYINGS),
        "pending": (len(mesh.custody._pending), limits.MESH_PENDING),
        "said letters": (len(mesh._said_letters), limits.MESH_SAID_LETTERS),
        "questions passed on": (len(mesh.down._asked), limits.MESH_WANTS),
        "receipts without a keeper": (len(mesh.down._unproven), 4),
        "keepers": (len(mesh.down.keepers), limits.MAX_KNOWN_KEEPERS),
    }
    if mesh.relays:
        found["questions"] = len(mesh.repair._wants), limits.MESH_WANTS
        found["waiting"] = len(mesh.intake.waiting), most
        found["heights"] = len(mesh.intake.heights), limits.MAX_NAMES
    return found


@pytest.mark.parametrize("flood", [True, False], ids=["flood", "gradient"])
@pytest.mark.parametrize(
    ("role", "keeper"),
    [(hello.RELAY, False), (hello.GATEWAY, False), (hello.RELAY, True), (hello.LEAF, False)],
    ids=["relay", "gateway", "keeper", "leaf"],
)
def test_anything_may_be_heard(role: int, keeper: bool, flood: bool) -> None:
    if flood:
        _hear(role, keeper)
    else:
        with gradient():
            _hear(role, keeper)


def _hear(role: int, keeper: bool) -> None:
    chance = random.Random(5)
    air = Air(5, loss=10)
    member, other = air.add("member", role, keeper), air.add("other")
    air.link(member, other)
    authors = [member.author, other.author, b"somebody"]
    said: list[bytes] = []
    air.on_sent = lambda _, what: said.append(bytes(what))
    for turn in range(250):
        air.reading(other)
        heard = [payload(chance, authors, said[-50:]) for _ in range(12)] + letter(chance, authors[turn % 3])
        for what in heard:
            address = chance.choice((other.address, chance.randbytes(6)))
            member.mesh.heard(address, -60, what, member.now(air.now), chance.random() < 0.5)
        air.look(member)
        air.run(air.now + chance.choice((300, 2000)))
        for name, (count, most) in sizes(member).items():
            assert count <= most, name
    assert member.mesh.stats["heard"] > 1000


def test_whoever_says_keeper_does_not_take_the_places_of_other_names() -> None:
    air = Air(1)
    relay, other = air.add("relay"), air.add("other")
    for number in range(2 * limits.MAX_NAMES):
        announce = tells.Announce(number.to_bytes(8, "little"), 0, 0, 0, 1)
        body = tells.encode_announce(announce)
        what = frames.advertise(frames.make(frames.ANNOUNCE, MESH, body, KEY))
        relay.mesh.heard(b"forger", -60, what, number)
    assert relay.mesh.names.learn(other.author, 10**6)
