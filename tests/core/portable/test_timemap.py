"""From stamps to real time: the truth lies within the stated bound."""

from kit import Random

from hedgerow.clock import hlc
from hedgerow.clock.timemap import FLOOR_MS, TimeMap

BOOT, JUMP, GATEWAY = 0, 1, 2
DAY = 86400000


def _map(*records: tuple) -> TimeMap:
    times = TimeMap()
    for record in records:
        times.add(*record)
    return times


def test_nothing_is_known_before_any_mapping() -> None:
    assert TimeMap().resolve(1, hlc.pack(5)) is None
    times = _map((1, 1, 0, 0, BOOT, None, 0))
    assert times.resolve(1, hlc.pack(5)) is None
    assert times.resolve(0, hlc.pack(5)) is None


def test_one_mapping_serves_the_whole_boot_with_growing_error() -> None:
    utc = FLOOR_MS + 5 * DAY
    times = _map((1, 1, 0, 0, BOOT, None, 0), (10, 1, 60000, 0, GATEWAY, utc, 40))
    assert times.resolve(10, hlc.pack(60000)) == (utc, 42)
    assert times.resolve(3, hlc.pack(20000)) == (utc - 40000, 46)
    assert times.resolve(99, hlc.pack(60000 + DAY)) == (utc + DAY, 42 + 8640)


def test_uptime_follows_from_the_base_in_force() -> None:
    utc = FLOOR_MS + DAY
    times = _map((1, 1, 0, 0, BOOT, None, 0), (5, 1, 1000, utc - 1000, JUMP, utc, 10))
    assert times.resolve(4, hlc.pack(900)) == (utc - 100, 12)
    assert times.resolve(5, hlc.pack(utc)) == (utc, 12)
    assert times.resolve(6, hlc.pack(utc + 500, 3)) == (utc + 500, 12)
    # A stamp below its base has no uptime.
    assert times.resolve(6, hlc.pack(500)) is None


