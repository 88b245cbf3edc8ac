"""Messages, attribute tables and GATT procedures, between two hosts in virtual time."""

import random
import struct
from dataclasses import fields

import pytest
from air_rig import CCCD_HANDLE, READABLE, SERVICE, TABLE, WRITABLE, Pair

from hedgerow.errors import HedgerowError
from hedgerow_boards.air import att, codec, commands, events
from hedgerow_boards.air.limits import FRAME_MAX, PROCEDURES_MAX
from hedgerow_boards.air.messages import (
    STATUS_ATT,
    STATUS_NOT_CONNECTED,
    STATUS_OUT_OF_MEMORY,
    STATUS_TIMEOUT,
    WRITE_COMMAND,
    WRITE_LONG,
    WRITE_REQUEST,
    Message,
)

COMMANDS = [layout.cls for layout in codec._COMMANDS.values()]
EVENTS = [layout.cls for layout in codec._EVENTS.values()]


def sample(cls: type[Message]) -> Message:
    names = [field.name for field in fields(cls)]
    values: list[object] = [bytes(range(6)) if name == "address" else 1 for name in names]
    if cls.TAIL:
        values[-1] = b"tail"
    return cls(*values)


@pytest.mark.parametrize("cls", COMMANDS + EVENTS, ids=lambda cls: cls.__name__)
def test_a_message_survives_its_frame_and_a_cut_one_is_refused(cls: type[Message]) -> None:
    decode = codec.decode_command if cls in COMMANDS else codec.decode_event
    message = sample(cls)
    frame = codec.encode(message)
    assert int.from_bytes(frame[:2], "little") == len(frame) - 2
    assert decode(frame[2:]) == message
    shortest = len(frame) - (4 if cls.TAIL else 0)
    for end in range(3, shortest):
        with pytest.raises(HedgerowError, match="AIR_MESSAGE_LENGTH"):
            decode(frame[2:end])


def test_frames_come_out_of_a_stream_cut_anywhere() -> None:
    messages = [sample(cls) for cls in COMMANDS]
    stream = b"".join(codec.encode(message) for message in messages)
    rng = random.Random(1)
    reader = codec.FrameReader()
    got = []
    while stream:
        step = rng.randrange(1, 40)
        got += [codec.decode_command(body) for body in reader.feed(stream[:step])]
        stream = stream[step:]
    assert got == messages


def test_frames_have_a_largest_size() -> None:
    with pytest.raises(HedgerowError, match="AIR_FRAME_TOO_LONG"):
        codec.encode(commands.Services(bytes(FRAME_MAX)))
    with pytest.raises(HedgerowError, match="AIR_FRAME_TOO_LONG"):
        list(codec.FrameReader().feed(b"\xff\xff"))


@pytest.mark.parametrize(
    "text", ["", "c0:00", "c0:00:00:00:00:00:00", "c0:00:00:00:00:zz", "c0:00:00:00:00:1ff"]
)
def test_addresses_are_six_octets(text: str) -> None:
    with pytest.raises(HedgerowError, match="AIR_ADDRESS"):
        codec.address_bytes(text)


@pytest.mark.parametrize(
    "table",
    [
        b"\0",
        TABLE[:-1],
        TABLE[6 + 16 :],
        struct.pack("<BHHB", 0, 9, 0, 2) + b"\1\2",
        struct.pack("<BHHB", 0, 10, 0, 3) + b"\1\2\3",
        struct.pack("<BHHB", 0, 10, 0, 2) + b"\1\2" + struct.pack("<BHHB", 1, 11, 0, 2) + b"\1\2",
        struct.pack("<BHHB", 3, 10, 0, 2) + b"\1\2",
        b"".join(struct.pack("<BHHB", 0, handle, 0, 2) + b"\1\2" for handle in range(10, 267)),
    ],
    ids=["short", "cut", "no-service", "low", "uuid", "overlap", "kind", "many"],
)
def test_a_bad_table_is_refused(table: bytes) -> None:
    with pytest.raises(HedgerowError, match="AIR_TABLE"):
        att.build_table(table)


@pytest.fixture
def pair() -> Pair:
    return Pair()


def test_discovery_finds_what_was_registered(pair: Pair) -> None:
    pair.client.handle(commands.DiscoverServices(0, b""))
    pair.client.handle(commands.DiscoverCharacteristics(0, 10, 15, b""))
    pair.client.handle(commands.DiscoverDescriptors(0, READABLE + 1, 15))
    pair.run(2.0)
    assert pair.client_log.events == [
        events.ServiceResult(0, 1, 5, b"\x00\x18"),
        events.ServiceResult(0, 6, 9, b"\x01\x18"),
        events.ServiceResult(0, 10, 15, SERVICE),
        events.ServiceDone(0, 0),
        events.CharacteristicResult(0, 12, WRITABLE, 0x0C, b"\x01\xaa"),
        events.CharacteristicResult(0, 15, READABLE, 0x32, b"\x02\xaa"),
        events.CharacteristicDone(0, 0),
        events.DescriptorResult(0, CCCD_HANDLE, att.CCCD),
        events.DescriptorDone(0, 0),
    ]


