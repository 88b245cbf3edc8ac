"""Documents that begin with one insert, written down without merging: what most operations of boards are.

Nothing of such an operation has to be decoded as a whole: the state, the value and the facets of its document
are its values as they stand, each behind what its schema says of it. Whatever is not of this form is left to
`merge`, which comes to the same rows.
"""

import functools
import hashlib
import json
from typing import NamedTuple

from hedgerow import limits
from hedgerow.clock import hlc
from hedgerow.codec import cbor
from hedgerow.codec.decimal import Decimal
from hedgerow.codec.schema import CONFIDENTIAL, Schema, is_integer
from hedgerow.document import Document
from hedgerow.operation import INSERT, check_id, check_value

from ..cbor_items import KEPT, SHORT, SIZES, end_of
from .facets import dot_text, name_of, text_of
from .rows import DocumentRow

# [INSERT, the name of a schema: 4 bytes, ...
_INSERT = bytes((0x84, INSERT, 0x44))
_NULL = 0xF6


class Reading(NamedTuple):
    """A new document: its row and facets; the schema, stamp and H16 of the operation that inserts it."""

    row: DocumentRow
    facets: str
    schema: Schema
    stamp: bytes
    mark: bytes


class _Piece(NamedTuple):
    """A value in the state behind its key, in the document, and as a facet."""

    state: bytes
    value: bytes
    facet: str


class Shape:
    """What a schema says of the documents that are inserted under it."""

    def __init__(self, schema: Schema) -> None:
        self.canonical = b"\x81\x84" + bytes((INSERT,)) + b"\x58\x20" + schema.hash
        self.scales = [scale for _, scale in schema.fields]
        names = [str(name) for name, _ in schema.fields]
        self.count = _head(0x80, len(names))
        self.paths = [b"\x84" + cbor.encode([name]) for name in names]
        # In a document fields stand in the order of their encoded names.
        keys = [(cbor.encode(name), at) for at, name in enumerate(names)]
        self.order = [(key, json.dumps(name_of((names[at],))), at) for key, at in sorted(keys)]
        self.map_head = _head(0xA0, len(names))


@functools.lru_cache(maxsize=KEPT)
def _shape(encoded: bytes) -> Shape | None:
    """Return the shape of documents of a schema; None if fields lie within others, or one is never seen, or
    values do not stand there as they are.
    """
    schema = Schema.decode(encoded)
    plain = all(isinstance(name, str) and name != "_id" for name, _ in schema.fields)
    return Shape(schema) if plain and not schema.kind & CONFIDENTIAL else None


def read(author: bytes, number: int, body: bytes, schemas: dict[bytes, Schema]) -> Reading | None:
    """Return the document of an operation that is one insert, without id or with one that is no array; None
    for any other operation, and for one that `operation.decode_body` may refuse.
    """
    try:
        size = body[1] & 0x0F
        at = 2 + size
        if body[0] != 0x82 or body[1] & 0xF0 != 0x40 or len(body) > limits.MAX_OPERATION:
            return None
        if body[at : at + 3] != _INSERT:
            return None
        schema = schemas.get(body[at + 3 : at + 7])
        shape = None if schema is None else _shape(schema.encoded)
        if schema is None or shape is None:
            return None
        stamp: bytes = hlc.unwire(body[2:at])
        # The canonical bytes (see `operation.canonical`): only for the schema something else stands.
        canonical = (b"\x85\x01\x48", author, _head(0, number), body[1:at], shape.canonical, body[at + 7 :])
        mark = hashlib.sha256(b"".join(canonical)).digest()[:16]
        begin = at = at + 7
        if body[begin] == _NULL:
            at += 1
            key, facet = key_of_dot(author, number), dot_text(author, number)
        else:
            at = begin + SIZES[body[begin]]
            key = body[begin:at]
            facet = _named(key)
        pieces = _pieces(body, at, shape)
        if pieces is None:
            return None
        state, value, facets = _forms(facet, stamp + author, shape, pieces)
        row = DocumentRow(schema.collection, key, state, value, author, number, stamp, stamp + author)
        return Reading(row, facets, schema, stamp, mark)
    # Whatever is wrong with it, the checks of operations name it.
    except Exception:  # noqa: BLE001
        return None


def _pieces(body: bytes, at: int, shape: Shape) -> list[_Piece] | None:
    """Return the values of an array that is all there is from an offset on."""
    end = at + len(shape.count)
    if body[at:end] != shape.count:
        return None
    pieces = []
    for scale in shape.scales:
        at = end
        end = end_of(body, at)
        pieces.append((_kept_piece if end - at <= SHORT else _piece)(body[at:end], scale))
    return pieces if end == len(body) else None


def _named(key: bytes) -> str:
    """Return how the facets begin of a document with an id of its own. Raises what is refused, and ValueError
    for ids whose size nobody knows from their first byte: dots of other authors are among them.
    """
    if not key:
        raise ValueError
    document_id = cbor.decode(key)
    check_id(document_id)
    return f'"_id":{json.dumps(text_of(document_id), ensure_ascii=False)}'


def _forms(facet: str, key: bytes, shape: Shape, pieces: list[_Piece]) -> tuple[bytes, bytes, str]:
    """Return state, value and facets of a document; `key` is that of its insert, `facet` that of its id."""
    state = [_STATE_BEGIN, key, b"\x40"]
    for path, piece in zip(shape.paths, pieces, strict=True):
        state += (path, b"\x50", key, piece.state)
    value = [shape.map_head]
    facets = [facet]
    for name, field, at in shape.order:
        piece = pieces[at]
        value += (name, piece.value)
        facets.append(f"{field}:{piece.facet}")
    return b"".join(state), b"".join(value), "{" + ",".join(facets) + "}"


def key_of_dot(author: bytes, number: int) -> bytes:
    """Return the encoded id of the document of an operation with one insert without id."""
    return b"\x82\x48" + author + _head(0, number)


def _piece(raw: bytes, scale: int | None) -> _Piece:
    """Return a value in its forms. Raises what is refused, and ValueError for what only merging can place."""
    value = cbor.decode(raw)
    if value is cbor.UNDEFINED or isinstance(value, dict):
        raise ValueError
    check_value(value)
    if scale is not None and is_integer(value):
        value = Decimal(value, scale)
        raw = cbor.encode(value)
    return _Piece(_head(0x40, len(raw)) + raw + b"\x40", raw, json.dumps(text_of(value), ensure_ascii=False))


_kept_piece = functools.lru_cache(maxsize=KEPT)(_piece)


def _head(major: int, number: int) -> bytes:
    buffer = bytearray()
    cbor.head_into(buffer, major, number)
    return bytes(buffer)


# The version of states, and the head of the key of the insert.
_STATE_BEGIN = Document().encode()[:1] + b"\x50"
