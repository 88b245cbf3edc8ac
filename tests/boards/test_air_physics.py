"""The physics of the air: levels, errors, capture, windows, bursts and charge, each by itself."""

import random
from bisect import bisect_right
from itertools import pairwise
from statistics import fmean, pstdev

import pytest

from hedgerow.errors import HedgerowError
from hedgerow.mesh.budget import Profile
from hedgerow_boards.air import charge
from hedgerow_boards.air.bursts import Band, Bursts, Interference
from hedgerow_boards.air.limits import ADV_PDU_SPACING_US
from hedgerow_boards.air.physics import (
    CHANCE,
    COLLISION,
    INTERFERENCE,
    WEAK,
    Radio,
    captures,
    fade_table,
    packet_error,
    reception,
)
from hedgerow_boards.air.scanning import airtime_us, event_us, open_channel
from hedgerow_boards.air.tally import ASLEEP, OFF, ON, Tally, frame_kind, total

FULL = airtime_us(31)
STILL = Radio(fading_db=0.0)


def verdicts(radio: Radio, mean: float, count: int = 4000, **scene: object) -> list[int]:
    receive = reception(radio, random.Random(1))
    rivals, burst, loss = scene.get("rivals", ()), scene.get("burst"), scene.get("loss", 0.0)
    return [receive(mean, FULL, rivals, burst, loss) for _ in range(count)]  # type: ignore[arg-type]


def share(found: list[int], verdict: int) -> float:
    return found.count(verdict) / len(found)


def test_air_times_are_those_of_one_megabit() -> None:
    assert (airtime_us(31), airtime_us(0)) == (376, 128)
    assert event_us(376) == 2 * ADV_PDU_SPACING_US + 376


def test_levels_fall_with_the_logarithm_of_distance() -> None:
    radio = Radio(level_1m=-40.0, exponent=3.0)
    assert [round(radio.mean_level(metres), 6) for metres in (0.1, 1.0, 10.0, 100.0)] == [-40, -40, -70, -100]


def test_the_sensitivity_is_where_the_test_specification_has_it() -> None:
    # RF-PHY.TS: 30.8 % of packets of 37 bytes, which are 368 bits after the preamble.
    assert packet_error(0.0, 368) == pytest.approx(0.308, abs=0.001)
    errors = [packet_error(margin / 4, FULL) for margin in range(-24, 25)]
    assert all(earlier >= later for earlier, later in pairwise(errors))
    assert errors[0] == pytest.approx(1.0)
    assert errors[-1] < 1e-8
    assert packet_error(1.0, 128) < packet_error(1.0, 376) / 2


@pytest.mark.parametrize("margin", [-2.0, -1.0, 0.0, 1.0, 2.0])
def test_weak_packets_are_lost_by_the_error_curve(margin: float) -> None:
    found = verdicts(STILL, STILL.sensitivity + margin)
    assert share(found, WEAK) == pytest.approx(packet_error(margin, FULL), abs=0.025)
    assert set(found) <= {WEAK, round(STILL.sensitivity + margin)}


def test_the_table_of_errors_decides_as_the_curve_does() -> None:
    """Packet by packet, by the same draws of chance."""
    radio = Radio(sensitivity=-90.0)
    received = reception(radio, random.Random(7))
    rng = random.Random(7)
    fades = fade_table(radio.fading_db)
    seen = set()
    for at in range(40_000):
        mean, airtime = -90.0 + at % 100 / 10 - 5, (128, 376)[at & 1]
        level = mean + fades[rng.getrandbits(12)]
        if level < radio.sensitivity + 4.0:
            weak = level < radio.sensitivity - 4.0 or rng.random() < packet_error(level + 90.0, airtime)
        else:
            weak = False
        assert (received(mean, airtime, (), None, 0.0) == WEAK) == weak, (mean, airtime)
        seen.add(weak)
    assert seen == {False, True}


