"""Frames, their tags, and operations in them (SPEC 6.2 to 6.7)."""

from kit import Random, raises
from samples import AUTHOR, NOW, READING, SCHEMAS, random_operation, reading, readings

from hedgerow.clock import hlc
from hedgerow.codec.schema import STREAM, Schema
from hedgerow.errors import HedgerowError
from hedgerow.mesh import frames, ops, tag
from hedgerow.operation import INSERT, decode_body, encode_body, h16

MESH = b"msh"
KEY = tag.mesh_key("shed")


def _state(random: Random) -> frames.State:
    log2 = random.below(4)
    return frames.State(
        MESH[:2],
        random.below(65536),
        random.below(1 << log2),
        random.bytes(6),
        random.below(65536),
        frames.distance_of(random.below(32)),
        random.below(16) | 64 * random.below(4),
        random.below(4),
        random.bytes(3),
        log2,
        random.below(256),
    )


def _op(random: Random) -> frames.Op:
    values = [random.between(-8000, 8000) for _ in range(random.below(5))]
    return frames.Op(
        random.bytes(3), random.below(65536), random.bytes(2), random.bytes(2), random.below(1 << 24), values
    )


def _parts(item: object) -> list:
    return sorted(item.__dict__.items())


def _frame(payload: bytes) -> bytes:
    at = frames.find(payload)
    return bytes(payload[at : frames.end(payload, at)])


def test_state_layout() -> None:
    flags = frames.HAS_TIME | frames.CONNECTABLE | frames.GRADIENT
    state = frames.State(MESH, 0x0102, 3, b"digest", 258, 2, flags, 1, b"aut", window=7)
    frame = frames.encode_state(state, KEY)
    assert frame[:20] == b"\x20ms\x10\x01\x02\x43digest\x01\x02\x59\x07aut"
    assert len(frame) == 24 and frame[20:] == tag.link_tag(KEY, frame[:20]) and tag.check(KEY, frame)
    assert frames.advertise(frame) == b"\x02\x01\x06\x1b\xff\xff\xff" + frame
    assert len(frames.advertise(frame)) == 31


def test_the_flags_are_those_of_the_specification() -> None:
    assert (frames.HAS_TIME, frames.WANTS_TIME, frames.UPLINK, frames.CONNECTABLE) == (1, 2, 4, 8)
    assert (frames.ROLE_SHIFT, frames.GRADIENT) == (4, 64)


def test_state_round_trips() -> None:
    random = Random(2)
    for _ in range(200):
        state = _state(random)
        frame = frames.encode_state(state, KEY)
        assert _parts(frames.decode_state(frame)) == _parts(state)


def test_open_count_saturates() -> None:
    state = frames.State(MESH, 70000, 0, bytes(6), 70000, 255, 0, 3, b"aut")
    again = frames.decode_state(frames.encode_state(state, KEY))
    assert (again.open_count, again.counter, again.distance) == (65535, 70000 & 0xFFFF, 255)


def test_distances_keep_their_order() -> None:
    known = list(range(16)) + list(range(100, 115)) + [255]
    assert [frames.code_of(distance) for distance in known] == list(range(32))
    assert [frames.distance_of(code) for code in range(32)] == known
    for distance in (16, 50, 99, 115, 200):
        assert frames.code_of(distance) == frames.UNKNOWN


def test_op_layout_and_room() -> None:
    # Two one-decimal values, 39.4 and 51.2, fit with room to spare.
    op = frames.Op(b"aut", 0x012345, b"ck", b"schm", 0x0A0B0C0D, [394, 512])
    frame = frames.make(frames.OP, MESH, frames.encode_op(op), KEY, 5 << 3)
    assert frame[:-3] == b"\x21ms\x28aut\x23\x45cksc\x0b\x0c\x0d\x94\x06\x80\x08"
    assert frames.ack_key(frame) == b"aut\x23\x45c"
    assert frames.advertise(frame) == b"\x1a\xff\xff\xff" + frame
    again = frames.decode_op(frame)
    assert (again.number, again.ms, again.values, again.schema) == (0x2345, 0x0B0C0D, [394, 512], b"sc")
    op.values = [
        1 << 54,
    ]
    assert len(frames.advertise(frames.make(frames.OP, MESH, frames.encode_op(op), KEY))) == 31
    op.values = [1 << 55]
    raises("BEACON_TOO_LONG", frames.encode_op, op)


