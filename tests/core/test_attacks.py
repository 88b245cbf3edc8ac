"""Attacks on the mesh engine, and for each the guard that stops it: taken out, the attack must succeed.

What attackers do over real radios beside the demo is in tests/system; SECURITY.md has the table of all.
"""

import random
import sys
from collections.abc import Callable
from typing import Any

import pytest
from kit import Random
from mesh_kit import KEY, Air, Member, check_air, gradient
from sync_kit import operations
from test_mesh_gradient import line
from ways_kit import MESH, hear, relay, take

from hedgerow import limits, places
from hedgerow.mesh import frames, letters, pace
from hedgerow.mesh.frames import ACK, OP, STATE, Op, advertise, encode_op, make
from hedgerow.mesh.intake import Intake
from hedgerow.mesh.names import Names
from hedgerow.mesh.speaker import Speaker
from hedgerow.mesh.tells import Announce, encode_announce, encode_receipt
from hedgerow.mesh.ways import Ways
from hedgerow.sync import hello

Patch = Callable[[pytest.MonkeyPatch], None]
HOUR = 3_600_000
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


#: Authors that a relay's log has places for, and for how long others are made up.
PLACES, SIEGE_MS = 12, HOUR


def places_for_good() -> None:
    """A relay's places are all taken by invented authors, and more are made up for an hour: who comes new is
    carried within a time that is known, and whom it carried before with seals and receipts it carries on.
    """
    rng = Random(34)
    air = Air(34, loss=0, duty=100)
    keeper, (relay, far) = line(air, 2)
    known = air.add("known")
    air.link(relay, known)
    air.unlink(relay, far)
    relay.peer.log._most_authors = PLACES
    air.run(60_000)
    air.reading(known)
    air.settle([keeper], [known], HOUR)
    body = far.peer.log.fetch(far.author, 1)

    def invent() -> None:
        content = letters.encode_operation(rng.bytes(8), 1, body)
        relay.mesh.intake.take(content, 1 << 30 | rng.below(1 << 24), relay.now(air.now))

    while len(relay.peer.log.authors()) < PLACES:
        invent()
    assert far.author not in relay.peer.log.authors()
    air.link(relay, far)
    ends = air.now + SIEGE_MS
    while air.now < ends:
        air.run(air.now + 60_000)
        invent()
        if air.now % 600_000 < 60_000:
            air.reading(far)
            air.reading(known)
        assert len(relay.peer.log.authors()) <= PLACES
        assert relay.peer.log.held(known.author) > 0, "who is receipted keeps its place"
    air.settle([keeper], [far, known], HOUR)


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


def black_hole() -> None:
    """A relay says that a keeper is next to it, acknowledges all that is pushed, and passes nothing on; who
    hears it knows a true way that is longer. It is no way any more once it has brought no receipt.
    """
    with gradient():
        air = Air(36, loss=0, duty=100)
        keeper, (near, honest) = line(air, 2)
        far, evil = air.add("far"), air.add("evil")
        for one, other in ((honest, far), (far, evil)):
            air.link(one, other)
        Evil(evil)
        evil.mesh.visits.ways.rank = lambda now: None
        evil.peer.way = 1
        air.run(600_000)
        assert (honest.mesh.code, far.mesh.code) == (2, 2), "it attracts"
        for _ in range(4):
            air.reading(far)
            air.run(air.now + 60_000)
        assert keeper.peer.log.held(far.author) < far.peer.log.held(far.author), "and swallows"
        air.settle([keeper], [far, honest, near], 3 * HOUR)
        assert far.mesh.code == 3, "by the true way"
        held = keeper.peer.log.held(far.author)
        for _ in range(8):
            air.reading(far)
            air.run(air.now + 30_000)
        air.run(air.now + 120_000)
        assert keeper.peer.log.held(far.author) == held + 8, "soon, now that it is known"
        check_air(air)


# ---- guards that are taken out


def no_room_is_too_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Intake, "_room", lambda self, what, name, why: True)


def names_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    learn = Names.learn

    def more(self: Names, author: bytes, now: int) -> bool:
        self._limit = len(self) + 1
        return bool(learn(self, author, now))

    monkeypatch.setattr(Names, "learn", more)


def an_ack_is_believed_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "AGAIN_MS", 1 << 29)


def places_are_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "make_places", lambda peer, now: None)


def whoever_came_first_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(peer: Any, now: int) -> None:
        others = [author for author in peer.log.authors() if not peer.is_own(author)]
        peer.log.cut(others[0], 0)

    monkeypatch.setattr(places, "make_places", make)


def all_are_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Speaker, "alike", lambda self, frame: 0)


def who_brings_nothing_stays_a_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ways, "barren", lambda self, now: None)


ATTACKS = [
    replayed_week,
    ten_thousand_authors,
    places_for_good,
    receipts_without_end,
    hidden_tail,
    black_hole,
]
MUTANTS: list[tuple[Patch, Callable[[], None]]] = [
    (no_room_is_too_little, ten_thousand_authors),
    (names_without_end, ten_thousand_authors),
    (places_are_for_good, places_for_good),
    (whoever_came_first_gives_way, places_for_good),
    (all_are_passed_on, receipts_without_end),
    (who_brings_nothing_stays_a_way, black_hole),
    (an_ack_is_believed_for_ever, hidden_tail),
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
