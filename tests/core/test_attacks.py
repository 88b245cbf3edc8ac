"""Attacks on the mesh engine, and for each the guard that stops it: taken out, the attack must succeed.

What attackers do over real radios beside the demo is in tests/system; SECURITY.md has the table of all.
"""

import random
import sys
from collections.abc import Callable

import pytest
from enrolled_kit import Enrolled, meet
from kit import Random
from mesh_kit import KEY, NOW, Air, Member, check_air, gradient
from sync_kit import operations
from test_mesh_gradient import line
from ways_kit import MESH, hear, relay, take

from hedgerow import limits, places
from hedgerow.codec.schema import STREAM, Schema
from hedgerow.crypto.claims import GIVES_TIME, KEEPS
from hedgerow.errors import HedgerowError
from hedgerow.mesh import frames, letters, pace
from hedgerow.mesh.frames import ACK, OP, STATE, Op, advertise, encode_op, make
from hedgerow.mesh.intake import Intake
from hedgerow.mesh.mesh import Mesh
from hedgerow.mesh.names import Names
from hedgerow.mesh.speaker import Speaker
from hedgerow.mesh.tells import Announce, encode_announce, encode_receipt, encode_time
from hedgerow.mesh.visits import Visits
from hedgerow.operation import SOURCE_KEEPER
from hedgerow.peer import Peer
from hedgerow.sync import hello

Patch = Callable[[pytest.MonkeyPatch], None]
HOUR = 3_600_000
YEAR_MS = 365 * 24 * HOUR
INVENTED = 10_000
#: Of who collects.
_WIDE_NAMES = 4096


def kind_of(payload: bytes) -> int:
    return payload[frames.find(payload)] & 0x0F


def held(member: Member) -> dict[tuple[bytes, int], bytes]:
    """Return the operations that a member holds, by author and number."""
    log = member.peer.log
    return {(author, number): body for author in log.authors() for number, body in operations(log, author)}


