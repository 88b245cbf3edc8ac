"""MicroPython's `bluetooth` as on an ESP32 (extmod/modbluetooth.c over NimBLE), over the air of the emulator.

The radio, the link layer and ATT live in the air, as they live outside the heap on a board; attribute
values, limits and the handler live here. Parameters that C takes by position only end in `_`. Host codes
without an errno of their own come as OSError(-code). Pairing is there and is refused; L2CAP and hci_cmd are
not compiled on an ESP32 and so absent.
"""

import errno
import os
import struct
from time import sleep_ms

import emulator
from _air_client import Client
from _air_events import Caller, unpack, verdict
from _air_gatts import Server
from _air_link import SLOT_SIZE, SLOTS, AirLink
from _air_values import UUID, whole  # noqa: F401
from micropython import const

FLAG_READ = const(0x02)
FLAG_WRITE_NO_RESPONSE = const(0x04)
FLAG_WRITE = const(0x08)
FLAG_NOTIFY = const(0x10)
FLAG_INDICATE = const(0x20)

_VERSION = const(1)
_FIRST_START = const(2)
_CONNECTIONS = const(4)
_ADV_MAX = const(31)
_NAME_MAX = const(31)
_MTU = const(256)
_MTU_MIN = const(23)
_MTU_MAX = const(527)
_LINK_PAYLOAD = const(251)
_SUPERVISION_MS = const(2560)
_CONNECT_MS = const(2000)
_CONNECT_MS_DEFAULT = const(30000)
_START_MS = const(2000)
_STOP_MS = const(2000)
_UNLIKELY = const(0x0E)
_EBUSY = const(16)
_NOBODY = const(0xFFFF)
# Codes of NimBLE: an argument that it refuses itself, and one that its controller refuses (0x200 + 0x12).
_BAD_DATA = const(-18)
_BAD_PARAMETER = const(-530)
_OUR_IRK = const(10)
_SETTINGS = ("bond", "mitm", "io", "le_secure")


def _fail(code):
    raise OSError(code)


