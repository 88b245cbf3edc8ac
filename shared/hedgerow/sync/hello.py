"""Hello: the first frame of each side of a session (SPEC 7.5)."""

from .. import limits
from ..codec import cbor
from ..codec.schema import is_integer
from ..custody import vectors
from ..errors import HedgerowError

LEAF = 0
RELAY = 1
GATEWAY = 2
KEEPER = 3

# Flags of a hello. PARTIAL: authors that the vector does not list may be held all the same.
HAS_TIME = 1
WANTS_TIME = 2
UPLINK = 4
PARTIAL = 8


class Hello:
    """Who a peer is and what it holds.

    `vector` is [(author, held, sealed, receipted)], `schemas` the 4-byte names that it knows, `credit` the
    bytes of counted frames that it takes before it has acknowledged any, `max_record` the longest record
    that it takes. `interests` and `keepers` have their places and no use yet.
    """

    def __init__(
        self,
        mesh: bytes,
        author: bytes,
        *,
        incarnation: int = 1,
        role: int = RELAY,
        distance: int = 255,
        flags: int = 0,
        max_record: int = limits.MAX_RECORD,
        credit: int = 4096,
        vector: tuple = (),
        schemas: tuple = (),
        interests: tuple = (),
        keepers: tuple = (),
        name: str = "",
    ):
        self.mesh = mesh
        self.author = author
        self.incarnation = incarnation
        self.role = role
        self.distance = distance
        self.flags = flags
        self.max_record = max_record
        self.credit = credit
        self.vector = vector
        self.schemas = schemas
        self.interests = interests
        self.keepers = keepers
        self.name = name

    def encode(self) -> bytes:
        """Return the CBOR array of the fields; vector and schemas are packed into byte strings."""
        return cbor.encode(
            [
                self.mesh,
                self.author,
                self.incarnation,
                self.role,
                self.distance,
                self.flags,
                self.max_record,
                self.credit,
                vectors.pack(self.vector),
                b"".join(self.schemas),
                list(self.interests),
                list(self.keepers),
                self.name,
            ]
        )

    @staticmethod
    def decode(data: bytes) -> "Hello":
        """Read a hello; HELLO_INVALID, VECTOR_INVALID or a CBOR code. More fields at the end are ignored."""
        parts = cbor.decode(data)
        if not isinstance(parts, list) or len(parts) < 13:
            raise HedgerowError("HELLO_INVALID", "shape")
        for at, low, high in _RANGES:
            if not is_integer(parts[at]) or not low <= parts[at] <= high:
                raise HedgerowError("HELLO_INVALID", "field %d" % at)
        for at, size in ((0, 3), (1, 8), (8, None), (9, None)):
            if not isinstance(parts[at], bytes) or len(parts[at]) != (size or len(parts[at])):
                raise HedgerowError("HELLO_INVALID", "field %d" % at)
        names = parts[9]
        if len(names) % 4 or len(names) > 4 * limits.MAX_SCHEMAS:
            raise HedgerowError("HELLO_INVALID", "schemas")
        for at, limit in ((10, limits.MAX_INTERESTS), (11, limits.MAX_KEEPERS)):
            if not isinstance(parts[at], list) or len(parts[at]) > limit:
                raise HedgerowError("HELLO_INVALID", "field %d" % at)
        if not isinstance(parts[12], str) or len(parts[12]) > limits.MAX_PEER_NAME:
            raise HedgerowError("HELLO_INVALID", "name")
        return Hello(
            parts[0],
            parts[1],
            incarnation=parts[2],
            role=parts[3],
            distance=parts[4],
            flags=parts[5],
            max_record=parts[6],
            credit=parts[7],
            vector=vectors.unpack(parts[8]),
            schemas=[names[at : at + 4] for at in range(0, len(names), 4)],
            interests=parts[10],
            keepers=parts[11],
            name=parts[12],
        )


# (position, lowest, highest) of the numbers in a hello
_RANGES = (
    (2, 1, limits.MAX_NUMBER),
    (3, LEAF, KEEPER),
    (4, 0, 255),
    (5, 0, 255),
    (6, limits.MIN_RECORD, 0xFFFF),
    (7, limits.MIN_CREDIT, limits.MAX_CREDIT),
)
