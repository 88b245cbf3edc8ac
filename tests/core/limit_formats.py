"""Checks of the limits of bytes and texts: each goes to its limit, then one over it (test_limits.py)."""

from collections.abc import Callable

from kit import raises

from hedgerow import limits
from hedgerow.application import ReadyPeer
from hedgerow.clock import hlc
from hedgerow.codec import cbor
from hedgerow.codec.decimal import Decimal
from hedgerow.codec.schema import KEEP, Schema, check_name, check_path
from hedgerow.codec.segment import decode_segment, encode_segment
from hedgerow.codec.varint import write_uint
from hedgerow.custody import vectors
from hedgerow.custody.frontier import Frontier
from hedgerow.custody.receipt import Receipt
from hedgerow.custody.skip import LOST, SUPERSEDED, Skip
from hedgerow.log import ENTRY_SKIP, MemoryLog, check_entry
from hedgerow.operation import (
    DELETE,
    INSERT,
    UNSET,
    UPDATE,
    check_change,
    check_id,
    check_value,
    decode_body,
    encode_body,
)
from hedgerow.query.condition import Condition
from hedgerow.query.evaluate import Select
from hedgerow.query.expression import evaluate
from hedgerow.query.json_text import read_json
from hedgerow.query.live import Live
from hedgerow.query.parse import parse, parse_condition
from hedgerow.sync import hello
from hedgerow.sync.interest import Interest, read_interests, read_marks, read_wants, write_interests
from hedgerow.trust.seal import NO_SEAL, Seal, make_seal

AUTHOR = b"author-a"
STAMP = hlc.pack(1)
EMPTY = Schema("things", KEEP, ())
ONE = Schema("things", KEEP, (("a", None),))


def nested(levels: int) -> list:
    """That many lists, each in the next."""
    value: list = []
    for _ in range(levels - 1):
        value = [value]
    return value


def depth(code: str, json: str) -> None:
    at, over = b"\x81" * (limits.MAX_DEPTH - 1) + b"\x80", b"\x81" * limits.MAX_DEPTH + b"\x80"
    assert cbor.encode(cbor.decode(at)) == at
    raises(code, cbor.decode, over)
    raises(code, cbor.encode, nested(limits.MAX_DEPTH + 1))
    assert read_json("[" * limits.MAX_DEPTH + "]" * limits.MAX_DEPTH) == nested(limits.MAX_DEPTH)
    raises(json, read_json, "[" * (limits.MAX_DEPTH + 1) + "]" * (limits.MAX_DEPTH + 1))


def array(code: str) -> None:
    value = [0] * limits.MAX_ARRAY
    assert cbor.decode(cbor.encode(value)) == value
    raises(code, cbor.encode, [*value, 0])
    raises(
        code, cbor.decode, b"\x99" + (limits.MAX_ARRAY + 1).to_bytes(2, "big") + bytes(limits.MAX_ARRAY + 1)
    )


def pairs(code: str) -> None:
    value: dict = dict.fromkeys(range(limits.MAX_MAP), 0)
    assert cbor.decode(cbor.encode(value)) == value
    raises(code, cbor.encode, {**value, -1: 0})
    raises(
        code, cbor.decode, b"\xb9" + (limits.MAX_MAP + 1).to_bytes(2, "big") + bytes(2 * limits.MAX_MAP + 2)
    )


