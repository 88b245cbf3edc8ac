"""Cases for judge.py, most of which must be refused; the same ones in every run."""

import random
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B

Case = tuple[str, list[bytes]]


def number(value: int) -> bytes:
    return (value % (1 << 256)).to_bytes(32, "big")


def altered(chance: random.Random, data: bytes) -> bytes:
    """The data with one bit changed."""
    at = chance.randrange(8 * len(data))
    return bytes(byte ^ (1 << (at & 7) if place == at >> 3 else 0) for place, byte in enumerate(data))


def pair(chance: random.Random) -> tuple[ec.EllipticCurvePrivateKey, bytes, bytes]:
    """A key, and its public one compressed and not."""
    key = ec.derive_private_key(chance.randrange(1, N), ec.SECP256R1())
    public = key.public_key()
    compressed = public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    return key, compressed, public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def no_point(chance: random.Random) -> bytes:
    """An x that no point of the curve has: one of the twist."""
    while True:
        x = chance.randrange(P)
        if pow(x**3 - 3 * x + B, (P - 1) // 2, P) != 1:
            return number(x)


def bad_points(chance: random.Random, good: bytes) -> list[bytes]:
    """Public keys that are none, made from a good one of 65 bytes."""
    x, y = good[1:33], good[33:]
    return [
        b"\4" + x + number(int.from_bytes(y, "big") + 1),
        b"\4" + altered(chance, x) + y,
        b"\4" + x + altered(chance, y),
        b"\4" + y + x,
        b"\4" + x + bytes(32),
        b"\4" + bytes(64),
        b"\4" + number(P) + y,
        b"\4" + x + number(P + chance.randrange(1 << 200)),
        b"\2" + no_point(chance),
        b"\3" + no_point(chance),
        b"\2" + number(P + chance.randrange(1 << 128)),
        b"\2" + bytes(31),
        b"\0",
        bytes(33),
        bytes(65),
        bytes((chance.randrange(7, 256),)) + x,
        b"\4" + x,
        b"\2" + x + y,
        good + b"\0",
        good[:64],
        b"",
    ]


def small_s(chance: random.Random, message: bytes) -> list[Case]:
    """A signature whose s is so small that the order may be added to it, and then it is none."""
    nonce, s = chance.randrange(1, N), chance.randrange(1, 1 << 200)
    point = ec.derive_private_key(nonce, ec.SECP256R1()).public_key().public_numbers()
    digest = int.from_bytes(sha256(message).digest(), "big")
    private = (s * nonce - digest) * pow(point.x, -1, N) % N
    public = ec.derive_private_key(private, ec.SECP256R1()).public_key()
    key = public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    return [("verify", [key, message, number(point.x % N) + number(value)]) for value in (s, s + N)]


def ecdsa(seed: int = 1, rounds: int = 8) -> list[Case]:
    chance = random.Random(seed)
    cases: list[Case] = []
    for _ in range(rounds):
        key, compressed, full = pair(chance)
        other = pair(chance)[1]
        message = chance.randbytes(chance.randrange(60))
        r, s = decode_dss_signature(key.sign(message, ec.ECDSA(SHA256())))
        good = number(r) + number(s)
        # These two are signatures: an s and its opposite.
        cases += [
            ("verify", [compressed, message, good]),
            ("verify", [full, message, number(r) + number(N - s)]),
        ]
        strange = [0, N, N + 1, N - 1, 1, P, -1, 2 * N, N + r, N - r, P + r]
        cases += [("verify", [full, message, number(value) + number(s)]) for value in strange]
        cases += [("verify", [full, message, number(r) + number(value)]) for value in strange if value % N]
        cases += [("verify", [full, message, number(r) + number(value)]) for value in (0, N)]
        cases += [("verify", [full, message, number(one) + number(two)]) for one in (0, N) for two in (0, N)]
        cases += [("verify", [compressed, message, altered(chance, good)]) for _ in range(6)]
        cases += [("verify", [altered(chance, compressed), message, good]) for _ in range(4)]
        cases += [("verify", [point, message, good]) for point in bad_points(chance, full)]
        cases += [
            *small_s(chance, message),
            ("verify", [other, message, good]),
            ("verify", [bytes((5 - compressed[0],)) + compressed[1:], message, good]),
            ("verify", [compressed, message + b"\0", good]),
            ("verify", [compressed, message, good[32:] + good[:32]]),
            ("verify", [compressed, message, good[:63]]),
            ("verify", [compressed, message, good + b"\0"]),
            ("verify", [compressed, message, b""]),
        ]
    return cases


def ecdh(seed: int = 2, rounds: int = 12) -> list[Case]:
    chance = random.Random(seed)
    cases: list[Case] = []
    for _ in range(rounds):
        _, compressed, full = pair(chance)
        private = number(chance.randrange(1, N))
        # These are points: the x alone, either y, both.
        for public in (compressed[1:], compressed, bytes((5 - compressed[0],)) + compressed[1:], full):
            cases.append(("agree", [private, public]))
        cases += [("agree", [private, point]) for point in bad_points(chance, full)]
        cases += [("agree", [private, no_point(chance)]), ("agree", [private, number(P)])]
        cases.append(("agree", [private, number(P + chance.randrange(1 << 128))]))
        for wrong in (
            bytes(32),
            number(N),
            number(N + chance.randrange(1 << 128)),
            b"\xff" * 32,
            private[:31],
            b"",
        ):
            cases.append(("agree", [wrong, compressed]))
    return cases


def ccm(seed: int = 3, rounds: int = 12) -> list[Case]:
    chance = random.Random(seed)
    cases: list[Case] = []
    for at in range(rounds):
        key, nonce = chance.randbytes(16), chance.randbytes(13)
        aad, data = chance.randbytes(at % 5 * 9), chance.randbytes(chance.randrange(1, 70))
        good = AESCCM(key, tag_length=8).encrypt(nonce, data, aad)
        cases.append(("open", [key, nonce, aad, good]))
        cases += [("open", [key, nonce, aad, good[:-8] + altered(chance, good[-8:])]) for _ in range(10)]
        cases += [("open", [key, nonce, aad, altered(chance, good)]) for _ in range(6)]
        cases += [
            ("open", [altered(chance, key), nonce, aad, good]),
            ("open", [key, altered(chance, nonce), aad, good]),
            ("open", [key, nonce, aad + b"\0", good]),
            ("open", [key, nonce, altered(chance, aad) if aad else b"x", good]),
            ("open", [key, nonce, aad, good + b"\0"]),
            ("open", [key, nonce, aad, good[1:]]),
            ("open", [key, nonce, aad, good[:-1]]),
            ("open", [key, nonce, aad, good[:-8] + bytes(8)]),
            ("open", [key, nonce, aad, good[:7]]),
            ("open", [key, nonce, aad, AESCCM(key, tag_length=16).encrypt(nonce, data, aad)]),
            ("open", [key, nonce, aad, b""]),
        ]
    return cases
