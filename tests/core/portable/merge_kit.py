"""Random changes on one document, and what must be true of any of them, in any order.

A source of choices has `below`, `chance` and `choice`: `kit.Random`, or hypothesis behind the same names.
"""

from kit import Random
from merge_model import value_of

from hedgerow.clock import hlc
from hedgerow.codec import cbor
from hedgerow.codec.decimal import Decimal
from hedgerow.codec.schema import KEEP, schema_for
from hedgerow.document import Document
from hedgerow.operation import COUNTER, DELETE, INITIAL, INSERT, MERGE_STAMP, UNSET, UPDATE, check_change

AUTHORS = [b"aaaaaaaa", b"bbbbbbbb", b"cccccccc"]
PATHS = ["a", "b", ("a", "x"), ("a", "y"), ("a", "x", "x")]
VALUES = [0, 7, -3, 1 << 63, Decimal(5, -1), Decimal(-2, 2), "t", None, True, 1.5, [1], [], {}]
TREES = [{"x": 1}, {"x": {}}, {"x": {"x": 4}}, {"y": Decimal(1, 0), "x": 2}]
TOTALS = [0, 1, 5, -4, Decimal(25, -2), Decimal(3, 1), (1 << 63) - 1, Decimal(-(1 << 63), -127)]


def random_run(source: object, longest: int = 9) -> list:
    """Return changes with the few stamps, authors and paths that make conflicts."""
    run = []
    for _ in range(2 + source.below(longest - 1)):
        run.append(random_change(source, run))
    return run


def random_change(source: object, run: list) -> tuple:
    """Return (change, schema, stamp, author), valid; most counters build on what the run holds."""
    kind = source.choice([INSERT, INITIAL, UPDATE, UPDATE, UPDATE, DELETE, COUNTER, COUNTER, COUNTER])
    stamp = hlc.pack(1 + source.below(5), source.choice([0, 0, 0, 1]))
    author = source.choice(AUTHORS)
    paths = [source.choice(PATHS)]
    if source.chance(30):
        paths = source.choice([["a", "b"], ["b", ("a", "x")], [("a", "x"), ("a", "y")]])
    document = {}
    for path in paths:
        if kind == COUNTER:
            document[path] = [random_base(source, run, path, author), source.choice(TOTALS)]
        else:
            document[path] = source.choice(TREES) if source.chance(30) else source.choice(VALUES)
    schema = schema_for("c", KEEP, document)
    change = [kind, schema.name, 1]
    if kind != DELETE:
        change.append(schema.pack(document))
    options = {}
    if kind != INITIAL and source.chance(20):
        options[MERGE_STAMP] = hlc.wire(hlc.pack(6 + source.below(2)))
    if kind == UPDATE and source.chance(35):
        path = source.choice(PATHS)
        options[UNSET] = [path if isinstance(path, str) else list(path)]
    if options:
        change.append(options)
    check_change(change, stamp)
    return change, schema, stamp, author


def random_base(source: object, run: list, path: object, author: bytes) -> bytes:
    """Return the base that a peer sees that holds part of the run, or any."""
    if source.chance(25):
        return source.choice([b"", hlc.pack(source.below(7)) + source.choice(AUTHORS)])
    document = merged([change for change in run if source.chance(70)])
    return document.counter((path,) if isinstance(path, str) else path, author)[0]


def merged(run: list) -> Document:
    document = Document()
    for change in run:
        document.apply(*change)
    return document


def same(one: object, other: object) -> bool:
    """Compare values by their bytes: 1 and 1.0 are two, as are 39.4 and 39.40."""
    return cbor.encode(one) == cbor.encode(other)


def check_run(run: list, source: object) -> dict | None:
    """Insist on the rules for a run of changes; return what its document shows."""
    value = value_of(run)
    state = merged(run).encode()
    assert same(merged(run).value(), value), "not what the model says"
    mixed = Random(source.below(1 << 30)).shuffle(run + [source.choice(run) for _ in range(3)])
    document = Document()
    half = source.below(len(mixed))
    for at in range(len(mixed)):
        if at == half:
            document = Document.decode(document.encode())
        before = document.encode()
        assert document.apply(*mixed[at]) == (document.encode() != before), "apply says what changed"
    assert document.encode() == state, "order, repetition or storage shows"
    check_superseded(run, source)
    return value


def check_superseded(run: list, source: object) -> None:
    """Insist that superseded changes may go at any time, and stay superseded."""
    held, later = [], merged(run)
    document = Document()
    for at in range(len(run)):
        held.append(run[at])
        document.apply(*run[at])
        lost = [change for change in held if not document.carries(*change)]
        if source.chance(60):
            held = [change for change in held if document.carries(*change)]
            assert same(merged(held).value(), document.value()), "a superseded change was needed"
        for change in lost:
            assert not later.carries(*change), "superseded, and then needed again"
    assert same(merged(held).value(), document.value()), "a change that went early was needed"
    assert merged(held).exists() == document.exists()
