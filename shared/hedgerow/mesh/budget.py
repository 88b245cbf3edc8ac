"""Charge: what a board's radio takes by a stated profile, and a governor that keeps a day within a budget.

Charges are integers in microcoulombs (a microampere for a second); 1 mAh are 3,600,000 of them.
"""

import struct

DAY_MS = 86400000

_MAH = 3600000
_HOUR_MS = 3600000
# Of what may be spent beside being awake listening leaves talk one part in so many.
_TALK = 8
_SAVED = ">III"


class Profile:
    """What a board takes, in microamperes: awake, scanning all the time besides, asleep, in a connection
    besides; and in microcoulombs for one advertising event on three channels, and for one waking.

    The defaults are an ESP32-C3's with MicroPython, which does not sleep between events: 20 to 27 mA awake,
    about 80 mA more while it receives, 0.35 mC an event; about 50 mC for a boot out of deep sleep.
    """

    def __init__(
        self,
        base_ua: int = 25000,
        scan_ua: int = 80000,
        sleep_ua: int = 10,
        event_uc: int = 350,
        connection_ua: int = 7000,
        wake_uc: int = 50000,
    ):
        self.base_ua = base_ua
        self.scan_ua = scan_ua
        self.sleep_ua = sleep_ua
        self.event_uc = event_uc
        self.connection_ua = connection_ua
        self.wake_uc = wake_uc

    def charge(
        self,
        awake_ms: int,
        scan_ms: int = 0,
        sleep_ms: int = 0,
        events: int = 0,
        connection_ms: int = 0,
        wakes: int = 0,
    ) -> int:
        """Return the charge of so much of each."""
        flow = self.base_ua * awake_ms + self.scan_ua * scan_ms + self.sleep_ua * sleep_ms
        flow += self.connection_ua * connection_ms
        return flow // 1000 + self.event_uc * events + self.wake_uc * wakes


class Budget:
    """Keeps each day of 24 hours since `now` within `budget_mah`, for a board that is awake for about so many
    thousandths of its time, and wakes about so often in a day.

    Being awake, asleep, and waking is paid for first. What is left, the *means*, is spent no faster than
    evenly, but for an hour's worth ahead; what is not spent can be spent later in the day. Where being awake
    alone takes the budget, `possible` is False, and neither listening nor talking is ever granted.
    """

    def __init__(self, profile: Profile, budget_mah: int, now: int, awake: int = 1000, wakes: int = 0):
        self._profile = profile
        self._awake = max(awake, 1)
        self._floor_ua = (profile.base_ua * awake + profile.sleep_ua * (1000 - awake)) // 1000
        self._floor_ua += profile.wake_uc * wakes * 1000 // DAY_MS
        # Microamperes times milliseconds, so that nothing is lost by rounding: nanocoulombs.
        self._total = budget_mah * _MAH * 1000
        self._means = self._total - self._floor_ua * DAY_MS
        self.possible = self._means > 0
        self._start = now
        self._at = now
        self._duty = 0
        self._spent = 0

    def duty(self, now: int, wanted: int) -> int:
        """Return how many percent of the time to listen while awake, at most `wanted`, until the next call.

        To be called at least once a minute.
        """
        self._advance(now)
        left = max(self._start + DAY_MS - now, _HOUR_MS)
        means = self._left() - max(self._means, 0) // _TALK * left // DAY_MS
        granted = means * 100 // left * 1000 // (self._profile.scan_ua * self._awake)
        self._duty = max(0, min(granted, wanted, 100))
        return self._duty

    def may_say(self, now: int, events: int) -> bool:
        """Say whether there are means for so many advertising events now."""
        return self._may(now, events * self._profile.event_uc * 1000)

    def may_connect(self, now: int, ms: int) -> bool:
        """Say whether there are means for a connection of so long."""
        return self._may(now, self._profile.connection_ua * ms)

    def said(self, events: int) -> None:
        """Count advertising events."""
        self._spent += events * self._profile.event_uc * 1000

    def connected(self, ms: int) -> None:
        """Count time in a connection, besides being awake."""
        self._spent += self._profile.connection_ua * ms

    def slept(self, ms: int, now: int) -> None:
        """Count a sleep that ends now, and the waking from it."""
        self._advance(now - ms)
        self._pass(now, self._profile.sleep_ua)
        self._spent += self._profile.wake_uc * 1000

    def spent(self, now: int) -> int:
        """Return what this day took until now, in microcoulombs."""
        self._advance(now)
        return self._spent // 1000

    def save(self, now: int) -> bytes:
        """Return 12 bytes that outlive a sleep in RTC memory."""
        self._advance(now)
        return struct.pack(_SAVED, now - self._start, self._spent >> 32, self._spent & 0xFFFFFFFF)

    def restore(self, data: bytes, now: int) -> None:
        """Go on with what was saved at the moment that the clock of this boot calls `now`."""
        elapsed, high, low = struct.unpack(_SAVED, data)
        self._start = now - elapsed
        self._at = now
        self._spent = high << 32 | low

    def _left(self) -> int:
        """Return what may be spent in the rest of the day beside being awake."""
        return self._total - self._spent - self._floor_ua * (self._start + DAY_MS - self._at)

    def _may(self, now: int, cost: int) -> bool:
        self._advance(now)
        later = max(self._start + DAY_MS - self._at - _HOUR_MS, 0)
        return self.possible and self._left() - cost >= self._means * later // DAY_MS

    def _advance(self, now: int) -> None:
        self._pass(now, self._profile.base_ua + self._profile.scan_ua * self._duty // 100)

    def _pass(self, now: int, rate_ua: int) -> None:
        """Let time go by at a rate; each day begins with nothing spent."""
        while now >= self._start + DAY_MS:
            self._start += DAY_MS
            self._at = self._start
            self._spent = 0
        if now > self._at:
            self._spent += rate_ua * (now - self._at)
            self._at = now
