"""The air in virtual time: the same rules for many nodes, and against theory where there is one."""

import math
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest

from hedgerow_boards.air import charge
from hedgerow_boards.air.bursts import Interference
from hedgerow_boards.air.field import Field, grid, scatter
from hedgerow_boards.air.limits import ADV_DELAY_MAX_US
from hedgerow_boards.air.physics import Radio

SECOND = 1_000_000
FULL = bytes(31)
AIRTIME = 376
EXACT = Radio.disc(100.0)._replace(fading_db=0.0)
FOREVER = 1 << 60


class Ears:
    """Counts what each node hears of whom."""

    def __init__(self, field: Field) -> None:
        self.pairs: Counter[tuple[int, int]] = Counter()
        self.levels: list[int] = []
        self.log: list[tuple[int, int, int, int]] = []
        self._field = field
        field.heard = self._heard

    def _heard(self, node: int, sender: int, level: int, payload: bytes, connectable: bool) -> None:
        self.pairs[node, sender] += 1
        self.levels.append(level)
        self.log.append((self._field.now, node, sender, level))


def line(count: int, spacing: float, radio: Radio = EXACT, **options: Any) -> Field:
    return Field([(number * spacing, 0.0) for number in range(count)], radio=radio, **options)


def test_events_come_at_the_interval_plus_delay_and_end_with_done() -> None:
    field = line(2, 1.0)
    ears = Ears(field)
    ended: list[int] = []
    field.listen(1, 30_000)
    field.say(0, FULL, events=5, interval_us=100_000, done=lambda node: ended.append(field.now))
    field.step(10 * SECOND)
    assert field.stats(0)["said"] == {"other": 5}
    assert field.stats(0)["airtime_us"] == 5 * 3 * AIRTIME
    assert len(ended) == 1
    assert 400_000 <= ended[0] <= 400_000 + 5 * ADV_DELAY_MAX_US + 2_000
    assert ears.pairs[1, 0] >= 4


def test_a_new_saying_replaces_the_old_and_hush_ends_it() -> None:
    field = line(2, 1.0)
    said: list[bytes] = []
    field.heard = lambda node, sender, level, payload, connectable: said.append(payload)
    ended: list[int] = []
    field.listen(1, 30_000)
    field.say(0, b"one", events=10, done=ended.append)
    field.step(250_000)
    field.say(0, b"two", events=FOREVER, interval_us=100_000, done=ended.append)
    field.step(SECOND)
    field.hush(0)
    before = len(said)
    field.step(3 * SECOND)
    assert [*dict.fromkeys(said)] == [b"one", b"two"]
    assert said.count(b"one") <= 3
    assert len(said) <= before + 1
    assert not ended


def test_a_radio_does_one_thing_at_a_time() -> None:
    """A saying that comes while the one before is on the air waits for its end."""
    field = line(1, 1.0)
    begun: list[int] = []
    for _ in range(3000):
        field.say(0, FULL, events=1)
        while field.busy_from[0] in begun or not field.busy_until[0]:
            field.step(field.next_time() or 0)
        begun.append(field.busy_from[0])
    gaps = [later - earlier for earlier, later in pairwise(begun)]
    assert min(gaps) == 1776
    assert max(gaps) > 9000


@pytest.mark.parametrize(("interval_ms", "window_ms"), [(1280, 11), (300, 30), (60, 30), (30, 30)])
def test_a_node_hears_as_often_as_its_window_is_open(interval_ms: int, window_ms: int) -> None:
    field = line(2, 1.0)
    ears = Ears(field)
    field.listen(1, window_ms * 1000, interval_ms * 1000)
    field.say(0, FULL, events=FOREVER, interval_us=100_000)
    field.step(3000 * SECOND)
    said = field.stats(0)["said"]["other"]
    whole = (window_ms - AIRTIME / 1000) / interval_ms
    assert ears.pairs[1, 0] / said == pytest.approx(whole, rel=0.05, abs=0.002)
    stats = field.stats(1)
    assert stats["heard"] == ears.pairs[1, 0]
    assert stats["lost"]["not_listening"] == said - stats["heard"]


