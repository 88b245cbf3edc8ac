"""CWTs exchanged with the package `cwt`, which runs in a process of its own (see cwt_process)."""

import os
import subprocess
import sys
from pathlib import Path

import cbor2
import pytest
from crypto_kit import DAY, NOW, Issuer
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hedgerow.crypto import claims, cose
from hedgerow.crypto.credentials import Credential
from hedgerow.crypto.port import P256, finish

#: Where `make` installs it.
FOLDER = Path(sys.prefix) / "cwt"
ORACLE = Path(__file__).with_name("cwt_process.py")


def whole(public: bytes) -> bytes:
    """A compressed key with both coordinates."""
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public)
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def ask(*words: str | bytes) -> bytes:
    """Ask the package; AssertionError with its words for what it refuses."""
    if not FOLDER.exists():
        pytest.skip(f"the package cwt is not in {FOLDER}: pip install --target {FOLDER} cwt")
    command = [sys.executable, str(ORACLE), *(w if isinstance(w, str) else w.hex() for w in words)]
    environment = {**os.environ, "PYTHONPATH": str(FOLDER)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return bytes.fromhex(done.stdout.strip())


# Its clock is the real one, and it looks at exp.
LATER = {"IAT": NOW - 20 * 365 * DAY, "EXP": NOW + 100 * 365 * DAY}


def test_the_package_reads_ours() -> None:
    issuer = Issuer(1)
    token = issuer.credential(issuer.public, SEALING_KEY=issuer.public, AUTHOR=b"author-1", **LATER)
    found = cbor2.loads(ask("read", whole(issuer.public), token))
    assert found == Credential(token).claims.values
    wrong = token[:-1] + bytes((token[-1] ^ 1,))
    with pytest.raises(AssertionError, match="Failed to verify"):
        ask("read", whole(issuer.public), wrong)


def test_we_read_the_packages() -> None:
    issuer = Issuer(2)
    token = issuer.credential(issuer.public, METADATA={"site": "north"}, **LATER)
    said = Credential(token).claims
    # It adds "not before" (5) where that is missing, behind all others: not the order of keys that is ours.
    said.values[5] = said.issued
    payload = cbor2.dumps(said.values, canonical=True)
    made = ask("write", issuer.private, whole(issuer.public), issuer.kid, payload)
    signed = cose.Sign1(made)
    p256 = P256(os.urandom)
    assert finish(signed.verify(p256, issuer.public))
    assert not finish(signed.verify(p256, finish(p256.make_key())[1]))
    assert claims.Claims.decode(signed.payload).values == said.values
    assert signed.kid == issuer.kid
