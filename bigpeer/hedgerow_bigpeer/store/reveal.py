"""What operations say to whoever has the keys of confidential collections (SPEC 11.17).

What is stored stays as its author encrypted it. Whoever goes by values reads operations here; where only
places, kinds and schemas matter, they are read as they stand.
"""

from typing import Any

from hedgerow.codec.schema import CONFIDENTIAL, Schema
from hedgerow.crypto.confidential import CollectionKeys
from hedgerow.operation import CLOCK, DELETE, HIDDEN, decode_body

#: Why a change does not count that cannot be read.
UNREADABLE = "KEY_UNKNOWN"


def read_operation(
    author: bytes, number: int, body: bytes, schemas: dict[bytes, Schema], keys: CollectionKeys | None
) -> list[list[Any]]:
    """Return the changes of an operation as its author meant them, HIDDEN ones where no key opens them."""
    return reveal(author, number, *decode_body(body), schemas, keys)


def reveal(
    author: bytes,
    number: int,
    stamp: bytes,
    changes: list[list[Any]],
    schemas: dict[bytes, Schema],
    keys: CollectionKeys | None,
) -> list[list[Any]]:
    """See read_operation(), for one that is decoded."""
    found = []
    for index, change in enumerate(changes):
        if change[0] not in (CLOCK, DELETE) and schemas[change[1]].kind & CONFIDENTIAL:
            schema = schemas[change[1]]
            meant = keys and keys.reveal(author, number, stamp, index, change, schema)
            found.append(meant or [HIDDEN, *change[1:]])
        else:
            found.append(change)
    return found
