"""The board's radio on MicroPython's `bluetooth`: one IRQ handler that only copies, and fixed queues.

The handler runs in the middle of anything, on the radio's own task on a board. It stores what came and moves
an index last, so that it may be interrupted anywhere and begun again; all work is done by take_*().
"""

import bluetooth

from hedgerow.limits import const
from hedgerow.sync import gatt

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
_REPORT_BYTES = const(31)
_EVENTS = const(32)
# A credit of 1 KiB and what is not counted beside it, in chunks of an MTU, has come within one turn at worst.
_NOTIFIED = const(16)
# A credit of 1 KiB, what is not counted beside it, and a hello.
RX_BUFFER = const(2048)
_CONNECTIONS = const(4)
_MTU = const(256)
_ADVERTISE_US = const(250000)
_SCAN_INTERVAL_US = const(100000)


class Radio:
    """`wake()` is called when something came; it must be safe in an interrupt handler.

    `lost` counts reports and events that found their queue full, `heard` the reports of any sender.
    """

    def __init__(self, wake: object):
        self.lost = 0
        self.heard = 0
        self.scanning = False
        self.wake = wake
        self._reports = [bytearray(8 + _REPORT_BYTES) for _ in range(_REPORTS)]
        self._reports_in = 0
        self._reports_out = 0
        self._events: list = [None] * _EVENTS
        self._events_in = 0
        self._events_out = 0
        self._notified: list = [b""] * _NOTIFIED
        self._notified_in = 0
        self._notified_out = 0
        self.ble = bluetooth.BLE()
        self.start()

    def restart(self) -> None:
        """Switch the radio off and on: its connections are gone then."""
        self.ble.active(False)
        self.start()

    def start(self) -> None:
        """Switch the radio on, and set it up."""
        self.ble.active(True)
        self.scanning = False
        self.ble.irq(self._irq)
        uuids = [bluetooth.UUID(text) for text in (gatt.SERVICE, gatt.RX, gatt.TX)]
        service = (
            uuids[0],
            ((uuids[1], bluetooth.FLAG_WRITE_NO_RESPONSE), (uuids[2], bluetooth.FLAG_NOTIFY)),
        )
        ((self.rx, self.tx),) = self.ble.gatts_register_services((service,))
        self.ble.gatts_set_buffer(self.rx, RX_BUFFER, True)
        self.ble.config(mtu=_MTU)

    # ---- the handler

    def _irq(self, event: int, data: tuple) -> None:
        if event == SCAN_RESULT:
            self.heard += 1
            self._report(data)
        elif event == NOTIFY:
            self._notify(data[2])
        else:
            self._event(event, data)
        self.wake()

    def _report(self, data: tuple) -> None:
        """Copy a report of ours: address type, address, RSSI + 128, 31 bytes of advertisement."""
        advertisement = data[4]
        if len(advertisement) != _REPORT_BYTES or advertisement[5] != 0xFF or advertisement[6] != 0xFF:
            return
        at = self._reports_in
        if (at + 1) % _REPORTS == self._reports_out:
            self.lost += 1
            return
        report = self._reports[at]
        report[0] = data[0]
        report[1:7] = data[1]
        report[7] = data[3] + 128 & 0xFF
        report[8:] = advertisement
        self._reports_in = (at + 1) % _REPORTS

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
        at = self._events_in
        if (at + 1) % _EVENTS == self._events_out or (event == GATTS_WRITE and self._written(data[0])):
            self.lost += event != GATTS_WRITE
            return
        try:
            self._events[at] = (event,) + tuple([_kept(item) for item in data])
            self._events_in = (at + 1) % _EVENTS
        except MemoryError:
            self.lost += 1

    def _written(self, conn: int) -> bool:
        """Say whether the newest event in the queue is already that this connection has written."""
        if self._events_in == self._events_out:
            return False
        last = self._events[(self._events_in - 1) % _EVENTS]
        return last[0] == GATTS_WRITE and last[1] == conn

    # ---- what the main loop takes

    def take_event(self) -> tuple | None:
        """Return the oldest event (number, fields...), None if there is none."""
        at = self._events_out
        if at == self._events_in:
            return None
        event = self._events[at]
        self._events_out = (at + 1) % _EVENTS
        return event

    def take_report(self) -> tuple | None:
        """Return (address type and address in 7 bytes, RSSI, advertisement), None if there is none."""
        at = self._reports_out
        if at == self._reports_in:
            return None
        report = self._reports[at]
        result = bytes(report[:7]), report[7] - 128, bytes(report[8:])
        self._reports_out = (at + 1) % _REPORTS
        return result

    def take_written(self) -> bytes:
        """Return what the central has written since the last time."""
        return self.ble.gatts_read(self.rx)

    def take_notified(self) -> bytes:
        """Return the oldest notification, b"" if there is none."""
        at = self._notified_out
        if at == self._notified_in:
            return b""
        data = self._notified[at]
        self._notified[at] = b""
        self._notified_out = (at + 1) % _NOTIFIED
        return data

    # ---- what it says

    def advertise(self, payload: bytes, connectable: bool) -> None:
        """Say this payload from now on; connecting ends it."""
        self.ble.gap_advertise(_ADVERTISE_US, payload, connectable=connectable)

    def scan(self, percent: int) -> None:
        """Listen for this share of the time until something stops it (SCAN_DONE)."""
        self.ble.gap_scan(0, _SCAN_INTERVAL_US, _SCAN_INTERVAL_US // 100 * percent)
        self.scanning = True


def _kept(item: object) -> object:
    """Return what outlives the handler: memoryviews do not."""
    return bytes(item) if isinstance(item, memoryview) else item


def quiet() -> None:
    """Stop advertising and scanning, end the connections, forget the handler; the radio stays on."""
    ble = bluetooth.BLE()
    if ble.active():
        ble.irq(None)
        ble.gap_advertise(None)
        ble.gap_scan(None)
        for conn in range(_CONNECTIONS):
            ble.gap_disconnect(conn)
