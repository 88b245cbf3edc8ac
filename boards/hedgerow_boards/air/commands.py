"""Commands, from a host to the air: what a host stack asks of its controller and of its GATT layer."""

from dataclasses import dataclass

from hedgerow_boards.air.messages import Message


@dataclass(slots=True)
class Hello(Message):
    """First message of a host; the flags are in messages.py.

    `slots` of `slot_size` bytes are its receive ring, 0 slots: no limit.
    """

    CODE = 1
    FORMAT = "<BBB6sHBBBB"
    TAIL = True
    version: int
    flags: int
    address_type: int
    address: bytes
    mtu: int
    link_payload: int
    connections: int
    slots: int
    slot_size: int
    name: bytes


@dataclass(slots=True)
class Bye(Message):
    """Orderly switch-off: links are terminated, not lost."""

    CODE = 2


@dataclass(slots=True)
class Configure(Message):
    CODE = 3
    FORMAT = "<H"
    TAIL = True
    mtu: int
    name: bytes


@dataclass(slots=True)
class Advertise(Message):
    """Start or replace advertising; `data` is the payload and then the scan response."""

    CODE = 4
    FORMAT = "<BIB"
    TAIL = True
    kind: int
    interval_us: int
    adv_length: int
    data: bytes


@dataclass(slots=True)
class StopAdvertising(Message):
    CODE = 5


@dataclass(slots=True)
class Scan(Message):
    """duration_ms 0 means without end."""

    CODE = 6
    FORMAT = "<BBIII"
    active: int
    filter_duplicates: int
    duration_ms: int
    interval_us: int
    window_us: int


@dataclass(slots=True)
class StopScan(Message):
    CODE = 7


@dataclass(slots=True)
class Connect(Message):
    CODE = 8
    FORMAT = "<B6sIIIH"
    address_type: int
    address: bytes
    duration_ms: int
    interval_min_us: int
    interval_max_us: int
    supervision_ms: int


@dataclass(slots=True)
class CancelConnect(Message):
    CODE = 9


@dataclass(slots=True)
class Disconnect(Message):
    CODE = 10
    FORMAT = "<H"
    conn: int


@dataclass(slots=True)
class Services(Message):
    """The whole attribute table: (kind B, handle H, properties H, uuid length B, uuid) each."""

    CODE = 11
    TAIL = True
    table: bytes


@dataclass(slots=True)
class Notify(Message):
    CODE = 12
    FORMAT = "<HH"
    TAIL = True
    conn: int
    handle: int
    data: bytes


@dataclass(slots=True)
class Indicate(Message):
    CODE = 13
    FORMAT = "<HH"
    TAIL = True
    conn: int
    handle: int
    data: bytes


@dataclass(slots=True)
class Update(Message):
    """Notify or indicate every subscribed peer of a new value."""

    CODE = 14
    FORMAT = "<H"
    TAIL = True
    handle: int
    data: bytes


@dataclass(slots=True)
class ReadReply(Message):
    CODE = 15
    FORMAT = "<HB"
    TAIL = True
    conn: int
    status: int
    data: bytes


@dataclass(slots=True)
class WriteReply(Message):
    CODE = 16
    FORMAT = "<HB"
    conn: int
    status: int


@dataclass(slots=True)
class Ack(Message):
    """Ring slots the host has freed since its Hello, modulo 65536."""

    CODE = 17
    FORMAT = "<H"
    slots: int


@dataclass(slots=True)
class ExchangeMtu(Message):
    CODE = 18
    FORMAT = "<H"
    conn: int


@dataclass(slots=True)
class DiscoverServices(Message):
    """All primary services, or those with `uuid`."""

    CODE = 19
    FORMAT = "<H"
    TAIL = True
    conn: int
    uuid: bytes


@dataclass(slots=True)
class DiscoverCharacteristics(Message):
    CODE = 20
    FORMAT = "<HHH"
    TAIL = True
    conn: int
    start: int
    end: int
    uuid: bytes


@dataclass(slots=True)
class DiscoverDescriptors(Message):
    CODE = 21
    FORMAT = "<HHH"
    conn: int
    start: int
    end: int


@dataclass(slots=True)
class Read(Message):
    """`whole` 1 goes on with blobs until the value ends, 0 takes what one response carries."""

    CODE = 22
    FORMAT = "<HHB"
    conn: int
    handle: int
    whole: int


@dataclass(slots=True)
class Write(Message):
    CODE = 23
    FORMAT = "<HHB"
    TAIL = True
    conn: int
    handle: int
    mode: int
    data: bytes


@dataclass(slots=True)
class SetAddress(Message):
    """What others see it as from now on; its place and its name in the log stay those of its Hello."""

    CODE = 24
    FORMAT = "<B6s"
    address_type: int
    address: bytes


@dataclass(slots=True)
class UpdateConnection(Message):
    """The central asks for other parameters of a link; both sides hear of it a few intervals later."""

    CODE = 25
    FORMAT = "<HIIH"
    conn: int
    interval_us: int
    latency: int
    supervision_ms: int


@dataclass(slots=True)
class Control(Message):
    """A request about the air itself, as JSON; may come without a Hello. A `Controlled` answers it."""

    CODE = 30
    TAIL = True
    request: bytes
