"""The few secrets that outlive a power cut: keys, what handshakes have left, in the chip's own store (NVS).

Not in the log, which is exported, carried and shown. A value is there whole or not at all.
"""

from hashlib import sha256

from hedgerow.limits import const

#: Private keys, salt, the author that follows from it, and whether that has been used.
KEYS = "keys"
#: The own credential.
CREDENTIAL = "credential"
#: The delegation of the gateway that issued it, where no key of the Authentication Service has.
DELEGATION = "delegation"
#: Keys of the Authentication Service, 33 bytes each.
ISSUERS = "issuers"
#: Keepers that the Authentication Service vouches for: of each its name, the key shared with it, and that
#: which it seals with.
KEEPERS = "keepers"
#: Keys of confidential collections: the author that they were granted to, and the entries (SPEC 11.17).
COLLECTIONS = "collections"
#: The group keys of the mesh, as hedgerow.mesh.group writes them.
GROUP = "group"

_SPACE = "hedgerow"
# Of an issuer's key.
_PUBLIC = const(33)
# Ends of a keeper's name, of the key shared with it, and of that which it seals with.
_NAME = const(8)
_SHARED = const(40)
_SEALING = const(73)
_CHECK = const(4)
# What the store takes of one value, less a little.
MOST = 1900
_SHORT = const(316)


def read(name: str) -> bytes | None:
    """Return a value, None if there is none."""
    from esp32 import NVS

    store = NVS(_SPACE)
    # Most are short, and so much in one piece is not always free.
    for room in (_SHORT, MOST):
        buffer = bytearray(room + _CHECK)
        try:
            size = store.get_blob(name, buffer)
        except OSError:
            continue
        value = bytes(buffer[: size - _CHECK])
        return value if size > _CHECK and _check(name, value) == buffer[size - _CHECK : size] else None
    return None


def keepers() -> list:
    """Return of each keeper (its name, the key shared with it, that which it seals with)."""
    kept = read(KEEPERS) or b""
    return [
        (kept[at : at + _NAME], kept[at + _NAME : at + _SHARED], kept[at + _SHARED : at + _SEALING])
        for at in range(0, len(kept), _SEALING)
    ]


def issuers() -> dict:
    """Return the public keys of those who may issue credentials, by their names."""
    kept = read(ISSUERS) or b""
    keys = [kept[at : at + _PUBLIC] for at in range(0, len(kept), _PUBLIC)]
    return {sha256(key).digest()[:_NAME]: key for key in keys}


def write(name: str, value: bytes) -> None:
    """Put a value in the place of the one before; durable on return. OSError where the store is full."""
    from esp32 import NVS

    store = NVS(_SPACE)
    store.set_blob(name, value + _check(name, value))
    store.commit()


def _check(name: str, value: bytes) -> bytes:
    return sha256(name.encode() + value).digest()[:_CHECK]