def replayed_week() -> None:
    """All that was said is said again, in another order, to peers of which one has lost its RAM."""
    air = Air(31, loss=10)
    keeper, members = line(air, 2)
    said: list[bytes] = []
    air.on_sent = lambda member, payload: said.append(payload)
    air.run(30_000)
    air.readings(members, 60_000, 600_000)
    air.run(600_000)
    air.settle([keeper], members, HOUR)
    air.on_sent = None
    before = [held(member) for member in air.members]
    air.reboot(members[0])
    air.run(air.now + 2_000)
    chosen = [payload for payload in said if kind_of(payload) != frames.TIME]
    random.Random(31).shuffle(chosen)
    for at, payload in enumerate(chosen):
        member = air.members[at % len(air.members)]
        member.mesh.heard(b"replay", -50, payload, member.now(air.now))
        air.look(member)
        if at % 50 == 0:
            air.run(air.now + 1_000)
    air.run(air.now + HOUR // 2)
    check_air(air)
    for member, known in zip(air.members, before, strict=True):
        now = held(member)
        assert {dot: now.get(dot) for dot in known} == known, "nothing is gone, or another"
        authors = {other.author for other in air.members}
        assert {author for author, _ in now} <= authors
    air.readings(members, 60_000, air.now + 120_000)
    air.run(air.now + 120_000)
    air.settle([keeper], members, HOUR)


def ten_thousand_authors() -> None:
    """A new author with each advertisement: what is kept of them is bounded, and true readings arrive."""
    rng = Random(32)
    air = Air(32, loss=0, duty=100)
    keeper, (relay, far) = line(air, 2)
    air.run(60_000)
    air.reading(far)
    air.run(90_000)
    for at in range(INVENTED):
        author = rng.bytes(8)
        if at % 2:
            body, kind = encode_announce(Announce(author, 0, 0, 0)), frames.ANNOUNCE
        else:
            body, kind = encode_op(Op(author[:3], 1, rng.bytes(2), rng.bytes(2), 1000, [1, 2])), OP
        payload = advertise(make(kind, relay.peer.mesh, body, KEY))
        for member in (relay, keeper)[: 1 + (at % 8 == 0)]:
            member.mesh.heard(rng.bytes(6), -50, payload, member.now(air.now))
        if at % 500 == 0:
            air.run(air.now + 1_000)
    for member, wide, names in ((keeper, 32, _WIDE_NAMES), (relay, 1, limits.MAX_NAMES)):
        assert len(member.mesh.intake.waiting) <= wide * limits.MESH_WAITING
        assert len(member.mesh.names) <= names
        assert len(member.mesh._last) <= limits.MESH_ADDRESSES
        assert member.author in member.mesh.names.find(member.author[:3])
    for _ in range(3):
        air.reading(far)
        air.run(air.now + 5_000)
    air.settle([keeper], [far], 3 * HOUR)
    check_air(air)


def invented(rng: Random, mesh: bytes, at: int) -> list[bytes]:
    """Return what one that does not exist says: its STATE, its name, a schema, an operation under that."""
    author, schema = rng.bytes(8), Schema("poison%d" % at, STREAM, (("x", None),))
    state = frames.State(mesh[:2], at, at & 7, rng.bytes(6), 60_000, 1, 0, hello.RELAY, author[:3], 3, 255)
    op = Op(author[:3], 1, rng.bytes(2), schema.name[:2], 1000, [1])
    said = [
        make(frames.ANNOUNCE, mesh, encode_announce(Announce(author, 0, 0, 0)), KEY),
        *(make(frames.LETTER_UP, mesh, body, KEY) for body in letters.split(b"\3" + schema.encoded)),
        make(OP, mesh, encode_op(op), KEY),
    ]
    return [advertise(frame) for frame in (frames.encode_state(state, KEY), *said)]


def poisoned_slots() -> None:
    """Neighbours, names, schemas and operations of nobody, from an address each: every table is bounded, and
    true readings arrive.
    """
    rng = Random(36)
    air = Air(36, loss=0, duty=100)
    keeper, (relay, far) = line(air, 2)
    air.run(60_000)
    air.reading(far)
    air.run(90_000)
    for at in range(INVENTED // 10):
        address = rng.bytes(6)
        for payload in invented(rng, relay.peer.mesh, at):
            for member in air.members:
                member.mesh.heard(address, -50, payload, member.now(air.now))
        if at % 10 == 0:
            air.run(air.now + 1_000)
    for member in air.members:
        assert len(member.mesh.visits._table) <= limits.MAX_NEIGHBOURS
        assert len(member.peer.schemas) <= limits.MAX_SCHEMAS
        assert len(member.mesh.names) <= (_WIDE_NAMES if member is keeper else limits.MAX_NAMES)
    for _ in range(3):
        air.reading(far)
        air.run(air.now + 5_000)
    far.peer.insert("news", {"y": 1}, far.now(air.now))
    air.settle([keeper], [far], 3 * HOUR)
    check_air(air)


def receipts_without_end() -> None:
    """Receipts over one author are made up at the rate of a radio, each with another proof: a relay that has
    carried it goes on saying what else it has to say, its own readings first.
    """
    rng = Random(37)
    with gradient():
        mesh = relay()
        mesh.peer.insert("readings", {"t": 1, "h": 2}, 0)
        take(mesh, 0)
        mesh.down.note_route(b"aut", 12_000)
        for now in range(12_000, 60_000, 25):
            body = encode_receipt(b"keep", 1, b"aut", 1 << 30, rng.bytes(8))
            hear(mesh, b"bad", frames.with_hop(make(frames.RECEIPT, MESH, body, KEY), 2, now & 7), now)
            if now == 40_000:
                mesh.peer.insert("readings", {"t": 3, "h": 4}, now)
            said = mesh.say(now)
            if said and now > 40_000 and kind_of(said[0]) == OP:
                break
        assert now < 43_000, "its own reading waits for what is made up"
        assert mesh.stats["overflowed"] == 0


class Evil:
    """Says only that it is nearer a keeper, and that it has what others push; what it has it keeps."""

    def __init__(self, member: Member) -> None:
        self._say = member.mesh.say
        member.mesh.say = self.say

    def say(self, now: int) -> tuple[bytes, bool, int] | None:
        while (said := self._say(now)) is not None:
            if kind_of(said[0]) in (STATE, ACK):
                return tuple(said)  # type: ignore[return-value]
        return None


def hidden_tail() -> None:
    """A relay takes what is pushed, says that it has it, and passes nothing on; there is another way."""
    with gradient():
        air = Air(33, loss=0, duty=100)
        keeper = air.add("keeper", hello.GATEWAY, True)
        keeper.peer.set_time(900000000000, 5, 4, 0)
        evil, honest, far = air.add("evil"), air.add("honest"), air.add("far")
        for relay in (evil, honest):
            air.link(keeper, relay)
            air.link(relay, far)
        air.run(120_000)
        air.reading(far)
        air.run(air.now + 60_000)
        # The author knows nobody else for a while, so that it believes this one.
        Evil(evil)
        air.unlink(honest, far)
        for _ in range(4):
            air.reading(far)
            air.run(air.now + 20_000)
        assert keeper.peer.log.held(far.author) < far.peer.log.held(far.author)
        air.link(honest, far)
        air.settle([keeper], [far], 4 * HOUR)


class Liar:
    """Answers whoever asks for the time at once, with one a year ahead or a year ago."""

    def __init__(self, air: Air) -> None:
        self.air = air
        self.told = 0
        air.on_sent = self.hear

    def hear(self, member: Member, payload: bytes) -> None:
        frame = payload[frames.find(payload) :]
        if kind_of(payload) == STATE and frames.decode_state(frame).flags & frames.WANTS_TIME:
            self.air.at(self.air.now + 5, self.tell, member, frames.decode_state(frame))

    def tell(self, member: Member, asked: frames.State) -> None:
        self.told += 1
        moment = NOW + self.air.now + (YEAR_MS if self.told % 2 else -YEAR_MS)
        body = encode_time(moment, 5, SOURCE_KEEPER, 0, asked.author, asked.counter)
        payload = advertise(make(frames.TIME, member.peer.mesh, body, KEY))
        member.mesh.heard(b"liar", -50, payload, member.now(self.air.now))
        self.air.look(member)


def turned_clock() -> None:
    """A false time is said before the true one: a board with an identity has a session over it, goes by
    what that says, and keeps to it when its clock has drifted so far that it asks again.
    """
    air = Air(38, loss=0, duty=100)
    keeper, board = air.add("keeper", hello.GATEWAY, True), air.add("board")
    air.link(keeper, board)
    sides = Enrolled(1, keeper=True, kinds=KEEPS | GIVES_TIME), Enrolled(2, role=hello.RELAY)
    for member, one in zip((keeper, board), sides, strict=True):
        member.peer = one.peer
        member.mesh = Mesh(one.peer, 0, random=Random(38).below, role=member.role, key=KEY)
    keeper.peer.set_time(NOW, 5, SOURCE_KEEPER, 0, True)

    def off() -> int:
        known = board.peer.utc(air.now)
        assert known is not None
        return abs(known[0] - NOW - air.now) - known[1]

    liar = Liar(air)
    air.run(5_000)
    assert liar.told and off() > YEAR_MS // 2, "nothing better is known yet"
    for _ in range(600):
        air.run(air.now + 1_000)
        if keeper.mesh.visit(air.now) == board.address:
            meet(*sides, air.now)
            break
    assert off() <= 0
    told = liar.told
    while liar.told < told + 2:
        air.run(air.now + 600_000)
        assert air.now < 12 * HOUR
    assert off() <= 0


# ---- guards that are taken out


def no_room_is_too_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Intake, "_room", lambda self, what, name, why: True)


def names_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    learn = Names.learn

    def more(self: Names, author: bytes, now: int) -> bool:
        self._limit = len(self) + 1
        return bool(learn(self, author, now))

    monkeypatch.setattr(Names, "learn", more)


def neighbours_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    get = Visits._get

    def more(self: Visits, address: object) -> object:
        self._limit = 1 << 20
        return get(self, address)

    monkeypatch.setattr(Visits, "_get", more)


def schemas_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "_room", lambda peer, most, bodies: None)


