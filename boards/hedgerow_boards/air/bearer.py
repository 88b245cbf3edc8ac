"""One host's end of a link: L2CAP segmentation, its transmit queue, and the ATT bearer on it."""

import struct
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from hedgerow_boards.air import att
from hedgerow_boards.air.att_server import AttServer
from hedgerow_boards.air.events import IndicateDone, Indication, Notification
from hedgerow_boards.air.gatt_client import GattClient
from hedgerow_boards.air.limits import ATT_TIMEOUT_US, MTU_MIN
from hedgerow_boards.air.messages import STATUS_NOT_CONNECTED, STATUS_TIMEOUT, Message
from hedgerow_boards.air.timeline import Timer

if TYPE_CHECKING:
    from hedgerow_boards.air.host import Host
    from hedgerow_boards.air.link import Link

_L2CAP_ATT = 4
_SERVER_OPCODES = frozenset((0x02, 0x04, 0x06, 0x08, 0x0A, 0x0C, 0x0E, 0x10, 0x12, 0x16, 0x18, 0x52))


class Packet(NamedTuple):
    """A link-layer data packet. `counted`: the last of a PDU that holds one of the host's buffers."""

    data: bytes
    start: bool
    counted: bool


class Bearer:
    """`conn` is the host's handle of the link; `central` whether the host is the central of it."""

    def __init__(self, host: "Host", link: "Link", conn: int, central: bool, payload: int) -> None:
        self.host = host
        self.link = link
        self.conn = conn
        self.central = central
        self.mtu = MTU_MIN
        self.queue: deque[Packet] = deque()
        self.peer: Bearer
        self.peer_shown: tuple[int, bytes]
        self.server = AttServer(self)
        self.client = GattClient(self)
        self._payload = payload
        self._partial = b""
        self._timer: Timer | None = None
        self._indications: deque[tuple[int, bytes, bool]] = deque()

    def emit(self, event: Message) -> None:
        self.host.emit(event)

    # Sending

    def send(self, pdu: bytes, counted: bool = False) -> None:
        """Queue a PDU, cut to the MTU. `counted`: it holds one of the host's transmit buffers."""
        pdu = pdu[: self.mtu]
        frame = struct.pack("<HH", len(pdu), _L2CAP_ATT) + pdu
        step = self._payload
        for at in range(0, len(frame), step):
            self.queue.append(Packet(frame[at : at + step], at == 0, counted and at + step >= len(frame)))

    def send_request(self, pdu: bytes) -> None:
        self.send(pdu)
        self._guard()

    def _guard(self) -> None:
        """(Re)start the transaction timer (Vol 3 Part F 3.3.3); when it fires the bearer is dead."""
        if self._timer:
            self._timer.cancel()
        self._timer = self.host.model.timeline.after(ATT_TIMEOUT_US, self._expire)

    def _expire(self) -> None:
        self.client.fail(STATUS_TIMEOUT)
        self.link.terminate(self)

    def notify(self, handle: int, data: bytes, counted: bool = True) -> None:
        self.send(struct.pack("<BH", att.NOTIFY, handle) + data, counted)

    def write_command(self, handle: int, data: bytes) -> None:
        self.send(struct.pack("<BH", att.WRITE_CMD, handle) + data, counted=True)

    def indicate(self, handle: int, data: bytes, counted: bool = True) -> None:
        """Queue an indication; the next one goes out when this one is confirmed."""
        self._indications.append((handle, data, counted))
        if len(self._indications) == 1:
            self._indicate_next()

    def _indicate_next(self) -> None:
        handle, data, counted = self._indications[0]
        self.send(struct.pack("<BH", att.INDICATE, handle) + data, counted)
        self._guard()

    def _confirmed(self) -> None:
        if self._indications:
            handle, _, _ = self._indications.popleft()
            self.emit(IndicateDone(self.conn, handle, 0))
        self._settle()
        if self._indications:
            self._indicate_next()

    def _settle(self) -> None:
        if self._timer and not self.client.busy and not self._indications:
            self._timer.cancel()
            self._timer = None

    # Receiving

    def receive(self, packet: Packet) -> None:
        self._partial = packet.data if packet.start else self._partial + packet.data
        frame = self._partial
        if len(frame) < 4:
            return
        length, channel = struct.unpack_from("<HH", frame)
        if len(frame) < 4 + length:
            return
        self._partial = b""
        if channel == _L2CAP_ATT and length:
            self._receive_pdu(frame[4 : 4 + length])

    def _receive_pdu(self, pdu: bytes) -> None:
        opcode = pdu[0]
        if opcode in _SERVER_OPCODES:
            self.server.receive(pdu)
        elif opcode == att.CONFIRM:
            self._confirmed()
        elif opcode in (att.NOTIFY, att.INDICATE):
            if len(pdu) >= 3:
                handle = pdu[1] | pdu[2] << 8
                kind = Notification if opcode == att.NOTIFY else Indication
                self.emit(kind(self.conn, handle, pdu[3:]))
            if opcode == att.INDICATE:
                self.send(bytes([att.CONFIRM]))
        else:
            self.client.receive(pdu)
            self._settle()

    def close(self) -> None:
        """The link is gone: free the buffers and fail what waits for an answer."""
        if self._timer:
            self._timer.cancel()
        for packet in self.queue:
            if packet.counted:
                self.host.complete()
        self.queue.clear()
        waiting, self._indications = self._indications, deque()
        for place, (handle, _, counted) in enumerate(waiting):
            if place and counted:
                self.host.complete()
            self.emit(IndicateDone(self.conn, handle, STATUS_NOT_CONNECTED))
        self.client.fail(STATUS_NOT_CONNECTED)
