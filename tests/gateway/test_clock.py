"""Time is given only while somebody vouches for it, with a bound that is not too small."""

import re
import time

import pytest

from hedgerow.memory import MemoryLog
from hedgerow.operation import SOURCE_KEEPER
from hedgerow.peer import Peer
from hedgerow.sync.hello import HAS_TIME
from hedgerow_gateway.clock import UNIX_2000_MS, Clock, KernelTime, Reading, kernel_time, rfc3339
from hedgerow_gateway.gateway import tell_time

NOW_NS = (UNIX_2000_MS + 1234) * 1_000_000


def clock(mode: str, kernel: KernelTime | None) -> Clock:
    # Uptime stands still: what passes between two looks would widen the bound.
    return Clock(mode, kernel=lambda: kernel, wall_ns=lambda: NOW_NS, uptime_ns=lambda: 0)


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


def test_the_bound_covers_what_passed_between_two_looks() -> None:
    ticks = iter([0, 0, 300_000_000])
    slow = Clock("trust", kernel=lambda: None, wall_ns=lambda: NOW_NS, uptime_ns=lambda: next(ticks))
    assert slow.read() == Reading(1234, 350, 300)


class Host:
    """A host whose uptime, wall clock and kernel a test moves; `peer` is told the time by `look`."""

    def __init__(self) -> None:
        self.up_ms = 0
        self.wall_ms = 800_000_000_000
        self.kernel: KernelTime | None = KernelTime(True, 0)
        self.clock = Clock(
            kernel=lambda: self.kernel,
            wall_ns=lambda: (UNIX_2000_MS + self.wall_ms) * 1_000_000,
            uptime_ns=lambda: self.up_ms * 1_000_000,
        )
        self.peer = Peer(MemoryLog(), 0)

    def look(self, later_ms: int = 30_000) -> tuple[int, int] | None:
        self.up_ms += later_ms
        self.wall_ms += later_ms
        tell_time(self.peer, self.clock)
        return self.peer.utc(self.clock.now())


def test_time_is_withdrawn_when_the_kernel_loses_it_and_given_again_when_it_has_it() -> None:
    host = Host()
    assert host.look() == (host.wall_ms, 50)
    host.kernel = KernelTime(False, 16_000)
    assert host.look() is None and not host.peer.hello(host.clock.now()).flags & HAS_TIME
    host.kernel = KernelTime(True, 120)
    assert host.look() == (host.wall_ms, 120)


def test_a_keepers_time_outlives_the_kernels() -> None:
    host = Host()
    host.kernel = None
    host.peer.set_time(host.wall_ms, 20, SOURCE_KEEPER, 0)
    assert host.look() == (host.wall_ms, 23)


def test_a_step_of_the_wall_clock_moves_no_time_that_nobody_vouches_for() -> None:
    host = Host()
    host.look()
    truth = host.wall_ms
    host.wall_ms += 5 * 3_600_000
    assert host.peer.utc(host.clock.now()) == (truth, 50), "uptime carries it"
    # settimeofday(2) makes the kernel say that it is not synchronised.
    host.kernel = KernelTime(False, 16_000)
    assert host.look() is None
    host.wall_ms -= 5 * 3_600_000
    host.kernel = KernelTime(True, 0)
    assert host.look() == (host.wall_ms, 50)


def test_a_step_that_is_vouched_for_corrects_what_was_wrong() -> None:
    host = Host()
    host.look()
    held = host.peer.log.held(host.peer.author)
    for _ in range(20):
        host.look()
    assert host.peer.log.held(host.peer.author) == held, "the same time again is not recorded"
    host.wall_ms -= 3_600_000
    assert host.look() == (host.wall_ms, 50)
    assert host.peer.log.held(host.peer.author) == held + 1


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
