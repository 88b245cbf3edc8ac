"""MicroPython's `bluetooth` as on an ESP32, over the air of the emulator.

The radio, the link layer and ATT live in the air, as they live outside the heap on a board; attribute
values, limits and the IRQ handler live here. Not compiled on an ESP32 and so absent: L2CAP, hci_cmd.
"""

import errno
import struct
import sys
from time import sleep_ms

import emulator
from _air_link import SLOT_SIZE, SLOTS, AirLink
from _air_values import UUID, raw_bytes
from micropython import const

FLAG_READ = const(0x02)
FLAG_WRITE_NO_RESPONSE = const(0x04)
FLAG_WRITE = const(0x08)
FLAG_NOTIFY = const(0x10)
FLAG_INDICATE = const(0x20)

_VERSION = const(1)
_CONNECTIONS = const(4)
_SERVICES = const(8)
_BUFFERS = const(16)
_ADV_MAX = const(31)
_NAME_MAX = const(31)
_VALUE_DEFAULT = const(20)
_FIRST_HANDLE = const(10)
_LINK_PAYLOAD = const(251)
_SUPERVISION_MS = const(2560)
_UNLIKELY = const(0x0E)
_E2BIG = const(7)
_EBUSY = const(16)
_CCCD = b"\x02\x29"
_NO_VALUE = (b"", 0, 1)

# struct formats of the fields that lead an event, by its number; 5 is laid out in _event
_HEADS = ("", "<HB", "<HB", "<HH", "<HH", "", "", "<HB", "<HB", "<HHH", "<HH") + (
    "<HHHH",
    "<HH",
    "<HH",
    "<HH",
    "<HH",
    "<HHH",
    "<HHH",
    "<HH",
    "<HH",
    "<HHH",
    "<HH",
)


def _fail(code):
    raise OSError(code)


