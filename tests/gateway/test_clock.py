"""Time is given only while somebody vouches for it, with a bound that is not too small."""

import re
import time

import pytest

from hedgerow_gateway.clock import UNIX_2000_MS, Clock, KernelTime, kernel_time, rfc3339

NOW_NS = (UNIX_2000_MS + 1234) * 1_000_000


def clock(mode: str, kernel: KernelTime | None) -> Clock:
    return Clock(mode, kernel=lambda: kernel, wall_ns=lambda: NOW_NS)


@pytest.mark.parametrize(
    ("mode", "kernel", "error_ms"),
    [
        ("kernel", None, None),
        ("kernel", KernelTime(False, 16_000), None),
        ("kernel", KernelTime(True, 0), 50),
        ("kernel", KernelTime(True, 730), 730),
        ("trust", None, 50),
        ("trust", KernelTime(False, 16_000), 50),
        ("trust", KernelTime(True, 730), 730),
    ],
)
def test_who_vouches_and_with_what_bound(mode: str, kernel: KernelTime | None, error_ms: int | None) -> None:
    reading = clock(mode, kernel).read()
    assert (reading and reading.error_ms) == error_ms
    if reading:
        assert reading.utc_ms == 1234


def test_a_wall_clock_before_2000_is_never_given() -> None:
    assert Clock("trust", kernel=lambda: None, wall_ns=lambda: 5).read() is None


def test_uptime_follows_its_source_and_starts_at_zero() -> None:
    at = [7_000_000_000]
    ticking = Clock("trust", uptime_ns=lambda: at[0])
    assert ticking.now() == 0
    at[0] += 1_500_000
    assert ticking.now() == 1


def test_the_kernel_answers_or_is_unknown() -> None:
    answer = kernel_time()
    assert answer is None or answer.error_ms >= 0


def test_rfc3339() -> None:
    assert rfc3339(0) == "2000-01-01T00:00:00.000Z"
    text = rfc3339(time.time_ns() // 1_000_000 - UNIX_2000_MS)
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)