def test_fading_widens_the_edge_and_moves_levels() -> None:
    radio = Radio(fading_db=4.0)
    assert 0.1 < share(verdicts(radio, radio.sensitivity + 4.0), WEAK) < 0.2
    assert share(verdicts(STILL, STILL.sensitivity + 4.0), WEAK) == 0.0
    levels = [float(level) for level in verdicts(radio, -60.0)]
    assert fmean(levels) == pytest.approx(-60.0, abs=0.3)
    assert pstdev(levels) == pytest.approx(4.0, abs=0.2)


def test_below_the_floor_next_to_nothing_gets_through_and_above_it_something() -> None:
    radio = Radio(fading_db=3.0)
    assert share(verdicts(radio, radio.floor - 0.2, 20_000), WEAK) > 0.994
    assert share(verdicts(radio, radio.floor + 1.0, 20_000), WEAK) < 0.994
    assert not radio.reaches(radio.floor - 0.1, 1.0)
    assert radio.reaches(radio.floor, 1.0)


def test_reaching_means_the_sensitivity_at_that_distance() -> None:
    radio = Radio.reaching(10.0)
    assert radio.mean_level(10.0) == radio.sensitivity
    assert radio.shadowing_db > 0
    assert radio.asymmetry_db > 0


def test_a_disc_ends_sharply() -> None:
    radio = Radio.disc(30.0, loss=0.1)
    assert radio.loss == 0.1
    level = radio.mean_level(30.0)
    assert radio.reaches(level, 30.0)
    assert not radio.reaches(level, 30.001)
    assert radio.disturbs(level, 30.0)
    assert not radio.disturbs(level, 30.001)
    assert share(verdicts(radio, level), WEAK) == 0.0
    assert radio.distance_of(radio.floor) == 30.0


def test_shadowing_belongs_to_the_pair_and_asymmetry_to_the_direction() -> None:
    radio = Radio(shadowing_db=4.0, asymmetry_db=0.0)
    pairs = [(a, b) for a in range(60) for b in range(a)]
    shadows = [radio.link_level(1, a, b, 10.0) - radio.mean_level(10.0) for a, b in pairs]
    assert shadows == [radio.link_level(1, b, a, 10.0) - radio.mean_level(10.0) for a, b in pairs]
    assert fmean(shadows) == pytest.approx(0.0, abs=0.3)
    assert pstdev(shadows) == pytest.approx(4.0, abs=0.3)
    assert shadows != [radio.link_level(2, a, b, 10.0) - radio.mean_level(10.0) for a, b in pairs]
    uneven = radio._replace(asymmetry_db=2.0)
    gaps = [uneven.link_level(1, a, b, 10.0) - uneven.link_level(1, b, a, 10.0) for a, b in pairs]
    assert pstdev(gaps) == pytest.approx(2.0 * 2**0.5, abs=0.25)


def test_no_shadow_carries_farther_than_the_radius() -> None:
    radio = Radio.reaching(20.0)
    radius = radio.distance_of(radio.floor)
    levels = [radio.link_level(3, a, b, radius * 1.001) for a in range(120) for b in range(120) if a != b]
    assert max(levels) < radio.floor
    assert max(levels) > radio.floor - 3.0


def test_the_stronger_packet_survives_by_the_capture_threshold() -> None:
    assert captures(-60.0, [-68.0], 8.0)
    assert not captures(-60.0, [-67.9], 8.0)
    assert not captures(-60.0, [-68.0, -68.0], 8.0)
    assert captures(-60.0, [-71.1, -71.1], 8.0)
    assert share(verdicts(STILL, -60.0, rivals=[-67.0]), COLLISION) == 1.0
    assert share(verdicts(STILL, -60.0, rivals=[-69.0]), COLLISION) == 0.0
    assert 0.3 < share(verdicts(Radio(fading_db=2.0), -60.0, rivals=[-68.0]), COLLISION) < 0.7
    # Both fade: 4 dB to spare are 1.41 of their joint deviation.
    assert share(verdicts(Radio(fading_db=2.0), -60.0, rivals=[-72.0]), COLLISION) == pytest.approx(
        0.079, abs=0.02
    )


