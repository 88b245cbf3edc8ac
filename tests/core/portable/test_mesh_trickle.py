"""Trickle against the rules of RFC 6206, section 4.2."""

from kit import Random

from hedgerow.mesh.trickle import Trickle

IMIN = 1000
IMAX = 64000


def _trickle(random: object, k: int = 2, now: int = 0) -> Trickle:
    return Trickle(IMIN, IMAX, k, random, now)


def _run(trickle: Trickle, now: int, until: int) -> tuple:
    """Tick whenever due; return the moments of sayings, and the end."""
    said = []
    while trickle.due < until:
        now = trickle.due
        if trickle.tick(now):
            said.append(now)
    return said, now


def test_intervals_double_to_the_greatest() -> None:
    random = Random(1)
    trickle = _trickle(random.below)
    said, _ = _run(trickle, 0, 10 * IMAX)
    start = 0
    interval = IMIN
    for moment in said:
        # Rule 2: in the second half of its interval.
        assert start + interval // 2 <= moment < start + interval, (moment, start, interval)
        start += interval
        interval = min(2 * interval, IMAX)
    assert trickle.interval == IMAX and len(said) >= 14


def test_the_moment_is_spread_over_the_second_half() -> None:
    assert _trickle(lambda limit: 0).due == 500
    assert _trickle(lambda limit: limit - 1).due == 999
    assert _trickle(lambda limit: limit - 1, now=70).due == 1069


def test_k_consistent_ones_keep_it_silent() -> None:
    trickle = _trickle(lambda limit: 0, k=2)
    trickle.consistent()
    assert not trickle.tick(499) and trickle.tick(500) and not trickle.tick(500)
    assert trickle.due == 1000 and not trickle.tick(1000)
    # The counter begins anew with the interval.
    assert (trickle.interval, trickle.due) == (2000, 2000)
    trickle.consistent()
    trickle.consistent()
    assert not trickle.tick(2000)
    assert trickle.due == 3000
    # What is heard after the moment does not count for the next interval.
    trickle.consistent()
    trickle.consistent()
    trickle.tick(3000)
    assert trickle.interval == 4000 and trickle.tick(5000)


def test_news_begin_with_the_shortest_interval() -> None:
    trickle = _trickle(lambda limit: 0)
    _run(trickle, 0, 20000)
    assert trickle.interval == 16000
    trickle.inconsistent(17000)
    assert (trickle.interval, trickle.due) == (1000, 17500)
    # Rule 6: in a shortest interval news do nothing.
    trickle.inconsistent(17300)
    assert trickle.due == 17500
    assert trickle.tick(17500)
    trickle.inconsistent(17700)
    assert trickle.due == 18000


def test_a_crowded_channel_lengthens_them() -> None:
    trickle = _trickle(lambda limit: 0)
    trickle.floor = 15000
    trickle.tick(500)
    trickle.tick(1000)
    assert trickle.interval == 15000 and trickle.due == 8500
    trickle.inconsistent(2000)
    assert trickle.due == 8500
    said, _ = _run(trickle, 1000, 60000)
    assert trickle.interval == 60000 and said[0] == 8500
    trickle.inconsistent(60000)
    assert trickle.interval == 15000
    trickle.floor = 90000
    said, _ = _run(trickle, 60000, 400000)
    assert trickle.interval == 90000
    trickle.floor = 0
    _run(trickle, 400000, 600000)
    assert trickle.interval == IMAX


def test_after_a_long_sleep_it_goes_on_from_now() -> None:
    trickle = _trickle(lambda limit: 0)
    assert trickle.tick(500_000) and not trickle.tick(500_000)
    assert trickle.interval == 2000 and trickle.due == 501_000


def test_a_tick_that_is_a_little_late_does_not_move_the_intervals() -> None:
    trickle = _trickle(lambda limit: 0)
    trickle.tick(520)
    trickle.tick(1030)
    assert trickle.due == 2000


def test_neighbours_in_step_say_it_about_k_times_an_interval() -> None:
    """Section 5: with n in reach about k of them speak in each interval, not n."""
    random = Random(2)
    crowd = [_trickle(random.below, 2) for _ in range(50)]
    said = 0
    now = 0
    while now < 4 * IMAX:
        one = min(crowd, key=lambda trickle: trickle.due)
        now = one.due
        if one.tick(now):
            said += 1
            for other in crowd:
                if other is not one:
                    other.consistent()
    # 6 intervals on the way up and 3 of the longest; unsynchronised ones add some.
    assert 2 * 8 <= said <= 6 * 10, said
