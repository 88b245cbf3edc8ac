"""When a board's radio listens, what it says and for how long, and what is done when it falls silent."""

from hedgerow.limits import const

# Advertising events are this far apart at most, and this far at least.
_EVENT_MS = const(110)
_FIRST_EVENT_MS = const(5)
_SCAN_AGAIN_MS = const(500)
_DUTY_STEP = const(5)
# Advertisements in a row that the radio refused.
_MOST_REFUSED = const(20)
_FLAGS = b"\x02\x01\x06"


class Voice:
    """The part of a Node that listens and speaks as its `mesh` wants; it needs the rest of it.

    `silence_ms` is how long nothing is heard before the radio is mended, 0: whatever is heard.
    """

    def __init__(self, silence_ms: int, now: int):
        # Until when an advertisement is said, and the last one to which one may connect.
        self._said_until: int | None = None
        self._open = _FLAGS
        self._urgent = False
        self._resting = False
        self._refused = 0
        self._scan_at = 0
        self._changing = False
        self._silence_ms = silence_ms
        self._heard = 0
        self._heard_at = now
        self.recovery: object = None

    def _scan_done(self, now: int) -> None:
        """Scanning has ended: as was asked, or because the radio connects, or by itself."""
        self.radio.scanning = False
        asked = self._changing or self._central is not None
        self._changing = False
        self._scan_at = now if asked else now + _SCAN_AGAIN_MS

    def _listen(self, now: int) -> None:
        if self._central and self._central.connecting:
            return
        ears = self.radio
        duty = self.mesh.duty(now)
        if ears.heard != self._heard:
            self._heard = ears.heard
            self._heard_at = now
            if self.recovery:
                self.recovery.well()
        elif not duty:
            self._heard_at = now
        elif self._silence_ms and now - self._heard_at > self._silence_ms:
            self._heard_at = now
            self._mend(now)
        try:
            if ears.scanning:
                if not duty or abs(duty - ears.duty) >= _DUTY_STEP:
                    ears.stop_scan()
                    # Its end is told by an event; that one may be lost.
                    self._changing = True
                    self._scan_at = now + _SCAN_AGAIN_MS
            elif duty and now >= self._scan_at:
                ears.scan(duty)
                self._changing = False
        except OSError:
            self._scan_at = now + _SCAN_AGAIN_MS

    def _mend(self, now: int) -> None:
        """Scanning has been seen to stop without a word on ESP32, and advertising to be refused for good."""
        if self.recovery is None:
            from .recovery import Recovery

            self.recovery = Recovery(self.peer)
        if self.recovery.mend(self.radio, self.idle):
            self._said_until = None
            self._scan_at = now

    def _speak(self, now: int) -> None:
        if self._said_until is not None:
            if now < self._said_until:
                return
            self._quiet()
        if self._resting or (self._central and self._central.connecting):
            return
        busy = self.full or self._central is not None or self._visited(now)
        self.mesh.busy = busy
        if now >= self.mesh.due(now):
            said = self.mesh.say(now)
            if said is not None:
                payload, connectable, events = said
                if connectable:
                    self._open = payload
                self._advertise(payload, connectable and not busy, now, events)
                return
        if not busy and self.mesh.called(now):
            if not self._urgent:
                self._advertise(self._open, True, now, 0)
        elif self._urgent:
            self._quiet()

    def _advertise(self, payload: bytes, connectable: bool, now: int, events: int) -> None:
        """Say a payload for so many advertising events; 0: until somebody comes, or nobody calls any more."""
        try:
            self.radio.say(payload, connectable, not events)
        except OSError:
            self._refused += 1
            if self._refused >= _MOST_REFUSED:
                self._refused = 0
                self._mend(now)
            return
        self._refused = 0
        self._urgent = not events
        if events:
            self._said_until = now + (events - 1) * _EVENT_MS + _FIRST_EVENT_MS

    def _quiet(self) -> None:
        self._said_until = None
        self._urgent = False
        try:
            self.radio.hush()
        except OSError:
            pass
