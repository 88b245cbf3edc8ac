"""What is fuzzed: one table of everything in the core that reads bytes from outside.

A target is a name, a function that takes any bytes, and a seed corpus of bytes that it takes or nearly takes.
The function raises HedgerowError to refuse, and asserts what must hold of what it takes. `check` says what
holds of every target. To fuzz a new decoder, add a line to TABLE; `make fuzz` and the tests read it there.
"""

import tracemalloc
from collections.abc import Callable, Iterator
from typing import NamedTuple

import fuzz_crypto
import fuzz_mesh
from fuzz_session import exchange_seeds, run_exchange, run_session, session_seeds
from kit import Random
from samples import AUTHOR, DEEP, NOW, PLANT, READING, SCHEMAS, random_operation, reading, readings

from hedgerow.clock import hlc
from hedgerow.codec import cbor
from hedgerow.codec.decimal import Decimal
from hedgerow.codec.schema import Schema
from hedgerow.codec.segment import decode_segment, encode_segment, segment_schemas
from hedgerow.codec.varint import read_int, read_uint, write_int, write_uint
from hedgerow.codes import CODES
from hedgerow.custody import vectors
from hedgerow.custody.frontier import Frontier
from hedgerow.custody.receipt import Receipt
from hedgerow.custody.skip import LOST, RECEIPTED, SUPERSEDED, Skip
from hedgerow.document import Document
from hedgerow.errors import HedgerowError
from hedgerow.operation import CLOCK, canonical, decode_body, encode_body
from hedgerow.sync import frames, hello, interest, usb_line
from hedgerow.sync.session import read_summary, write_summary
from hedgerow.trust.seal import NO_SEAL, Seal, make_seal

#: What one call may hold at its peak: so much, and so much for each byte of its input.
PEAK_BYTES = 192 << 10
PEAK_PER_BYTE = 256


class Target(NamedTuple):
    """`weight` is its share of the time of `make fuzz`."""

    name: str
    run: Callable[[bytes], object]
    corpus: list[bytes]
    weight: int = 1


#: What a decoder may not expect, and what compares as equal to what it does expect.
ODD: list[object] = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2**64 - 1,
    Decimal(0),
    Decimal(1),
    "",
    b"",
    [],
    {},
    [[]],
    1.0,
]


def odd_items(value: object) -> Iterator[object]:
    """Copies of a value in each of which one item, at any depth, is something odd, or is gone."""
    yield from ODD
    if isinstance(value, list):
        for at in range(len(value)):
            for item in odd_items(value[at]):
                yield [*value[:at], item, *value[at + 1 :]]
            yield [*value[:at], *value[at + 1 :]]
        yield [*value, None]
    elif isinstance(value, dict):
        for key in value:
            for item in odd_items(value[key]):
                yield {**value, key: item}


def odd_bytes(seed: bytes) -> Iterator[bytes]:
    """The encodings of a CBOR seed with odd items; nothing of a seed that is no CBOR item."""
    try:
        value = cbor.decode(seed)
    except HedgerowError:
        return
    for odd in odd_items(value):
        yield cbor.encode(odd)


class Broken(AssertionError):
    """What a target did that nothing may do."""


def check(target: Target, data: bytes) -> None:
    """Run a target on bytes: it takes them or refuses them with a code, changes nothing, and stays small."""
    given = bytearray(data)
    measured = tracemalloc.is_tracing()
    if measured:
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
    try:
        target.run(given)
    except HedgerowError as error:
        if error.code not in CODES:
            raise Broken(f"{target.name}: {error.code} is no code") from error
    if given != data:
        raise Broken(f"{target.name} changed its input")
    if measured:
        peak = tracemalloc.get_traced_memory()[1] - before
        if peak > PEAK_BYTES + PEAK_PER_BYTE * len(data):
            raise Broken(f"{target.name} took {peak} bytes for {len(data)}")


# ---- what is asserted of what is taken: equal values have equal bytes


def _cbor(data: bytes) -> None:
    assert cbor.encode(cbor.decode(data)) == data


def _decimal(data: bytes) -> None:
    value = Decimal.parse(bytes(data).decode("utf-8", "replace"))
    again = Decimal.parse(str(value))
    assert again == value and hash(again) == hash(value)


