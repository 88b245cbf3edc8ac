"""A peer's two key pairs: one that agrees keys, one that seals (SPEC 11.2, 12.4)."""

from ..codec import cbor
from ..errors import HedgerowError
from ..limits import const
from .claims import author_of
from .handshake import Own
from .kdf import expand, extract, hmac
from .port import finish

_KEY = const(32)
_SALT = const(16)
KEYS = 2 * _KEY + _SALT


def salted(keys: bytes, random: object) -> tuple:
    """Return the same `keys` with a new salt, for a log that begins now, and its author."""
    from .port import P256

    fresh = keys[: 2 * _KEY] + random(_SALT)
    sealing = finish(P256(random).public_of(keys[_KEY : 2 * _KEY]))
    return fresh, author_of(sealing, fresh[2 * _KEY :])


class Identity:
    """The keys, from the KEYS bytes that `keys` keeps: private agreement key, private sealing key, and the 16
    random bytes that the log was formatted with.

    `agreement` and `sealing` are the public keys (33 bytes), `author` is that of the log. KEY_INVALID.
    """

    def __init__(self, p256: object, keys: bytes):
        if len(keys) != KEYS:
            raise HedgerowError("KEY_INVALID", "%d bytes" % len(keys))
        self.keys = keys
        self.p256 = p256
        self.agreement = finish(p256.public_of(keys[:_KEY]))
        self.sealing = finish(p256.public_of(keys[_KEY : 2 * _KEY]))
        self.author = author_of(self.sealing, keys[2 * _KEY :])

    @staticmethod
    def make(p256: object) -> "Identity":
        """Make new keys."""
        agreement, _ = finish(p256.make_key())
        sealing, _ = finish(p256.make_key())
        return Identity(p256, agreement + sealing + p256.random(_SALT))

    def reformatted(self) -> "Identity":
        """Return the same keys for a log that is formatted now: another author."""
        return Identity(self.p256, self.keys[: 2 * _KEY] + self.p256.random(_SALT))

    def own(self, credential: object, issuer: bytes | None = None) -> Own:
        """Return what handshakes need of this peer. CREDENTIAL_INVALID where the keys are others'."""
        if credential.agreement != self.agreement:
            raise HedgerowError("CREDENTIAL_INVALID", "for another key")
        return Own(self.keys[:_KEY], credential.value, credential.name, issuer=issuer)

    def sign(self, message: bytes) -> object:
        """Return the sealing key's signature of a message: a generator of slices."""
        return self.p256.sign(self.keys[_KEY : 2 * _KEY], message)

    def prove(self, app: str, challenge: bytes, point: bytes) -> dict:
        """Return the proof that both private keys and the log are here, by SPEC 12.4. POINT_INVALID."""
        parts = ["hedgerow proof", app, challenge, self.agreement, self.sealing, self.author]
        covered = cbor.encode(parts)
        shared = finish(self.p256.agree(self.keys[:_KEY], point))
        key = expand(extract(challenge, shared), b"hedgerow proof", 32)
        return {
            "agreement": self.agreement,
            "sealing": self.sealing,
            "challenge": challenge,
            "signature": finish(self.sign(covered)),
            "tag": hmac(key, covered)[:16],
            "author": self.author,
            "salt": self.keys[2 * _KEY :],
        }
