"""Seals in two fragments instead of five: what the operations themselves say is left out (SPEC 6.15.6)."""

import struct
from hashlib import sha256

from .. import limits
from ..errors import HedgerowError
from ..log import ENTRY_OP
from ..operation import h16
from ..trust.seal import Seal, make_seal
from .letters import SEAL, SEAL_BRIEF

_LAYOUT = ">B3sIB16s4s"
_SIZE = 29
_READ_BYTES = 4096


def encode_seal(author: bytes, body: bytes, log: object, schemas: dict) -> bytes:
    """Return the content of a letter with a seal: brief if the operations in `log` give the same seal."""
    content, whole = contents(author, body)
    last = decode_seal(content)[2]
    if last <= log.held(author) and unfold_seal(content, author, log, schemas) == body:
        return content
    return whole


def contents(author: bytes, body: bytes) -> tuple:
    """Return what a letter with a seal may say: the brief content, and the whole one."""
    seal = Seal.decode(body)
    check = sha256(body).digest()[:4]
    count = seal.last - seal.first
    brief = struct.pack(_LAYOUT, SEAL_BRIEF, author[:3], seal.first, count, seal.previous, check)
    return brief, bytes((SEAL,)) + author + body


def decode_seal(content: bytes) -> tuple:
    """Return (3 bytes of the author, first, last, hash of the seal before, check) of a brief one.

    LETTER_INVALID.
    """
    if len(content) != _SIZE or content[0] != SEAL_BRIEF:
        raise HedgerowError("LETTER_INVALID", "no brief seal")
    _, short, first, count, previous, check = struct.unpack(_LAYOUT, content)
    if not 1 <= first <= limits.MAX_NUMBER - count:
        raise HedgerowError("LETTER_INVALID", "range")
    return short, first, first + count, previous, check


def unfold_seal(content: bytes, author: bytes, log: object, schemas: dict) -> bytes | None:
    """Return the seal that a brief one stands for, if it is over this author's operations in the log.

    b"" if it is over others than those here, None if some of them are not there; SYNC_GAP if it reaches
    beyond what is held, or a code of operations whose schema is not known. LETTER_INVALID.
    """
    short, first, last, previous, check = decode_seal(content)
    if short != author[:3]:
        return None
    if last > log.held(author):
        raise HedgerowError("SYNC_GAP", "seal %d-%d" % (first, last))
    marks: list = []
    number = first - 1
    while number < last:
        entries = log.read(author, number, limits.MAX_NUMBER, _READ_BYTES)
        if not entries:
            return None
        for kind, at, end, stored in entries:
            if kind != ENTRY_OP or at != number + 1:
                return None
            marks.append(h16(author, at, stored, schemas))
            number = end
            if number == last:
                break
    body = make_seal(author, first, last, marks, previous)
    return body if sha256(body).digest()[:4] == check else b""