def _uint(data: bytes) -> None:
    number, at = read_uint(data, 0)
    out = bytearray()
    write_uint(out, number)
    assert out == data[:at]


def _int(data: bytes) -> None:
    number, at = read_int(data, 0)
    out = bytearray()
    write_int(out, number)
    assert out == data[:at]


def _schema(data: bytes) -> None:
    assert Schema.decode(data).encoded == data


def _body(data: bytes) -> None:
    stamp, changes = decode_body(data)
    assert encode_body(stamp, changes) == data
    names = {change[1]: None for change in changes if change[0] != CLOCK}
    assert segment_schemas([data]) == list(names)


def _apply(data: bytes) -> None:
    """An operation that is taken has canonical bytes, and can be merged and shown."""
    stamp, changes = decode_body(data)
    canonical(AUTHOR, 1, data, SCHEMAS)
    document = Document()
    for change in changes:
        if change[0] <= 3:
            document.apply(change, SCHEMAS[change[1]], stamp, AUTHOR)
    document.value()
    assert Document.decode(document.encode()).encode() == document.encode()


def _segment(data: bytes) -> None:
    author, first, bodies = decode_segment(data, SCHEMAS)
    for body in bodies:
        decode_body(body)
    packed = encode_segment(author, first, bodies, SCHEMAS)
    assert decode_segment(packed, SCHEMAS) == (author, first, bodies)


def _hello(data: bytes) -> None:
    known = hello.Hello.decode(data)
    again = hello.Hello.decode(known.encode())
    assert (again.author, again.vector, again.schemas) == (known.author, known.vector, known.schemas)


def _seal(data: bytes) -> None:
    seal = Seal.decode(data)
    parts = [seal.first, seal.last, seal.credential, seal.previous, seal.kind, seal.signature]
    assert cbor.encode([1, *parts]) == data


def _vector(data: bytes) -> None:
    assert vectors.pack(vectors.unpack(data)) == data


def _summary(data: bytes) -> None:
    summary = read_summary(data)
    if summary[0]:
        assert write_summary(summary)[:2] == data[:2] and len(summary) <= 9


def _usb_line(data: bytes) -> None:
    refused: HedgerowError | None = None
    for line in usb_line.Lines().feed(data):
        try:
            kind, body = usb_line.decode(line)
        except HedgerowError as error:
            refused = error
            continue
        assert usb_line.decode(usb_line.encode(kind, body)[:-1]) == (kind, body)
        if kind == usb_line.SAY:
            sequence, connectable, events, payload = usb_line.decode_say(body)
            assert events and 0 < len(payload) <= usb_line.PAYLOAD
            again = usb_line.encode_say(sequence, connectable, events, payload)
            assert usb_line.decode(again[:-1])[1] == body
        elif kind == usb_line.HEARD:
            assert len(usb_line.decode_heard(body)[3]) <= usb_line.PAYLOAD
    if refused:
        raise refused


def _frames(data: bytes) -> None:
    out = bytearray()
    for kind, body in frames.read_frames(data):
        frames.write_frame(out, kind, body)
    assert out == data


def _document(data: bytes) -> None:
    document = Document.decode(data)
    document.value()
    again = document.encode()
    assert Document.decode(again).encode() == again


def _same(kind: type) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        assert kind.decode(data).encode() == data  # type: ignore[attr-defined]

    return run


def _interests(data: bytes) -> None:
    found = interest.read_interests(data)
    assert interest.write_interests(found, [entry.position for entry in found]) == data


def _marks(data: bytes) -> None:
    assert interest.write_marks(*interest.read_marks(data)) == data


def _wants(data: bytes) -> None:
    assert interest.write_wants(interest.read_wants(data)) == data


# ---- seeds

