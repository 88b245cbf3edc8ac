"""Events, from the air to a host; 1 to 27 carry the numbers of MicroPython's `bluetooth` IRQ events."""

from dataclasses import dataclass

from hedgerow_boards.air.messages import Message


@dataclass(slots=True)
class CentralConnected(Message):
    """A central has connected to this host."""

    CODE = 1
    FORMAT = "<HB6s"
    conn: int
    address_type: int
    address: bytes


@dataclass(slots=True)
class CentralDisconnected(Message):
    CODE = 2
    FORMAT = "<HB6sB"
    conn: int
    address_type: int
    address: bytes
    reason: int


@dataclass(slots=True)
class WriteRequest(Message):
    """A peer wrote; `reply` 1 asks for a WriteReply."""

    CODE = 3
    FORMAT = "<HHB"
    TAIL = True
    conn: int
    handle: int
    reply: int
    data: bytes


@dataclass(slots=True)
class ReadRequest(Message):
    CODE = 4
    FORMAT = "<HH"
    conn: int
    handle: int


@dataclass(slots=True)
class ScanResult(Message):
    CODE = 5
    FORMAT = "<B6sBb"
    TAIL = True
    address_type: int
    address: bytes
    adv_type: int
    rssi: int
    data: bytes


@dataclass(slots=True)
class ScanDone(Message):
    CODE = 6


@dataclass(slots=True)
class PeripheralConnected(Message):
    """This host, as central, has connected to a peripheral."""

    CODE = 7
    FORMAT = "<HB6s"
    conn: int
    address_type: int
    address: bytes


@dataclass(slots=True)
class PeripheralDisconnected(Message):
    CODE = 8
    FORMAT = "<HB6sB"
    conn: int
    address_type: int
    address: bytes
    reason: int


@dataclass(slots=True)
class ServiceResult(Message):
    CODE = 9
    FORMAT = "<HHH"
    TAIL = True
    conn: int
    start: int
    end: int
    uuid: bytes


@dataclass(slots=True)
class ServiceDone(Message):
    CODE = 10
    FORMAT = "<HH"
    conn: int
    status: int


@dataclass(slots=True)
class CharacteristicResult(Message):
    CODE = 11
    FORMAT = "<HHHH"
    TAIL = True
    conn: int
    end: int
    value_handle: int
    properties: int
    uuid: bytes


@dataclass(slots=True)
class CharacteristicDone(Message):
    CODE = 12
    FORMAT = "<HH"
    conn: int
    status: int


@dataclass(slots=True)
class DescriptorResult(Message):
    CODE = 13
    FORMAT = "<HH"
    TAIL = True
    conn: int
    handle: int
    uuid: bytes


@dataclass(slots=True)
class DescriptorDone(Message):
    CODE = 14
    FORMAT = "<HH"
    conn: int
    status: int


@dataclass(slots=True)
class ReadResult(Message):
    CODE = 15
    FORMAT = "<HH"
    TAIL = True
    conn: int
    handle: int
    data: bytes


@dataclass(slots=True)
class ReadDone(Message):
    CODE = 16
    FORMAT = "<HHH"
    conn: int
    handle: int
    status: int


@dataclass(slots=True)
class WriteDone(Message):
    CODE = 17
    FORMAT = "<HHH"
    conn: int
    handle: int
    status: int


@dataclass(slots=True)
class Notification(Message):
    CODE = 18
    FORMAT = "<HH"
    TAIL = True
    conn: int
    handle: int
    data: bytes


@dataclass(slots=True)
class Indication(Message):
    CODE = 19
    FORMAT = "<HH"
    TAIL = True
    conn: int
    handle: int
    data: bytes


@dataclass(slots=True)
class IndicateDone(Message):
    CODE = 20
    FORMAT = "<HHH"
    conn: int
    handle: int
    status: int


@dataclass(slots=True)
class MtuExchanged(Message):
    CODE = 21
    FORMAT = "<HH"
    conn: int
    mtu: int


@dataclass(slots=True)
class ConnectionUpdated(Message):
    """In units of 1.25 ms and 10 ms; `latency` in connection events."""

    CODE = 27
    FORMAT = "<HHHHH"
    conn: int
    interval: int
    latency: int
    supervision: int
    status: int


@dataclass(slots=True)
class Credits(Message):
    """Notifications, indications and write commands that have left the buffers since Hello, modulo 65536."""

    CODE = 40
    FORMAT = "<H"
    completed: int


@dataclass(slots=True)
class Controlled(Message):
    """The answer to a Control, as JSON."""

    CODE = 60
    TAIL = True
    answer: bytes
