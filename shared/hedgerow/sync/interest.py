"""What a peer wants to have, and how far it has been told: the frames of the way down (SPEC 7.10).

An interest names a collection and a condition. Whoever holds operations of documents that fulfil it sends
them; a position says up to which of its arrivals it has done so.
"""

from hashlib import sha256

from .. import limits
from ..codec import cbor
from ..codec.schema import check_name, is_integer
from ..errors import HedgerowError
from . import frames


class Interest:
    """Documents of `collection` that fulfil the condition `where` ("" for all) with its `parameters`.

    `hops` is how many relays may take it on, `position` up to which of the other side's arrivals it has been
    answered. `key` (4 bytes) names collection, condition and parameters.
    """

    def __init__(
        self,
        collection: str,
        where: str = "",
        parameters: dict | None = None,
        hops: int = 0,
        position: int = 0,
    ):
        self.collection = collection
        self.where = where
        self.parameters = parameters or {}
        self.hops = hops
        self.position = position
        check_name(collection)
        encoded = cbor.encode([collection, where, self.parameters])
        if not isinstance(where, str) or len(where.encode()) > limits.MAX_CONDITION:
            raise HedgerowError(
                "INTEREST_INVALID", "a condition of more than %d bytes" % limits.MAX_CONDITION
            )
        if not isinstance(self.parameters, dict) or len(self.parameters) > limits.MAX_PARAMETERS:
            raise HedgerowError("INTEREST_INVALID", "more than %d parameters" % limits.MAX_PARAMETERS)
        if len(encoded) > limits.MAX_INTEREST or len(cbor.encode(self.parameters)) > limits.MAX_CONDITION:
            raise HedgerowError("INTEREST_INVALID", "%d bytes" % len(encoded))
        self.key = sha256(encoded).digest()[:4]

    def row(self, position: int) -> list:
        """Return the interest as it is sent."""
        return [self.collection, self.where, self.parameters, self.hops, position]


def write_interests(interests: list, positions: list) -> bytes:
    """Encode the interests of a peer, each with its position at the receiver."""
    body = cbor.encode([interest.row(at) for interest, at in zip(interests, positions)])
    if len(interests) > limits.MAX_INTERESTS or len(body) > limits.MAX_FRAME:
        raise HedgerowError("INTERESTS_FULL", "%d, %d bytes" % (len(interests), len(body)))
    return body


def read_interests(body: bytes) -> list:
    """Decode interests; INTEREST_INVALID, or a code of CBOR and names."""
    rows = _rows(body, limits.MAX_INTERESTS)
    interests: list = []
    for row in rows:
        if not isinstance(row, list) or len(row) != 5:
            raise HedgerowError("INTEREST_INVALID", "not [collection, condition, parameters, hops, position]")
        if not isinstance(row[2], dict):
            raise HedgerowError("INTEREST_INVALID", "parameters are a map")
        if not is_integer(row[3]) or not 0 <= row[3] <= limits.MAX_INTEREST_HOPS or not _is_position(row[4]):
            raise HedgerowError("INTEREST_INVALID", "hops or position")
        interests.append(Interest(*row))
    return interests


def write_marks(serial: int, positions: list) -> bytes:
    """Encode one position for each interest of the other side's frame number `serial`, from 1."""
    return cbor.encode([serial] + positions)


def read_marks(body: bytes) -> tuple:
    """Decode (serial, positions)."""
    numbers = _rows(body, 1 + limits.MAX_INTERESTS)
    for number in numbers:
        if not _is_position(number):
            raise HedgerowError("INTEREST_INVALID", "position")
    if not numbers:
        raise HedgerowError("INTEREST_INVALID", "no serial")
    return numbers[0], numbers[1:]


def write_wants(ranges: list) -> bytes:
    """Encode [(author, first, last)]."""
    return cbor.encode([list(entry) for entry in ranges])


def read_wants(body: bytes) -> list:
    """Decode ranges of numbers that the other side lacks: [(author, first, last)]."""
    wanted: list = []
    for row in _rows(body, limits.MAX_WANTS):
        good = isinstance(row, list) and len(row) == 3 and isinstance(row[0], bytes) and len(row[0]) == 8
        if not good or not is_integer(row[1]) or not is_integer(row[2]):
            raise HedgerowError("INTEREST_INVALID", "not [author, first, last]")
        if not 0 < row[1] <= row[2] <= limits.MAX_NUMBER or row[2] - row[1] >= limits.MAX_WANT_NUMBERS:
            raise HedgerowError("INTEREST_INVALID", "%d to %d" % (row[1], row[2]))
        wanted.append(tuple(row))
    return wanted


def read_frame(kind: int, body: bytes) -> object:
    """Return the value of a frame of the way down."""
    if kind == frames.INTEREST:
        return read_interests(body)
    if kind == frames.MARK:
        return read_marks(body)
    if kind == frames.WANT:
        return read_wants(body)
    if kind == frames.FRONTIER:
        from ..custody.frontier import Frontier

        if not body or body[0] > 1:
            raise HedgerowError("FRONTIER_INVALID", "flag")
        return body[0] == 1, Frontier.decode(body[1:])
    return body


def _rows(body: bytes, most: int) -> list:
    rows = cbor.decode(body)
    if not isinstance(rows, list) or len(rows) > most:
        raise HedgerowError("INTEREST_INVALID", "not an array of at most %d" % most)
    return rows


def _is_position(value: object) -> bool:
    return is_integer(value) and 0 <= value < 1 << 53
