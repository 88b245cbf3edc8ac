"""The gateway's clock: uptime for the protocol, and UTC only while the kernel says it is synchronised.

A Raspberry Pi has no battery-backed clock and boots with the time of its last shutdown, so its UTC is
worth giving to boards only after NTP has set it. The kernel knows: every NTP client keeps the
STA_UNSYNC flag and the maximum error of adjtimex(2) up to date, and the kernel raises the flag again
by itself some hours after the last correction.
"""

import ctypes
import ctypes.util
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from . import limits

UNIX_2000_MS = 946_684_800_000
STA_UNSYNC = 0x0040
KERNEL = "kernel"
TRUST = "trust"


class _Timex(ctypes.Structure):
    """struct timex of adjtimex(2), Linux, as far as its last field that is read; padded beyond it."""

    _fields_ = [
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    ]


@dataclass(frozen=True)
class KernelTime:
    """What the kernel says of its clock: `synchronised`, and its error bound in milliseconds."""

    synchronised: bool
    error_ms: int


@dataclass(frozen=True)
class Reading:
    """One look at the clock: UTC in ms since 2000 with its bound, at `now` ms of uptime."""

    utc_ms: int
    error_ms: int
    now: int


def kernel_time() -> KernelTime | None:
    """Ask adjtimex(2); None where it cannot be asked (not Linux, or forbidden, as in many containers)."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(ctypes.util.find_library("c"), use_errno=True)
    timex = _Timex()
    if libc.adjtimex(ctypes.byref(timex)) < 0:
        return None
    return KernelTime(not timex.status & STA_UNSYNC, -(-timex.maxerror // 1000))


def boot_clock_ns() -> int:
    """Nanoseconds that go on counting while a laptop sleeps, where the system has such a clock."""
    if sys.platform.startswith("linux"):
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return time.monotonic_ns()


class Clock:
    """Uptime and trusted UTC of this process.

    `mode` is "kernel" (UTC only while the kernel is synchronised) or "trust" (the operator vouches for
    the host's clock, for hosts where the kernel cannot be asked). The error bound is the kernel's, and
    never under 50 ms: systemd-timesyncd tells the kernel an error of 0 after each correction.
    """

    def __init__(
        self,
        mode: str = KERNEL,
        *,
        kernel: Callable[[], KernelTime | None] = kernel_time,
        wall_ns: Callable[[], int] = time.time_ns,
        uptime_ns: Callable[[], int] = boot_clock_ns,
    ) -> None:
        self.mode = mode
        self._kernel = kernel
        self._wall_ns = wall_ns
        self._uptime_ns = uptime_ns
        self._start_ns = uptime_ns()

    def now(self) -> int:
        """Return milliseconds since this object was made; never goes back."""
        return (self._uptime_ns() - self._start_ns) // 1_000_000

    def read(self) -> Reading | None:
        """Return UTC with its error bound, or None while it cannot be vouched for."""
        before = self.now()
        utc_ms = self._wall_ns() // 1_000_000 - UNIX_2000_MS
        now = self.now()
        kernel = self._kernel()
        if self.mode == KERNEL and (kernel is None or not kernel.synchronised):
            return None
        bound = kernel.error_ms if kernel is not None and kernel.synchronised else 0
        if utc_ms < 0:
            return None
        # The process may have slept between the two looks.
        return Reading(utc_ms, max(bound, limits.STATED_ERROR_MS) + now - before, now)


def rfc3339(utc_ms: int) -> str:
    """Return ms since 2000 as RFC 3339 text in UTC with milliseconds."""
    seconds, ms = divmod(utc_ms + UNIX_2000_MS, 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{ms:03d}Z"
