"""HAVE, WANT, ACK, RECEIPT, TIME, ANNOUNCE and CALL (SPEC 6.8 to 6.14)."""

from kit import Random, raises
from samples import AUTHOR, NOW

from hedgerow.errors import HedgerowError
from hedgerow.mesh import asks, frames, tag, tells

MESH = b"msh"
KEY = tag.mesh_key("shed")


def _frame(kind: int, body: bytes) -> bytes:
    frame = frames.make(kind, MESH, body, KEY)
    assert len(frames.advertise(frame)) <= 31 and frames.find(frames.advertise(frame)) == 4
    return frame


def _announce(random: Random) -> tells.Announce:
    return tells.Announce(
        random.bytes(8),
        random.below(1 << 16),
        random.below(1 << 24),
        random.below(4),
        random.below(64),
        random.below(1 << 16),
        random.below(1 << 24),
        random.below(256),
    )


def test_hints_rise_with_what_is_missing() -> None:
    steps = [asks.hint(behind, 0, behind) >> 4 for behind in range(300)]
    assert steps == sorted(steps) and steps[:8] == [0, 1, 2, 3, 4, 4, 5, 5]
    assert [steps.index(step) for step in range(16)] == [
        0,
        1,
        2,
        3,
        4,
        6,
        8,
        12,
        16,
        24,
        32,
        48,
        64,
        96,
        128,
        192,
    ]
    for count in range(300):
        most = asks.most(asks.hint(count, 0, 0) >> 4)
        assert count <= most and (most < max(4, count * 3 // 2) or count >= 192)
        assert count >= 192 or asks.hint(most, 0, 0) == asks.hint(count, 0, 0) < asks.hint(most + 1, 0, 0)
    assert asks.hint(1 << 32, 0, 0) == 0xFF and asks.hint(9, 9, 9) == 0 and asks.hint(9, 10, 12) == 0
    assert asks.hint(20, 20, 4) == 0x08


def test_have() -> None:
    entries = [(b"aut", 0x0102, 0x31), (b"oth", 65535, 0), (b"thi", 0, 255)]
    body = asks.encode_have(3, 6, entries)
    assert body[:7] == b"\x66aut\x01\x02\x31"
    for count in (1, 2, 3):
        frame = _frame(frames.HAVE, asks.encode_have(3, 6, entries[:count]))
        assert asks.decode_have(frame) == (3, 6, entries[:count])
    assert asks.encode_have(3, 6, entries * 2) == body
    frame = _frame(frames.HAVE, asks.encode_have(0, 0, [(b"auth", 0x12345, 7)]))
    assert asks.decode_have(frame) == (0, 0, [(b"aut", 0x2345, 7)])


def test_want() -> None:
    for what, entries, most in (
        (asks.WANT_OPERATIONS, [(b"aut", 0x0102, 0x8001), (b"oth", 65535, 1), (b"thi", 0, 0)], 2),
        (asks.WANT_LETTERS, [(bytes((at, 2, 3)), at) for at in range(6)], 4),
        (asks.WANT_ANNOUNCES, [bytes((at, 2, 3)) for at in range(9)], 6),
        (asks.WANT_SCHEMAS, [bytes((at, 2)) for at in range(12)], 9),
        (asks.WANT_WHOLE, [(b"aut", 0x0102), (b"oth", 65535), (b"thi", 0), (b"fou", 4)], 3),
    ):
        assert asks.MOST[what] == most
        for count in range(1, len(entries) + 1):
            frame = _frame(frames.WANT, asks.encode_want(what, entries[:count]))
            assert asks.decode_want(frame) == (what, entries[: min(count, most)])
    assert asks.encode_want(0, [(b"author-a", 0x10102, 0x8001)]) == b"\0aut\x01\x02\x80\x01"
    assert asks.encode_want(4, [(b"author-a", 0x10102)]) == b"\4aut\1\2"
    assert asks.encode_want(2, [b"author-a"]) == b"\2aut"
    assert asks.encode_want(3, [b"name"]) == b"\3na"


def test_ack() -> None:
    keys = [b"author", b"other.", b"third."]
    assert (asks.ACK_PASSED, asks.ACK_HELD, asks.ACK_UPTO, asks.ACK_ALL) == (0, 1, 2, 3)
    for what in (0, 1, 2, 3):
        for count in (1, 2, 3):
            frame = _frame(frames.ACK, asks.encode_ack(what, keys[:count]))
            assert asks.decode_ack(frame) == (what, keys[:count])
    assert asks.encode_ack(1, keys * 2) == b"\1author" + b"other." + b"third."


def test_receipt() -> None:
    frame = _frame(frames.RECEIPT, tells.encode_receipt(b"keeper-1", 0x0203, AUTHOR, 0x01020304))
    assert frame[4:-3] == b"keep\x03\x01\x23\x45\x01\x02\x03\x04" + bytes(8)
    assert len(frame) == 27
    assert tells.decode_receipt(frame) == (b"keep", 3, AUTHOR[:3], 0x01020304, bytes(8))
    frame = _frame(frames.RECEIPT, tells.encode_receipt(b"keeper-1", 3, AUTHOR, (1 << 32) - 1, b"8 bytes."))
    assert tells.decode_receipt(frame)[3:] == ((1 << 32) - 1, b"8 bytes.")


def test_time() -> None:
    frame = _frame(frames.TIME, tells.encode_time(NOW, 300, 4, 2, b"\1\2\3\4", 65537))
    assert frame[4:-3] == NOW.to_bytes(6, "big") + b"\x01\x2c\x04\x02\x01\x02\x03\x00\x01"
    assert tells.decode_time(frame) == (NOW, 300, 4, 2, b"\1\2\3", 1)
    frame = _frame(frames.TIME, tells.encode_time((1 << 48) - 1, 1 << 20, 0, 999))
    assert tells.decode_time(frame) == ((1 << 48) - 1, 65535, 0, 255, bytes(3), 0)
    raises("BEACON_INVALID", tells.decode_time, frame[:12] + b"\5" + frame[13:])


def test_announce() -> None:
    announce = tells.Announce(AUTHOR, 0x0102, 0x030405, 2, 5, 0x0607, 0x08090A, 11)
    frame = _frame(frames.ANNOUNCE, tells.encode_announce(announce))
    assert frame[4:-3] == AUTHOR + b"\1\2\3\4\5\x85\6\7\x08\x09\x0a\x0b" and len(frame) == 27
    random = Random(3)
    for _ in range(100):
        announce = _announce(random)
        again = tells.decode_announce(_frame(frames.ANNOUNCE, tells.encode_announce(announce)))
        assert sorted(again.__dict__.items()) == sorted(announce.__dict__.items())
    plain = _frame(frames.ANNOUNCE, tells.encode_announce(tells.Announce(AUTHOR, 1, 2, 3)))
    assert plain[4:-3] == AUTHOR + b"\0\1\0\0\2\xc0" + bytes(6)
    announce = tells.Announce(AUTHOR, 0, 0, 0, 0, 1 << 20, 1 << 30, 1000)
    again = tells.decode_announce(_frame(frames.ANNOUNCE, tells.encode_announce(announce)))
    assert (again.period_s, again.due_ms, again.window) == (65535, (1 << 24) - 1, 255)
    announce.due_ms = -5
    assert tells.decode_announce(_frame(6, tells.encode_announce(announce))).due_ms == 0


def test_call() -> None:
    frame = _frame(frames.CALL, tells.encode_call(AUTHOR, b"sender-1", 30))
    assert frame[4:-3] == b"\x01\x23\x45sen\x1e" and tells.decode_call(frame) == (AUTHOR[:3], b"sen", 30)
    assert tells.decode_call(_frame(frames.CALL, tells.encode_call(AUTHOR, AUTHOR, 999)))[2] == 255


def test_broken_ones_are_refused() -> None:
    entry = b"aut\0\1\0"
    for decode, body in (
        (asks.decode_have, b"\x66" + bytes(5)),
        (asks.decode_have, b"\x66" + entry + b"\0"),
        (asks.decode_have, b"\x40"[:1] + b"aut"),
        (asks.decode_have, b"\x44" + entry),
        (asks.decode_have, b"\x80" + entry),
        (asks.decode_have, b"\x01" + entry),
        (asks.decode_want, b"\5" + bytes(7)),
        (asks.decode_want, b"\0" + bytes(6)),
        (asks.decode_want, b"\0" + bytes(8)),
        (asks.decode_want, b"\1" + bytes(5)),
        (asks.decode_want, b"\2" + bytes(4)),
        (asks.decode_want, b"\3" + bytes(3)),
        (asks.decode_ack, b"\4" + bytes(6)),
        (asks.decode_ack, b"\0" + bytes(5)),
        (asks.decode_ack, b"\0" + bytes(7)),
        (tells.decode_receipt, bytes(19)),
        (tells.decode_time, bytes(14)),
        (tells.decode_time, bytes(16)),
        (tells.decode_announce, bytes(19)),
        (tells.decode_call, bytes(6)),
        (tells.decode_call, bytes(8)),
    ):
        raises("BEACON_INVALID", decode, frames.make(3, MESH, body, KEY))


def test_frames_of_nothing_are_refused() -> None:
    for decode in (asks.decode_have, asks.decode_want, asks.decode_ack, tells.decode_call):
        raises("BEACON_INVALID", decode, frames.make(3, MESH, b"\0", KEY))


def test_any_bytes_give_a_frame_or_a_code() -> None:
    random = Random(9)
    read = {}
    for _ in range(4000):
        frame = frames.make(3, MESH, random.bytes(random.choice([7, 8, 10, 13, 15, 17, 19, 20])), KEY)
        if random.chance(30):
            frame = frame[:4] + bytes((random.below(4),)) + frame[5:]
        for decode in (
            asks.decode_have,
            asks.decode_want,
            asks.decode_ack,
            tells.decode_receipt,
            tells.decode_time,
            tells.decode_announce,
            tells.decode_call,
        ):
            try:
                decode(frame)
                read[decode.__name__] = read.get(decode.__name__, 0) + 1
            except HedgerowError as error:
                assert error.code == "BEACON_INVALID"
    assert len(read) == 7 and min(read.values()) > 5, read
