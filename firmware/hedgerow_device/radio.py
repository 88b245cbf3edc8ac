"""What the board's radio hears and says: one IRQ handler that only copies, and fixed queues.

The handler runs in the middle of anything, on the radio's own task on a board. It stores what came and moves
an index last, so that it may be interrupted anywhere and begun again; all work is done by take_*().
"""

import time
from struct import unpack_from

import bluetooth

from hedgerow.limits import const
from hedgerow.sync import gatt

from . import ble

CENTRAL_CONNECT = const(1)
CENTRAL_DISCONNECT = const(2)
GATTS_WRITE = const(3)
SCAN_RESULT = const(5)
SCAN_DONE = const(6)
PERIPHERAL_CONNECT = const(7)
PERIPHERAL_DISCONNECT = const(8)
SERVICE_RESULT = const(9)
SERVICE_DONE = const(10)
CHARACTERISTIC_RESULT = const(11)
CHARACTERISTIC_DONE = const(12)
DESCRIPTOR_RESULT = const(13)
DESCRIPTOR_DONE = const(14)
WRITE_DONE = const(17)
NOTIFY = const(18)
MTU_EXCHANGED = const(21)

_REPORTS = const(8)
_ADVERTISEMENT = const(31)
# Of a report: address type, address, RSSI + 128, whether one may connect, length, advertisement.
_REPORT_BYTES = const(10 + _ADVERTISEMENT)
_EVENTS = const(32)
# Of an event: its number, and five fields of two bytes, or two and an address.
_EVENT_BYTES = const(11)
_FIELDS = "<5H"
_CONNECTION = "<HH6s"
NO_SESSION = const(-1)
# The events that are somebody's here: a bit for each number.
_TAKEN = const(1 << 21 | 1 << 17 | 0x7FCE)
# What UUIDs are in events: places in a list, from 1 on; 0 for any other.
IS_RX = const(1)
IS_TX = const(2)
IS_SWITCH = const(3)
# The descriptor that switches notifications on.
_SWITCH = const(0x2902)
# A credit of 1 KiB and what is not counted beside it, in chunks of an MTU, has come within one turn at worst.
_NOTIFIED = const(16)
# The least that controllers of Bluetooth 4 take for what nobody may connect to; 0 to 10 ms come on top.
_ADVERTISE_US = const(100000)
# While somebody waits to connect.
_CALLED_US = const(30000)
# Windows are as long as advertising events are apart, at most: who says a thing as often as windows and
# pauses are long is heard in one of them, whatever the share of time is.
_WINDOW_US = const(110000)
_LEAST_DUTY = const(2)

# Repeats of one saying come within this time of the first (a power of two of fingerprints is kept).
_SEEN = const(16)
_SEEN_MS = const(600)


