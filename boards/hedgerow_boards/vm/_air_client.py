"""The calls of `bluetooth.BLE` for a GATT client, and the account of procedures under way."""

import errno

from _air_values import UUID, raw_bytes, whole
from micropython import const

_PROCEDURES = const(4)
_EBUSY = const(16)
_INDICATE_DONE = const(20)
_MTU_EXCHANGED = const(21)
_CHARACTERISTIC_DONE = const(12)
# What ends a procedure of the client, or an indication.
_DONE = (10, 12, 14, 16, 17, _INDICATE_DONE)


def _fail(code):
    raise OSError(code)


class Client:
    """Base of BLE, which has `_active`, `_links`, `_send` and `_take_buffer`."""

    def _reset_client(self):
        self._procedures = {}  # connection handle -> procedures under way
        self._met = {}  # connections whose MTU was exchanged -> whether our request is under way
        self._discovering = None  # whose characteristics

    # Account

    def _begin(self, conn):
        """Take one of the stack's procedures, which are few."""
        if sum(self._procedures.values()) >= _PROCEDURES:
            _fail(errno.ENOMEM)
        if conn not in self._links:
            _fail(errno.ENOTCONN)
        self._procedures[conn] = self._procedures.get(conn, 0) + 1

    def _progress(self, code, conn):
        if code == _MTU_EXCHANGED:
            if self._met.get(conn):
                self._end(conn)
            self._met[conn] = False
        elif code in _DONE:
            self._end(conn)
            if code == _CHARACTERISTIC_DONE and self._discovering == conn:
                self._discovering = None

    def _end(self, conn):
        if self._procedures.get(conn):
            self._procedures[conn] -= 1

    def _forget(self, conn):
        self._procedures.pop(conn, None)
        self._met.pop(conn, None)
        if self._discovering == conn:
            self._discovering = None

    # Calls

    def _ask(self, code, conn_handle, form="<H", *fields, tail=b""):
        conn = whole(conn_handle)
        if not self._active:
            _fail(errno.ENODEV)
        self._begin(conn)
        self._send(code, form, conn, *fields, tail=tail)

    def gattc_exchange_mtu(self, conn_handle_):
        conn = whole(conn_handle_)
        if conn not in self._links:
            _fail(errno.ENOTCONN)
        if conn in self._met:
            _fail(errno.EALREADY)  # once a connection, whoever began
        self._ask(18, conn)
        self._met[conn] = True

    def gattc_discover_services(self, conn_handle_, uuid_=None):
        self._ask(19, conn_handle_, tail=_filter(uuid_))

    def gattc_discover_characteristics(self, conn_handle_, start_handle_, end_handle_, uuid_=None):
        start, end, tail = whole(start_handle_), whole(end_handle_), _filter(uuid_)
        if self._active:
            if self._discovering is not None:
                _fail(_EBUSY)
            _check_range(start, end)
        self._ask(20, conn_handle_, "<HHH", start, end, tail=tail)
        self._discovering = conn_handle_

    def gattc_discover_descriptors(self, conn_handle_, start_handle_, end_handle_):
        start, end = whole(start_handle_) + 1, whole(end_handle_)
        if self._active:
            _check_range(start, end)
        self._ask(21, conn_handle_, "<HHH", start, end)

    def gattc_read(self, conn_handle_, value_handle_):
        handle = whole(value_handle_)
        if self._active:
            _check_range(handle, handle)
        self._ask(22, conn_handle_, "<HHB", handle, 0)

    def gattc_write(self, conn_handle_, value_handle_, data_, mode_=0):
        conn, handle, data, mode = whole(conn_handle_), whole(value_handle_), raw_bytes(data_), whole(mode_)
        if not self._active:
            _fail(errno.ENODEV)
        if not 0 <= mode <= 1:
            _fail(errno.EINVAL)
        if mode:
            self._begin(conn)
        else:
            self._take_buffer()
            if conn not in self._links:
                self._sent -= 1
                _fail(errno.ENOTCONN)
        self._send(23, "<HHB", conn, handle, mode, tail=data)


def _filter(uuid):
    if uuid is None:
        return b""
    if not isinstance(uuid, UUID):
        raise TypeError("UUID")
    return bytes(uuid)


def _check_range(start, end):
    if not 0 < start <= end:
        raise OSError(errno.EINVAL)
