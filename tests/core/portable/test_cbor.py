"""The CBOR profile: RFC 8949 Appendix A, the shortest form of everything, and refusals."""

import struct
from binascii import unhexlify

from kit import Random, load_json, raises, single_floats

from hedgerow.codec import cbor
from hedgerow.codec.decimal import Decimal

# Appendix A cases outside the profile, by the code that refuses them.
REFUSED = {
    "CBOR_TAG": "c249010000000000000000 c349010000000000000000 c11a514b67b0 c1fb41d452d9ec200000 "
    "d74401020304 c074323031332d30332d32315432303a30343a30305a d818456449455446 "
    "d82076687474703a2f2f7777772e6578616d706c652e636f6d",
    "CBOR_SIMPLE": "f0 f818 f8ff",
    "CBOR_NOT_SHORTEST": "fa7f800000 fa7fc00000 faff800000 "
    "fb7ff0000000000000 fb7ff8000000000000 fbfff0000000000000",
    "CBOR_INDEFINITE": "5f42010243030405ff 7f657374726561646d696e67ff 9fff 9f018202039f0405ffff "
    "9f01820203820405ff 83018202039f0405ff 83019f0203ff820405 "
    "9f0102030405060708090a0b0c0d0e0f101112131415161718181819ff bf61610161629f0203ffff "
    "826161bf61626163ff bf6346756ef563416d7421ff",
}


def test_appendix_a() -> None:
    refused = {text: code for code in REFUSED for text in REFUSED[code].split()}
    cases = load_json("cbor-rfc8949-appendix-a.json")
    assert len(cases) == 82
    seen = 0
    for case in cases:
        data = unhexlify(case["hex"])
        if case["hex"] in refused:
            raises(refused[case["hex"]], cbor.decode, data)
            seen += 1
            continue
        value = cbor.decode(data)
        assert cbor.encode(value) == data, case["hex"]
        # A VM with 32-bit floats keeps a float64 opaque, and reads this table's floats rounded.
        if "decoded" in case and not isinstance(case["decoded"], float):
            assert value == case["decoded"], case["hex"]
    assert seen == len(refused)


def test_floats_of_appendix_a_have_their_values() -> None:
    for text, value in (
        ("f90000", 0.0),
        ("f93c00", 1.0),
        ("f93e00", 1.5),
        ("f97bff", 65504.0),
        ("f9c400", -4.0),
    ):
        assert cbor.decode(unhexlify(text)) == value
    for text, value in (("f90001", 2.0**-24), ("f90400", 2.0**-14), ("fa47c35000", 100000.0)):
        assert cbor.decode(unhexlify(text)) == value


def test_shortest_float_is_exact_at_the_borders() -> None:
    # (bits of the float64, length of its item): largest and smallest half and single, and one beyond each
    cases = (
        ("40effc0000000000", 3),
        ("40effc0000000001", 9),
        ("40f0000000000000", 5),
        ("3e70000000000000", 3),
        ("3e60000000000000", 5),
        ("3e70000020000000", 5),
        ("3f0ff80000000000", 3),
        ("3f0ff40000000000", 5),
        ("47efffffe0000000", 5),
        ("47effffff0000000", 9),
        ("36a0000000000000", 5),
        ("3690000000000000", 9),
        ("b6a0000000000000", 5),
        ("380fffffc0000000", 5),
        ("380fffffe0000000", 9),
    )
    for text, size in cases:
        bits = unhexlify(text)
        item = cbor.encode(cbor.OpaqueFloat(bits))
        assert len(item) == size, text
        value = cbor.decode(item)
        if size < 9:
            assert struct.pack(">d", value) == bits, text
        elif cbor.single_floats:
            assert value == cbor.OpaqueFloat(bits)


def test_single_floats_keep_doubles_opaque() -> None:
    item = unhexlify("fb3ff199999999999a")
    with single_floats():
        value = cbor.decode(item)
        assert isinstance(value, cbor.OpaqueFloat)
        assert cbor.encode([value]) == b"\x81" + item
        assert value == cbor.decode(item) and hash(value) == hash(cbor.decode(item))
        assert value > 1.0 and value < 1.5 and not value > cbor.decode(item)
        assert cbor.decode(unhexlify("fbbff199999999999a")) < value
        assert len(cbor.encode(1.1)) == 5


