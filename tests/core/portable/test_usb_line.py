"""Lines of a gateway's USB radio: round trips, what is damaged, what is none, pieces as a port gives them."""

from kit import Random, raises

from hedgerow.errors import HedgerowError
from hedgerow.sync import usb_line

PAYLOAD = bytes(range(31))


def test_a_line_has_no_control_character_and_comes_back() -> None:
    random = Random(1)
    for _ in range(200):
        body = random.bytes(random.below(41))
        line = usb_line.encode(usb_line.HEARD, body)
        assert line[:1] == usb_line.MARK and line[-1:] == b"\n" and len(line) <= usb_line.MOST
        assert min(line[:-1]) > 32
        assert usb_line.decode(line[:-1]) == (usb_line.HEARD, body)


def test_every_damaged_bit_is_noticed() -> None:
    line = usb_line.encode_say(7, True, 3, PAYLOAD)[:-1]
    said = usb_line.decode(line)[1]
    for at in range(1, len(line)):
        for bit in range(8):
            damaged = bytearray(line)
            damaged[at] ^= 1 << bit
            try:
                # Bits that Base64 does not use may change without a change of what it says.
                assert usb_line.decode(bytes(damaged)) == (usb_line.SAY, said)
            except HedgerowError as error:
                assert error.code == "USB_LINE"


def test_say_and_heard() -> None:
    kind, body = usb_line.decode(usb_line.encode_say(0x1FF, False, 100, PAYLOAD)[:-1])
    assert kind == usb_line.SAY
    assert usb_line.decode_say(body) == (0xFF, False, 100, PAYLOAD)
    assert usb_line.decode_heard(b"\x01abcdef" + bytes([128 - 70, 3]) + PAYLOAD) == (
        b"\x01abcdef",
        -70,
        3,
        PAYLOAD,
    )


def test_what_is_short_long_or_senseless_is_refused() -> None:
    for body in (b"", b"\x01\x00\x01", b"\x01\x02\x01p", b"\x01\x00\x00p", b"\x01\x00\x01" + bytes(32)):
        raises("USB_LINE", usb_line.decode_say, body)
    for body in (bytes(8), bytes(41)):
        raises("USB_LINE", usb_line.decode_heard, body)
    for line in (b"", b"~", b"ack 1 op=1", b"~AAAA", b"~" + b"A" * 70):
        raises("USB_LINE", usb_line.decode, line)
    raises("USB_LINE", usb_line.numbers, b"abc", ">H")


def test_pieces_become_lines_and_too_much_is_cut_off() -> None:
    lines = usb_line.Lines()
    whole = usb_line.encode(usb_line.HUSH)
    assert lines.feed(whole[:4]) == []
    assert lines.feed(whole[4:] + b"boot 1\r\n~") == [whole[:-1], b"boot 1"]
    assert lines.text == b"~"
    for _ in range(100):
        assert lines.feed(bytes(50)) == []
        assert len(lines.text) <= usb_line.MOST + 1
    assert len(lines.feed(b"\n" + whole)) == 2