def test_a_burst_takes_what_is_not_stronger_by_the_threshold() -> None:
    assert share(verdicts(STILL, -60.0, burst=-67.0), INTERFERENCE) == 1.0
    assert share(verdicts(STILL, -60.0, burst=-68.0), INTERFERENCE) == 0.0


def test_chance_takes_its_share_of_what_is_left() -> None:
    found = verdicts(STILL, -60.0, loss=0.2)
    assert share(found, CHANCE) == pytest.approx(0.2, abs=0.02)
    assert share(found, -60) == pytest.approx(0.8, abs=0.02)


def test_reported_levels_stay_within_what_a_controller_says() -> None:
    assert set(verdicts(STILL, -5.0)) == {-20}
    deaf = Radio(sensitivity=-140.0, fading_db=0.0)
    assert set(verdicts(deaf, -120.0)) == {-105}


@pytest.mark.parametrize(
    ("interval", "window"), [(30_000, 30_000), (2_500, 2_500), (10_000, 4_000), (100_000, 1_000)]
)
def test_a_packet_is_heard_only_if_the_window_is_open_for_all_of_it(interval: int, window: int) -> None:
    """Against windows laid out one by one."""
    rng = random.Random(interval + window)
    phase = rng.randrange(10**6)
    seen = set()
    for _ in range(3000):
        airtime = rng.choice((128, 250, 376))
        start = phase - 5_000 + rng.randrange(12 * interval)
        open_for = [
            channel
            for channel in range(3)
            for turn in range(13)
            if turn % 3 == channel
            and phase + turn * interval <= start + channel * ADV_PDU_SPACING_US
            and start + channel * ADV_PDU_SPACING_US + airtime <= phase + turn * interval + window
        ]
        found = open_channel(phase, interval, window, start, airtime)
        assert found == (min(open_for) if open_for else -1)
        seen.add(found)
    assert {0, 1, 2} <= seen or window == 1_000


def test_bursts_come_as_often_and_last_as_long_as_said() -> None:
    source = Interference(idle_ms=30.0, busy_ms=10.0)
    bursts = Bursts("one", source)
    moments = range(0, 200_000_000, 1_000)
    hit = [bursts.hits(at, at + 1) for at in moments]
    assert fmean(hit) == pytest.approx(0.25, abs=0.02)
    begun = sum(later and not earlier for earlier, later in pairwise(hit))
    assert begun == pytest.approx(200_000 / 40, rel=0.15)  # short ones fall between two looks
    packets = [bursts.hits(at, at + 5_000) for at in moments]
    assert fmean(packets) == pytest.approx(1 - 0.75 * 2.718281828 ** (-5 / 30), abs=0.02)


def test_bursts_are_the_same_whatever_was_asked_before() -> None:
    source = Interference(idle_ms=5.0, busy_ms=5.0)
    rng = random.Random(4)
    moments = [rng.randrange(10**8) for _ in range(3000)]
    forth, back, other = Bursts("a", source), Bursts("a", source), Bursts("b", source)
    said = [forth.hits(at, at + 376) for at in moments]
    assert said == [back.hits(at, at + 376) for at in reversed(moments)][::-1]
    assert said != [other.hits(at, at + 376) for at in moments]
    seconds = [tuple(forth.hits(second * 10**6 + at, second * 10**6 + at + 1) for at in range(0, 10**6, 5000))
               for second in range(20)]  # fmt: skip
    assert len(set(seconds)) == 20


def test_a_source_may_be_busy_when_time_begins() -> None:
    busy = [Bursts(str(seed), Interference(100.0, 100.0)).hits(0, 1) for seed in range(400)]
    assert fmean(busy) == pytest.approx(0.5, abs=0.08)