def test_op_round_trips() -> None:
    random = Random(4)
    for _ in range(200):
        op = _op(random)
        payload = frames.advertise(frames.make(frames.OP, MESH, frames.encode_op(op), KEY))
        assert len(payload) <= 31
        assert _parts(frames.decode_op(_frame(payload))) == _parts(op)


def test_a_relay_changes_the_hop_byte_alone() -> None:
    random = Random(5)
    frame = frames.make(frames.OP, MESH, frames.encode_op(_op(random)), KEY, 3 << 3)
    again = frames.with_hop(frame, 2, 13)
    assert again[3] == 2 << 3 | 5 and again != frame
    assert again[:3] + again[4:] == frame[:3] + frame[4:]
    assert tag.check(KEY, again)
    payload, other = frames.advertise(frame), frames.advertise(again)
    assert frames.identity(payload, 4, frames.end(payload, 4)) == frames.identity(
        other, 4, frames.end(other, 4)
    )


def test_any_other_byte_breaks_the_tag() -> None:
    random = Random(6)
    state = frames.encode_state(_state(random), KEY)
    op = frames.make(frames.OP, MESH, frames.encode_op(_op(random)), KEY)
    for frame, free in ((state, -1), (op, 3)):
        assert tag.check(KEY, frame) and not tag.check(tag.mesh_key("sheds"), frame)
        for at in range(len(frame)):
            changed = frame[:at] + bytes((frame[at] ^ 16,)) + frame[at + 1 :]
            assert tag.check(KEY, changed) == (at == free), at


def test_a_frame_is_hashed_in_one_block() -> None:
    """What tag.py says of its strength holds only so."""
    whole = frames.make(15, MESH, bytes(20), KEY)
    assert len(KEY) + len(whole) - 3 - 1 <= 55 and len(KEY) + 20 <= 55
    raises("BEACON_TOO_LONG", frames.make, 15, MESH, bytes(21), KEY)


def test_an_identity_is_the_tag_and_six_bits_of_byte_8() -> None:
    payload = b"\x0e\xff\xff\xff\x2f" + bytes(7) + b"\xfe\x81\x42\x23"
    assert frames.identity(payload, 4, 16) == 0x3E << 24 | 0x234281
    assert frames.make(15, MESH, b"abc", KEY)[3] == 0xF8


def test_identities_are_small_and_differ() -> None:
    random = Random(7)
    known = set()
    for number in range(300):
        op = _op(random)
        op.number = number
        payload = frames.advertise(frames.make(frames.OP, MESH, frames.encode_op(op), KEY))
        identity = frames.identity(payload, 4, frames.end(payload, 4))
        assert 0 <= identity < 1 << 30
        known.add(identity)
    assert len(known) == 300


def test_our_frame_is_found_among_others() -> None:
    frame = frames.make(frames.CALL, MESH, b"abcdef\x05", KEY)
    ours = frames.advertise(frame)
    for before in (b"", b"\x02\x01\x06", b"\x02\x0a\x00\x03\x03\xaa\xfe", b"\x05\xff\x4c\x00\x10\x02"):
        for after in (b"", b"\x02\x0a\x00", b"\0\0"):
            payload = before + ours + after
            for form in (payload, memoryview(payload), bytearray(payload)):
                at = frames.find(form)
                assert at == len(before) + 4 and _frame(form) == frame


def test_not_ours() -> None:
    whole = frames.advertise(frames.encode_state(_state(Random(1)), KEY))
    for payload in (
        b"",
        b"\x00",
        bytes(31),
        b"\xff" * 31,
        b"\x02\x01\x06",
        b"\x02\x01\x06\x03\x03\xaa\xfe",
        b"\x02\x01\x06\x05\xff\x4c\x00\x10\x02",
        whole[:-1],
        whole[:7],
        b"\0" + whole[:-1],
        whole[:5] + b"\0" + whole[6:],
        whole[:6] + b"\0" + whole[7:],
        whole[:7] + b"\x10" + whole[8:],
        whole[:4] + b"\x09" + whole[5:],
        b"\x0c\xff\xff\xff\x21ms" + bytes(6),
        b"\x1f\xff\xff\xff\x21ms" + bytes(25),
    ):
        assert frames.find(payload) == 0, payload
    assert frames.find(b"\x0d\xff\xff\xff\x21ms" + bytes(7)) == 4


