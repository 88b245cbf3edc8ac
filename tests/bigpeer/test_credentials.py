"""Credentials as CWT in COSE_Sign1: round trips, another implementation's verdict, and bad ones."""

from typing import Any

import cwt_oracle
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from hedgerow.codec import cbor
from hedgerow.crypto import claims
from hedgerow.errors import HedgerowError
from hedgerow.limits import MAX_NAME
from hedgerow_bigpeer import limits
from hedgerow_bigpeer.auth import cose
from hedgerow_bigpeer.auth.credential import Credential, Limits, read_credential
from hedgerow_bigpeer.auth.scope import Entry

ISSUER = ec.generate_private_key(ec.SECP256R1())
POINT = cose.compress(ISSUER.public_key())
KEYS = [cose.compress(ec.generate_private_key(ec.SECP256R1()).public_key()) for _ in range(4)]


def make(**changes: Any) -> Credential:
    """Return a credential with everything in it."""
    values: dict[str, Any] = {
        "app": "b4f0",
        "user": "ann",
        "expires": 1_800_000_000,
        "issued": 1_790_000_000,
        "number": bytes(range(8)),
        "agreement": KEYS[0],
        "sealing": KEYS[1],
        "scope": (Entry("readings", 3), Entry("cars", 1, "color = 'blue'")),
        "mode": claims.PRODUCTION,
        "mesh": b"meshmesh",
        "author": b"authorau",
        "metadata": {"team": "north"},
        "kinds": claims.DELEGATES,
        "delegation": Limits(("readings",), 40, 1_799_000_000),
        "under": b"under-it",
    }
    return Credential(**{**values, **changes})


def refused(message: bytes) -> str:
    with pytest.raises(HedgerowError) as caught:
        read_credential(message)
    return caught.value.code


def text(most: int) -> st.SearchStrategy[str]:
    """Lengths are counted in bytes, of which a character has up to four."""
    return st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=most // 4)


texts = text(limits.USER_ID_BYTES)
eight = st.binary(min_size=8, max_size=8)


@given(
    app=texts,
    user=texts,
    number=eight,
    author=st.none() | eight,
    under=st.none() | eight,
    salt=st.none() | st.binary(min_size=16, max_size=16),
    kinds=st.integers(0, 15),
    mode=st.sampled_from([claims.PRODUCTION, claims.PLAYGROUND]),
    keys=st.permutations(KEYS),
    metadata=st.dictionaries(texts, texts | st.integers(-1000, 1000) | st.booleans(), min_size=1, max_size=3),
    scope=st.lists(
        st.builds(Entry, text(MAX_NAME), st.integers(1, 3), st.sampled_from(["", "a > 1"])), max_size=16
    ),
)
@settings(deadline=None)
def test_what_is_written_is_read(keys: list[bytes], scope: list[Entry], **changes: Any) -> None:
    credential = make(agreement=keys[0], sealing=keys[1], scope=tuple(scope), **changes)
    found, signed = read_credential(credential.sign(ISSUER))
    assert found == credential and signed.is_by(POINT) and signed.payload == credential.payload()
    assert not signed.is_by(KEYS[2])


def test_signing_twice_gives_the_same_bytes() -> None:
    assert make().sign(ISSUER) == make().sign(ISSUER)


def test_no_altered_byte_passes() -> None:
    message = make().sign(ISSUER)
    for at in range(len(message)):
        for bit in (1, 0x80):
            altered = message[:at] + bytes([message[at] ^ bit]) + message[at + 1 :]
            try:
                _, signed = read_credential(altered)
            except HedgerowError as error:
                assert error.code == "CREDENTIAL_INVALID"
                continue
            assert not signed.is_by(POINT), at


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_with_a_code(data: bytes) -> None:
    assert refused(data) == refused(b"\xd2" + data) == "CREDENTIAL_INVALID"


