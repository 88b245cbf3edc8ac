"""What a credential says: the claims of a CWT (RFC 8392), those of our own below -65536 (SPEC 11.5)."""

from hashlib import sha256

from .. import limits
from ..codec import cbor
from ..codec.schema import is_integer
from ..errors import HedgerowError
from ..limits import const

ISS = const(1)
SUB = const(2)
EXP = const(4)
IAT = const(6)
CTI = const(7)
CNF = const(8)
SCOPE = const(9)
SEALING_KEY = const(-65537)
AUTHOR = const(-65538)
MODE = const(-65539)
METADATA = const(-65540)
KINDS = const(-65541)
DELEGATION = const(-65542)
UNDER = const(-65543)
LAST_NUMBER = const(-65544)
SALT = const(-65545)
EPOCH = const(-65546)
GROUP_KEY = const(-65547)

# Modes of a mesh.
PRODUCTION = const(0)
PLAYGROUND = const(1)

# Kinds of peers and keys: what its holder may do besides its scope.
KEEPS = const(1)
GIVES_TIME = const(2)
DELEGATES = const(4)
REVOKES = const(8)

# Bits of a scope.
READ = const(1)
WRITE = const(2)
ALL = "*"

_TEXTS = {ISS: limits.MAX_SUBJECT, SUB: limits.MAX_SUBJECT}
_BYTES = {CTI: 8, SEALING_KEY: 33, AUTHOR: 8, UNDER: 8, SALT: 16}


class Claims:
    """The claims by their numbers, in `values`; those that are absent are None.

    `agreement` is the key of handshakes, compressed (33 bytes); `sealing` the one of seals, or None.
    """

    def __init__(self, values: dict):
        self.values = values
        self.issuer = values.get(ISS)
        self.subject = values.get(SUB)
        self.expires = values.get(EXP)
        self.issued = values.get(IAT)
        self.cti = values.get(CTI)
        self.scope = values.get(SCOPE) or []
        self.sealing = values.get(SEALING_KEY)
        self.author = values.get(AUTHOR)
        self.mode = values.get(MODE)
        self.metadata = values.get(METADATA) or {}
        self.kinds = values.get(KINDS) or 0
        self.delegation = values.get(DELEGATION)
        self.under = values.get(UNDER)
        self.agreement = point_of(values[CNF])

    @staticmethod
    def decode(payload: bytes) -> "Claims":
        """Read the payload of a credential; CREDENTIAL_INVALID, or a code of CBOR."""
        values = cbor.decode(payload)
        if not isinstance(values, dict):
            raise HedgerowError("CREDENTIAL_INVALID", "no map")
        for claim in (ISS, SUB, EXP, IAT, CTI, CNF):
            if claim not in values:
                raise HedgerowError("CREDENTIAL_INVALID", "lacks claim %d" % claim)
        for claim in values:
            check = values[claim]
            if not (is_integer(claim) and _well_formed(claim, check)):
                raise HedgerowError("CREDENTIAL_INVALID", "claim %s" % claim)
        return Claims(values)

    def encode(self) -> bytes:
        """Return the payload."""
        return cbor.encode(self.values)

    def check_greeting(self, author: bytes, keeper: bool) -> None:
        """Refuse who says hello as another author, or as a keeper that is none."""
        if author != self.author:
            raise HedgerowError("CREDENTIAL_AUTHOR", author.hex())
        if keeper and not self.kinds & KEEPS:
            raise HedgerowError("CREDENTIAL_KIND", "no keeper")

    def may(self, collection: str, bits: int) -> list:
        """Return the conditions ("" for none) under which all of these bits are granted for a collection."""
        return [
            entry[2] if len(entry) > 2 else ""
            for entry in self.scope
            if entry[0] in (collection, ALL) and entry[1] & bits == bits
        ]


def author_of(sealing: bytes, salt: bytes) -> bytes:
    """Return the author of the log that was formatted with a salt, for a public sealing key."""
    return sha256(sealing + salt).digest()[:8]


def key_of(public: bytes) -> dict:
    """Return the confirmation claim for a compressed agreement key."""
    return {1: {1: 2, -1: 1, -2: public[1:], -3: public[0] == 3}}


def point_of(confirmation: object) -> bytes:
    """Return the compressed key in a confirmation claim; CREDENTIAL_INVALID."""
    if not _is_confirmation(confirmation):
        raise HedgerowError("CREDENTIAL_INVALID", "key")
    key = confirmation[1]
    return bytes((3 if key[-3] else 2,)) + key[-2]


def _well_formed(claim: int, value: object) -> bool:
    if claim in _TEXTS:
        return isinstance(value, str) and 0 < len(value) <= _TEXTS[claim]
    if claim in _BYTES:
        return isinstance(value, bytes) and len(value) == _BYTES[claim]
    if claim in (EXP, IAT, KINDS):
        return is_integer(value) and 0 <= value < 1 << 42
    if claim == CNF:
        return _is_confirmation(value)
    if claim == SCOPE:
        return _is_scope(value)
    if claim == MODE:
        return _is_list(value, 2, 2) and value[0] in (0, 1) and is_integer(value[0]) and _is_mesh(value[1])
    if claim == METADATA:
        return isinstance(value, dict) and len(cbor.encode(value)) <= limits.MAX_METADATA
    if claim == DELEGATION:
        return _is_list(value, 3, 3) and _is_names(value[0]) and is_integer(value[1]) and is_integer(value[2])
    # Of a later version: kept, and no right follows from it.
    return True


def _is_list(value: object, least: int, most: int) -> bool:
    return isinstance(value, list) and least <= len(value) <= most


def _is_mesh(value: object) -> bool:
    return isinstance(value, bytes) and len(value) == 8


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= limits.MAX_NAME


def _is_names(value: object) -> bool:
    return _is_list(value, 0, limits.MAX_SCOPE) and all(_is_name(name) for name in value)


def _is_confirmation(value: object) -> bool:
    key = value.get(1) if isinstance(value, dict) else None
    if not isinstance(key, dict) or key.get(1) != 2 or key.get(-1) != 1:
        return False
    x = key.get(-2)
    return isinstance(x, bytes) and len(x) == 32 and (key.get(-3) is True or key.get(-3) is False)


def _is_scope(value: object) -> bool:
    if not _is_list(value, 0, limits.MAX_SCOPE):
        return False
    for entry in value:
        if not _is_list(entry, 2, 3) or not _is_name(entry[0]):
            return False
        if not is_integer(entry[1]) or not 0 <= entry[1] < 1 << 30:
            return False
        if len(entry) == 3:
            if not isinstance(entry[2], str) or len(entry[2].encode()) > limits.MAX_CONDITION:
                return False
    return True