def test_duty_in_percent_and_deaf_nodes() -> None:
    field = line(4, 1.0)
    ears = Ears(field)
    for node, percent in enumerate((0, 0, 20, 100)):
        field.duty(node, percent)
    field.say(0, FULL, events=FOREVER, interval_us=50_000)
    field.step(200 * SECOND)
    said = field.stats(0)["said"]["other"]
    assert ears.pairs[1, 0] == 0
    assert ears.pairs[2, 0] / said == pytest.approx(0.2, abs=0.02)
    assert ears.pairs[3, 0] / said > 0.97
    field.duty(3, 0)
    before = ears.pairs[3, 0]
    field.step(300 * SECOND)
    assert ears.pairs[3, 0] == before


def test_the_edge_of_a_disc_and_positions_that_change() -> None:
    field = line(3, 60.0)
    ears = Ears(field)
    for node in (1, 2):
        field.duty(node, 100)
    field.say(0, FULL, events=FOREVER)
    field.step(5 * SECOND)
    assert ears.pairs[1, 0] > 30
    assert ears.pairs[2, 0] == 0
    assert set(ears.levels) == {round(EXACT.mean_level(60.0))}
    field.move(2, 30.0, 0.0)
    field.move(1, 500.0, 0.0)
    ears.pairs.clear()
    field.step(10 * SECOND)
    assert ears.pairs[2, 0] > 30
    assert ears.pairs[1, 0] == 0


def test_lists_of_neighbours_are_the_same_moved_or_made() -> None:
    radio = Radio.reaching(20.0)
    places = scatter(80, 8, radio, 5)
    moved = Field(list(reversed(places)), radio=radio, seed=6)
    for node, (x, y) in enumerate(places):
        moved.move(node, x, y)
    made = Field(places, radio=radio, seed=6)
    assert moved.neighbours == made.neighbours
    assert sum(map(len, made.neighbours)) > 400
    for sender in range(0, 80, 7):
        in_reach = dict(made.neighbours[sender])
        for receiver in range(80):
            if receiver != sender:
                distance = math.dist(places[sender], places[receiver])
                level = made.level(sender, receiver)
                assert (receiver in in_reach) == radio.reaches(level, distance)


def test_links_are_uneven_with_asymmetry_and_stay_so() -> None:
    radio = Radio.reaching(20.0)._replace(asymmetry_db=4.0)
    field = Field(scatter(60, 10, radio, 1), radio=radio, seed=2)
    there = {(a, b) for a, found in enumerate(field.neighbours) for b, _ in found}
    one_way = [pair for pair in there if pair[::-1] not in there]
    assert 0.05 < len(one_way) / len(there) < 0.4
    ears = Ears(field)
    sender, receiver = max(
        ((a, b) for a, found in enumerate(field.neighbours) for b, _ in found if (b, a) not in there),
        key=lambda pair: field.level(*pair),
    )
    for node in (sender, receiver):
        field.duty(node, 100)
    for node in (sender, receiver):
        field.say(node, FULL, events=200)
    field.step(30 * SECOND)
    assert ears.pairs[receiver, sender] > 0
    assert ears.pairs[sender, receiver] == 0


