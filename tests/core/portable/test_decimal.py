"""Decimals: as authored, compared by value."""

from kit import Random, raises

from hedgerow.codec import cbor
from hedgerow.codec.decimal import Decimal


def test_digits_stay_as_written() -> None:
    for text, mantissa, exponent in (
        ("39.4", 394, -1),
        ("39.40", 3940, -2),
        ("-0.5", -5, -1),
        ("0", 0, 0),
        ("0.00", 0, -2),
        ("5e3", 5, 3),
        ("-12", -12, 0),
        ("1e-30", 1, -30),
        ("0.000000000000000000000001", 1, -24),
    ):
        number = Decimal.parse(text)
        assert (number.mantissa, number.exponent) == (mantissa, exponent), text
        assert str(number) == text


def test_other_spellings_are_read() -> None:
    for text, same in (
        ("+1.50", "1.50"),
        (".5", "0.5"),
        ("7.", "7"),
        ("1.5E+2", "15e1"),
        ("007", "7"),
        ("1.50e1", "15.0"),
    ):
        assert str(Decimal.parse(text)) == same


def test_refused_texts() -> None:
    for text in (
        "",
        "-",
        ".",
        "1.2.3",
        "abc",
        "1e",
        "1e+",
        "--1",
        "1_000",
        "1 ",
        "nan",
        "0x1",
        "1e99999",
        "9" * 41,
        "٣",
    ):
        raises("DECIMAL_SYNTAX", Decimal.parse, text)
    for text in ("1e128", "1e-128", "18446744073709551616"):
        raises("DECIMAL_RANGE", Decimal.parse, text)
    raises("DECIMAL_RANGE", Decimal, -(1 << 64) - 1, 0)


def test_comparison_is_by_value() -> None:
    assert Decimal(394, -1) == Decimal(39400, -3)
    assert hash(Decimal(394, -1)) == hash(Decimal(39400, -3))
    assert Decimal(50, -1) == 5 and hash(Decimal(50, -1)) == hash(5)
    assert Decimal(5, 1) == 50 and Decimal(5, 1) > 49 and Decimal(5, 1) <= 50
    assert Decimal(394, -1) != Decimal(394, -2)
    assert Decimal(1, 127) > Decimal((1 << 64) - 1, 0)
    assert Decimal(-1, 127) < Decimal(1, -127)
    assert Decimal(0, 5) == Decimal(0, -5)
    assert Decimal(18014398509481985) > Decimal(180143985094819849, -1)
    assert Decimal(180143985094819849, -1) < Decimal(18014398509481985)
    assert Decimal(1, 0) != "1" and Decimal(1, 0) is not None
    try:
        ordered = Decimal(1, 0) < "1"
    except TypeError:
        ordered = None
    assert ordered is None


def test_order_agrees_with_integers_of_one_scale() -> None:
    random = Random(4)
    for _ in range(300):
        pairs = [(random.between(-999, 999), random.between(-4, 4)) for _ in range(2)]
        left, right = [Decimal(mantissa, exponent) for mantissa, exponent in pairs]
        a, b = [mantissa * 10 ** (exponent + 4) for mantissa, exponent in pairs]
        assert (left < right, left == right, left >= right) == (a < b, a == b, a >= b)
        assert (hash(left) == hash(right)) or a != b


def test_text_and_cbor_round_trip() -> None:
    random = Random(5)
    for _ in range(300):
        number = Decimal(random.between(-(1 << 40), 1 << 40), random.between(-127, 127))
        for again in (Decimal.parse(str(number)), cbor.decode(cbor.encode(number))):
            assert (again.mantissa, again.exponent) == (number.mantissa, number.exponent)
