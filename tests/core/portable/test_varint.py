"""Variable-length integers."""

from kit import Random, raises

from hedgerow.codec.varint import read_int, read_uint, write_int, write_uint


def _uint(number: int) -> bytes:
    buffer = bytearray()
    write_uint(buffer, number)
    return bytes(buffer)


def test_known_encodings() -> None:
    for number, data in (
        (0, b"\x00"),
        (127, b"\x7f"),
        (128, b"\x80\x01"),
        (300, b"\xac\x02"),
        (2**64 - 1, b"\xff" * 9 + b"\x01"),
    ):
        assert _uint(number) == data
        assert read_uint(b"?" + data, 1) == (number, 1 + len(data))


def test_signed_numbers_alternate() -> None:
    for number, byte in ((0, 0), (-1, 1), (1, 2), (-2, 3), (63, 126), (-64, 127)):
        buffer = bytearray()
        write_int(buffer, number)
        assert bytes(buffer) == bytes([byte])


def test_round_trips() -> None:
    random = Random(1)
    for width in range(64):
        number = random.below(1 << width) - (1 << width >> 1)
        buffer = bytearray()
        write_int(buffer, number)
        write_uint(buffer, abs(number))
        signed, at = read_int(buffer, 0)
        assert (signed, read_uint(buffer, at)) == (number, (abs(number), len(buffer)))


def test_refusals() -> None:
    raises("VARINT_TRUNCATED", read_uint, b"", 0)
    raises("VARINT_TRUNCATED", read_uint, b"\x80", 0)
    raises("VARINT_NOT_SHORTEST", read_uint, b"\x80\x00", 0)
    raises("VARINT_RANGE", read_uint, b"\xff" * 9 + b"\x02", 0)
    raises("VARINT_RANGE", read_uint, b"\x80" * 10 + b"\x01", 0)
    raises("VARINT_RANGE", write_uint, bytearray(), -1)
    raises("VARINT_RANGE", write_uint, bytearray(), 2**64)
