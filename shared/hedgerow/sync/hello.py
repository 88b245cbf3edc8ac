"""Hello: the first frame of each side of a session (SPEC 7.5)."""

from .. import limits
from ..codec import cbor
from ..codec.schema import is_integer
from ..custody import vectors
from ..errors import HedgerowError

# The protocol version that this code speaks: the rules of SPEC 7 as a whole.
VERSION = 1

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
    that it takes, `keepers` whose receipts this peer requires for its own operations (none: any one Big
    Peer's), `lowest` and `highest` the protocol versions that it speaks.
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
        keepers: tuple = (),
        name: str = "",
        lowest: int = VERSION,
        highest: int = VERSION,
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
        self.keepers = keepers
        self.name = name
        self.lowest = lowest
        self.highest = highest

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
                list(self.keepers),
                self.name,
                self.lowest,
                self.highest,
            ]
        )

    @staticmethod
    def decode(data: bytes) -> "Hello":
        """Read a hello; HELLO_INVALID, VECTOR_INVALID or a CBOR code. More fields at the end are ignored."""
        parts = cbor.decode(data)
        if not isinstance(parts, list) or len(parts) < 14:
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
        if not isinstance(parts[10], list) or len(parts[10]) > limits.MAX_KEEPERS:
            raise HedgerowError("HELLO_INVALID", "keepers")
        for keeper in parts[10]:
            if not isinstance(keeper, bytes) or len(keeper) != 8:
                raise HedgerowError("HELLO_INVALID", "keepers")
        if not isinstance(parts[11], str) or len(parts[11]) > limits.MAX_PEER_NAME:
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
            keepers=parts[10],
            name=parts[11],
            lowest=parts[12],
            highest=parts[13],
        )

    def version(self, other: "Hello") -> int:
        """Return the version that both speak, the highest; VERSION_MISMATCH if there is none."""
        highest = min(self.highest, other.highest)
        if highest < max(self.lowest, other.lowest):
            raise HedgerowError("VERSION_MISMATCH", "%d-%d" % (other.lowest, other.highest))
        return highest


# (position, lowest, highest) of the numbers in a hello
_RANGES = (
    (2, 1, limits.MAX_NUMBER),
    (3, LEAF, KEEPER),
    (4, 0, 255),
    (5, 0, 255),
    (6, limits.MIN_RECORD, 0xFFFF),
    (7, limits.MIN_CREDIT, limits.MAX_CREDIT),
    (12, 1, 255),
    (13, 1, 255),
)