def test_a_partition_parts_and_heals_and_one_pair_can_be_forced() -> None:
    field = line(4, 10.0)
    ears = Ears(field)
    for node in range(4):
        field.duty(node, 100)
        field.say(node, FULL, events=FOREVER)
    field.partition({2: 1, 3: 1})
    field.step(5 * SECOND)
    assert {frozenset(pair) for pair in ears.pairs} == {frozenset((0, 1)), frozenset((2, 3))}
    field.partition(None)
    ears.pairs.clear()
    field.step(10 * SECOND)
    assert len({frozenset(pair) for pair in ears.pairs}) == 6
    field.reach(0, 3, False)
    ears.pairs.clear()
    field.step(15 * SECOND)
    assert len({frozenset(pair) for pair in ears.pairs}) == 5
    field.move(3, 5000.0, 0.0)
    field.reach(0, 3, True)
    ears.pairs.clear()
    field.step(20 * SECOND)
    assert {pair for pair in ears.pairs if 3 in pair} == {(0, 3), (3, 0)}
    field.reach(0, 3, None)
    ears.pairs.clear()
    field.step(25 * SECOND)
    assert not {pair for pair in ears.pairs if 3 in pair}


@pytest.mark.parametrize(("count", "interval_ms"), [(2, 20), (20, 100), (100, 200), (500, 1000)])
def test_collisions_are_those_of_pure_aloha(count: int, interval_ms: int) -> None:
    """A packet survives if no other begins within one air time of it: (1 - 2 T / interval) per rival."""
    field = Field([(0.0, 0.0)] * (count + 1), radio=EXACT, seed=count)
    ears = Ears(field)
    field.duty(count, 100, 1_000_000)
    for node in range(count):
        field.at(
            int(field.rng.random() * interval_ms * 1000),
            lambda node: field.say(node, FULL, FOREVER, interval_ms * 1000),
            node,
        )
    field.step(60 * SECOND)
    stats = field.stats(count)
    listened = stats["heard"] + stats["lost"]["collision"]
    cycle = interval_ms * 1000 + ADV_DELAY_MAX_US / 2
    expected = (1 - 2 * AIRTIME / cycle) ** (count - 1)
    assert listened > 3000
    assert stats["heard"] / listened == pytest.approx(expected, abs=0.025)
    assert sum(ears.pairs.values()) == stats["heard"]
    if count == 500:
        assert expected == pytest.approx(0.69, abs=0.01)


def test_the_nearer_of_two_colliding_senders_is_heard_and_the_other_lost() -> None:
    """Six times the distance is 19 dB, well over the threshold; twice is 7.5 dB, just under it."""
    for far, survives in ((6.0, True), (2.0, False)):
        field = Field([(0.0, 0.0), (1.0, 0.0), (-far, 0.0)], radio=EXACT, seed=3)
        field.duty(0, 100)
        for node in (1, 2):
            field.say(node, FULL, FOREVER, 20_000)
        ears = Ears(field)
        field.step(120 * SECOND)
        said = [field.stats(node)["said"]["other"] for node in (1, 2)]
        rates = [ears.pairs[0, node] / said[node - 1] for node in (1, 2)]
        missed = field.stats(0)["lost"]["collision"]
        assert missed > 50
        assert (rates[0] > rates[1] + 0.015) == survives


def test_a_rival_out_of_the_receivers_reach_does_no_harm() -> None:
    field = Field([(0.0, 0.0), (90.0, 0.0), (-90.0, 0.0)], radio=EXACT)
    field.duty(1, 100)
    for node in (0, 2):
        field.say(node, FULL, FOREVER, 20_000)
    field.step(60 * SECOND)
    assert field.stats(1)["lost"]["collision"] == 0


def test_a_rival_disturbs_only_while_it_is_there() -> None:
    field = line(3, 1.0)
    field.duty(1, 100)
    for node in (0, 2):
        field.say(node, FULL, FOREVER, 20_000)

    def collisions() -> int:
        before = field.stats(1)["lost"]["collision"]
        field.step(field.now + 20 * SECOND)
        return int(field.stats(1)["lost"]["collision"] - before)

    assert collisions() > 10
    for change, undo in (
        (lambda: field.move(2, 900.0, 0.0), lambda: field.move(2, 2.0, 0.0)),
        (lambda: field.partition({2: 1}), lambda: field.partition(None)),
        (lambda: field.reach(1, 2, False), lambda: field.reach(1, 2, None)),
    ):
        change()
        assert collisions() == 0
        undo()
        assert collisions() > 10