def test_discovery_by_uuid(pair: Pair) -> None:
    pair.client.handle(commands.DiscoverServices(0, SERVICE))
    pair.client.handle(commands.DiscoverCharacteristics(0, 10, 15, b"\x02\xaa"))
    pair.client.handle(commands.DiscoverServices(0, b"\xff\xff"))
    pair.run(2.0)
    assert pair.client_log.events == [
        events.ServiceResult(0, 10, 15, SERVICE),
        events.ServiceDone(0, 0),
        events.CharacteristicResult(0, 15, READABLE, 0x32, b"\x02\xaa"),
        events.CharacteristicDone(0, 0),
        events.ServiceDone(0, 0),
    ]


def test_a_table_of_many_services_takes_several_requests_and_comes_whole() -> None:
    pair = Pair(mtu=23)
    table = b"".join(
        struct.pack("<BHHB", 0, handle, 0, 16) + bytes([handle] * 16) for handle in range(10, 60)
    )
    pair.server.handle(commands.Services(table))
    pair.client.handle(commands.DiscoverServices(0, b""))
    pair.run(8.0)
    assert [row.start for row in pair.client_log.of(events.ServiceResult)] == [1, 6, *range(10, 60)]
    assert pair.client_log.events[-1] == events.ServiceDone(0, 0)


def test_a_write_with_response_waits_for_the_host(pair: Pair) -> None:
    pair.client.handle(commands.Write(0, WRITABLE, WRITE_REQUEST, b"value"))
    pair.run(1.0)
    assert pair.server_log.events == [events.WriteRequest(0, WRITABLE, 1, b"value")]
    assert not pair.client_log.events
    pair.server.handle(commands.WriteReply(0, 0))
    pair.run(0.1)
    assert pair.client_log.events == [events.WriteDone(0, WRITABLE, 0)]


def test_a_write_command_is_cut_to_the_mtu_and_not_answered(pair: Pair) -> None:
    pair.client.handle(commands.Write(0, WRITABLE, WRITE_COMMAND, bytes(300)))
    pair.run(0.2)
    assert pair.server_log.events == [events.WriteRequest(0, WRITABLE, 0, bytes(247 - 3))]
    assert pair.client_log.events == [events.Credits(1)]


@pytest.mark.parametrize("size", [244, 245, 512])
def test_a_long_write_arrives_as_one_value(pair: Pair, size: int) -> None:
    value = random.Random(size).randbytes(size)
    pair.client.handle(commands.Write(0, WRITABLE, WRITE_LONG, value))
    pair.run(1.0)
    assert pair.server_log.events == [events.WriteRequest(0, WRITABLE, 1, value)]
    pair.server.handle(commands.WriteReply(0, 0))
    pair.run(0.1)
    assert pair.client_log.events == [events.WriteDone(0, WRITABLE, 0)]


@pytest.mark.parametrize(("size", "whole"), [(0, 1), (246, 1), (512, 1), (512, 0)])
def test_reads_short_and_long(pair: Pair, size: int, whole: int) -> None:
    value = random.Random(size).randbytes(size)
    pair.client.handle(commands.Read(0, READABLE, whole))
    for _ in range(60):
        asked = len(pair.server_log.events)
        pair.run(0.03)
        if len(pair.server_log.events) > asked:
            pair.server.handle(commands.ReadReply(0, 0, value))
    expected = value if whole else value[:246]
    assert pair.client_log.events == [
        events.ReadResult(0, READABLE, expected),
        events.ReadDone(0, READABLE, 0),
    ]


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (commands.Read(0, WRITABLE, 0), att.READ_NOT_PERMITTED),
        (commands.Read(0, 99, 0), att.INVALID_HANDLE),
        (commands.Write(0, READABLE, WRITE_REQUEST, b"x"), att.WRITE_NOT_PERMITTED),
        (commands.Write(0, 10, WRITE_REQUEST, b"x"), att.WRITE_NOT_PERMITTED),
        (commands.Write(0, 99, WRITE_LONG, bytes(400)), att.INVALID_HANDLE),
        (commands.Write(0, CCCD_HANDLE, WRITE_REQUEST, b"x"), att.INVALID_LENGTH),
    ],
)
def test_att_errors_come_back_as_status(
    pair: Pair, command: commands.Read | commands.Write, code: int
) -> None:
    pair.client.handle(command)
    pair.run(1.0)
    done = pair.client_log.events[-1]
    assert isinstance(done, events.ReadDone | events.WriteDone)
    assert done.status == STATUS_ATT | code
    assert not pair.server_log.events