def test_the_nearest_good_mapping_wins_on_both_sides() -> None:
    utc = FLOOR_MS + DAY
    times = _map(
        (1, 1, 0, 0, BOOT, None, 0),
        (10, 1, 1000, 0, GATEWAY, utc, 50),
        (20, 1, 1000 + DAY, 0, GATEWAY, utc + DAY + 100, 20),
    )
    assert times.resolve(11, hlc.pack(1000 + DAY // 10)) == (utc + DAY // 10, 50 + 864 + 2)
    assert times.resolve(19, hlc.pack(1000 + DAY * 9 // 10)) == (utc + DAY * 9 // 10 + 100, 20 + 864 + 2)
    # Half way both reach equally far; the one with the smaller error of its own wins.
    assert times.resolve(15, hlc.pack(1000 + DAY // 2)) == (utc + DAY // 2 + 100, 20 + 4320 + 2)


def test_a_contradicting_mapping_corrects_what_went_before() -> None:
    wrong, right = FLOOR_MS + DAY, FLOOR_MS + 9 * DAY
    records = [
        (1, 1, 0, 0, BOOT, None, 0),
        (10, 1, 1000, 0, GATEWAY, wrong, 5),
        (20, 1, 2000, 0, GATEWAY, right, 500),
        (30, 1, 3000, 0, GATEWAY, right + 1100, 400),
    ]
    for order in (records, records[::-1], [records[2], records[0], records[3], records[1]]):
        times = _map(*order)
        assert times.resolve(10, hlc.pack(1000)) == (right - 900, 402)
        assert times.resolve(20, hlc.pack(2000)) == (right + 100, 402)
    times.add(*records[1])
    assert times.resolve(10, hlc.pack(1000)) == (right - 900, 402)


def test_a_boot_without_time_lies_between_its_neighbours() -> None:
    utc = FLOOR_MS + DAY
    times = _map(
        (1, 1, 0, 0, BOOT, None, 0),
        (2, 1, 5000, 0, GATEWAY, utc, 10),
        (10, 2, 0, 6000, BOOT, None, 0),
        (20, 3, 0, 16000, BOOT, None, 0),
        (21, 3, 1000, 16000, GATEWAY, utc + DAY, 10),
    )
    middle, error = times.resolve(12, hlc.pack(6000 + 2000))
    low, high = middle - error, middle + error
    assert utc - 20 <= low <= utc + 2000 and utc + DAY - 1000 <= high <= utc + DAY - 1000 + 20
    # Knowing that the boot before ran on, and this one too, narrows it from both ends.
    times.note(9, hlc.pack(5900))
    times.note(19, hlc.pack(15500))
    middle, error = times.resolve(12, hlc.pack(6000 + 2000))
    assert middle - error > low + 880 and middle + error < high - 7480


def test_before_the_first_time_ever_only_the_floor_bounds() -> None:
    utc = FLOOR_MS + DAY
    times = _map((1, 1, 0, 0, BOOT, None, 0), (7, 2, 0, 100, BOOT, None, 0), (8, 2, 50, 100, GATEWAY, utc, 3))
    middle, error = times.resolve(2, hlc.pack(20))
    assert middle - error + 2 >= FLOOR_MS and middle + error >= utc - 60
    # After the last mapped boot nothing bounds yet.
    times.add(9, 3, 0, 200, BOOT, None, 0)
    assert times.resolve(10, hlc.pack(250)) is None


def _simulate(random: Random) -> tuple:
    """Return (records, operations as (number, stamp, true UTC)) of an author with drifting clocks."""
    truth = FLOOR_MS + random.below(1 << 36)
    last_ms = 0
    records, operations = [], []
    number = 0
    for epoch in range(1, random.between(2, 7)):
        truth += random.below(DAY)
        started = truth
        ppm = random.between(-100, 100)
        base = last_ms + 1
        meets_time = random.chance(60)
        number += 1
        records.append((number, epoch, 0, base, BOOT, None, 0))
        for _ in range(random.between(1, 12)):
            truth += random.below(DAY // 6)
            # The board's count of the real time since it started
            uptime = (truth - started) * 1000000 // (1000000 + ppm)
            number += 1
            if meets_time and random.chance(30):
                error = random.below(200)
                heard = truth + random.between(-error, error)
                base = max(base, heard - uptime)
                records.append((number, epoch, uptime, base, GATEWAY, heard, error))
            last_ms = base + uptime
            operations.append((number, hlc.pack(last_ms), truth))
    return records, operations


def test_truth_is_always_within_the_bound() -> None:
    random = Random(41)
    resolved = 0
    for _ in range(60):
        records, operations = _simulate(random)
        times = _map(*random.shuffle(records))
        for noted in (False, True):
            for number, stamp, truth in operations:
                if noted:
                    times.note(number, stamp)
                answer = times.resolve(number, stamp)
                if answer:
                    resolved += 1
                    assert abs(answer[0] - truth) <= answer[1], (number, answer, truth)
    assert resolved > 500


def test_many_mappings_of_one_boot() -> None:
    utc = FLOOR_MS + DAY
    times = _map((1, 1, 0, 0, BOOT, None, 0))
    for hour in range(1, 200):
        times.add(hour + 1, 1, hour * 3600000, 0, GATEWAY, utc + hour * 3600000, 20)
    assert times.resolve(150, hlc.pack(100 * 3600000 + 1000)) == (utc + 100 * 3600000 + 1000, 22)


def test_a_time_has_the_source_of_the_mapping_that_it_goes_by() -> None:
    times = TimeMap()
    times.add(1, 1, 0, 0, 2, 900_000_000_000, 500)
    times.add(3, 1, 4_000, 0, 4, 900_000_004_000, 10)
    times.add(5, 2, 0, 0, 0, None, 0)
    assert [times.source(number, hlc.pack(ms)) for number, ms in ((2, 1_000), (4, 5_000))] == [4, 4]
    times.add(7, 3, 0, 0, 2, 900_000_100_000, 500)
    assert times.resolve(6, hlc.pack(1_000)) is not None and times.source(6, hlc.pack(1_000)) is None
    assert times.source(8, hlc.pack(1_000)) == 2
    assert TimeMap().source(1, hlc.pack(1_000)) is None
