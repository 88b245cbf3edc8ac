"""The attributes of a board's GATT server: what a program registers, and the values."""

import errno
import struct

from _air_events import verdict
from _air_values import UUID, raw_bytes, whole
from micropython import const

_SERVICES = const(8)
_VALUE_DEFAULT = const(20)
# What the stack's own services leave; their characteristics have values here that nobody reads.
_FIRST_HANDLE = const(10)
_STACK_VALUES = (3, 5, 8)
_BUFFERS = const(16)
_NOBODY = const(0xFFFF)
_E2BIG = const(7)
_EBUSY = const(16)
# NimBLE's code for a value that the program does not let the stack read.
_APPLICATION = const(-9)
_NOTIFY_OR_INDICATE = const(0x30)
_READ = const(0x02)
_WRITE = const(0x08)
_WRITES = const(0x0C)
_CCCD = b"\x02\x29"
_NO_VALUE = (b"", 0, 1)


class Attributes:
    """`values`: attribute handle -> [buffer, length, factor of the length after a read]."""

    def __init__(self):
        self.values = {}
        self.last = _FIRST_HANDLE - 1

    def reset(self):
        """Only the stack's own."""
        self.values = {handle: [bytearray(_VALUE_DEFAULT), 0, 1] for handle in _STACK_VALUES}
        self.last = _FIRST_HANDLE - 1

    def _find(self, handle):
        entry = self.values.get(handle)
        if entry is None:
            raise OSError(errno.EINVAL)
        return entry

    def value(self, handle):
        """What it holds, as bytes; b"" for one that is not there."""
        entry = self.values.get(handle, _NO_VALUE)
        return raw_bytes(memoryview(entry[0])[: entry[1]])

    def read(self, handle):
        entry = self._find(handle)
        # One straight line: a write cannot come in between, and be lost with an append buffer's reset.
        data = bytes(memoryview(entry[0])[: entry[1]])
        entry[1] *= entry[2]
        return data

    def write(self, handle, data):
        entry = self._find(handle)
        if len(data) > len(entry[0]):
            entry[0] = bytearray(len(data))
        entry[0][: len(data)] = data
        entry[1] = len(data)

    def set_buffer(self, handle, length, append):
        entry = self._find(handle)
        entry[:] = [bytearray(length), 0, 0 if append else 1]

    def store(self, handle, data):
        """A peer's write: cut to the buffer without a word, at the start unless it appends."""
        entry = self.values.get(handle)
        if entry:
            start = 0 if entry[2] else entry[1]
            end = min(len(entry[0]), start + len(data))
            if end > start:
                entry[0][start:end] = data[: end - start]
            entry[1] = end

    def register(self, services):
        """Replace them all. Returns the table for the air and the handles for the program.

        What is wrong with one leaves none of them. Raises ValueError, TypeError, OSError(E2BIG).
        """
        count = len(services)
        self.values = {}
        self.last = _FIRST_HANDLE - 1
        builder = _Builder()
        handles = []
        for service in services:
            handles.append(builder.service(_array(service, 2)))
            if len(handles) > _SERVICES:
                raise OSError(_E2BIG)
        del handles[count:]
        self.reset()
        for handle in builder.held:
            self.values[handle] = [bytearray(_VALUE_DEFAULT), 0, 1]
        self.last = builder.handle - 1
        return b"".join(builder.table), tuple(handles)


def _fail(code):
    raise OSError(code)


