"""Hybrid logical clocks."""

from kit import Random, raises

from hedgerow.clock import hlc


def test_stamps_order_as_bytes() -> None:
    stamps = [
        hlc.pack(ms, counter) for ms in (0, 1, 255, 256, 1 << 40, (1 << 48) - 1) for counter in (0, 1, 65535)
    ]
    assert stamps == sorted(stamps) and len(stamps[0]) == 8 and stamps[0] == hlc.ZERO
    assert hlc.stamp_ms(hlc.pack(848000000000, 7)) == 848000000000


def test_stored_form_is_short_without_counter() -> None:
    for stamp, size in ((hlc.pack(5), 6), (hlc.pack(5, 1), 8), (hlc.pack(5, 256), 8)):
        assert len(hlc.wire(stamp)) == size
        assert hlc.unwire(hlc.wire(stamp)) == stamp
    for data in (b"", bytes(7), bytes(8), bytes(9), "123456", None, 6):
        raises("STAMP_INVALID", hlc.unwire, data)


def test_above_is_the_next_stamp() -> None:
    assert hlc.above(hlc.pack(5)) == hlc.pack(5, 1)
    assert hlc.above(hlc.pack(5, 65535)) == hlc.pack(6)
    raises("CLOCK_RANGE", hlc.above, b"\xff" * 8)
    raises("CLOCK_RANGE", hlc.pack, 1 << 48)
    raises("CLOCK_RANGE", hlc.pack, -1)
    raises("CLOCK_RANGE", hlc.pack, 0, 65536)


def test_clock_follows_uptime_and_never_repeats() -> None:
    clock = hlc.Clock(1000)
    assert clock.tick(5) == hlc.pack(1005)
    assert clock.tick(5) == hlc.pack(1005, 1)
    assert clock.tick(6) == hlc.pack(1006)
    clock.jump(5000)
    assert clock.tick(7) == hlc.pack(5007)
    raises("CLOCK_RANGE", clock.jump, 4999)
    later = hlc.Clock(0, clock.last)
    assert later.tick(0) == hlc.pack(5007, 1)


def test_stamps_rise_whatever_the_uptime_does() -> None:
    random = Random(2)
    clock = hlc.Clock(0)
    last = hlc.ZERO
    for _ in range(500):
        if random.chance(5):
            clock.jump(clock.base_ms + random.below(1000))
        stamp = clock.tick(random.below(2000))
        assert stamp > last
        last = stamp
