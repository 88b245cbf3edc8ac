"""Beacons (SPEC 6): layouts, round trips, what is not ours, what is broken."""

from kit import Random, raises

from hedgerow.errors import HedgerowError
from hedgerow.sync import beacon, beacon_op

MESH = b"msh"


def _state(random: Random) -> beacon.State:
    log2 = random.below(4)
    return beacon.State(
        MESH,
        random.below(65536),
        random.below(1 << log2),
        random.bytes(6),
        random.below(65536),
        random.below(256),
        random.below(16),
        random.below(4),
        random.bytes(3),
        random.bytes(4),
        log2,
    )


def _parts(item: object) -> list:
    return sorted(item.__dict__.items())


def test_state_layout() -> None:
    state = beacon.State(MESH, 0x0102, 3, b"digest", 258, 2, beacon.HAS_TIME | beacon.CONNECTABLE, 1, b"aut")
    data = beacon.encode_state(state)
    assert data == (
        b"\x02\x01\x06\x1b\xff\xff\xff"
        + b"\x10"
        + MESH
        + b"\x01\x02"
        + b"\x43"
        + b"digest"
        + b"\x01\x02"
        + b"\x02"
        + b"\x19"
        + b"aut"
        + bytes(4)
    )
    assert len(data) == 31


def test_state_round_trips() -> None:
    random = Random(2)
    for _ in range(200):
        state = _state(random)
        data = beacon.encode_state(state)
        assert len(data) == 31
        assert _parts(beacon.decode(data)) == _parts(state)
        assert _parts(beacon.decode(data[7:])) == _parts(state)
        assert _parts(beacon.decode(memoryview(data))) == _parts(state)


def test_a_mesh_tag_that_looks_like_a_header() -> None:
    state = beacon.State(b"\xff\xff\xff", 1, 1, b"digest", 1, 2, 0, 1, b"aut")
    data = beacon.encode_state(state)
    assert _parts(beacon.decode(data)) == _parts(beacon.decode(data[7:])) == _parts(state)


def test_open_count_saturates() -> None:
    state = beacon.State(MESH, 70000, 0, bytes(6), 70000, 255, 0, 3, b"aut")
    again = beacon.decode(beacon.encode_state(state))
    assert (again.open_count, again.counter) == (65535, 70000 & 0xFFFF)


def test_op_layout_and_room() -> None:
    # Two one-decimal values, 39.4 and 51.2, fit with room to spare.
    op = beacon_op.Op(MESH, b"aut", 0x012345, b"schm", 0x0A0B0C0D, [394, 512])
    data = beacon_op.encode_op(op)
    assert (
        data[:4] == b"\x1b\xff\xff\xff"
        and data[4:20] == b"\x11" + MESH + b"aut" + b"\x23\x45" + b"schm" + b"\x0b\x0c\x0d"
    )
    assert data[20:] == b"\x94\x06\x80\x08" + bytes(4)
    again = beacon.decode(data)
    assert (again.number, again.ms, again.values, again.schema) == (0x2345, 0x0B0C0D, [394, 512], b"schm")
    op.values = [1 << 47]
    assert len(beacon_op.encode_op(op)) == 31
    op.values = [1 << 48]
    raises("BEACON_TOO_LONG", beacon_op.encode_op, op)


def test_op_round_trips() -> None:
    random = Random(4)
    for _ in range(200):
        values = [random.between(-8000, 8000) for _ in range(random.below(4))]
        op = beacon_op.Op(
            MESH, b"aut", random.below(65536), b"schm", random.below(1 << 24), values, random.bytes(4)
        )
        data = beacon_op.encode_op(op)
        assert len(data) <= 31
        assert _parts(beacon.decode(data)) == _parts(op)
        assert _parts(beacon.decode(data[4:])) == _parts(op)


def test_not_ours() -> None:
    for data in (
        b"",
        b"\x02\x01\x06",
        b"\x02\x01\x06\x03\x03\xaa\xfe",
        b"\x02\x01\x06\x05\xff\x4c\x00\x10\x02",
        b"\x20" + bytes(23),
        b"\x1f" + bytes(23),
        b"\x02\x01\x06\x1b\xff\xff",
        b"\x00",
    ):
        assert beacon.decode(data) is None, data


def test_broken_ones_are_refused() -> None:
    whole = beacon.encode_state(_state(Random(1)))
    raises("BEACON_INVALID", beacon.decode, whole[7:-1])
    raises("BEACON_INVALID", beacon.decode, whole[7:] + b"\0")
    raises("BEACON_INVALID", beacon.decode, whole[:3] + b"\x1a" + whole[4:-1])
    data = bytearray(whole)
    for bucket in (0x44, 0x21 | 0x02, 0x01, 0x80):
        data[13] = bucket
        raises("BEACON_INVALID", beacon.decode, bytes(data))
    op = beacon_op.encode_op(beacon_op.Op(MESH, b"aut", 1, b"schm", 1, [1]))
    raises("BEACON_INVALID", beacon.decode, op[4:-2])
    raises("VARINT_TRUNCATED", beacon.decode, op[4:-5] + b"\x80" + bytes(4))


def test_any_bytes_give_a_beacon_or_a_code() -> None:
    random = Random(8)
    whole = beacon.encode_state(_state(random))
    for _ in range(500):
        data = bytearray(whole if random.chance(50) else random.bytes(random.below(32)))
        for _ in range(random.below(4)):
            if data:
                data[random.below(len(data))] = random.below(256)
        try:
            beacon.decode(bytes(data[random.below(2) * 7 :]))
        except HedgerowError as error:
            assert error.code in (
                "BEACON_INVALID",
                "VARINT_TRUNCATED",
                "VARINT_NOT_SHORTEST",
                "VARINT_RANGE",
            ), error
