"""The link tag that ends every frame: noise and other meshes' frames cost one hash (SPEC 6.3)."""

from hashlib import sha256


def mesh_tag(name: str) -> bytes:
    """Return the 3 bytes that frames and hellos show of a mesh "NAME" or "NAME:SECRET": of its name alone."""
    return sha256(b"hedgerow mesh " + name.split(":")[0].encode()).digest()[:3]


def mesh_key(name: str) -> bytes:
    """Return the 32 bytes under which the frames of a mesh "NAME" or "NAME:SECRET" are tagged."""
    return sha256(b"hedgerow beacon " + name.encode()).digest()


def link_tag(key: bytes, frame: bytes) -> bytes:
    """Return the tag of a frame without its tag: 4 bytes for a STATE, else 3, over all but the hop byte.

    32 bytes of key and at most 23 of frame are one block of SHA-256, and what it gives is cut: there is
    nothing to extend, so the second hash of HMAC (RFC 2104) would add nothing.
    """
    if not frame[0] & 0x0F:
        return sha256(key + frame).digest()[:4]
    return sha256(key + frame[:3] + frame[4:]).digest()[:3]


def check(key: bytes, frame: bytes) -> bool:
    """Say whether a whole frame, as bytes, ends with its tag."""
    if not frame[0] & 0x0F:
        return sha256(key + frame[:-4]).digest()[:4] == frame[-4:]
    return sha256(key + frame[:3] + frame[4:-3]).digest()[:3] == frame[-3:]
