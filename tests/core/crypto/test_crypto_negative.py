"""What must be refused is, by all: cryptography itself, both backends, boards' code in the MicroPython VM."""

import subprocess
from collections import Counter
from pathlib import Path

import judge
import negative_cases
import pytest
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from cryptography.hazmat.primitives.hashes import SHA256
from micropython_vm import micropython
from negative_cases import Case

from hedgerow.crypto import ccm, curve, port

SHARED = Path(__file__).parents[3] / "shared"


def in_vm(cases: list[Case], folder: Path) -> list[str]:
    """The verdicts of the VM."""
    path = folder / "cases"
    lines = [" ".join([kind, *(part.hex() or "-" for part in parts)]) for kind, parts in cases]
    path.write_text("\n".join(lines))
    command = [micropython(), "-X", "heapsize=400k", Path(judge.__file__), path, SHARED]
    done = subprocess.run(command, capture_output=True, text=True, timeout=380, check=False)
    assert done.returncode == 0, done.stdout[-500:] + done.stderr
    return done.stdout.split()


def directly(kind: str, parts: list[bytes]) -> str:
    """The verdict of cryptography, asked without any code of ours."""
    try:
        if kind == "verify":
            public, message, signature = parts
            key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public)
            if len(signature) != 64:
                return "False"
            r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
            key.verify(encode_dss_signature(r, s), message, ec.ECDSA(SHA256()))
            return "True"
        if kind == "agree":
            private, public = parts
            if len(public) == 32:
                public = b"\2" + public
            other = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public)
            try:
                if len(private) != 32:
                    return "KEY_INVALID"
                own = ec.derive_private_key(int.from_bytes(private, "big"), ec.SECP256R1())
            except ValueError:
                return "KEY_INVALID"
            return own.exchange(ec.ECDH(), other).hex()
        key, nonce, aad, sealed = parts
        return AESCCM(key, tag_length=8).decrypt(nonce, sealed, aad).hex() or "-"
    except InvalidSignature:
        return "False"
    except InvalidTag:
        return "TAG_INVALID"
    except ValueError:
        return "POINT_INVALID"


@pytest.mark.parametrize(
    ("name", "refusals"),
    [
        ("ecdsa", {"False", "POINT_INVALID"}),
        ("ecdh", {"POINT_INVALID", "KEY_INVALID"}),
        ("ccm", {"TAG_INVALID"}),
    ],
)
def test_all_say_the_same(name: str, refusals: set[str], tmp_path: Path) -> None:
    cases: list[Case] = getattr(negative_cases, name)()
    expected = [directly(kind, parts) for kind, parts in cases]
    counts = Counter(verdict if verdict in refusals else "taken" for verdict in expected)
    assert sum(counts[refusal] for refusal in refusals) >= 300, counts
    assert all(counts[refusal] >= 30 for refusal in refusals) and counts["taken"] >= 10, counts
    random = negative_cases.random.Random(1).randbytes
    backends = ((port.P256(random), port), (curve.P256(random), ccm))
    for p256, cipher in backends:
        for (kind, parts), verdict in zip(cases, expected, strict=True):
            found = judge.verdict(p256, cipher, port.finish, kind, parts)
            assert found == verdict, (type(p256), kind, [part.hex() for part in parts])
    for (kind, parts), verdict, found in zip(cases, expected, in_vm(cases, tmp_path), strict=True):
        assert found == verdict, (kind, [part.hex() for part in parts])


def test_both_backends_agree_byte_for_byte(tmp_path: Path) -> None:
    chance = negative_cases.random.Random(4)
    cases: list[Case] = []
    for _ in range(40):
        private = negative_cases.number(chance.randrange(1, negative_cases.N))
        public = negative_cases.pair(chance)[1]
        cases += [
            ("public", [private]),
            ("agree", [private, public]),
            ("sign", [private, chance.randbytes(chance.randrange(100))]),
            ("seal", [private[:16], private[16:29], public[: chance.randrange(33)], chance.randbytes(50)]),
        ]
    expected = [judge.verdict(port.P256(chance.randbytes), port, port.finish, *case) for case in cases]
    board = curve.P256(chance.randbytes)
    assert [judge.verdict(board, ccm, port.finish, *case) for case in cases] == expected
    assert in_vm(cases, tmp_path) == expected