def test_refused_bytes() -> None:
    cases = (
        ("CBOR_TRUNCATED", "18 19 1a000000 1b00000000000000 41 6261 8201 a1 a101 c482 c48220 f97e 820a"),
        ("CBOR_TRAILING", "0000 8000 f6f6 6000"),
        ("CBOR_NOT_SHORTEST", "1800 1817 190000 1900ff 1a0000ffff 1b00000000ffffffff 3800 5800 7817 980161"),
        ("CBOR_NOT_SHORTEST", "fa3f800000 fb3ff0000000000000 f97e01 f9fe00 fb3fb99999a0000000 fa33800000"),
        ("CBOR_INDEFINITE", "1f 3f 5f 7f 9f bf df ff"),
        ("CBOR_RESERVED", "1c 1d 1e 3c 5d 7e 9c fc fd fe"),
        ("CBOR_KEY_ORDER", "a2616200616100 a2616100616100 a220000000 a201000000"),
        ("CBOR_KEY_TYPE", "a18000 a1f600 a1f500 a1f93c0000 a1c482200100 a1a000"),
        ("CBOR_TAG", "c0 c400 c48100 c4830000f6 c482f600 c4826000 c48200c24101"),
        ("CBOR_SIMPLE", "e0 f3 f800 f820 f8ff"),
        ("CBOR_TEXT", "61ff 61c0 62c080 63eda080 64f4908080 62e282 63e08080 64f0808080 6180"),
        ("CBOR_TOO_LONG", "591001 791001 990401 b90101 9bffffffffffffffff"),
        ("DECIMAL_RANGE", "c482188001 c482387f01 c4821b800000000000000001"),
    )
    for code, texts in cases:
        for text in texts.split():
            raises(code, cbor.decode, unhexlify(text))


def test_depth_is_bounded_both_ways() -> None:
    nested = b"\x81" * 16 + b"\x00"
    assert cbor.encode(cbor.decode(nested)) == nested
    raises("CBOR_DEPTH", cbor.decode, b"\x81" * 17 + b"\x00")
    raises("CBOR_DEPTH", cbor.decode, b"\x81" * 3000 + b"\x00")
    raises("CBOR_DEPTH", cbor.decode, b"\xa1\x00" * 3000 + b"\x00")
    raises("CBOR_DEPTH", cbor.encode, [cbor.decode(nested)])


def test_refused_values() -> None:
    for code, value in (
        ("CBOR_INT_RANGE", 1 << 64),
        ("CBOR_INT_RANGE", -(1 << 64) - 1),
        ("CBOR_TYPE", object()),
        ("CBOR_TYPE", {1, 2}),
        ("CBOR_KEY_TYPE", {None: 1}),
        ("CBOR_KEY_TYPE", {1.5: 1}),
        ("CBOR_KEY_TYPE", {True: 1}),
        ("CBOR_KEY_TYPE", {(1, 2): 1}),
        ("CBOR_TOO_LONG", "x" * 4097),
        ("CBOR_TOO_LONG", bytes(4097)),
        ("CBOR_TOO_LONG", [0] * 1025),
        ("CBOR_TOO_LONG", {n: n for n in range(257)}),
        ("CBOR_TEXT", chr(0xD800)),
    ):
        raises(code, cbor.encode, value)


def test_map_keys_are_sorted_bytewise() -> None:
    value = {"b": 1, "aa": 2, "a": 3, 100: 4, 9: 5, -1: 6, b"z": 7}
    assert cbor.encode(value) == unhexlify("a709051864042006417a0761610361620162616102")
    assert cbor.decode(cbor.encode(value)) == value


def test_buffers_of_any_kind() -> None:
    data = cbor.encode([b"ab", "cd", {"e": [1, None]}])
    for form in (bytearray(data), memoryview(data)):
        assert cbor.decode(form) == [b"ab", "cd", {"e": [1, None]}]
    assert cbor.decode_at(b"??" + data + b"!", 2) == ([b"ab", "cd", {"e": [1, None]}], 2 + len(data))
    assert cbor.encode([bytearray(b"ab"), memoryview(b"ab"), ("x",)]) == cbor.encode([b"ab", b"ab", ["x"]])


def _value(random: Random, depth: int) -> object:
    kind = random.below(11 if depth < 4 else 8)
    if kind < 2:
        number = random.below(1 << random.below(65))
        return number if kind else -1 - number
    if kind == 2:
        return random.choice([None, True, False, cbor.UNDEFINED])
    if kind == 3:
        return random.bytes(random.below(40))
    if kind == 4:
        return "".join([chr(random.choice([65, 0xE9, 0x20AC, 0x1F33F])) for _ in range(random.below(12))])
    if kind == 5:
        return Decimal(random.between(-100000, 100000), random.between(-12, 12))
    if kind < 8:
        return random.between(-1000, 1000) / 8
    if kind < 10:
        return [_value(random, depth + 1) for _ in range(random.below(5))]
    return {
        random.choice(["a", "bb", 1, -7, b"k"]): _value(random, depth + 1) for _ in range(random.below(4))
    }


def test_random_values_round_trip() -> None:
    random = Random(8949)
    for _ in range(400):
        value = _value(random, 0)
        data = cbor.encode(value)
        again = cbor.decode(data)
        assert again == value
        assert cbor.encode(again) == data


def test_damaged_bytes_never_fail_otherwise_than_by_code() -> None:
    from hedgerow.errors import CODES, HedgerowError

    random = Random(7)
    refused = 0
    for _ in range(1500):
        data = bytearray(cbor.encode(_value(random, 0)))
        for _ in range(random.between(1, 3)):
            data[random.below(len(data))] = random.below(256)
        try:
            assert cbor.encode(cbor.decode(data)) == bytes(data)
        except HedgerowError as error:
            assert error.code in CODES, error.code
            refused += 1
    assert refused > 100
