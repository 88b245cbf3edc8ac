"""Authors of whom a log needs nothing more: their places go to others (SPEC 5.19). Loaded on demand."""

from .custody.receipt import Receipt
from .errors import HedgerowError
from .log import CLOSED, REQUIRED, STATE_CONFIG, STATE_PEER, STATE_RECEIPT, STATE_SCHEMA, local_author

_NAME = 8


def keep_names(log: object) -> list:
    """Return the names of keep collections' schemas in a log: operations under them have these names."""
    from .codec.schema import Schema, is_stream

    schemas = [Schema.decode(encoded) for _, encoded in log.items(STATE_SCHEMA) if encoded]
    return [schema.name for schema in schemas if not is_stream(schema.kind)]


def owned(log: object) -> set:
    """Return the authors that are a log's own, or were (SPEC 5.10), and their local ones, who keep places."""
    found = {log.author}
    for key, _ in log.items(STATE_CONFIG):
        if key[:1] == CLOSED and len(key) == len(CLOSED) + _NAME:
            found.add(key[len(CLOSED) :])
    return found | {local_author(author) for author in found}


def frontier(log: object, author: bytes, keepers: list) -> int:
    """Return up to which number all keepers that an author requires hold it, or any of `keepers`, who have
    given receipts; those of their past incarnations do not count (SPEC 5.6)."""
    numbers: dict = {}
    for keeper in keepers:
        try:
            receipt = Receipt.decode(log.get(STATE_RECEIPT, author + keeper) or b"")
        except HedgerowError:
            continue
        if receipt.incarnation >= int.from_bytes(log.get(STATE_PEER, keeper) or b"", "big"):
            numbers[keeper] = receipt.number
    required = log.get(STATE_CONFIG, REQUIRED + author) or b""
    if required:
        return min([numbers.get(required[at : at + _NAME], 0) for at in range(0, len(required), _NAME)])
    return max(numbers.values()) if numbers else 0