def a_schema_stays_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    room = places._room

    def less(peer: Peer, most: int, bodies: list[bytes]) -> None:
        if len(peer.schemas) >= most:
            raise HedgerowError("SCHEMAS_FULL", str(most))
        room(peer, most, bodies)

    monkeypatch.setattr(places, "_room", less)


def an_ack_is_believed_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "AGAIN_MS", 1 << 29)


def all_are_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Speaker, "alike", lambda self, frame: 0)


def no_time_is_doubted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Peer, "doubts_time", Peer.wants_time)


def one_time_is_as_good_as_another(monkeypatch: pytest.MonkeyPatch) -> None:
    set_time = Peer.set_time
    monkeypatch.setattr(Peer, "set_time", lambda self, *given: set_time(self, *given[:4]))


def what_is_proven_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    set_time = Peer.set_time

    def any_time(self: Peer, *given: object) -> bool:
        self._proven = False
        return bool(set_time(self, *given))

    monkeypatch.setattr(Peer, "set_time", any_time)


ATTACKS = [
    replayed_week,
    ten_thousand_authors,
    poisoned_slots,
    receipts_without_end,
    hidden_tail,
    turned_clock,
]
MUTANTS: list[tuple[Patch, Callable[[], None]]] = [
    (no_room_is_too_little, ten_thousand_authors),
    (names_without_end, ten_thousand_authors),
    (neighbours_without_end, poisoned_slots),
    (schemas_without_end, poisoned_slots),
    (a_schema_stays_for_good, poisoned_slots),
    (names_without_end, poisoned_slots),
    (all_are_passed_on, receipts_without_end),
    (an_ack_is_believed_for_ever, hidden_tail),
    (no_time_is_doubted, turned_clock),
    (one_time_is_as_good_as_another, turned_clock),
    (what_is_proven_gives_way, turned_clock),
]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_the_attack_fails(attack: Callable[[], None]) -> None:
    attack()


@pytest.mark.parametrize(("mutant", "attack"), MUTANTS, ids=lambda part: part.__name__)
def test_without_the_guard_it_succeeds(
    mutant: Patch, attack: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    # So many show it as well.
    monkeypatch.setattr(sys.modules[__name__], "INVENTED", 1_000)
    mutant(monkeypatch)
    with pytest.raises(AssertionError):
        attack()
