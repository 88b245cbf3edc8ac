"""The client side of one ATT bearer: GATT procedures (Vol 3 Part G 4), one request under way at a time."""

import struct
from collections import deque
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING

from hedgerow_boards.air import att
from hedgerow_boards.air.commands import (
    DiscoverCharacteristics,
    DiscoverDescriptors,
    DiscoverServices,
    Read,
    Write,
)
from hedgerow_boards.air.events import (
    CharacteristicDone,
    CharacteristicResult,
    DescriptorDone,
    DescriptorResult,
    MtuExchanged,
    ReadDone,
    ReadResult,
    ServiceDone,
    ServiceResult,
    WriteDone,
)
from hedgerow_boards.air.limits import ATTRIBUTE_MAX, MTU_MIN, PROCEDURES_MAX
from hedgerow_boards.air.messages import (
    STATUS_ATT,
    STATUS_OUT_OF_MEMORY,
    WRITE_LONG,
    Message,
)

if TYPE_CHECKING:
    from hedgerow_boards.air.bearer import Bearer

# Yields request PDUs, is sent the responses, returns a status.
Procedure = Generator[bytes, bytes, int]
Finish = Callable[[int], Message | None]


class GattClient:
    def __init__(self, bearer: "Bearer") -> None:
        self._bearer = bearer
        self._queue: deque[tuple[Procedure, Finish]] = deque()

    def start(self, procedure: Procedure, finish: Finish) -> None:
        """Run a procedure after those under way; beyond PROCEDURES_MAX it fails with out of memory."""
        if len(self._queue) >= PROCEDURES_MAX:
            self._finish(finish, STATUS_OUT_OF_MEMORY)
            return
        self._queue.append((procedure, finish))
        if len(self._queue) == 1:
            self._resume(None)

    @property
    def busy(self) -> bool:
        return bool(self._queue)

    def receive(self, pdu: bytes) -> None:
        if self._queue:
            self._resume(pdu)

    def _resume(self, response: bytes | None) -> None:
        while self._queue:
            procedure, finish = self._queue[0]
            try:
                request = next(procedure) if response is None else procedure.send(response)
            except (StopIteration, struct.error) as stop:
                self._queue.popleft()
                response = None
                done = stop.value if isinstance(stop, StopIteration) else STATUS_ATT | att.INVALID_PDU
                self._finish(finish, done)
            else:
                self._bearer.send_request(request)
                return

    def fail(self, status: int) -> None:
        """End every procedure, as when the link is gone."""
        queue, self._queue = self._queue, deque()
        for procedure, finish in queue:
            procedure.close()
            self._finish(finish, status)

    def _finish(self, finish: Finish, status: int) -> None:
        event = finish(status)
        if event is not None:
            self._bearer.emit(event)

    # Procedures

    def exchange_mtu(self) -> None:
        self.start(self._exchange_mtu(), lambda status: None)

    def _exchange_mtu(self) -> Procedure:
        bearer = self._bearer
        response = yield struct.pack("<BH", att.MTU_REQ, bearer.host.mtu)
        if response[0] != att.MTU_RSP:
            return _status(response)
        bearer.mtu = max(MTU_MIN, min(bearer.host.mtu, struct.unpack_from("<H", response, 1)[0]))
        bearer.emit(MtuExchanged(bearer.conn, bearer.mtu))
        return 0

    def discover_services(self, command: DiscoverServices) -> None:
        self.start(self._services(command.uuid), lambda status: ServiceDone(command.conn, status))

    def _services(self, uuid: bytes) -> Procedure:
        start = 1
        while start <= 0xFFFF:
            if uuid:
                request = struct.pack("<BHH", att.FIND_VALUE_REQ, start, 0xFFFF) + att.PRIMARY_SERVICE + uuid
            else:
                request = struct.pack("<BHH", att.READ_GROUP_REQ, start, 0xFFFF) + att.PRIMARY_SERVICE
            response = yield request
            if response[0] == att.ERROR_RSP:
                return _end_of_list(response)
            size = 4 if uuid else response[1]
            for at in range(1 if uuid else 2, len(response) - 3, size):
                first, last = struct.unpack_from("<HH", response, at)
                self._bearer.emit(
                    ServiceResult(self._bearer.conn, first, last, uuid or response[at + 4 : at + size])
                )
                start = last + 1
        return 0

    def discover_characteristics(self, command: DiscoverCharacteristics) -> None:
        self.start(self._characteristics(command), lambda status: CharacteristicDone(command.conn, status))

    def _characteristics(self, command: DiscoverCharacteristics) -> Procedure:
        found: list[tuple[int, int, int, bytes]] = []
        start = command.start
        status = 0
        while start <= command.end:
            response = yield struct.pack("<BHH", att.READ_TYPE_REQ, start, command.end) + att.CHARACTERISTIC
            if response[0] == att.ERROR_RSP:
                status = _end_of_list(response)
                break
            size = response[1]
            for at in range(2, len(response) - 4, size):
                handle, properties, value = struct.unpack_from("<HBH", response, at)
                found.append((handle, properties, value, response[at + 5 : at + size]))
                start = handle + 1
        ends = [row[0] - 1 for row in found[1:]] + [command.end]
        for (_, properties, value, uuid), end in zip(found, ends, strict=False):
            if command.uuid in (b"", uuid):
                self._bearer.emit(CharacteristicResult(self._bearer.conn, end, value, properties, uuid))
        return status

    def discover_descriptors(self, command: DiscoverDescriptors) -> None:
        self.start(self._descriptors(command), lambda status: DescriptorDone(command.conn, status))

    def _descriptors(self, command: DiscoverDescriptors) -> Procedure:
        start = command.start
        while start <= command.end:
            response = yield struct.pack("<BHH", att.FIND_INFO_REQ, start, command.end)
            if response[0] == att.ERROR_RSP:
                return _end_of_list(response)
            size = 4 if response[1] == 1 else 18
            for at in range(2, len(response) - size + 1, size):
                (handle,) = struct.unpack_from("<H", response, at)
                uuid = response[at + 2 : at + size]
                self._bearer.emit(DescriptorResult(self._bearer.conn, handle, uuid))
                start = handle + 1
        return 0

    def read(self, command: Read) -> None:
        self.start(self._read(command), lambda status: ReadDone(command.conn, command.handle, status))

    def _read(self, command: Read) -> Procedure:
        response = yield struct.pack("<BH", att.READ_REQ, command.handle)
        if response[0] != att.READ_RSP:
            return _status(response)
        value = response[1:]
        full = self._bearer.mtu - 1
        while command.whole and len(response) - 1 == full and len(value) < ATTRIBUTE_MAX:
            response = yield struct.pack("<BHH", att.READ_BLOB_REQ, command.handle, len(value))
            if response[0] != att.READ_BLOB_RSP:
                return _status(response)
            value += response[1:]
        self._bearer.emit(ReadResult(self._bearer.conn, command.handle, value))
        return 0

    def write(self, command: Write) -> None:
        """A write request, or in WRITE_LONG mode, if it is longer than the MTU, prepared writes."""
        fits = len(command.data) <= self._bearer.mtu - 3
        long = command.mode == WRITE_LONG and not fits
        self.start(
            self._write_long(command) if long else self._write(command),
            lambda status: WriteDone(command.conn, command.handle, status),
        )

    def _write(self, command: Write) -> Procedure:
        data = command.data[: self._bearer.mtu - 3]
        response = yield struct.pack("<BH", att.WRITE_REQ, command.handle) + data
        return 0 if response[0] == att.WRITE_RSP else _status(response)

    def _write_long(self, command: Write) -> Procedure:
        step = self._bearer.mtu - 5
        for offset in range(0, len(command.data), step):
            part = command.data[offset : offset + step]
            response = yield struct.pack("<BHH", att.PREPARE_REQ, command.handle, offset) + part
            if response[0] != att.PREPARE_RSP:
                yield bytes([att.EXECUTE_REQ, 0])
                return _status(response)
        response = yield bytes([att.EXECUTE_REQ, 1])
        return 0 if response[0] == att.EXECUTE_RSP else _status(response)


def _status(response: bytes) -> int:
    """Host status of a response that is not the wanted one."""
    if response[0] == att.ERROR_RSP and len(response) >= 5:
        return STATUS_ATT | response[4]
    return STATUS_ATT | att.INVALID_PDU


def _end_of_list(response: bytes) -> int:
    status = _status(response)
    return 0 if status == STATUS_ATT | att.NOT_FOUND else status
