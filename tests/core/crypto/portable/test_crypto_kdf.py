"""HMAC and HKDF: RFC 4231, RFC 5869."""

from hedgerow.crypto.kdf import expand, extract, hmac, same

HMACS = (
    (b"\x0b" * 20, b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
    (
        b"Jefe",
        b"what do ya want for nothing?",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ),
    (
        b"\xaa" * 131,
        b"Test Using Larger Than Block-Size Key - Hash Key First",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ),
)


def test_rfc_4231() -> None:
    for key, data, tag in HMACS:
        assert hmac(key, data) == bytes.fromhex(tag)


def test_rfc_5869() -> None:
    key = extract(bytes(range(13)), b"\x0b" * 22)
    assert key == bytes.fromhex("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5")
    okm = expand(key, bytes(range(0xF0, 0xFA)), 42)
    assert okm == bytes.fromhex(
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    )
    # Case 3: no salt, no info.
    key = extract(b"", b"\x0b" * 22)
    assert expand(key, b"", 42) == bytes.fromhex(
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
    )


def test_same() -> None:
    assert same(b"12345678", b"12345678") and same(b"", b"")
    for other in (b"", b"1234567", b"123456789", b"12345679", b"02345678"):
        assert not same(b"12345678", other)
