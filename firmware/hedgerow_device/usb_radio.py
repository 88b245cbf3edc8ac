"""The board as a gateway's radio (role `radio`): advertisements between its serial port and the air.

It has no peer and no log. Lines are those of hedgerow.sync.usb_line; all else on the port is for people, and
Ctrl-C gets the REPL.
"""

import gc
import os
import select
import struct
import sys
from binascii import crc32

import bluetooth

from hedgerow.errors import HedgerowError
from hedgerow.limits import const
from hedgerow.sync import usb_line

from .uptime import now

_SCAN_RESULT = const(5)
_SCAN_DONE = const(6)
_REPORTS = const(32)
_REPORT_BYTES = const(40)
_POLL_MS = const(5)
_STATUS_MS = const(1000)
_ADVERTISE_US = const(100000)
# An event comes 0 to 10 ms late.
_EVENT_MS = const(105)
_SCAN_US = const(100000)
_SCAN_AGAIN_MS = const(500)
_SILENCE_MS = const(60000)
# Scans begun anew in vain before the radio is switched off and on.
_SILENCES = const(5)
_KNOWN = const(64)
_READ = const(64)


class UsbRadio:
    """`write(bytes)` takes lines for the gateway. Call take() with what it sends, and step() often."""

    def __init__(self, write: object):
        self.ble = bluetooth.BLE()
        self.restarts = 0
        self._write = write
        self._lines = usb_line.Lines()
        self._reports = [bytearray(_REPORT_BYTES + 1) for _ in range(_REPORTS)]
        self._in = 0
        self._out = 0
        self._all = 0
        self._lost = 0
        self._scanning = False
        # What each address said last: most of what is heard is the same again.
        self._known: dict = {}
        self._sent = 0
        self._taken = 0
        # When the gateway spoke last, None before it has.
        self._alive: int | None = None
        self._until: int | None = None
        self._sequence = 0
        self._scan_at = 0
        self._status_at = 0
        self._heard = 0
        self._heard_at = 0
        self._silences = 0
        self._boot = os.urandom(4)

    def start(self, at: int) -> None:
        """Switch the radio on, or off and on. Raises OSError."""
        self.ble.active(False)
        self.ble.active(True)
        self.ble.irq(self._irq)
        self._scanning = False
        self._scan_at = self._heard_at = at

    def stop(self) -> None:
        """Be silent and deaf: the REPL has the radio then."""
        self.ble.irq(None)
        self.ble.gap_advertise(None)
        self.ble.gap_scan(None)

    def _irq(self, event: int, data: tuple) -> None:
        """Copy what is ours, and move an index last: on a board this runs in the middle of anything."""
        if event == _SCAN_DONE:
            self._scanning = False
        if event != _SCAN_RESULT:
            return
        self._all += 1
        advertisement = data[4]
        size = len(advertisement)
        first = 1 if size > 3 and advertisement[1] == 0xFF else 4
        if size < first + 3 or size > usb_line.PAYLOAD:
            return
        if (
            advertisement[first] != 0xFF
            or advertisement[first + 1] != 0xFF
            or advertisement[first + 2] != 0xFF
        ):
            return
        at = self._in
        if (at + 1) % _REPORTS == self._out:
            self._lost += 1
            return
        report = self._reports[at]
        report[0] = 9 + size
        report[1] = data[0]
        report[2:8] = data[1]
        report[8] = data[3] + 128 & 0xFF
        report[9] = data[2]
        report[10 : 10 + size] = advertisement
        self._in = (at + 1) % _REPORTS

    # ---- from the gateway

    def take(self, data: bytes, at: int) -> None:
        """Take what came over the port; what is no line of ours is passed over."""
        for line in self._lines.feed(data):
            try:
                kind, body = usb_line.decode(line)
                self._obey(kind, body, at)
            except HedgerowError:
                pass

    def _obey(self, kind: int, body: bytes, at: int) -> None:
        if kind == usb_line.HELLO:
            self._sent = self._taken = 0
            self._known = {}
            address = self.ble.config("mac")
            self._tell(
                usb_line.BOARD, bytes([usb_line.VERSION]) + self._boot + bytes([address[0]]) + address[1]
            )
        elif kind == usb_line.SAY:
            self._say(*usb_line.decode_say(body), at)
        elif kind == usb_line.HUSH:
            self._hush(usb_line.HUSHED)
        elif kind == usb_line.TAKEN:
            self._taken = usb_line.numbers(body, ">H")[0]
        else:
            return
        self._alive = at

    def _say(self, sequence: int, connectable: bool, events: int, payload: bytes, at: int) -> None:
        self._hush(usb_line.HUSHED)
        self._sequence = sequence
        try:
            self.ble.gap_advertise(_ADVERTISE_US, payload, connectable=connectable)
        except OSError:
            self._tell(usb_line.SAID, bytes([sequence, usb_line.FAILED]))
            return
        # In the middle between the last event and the one after it.
        self._until = at + events * _EVENT_MS - _EVENT_MS // 2

    def _hush(self, outcome: int) -> None:
        if self._until is None:
            return
        self._until = None
        try:
            self.ble.gap_advertise(None)
        except OSError:
            outcome = usb_line.FAILED
        self._tell(usb_line.SAID, bytes([self._sequence, outcome]))

    # ---- to the gateway

    def _tell(self, kind: int, body: bytes) -> None:
        self._write(usb_line.encode(kind, body))

    def _pass_on(self) -> None:
        while self._out != self._in:
            report = self._reports[self._out]
            body = bytes(report[1 : 1 + report[0]])
            self._out = (self._out + 1) % _REPORTS
            address, said = body[:7], crc32(body[9:])
            if self._known.get(address) == said:
                continue
            if self._sent - self._taken & 0xFFFF >= usb_line.WINDOW:
                # The gateway or the line is too slow.
                self._lost += 1
                continue
            if len(self._known) >= _KNOWN:
                self._known = {}
            self._known[address] = said
            self._sent = self._sent + 1 & 0xFFFF
            self._tell(usb_line.HEARD, body)

    def step(self, at: int) -> None:
        """Do what there is to do now. Raises OSError when the radio does not come back."""
        if self._until is not None and at >= self._until:
            self._hush(usb_line.DONE)
        if self._alive is not None and at - self._alive > usb_line.ALIVE_MS:
            self._alive = None
        if self._alive is None:
            self._out = self._in
        else:
            self._pass_on()
            if at >= self._status_at:
                self._status_at = at + _STATUS_MS
                self._tell(usb_line.STATUS, struct.pack(">III", self._all, self._lost, self.restarts))
        self._listen(at)

    def _listen(self, at: int) -> None:
        if self._all != self._heard:
            self._heard = self._all
            self._heard_at = at
            self._silences = 0
        elif at - self._heard_at > _SILENCE_MS:
            # Scanning has been seen to stop without a word on ESP32.
            self._heard_at = at
            self._silences += 1
            if self._silences % _SILENCES == 0 and self._until is None:
                self.restarts += 1
                self.start(at)
            elif self._scanning:
                self.ble.gap_scan(None)
        if not self._scanning and at >= self._scan_at:
            self._scan_at = at + _SCAN_AGAIN_MS
            try:
                self.ble.gap_scan(0, _SCAN_US, _SCAN_US)
                self._scanning = True
            except OSError:
                pass


def run(watchdog: object) -> None:
    """Be a radio until Ctrl-C. Raises OSError when there is none."""
    port = sys.stdin.buffer
    radio = UsbRadio(sys.stdout.buffer.write)
    radio.start(now())
    print("radio", usb_line.VERSION)
    poll = select.poll()
    poll.register(sys.stdin, select.POLLIN)
    try:
        _loop(radio, port, poll, watchdog)
    finally:
        radio.stop()


def _loop(radio: UsbRadio, port: object, poll: object, watchdog: object) -> None:
    fed_at = now()
    while True:
        data = b""
        while poll.poll(0 if data else _POLL_MS) and len(data) < _READ:
            data += port.read(1) or b""
        at = now()
        if data:
            radio.take(data, at)
        radio.step(at)
        if at - fed_at >= _STATUS_MS:
            fed_at = at
            watchdog.feed()
            gc.collect()