class Server:
    """The calls of `bluetooth.BLE` for a GATT server; base of BLE, which has the state of the radio."""

    def _reset_server(self):
        self._attributes = Attributes()
        self._attributes.reset()
        self._sent = self._completed = 0  # values that took a buffer, and that left it

    def gatts_register_services(self, services_):
        len(services_)
        if not self._active:
            _fail(errno.ENODEV)
        if self._advertising or self._scanning or self._connecting or self._links:
            _fail(_EBUSY)
        table = b""
        try:
            table, handles = self._attributes.register(services_)
        finally:
            self._send(11, tail=table)
        return handles

    def _attribute(self, value_handle):
        handle = whole(value_handle)
        if not self._active:
            _fail(errno.ENODEV)
        return handle

    def gatts_read(self, value_handle_):
        return self._attributes.read(self._attribute(value_handle_))

    def gatts_write(self, value_handle_, data_, send_update_=False):
        data = memoryview(data_)
        handle = self._attribute(value_handle_)
        self._attributes.write(handle, data)
        if send_update_ and self._free_buffers() > 0:
            self._sent += 1
            self._send(14, "<H", handle, tail=raw_bytes(data))
        return len(data)

    def gatts_set_buffer(self, value_handle_, len_, append_=False):
        self._attributes.set_buffer(self._attribute(value_handle_), whole(len_), append_)

    def _free_buffers(self):
        return _BUFFERS - (self._sent - self._completed & 0xFFFF)

    def _take_buffer(self):
        if self._free_buffers() <= 0:
            _fail(errno.ENOMEM)
        self._sent += 1

    def _tell(self, code, conn_handle, value_handle, data):
        conn, handle = whole(conn_handle), self._attribute(value_handle)
        if data is None:
            # The stack reads the value as a peer would, whose connection is nobody's.
            if handle > self._attributes.last:
                _fail(_APPLICATION)
            if handle in self._attributes.values and verdict(self._call(4, (_NOBODY, handle))):
                _fail(_APPLICATION)
            data = self._attributes.value(handle)
        else:
            data = raw_bytes(data)
        if self._free_buffers() <= 0:
            _fail(errno.ENOMEM)
        if code == 13:
            self._begin(conn)
        elif conn not in self._links:
            _fail(errno.ENOTCONN)
        self._take_buffer()
        self._send(code, "<HH", conn, handle, tail=data)

    def gatts_notify(self, conn_handle_, value_handle_, data_=None):
        self._tell(12, conn_handle_, value_handle_, data_)

    def gatts_indicate(self, conn_handle_, value_handle_, data_=None):
        self._tell(13, conn_handle_, value_handle_, data_)


class _Builder:
    def __init__(self):
        self.handle = _FIRST_HANDLE
        self.table = []
        self.held = []

    def _add(self, kind, properties, uuid):
        uuid = bytes(uuid)
        self.table.append(struct.pack("<BHHB", kind, self.handle, properties & 0xFFFF, len(uuid)) + uuid)

    def service(self, parts):
        _check(parts[0], "service")
        self._add(0, 0, parts[0])
        len(parts[1])
        found = []
        for characteristic in parts[1]:
            items = _array(characteristic)
            if not 2 <= len(items) <= 3:
                raise ValueError("invalid characteristic tuple")
            _check(items[0], "characteristic")
            flags = whole(items[1])
            self.handle += 2
            self._add(1, flags, items[0])
            self._hold(found)
            if flags & _NOTIFY_OR_INDICATE:
                self.handle += 1
                self._add(2, _READ | _WRITE, _CCCD)
            if len(items) == 3:
                len(items[2])
                for descriptor in items[2]:
                    self._descriptor(_array(descriptor, 2), found)
        self.handle += 1
        return tuple(found)

    def _descriptor(self, items, found):
        _check(items[0], "descriptor")
        flags = whole(items[1])
        self.handle += 1
        # No security on descriptors; either kind of write allows both.
        self._add(2, flags & _READ | (_WRITES if flags & _WRITES else 0), items[0])
        self._hold(found)

    def _hold(self, found):
        self.held.append(self.handle)
        found.append(self.handle)


def _array(value, size=None):
    if not isinstance(value, (tuple, list)):
        raise TypeError(f"object '{type(value).__name__}' isn't a tuple or list")
    if size is not None and len(value) != size:
        raise ValueError(f"requested length {size} but object has length {len(value)}")
    return value


def _check(uuid, what):
    if not isinstance(uuid, UUID):
        raise ValueError(f"invalid {what} UUID")
