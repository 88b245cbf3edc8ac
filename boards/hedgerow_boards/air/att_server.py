"""The server side of one ATT bearer: answers a peer's requests from the host's attribute table."""

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

from hedgerow_boards.air import att
from hedgerow_boards.air.events import MtuExchanged, ReadRequest, WriteRequest
from hedgerow_boards.air.limits import ATTRIBUTE_MAX, MTU_MIN, PREPARED_MAX

if TYPE_CHECKING:
    from hedgerow_boards.air.bearer import Bearer


_WRITES = att.PROPERTY_WRITE | att.PROPERTY_WRITE_NO_RESPONSE


def _unmet(properties: int, secure: int, authorized: int) -> int:
    """The ATT error of an access that wants a link no pairing has made here, 0 for any other."""
    if properties & secure:
        return att.INSUFFICIENT_AUTHENTICATION
    return att.INSUFFICIENT_AUTHORIZATION if properties & authorized else 0


class AttServer:
    """Discovery is answered here; reads and writes of values go to the host, one at a time."""

    def __init__(self, bearer: "Bearer") -> None:
        self._bearer = bearer
        self._waiting: tuple[int, int, int] | None = None  # opcode, handle, offset
        self._prepared: list[tuple[int, int, bytes]] = []
        self.subscriptions: dict[int, int] = {}  # CCCD handle -> bits
        self._requests: dict[int, Callable[[bytes], None]] = {
            att.MTU_REQ: self._mtu,
            att.FIND_INFO_REQ: self._find_info,
            att.FIND_VALUE_REQ: self._find_value,
            att.READ_TYPE_REQ: self._read_type,
            att.READ_REQ: self._read,
            att.READ_BLOB_REQ: self._read,
            att.READ_GROUP_REQ: self._read_group,
            att.WRITE_REQ: self._write,
            att.WRITE_CMD: self._write_command,
            att.PREPARE_REQ: self._prepare,
            att.EXECUTE_REQ: self._execute,
        }

    def receive(self, pdu: bytes) -> None:
        opcode = pdu[0]
        handler = self._requests.get(opcode)
        if handler is None:
            if not opcode & 0x40:
                self._error(opcode, 0, att.NOT_SUPPORTED)
            return
        if self._waiting is not None and opcode != att.WRITE_CMD:
            return  # a client may have one request under way only (Vol 3 Part F 3.3.2)
        try:
            handler(pdu)
        except struct.error:
            self._error(opcode, 0, att.INVALID_PDU)

    def _send(self, pdu: bytes) -> None:
        self._bearer.send(pdu)

    def _error(self, opcode: int, handle: int, code: int) -> None:
        self._send(struct.pack("<BBHB", att.ERROR_RSP, opcode, handle, code))

    # Discovery

    def _mtu(self, pdu: bytes) -> None:
        (peer,) = struct.unpack_from("<H", pdu, 1)
        bearer = self._bearer
        self._send(struct.pack("<BH", att.MTU_RSP, bearer.host.mtu))
        bearer.mtu = max(MTU_MIN, min(peer, bearer.host.mtu))
        bearer.emit(MtuExchanged(bearer.conn, bearer.mtu))

    def _pack(self, opcode: int, start: int, rows: list[bytes], header: bool) -> None:
        """Send as many equally long rows as fit, or the error that there are none."""
        if not rows:
            self._error(opcode, start, att.NOT_FOUND)
            return
        length = len(rows[0])
        room = self._bearer.mtu - (2 if header else 1)
        same = 0
        while same < len(rows) and len(rows[same]) == length and (same + 1) * length <= room:
            same += 1
        body = b"".join(rows[: max(1, same)])[:room]
        self._send(bytes([opcode + 1, length]) + body if header else bytes([opcode + 1]) + body)

    def _read_group(self, pdu: bytes) -> None:
        start, end = struct.unpack_from("<HH", pdu, 1)
        if pdu[5:] != att.PRIMARY_SERVICE:
            self._error(pdu[0], start, att.UNSUPPORTED_GROUP)
            return
        rows = self._bearer.host.table.between(start, end, att.PRIMARY_SERVICE)
        packed = [struct.pack("<HH", row.handle, row.group_end) + (row.value or b"") for row in rows]
        self._pack(pdu[0], start, packed, header=True)

    def _find_value(self, pdu: bytes) -> None:
        start, end = struct.unpack_from("<HH", pdu, 1)
        rows = self._bearer.host.table.between(start, end, pdu[5:7])
        packed = [struct.pack("<HH", row.handle, row.group_end) for row in rows if row.value == pdu[7:]]
        self._pack(pdu[0], start, packed, header=False)

    def _read_type(self, pdu: bytes) -> None:
        start, end = struct.unpack_from("<HH", pdu, 1)
        rows = self._bearer.host.table.between(start, end, pdu[5:])
        packed = [struct.pack("<H", row.handle) + row.value for row in rows if row.value is not None]
        self._pack(pdu[0], start, packed, header=True)

    def _find_info(self, pdu: bytes) -> None:
        start, end = struct.unpack_from("<HH", pdu, 1)
        rows = self._bearer.host.table.between(start, end)
        if not rows:
            self._error(pdu[0], start, att.NOT_FOUND)
            return
        length = len(rows[0].type)
        body = b""
        for row in rows:
            if len(row.type) != length or len(body) + 2 + length > self._bearer.mtu - 2:
                break
            body += struct.pack("<H", row.handle) + row.type
        self._send(bytes([att.FIND_INFO_RSP, 1 if length == 2 else 2]) + body)

    # Values

    def _read(self, pdu: bytes) -> None:
        (handle,) = struct.unpack_from("<H", pdu, 1)
        offset = struct.unpack_from("<H", pdu, 3)[0] if pdu[0] == att.READ_BLOB_REQ else 0
        row = self._bearer.host.table.by_handle.get(handle)
        if row is None:
            fault = att.INVALID_HANDLE
        elif not row.properties & att.PROPERTY_READ:
            fault = att.READ_NOT_PERMITTED
        else:
            fault = _unmet(row.properties, att.READ_SECURE, att.READ_AUTHORIZED)
        if row is None or fault:
            self._error(pdu[0], handle, fault)
            return
        self._waiting = (pdu[0], handle, offset)
        value = row.value if row.value is not None else self._stack_value(row)
        if value is None:
            self._bearer.emit(ReadRequest(self._bearer.conn, handle))
        else:
            self.reply_read(0, value)

    def _stack_value(self, row: att.Attribute) -> bytes | None:
        if row.type == att.CCCD:
            return struct.pack("<H", self.subscriptions.get(row.handle, 0))
        if row.handle >= att.FIRST_FREE_HANDLE:
            return None
        return self._bearer.host.name if row.type == att.DEVICE_NAME else b"\0\0"

    def reply_read(self, status: int, value: bytes) -> None:
        """The host's answer to ReadRequest; one that nobody waits for is ignored."""
        if self._waiting is None or self._waiting[0] not in (att.READ_REQ, att.READ_BLOB_REQ):
            return
        opcode, handle, offset = self._waiting
        self._waiting = None
        if not status and offset > len(value):
            status = att.INVALID_OFFSET
        if status:
            self._error(opcode, handle, status)
        else:
            self._send(bytes([opcode + 1]) + value[offset : offset + self._bearer.mtu - 1])

    def _write_fault(self, handle: int, length: int) -> int:
        """NimBLE does not tell writes with a response from those without."""
        row = self._bearer.host.table.by_handle.get(handle)
        if row is None:
            return att.INVALID_HANDLE
        if row.value is not None or not row.properties & _WRITES:
            return att.WRITE_NOT_PERMITTED
        fault = _unmet(row.properties, att.WRITE_SECURE, att.WRITE_AUTHORIZED)
        return fault or (att.INVALID_LENGTH if length > ATTRIBUTE_MAX else 0)

    def _write(self, pdu: bytes) -> None:
        (handle,) = struct.unpack_from("<H", pdu, 1)
        fault = self._write_fault(handle, len(pdu) - 3)
        if fault:
            self._error(pdu[0], handle, fault)
            return
        self._waiting = (pdu[0], handle, 0)
        self._deliver(handle, pdu[3:])

    def _deliver(self, handle: int, data: bytes) -> None:
        if self._bearer.host.table.by_handle[handle].type != att.CCCD:
            self._bearer.emit(WriteRequest(self._bearer.conn, handle, 1, data))
        elif len(data) == 2:
            self.subscriptions[handle] = data[0] & 3
            self.reply_write(0)
        else:
            self.reply_write(att.INVALID_LENGTH)

    def _write_command(self, pdu: bytes) -> None:
        (handle,) = struct.unpack_from("<H", pdu, 1)
        if not self._write_fault(handle, len(pdu) - 3):
            self._bearer.emit(WriteRequest(self._bearer.conn, handle, 0, pdu[3:]))

    def reply_write(self, status: int) -> None:
        """The host's answer to WriteRequest; one that nobody waits for is ignored."""
        if self._waiting is None or self._waiting[0] not in (att.WRITE_REQ, att.EXECUTE_REQ):
            return
        opcode, handle, _ = self._waiting
        self._waiting = None
        if status:
            self._error(opcode, handle, status)
        else:
            self._send(bytes([opcode + 1]))

    def _prepare(self, pdu: bytes) -> None:
        handle, offset = struct.unpack_from("<HH", pdu, 1)
        fault = self._write_fault(handle, offset + len(pdu) - 5)
        if not fault and len(self._prepared) >= PREPARED_MAX:
            fault = att.PREPARE_QUEUE_FULL
        if fault:
            self._error(pdu[0], handle, fault)
            return
        self._prepared.append((handle, offset, pdu[5:]))
        self._send(bytes([att.PREPARE_RSP]) + pdu[1:])

    def _execute(self, pdu: bytes) -> None:
        (flags,) = struct.unpack_from("<B", pdu, 1)
        parts, self._prepared = self._prepared, []
        if not flags or not parts:
            self._send(bytes([att.EXECUTE_RSP]))
            return
        handle, value = parts[0][0], b""
        for part_handle, offset, data in parts:
            if part_handle != handle or offset != len(value):
                self._error(pdu[0], part_handle, att.INVALID_OFFSET)
                return
            value += data
        self._waiting = (pdu[0], handle, 0)
        self._deliver(handle, value)
