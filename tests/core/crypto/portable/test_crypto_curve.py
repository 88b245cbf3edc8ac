"""P-256 on this VM: published values, what is refused, and the fixed sequence of operations."""

from kit import Random, raises

from hedgerow.crypto import curve, port
from hedgerow.crypto.ephemeral import Ephemerals
from hedgerow.crypto.port import finish
from hedgerow.crypto.programs import G_X, G_Y, N, P

# RFC 6979, A.2.5.
KEY = bytes.fromhex("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721")
PUBLIC_X = bytes.fromhex("60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6")
PUBLIC_Y = bytes.fromhex("7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299")
SIGNED = {
    b"sample": "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
    "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
    b"test": "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367"
    "019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083",
}
# RFC 5903, 8.1.
I_KEY = bytes.fromhex("c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433")
I_X = bytes.fromhex("dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180")
I_Y = bytes.fromhex("5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3")
R_KEY = bytes.fromhex("c6ef9c5d78ae012a011164acb397ce2088685d8f06bf9be0b283ab46476bee53")
R_X = bytes.fromhex("d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63")
R_Y = bytes.fromhex("56fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab")
SHARED = bytes.fromhex("d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de")

ORDER = N.to_bytes(32, "big")


def both() -> list:
    """The code of boards and the backend that this VM chose: the same one on MicroPython."""
    random = Random(3).bytes
    return [curve.P256(random), port.P256(random)]


def test_agreement_of_rfc_5903() -> None:
    for p256 in both():
        for key, x, y in ((I_KEY, R_X, R_Y), (R_KEY, I_X, I_Y)):
            odd = bytes((2 + (y[31] & 1),))
            for public in (x, odd + x, bytes((5 - odd[0],)) + x, b"\4" + x + y):
                assert finish(p256.agree(key, public)) == SHARED


def test_public_keys() -> None:
    for p256 in both():
        assert finish(p256.public_of(KEY)) == b"\3" + PUBLIC_X
        assert finish(p256.public_of(bytes(31) + b"\1")) == b"\3" + G_X.to_bytes(32, "big")
        last = (N - 1).to_bytes(32, "big")
        assert finish(p256.public_of(last)) == b"\2" + G_X.to_bytes(32, "big")
        private, public = finish(p256.make_key())
        assert finish(p256.public_of(private)) == public
    assert G_Y & 1 == 1


def test_signatures_of_rfc_6979() -> None:
    for p256 in both():
        for message in sorted(SIGNED):
            signature = bytes.fromhex(SIGNED[message])
            assert finish(p256.sign(KEY, message)) == signature
            for public in (b"\3" + PUBLIC_X, b"\4" + PUBLIC_X + PUBLIC_Y):
                assert finish(p256.verify(public, message, signature))
                assert not finish(p256.verify(public, message + b"x", signature))
            assert not finish(p256.verify(b"\2" + PUBLIC_X, message, signature))


def test_keys_out_of_range() -> None:
    for p256 in both():
        for key in (bytes(32), ORDER, b"\xff" * 32, KEY[:31], KEY + b"\0", b""):
            raises("KEY_INVALID", finish, p256.agree(key, R_X))
            raises("KEY_INVALID", finish, p256.public_of(key))
            raises("KEY_INVALID", finish, p256.sign(key, b"x"))
        assert p256.multiplications == 0


def test_points_refused() -> None:
    size = P.to_bytes(32, "big")
    # 4 is the x of no point.
    alone = bytes(31) + b"\4"
    for p256 in both():
        for public in (
            alone,
            b"\2" + alone,
            size,
            b"\xff" * 32,
            b"\5" + R_X,
            b"\4" + R_X,
            b"\2" + R_X + R_Y,
            b"\4" + R_X + I_Y,
            b"\4" + R_X + size,
            b"\4" + bytes(64),
            b"\0",
            b"",
            R_X[:31],
        ):
            raises("POINT_INVALID", finish, p256.agree(KEY, public))
            raises("POINT_INVALID", finish, p256.verify(public, b"x", bytes(64)))
        assert p256.multiplications == 0


def test_multiplications_are_counted() -> None:
    for p256 in both():
        finish(p256.make_key())
        assert p256.multiplications == 1
        finish(p256.agree(KEY, R_X))
        assert p256.multiplications == 2
        signature = finish(p256.sign(KEY, b"x"))
        assert p256.multiplications == 3
        finish(p256.verify(b"\3" + PUBLIC_X, b"x", signature))
        assert p256.multiplications == 5


def trace(key: bytes) -> list:
    """What the machine runs for one agreement, and how many slices that is."""
    found: list = []
    run, pick = curve.field.run, curve.field.pick

    def noted(work: object, code: bytes, size: int) -> None:
        found.append((bytes(code), size))
        run(work, code, size)

    def picked(work: object, to: int, table: int, digit: int) -> None:
        found.append((to, table))
        pick(work, to, table, digit)

    curve.field.run, curve.field.pick = noted, picked
    try:
        slices = 0
        for _ in curve.P256(None).agree(key, R_X):
            slices += 1
    finally:
        curve.field.run, curve.field.pick = run, pick
    return [slices] + found


def test_every_key_takes_the_same_operations() -> None:
    first = trace(KEY)
    for key in (
        bytes(31) + b"\1",
        bytes(31) + b"\2",
        (N - 1).to_bytes(32, "big"),
        b"\x80" + bytes(31),
        R_KEY,
    ):
        assert trace(key) == first
    # Each slice is a digit of the key: 4 doublings and an addition.
    assert first[0] == 66


def test_the_radio_breathes_in_signatures_too() -> None:
    p256 = curve.P256(Random(4).bytes)
    assert len(list(p256.sign(KEY, b"x"))) > 66
    assert len(list(p256.verify(b"\3" + PUBLIC_X, b"x", finish(p256.sign(KEY, b"x"))))) > 128


def test_ephemerals_are_used_once() -> None:
    for p256 in both():
        store = Ephemerals(p256)
        for _ in range(4):
            finish(store.prepare())
        assert len(store) == 2 == p256.multiplications
        pairs = [finish(store.take()) for _ in range(3)]
        assert len(store) == 0 and p256.multiplications == 3
        assert len({private for private, _ in pairs}) == 3
        for private, x in pairs:
            assert finish(p256.public_of(private))[1:] == x


def test_no_more_ephemerals_than_there_is_room_for() -> None:
    """Also if two are made side by side."""
    store = Ephemerals(curve.P256(Random(5).bytes))
    finish(store.prepare())
    one, two = store.prepare(), store.prepare()
    next(one), next(two)
    finish(one), finish(two)
    assert len(store) == 2
