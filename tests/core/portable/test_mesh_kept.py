"""OP frames leave out what stays as it was: a text beside numbers costs nothing, and comes out right."""

from hedgerow.clock import hlc
from hedgerow.codec import cbor
from hedgerow.codec.schema import STREAM, Schema
from hedgerow.mesh import ops
from hedgerow.mesh.frames import decode_op
from hedgerow.operation import CLOCK, INSERT, encode_body

AUTHOR = b"author-a"
MS = 800000000000
READINGS = Schema("readings", STREAM, (("board", None), ("n", None), ("t", -1)))
OTHERS = Schema("others", STREAM, (("board", None), ("n", None), ("t", -1)))
SCHEMAS = {READINGS.name: READINGS, OTHERS.name: OTHERS}


def stored(ms: int, values: list, schema: object = READINGS) -> bytes:
    return encode_body(hlc.pack(ms), [[INSERT, schema.name, None, values]])


def through(before: bytes, after: bytes, known: object = None) -> object:
    """Return (bytes of values, what a peer rebuilds that holds `known` as the operation before)."""
    body = ops.pack(AUTHOR, 8, after, SCHEMAS, MS, before)
    if body is None:
        return None
    op = decode_op(bytes(4) + body + bytes(3))
    return op.values, ops.rebuild(op, AUTHOR, 8, MS, SCHEMAS, 1, before if known is None else known)


def test_a_text_that_stays_is_left_out() -> None:
    after = stored(MS + 1000, ["board17", 8, 215])
    assert through(stored(MS, ["board17", 7, 214]), after) == ([8, 215], after)


def test_no_number_needs_to_be_said() -> None:
    after = stored(MS + 1000, ["board17", None, True])
    assert through(stored(MS, ["board17", None, True]), after) == ([], after)


def test_what_changes_beside_numbers_is_a_letter() -> None:
    before = stored(MS, ["board17", 7, None])
    for values in (["board18", 8, None], ["board17", 8, 5], ["board17", "8", None], [7, 8, None]):
        assert through(before, stored(MS + 1000, values)) is None
    # Equal, and of another form.
    assert through(stored(MS, [True, 7, 1]), stored(MS + 1000, [1, 8, 1])) is None
    assert through(stored(MS, [1.0, 7, 1]), stored(MS + 1000, [1, 8, 1])) is None


def test_nothing_stays_from_another_kind_of_operation() -> None:
    after = stored(MS + 1000, ["board17", 8, 215])
    clock = encode_body(hlc.pack(MS), [[CLOCK, 1, 0, MS, 0, None, 0]])
    for before in (
        stored(MS, ["board17", 7, 214], OTHERS),
        clock,
        encode_body(hlc.pack(MS), [[INSERT, READINGS.name, 5, ["board17", 7, 214]]]),
        encode_body(hlc.pack(MS), [[INSERT, READINGS.name, None, ["board17", 7, 214]]] * 2),
    ):
        assert through(before, after) is None
        # Numbers alone need nobody.
        numbers = stored(MS + 1000, [1, 8, 215])
        assert through(before, numbers) == ([1, 8, 215], numbers)
    assert ops.pack(AUTHOR, 8, after, SCHEMAS, MS) is None


def test_who_holds_another_operation_before_rebuilds_nothing() -> None:
    before = stored(MS, ["board17", 7, 214])
    after = stored(MS + 1000, ["board17", 8, 215])
    for known in (stored(MS, ["board18", 7, 214]), stored(MS, [17, 7, 214]), stored(MS, ["board17", 7, "x"])):
        assert through(before, after, known)[1] is None
    body = ops.pack(AUTHOR, 8, after, SCHEMAS, MS, before)
    op = decode_op(bytes(4) + body + bytes(3))
    assert ops.rebuild(op, AUTHOR, 8, MS, SCHEMAS) is None
    assert cbor.decode(before) != cbor.decode(after)