@pytest.mark.parametrize(
    "changes",
    [
        {claims.MODE: [2, b"meshmesh"]},
        {claims.MODE: [True, b"meshmesh"]},
        {claims.MODE: [0, b"mesh"]},
        {claims.EXP: 1_790_000_000},
        {claims.EXP: -1},
        {claims.IAT: 1.5},
        {claims.SUB: ""},
        {claims.SUB: "x" * 129},
        {claims.CTI: b"short"},
        {claims.CNF: {1: {1: 2, -1: 1, -2: b"\xff" * 32, -3: False}}},
        {claims.CNF: {1: {1: 2, -1: 2, -2: KEYS[0][1:], -3: False}}},
        {claims.CNF: {1: {1: 2, -1: 1, -2: KEYS[0][1:], -3: 1}}},
        {claims.SEALING_KEY: b"\x04" + bytes(32)},
        {claims.SEALING_KEY: b"\x02" + b"\xff" * 32},
        {claims.SCOPE: [["c", 4]]},
        {claims.SCOPE: [["c", 0]]},
        {claims.SCOPE: [["c", 1, ""]]},
        {claims.SCOPE: [["c", 1, "a >"]]},
        {claims.SCOPE: [["c", 1, "COUNT(*) > 1"]]},
        {claims.SCOPE: [["", 1]]},
        {claims.SCOPE: [["c", 1]] * 17},
        {claims.KINDS: 16},
        {claims.METADATA: {1: "x"}},
        {claims.METADATA: {"x": "y" * 1100}},
        {claims.DELEGATION: [[], 1, 5]},
        {claims.DELEGATION: [["a"], 0, 5]},
        {claims.UNDER: b""},
        {claims.SALT: bytes(8)},
        {3: "audience"},
    ],
)
def test_claims_that_break_a_rule(changes: dict[int, Any]) -> None:
    values = {**cbor.decode(make().payload()), **changes}
    assert refused(cose.sign(ISSUER, cbor.encode(values))) == "CREDENTIAL_INVALID"


@pytest.mark.parametrize("missing", [claims.ISS, claims.EXP, claims.CNF, claims.SCOPE, claims.SEALING_KEY])
def test_claims_that_are_missing(missing: int) -> None:
    values = cbor.decode(make().payload())
    del values[missing]
    assert refused(cose.sign(ISSUER, cbor.encode(values))) == "CREDENTIAL_INVALID"


def test_a_signature_over_another_kind_of_object_is_none_over_a_credential() -> None:
    payload = make().payload()
    other = cose.sign(ISSUER, payload, "hg-rev")
    assert refused(other) == "CREDENTIAL_INVALID"
    parts = cbor.decode(other[1:])
    parts[0] = cbor.encode({1: -7})
    _, signed = read_credential(b"\xd2" + cbor.encode(parts))
    assert not signed.is_by(POINT)


def test_a_credential_that_is_too_large_is_not_made() -> None:
    wide = tuple(Entry(f"{number:02}" * 30, 1, "a = '" + "x" * 200 + "'") for number in range(16))
    with pytest.raises(HedgerowError, match="CREDENTIAL_TOO_LARGE"):
        make(scope=wide).payload()


@pytest.mark.parametrize("r, s", [(0, 1), (1, 0), (0, 0), (2**256 - 1, 1), (1, 2**256 - 1)])
def test_signatures_out_of_range(r: int, s: int) -> None:
    assert not cose.is_signature(POINT, r.to_bytes(32, "big") + s.to_bytes(32, "big"), b"data")


def _pem() -> str:
    return ISSUER.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def test_the_cwt_package_reads_ours() -> None:
    message = make(expires=4_000_000_000).sign(ISSUER)
    found = cwt_oracle.ask(_pem(), cose.kid_of(POINT), message)
    assert found["1"] == "'b4f0'" and found["7"] == repr(bytes(range(8))) and found["-65537"] == repr(KEYS[1])
    altered = message[:-1] + bytes([message[-1] ^ 1])
    with pytest.raises(ValueError, match="verify"):
        cwt_oracle.ask(_pem(), cose.kid_of(POINT), altered)


def test_ours_reads_what_the_cwt_package_signs() -> None:
    payload = make().payload()
    message = bytes.fromhex(cwt_oracle.ask(_pem(), cose.kid_of(POINT), payload=payload)["message"])
    credential, signed = read_credential(message)
    assert signed.is_by(POINT) and credential == make()
