"""What `hedgerow enroll --port` calls on a board: it makes the keys, proves them, and takes a credential.

Private keys never leave the board. Bytes go in and out as hexadecimal text.
"""

import os

from hedgerow.crypto.claims import KEEPS
from hedgerow.crypto.credentials import Credential, Trust
from hedgerow.crypto.identity import KEYS, Identity
from hedgerow.crypto.port import P256, finish
from hedgerow.crypto.proofs import pair_key
from hedgerow.errors import HedgerowError
from hedgerow.limits import const

from . import vault
from .modules import WIDE, free

_AUTHOR = 8
_PRIVATE = const(32)
_KEEPERS = const(4)
# Where nothing else runs.
_LEAST_FREE = const(73728)


def identity() -> Identity:
    """Return the board's identity; it is made now if there is none, with the radio on: its noise is the
    entropy of the chip. Whole in the vault on return, or not at all. DEVICE_MEMORY on a heap that has no room
    for signatures and handshakes beside all else.
    """
    if free() < _LEAST_FREE * WIDE:
        raise HedgerowError("DEVICE_MEMORY", "keys want the heap of an ESP32-C3 or S3")
    p256 = P256(os.urandom)
    kept = vault.read(vault.KEYS)
    if kept:
        return Identity(p256, kept[:KEYS])
    import bluetooth

    bluetooth.BLE().active(True)
    made = Identity.make(p256)
    vault.write(vault.KEYS, made.keys + made.author + b"\0")
    return made


def state() -> dict:
    """Return the public keys, the author, and the credential if there is one."""
    own = identity()
    given = vault.read(vault.CREDENTIAL) or b""
    return {
        "agreement": own.agreement.hex(),
        "sealing": own.sealing.hex(),
        "author": own.author.hex(),
        "credential": given[_AUTHOR:].hex(),
    }


def prove(app: str, challenge: str, point: str) -> dict:
    """Return the proof of SPEC 12.4."""
    proof = identity().prove(app, bytes.fromhex(challenge), bytes.fromhex(point))
    return {name: proof[name].hex() for name in proof}


def take(credential: str, issuers: list, keepers: list, delegation: str = "", keys: str = "") -> str:
    """Keep a credential for these keys that one of the issuers has signed, or a gateway under a `delegation`;
    return the author that it names.

    `keepers` are the credentials of those whose receipts are to count, `keys` those of confidential
    collections (SPEC 11.17), besides those that the board has from the same service.
    CREDENTIAL_INVALID for another's, KEYS_INVALID, and what Trust.verify refuses. The one before stays then.
    """
    own = identity()
    found = Credential(bytes.fromhex(credential))
    claims = found.claims
    if claims.agreement != own.agreement or claims.sealing != own.sealing or claims.author != own.author:
        raise HedgerowError("CREDENTIAL_INVALID", "for another key")
    roots = [bytes.fromhex(key) for key in issuers]
    from hedgerow.crypto.cose import name_of

    trust = Trust(own.p256, {name_of(key): key for key in roots}, claims.issuer, claims.mode)
    given = Credential(bytes.fromhex(delegation)).value if delegation else None
    finish(trust.verify(found, given))
    # Before anything is written: what is kept goes together.
    for value, more in ((found.value, _AUTHOR), (given or b"", 0)):
        if len(value) + more > vault.MOST:
            raise HedgerowError("CREDENTIAL_INVALID", "%d bytes" % len(value))
    collections = _collections(claims, keys)
    kept = b"".join([_share(own, trust, bytes.fromhex(keeper)) for keeper in keepers[:_KEEPERS]])
    # Before the credential: with that the board records under these.
    vault.write(vault.COLLECTIONS, collections)
    vault.write(vault.KEEPERS, kept)
    vault.write(vault.ISSUERS, b"".join(roots))
    vault.write(vault.DELEGATION, given or b"")
    # A session brings those of the mesh that it is in now.
    vault.write(vault.GROUP, b"")
    vault.write(vault.CREDENTIAL, claims.author + found.value)
    return claims.author.hex()


def _collections(claims: object, keys: str) -> bytes:
    """Return what the vault is to keep of keys of confidential collections: those that it has from the same
    service stay, lest a narrower right let the board write in the clear. KEYS_INVALID.
    """
    before, kept = vault.read(vault.CREDENTIAL), b""
    if before:
        was = Credential(before[_AUTHOR:]).claims
        if (was.issuer, was.mode) == (claims.issuer, claims.mode):
            kept = vault.read(vault.COLLECTIONS) or b""
    if not keys:
        return kept
    from hedgerow.crypto.confidential import join_keys, read_keys

    from .confiding import pack

    entries = read_keys(bytes.fromhex(keys))
    if kept[:_AUTHOR] == claims.author:
        entries = join_keys(entries, read_keys(kept[_AUTHOR:]))
    return pack(claims.author, entries)


def _share(own: Identity, trust: Trust, credential: bytes) -> bytes:
    """Return what the vault keeps of a keeper; CREDENTIAL_KIND for who is none."""
    found = Credential(credential)
    finish(trust.verify(found))
    claims = found.claims
    if not claims.kinds & KEEPS or claims.author is None or claims.sealing is None:
        raise HedgerowError("CREDENTIAL_KIND", "no keeper")
    key = finish(pair_key(own.p256, own.keys[:_PRIVATE], found.agreement, trust.mode))
    return claims.author + key + claims.sealing