class BLE(Server, Client):
    """The board's one radio: every call of BLE() gives the same object."""

    def __new__(cls):
        return _ble

    def _setup(self):
        self._link = AirLink(self._receive, self._lost)
        self._identity = bytes(int(octet, 16) for octet in emulator.config["address"].split(":"))
        self._call = Caller()
        self._name = b"MPY ESP32"
        self._flags = _FIRST_START
        self._reset()

    def _reset(self):
        self._active = self._advertising = self._scanning = self._connecting = False
        self._mac = (0, self._identity)
        self._mtu = _MTU
        self._adv = self._rsp = b""
        self._links = {}  # connection handle -> (event of its end, address type, address)
        self._leaving = set()
        self._reset_client()
        self._cancelled = 0  # scans stopped whose frame is still to come
        self._reset_server()

    def _send(self, code, form="<", *fields, tail=b""):
        if not self._active:
            _fail(errno.ENODEV)
        self._link.send(struct.pack("<B" + form[1:], code, *fields) + tail)

    def active(self, active_=None):
        if active_ is not None:
            self._stop()
            if active_:
                self._start()
        return self._active

    def _start(self):
        link = self._link
        for _ in range(_START_MS):
            if not link.reading:
                break
            sleep_ms(1)
        else:
            _fail(errno.ETIMEDOUT)
        fields = (1, _VERSION, self._flags, 0, self._identity, _MTU, _LINK_PAYLOAD, _CONNECTIONS)
        try:
            hello = struct.pack("<BBBB6sHBBBB", *fields, SLOTS, SLOT_SIZE) + self._name
            link.open(emulator.config["air"] or "", hello)
        except OSError:
            _fail(errno.ETIMEDOUT)
        self._flags = 0
        self._reset()
        self._ask_for_key()
        self._active = True

    def _ask_for_key(self):
        """The stack asks for its identity key as soon as it starts, and tells of one that it has made."""
        key = bytearray(b"irk")
        if self._call(29, (_OUR_IRK, 0, memoryview(key))) is None:
            made = bytearray(os.urandom(16))
            self._call(30, (_OUR_IRK, memoryview(key), memoryview(made)))
            made[:] = bytes(16)
        key[:] = bytes(3)

    def _stop(self):
        if not self._active:
            return
        self._send(5)
        self._stop_scan()
        for conn in list(self._links):
            self._send(10, "<H", conn)
        # Their ends are told while the stack stops.
        for _ in range(_STOP_MS):
            if not self._links or not self._active:
                break
            sleep_ms(1)
        if self._active:
            self._send(2)
        self._reset()

    def irq(self, handler_):
        if handler_ is not None and not callable(handler_):
            raise ValueError("invalid callback")
        self._call.handler = handler_

    def config(self, *names, **values):
        if not values:
            if len(names) != 1:
                raise TypeError("must query one param")
            return self._config_get(names[0])
        if names:
            raise TypeError("can't specify pos and kw args")
        for name, value in values.items():
            self._config_set(name, value)

    def _config_get(self, name):
        if name == "gap_name":
            return self._name
        if name == "mac":
            if not self._active:
                _fail(errno.ENODEV)
            return self._mac or _fail(errno.EINVAL)
        if name == "mtu":
            if not self._active:
                _fail(errno.ENODEV)
            return self._mtu
        if not isinstance(name, str):
            raise TypeError("can't convert to str")
        raise ValueError("unknown config param")

    def _config_set(self, name, value):
        if name == "mtu":
            value = whole(value)
            if not self._active:
                _fail(errno.ENODEV)
            if not _MTU_MIN <= value & 0xFFFF <= _MTU_MAX:
                _fail(errno.EINVAL)
            self._mtu = value & 0xFFFF
        elif name == "gap_name":
            value = bytes(memoryview(value))
            if len(value) > _NAME_MAX:
                _fail(errno.EINVAL)
            self._name = value
        elif name == "addr_mode":
            self._set_address(whole(value))
            return
        elif name in _SETTINGS:
            return
        else:
            raise ValueError("unknown config param")
        if self._active:
            self._send(3, "<H", self._mtu, tail=self._name)

    def _set_address(self, mode):
        """0 public, 1 random static, 2 resolvable private (which `mac` does not tell), 3 non-resolvable."""
        if not self._active:
            _fail(errno.ENODEV)
        if not 0 <= mode <= 3:
            return
        kind, address = 0, self._identity
        if mode:
            made = os.urandom(6)
            kind, address = 1, bytes((made[0] & 0x3F | (0, 0xC0, 0x40, 0)[mode],)) + made[1:]
        self._mac = None if mode == 2 else (kind, address)
        self._send(24, "<B6s", kind, address)

    # GAP

    def gap_advertise(self, interval_us=500000, adv_data=None, *, resp_data=None, connectable=True):
        if not self._active and interval_us is None:
            return
        self._send(5)
        self._advertising = False
        if interval_us is None:
            return
        units = whole(interval_us) // 625 & 0xFFFF or (96 if connectable else 240)
        # An empty bytearray has no buffer in C, and so keeps what was said before, as None does.
        kept = adv_data is None or (isinstance(adv_data, bytearray) and not adv_data)
        adv = self._adv if kept else bytes(memoryview(adv_data))
        rsp = self._rsp if resp_data is None else bytes(memoryview(resp_data))
        if len(adv) > _ADV_MAX:
            _fail(_BAD_DATA)
        self._adv = adv
        if len(rsp) > _ADV_MAX:
            _fail(_BAD_DATA)
        self._rsp = rsp
        if connectable and len(self._links) >= _CONNECTIONS:
            _fail(errno.ENOMEM)
        if not 0x20 <= units <= 0x4000:
            _fail(_BAD_PARAMETER)
        # NimBLE knows no other that nobody may connect to than ADV_SCAN_IND, in this mode.
        kind = 0 if connectable else 2
        self._advertising = True
        self._send(4, "<BIB", kind, units * 625, len(adv), tail=adv + rsp)

    def gap_scan(self, duration_ms_=0, interval_us_=1280000, window_us_=11250, active_=False):
        if not self._active:
            _fail(errno.ENODEV)
        if duration_ms_ is None:
            self._stop_scan()
            return
        duration_ms, interval_us, window_us = whole(duration_ms_), whole(interval_us_), whole(window_us_)
        interval = max(4, min(0x4000, interval_us // 625))
        window = max(4, min(0x4000, window_us // 625))
        if window > interval:
            _fail(errno.EINVAL)
        if self._connecting:
            _fail(_EBUSY)
        if self._scanning:
            _fail(errno.EALREADY)
        self._scanning = True
        self._send(6, "<BBIII", bool(active_), 0, max(0, duration_ms), interval * 625, window * 625)

    def _stop_scan(self):
        """The handler hears of the end before this returns; the air's word of it is passed over."""
        if self._scanning:
            self._scanning = False
            self._cancelled += 1
            self._send(7)
            self._call(6, ())

    def gap_connect(self, addr_type_, addr_=None, duration_ms_=None, shortest_us_=None, longest_us_=None):
        if addr_type_ is None and addr_ is None:
            self._cancel_connect()
            return
        kind, address = whole(addr_type_) & 0xFF, bytes(memoryview(addr_))
        if len(address) != 6:
            raise ValueError("invalid addr")
        duration_ms = _CONNECT_MS if duration_ms_ is None else whole(duration_ms_)
        shortest = whole(shortest_us_) // 1250 if shortest_us_ else 24
        longest = whole(longest_us_) // 1250 if longest_us_ else 40
        if not self._active:
            _fail(errno.ENODEV)
        self._stop_scan()
        if self._connecting:
            _fail(errno.EALREADY)
        if len(self._links) >= _CONNECTIONS:
            _fail(errno.ENOMEM)
        if kind > 3:
            _fail(errno.EINVAL)
        if any(link[1:] == (kind, address) for link in self._links.values()):
            _fail(errno.EIO)
        if not 6 <= shortest <= longest <= 3200 or 5 * longest >= 2 * _SUPERVISION_MS:
            _fail(_BAD_PARAMETER)
        self._connecting, self._ending = True, False
        # Of the intervals allowed, the controller takes the longest.
        fields = (duration_ms or _CONNECT_MS_DEFAULT, longest * 1250, longest * 1250, _SUPERVISION_MS)
        self._send(8, "<B6sIIIH", kind, address, *fields)

    def _cancel_connect(self):
        if not self._active:
            _fail(errno.ENODEV)
        if not self._connecting or self._ending:
            _fail(errno.EALREADY)
        self._ending = True
        self._send(9)

    def gap_disconnect(self, conn_handle_):
        conn = whole(conn_handle_)
        if not self._active:
            _fail(errno.ENODEV)
        if conn not in self._links:
            return False
        if conn in self._leaving:
            _fail(errno.EALREADY)
        self._leaving.add(conn)
        self._send(10, "<H", conn)
        return True

    def gap_pair(self, conn_handle_):
        """As a build without a security manager."""
        _fail(errno.EOPNOTSUPP if whole(conn_handle_) in self._links else errno.ENOTCONN)

    def gap_passkey(self, conn_handle_, action_, passkey_):
        if whole(action_) not in (2, 3, 4):
            _fail(errno.EINVAL)
        self.gap_pair(conn_handle_)

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
        link = self._link
        begun = link.begun == link.tail
        # Before it counts as begun: on a chip events take no memory, and none is lost for that.
        event = () if begun else unpack(code, frame, size)
        link.begun = link.tail
        heard = self._note(code, frame, begun)
        handle = frame[3] | frame[4] << 8
        status = _UNLIKELY
        if not begun:
            if code == 3:
                self._attributes.store(handle, frame[6:size])
            said = self._call(code, event) if heard else None
            status = verdict(said) if code == 4 else 0
        if not self._active:
            return  # switched off by the handler
        conn = frame[1] | frame[2] << 8
        if code == 3 and frame[5]:
            self._send(16, "<HB", conn, status)
        elif code == 4:
            self._send(15, "<HB", conn, status, tail=self._attributes.value(handle))

    def _note(self, code, frame, again):
        """Keep account; False for what a program does not hear of."""
        conn = frame[1] | frame[2] << 8
        if code in (1, 7):
            self._links[conn] = (code + 1, frame[3], bytes(frame[4:10]))
            if code == 1:
                self._advertising = False
            else:
                self._connecting = False
        elif code in (2, 8):
            self._links.pop(conn, None)
            self._leaving.discard(conn)
            self._forget(conn)
            if code == 8 and conn == _NOBODY:
                self._connecting = False
        elif code == 5:
            return self._scanning
        elif code == 6:
            if self._cancelled and not again:
                self._cancelled -= 1
                return False
            self._scanning = False
        elif not again:
            self._progress(code, conn)
            if code == 20:
                # Only a peripheral hears how its indication ended.
                return self._links.get(conn, (0,))[0] == 2
        return True

    def _lost(self):
        """The air is gone: every link is, and nothing is heard until active(False), active(True)."""
        while self._links:
            conn, (code, kind, address) = self._links.popitem()
            self._forget(conn)
            self._call(code, (conn, kind, memoryview(address)))
        if self._connecting:
            self._connecting = False
            self._call(8, (_NOBODY, 0xFF, memoryview(bytes(6))))


_ble = object.__new__(BLE)
_ble._setup()
