"""Clock vectors: what a peer holds of each author, as it travels (SPEC 5.3)."""

from .. import limits
from ..codec.varint import read_uint, write_uint
from ..errors import HedgerowError


def pack(entries: list) -> bytes:
    """Encode [(author, held, sealed, receipted)] for a link."""
    out = bytearray()
    for author, held, sealed, receipted in entries:
        out += author
        write_uint(out, held)
        write_uint(out, held - sealed)
        write_uint(out, receipted)
    return bytes(out)


def unpack(data: bytes) -> list:
    """Decode what pack() made; VECTOR_INVALID for anything else."""
    entries: list = []
    at = 0
    while at < len(data):
        author = bytes(data[at : at + 8])
        held, at = read_uint(data, at + 8)
        open_tail, at = read_uint(data, at)
        receipted, at = read_uint(data, at)
        if held > limits.MAX_NUMBER or open_tail > held or receipted > limits.MAX_NUMBER:
            raise HedgerowError("VECTOR_INVALID", "numbers")
        entries.append((author, held, held - open_tail, receipted))
        if len(entries) > limits.MAX_AUTHORS:
            raise HedgerowError("VECTOR_INVALID", "authors")
    return entries
