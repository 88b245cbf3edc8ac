"""Attacks by neighbours on the ways to a keeper, and the guard that stops each: taken out, it succeeds."""

from collections.abc import Callable

import pytest
from kit import Random
from mesh_kit import Air, Member, check_air, gradient
from test_attacks import HOUR, Evil, Patch, invented, kind_of
from test_mesh_gradient import line

from hedgerow import limits
from hedgerow.mesh import frames
from hedgerow.mesh.density import Steady, Window
from hedgerow.mesh.talk import Talk
from hedgerow.mesh.ways import Ways


def black_hole() -> None:
    """A relay says that a keeper is next to it, acknowledges all that is pushed, and passes nothing on; who
    hears it knows a true way that is longer. It is no way any more once others have receipts, and it brings
    none.
    """
    with gradient():
        air = Air(36, loss=0, duty=100)
        keeper, (_, honest) = line(air, 2)
        far, evil = air.add("far"), air.add("evil")
        for one, other in ((honest, far), (far, evil)):
            air.link(one, other)
        Evil(evil)
        evil.mesh.visits.ways.rank = lambda now: None
        evil.peer.way = 1
        air.run(600_000)
        assert (honest.mesh.code, far.mesh.code) == (2, 2), "it attracts"
        air.readings([honest], 1_200_000, 6 * HOUR)
        for _ in range(4):
            air.reading(far)
            air.run(air.now + 60_000)
        assert keeper.peer.log.held(far.author) < far.peer.log.held(far.author), "and swallows"
        air.settle([keeper], [far], 5 * HOUR)
        assert far.mesh.code == 3, "by the true way"
        assert far.mesh.stats["barren"] == 1 and not honest.mesh.stats["barren"]
        held = keeper.peer.log.held(far.author)
        for _ in range(4):
            air.reading(far)
            air.run(air.now + 30_000)
        air.run(air.now + 120_000)
        assert keeper.peer.log.held(far.author) == held + 4, "soon, now that it is known"
        check_air(air)


def silent_day() -> None:
    """No attack, but what the guard against one must not take for one: no keeper is reached for a day. Nobody
    brings a receipt then, and everybody stays the way that it was.
    """
    with gradient():
        air = Air(39, loss=0, duty=100)
        keeper, members = line(air, 2)
        beside = air.add("beside")
        for other in members:
            air.link(beside, other)
        air.run(600_000)
        air.readings([*members, beside], 1_200_000, 24 * HOUR)
        air.run(2 * HOUR)
        # It goes on taking what comes, as a gateway without its Big Peer does.
        mute(keeper)
        air.run(26 * HOUR)
        assert [member.mesh.stats["barren"] for member in air.members] == [0] * 4
        assert [member.mesh.code for member in members] == [1, 2]


def mute(keeper: Member) -> None:
    """Have one who collects say no receipts any more."""
    say = keeper.mesh.say

    def said(now: int) -> object:
        while (what := say(now)) is not None and kind_of(what[0]) == frames.RECEIPT:
            pass
        return what

    keeper.mesh.say = said


def crowd_for_a_moment() -> None:
    """24 neighbours that do not exist show themselves, each by all that it says of itself, within three
    seconds: what is recorded from then on arrives as soon as without them.
    """
    alone, late = lateness(41, 0), lateness(41, 1)
    assert late < 3 * alone and late < 15_000, (alone, late)


def crowd_that_stays() -> None:
    """They go on for three minutes, and are believed: what nobody answers is answered by who is there."""
    late = [lateness(seed, 12) for seed in (42, 43, 44)]
    assert sum(late) < 90_000, late


def lateness(seed: int, rounds: int) -> int:
    """Return the mean time in ms until a reading is at the keeper, while a crowd says everything so often."""
    rng = Random(seed)
    air = Air(seed, loss=10)
    keeper, (_, far) = line(air, 2)
    air.run(90_000)
    crowd = [(rng.bytes(6), invented(rng, far.peer.mesh, at)) for at in range(limits.MAX_NEIGHBOURS)]
    written: list[int] = []
    late: list[int] = []

    def wait(ms: int) -> None:
        for _ in range(ms // 500):
            air.run(air.now + 500)
            while len(late) < min(len(written), keeper.peer.log.held(far.author) - before):
                late.append(air.now - written[len(late)])

    before = far.peer.log.held(far.author)
    for turn in range(36):
        if turn % 3 == 0 and turn // 3 < rounds:
            for address, payloads in crowd:
                for payload in payloads:
                    air.run(air.now + 25)
                    for member in air.members:
                        member.mesh.heard(address, -50, payload, member.now(air.now), True)
                        air.look(member)
        air.reading(far)
        written.append(air.now)
        wait(5_000)
    while len(late) < len(written):
        assert air.now < HOUR
        wait(5_000)
    check_air(air)
    return sum(late) // len(late)


# ---- guards that are taken out


def who_is_met_once_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Steady, "add", Window.add)


def nobody_answers_more_often(monkeypatch: pytest.MonkeyPatch) -> None:
    lot = Talk.lot
    monkeypatch.setattr(Talk, "lot", lambda self, doublings=0: lot(self))


def who_brings_nothing_stays_a_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ways, "judge", lambda self, now: None)


def a_keeper_is_always_there(monkeypatch: pytest.MonkeyPatch) -> None:
    judge = Ways.judge

    def sure(self: Ways, now: int) -> None:
        self.alive_at = now
        judge(self, now)

    monkeypatch.setattr(Ways, "judge", sure)


ATTACKS = [black_hole, silent_day, crowd_for_a_moment, crowd_that_stays]
MUTANTS: list[tuple[Patch, Callable[[], None]]] = [
    (who_brings_nothing_stays_a_way, black_hole),
    (a_keeper_is_always_there, silent_day),
    (who_is_met_once_counts, crowd_for_a_moment),
    (nobody_answers_more_often, crowd_that_stays),
]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_the_attack_fails(attack: Callable[[], None]) -> None:
    attack()


@pytest.mark.parametrize(("mutant", "attack"), MUTANTS, ids=lambda part: part.__name__)
def test_without_the_guard_it_succeeds(
    mutant: Patch, attack: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant(monkeypatch)
    with pytest.raises(AssertionError):
        attack()
