"""Writes of documents and what they make, for the tests of merging."""

from hedgerow.clock import hlc
from hedgerow.codec.schema import KEEP, schema_for
from hedgerow.counter import add
from hedgerow.document import Document
from hedgerow.operation import COUNTER, DELETE, INSERT

A, B = b"aaaaaaaa", b"bbbbbbbb"
AB = schema_for("things", KEEP, {"a": 1, "b": 1})
DEEP = schema_for("things", KEEP, {("a", "x"): 1})


def write(ms: int, author: bytes, document: dict, kind: int = INSERT, options: dict | None = None) -> tuple:
    """Return (change, schema, stamp, author) of a write of a document's fields."""
    schema = schema_for("things", KEEP, document)
    change = [kind, schema.name, "id", schema.pack(document)]
    if options:
        change.append(options)
    return change, schema, hlc.pack(ms), author


def delete(ms: int, author: bytes) -> tuple:
    return [DELETE, AB.name, "id"], AB, hlc.pack(ms), author


def merged(*operations: tuple) -> Document:
    document = Document()
    for operation in operations:
        document.apply(*operation)
    return document


def orders(items: list) -> list:
    """Return all orders of a few items."""
    if len(items) < 2:
        return [items]
    return [[items[at]] + rest for at in range(len(items)) for rest in orders(items[:at] + items[at + 1 :])]


def check(expected: dict | None, *operations: tuple) -> None:
    """Insist on the value, and on one state, in every order and with every operation twice."""
    state = merged(*operations).encode()
    for order in orders(list(operations)):
        document = merged(*order)
        assert document.value() == expected, (document.value(), expected)
        for operation in order:
            assert not document.apply(*operation)
        assert document.encode() == state
        assert merged(*[change for change in order if document.carries(*change)]).value() == expected
    again = Document.decode(state)
    assert again.encode() == state and again.value() == expected


def count(ms: int, author: bytes, path: object, base: bytes, total: object) -> tuple:
    return write(ms, author, {path: [base, total]}, COUNTER)


def increment(document: Document, ms: int, author: bytes, path: object, amount: object) -> tuple:
    """Return what an author writes that adds to a counter; `document` takes it too."""
    base, total = document.counter((path,) if isinstance(path, str) else path, author)
    change = count(ms, author, path, base, add([total, amount]))
    assert document.apply(*change)
    return change


def superseded(document: Document, *operations: tuple) -> list:
    """Return which of the operations the document needs no more."""
    return [not document.carries(*operation) for operation in operations]