def text(code: str, query: str) -> None:
    for head, value, more in (
        (b"\x79", "ä" * (limits.MAX_TEXT // 2), "x"),
        (b"\x59", bytes(limits.MAX_TEXT), b"x"),
    ):
        data = cbor.encode(value)
        assert data[:3] == head + limits.MAX_TEXT.to_bytes(2, "big") and cbor.decode(data) == value
        raises(code, cbor.encode, value + more)  # type: ignore[operator]
        raises(code, cbor.decode, head + (limits.MAX_TEXT + 1).to_bytes(2, "big") + data[3:] + b"x")
    like, most = parse_condition("a LIKE b"), "x" * limits.MAX_TEXT
    assert evaluate(like, {"a": most, "b": most})
    raises(query, evaluate, like, {"a": most + "x", "b": "%"})
    raises(query, evaluate, like, {"a": "x", "b": most + "x"})


def exponent(decimal: str, schema: str) -> None:
    for sign in (1, -1):
        at, over = sign * limits.MAX_EXPONENT, sign * (limits.MAX_EXPONENT + 1)
        data = cbor.encode(Decimal(1, at))
        assert cbor.decode(data) == Decimal(1, at)
        raises(decimal, Decimal, 1, over)
        raises(decimal, cbor.decode, data[:2] + cbor.encode(over) + data[-1:])
        assert Schema("things", KEEP, (("a", at),))
        raises(schema, Schema, "things", KEEP, (("a", over),))


def number(
    receipt: str,
    skip: str,
    seal: str,
    vector: str,
    segment: str,
    frontier: str,
    hello_: str,
    want: str,
    log: str,
) -> None:
    most = limits.MAX_NUMBER
    body = encode_body(STAMP, [[DELETE, EMPTY.name, 1]])
    for code, read in (
        (receipt, lambda n: Receipt.decode(Receipt(b"keeper-1", 1, AUTHOR, n).encode())),
        (receipt, lambda n: Receipt.decode(Receipt(b"keeper-1", n, AUTHOR, 1).encode())),
        (skip, lambda n: Skip.decode(Skip(n, n, LOST, [0, b"123456"]).encode())),
        (skip, lambda n: Skip.decode(Skip(1, 1, SUPERSEDED, [AUTHOR, n]).encode())),
        (seal, lambda n: Seal.decode(make_seal(AUTHOR, n, n, [bytes(16)], NO_SEAL))),
        (vector, lambda n: vectors.unpack(vectors.pack([(AUTHOR, n, 1, 0)]))),
        (vector, lambda n: vectors.unpack(vectors.pack([(AUTHOR, 1, 1, n)]))),
        (segment, lambda n: encode_segment(AUTHOR, n, [body], {})),
        (segment, lambda n: decode_segment(plain([body], n), {})),
        (frontier, lambda n: Frontier.decode(Frontier(b"keeper-1", n, 5, {}).encode())),
        (frontier, lambda n: Frontier.decode(Frontier(b"keeper-1", 1, 5, {AUTHOR: n}).encode())),
        (want, lambda n: read_wants(cbor.encode([[AUTHOR, n, n]]))),
        (hello_, lambda n: greet(incarnation=n)),
        (log, lambda n: check_entry(ENTRY_SKIP, 1, n, 0)),
    ):
        read(most)
        raises(code, read, most + 1)


def sized(size: int) -> bytes:
    """The stored form of an operation of that many bytes, whether it may be that long or not."""
    return cbor.encode([hlc.wire(STAMP), [INSERT, ONE.name, None, ["x" * (size - 20)]]])


def operation(code: str) -> None:
    at = sized(limits.MAX_OPERATION)
    assert len(at) == limits.MAX_OPERATION
    stamp, changes = decode_body(at)
    assert encode_body(stamp, changes) == at
    over = sized(limits.MAX_OPERATION + 1)
    raises(code, decode_body, over)
    raises(code, encode_body, STAMP, cbor.decode(over)[1:])  # type: ignore[index]
    # A block of columns can unfold to one too long.
    schemas = {ONE.name: ONE}
    data = encode_segment(AUTHOR, 1, [at], schemas)
    assert decode_segment(data, schemas)[2] == [at]
    size = limits.MAX_OPERATION - 20
    start = data.index(cbor.encode("x" * size))
    raises(code, decode_segment, data[:start] + cbor.encode("x" * (size + 1)), schemas)


def changes(code: str) -> None:
    at = [[DELETE, EMPTY.name, number] for number in range(limits.MAX_CHANGES)]
    assert decode_body(encode_body(STAMP, at))[1] == at
    over = [*at, [DELETE, EMPTY.name, "x"]]
    raises(code, encode_body, STAMP, over)
    raises(code, decode_body, cbor.encode([hlc.wire(STAMP), *over]))


def fields(schema: str, change: str) -> None:
    rows = tuple([("f%03d" % at, None) for at in range(limits.MAX_FIELDS + 1)])
    encoded = Schema("things", KEEP, rows[:-1]).encoded
    assert Schema.decode(encoded).encoded == encoded
    raises(schema, Schema, "things", KEEP, rows)
    raises(schema, Schema.decode, cbor.encode([1, "things", KEEP, [list(row) for row in rows]]))
    check_change([INSERT, b"name", None, [0] * limits.MAX_FIELDS], STAMP)
    raises(change, check_change, [INSERT, b"name", None, [0] * (limits.MAX_FIELDS + 1)], STAMP)
    # What differs in more places is written as a whole.
    for count in (limits.MAX_FIELDS, limits.MAX_FIELDS + 1):
        names = ["f%d" % at for at in range(count)]
        differ(dict.fromkeys(names, 1), dict.fromkeys(names, 2))


def name(code: str) -> None:
    check_name("ä" * limits.MAX_NAME)
    raises(code, check_name, "x" * (limits.MAX_NAME + 1))
    raises(code, Schema, "x" * (limits.MAX_NAME + 1), KEEP, ())
    raises(code, Interest, "x" * (limits.MAX_NAME + 1))


def path(code: str) -> None:
    check_path(("a",) * limits.MAX_PATH)
    raises(code, check_path, ("a",) * (limits.MAX_PATH + 1))
    # What differs below the longest path is written as a whole.
    below, other = 1, 2
    for _ in range(limits.MAX_VALUE_DEPTH):
        below, other = {"a": below}, {"a": other}
    differ(below, other)


def differ(before: object, after: object) -> None:
    """Write a document, then what differs in another of that id."""
    peer = ReadyPeer(MemoryLog(), lambda: 5)
    peer.execute("INSERT INTO c DOCUMENTS (:d)", d={"_id": 1, "a": before})
    peer.execute("INSERT INTO c DOCUMENTS (:d) ON ID CONFLICT DO UPDATE_LOCAL_DIFF", d={"_id": 1, "a": after})
    assert list(peer.execute("SELECT a FROM c")) == [{"a": after}]


def unset(code: str) -> None:
    names = ["f%d" % at for at in range(limits.MAX_UNSET_PATHS)]
    check_change([UPDATE, b"name", 1, [], {UNSET: names}], STAMP)
    raises(code, check_change, [UPDATE, b"name", 1, [], {UNSET: [*names, "x"]}], STAMP)


def value_depth(code: str) -> None:
    check_value(nested(limits.MAX_VALUE_DEPTH))
    raises(code, check_value, nested(limits.MAX_VALUE_DEPTH + 1))


def document_id(code: str) -> None:
    check_id(bytes(limits.MAX_ID - 2))
    raises(code, check_id, bytes(limits.MAX_ID - 1))


def plain(bodies: list[bytes], first: int = 1) -> bytes:
    """A segment of one plain block, whether it may be that long or not."""
    data = bytearray(b"\x10" + AUTHOR)
    write_uint(data, first)
    write_uint(data, len(bodies) << 2)
    for body in bodies:
        write_uint(data, len(body))
        data += body
    return bytes(data)


def segment_operations(code: str) -> None:
    body = encode_body(STAMP, [[DELETE, EMPTY.name, 1]])
    bodies = [body] * limits.MAX_SEGMENT_OPERATIONS
    assert decode_segment(encode_segment(AUTHOR, 1, bodies, {}), {})[2] == bodies
    raises(code, encode_segment, AUTHOR, 1, [*bodies, body], {})
    raises(code, decode_segment, plain([*bodies, body]), {})


def segment_bytes(code: str) -> None:
    rest = limits.MAX_SEGMENT_BYTES - 6000
    bodies = [sized(3000), sized(3000), sized(rest)]
    schemas = {ONE.name: ONE}
    assert sum(map(len, bodies)) == limits.MAX_SEGMENT_BYTES
    for data in (plain(bodies), encode_segment(AUTHOR, 1, bodies, schemas)):
        assert decode_segment(data, schemas)[2] == bodies
    bodies[2] = sized(rest + 1)
    raises(code, encode_segment, AUTHOR, 1, bodies, schemas)
    raises(code, decode_segment, plain(bodies), schemas)


def seal_operations(code: str) -> None:
    most = limits.MAX_SEAL_OPERATIONS
    assert Seal.decode(make_seal(AUTHOR, 1, most, [], NO_SEAL)).last == most
    raises(code, Seal.decode, make_seal(AUTHOR, 1, most + 1, [], NO_SEAL))


def frontier(code: str) -> None:
    numbers = {b"%08d" % at: limits.MAX_NUMBER for at in range(limits.MAX_FRONTIER)}
    whole = Frontier(b"keeper-1", limits.MAX_NUMBER, (1 << 53) - 1, numbers, bytes(64))
    assert len(b"\1" + whole.encode()) <= limits.MAX_FRAME
    data = Frontier(b"keeper-1", 1, 5, numbers).encode()
    assert Frontier.decode(data).numbers == numbers
    raises(code, Frontier(b"keeper-1", 1, 5, {**numbers, AUTHOR: 1}).encode)
    parts: list = cbor.decode(data)  # type: ignore[assignment]
    parts[4].append([AUTHOR, 1])
    raises(code, Frontier.decode, cbor.encode(parts))


# ---- hellos


def greet(**options: object) -> hello.Hello:
    return hello.Hello.decode(hello.Hello(b"msh", AUTHOR, **options).encode())  # type: ignore[arg-type]


def of_hello(at: dict[str, object], over: dict[str, object]) -> Callable[[str], None]:
    """A check of one item of a hello."""

    def check(code: str) -> None:
        ((key, value),) = at.items()
        assert getattr(greet(**at), key) == value
        raises(code, lambda: greet(**over))

    return check


# ---- the way down


def raw_interest(where: str = "", parameters: object = None, hops: int = 0, collection: str = "c") -> bytes:
    return cbor.encode([[collection, where, parameters or {}, hops, 0]])


def interest(code: str) -> None:
    collection = "€" * limits.MAX_NAME
    where = "x" * limits.MAX_CONDITION
    spare = limits.MAX_INTEREST - len(cbor.encode([collection, where, {"p": "x" * 30}])) + 30
    at, over = {"p": "x" * spare}, {"p": "x" * (spare + 1)}
    assert len(cbor.encode([collection, where, at])) == limits.MAX_INTEREST
    assert read_interests(raw_interest(where, at, 0, collection))[0].parameters == at
    raises(code, read_interests, raw_interest(where, over, 0, collection))


def condition(interest_: str, query: str) -> None:
    # In bytes, not in characters.
    at = "a = '%s'" % ("ä" * ((limits.MAX_CONDITION - 6) // 2))
    assert len(at.encode()) == limits.MAX_CONDITION > len(at)
    assert read_interests(raw_interest(at))[0].where == at and Condition(at).holds({"a": at[5:-1]})
    raises(interest_, read_interests, raw_interest(at + " "))
    raises(query, Condition, at + " ")
    filled = {"p": "x" * (limits.MAX_CONDITION - 5)}
    assert len(cbor.encode(filled)) == limits.MAX_CONDITION
    assert read_interests(raw_interest("", filled)) and Condition("", filled)
    filled["p"] += "x"
    raises(interest_, read_interests, raw_interest("", filled))
    raises(query, Condition, "", filled)


def parameters(interest_: str, query: str) -> None:
    given = {"p%d" % at: at for at in range(limits.MAX_PARAMETERS)}
    assert read_interests(raw_interest("", given))[0].parameters == given and Condition("", given)
    given["more"] = 0
    raises(interest_, read_interests, raw_interest("", given))
    raises(query, Condition, "", given)


def interests(read: str, write: str) -> None:
    rows = [Interest("c%d" % at) for at in range(limits.MAX_INTERESTS + 1)]
    data = write_interests(rows[:-1], [0] * limits.MAX_INTERESTS)
    assert len(read_interests(data)) == limits.MAX_INTERESTS
    raises(write, write_interests, rows, [0] * len(rows))
    raises(read, read_interests, cbor.encode([row.row(0) for row in rows]))
    positions = [1] * (1 + limits.MAX_INTERESTS)
    assert read_marks(cbor.encode(positions)) == (1, positions[1:])
    raises(read, read_marks, cbor.encode([*positions, 1]))
    # All together fit one frame.
    rows = [Interest("c", "x" * (limits.MAX_CONDITION - at)) for at in range(14)]
    left = limits.MAX_FRAME - len(write_interests(rows, [0] * len(rows)))
    for over in (0, 1):
        wide = [*rows, Interest("c", "y" * (left - 8 + over))]
        if over:
            raises(write, write_interests, wide, [0] * len(wide))
        else:
            assert len(write_interests(wide, [0] * len(wide))) == limits.MAX_FRAME


def wants(code: str) -> None:
    rows = [[AUTHOR, at, at] for at in range(1, limits.MAX_WANTS + 2)]
    assert len(read_wants(cbor.encode(rows[:-1]))) == limits.MAX_WANTS
    raises(code, read_wants, cbor.encode(rows))


def want_numbers(code: str) -> None:
    assert read_wants(cbor.encode([[AUTHOR, 5, 4 + limits.MAX_WANT_NUMBERS]]))
    raises(code, read_wants, cbor.encode([[AUTHOR, 5, 5 + limits.MAX_WANT_NUMBERS]]))


# ---- statements


def statement(code: str) -> None:
    at = "SELECT * FROM c".ljust(limits.MAX_STATEMENT)
    assert parse(at)[3] == "c"
    raises(code, parse, at + " ")
    assert parse_condition("a".ljust(limits.MAX_STATEMENT)) == ("path", ("a",))
    raises(code, parse_condition, "a".ljust(limits.MAX_STATEMENT + 1))


def statement_depth(code: str) -> None:
    # A path is two tuples deep.
    at = "NOT " * (limits.MAX_STATEMENT_DEPTH - 2) + "a"
    assert parse_condition(at)
    raises(code, parse_condition, "NOT " + at)
    # The statement is one tuple more around it.
    assert parse("SELECT * FROM c WHERE " + at[4:])
    raises(code, parse, "SELECT * FROM c WHERE " + at)


def listed(code: str) -> None:
    columns = ",".join(["a%d" % at for at in range(limits.MAX_LISTED)])
    assert len(parse("SELECT %s FROM c" % columns)[2]) == limits.MAX_LISTED
    raises(code, parse, "SELECT %s, b FROM c" % columns)


def answer_rows(code: str) -> None:
    for query in (Select(parse("SELECT * FROM c")), Live(parse("SELECT * FROM c"))):
        for at in range(limits.MAX_ANSWER_ROWS):
            query.add({"_id": at})
        raises(code, query.add, {"_id": -1})


def result_rows(code: str) -> None:
    query = Live(parse("SELECT * FROM c"), None, ReadyPeer.answer_rows)
    for at in range(limits.MAX_RESULT_ROWS):
        query.add({"_id": at})
    assert len(query.finish().rows) == limits.MAX_RESULT_ROWS
    raises(code, query.add, {"_id": -1})