def test_broken_ones_are_refused() -> None:
    whole = frames.encode_state(_state(Random(1)), KEY)
    raises("BEACON_INVALID", frames.decode_state, whole[:-1])
    raises("BEACON_INVALID", frames.decode_state, whole + b"\0")
    for bucket in (0x44, 0x21 | 0x02, 0x01, 0x80):
        raises("BEACON_INVALID", frames.decode_state, whole[:6] + bytes((bucket,)) + whole[7:])
    op = frames.make(frames.OP, MESH, frames.encode_op(frames.Op(b"aut", 1, b"ck", b"sc", 1, [1])), KEY)
    raises("BEACON_INVALID", frames.decode_op, op[:18])
    raises("BEACON_INVALID", frames.decode_op, op + bytes(8))
    raises("VARINT_TRUNCATED", frames.decode_op, op[:-4] + b"\x80" + bytes(3))
    raises("VARINT_NOT_SHORTEST", frames.decode_op, op[:-4] + b"\x80\0" + bytes(3))


def test_any_bytes_give_a_frame_or_a_code() -> None:
    random = Random(8)
    state = frames.advertise(frames.encode_state(_state(random), KEY))
    op = frames.advertise(frames.make(frames.OP, MESH, frames.encode_op(_op(random)), KEY))
    read = 0
    for _ in range(1000):
        data = bytearray(random.choice([state, op, random.bytes(random.below(32))]))
        for _ in range(random.below(4)):
            if data:
                data[random.below(len(data))] = random.below(256)
        at = frames.find(data)
        if not at:
            continue
        frame = _frame(data)
        assert 10 <= len(frame) <= 27 and 0 <= frames.identity(data, at, at + len(frame)) < 1 << 30
        tag.check(KEY, frame)
        try:
            (frames.decode_op if frame[0] & 15 else frames.decode_state)(frame)
            read += 1
        except HedgerowError as error:
            assert error.code == "BEACON_INVALID" or error.code.startswith("VARINT_"), error
    assert read > 200


def test_operations_come_back_from_their_frames() -> None:
    random = Random(9)
    before = NOW - 60000
    for number, body in enumerate(readings(random, 40), 70000):
        packed = ops.pack(AUTHOR, number, body, SCHEMAS, before)
        frame = frames.make(frames.OP, MESH, packed, KEY)
        assert len(frames.advertise(frame)) <= 31
        op = frames.decode_op(frame)
        held = number - 1
        assert ops.nearest(held, op.number) == number
        assert ops.rebuild(op, AUTHOR, number, before, SCHEMAS) == body
        assert ops.rebuild(op, AUTHOR, number, before + (1 << 24), SCHEMAS) is None
        assert ops.rebuild(op, AUTHOR[:3] + b"other", number, before, SCHEMAS) is None
        assert ops.rebuild(op, AUTHOR, number + 65536, before, SCHEMAS) is None
        assert ops.rebuild(op, AUTHOR, number + 1, before, SCHEMAS) is None
        assert ops.rebuild(op, AUTHOR, number, before, {}) is None
        before = hlc.stamp_ms(decode_body(body)[0])


def test_an_operation_packs_only_if_it_comes_back() -> None:
    random = Random(10)
    packed = 0
    for number in range(1, 400):
        body = random_operation(random, NOW)
        if random.chance(30):
            body = reading(NOW, random.between(-(1 << 40), 1 << 40), random.between(-900, 900))
        body = ops.pack(AUTHOR, number, body, SCHEMAS, NOW - 5) and body
        if body:
            packed += 1
            op = frames.decode_op(frames.make(1, MESH, ops.pack(AUTHOR, number, body, SCHEMAS, NOW - 5), KEY))
            assert ops.rebuild(op, AUTHOR, number, NOW - 5, SCHEMAS) == body
    assert packed > 30


def test_what_goes_as_a_letter() -> None:
    name = READING.name
    stamp = hlc.pack(NOW)
    fits = encode_body(stamp, [[INSERT, name, None, [1, 2]]])
    assert ops.pack(AUTHOR, 7, fits, SCHEMAS, NOW - (1 << 24)) and ops.pack(AUTHOR, 1, fits, SCHEMAS, None)
    for body, before in (
        (fits, NOW - (1 << 24) - 1),
        (fits, NOW),
        (fits, None),
        (encode_body(hlc.pack(NOW, 1), [[INSERT, name, None, [1, 2]]]), NOW - 1),
        (encode_body(hlc.pack(NOW, 256), [[INSERT, name, None, [1, 2]]]), NOW - 1),
        (encode_body(stamp, [[INSERT, name, "id", [1, 2]]]), NOW - 1),
        (encode_body(stamp, [[INSERT, name, None, [1, None]]]), NOW - 1),
        (encode_body(stamp, [[INSERT, name, None, [1, True]]]), NOW - 1),
        (encode_body(stamp, [[INSERT, name, None, [1, 1 << 63]]]), NOW - 1),
        (encode_body(stamp, [[INSERT, name, None, [1 << 40, 1 << 40]]]), NOW - 1),
        (encode_body(stamp, [[INSERT, name, None, [1, 2]], [INSERT, name, None, [1, 2]]]), NOW - 1),
        (encode_body(stamp, [[INSERT, name, None, [1, 2], {1: hlc.pack(NOW + 1)[:6]}]]), NOW - 1),
    ):
        assert ops.pack(AUTHOR, 7, body, SCHEMAS, before) is None, body