def test_the_hosts_refusal_is_the_peers_error(pair: Pair) -> None:
    pair.client.handle(commands.Read(0, READABLE, 0))
    pair.run(0.2)
    pair.server.handle(commands.ReadReply(0, 0x80, b""))
    pair.run(0.2)
    assert pair.client_log.events == [events.ReadDone(0, READABLE, STATUS_ATT | 0x80)]


def test_no_cut_request_harms_the_server(pair: Pair) -> None:
    for opcode in range(256):
        pair.client.links[0].send(bytes([opcode]))
        pair.run(0.1)
        pair.client.handle(commands.DiscoverServices(0, SERVICE))
        pair.run(0.2)
        assert pair.client_log.events[-1] == events.ServiceDone(0, 0), opcode
    assert not [event for event in pair.server_log.events if not isinstance(event, events.Credits)]


def test_notifications_are_cut_to_the_mtu_and_sent_whether_subscribed_or_not(pair: Pair) -> None:
    pair.server.handle(commands.Notify(0, READABLE, bytes(300)))
    pair.run(0.2)
    assert pair.client_log.events == [events.Notification(0, READABLE, bytes(244))]


def test_updates_go_to_subscribers_only(pair: Pair) -> None:
    pair.server.handle(commands.Update(READABLE, b"unheard"))
    pair.client.handle(commands.Write(0, CCCD_HANDLE, WRITE_REQUEST, b"\x01\x00"))
    pair.run(0.2)
    pair.server.handle(commands.Update(READABLE, b"notified"))
    pair.client.handle(commands.Write(0, CCCD_HANDLE, WRITE_REQUEST, b"\x02\x00"))
    pair.run(0.2)
    pair.server.handle(commands.Update(READABLE, b"indicated"))
    pair.run(0.2)
    heard = [event for event in pair.client_log.events if not isinstance(event, events.WriteDone)]
    assert heard == [
        events.Notification(0, READABLE, b"notified"),
        events.Indication(0, READABLE, b"indicated"),
    ]
    assert pair.server_log.events[-1] == events.IndicateDone(0, READABLE, 0)
    assert pair.server_log.of(events.Credits)[-1].completed == 3


def test_indications_go_out_one_by_one_and_fail_with_the_link(pair: Pair) -> None:
    for number in range(3):
        pair.server.handle(commands.Indicate(0, READABLE, bytes([number])))
    pair.run(0.5)
    assert [event.data for event in pair.client_log.of(events.Indication)] == [b"\0", b"\1", b"\2"]
    assert [event.status for event in pair.server_log.of(events.IndicateDone)] == [0, 0, 0]
    for number in range(2):
        pair.server.handle(commands.Indicate(0, READABLE, bytes([number])))
    pair.client.leave(orderly=True)
    statuses = [event.status for event in pair.server_log.of(events.IndicateDone)]
    assert statuses == [0, 0, 0, STATUS_NOT_CONNECTED, STATUS_NOT_CONNECTED]
    assert pair.server_log.of(events.Credits)[-1].completed == 5


def test_procedures_queue_up_to_a_limit(pair: Pair) -> None:
    for _ in range(PROCEDURES_MAX + 1):
        pair.client.handle(commands.DiscoverServices(0, SERVICE))
    assert pair.client_log.events == [events.ServiceDone(0, STATUS_OUT_OF_MEMORY)]
    pair.run(2.0)
    done = [event.status for event in pair.client_log.of(events.ServiceDone)]
    assert done == [STATUS_OUT_OF_MEMORY] + [0] * PROCEDURES_MAX


def test_a_server_that_never_answers_costs_it_the_link(pair: Pair) -> None:
    pair.client.handle(commands.Read(0, READABLE, 0))
    pair.run(29.9)
    assert not pair.client_log.events
    pair.run(0.3)
    kinds = [type(event) for event in pair.client_log.events]
    assert kinds == [events.ReadDone, events.PeripheralDisconnected]
    assert pair.client_log.of(events.ReadDone)[0].status == STATUS_TIMEOUT


def test_procedures_on_a_link_that_is_gone_end_at_once(pair: Pair) -> None:
    pair.client.handle(commands.Read(0, READABLE, 0))
    pair.server.leave(orderly=True)
    assert pair.client_log.events[0] == events.ReadDone(0, READABLE, STATUS_NOT_CONNECTED)
    pair.client_log.events.clear()
    pair.client.handle(commands.Write(0, WRITABLE, WRITE_REQUEST, b""))
    pair.client.handle(commands.DiscoverServices(0, b""))
    assert pair.client_log.events == [
        events.WriteDone(0, WRITABLE, STATUS_NOT_CONNECTED),
        events.ServiceDone(0, STATUS_NOT_CONNECTED),
    ]


def test_the_gap_name_is_read_from_the_stack(pair: Pair) -> None:
    pair.client.handle(commands.Read(0, 3, 0))
    pair.run(0.2)
    assert pair.client_log.events[0] == events.ReadResult(0, 3, b"node")
