"""Short names, and counts of who is in reach (SPEC 6.13, 6.16)."""

from kit import Random
from samples import AUTHOR

from hedgerow import limits
from hedgerow.mesh.density import Census, Window, interval_floor, number_of
from hedgerow.mesh.names import Names
from hedgerow.mesh.tells import Announce


def test_names_are_found_by_their_start() -> None:
    names = Names()
    assert names.find(AUTHOR[:3]) == () and names.get(AUTHOR) is None
    assert names.learn(AUTHOR, 5) and names.learn(AUTHOR, 6) and len(names) == 1
    assert names.find(AUTHOR[:3]) == (AUTHOR,) and names.get(AUTHOR) is None
    other = AUTHOR[:3] + b"other"
    assert names.learn(other, 7)
    assert names.find(AUTHOR[:3]) == (AUTHOR, other)


def test_what_was_announced() -> None:
    names = Names()
    assert names.announced(Announce(AUTHOR, 2, 0x030405, 0, 9, 300, 5000, 4), 100)
    known = names.get(AUTHOR)
    assert (known.author, known.number_high, known.ms_high, known.role) == (AUTHOR, 2, 0x030405, 0)
    assert (known.flags, known.period_s, known.due_ms, known.window) == (9, 300, 5100, 4)
    names.announced(Announce(AUTHOR, 3, 4, 1), 200)
    assert (names.get(AUTHOR).number_high, names.get(AUTHOR).due_ms, len(names)) == (3, 200, 1)


def test_who_is_unheard_of_makes_room() -> None:
    names = Names(3)
    same = [AUTHOR[:3] + bytes((at,)) * 5 for at in range(5)]
    for at in range(3):
        names.announced(Announce(same[at], 0, 0, 1), at)
    names.learn(same[0], 10)
    assert names.learn(same[3], 11) and len(names) == 3
    assert names.find(AUTHOR[:3]) == (same[0], same[2], same[3]) and names.get(same[1]) is None
    names.pin(same[2])
    names.pin(b"unknown.")
    assert names.learn(same[4], 12) and names.find(AUTHOR[:3]) == (same[2], same[3], same[4])
    names.learn(same[2], 13)
    names.pin(same[3])
    names.pin(same[4])
    assert not names.learn(b"one more", 14) and not names.announced(Announce(b"one more", 0, 0, 1), 14)
    assert len(names) == 3 and names.find(b"one") == ()


def test_nothing_is_left_of_who_went() -> None:
    random = Random(6)
    names = Names(8)
    known = []
    for now in range(500):
        author = random.choice([b"ab", b"cd"]) + random.bytes(6)
        names.learn(author, now)
        known.append(author)
        assert len(names) == min(len(known), 8)
    found = {one for author in known for one in names.find(author[:3])}
    assert found == set(known[-8:])
    assert len(names._short) <= 8


def test_counts_are_near_the_truth() -> None:
    """Within 15 % or 3 up to twice as many as there are bits, and repeats count once."""
    random = Random(7)
    for bits in (256, 512):
        for true in (0, 1, 5, 20, 48, 64, 100, 250, 500):
            worst = 0
            for _ in range(6):
                census = Census(bits)
                authors = [random.bytes(3) for _ in range(true)]
                for author in authors + authors[: true // 2]:
                    census.add(number_of(author))
                worst = max(worst, abs(census.estimate() - true))
            assert worst <= max(3, true * 15 // 100), (bits, true, worst)


def test_a_full_bitmap_says_many() -> None:
    census = Census(64)
    for number in range(64):
        census.add(number)
    assert census.estimate() == 266
    census.clear()
    assert census.estimate() == 0
    for number in range(0, 64, 8):
        census.add(number)
    assert census.estimate() == 9
    assert number_of(b"\1\2\3") == 0x010203


def test_a_window_forgets_after_two_periods() -> None:
    window = Window(512, 1000, 0)
    for number in range(40):
        window.add(number, 10)
    many = window.estimate(20)
    assert abs(many - 40) <= 3
    assert window.estimate(999) == many
    window.add(7, 1500)
    assert window.estimate(1999) == many
    assert window.estimate(2000) == 1
    assert window.estimate(2999) == 1 and window.estimate(3000) == 0
    window.add(1, 10_000)
    window.add(2, 10_400)
    assert window.estimate(10_999) == 2 and window.estimate(11_500) == 2 and window.estimate(12_000) == 0


def test_a_crowd_speaks_rarely() -> None:
    assert interval_floor(0, 3) == 30
    for neighbours in (12, 53, 500):
        interval = interval_floor(neighbours, 3)
        assert (neighbours + 1) * 3 * 1000 <= limits.CHANNEL_EVENTS * interval