class BLE:
    """The board's one radio: every call of BLE() gives the same object."""

    def __new__(cls):
        return _ble

    def _setup(self):
        self._link = AirLink(self._receive, self._lost)
        self._address = bytes(int(octet, 16) for octet in emulator.config["address"].split(":"))
        self._handler = None
        self._name = b"MPY ESP32"
        self._mtu = 256
        self._reset()

    def _reset(self):
        self._active = self._advertising = self._scanning = self._connecting = False
        self._adv = self._rsp = b""
        self._links = {}  # connection handle -> (event of its end, address type, address)
        self._values = {}  # attribute handle -> [buffer, length, factor of the length after a read]
        self._sent = self._completed = 0
        self._cancelled = 0  # scans stopped whose SCAN_DONE is still to come

    def _send(self, code, form="<", *fields, tail=b""):
        if not self._active:
            _fail(errno.ENODEV)
        self._link.send(struct.pack("<B" + form[1:], code, *fields) + tail)

    def active(self, active=None):
        if active is None or bool(active) == self._active:
            return self._active
        link = self._link
        if active:
            path = emulator.config["air"]
            for _ in range(2000):
                if not link.reading:
                    break
                sleep_ms(1)
            else:
                _fail(errno.ETIMEDOUT)
            fields = (
                1,
                _VERSION,
                0,
                0,
                self._address,
                self._mtu,
                _LINK_PAYLOAD,
                _CONNECTIONS,
                SLOTS,
                SLOT_SIZE,
            )
            try:
                link.open(path or "", struct.pack("<BBBB6sHBBBB", *fields) + self._name)
            except OSError:
                _fail(errno.ETIMEDOUT)
            self._reset()
            self._active = True
        else:
            self._send(2)
            self._reset()
        return self._active

    def irq(self, handler):
        if handler is not None and not callable(handler):
            raise ValueError("invalid callback")
        self._handler = handler

    def config(self, *names, **values):
        if names:
            if len(names) != 1 or values:
                raise TypeError("can't mix positional and keyword args")
            return self._config_get(names[0])
        for name, value in values.items():
            if name == "mtu":
                if not 23 <= value <= 527:
                    _fail(errno.EINVAL)
                self._mtu = value
            elif name == "gap_name":
                value = raw_bytes(value)
                if len(value) > _NAME_MAX:
                    _fail(errno.EINVAL)
                self._name = value
            elif name == "addr_mode":
                if value not in (0, 1, 2, 3):
                    raise ValueError("invalid addr_mode")
            else:
                raise ValueError("unknown config param")
        if self._active:
            self._send(3, "<H", self._mtu, tail=self._name)

    def _config_get(self, name):
        if name == "mac":
            if not self._active:
                _fail(errno.ENODEV)
            return (0, self._address)
        if name == "gap_name":
            return self._name
        if name == "mtu":
            return self._mtu
        raise ValueError("unknown config param")

    # GAP

    def gap_advertise(self, interval_us=500000, adv_data=None, *, resp_data=None, connectable=True):
        self._send(5)
        self._advertising = False
        if interval_us is None:
            return
        adv = self._adv if adv_data is None else raw_bytes(adv_data)
        rsp = self._rsp if resp_data is None else raw_bytes(resp_data)
        if len(adv) > _ADV_MAX or len(rsp) > _ADV_MAX or not 20000 <= interval_us <= 10240000:
            _fail(errno.EINVAL)
        if connectable and len(self._links) >= _CONNECTIONS:
            _fail(errno.ENOMEM)
        self._adv, self._rsp = adv, rsp
        kind = 0 if connectable else 2 if rsp else 3
        self._advertising = True
        self._send(4, "<BIB", kind, interval_us // 625 * 625, len(adv), tail=adv + rsp)

    def gap_scan(self, duration_ms=0, interval_us=1280000, window_us=11250, active=False):
        if duration_ms is None:
            if self._scanning:
                self._send(7)
                self._scanning = False
                self._cancelled += 1
            return
        if self._scanning:
            _fail(errno.EALREADY)
        if self._connecting:
            _fail(_EBUSY)
        interval_us = min(10240000, max(2500, interval_us))
        window_us = min(10240000, max(2500, window_us))
        if window_us > interval_us:
            _fail(errno.EINVAL)
        self._send(6, "<BBIII", bool(active), 0, duration_ms, interval_us, window_us)
        self._scanning = True

    def gap_connect(
        self, addr_type, addr=None, scan_duration_ms=2000, min_conn_interval_us=0, max_conn_interval_us=0
    ):
        if addr_type is None:
            self._send(9)
            return
        if len(addr) != 6:
            raise ValueError("invalid addr")
        if self._connecting:
            _fail(errno.EALREADY)
        if len(self._links) >= _CONNECTIONS:
            _fail(errno.ENOMEM)
        shortest = min_conn_interval_us or 30000
        longest = max_conn_interval_us or max(50000, shortest)
        if not 7500 <= shortest <= longest <= 4000000:
            _fail(errno.EINVAL)
        fields = (addr_type, bytes(addr), scan_duration_ms, shortest, longest, _SUPERVISION_MS)
        self._send(8, "<B6sIIIH", *fields)
        self._connecting = True

    def gap_disconnect(self, conn_handle):
        if conn_handle not in self._links:
            return False
        self._send(10, "<H", conn_handle)
        return True

    # GATT server

    def gatts_register_services(self, services):
        if self._advertising or self._links:
            _fail(_EBUSY)
        if len(services) > _SERVICES:
            _fail(_E2BIG)
        values = {}
        table = []
        handles = []
        handle = _FIRST_HANDLE

        def add(kind, properties, uuid):
            table.append(struct.pack("<BHHB", kind, handle, properties, len(bytes(uuid))) + bytes(uuid))
            if kind:
                values[handle] = [bytearray(_VALUE_DEFAULT), 0, 1]

        for uuid, characteristics in services:
            add(0, 0, uuid)
            found = []
            for characteristic in characteristics:
                handle += 2
                flags = characteristic[1]
                add(1, flags, characteristic[0])
                found.append(handle)
                if flags & (FLAG_NOTIFY | FLAG_INDICATE):
                    handle += 1
                    add(2, FLAG_READ | FLAG_WRITE, _CCCD)
                    del values[handle]
                for descriptor in characteristic[2] if len(characteristic) > 2 else ():
                    handle += 1
                    add(2, descriptor[1], descriptor[0])
                    found.append(handle)
            handles.append(tuple(found))
            handle += 1
        self._send(11, tail=b"".join(table))
        self._values = values
        return tuple(handles)

    def _value(self, handle):
        return self._values.get(handle) or _fail(errno.EINVAL)

    def gatts_read(self, value_handle):
        entry = self._value(value_handle)
        # One straight line: a write cannot come in between, and be lost with an append buffer's reset.
        data = bytes(memoryview(entry[0])[: entry[1]])
        entry[1] *= entry[2]
        return data

    def gatts_write(self, value_handle, data, send_update=False):
        entry = self._value(value_handle)
        data = memoryview(data)
        if len(data) > len(entry[0]):
            entry[0] = bytearray(len(data))
        entry[0][: len(data)] = data
        entry[1] = len(data)
        if send_update:
            self._take_buffer()
            self._send(14, "<H", value_handle, tail=raw_bytes(data))
        return len(data)

    def gatts_set_buffer(self, value_handle, length, append=False):
        entry = self._value(value_handle)
        entry[:] = [bytearray(length), 0, 0 if append else 1]

    def _take_buffer(self):
        if (self._sent - self._completed) & 0xFFFF >= _BUFFERS:
            _fail(errno.ENOMEM)
        self._sent += 1

    def _tell(self, code, conn_handle, value_handle, data):
        if not self._active:
            _fail(errno.ENODEV)
        if conn_handle not in self._links:
            _fail(errno.ENOTCONN)
        if data is None:
            entry = self._value(value_handle)
            data = memoryview(entry[0])[: entry[1]]
        self._take_buffer()
        self._send(code, "<HH", conn_handle, value_handle, tail=raw_bytes(data))

    def gatts_notify(self, conn_handle, value_handle, data=None):
        self._tell(12, conn_handle, value_handle, data)

    def gatts_indicate(self, conn_handle, value_handle, data=None):
        self._tell(13, conn_handle, value_handle, data)

    # GATT client

    def _ask(self, code, conn_handle, form="<H", *fields, tail=b""):
        if self._active and conn_handle not in self._links:
            _fail(errno.ENOTCONN)
        self._send(code, form, conn_handle, *fields, tail=tail)

    def gattc_exchange_mtu(self, conn_handle):
        self._ask(18, conn_handle)

    def gattc_discover_services(self, conn_handle, uuid=None):
        self._ask(19, conn_handle, tail=bytes(uuid or b""))

    def gattc_discover_characteristics(self, conn_handle, start_handle, end_handle, uuid=None):
        self._ask(20, conn_handle, "<HHH", start_handle, end_handle, tail=bytes(uuid or b""))

    def gattc_discover_descriptors(self, conn_handle, start_handle, end_handle):
        self._ask(21, conn_handle, "<HHH", start_handle + 1, end_handle)

    def gattc_read(self, conn_handle, value_handle):
        self._ask(22, conn_handle, "<HHB", value_handle, 0)

    def gattc_write(self, conn_handle, value_handle, data, mode=0):
        if self._active and not mode:
            self._take_buffer()
        self._ask(23, conn_handle, "<HHB", value_handle, 1 if mode else 0, tail=raw_bytes(data))

    # Events, in the main thread

    def _receive(self, frame, size):
        """State first, as often as the frame comes; then, once, the handler. A request whose handler was
        interrupted is refused."""
        code = frame[0]
        if not self._active:
            return
        if code == 40:
            self._completed = frame[1] | frame[2] << 8
            return
        self._note(code, frame)
        link = self._link
        handle = frame[3] | frame[4] << 8
        status = _UNLIKELY
        if link.begun != link.tail:
            link.begun = link.tail
            if code == 3:
                self._store(handle, frame[6:size])
            verdict = self._call(code, self._event(code, frame, size))
            status = verdict if code == 4 and isinstance(verdict, int) else 0
        conn = frame[1] | frame[2] << 8
        if code == 3 and frame[5]:
            self._send(16, "<HB", conn, status)
        elif code == 4:
            entry = self._values.get(handle, _NO_VALUE)
            self._send(15, "<HB", conn, status, tail=raw_bytes(memoryview(entry[0])[: entry[1]]))

    def _note(self, code, frame):
        conn = frame[1] | frame[2] << 8
        if code in (1, 7):
            self._links[conn] = (code + 1, frame[3], bytes(frame[4:10]))
        elif code in (2, 8):
            self._links.pop(conn, None)
        if code == 1:
            self._advertising = False
        elif code in (7, 8) and (code == 7 or conn == 0xFFFF):
            self._connecting = False
        elif code == 6:
            if self._cancelled:
                self._cancelled -= 1
            else:
                self._scanning = False

    def _store(self, handle, data):
        entry = self._values.get(handle)
        if entry:
            start = 0 if entry[2] else entry[1]
            end = min(len(entry[0]), start + len(data))
            if end > start:
                entry[0][start:end] = data[: end - start]
            entry[1] = end

    def _event(self, code, frame, size):
        if code == 5:
            rssi = frame[9] - 256 if frame[9] > 127 else frame[9]
            return (frame[1], frame[2:8], frame[8], rssi, frame[10:size])
        if not _HEADS[code]:
            return ()
        head = struct.unpack_from(_HEADS[code], frame, 1)
        if code in (1, 2, 7, 8):
            return head + (frame[4:10],)
        at = 1 + 2 * len(head)
        if code in (9, 11, 13):
            return head + (UUID(frame[at:size]),)
        return head + (frame[at:size],) if code in (15, 18, 19) else head

    def _call(self, code, data):
        if self._handler is None:
            return None
        try:
            return self._handler(code, data)
        except Exception as error:
            print("Unhandled exception in IRQ callback handler")
            sys.print_exception(error)
            self._handler = None
            return None

    def _lost(self):
        """The air is gone: every link is, and nothing is heard until active(False), active(True)."""
        while self._links:
            conn, (code, kind, address) = self._links.popitem()
            self._call(code, (conn, kind, memoryview(address)))
        if self._connecting:
            self._connecting = False
            self._call(8, (0xFFFF, 0xFF, memoryview(bytes(6))))


_ble = object.__new__(BLE)
_ble._setup()