def test_a_source_disturbs_its_channels_within_its_radius() -> None:
    near = Interference(0.0001, 10_000.0, level=-50.0, channels=(1,), x=10.0, radius_m=5.0)
    wide = Interference(0.0001, 10_000.0, level=-70.0)
    band = Band(1, (near, wide))
    assert band.level(1, 5_000, 5_376, 12.0, 0.0) == -50.0
    assert band.level(0, 5_000, 5_376, 12.0, 0.0) == -70.0
    assert band.level(1, 5_000, 5_376, 20.0, 0.0) == -70.0
    assert Band(1, (near,)).level(1, 5_000, 5_376, 20.0, 0.0) is None


def test_channels_are_disturbed_each_by_itself() -> None:
    band = Band(2, (Interference(10.0, 10.0),))
    rows = [[band.level(channel, at, at + 1, 0, 0) is not None for channel in range(3)]
            for at in range(0, 60_000_000, 9_973)]  # fmt: skip
    assert fmean(row[0] == row[1] for row in rows) == pytest.approx(0.5, abs=0.05)


def test_charge_is_the_sum_of_what_the_board_did() -> None:
    board = Profile(1_000, 80_000, 20, 350, 7_000, 27_000)
    tally = Tally([board])
    hour = 3_600_000_000
    tally.listens(0, 0.1, 0)
    for _ in range(3600):
        tally.say(0, "op", FULL)
    tally.listens(0, 0.0, hour)
    tally.link(0, 1, hour)
    tally.link(0, 1, hour)
    tally.link(0, -1, 2 * hour)
    tally.link(0, -1, 2 * hour)
    tally.power(0, ASLEEP, 2 * hour)
    tally.power(0, ON, 3 * hour)
    tally.power(0, OFF, 3 * hour)
    report = tally.report(0, 9 * hour)
    parts = {name: round(mah, 6) for name, mah in report["charge"].items()}
    assert parts == {"base": 2.0, "rx": 8.0, "tx": 0.35, "link": 7.0, "sleep": 0.02, "wake": 0.0075}
    assert report["charge_mah"] == pytest.approx(17.3775)
    assert (report["said"], report["airtime_us"], report["connections"]) == ({"op": 3600}, 3600 * 3 * FULL, 2)
    assert total([report, report])["charge_mah"] == pytest.approx(2 * 17.3775)


def test_reports_between_change_nothing() -> None:
    tally = Tally([charge.profile("esp32")])
    tally.listens(0, 0.5, 0)
    for at in range(0, 1_000_000, 1000):
        tally.report(0, at)
    assert tally.report(0, 1_000_000)["charge"]["rx"] == pytest.approx(80 * 0.5 / 3600)


def test_an_unknown_profile_is_refused() -> None:
    with pytest.raises(HedgerowError, match="AIR_PARAMETER"):
        charge.profile("abacus")


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        (bytes((30, 255, 255, 255, 0x21)) + bytes(26), "op"),
        (bytes((2, 1, 6, 27, 255, 255, 255, 0x20)) + bytes(23), "state"),
        (bytes((5, 255, 255, 255, 0x2F, 0)), "kind_15"),
        (bytes((5, 255, 76, 0, 0x21, 0)), "other"),
        (b"", "other"),
        (b"\x00\x00\x00", "other"),
    ],
)
def test_kinds_of_frames_are_told_by_their_first_byte(payload: bytes, kind: str) -> None:
    assert frame_kind(payload) == kind


def test_the_floor_is_found_for_any_fading() -> None:
    floors = [Radio(fading_db=fading).floor for fading in (0.0, 1.0, 2.0, 4.0, 8.0)]
    assert all(later < earlier for earlier, later in pairwise(floors))
    assert bisect_right(sorted(floors), Radio().sensitivity) == len(floors)
