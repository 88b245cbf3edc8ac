"""What the field decides in place, for speed, is what the rules for all say."""

from collections import Counter

from hedgerow_boards.air.bursts import Interference
from hedgerow_boards.air.field import Field, grid
from hedgerow_boards.air.physics import Radio
from hedgerow_boards.air.scanning import open_channel

SECOND = 1_000_000
FULL = bytes(31)
AIRTIME = 376
EXACT = Radio.disc(100.0)._replace(fading_db=0.0)

Log = list[tuple[int, int, int, int]]


def ears(field: Field) -> Log:
    """What is heard from now on: (moment, receiver, sender, level)."""
    log: Log = []
    field.heard = lambda node, sender, level, *_: log.append((field.now, node, sender, level))
    return log


def begins(field: Field) -> list[int]:
    """When events begin, from now on."""
    found: list[int] = []
    field.tally.say = lambda *_: found.append(field.now)  # type: ignore[method-assign]
    return found


def test_what_is_judged_in_place_fares_as_by_the_rule_for_all() -> None:
    """A burst too weak to drown anything changes the way that packets are judged, and nothing else."""
    logs = []
    for weak in ((), [Interference(20.0, 5.0, -300.0)]):
        field = Field(grid(6, 6, 9.0), radio=Radio.reaching(15.0), seed=5, interference=weak)
        log = ears(field)
        field.step(3700 * SECOND)
        for node in range(36):
            field.duty(node, 50, 220_000 if node % 3 else 60_000)
            field.say(node, FULL, 40)
        field.step(field.now + 10 * SECOND)
        logs.append((log, [field.stats(node)["lost"] for node in range(36)]))
    assert logs[0] == logs[1]
    assert len(logs[0][0]) > 2000
    assert sum(lost["weak"] for lost in logs[0][1]) > 500


def test_windows_are_as_open_channel_says() -> None:
    """Who listens is who open_channel() says does, whatever the phase, also one that is to come."""
    found: Counter[bool] = Counter()
    for phase in range(-700_000, 700_000, 1_733):
        field = Field([(0.0, 0.0), (1.0, 0.0)], radio=EXACT, seed=phase)
        log = ears(field)
        starts = begins(field)
        field.step(5 * SECOND)
        field.listen(1, 110_000, 220_000, 5 * SECOND + phase)
        field.say(0, FULL, 3)
        field.step(field.now + SECOND)
        opened = [open_channel(5 * SECOND + phase, 220_000, 110_000, at, AIRTIME) >= 0 for at in starts]
        assert len(log) == sum(opened)
        found.update(opened)
    assert found[True] > 500 and found[False] > 500
