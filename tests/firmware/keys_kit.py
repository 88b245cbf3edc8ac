"""Operations that name documents by ids of their own, for tests of the document index on both VMs."""

from hedgerow.codec.schema import KEEP, Schema
from hedgerow.documents import CLOCKS, index_key
from hedgerow.index import RamIndex
from hedgerow.log import ENTRY_OP, ENTRY_SKIP, STATE_SCHEMA
from hedgerow.operation import CLOCK, INSERT, decode_body, encode_body

PLANTS = Schema("plants", KEEP, (("height", None),))


def body_of(number: int, document_id: object, size: int = 4) -> bytes:
    """Return an operation that inserts one document."""
    return encode_body(
        number.to_bytes(6, "big") + bytes(2), [[INSERT, PLANTS.name, document_id, [bytes(size)]]]
    )


def write(log: object, author: bytes, document_id: object, size: int = 4) -> int:
    """Append such an operation; return its number."""
    if log.get(STATE_SCHEMA, PLANTS.name) is None:
        log.put(STATE_SCHEMA, PLANTS.name, PLANTS.encoded)
    number = log.held(author) + 1
    log.append(ENTRY_OP, author, number, number, body_of(number, document_id, size))
    return number


def key_of(document_id: object) -> int:
    """Return the key of a document."""
    return index_key("plants", document_id)


def know(log: object, authors: list) -> None:
    """Let a log know authors without any operation."""
    for author in authors:
        log.append(ENTRY_SKIP, author, 1, 1, b"skip")


def in_ram(log: object) -> tuple:
    """Return (an index in RAM of all that is in the log, its keys)."""
    index = RamIndex()
    keys = {}
    position = 0
    while True:
        entries = log.since(position, 4096)
        for _, author, number, body in entries:
            for change in decode_body(body)[1]:
                if change[0] != CLOCK and change[2] is None:
                    continue
                key = CLOCKS if change[0] == CLOCK else key_of(change[2])
                index.add(key, author, number)
                keys[key] = True
        if not entries:
            return index, sorted(keys)
        position = entries[-1][0]


def compare(log: object, index: object, loose: object = ()) -> int:
    """Check that an index finds what is in the log and nothing that is another's; return how many keys.

    Under the `loose` keys less may be found.
    """
    # Catching up writes, and what is written may take the place of what nobody needs.
    assert index.position == log.position()
    ram, keys = in_ram(log)
    for key in keys + [5, 77]:
        here = [dot for dot in index.get(key) if log.fetch(dot[0], dot[1]) is not None]
        if key in loose:
            assert not [dot for dot in here if dot not in ram.get(key)], key
        else:
            assert sorted(here) == sorted(ram.get(key)), (key, here, ram.get(key))
    return len(keys)