class Radio:
    """`wake()` is called when something came; it must be safe in an interrupt handler.

    `lost` counts reports and events that found their queue full, `heard` the reports of any sender, `repeats`
    those that repeated one of the last 600 ms. `duty` is the percentage of time in which it listens.
    """

    def __init__(self, wake: object):
        self.lost = 0
        self.heard = 0
        self.repeats = 0
        self.scanning = False
        self.duty = 0
        self.wake = wake
        self._reports = [bytearray(_REPORT_BYTES) for _ in range(_REPORTS)]
        self._moments = [0] * _REPORTS
        self._seen = [0] * _SEEN
        self._seen_at = [0] * _SEEN
        self._reports_in = 0
        self._reports_out = 0
        self._events = bytearray(_EVENTS * _EVENT_BYTES)
        self._events_in = 0
        self._events_out = 0
        self._uuids = [bluetooth.UUID(name) for name in (gatt.RX, gatt.TX, _SWITCH)]
        # The connections whose writes, and whose notifications, are a session's.
        self.session = self.notifier = NO_SESSION
        self._notified: list = [b""] * _NOTIFIED
        self._notified_in = 0
        self._notified_out = 0
        self.face = ble.open(self._irq)
        self.ble = self.face.ble
        self.face.start()

    def restart(self) -> None:
        """Switch the radio off and on: its connections are gone then, and node sees a new generation."""
        self.scanning = False
        self.face.restart()

    # ---- the handler

    def _irq(self, event: int, data: tuple) -> None:
        if event == SCAN_RESULT:
            self.heard += 1
            if not self._report(data):
                return
        elif event == NOTIFY:
            if data[0] == self.notifier:
                self._notify(data[2])
        elif _TAKEN >> event & 1:
            self._event(event, data)
        self.wake()

    def _report(self, data: tuple) -> bool:
        """Copy a report of ours that is no repeat, without taking memory; say whether it did."""
        advertisement = data[4]
        size = len(advertisement)
        # What one may connect to begins with three bytes of flags.
        at = 3 if size > 8 and advertisement[1] == 1 else 0
        if not 5 + at < size <= _ADVERTISEMENT or advertisement[at + 1] != 0xFF:
            return False
        if advertisement[at + 2] != 0xFF or advertisement[at + 3] != 0xFF or advertisement[at] >= size - at:
            return False
        address = data[1]
        now = time.ticks_ms()
        if self._repeated(address, advertisement, size, now):
            self.repeats += 1
            return False
        place = self._reports_in
        if (place + 1) % _REPORTS == self._reports_out:
            self.lost += 1
            return False
        report = self._reports[place]
        self._moments[place] = now
        report[0] = data[0]
        for at in range(6):
            report[1 + at] = address[at]
        report[7] = data[3] + 128 & 0xFF
        report[8] = data[2] < 2
        report[9] = size
        for at in range(size):
            report[10 + at] = advertisement[at]
        self._reports_in = (place + 1) % _REPORTS
        return True

    def _repeated(self, address: bytes, advertisement: bytes, size: int, now: int) -> bool:
        """Say whether this sender has just said the same: what we say ends with a tag over all of it."""
        mark = address[4] << 8 | address[5]
        for at in range(size - 4, size):
            mark = (mark * 251 + advertisement[at]) & 0x1FFFFF
        mark = (mark << 5 | size) + 1
        place = (mark >> 5) % _SEEN
        if self._seen[place] == mark and time.ticks_diff(now, self._seen_at[place]) < _SEEN_MS:
            return True
        self._seen[place] = mark
        self._seen_at[place] = now
        return False

    def _notify(self, data: bytes) -> None:
        at = self._notified_in
        if (at + 1) % _NOTIFIED == self._notified_out:
            self.lost += 1
            return
        try:
            self._notified[at] = bytes(data)
            self._notified_in = (at + 1) % _NOTIFIED
        except MemoryError:
            self.lost += 1

    def _event(self, event: int, data: tuple) -> None:
        """Put an event into the queue, without taking memory: a connection that nobody knows of hangs."""
        at = self._events_in
        if event == GATTS_WRITE and (data[1] != self.face.rx or self._written(data[0])):
            return
        if event == CENTRAL_CONNECT and self.session == NO_SESSION:
            # What others wrote who got no session is not for the next one.
            self._forget_written()
        elif event == CENTRAL_DISCONNECT and data[0] == self.session:
            self.session = NO_SESSION
        if (at + 1) % _EVENTS == self._events_out:
            self.lost += event != GATTS_WRITE
            return
        events = self._events
        place = at * _EVENT_BYTES
        events[place] = event
        place += 1
        for item in data:
            if isinstance(item, memoryview):
                for byte in item:
                    events[place] = byte
                    place += 1
                continue
            if not isinstance(item, int):
                item = self._uuids.index(item) + 1 if item in self._uuids else 0
            events[place] = item & 0xFF
            events[place + 1] = item >> 8 & 0xFF
            place += 2
        self._events_in = (at + 1) % _EVENTS

    def _forget_written(self) -> None:
        try:
            self.ble.gatts_write(self.face.rx, b"")
        except (OSError, MemoryError):
            pass

    def _written(self, conn: int) -> bool:
        """Say whether the newest event in the queue is already that this connection has written."""
        if self._events_in == self._events_out:
            return False
        at = (self._events_in - 1) % _EVENTS * _EVENT_BYTES
        return self._events[at] == GATTS_WRITE and self._events[at + 1] == conn

    def disconnect(self, conn: int) -> bool:
        """Part from a peer; False where it has parted already."""
        try:
            return self.ble.gap_disconnect(conn)
        except OSError:
            # It is being parted from (EALREADY), or will be when the radio is back.
            return True

    # ---- what the main loop takes

    def take_event(self) -> tuple | None:
        """Return the oldest event (number, five fields), None if there is none.

        Of those that say that a connection is there, or gone: (number, connection, type of address, address).
        """
        at = self._events_out
        if at == self._events_in:
            return None
        kind = self._events[at * _EVENT_BYTES]
        form = _CONNECTION if kind in (1, 2, 7, 8) else _FIELDS
        event = (kind,) + unpack_from(form, self._events, at * _EVENT_BYTES + 1)
        self._events_out = (at + 1) % _EVENTS
        return event

    def take_report(self) -> tuple | None:
        """Return (address with its type before it, RSSI, advertisement, whether one may connect, age in ms).

        None if there is none.
        """
        at = self._reports_out
        if at == self._reports_in:
            return None
        report = self._reports[at]
        age = time.ticks_diff(time.ticks_ms(), self._moments[at])
        result = bytes(report[:7]), report[7] - 128, bytes(report[10 : 10 + report[9]]), report[8] > 0, age
        self._reports_out = (at + 1) % _REPORTS
        return result

    def take_written(self) -> bytes:
        """Return what the central has written since the last time."""
        return self.ble.gatts_read(self.face.rx)

    def take_notified(self) -> bytes:
        """Return the oldest notification, b"" if there is none."""
        at = self._notified_out
        if at == self._notified_in:
            return b""
        data = self._notified[at]
        self._notified[at] = b""
        self._notified_out = (at + 1) % _NOTIFIED
        return data

    # ---- what it says, and when it listens

    def say(self, payload: bytes, connectable: bool, urgent: bool = False) -> None:
        """Say this payload until hush() or a connection ends it; `urgent`: at a short interval."""
        interval_us = _CALLED_US if urgent else _ADVERTISE_US
        try:
            self.face.advertise(interval_us, payload, connectable)
        except OSError:
            if not connectable:
                raise
            # All connections are taken.
            self.face.advertise(_ADVERTISE_US, payload, False)

    def hush(self) -> None:
        """Say nothing."""
        self.face.hush()

    def scan(self, percent: int) -> None:
        """Begin to listen for this share of the time, until something stops it (SCAN_DONE)."""
        share = min(100, max(_LEAST_DUTY, percent))
        self.ble.gap_scan(0, _WINDOW_US * 100 // share, _WINDOW_US)
        self.scanning = True
        self.duty = percent

    def stop_scan(self) -> None:
        """Stop listening; SCAN_DONE says when it has."""
        self.ble.gap_scan(None)
        self.scanning = False

    def close(self) -> None:
        """Silence and switch off, connections first: switching off under one has hung chips."""
        self.face.close()
        self.ble.active(False)