_RANDOM = Random(7)
_BODIES = [random_operation(_RANDOM, NOW + at) for at in range(12)]
_ROWS = readings(_RANDOM, 20)
_VALUES: list[object] = [
    [None, True, -1, 2**63, "ö", b"\x00", 1.5, 1e300, Decimal(394, -1), cbor.UNDEFINED],
    {1: {"a": [[]]}, "b": [0] * 40, b"c": -(2**64)},
]
_HELLO = hello.Hello(
    bytes(3), AUTHOR, vector=((AUTHOR, 9, 7, 5),), schemas=(READING.name, PLANT.name), name="board"
)
_SKIPS = [Skip(3, 9, SUPERSEDED, [AUTHOR, 7]), Skip(1, 1, LOST, [1, bytes(6)]), Skip(1, 4, RECEIPTED)]
_INTERESTS = [
    interest.Interest("plants"),
    interest.Interest("readings", "temperature > :limit", {"limit": Decimal(394, -1)}, 2, 900),
]


def _documents() -> list[bytes]:
    document = Document()
    for body in _BODIES:
        stamp, changes = decode_body(body)
        for change in changes:
            if change[0] <= 3:
                document.apply(change, SCHEMAS[change[1]], stamp, AUTHOR)
    return [document.encode(), Document().encode()]


def _sealed(number: int) -> bytes:
    return make_seal(AUTHOR, 1, number, [bytes(16)] * number, NO_SEAL)


TABLE = [
    Target("cbor", _cbor, [cbor.encode(value) for value in _VALUES] + _BODIES[:4], 2),
    Target("decimal", _decimal, [b"-12.50", b"5e3", b"+0.1E-126", b"18446744073709551615"]),
    Target("uint", _uint, [b"\x00", b"\x80\x01", b"\xff" * 9 + b"\x01"]),
    Target("int", _int, [b"\x01", b"\x81\x01", b"\xff" * 9 + b"\x01"]),
    Target("schema", _schema, [READING.encoded, PLANT.encoded, DEEP.encoded]),
    Target("body", _body, _BODIES, 2),
    Target("apply", _apply, _BODIES, 2),
    Target(
        "segment",
        _segment,
        [
            encode_segment(AUTHOR, 1, _ROWS, SCHEMAS),
            encode_segment(AUTHOR, 5, _BODIES, SCHEMAS),
            encode_segment(AUTHOR, 9, [reading(NOW, 1, 2, 3)] * 3, SCHEMAS),
        ],
        4,
    ),
    Target("hello", _hello, [_HELLO.encode()]),
    Target("receipt", _same(Receipt), [Receipt(b"keeper-1", 1, AUTHOR, 9).encode()]),
    Target("skip", _same(Skip), [skip.encode() for skip in _SKIPS]),
    Target("seal", _seal, [_sealed(1), _sealed(32)]),
    Target("vector", _vector, [vectors.pack([(AUTHOR, 300, 200, 100), (bytes(8), 1, 0, 0)])]),
    Target("payload", fuzz_mesh.read_payload, fuzz_mesh.PAYLOADS, 2),
    Target("letters", fuzz_mesh.read_letters, fuzz_mesh.RUNS),
    Target("op", fuzz_mesh.rebuild, fuzz_mesh.OPS),
    Target(
        "usb line",
        _usb_line,
        [
            usb_line.encode_say(1, True, 3, bytes(31)),
            usb_line.encode(usb_line.HEARD, bytes(9) + bytes(31)),
            usb_line.encode(usb_line.HUSH),
        ],
    ),
    Target("summary", _summary, [write_summary([3] + [b"digest"] * 4), write_summary([0])]),
    Target("interest", _interests, [interest.write_interests(_INTERESTS, [0, 900])], 2),
    Target("mark", _marks, [interest.write_marks(7, [5, 2**33])]),
    Target("want", _wants, [interest.write_wants([(AUTHOR, 3, 9), (b"author-2", 1, 256)])]),
    Target("frames", _frames, [payload[5:-8] for payload in session_seeds()]),
    Target("frontier", _same(Frontier), [Frontier(b"keeper-1", 1, 900, {AUTHOR: 7, bytes(8): 1}).encode()]),
    Target("stamp", lambda data: hlc.unwire(bytes(data)), [hlc.wire(hlc.pack(NOW)), hlc.pack(NOW, 1)]),
    Target("document", _document, _documents(), 2),
    Target("session", run_session, exchange_seeds(), 4),
    Target("exchange", run_exchange, exchange_seeds(), 8),
    *(Target(*row) for row in fuzz_crypto.TARGETS),
]