def test_what_is_too_weak_to_hear_still_disturbs() -> None:
    radio = Radio(fading_db=0.0)
    edge = 10 ** ((radio.level_1m - radio.sensitivity - 4.5) / 25)
    hidden = 10 ** ((radio.level_1m - radio.sensitivity + 3.0) / 25)
    field = Field([(0.0, 0.0), (edge, 0.0), (0.0, hidden)], radio=radio, seed=9)
    assert 0 not in dict(field.neighbours[2])
    field.duty(0, 100)
    for node in (1, 2):
        field.say(node, FULL, FOREVER, 20_000)
    field.step(60 * SECOND)
    assert field.stats(0)["lost"]["collision"] > 20


def test_a_node_hears_nothing_while_it_transmits() -> None:
    field = line(2, 1.0)
    for node in range(2):
        field.duty(node, 100)
        field.say(node, FULL, FOREVER, 20_000)
    field.step(60 * SECOND)
    own = field.stats(0)["lost"]["own"]
    said = field.stats(1)["said"]["other"]
    # An event of 1,776 us against a packet somewhere within another's: on average 2,152 us of 25,000.
    assert own / said == pytest.approx((1776 + AIRTIME) / 25_000, rel=0.2)


def test_interference_takes_its_share_of_packets_within_its_radius() -> None:
    source = Interference(idle_ms=10.0, busy_ms=10.0, level=-40.0, radius_m=5.0)
    field = Field([(0.0, 0.0), (0.0, 20.0), (0.0, 10.0)], radio=EXACT, interference=[source], seed=4)
    field.duty(0, 100)
    field.duty(1, 100)
    field.say(2, FULL, FOREVER, 50_000)
    field.step(120 * SECOND)
    near, far = field.stats(0), field.stats(1)
    expected = 1 - 0.5 * math.exp(-0.376 / 10)
    assert near["lost"]["interference"] / (near["heard"] + near["lost"]["interference"]) == pytest.approx(
        expected, abs=0.04
    )
    assert far["lost"]["interference"] == 0


def test_losses_by_chance_and_a_receiver_without_buffers() -> None:
    field = line(3, 1.0, EXACT._replace(loss=0.3))
    field.heard = lambda node, *_: node != 2
    for node in (1, 2):
        field.duty(node, 100)
    field.say(0, FULL, FOREVER, 20_000)
    field.step(60 * SECOND)
    one, two = field.stats(1), field.stats(2)
    assert one["lost"]["chance"] / (one["heard"] + one["lost"]["chance"]) == pytest.approx(0.3, abs=0.03)
    assert two["heard"] == 0
    assert two["lost"]["no_buffer"] > 1000


def test_repeats_are_dropped_for_as_long_as_a_radio_does() -> None:
    every, once = line(2, 1.0), line(2, 1.0, repeats_us=600_000)
    counts = []
    for field in (every, once):
        ears = Ears(field)
        field.duty(1, 100)
        field.say(0, FULL, events=6)
        field.step(SECOND)
        field.say(0, FULL, events=6)
        field.step(2 * SECOND)
        field.say(0, FULL, events=FOREVER)
        field.step(12 * SECOND)
        counts.append(ears.pairs[1, 0])
        assert field.stats(1)["heard"] == counts[-1]
    assert counts[0] > 100
    assert 2 + 10 <= counts[1] <= 2 + 17


