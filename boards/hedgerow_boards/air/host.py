"""One radio with its host stack: what a board's or a gateway's commands act on."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from hedgerow.errors import HedgerowError
from hedgerow_boards.air import att, commands, events
from hedgerow_boards.air.bearer import Bearer
from hedgerow_boards.air.codec import address_text
from hedgerow_boards.air.discovery import Advertiser, Initiator, Scanner
from hedgerow_boards.air.limits import (
    ADV_DATA_MAX,
    ADV_INTERVAL_MAX_US,
    ADV_INTERVAL_MIN_US,
    ATTRIBUTE_MAX,
    CONNECTION_INTERVAL_MAX_US,
    CONNECTION_INTERVAL_MIN_US,
    CONNECTIONS_MAX,
    LINK_PAYLOAD_MAX,
    LINK_PAYLOAD_MIN,
    MTU_MAX,
    MTU_MIN,
    NAME_MAX,
    PROTOCOL_VERSION,
    SCAN_INTERVAL_MAX_US,
    SCAN_INTERVAL_MIN_US,
    SUPERVISION_MAX_US,
    SUPERVISION_MIN_US,
    TRANSMIT_BUFFERS,
    TRANSMIT_QUEUE_MAX,
)
from hedgerow_boards.air.medium import Transmission
from hedgerow_boards.air.messages import (
    ADV_IND,
    ADV_NONCONN_IND,
    ADV_SCAN_IND,
    FIRST_START,
    NO_PEER,
    RESUMES_SCAN,
    STATUS_NOT_CONNECTED,
    WRITE_COMMAND,
    WRITE_LONG,
    Message,
)

if TYPE_CHECKING:
    from hedgerow_boards.air.model import AirModel


class HostSink(Protocol):
    """Where a host's events go."""

    def emit(self, event: Message) -> None: ...

    def ready(self) -> bool:
        """Whether there is room for another attribute PDU or connection."""

    def report_room(self) -> bool:
        """Whether an advertising report buffer is free."""


def _require(condition: bool, what: str, value: object, code: str = "AIR_PARAMETER") -> None:
    if not condition:
        raise HedgerowError(code, f"{what}: {value}")


