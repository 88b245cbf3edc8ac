"""COSE_Sign1 and COSE_Encrypt0: RFC 8392's signed token, altered bytes, forms that are refused."""

from kit import Random, raises

from hedgerow.codec import cbor
from hedgerow.crypto import cose
from hedgerow.crypto.cose import Sign1, decrypt0, encrypt0
from hedgerow.crypto.port import P256, finish
from hedgerow.crypto.signer import sign1
from hedgerow.errors import HedgerowError

# RFC 8392, A.2.3 and A.3.
RFC_KEY = bytes.fromhex(
    "04143329cce7868e416927599cf65a34f3ce2ffda55a7eca69ed8919a394d42f0f"
    "60f7f1a780d8a783bfb7a2dd6b2796e8128dbbcef9d3d168db9529971a36e7b9"
)
RFC_TOKEN = bytes.fromhex(
    "d28443a10126a104524173796d6d657472696345434453413235365850a70175636f61703a2f2f61732e6578616d706c65"
    "2e636f6d02656572696b77037818636f61703a2f2f6c696768742e6578616d706c652e636f6d041a5612aeb0051a5610d9"
    "f0061a5610d9f007420b7158405427c1ff28d23fbad1f29c4c7c6a555e601d6fa29f9179bc3d7438bacaca5acd08c8d4d4"
    "f96131680c429a01f85951ecee743a52b9b63632c57209120e1c9e30"
)

KEY = bytes(range(16))
IV = bytes(range(13))


def signer() -> tuple:
    p256 = P256(Random(1).bytes)
    return (p256,) + finish(p256.make_key())


def test_the_token_of_rfc_8392() -> None:
    p256 = signer()[0]
    for form in (RFC_TOKEN, RFC_TOKEN[1:], b"\xd8\x3d" + RFC_TOKEN):
        signed = Sign1(form)
        assert finish(signed.verify(p256, RFC_KEY))
        assert not finish(signed.verify(p256, RFC_KEY, b"other data"))
        assert signed.kid == b"AsymmetricECDSA256" and signed.kind is None
        assert cbor.decode(signed.payload)[2] == "erikw"


def test_signed() -> None:
    p256, private, public = signer()
    kid = cose.name_of(public)
    for kind, aad in (("", b""), ("hg-test", b""), ("", b"aad")):
        data = finish(sign1(p256, private, b"payload", kid, kind, aad))
        signed = Sign1(data)
        assert (signed.payload, signed.kid, signed.kind) == (b"payload", kid, kind or None)
        assert finish(signed.verify(p256, public, aad))
        assert not finish(signed.verify(p256, public, aad + b"x"))
        assert not finish(signed.verify(p256, b"\3" + RFC_KEY[1:33], aad))
        assert cose.untagged(data) == data[1:] == cose.untagged(data[1:])
    bare = finish(sign1(p256, private, b"", kid))
    assert bare[:7] == b"\xd2\x84\x43\xa1\x01\x26\xa1"
    assert len(bare) == 84


def test_each_byte_of_a_signed_object_counts() -> None:
    p256, private, public = signer()
    data = finish(sign1(p256, private, b"payload", b"kid", "k"))
    free = data.find(b"\xa1\x04\x43kid")
    for at in range(1, len(data)):
        wrong = bytearray(data)
        wrong[at] ^= 1
        try:
            good = finish(Sign1(bytes(wrong)).verify(p256, public))
        except HedgerowError:
            good = False
        # What names the key is a hint, and not signed.
        assert not good or free <= at < free + 6, at


def parts(data: bytes) -> list:
    return cbor.decode(data[1:])


def test_signed_objects_refused() -> None:
    p256, private, _ = signer()
    good = parts(finish(sign1(p256, private, b"payload", b"kid")))
    for at, wrong in (
        (0, b""),
        (0, b"\xa0"),
        (0, cbor.encode({1: -8})),
        (0, cbor.encode({1: -7, 2: [16]})),
        (0, cbor.encode([])),
        (0, {1: -7}),
        (1, []),
        (2, None),
        (2, "payload"),
        (3, bytes(63)),
        (3, bytes(65)),
        (3, None),
    ):
        changed = list(good)
        changed[at] = wrong
        raises("COSE_INVALID", Sign1, cbor.encode(changed))
    for wrong in (good[:3], good + [b""], {}, 1, b"x"):
        raises("COSE_INVALID", Sign1, cbor.encode(wrong))
    raises("CBOR_TRUNCATED", Sign1, b"")
    raises("CBOR_TRAILING", Sign1, cbor.encode(good) + b"\0")
    raises("CBOR_TAG", Sign1, b"\xd3" + cbor.encode(good))


def keys(kid: bytes) -> bytes | None:
    return {b"": KEY, b"one": KEY, b"two": bytes(16)}.get(kid)


def test_encrypted() -> None:
    for kid in (b"", b"one"):
        for aad in (b"", b"about it"):
            data = encrypt0(KEY, IV, b"values", kid, aad)
            assert decrypt0(keys, data, aad) == decrypt0(keys, data[1:], aad) == b"values"
            raises("TAG_INVALID", decrypt0, keys, data, aad + b"x")
    raises("TAG_INVALID", decrypt0, keys, encrypt0(KEY, IV, b"values", b"two"))
    raises("KEY_UNKNOWN", decrypt0, keys, encrypt0(KEY, IV, b"values", b"else"))
    data = encrypt0(KEY, IV, b"values")
    for at in range(1, len(data)):
        wrong = bytearray(data)
        wrong[at] ^= 1
        try:
            decrypt0(keys, bytes(wrong))
        except HedgerowError:
            pass
        else:
            raise AssertionError("byte %d" % at)


def test_encrypted_objects_refused() -> None:
    good = parts(encrypt0(KEY, IV, b"values"))
    for at, wrong in (
        (0, cbor.encode({1: 1})),
        (0, cbor.encode({1: 10, 2: []})),
        (0, b""),
        (1, {}),
        (1, {5: bytes(12)}),
        (1, {5: "text of 13 ch"}),
        (2, None),
    ):
        changed = list(good)
        changed[at] = wrong
        raises("COSE_INVALID", decrypt0, keys, cbor.encode(changed))
    raises("KEY_UNKNOWN", decrypt0, keys, cbor.encode([good[0], {5: IV, 4: 1}, good[2]]))
    raises("COSE_INVALID", decrypt0, keys, cbor.encode(good[:2]))