def test_what_a_frame_says_must_fit_what_is_rebuilt() -> None:
    """Also where the check is right: nothing is taken under another name than it was said with."""
    body = reading(NOW, 512, 394)
    packed = ops.pack(AUTHOR, 7, body, SCHEMAS, NOW - 1)
    for part, value in (("number", 8), ("author", b"oth"), ("schema", b"na"), ("values", [512]), ("ms", 5)):
        op = frames.decode_op(frames.make(1, MESH, packed, KEY))
        assert ops.rebuild(op, AUTHOR, 7, NOW - 1, SCHEMAS) == body
        setattr(op, part, value)
        assert ops.rebuild(op, AUTHOR, 7, NOW - 1, SCHEMAS) is None, part
    assert ops.pack(AUTHOR, 2, body, SCHEMAS, None) is None


def test_no_moment_before_2000_or_after_the_last() -> None:
    op = frames.decode_op(frames.make(1, MESH, ops.pack(AUTHOR, 7, reading(0, 1, 2), SCHEMAS, -1), KEY))
    assert ops.rebuild(op, AUTHOR, 7, -(1 << 24) - 1, SCHEMAS, 1) is None
    assert ops.rebuild(op, AUTHOR, 7, -(1 << 24) - 1, SCHEMAS, 2) == reading(0, 1, 2)
    assert ops.rebuild(op, AUTHOR, 7, (1 << 48) - 1, SCHEMAS) is None


def test_unknown_moments_are_tried_in_turns() -> None:
    body = reading(NOW, 512, 394)
    op = frames.decode_op(frames.make(1, MESH, ops.pack(AUTHOR, 7, body, SCHEMAS, NOW - 1), KEY))
    high = NOW >> 24
    for off in (-1, 0, 1):
        floor = ((high + off) << 24) - (1 << 24) - 1
        assert ops.rebuild(op, AUTHOR, 7, floor, SCHEMAS, 3) == body
    assert ops.rebuild(op, AUTHOR, 7, ((high - 2) << 24) - (1 << 24) - 1, SCHEMAS, 3) is None
    assert ops.rebuild(op, AUTHOR, 7, (1 << 48) - 1, SCHEMAS, 3) is None


def test_numbers_are_taken_nearest_to_what_is_held() -> None:
    random = Random(11)
    for _ in range(500):
        held = random.below(200000)
        number = max(1, held + random.between(-32000, 32000))
        assert ops.nearest(held, number & 0xFFFF) == number
    assert ops.nearest(100_000, (100_001 - 32768) & 0xFFFF) == 100_001 - 32768
    assert ops.nearest(100_000, (100_001 + 32767) & 0xFFFF) == 100_001 + 32767
    assert ops.nearest(0, 0) == 65536
    assert ops.nearest(0, 65535) == 65535


def test_short_names_that_collide_are_told_apart() -> None:
    """Authors with the same 3 bytes, and schemas with the same 2: the check finds the right ones."""
    wanted = []
    serial = 0
    while len(wanted) < 2:
        schema = Schema("things%d" % serial, STREAM, (("a", -1), ("b", None)))
        serial += 1
        if schema.name[0] == 0x5A:
            wanted.append(schema)
    first, second = wanted
    second.name = first.name[:2] + second.name[2:]
    schemas = {first.name: first, second.name: second}
    authors = [b"abc" + bytes((at,)) * 5 for at in range(8)]
    for schema in wanted:
        for author in authors:
            body = encode_body(hlc.pack(NOW), [[INSERT, schema.name, None, [5, 6]]])
            op = frames.decode_op(frames.make(1, MESH, ops.pack(author, 9, body, schemas, NOW - 1), KEY))
            found = [(one, ops.rebuild(op, one, 9, NOW - 1, schemas)) for one in authors]
            assert [pair for pair in found if pair[1]] == [(author, body)]
            assert h16(author, 9, body, schemas)[:2] == op.check