def test_every_event_is_accounted_for_at_every_neighbour() -> None:
    radio = Radio.reaching(15.0)._replace(loss=0.1)
    field = Field(grid(6, 5, 8.0), radio=radio, seed=11, interference=[Interference(20.0, 5.0, -70.0)])
    Ears(field)
    for node in range(30):
        field.duty(node, 30 + node)
        field.say(node, FULL, 40, 50_000)
    field.step(10 * SECOND)
    totals = field.totals()
    assert totals["said"] == {"other": 30 * 40}
    assert totals["heard"] + sum(totals["lost"].values()) == 40 * sum(map(len, field.neighbours))
    assert min(totals["lost"][cause] for cause in ("weak", "collision", "interference", "chance", "own")) > 0


def history(seed: int) -> list[tuple[int, int, int, int]]:
    radio = Radio.reaching(15.0)._replace(loss=0.1)
    field = Field(grid(5, 5, 8.0), radio=radio, seed=seed, interference=[Interference(20.0, 5.0)])
    ears = Ears(field)
    for node in range(25):
        field.duty(node, 50)
        field.say(node, FULL, 50)
    field.step(SECOND // 2)
    field.move(3, 0.0, 0.0)
    field.partition({4: 1})
    field.step(10 * SECOND)
    return ears.log


def test_one_seed_one_history() -> None:
    first = history(8)
    assert len(first) > 500
    assert first == history(8)
    assert first != history(9)


def test_sleep_and_power_off_silence_a_node_and_cost_what_they_cost() -> None:
    field = line(2, 1.0, profile="esp32c3")
    ears = Ears(field)
    field.duty(0, 100)
    for state in ("sleep", "off"):
        field.duty(1, 100)
        field.say(1, FULL, FOREVER)
        field.step(field.now + 10 * SECOND)
        ears.pairs.clear()
        field.power(1, state)
        field.say(1, FULL, FOREVER)
        field.duty(1, 100)
        field.step(field.now + 3590 * SECOND)
        assert not ears.pairs
        field.power(1, "on")
    board = charge.profile("esp32c3")
    parts = field.stats(1)["charge"]
    assert parts["base"] == pytest.approx(board.base_ua * 20 / 3.6e6)
    assert parts["rx"] == pytest.approx(board.scan_ua * 20 / 3.6e6)
    assert parts["sleep"] == pytest.approx(board.sleep_ua * 3590 / 3.6e6)
    assert parts["wake"] == pytest.approx(board.wake_uc / 3.6e6)


def test_the_queue_keeps_order_and_does_what_is_past_at_once() -> None:
    field = line(1, 1.0)
    done: list[object] = []
    field.at(500, done.append, "b")
    field.at(100, done.append, "a")
    field.at(500, done.append, "c")
    field.at(500, lambda _: field.at(0, done.append, field.now), None)
    assert field.next_time() == 100
    field.step(499)
    assert done == ["a"]
    field.step(500)
    assert done == ["a", "b", "c", 500]
    assert (field.now, field.next_time()) == (500, None)


def test_scatter_gives_the_density_asked_for() -> None:
    radio = EXACT
    places = scatter(1500, 12, radio, 1)
    field = Field(places, radio=radio)
    side = max(x for x, _ in places)
    inner = [n for n, (x, y) in enumerate(places) if 100 < x < side - 100 and 100 < y < side - 100]
    assert len(inner) > 300
    assert sum(len(field.neighbours[node]) for node in inner) / len(inner) == pytest.approx(12, abs=1.0)


def test_who_can_disturb_nobody_who_hears_is_not_asked_about() -> None:
    """Any two of whom somebody hears the one and is disturbed by the other meet; far ones do not."""
    radio = Radio.reaching(20.0)
    places = scatter(150, 8.0, radio, 3)
    field = Field([*places, (0.0, 50_000.0)], seed=3, radio=radio)
    others = range(len(places))
    met = 0
    for node in others:
        for receiver, _ in field.neighbours[node]:
            for other in others:
                if other != node and field.map.rivals(receiver, [other]):
                    met += 1
                    assert field.map.meet(node, other)
    assert met > 1000 and not field.map.meet(0, len(places))
    field.reach(0, len(places), True)
    assert field.map.meet(0, len(places))