class Host:
    """Made by `AirModel.join` from a Hello; `handle` takes every later command."""

    def __init__(self, model: "AirModel", hello: commands.Hello, sink: HostSink) -> None:
        _require(hello.version == PROTOCOL_VERSION, "version", hello.version, "AIR_VERSION")
        _require(LINK_PAYLOAD_MIN <= hello.link_payload <= LINK_PAYLOAD_MAX, "payload", hello.link_payload)
        _require(1 <= hello.connections <= CONNECTIONS_MAX, "connections", hello.connections)
        self.model = model
        self.address = address_text(hello.address)
        self.shown = (hello.address_type, hello.address)  # what others see it as
        self.link_payload = hello.link_payload
        self.links: dict[int, Bearer] = {}
        self.advertiser: Advertiser | None = None
        self.scanner: Scanner | None = None
        self.initiator: Initiator | None = None
        self.table = att.build_table(b"")
        self.busy = (0, 0)  # when its radio was last taken by a connection event or a scan response
        self.present = True
        self._connections = hello.connections
        self._resumes_scan = bool(hello.flags & RESUMES_SCAN)
        model.faults.begin(self.address, bool(hello.flags & FIRST_START))
        self._sink = sink
        self._taken = self._completed = self._reported = 0
        self._configure(commands.Configure(hello.mtu, hello.name))
        self._commands: dict[type[Message], Callable[[Any], None]] = {
            commands.Bye: lambda _: self.leave(orderly=True),
            commands.Configure: self._configure,
            commands.Advertise: self._advertise,
            commands.StopAdvertising: lambda _: self.stop_advertising(),
            commands.Scan: self._scan,
            commands.StopScan: lambda _: self._stop_scan(),
            commands.SetAddress: self._set_address,
            commands.Connect: self._connect,
            commands.CancelConnect: lambda _: self._connect_failed(),
            commands.Disconnect: self._disconnect,
            commands.UpdateConnection: self._update_connection,
            commands.Services: self._services,
            commands.Notify: self._notify,
            commands.Indicate: self._indicate,
            commands.Update: self._update,
            commands.ReadReply: self._read_reply,
            commands.WriteReply: self._write_reply,
            commands.ExchangeMtu: self._exchange_mtu,
            commands.DiscoverServices: self._discover_services,
            commands.DiscoverCharacteristics: self._discover_characteristics,
            commands.DiscoverDescriptors: self._discover_descriptors,
            commands.Read: self._read,
            commands.Write: self._write,
        }

    def handle(self, command: Message) -> None:
        """Obey one command. Raises HedgerowError, and has changed nothing, for one that cannot be obeyed."""
        action = self._commands.get(type(command))
        if action is None:
            raise HedgerowError("AIR_MESSAGE_UNEXPECTED", type(command).__name__)
        action(command)

    # What the model asks and tells

    def emit(self, event: Message) -> None:
        if self.present:
            self._sink.emit(event)

    def ready(self) -> bool:
        return self._sink.ready()

    def report_room(self) -> bool:
        return self._sink.report_room()

    def has_room(self) -> bool:
        return len(self.links) < self._connections

    def free_handle(self) -> int:
        return next(conn for conn in range(CONNECTIONS_MAX) if conn not in self.links)

    def is_busy(self, packet: Transmission) -> bool:
        return packet.start < self.busy[1] and packet.end > self.busy[0]

    def complete(self) -> None:
        """One PDU that held a transmit buffer has left it."""
        self._completed += 1

    def report_credits(self) -> None:
        if self._completed != self._reported:
            self._reported = self._completed
            self.emit(events.Credits(self._completed & 0xFFFF))

    def link_made(self, bearer: Bearer) -> None:
        self.links[bearer.conn] = bearer
        bearer.peer_shown = bearer.peer.host.shown
        kind = events.PeripheralConnected if bearer.central else events.CentralConnected
        if bearer.central:
            self._end_initiating()
        else:
            self.stop_advertising()
        self.emit(kind(bearer.conn, *bearer.peer_shown))

    def link_lost(self, bearer: Bearer, reason: int) -> None:
        kind = events.PeripheralDisconnected if bearer.central else events.CentralDisconnected
        self.report_credits()
        self.emit(kind(bearer.conn, *bearer.peer_shown, reason))

    def leave(self, orderly: bool) -> None:
        """The radio goes off: with orderly links are terminated, else peers find out by supervision."""
        if not self.present:
            return
        self.stop_advertising()
        self._cancel_scan()
        self._end_initiating()
        if orderly:
            for bearer in list(self.links.values()):
                bearer.link.terminate(bearer)
                bearer.link.finish_termination()
        self.present = False
        self.model.left(self)

    # Advertising, scanning, connecting

    def _configure(self, command: commands.Configure) -> None:
        _require(MTU_MIN <= command.mtu <= MTU_MAX, "mtu", command.mtu)
        _require(len(command.name) <= NAME_MAX, "name", len(command.name))
        self.mtu = command.mtu
        self.name = command.name

    def _advertise(self, command: commands.Advertise) -> None:
        adv_data, response = command.data[: command.adv_length], command.data[command.adv_length :]
        _require(command.kind in (ADV_IND, ADV_SCAN_IND, ADV_NONCONN_IND), "advertising kind", command.kind)
        _require(
            ADV_INTERVAL_MIN_US <= command.interval_us <= ADV_INTERVAL_MAX_US,
            "advertising interval",
            command.interval_us,
        )
        _require(max(len(adv_data), len(response)) <= ADV_DATA_MAX, "advertising data", len(command.data))
        self.stop_advertising()
        self.advertiser = Advertiser(self, command.kind, command.interval_us, adv_data, response)

    def stop_advertising(self) -> None:
        if self.advertiser:
            self.advertiser.stop()
            self.advertiser = None

    def _set_address(self, command: commands.SetAddress) -> None:
        self.shown = (command.address_type, command.address)

    def _scan(self, command: commands.Scan) -> None:
        interval, window = command.interval_us, command.window_us
        _require(
            SCAN_INTERVAL_MIN_US <= window <= interval <= SCAN_INTERVAL_MAX_US,
            "scan window",
            (window, interval),
        )
        _require(self.initiator is None or self._resumes_scan, "scan", self.address, "AIR_CONNECTING")
        self._cancel_scan()
        self.model.faults.scan(self.address)
        now = self.model.timeline.now
        self.scanner = Scanner(now, interval, window, bool(command.active), bool(command.filter_duplicates))
        if command.duration_ms:
            self.scanner.timer = self.model.timeline.after(command.duration_ms * 1000, self._stop_scan)
        self.model.listens(self)

    def _cancel_scan(self) -> bool:
        scanner, self.scanner = self.scanner, None
        if scanner and scanner.timer:
            scanner.timer.cancel()
        self.model.listens(self)
        return scanner is not None

    def _stop_scan(self) -> None:
        if self._cancel_scan():
            self.emit(events.ScanDone())

    def _connect(self, command: commands.Connect) -> None:
        interval, longest = command.interval_min_us, command.interval_max_us
        _require(
            CONNECTION_INTERVAL_MIN_US <= interval <= longest <= CONNECTION_INTERVAL_MAX_US,
            "connection interval",
            (interval, longest),
        )
        supervision = command.supervision_ms * 1000
        _require(SUPERVISION_MIN_US <= supervision <= SUPERVISION_MAX_US, "supervision", supervision)
        _require(self.initiator is None, "connect", self.address, "AIR_CONNECTING")
        if not self._resumes_scan:
            self._stop_scan()
        timeline = self.model.timeline
        target = (command.address_type, command.address)
        self.initiator = Initiator.towards(target, timeline.now, interval, supervision)
        self.initiator.timer = timeline.after(command.duration_ms * 1000, self._connect_failed)
        self.model.listens(self)

    def _end_initiating(self) -> bool:
        initiator, self.initiator = self.initiator, None
        if initiator and initiator.timer:
            initiator.timer.cancel()
        self.model.listens(self)
        return initiator is not None

    def _connect_failed(self) -> None:
        if self._end_initiating():
            self.emit(events.PeripheralDisconnected(NO_PEER, 0xFF, bytes(6), 0))

    def _disconnect(self, command: commands.Disconnect) -> None:
        bearer = self.links.get(command.conn)
        if bearer:
            bearer.link.terminate(bearer)

    def _update_connection(self, command: commands.UpdateConnection) -> None:
        interval, supervision = command.interval_us, command.supervision_ms * 1000
        _require(
            CONNECTION_INTERVAL_MIN_US <= interval <= CONNECTION_INTERVAL_MAX_US,
            "connection interval",
            interval,
        )
        _require(SUPERVISION_MIN_US <= supervision <= SUPERVISION_MAX_US, "supervision", supervision)
        bearer = self.links.get(command.conn)
        if bearer and bearer.central:
            bearer.link.update(interval, command.latency, supervision)

    # GATT server

    def _services(self, command: commands.Services) -> None:
        self.table = att.build_table(command.table)

    def _take_buffer(self) -> None:
        _require(
            self._taken - self._completed < TRANSMIT_BUFFERS, "transmit buffers", self._taken, "AIR_BUFFER"
        )
        self._taken += 1

    def _bearer_for(self, command: Any) -> Bearer | None:
        """The link of a command that takes a transmit buffer; if it is gone, the buffer is given back."""
        _require(len(command.data) <= ATTRIBUTE_MAX, "value length", len(command.data))
        self._take_buffer()
        bearer = self.links.get(command.conn)
        if bearer is None:
            self.complete()
            self.report_credits()
        return bearer

    def _notify(self, command: commands.Notify) -> None:
        bearer = self._bearer_for(command)
        if bearer:
            bearer.notify(command.handle, command.data)

    def _indicate(self, command: commands.Indicate) -> None:
        bearer = self._bearer_for(command)
        if bearer:
            bearer.indicate(command.handle, command.data)

    def _update(self, command: commands.Update) -> None:
        """Send a value to every subscriber whose queue has room; the others miss it."""
        _require(len(command.data) <= ATTRIBUTE_MAX, "value length", len(command.data))
        self._take_buffer()
        descriptor = self.table.cccd_of(command.handle)
        for bearer in self.links.values():
            bits = bearer.server.subscriptions.get(descriptor, 0)
            if bits and len(bearer.queue) < TRANSMIT_QUEUE_MAX:
                send = bearer.notify if bits & 1 else bearer.indicate
                send(command.handle, command.data, counted=False)
        self.complete()
        self.report_credits()

    def _read_reply(self, command: commands.ReadReply) -> None:
        bearer = self.links.get(command.conn)
        if bearer:
            bearer.server.reply_read(command.status, command.data[:ATTRIBUTE_MAX])

    def _write_reply(self, command: commands.WriteReply) -> None:
        bearer = self.links.get(command.conn)
        if bearer:
            bearer.server.reply_write(command.status)

    # GATT client

    def _exchange_mtu(self, command: commands.ExchangeMtu) -> None:
        bearer = self.links.get(command.conn)
        if bearer:
            bearer.client.exchange_mtu()

    def _discover_services(self, command: commands.DiscoverServices) -> None:
        bearer = self.links.get(command.conn)
        if bearer:
            bearer.client.discover_services(command)
        else:
            self.emit(events.ServiceDone(command.conn, STATUS_NOT_CONNECTED))

    def _discover_characteristics(self, command: commands.DiscoverCharacteristics) -> None:
        bearer = self.links.get(command.conn)
        if bearer:
            bearer.client.discover_characteristics(command)
        else:
            self.emit(events.CharacteristicDone(command.conn, STATUS_NOT_CONNECTED))

    def _discover_descriptors(self, command: commands.DiscoverDescriptors) -> None:
        bearer = self.links.get(command.conn)
        if bearer:
            bearer.client.discover_descriptors(command)
        else:
            self.emit(events.DescriptorDone(command.conn, STATUS_NOT_CONNECTED))

    def _read(self, command: commands.Read) -> None:
        bearer = self.links.get(command.conn)
        if bearer:
            bearer.client.read(command)
        else:
            self.emit(events.ReadDone(command.conn, command.handle, STATUS_NOT_CONNECTED))

    def _write(self, command: commands.Write) -> None:
        _require(WRITE_COMMAND <= command.mode <= WRITE_LONG, "write mode", command.mode)
        if command.mode == WRITE_COMMAND:
            bearer = self._bearer_for(command)
            if bearer:
                bearer.write_command(command.handle, command.data)
            return
        _require(len(command.data) <= ATTRIBUTE_MAX, "value length", len(command.data))
        bearer = self.links.get(command.conn)
        if bearer:
            bearer.client.write(command)
        else:
            self.emit(events.WriteDone(command.conn, command.handle, STATUS_NOT_CONNECTED))
