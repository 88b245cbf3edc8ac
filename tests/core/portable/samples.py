"""Sample schemas, operations and readings for portable tests."""

from kit import Random

from hedgerow.clock import hlc
from hedgerow.codec import cbor
from hedgerow.codec.decimal import Decimal
from hedgerow.codec.schema import KEEP, STREAM, schema_for
from hedgerow.operation import (
    CLOCK,
    COUNTER,
    DELETE,
    INITIAL,
    INSERT,
    MERGE_STAMP,
    UNSET,
    UPDATE,
    encode_body,
)

AUTHOR = b"\x01\x23\x45\x67\x89\xab\xcd\xef"
READING = schema_for("readings", STREAM, {"humidity": Decimal(0, -1), "temperature": Decimal(0, -1)})
PLANT = schema_for("plants", KEEP, {"name": "", "pot": {}, "size": Decimal(0, 0)})
DEEP = schema_for("plants", KEEP, {("pot", "colour"): "", ("pot", "rim", "wide"): 0})
SCHEMAS = {schema.name: schema for schema in (READING, PLANT, DEEP)}
# A day in July 2026, in ms since 2000.
NOW = 837000000000


def reading(ms: int, humidity: int, temperature: int, counter: int = 0) -> bytes:
    """Return the stored form of one reading; both values in tenths."""
    return encode_body(hlc.pack(ms, counter), [[INSERT, READING.name, None, [humidity, temperature]]])


def readings(random: Random, count: int, period_ms: int = 60000, jitter_ms: int = 40) -> list:
    """Return stored forms of readings of two one-decimal values that walk at random."""
    humidity, temperature, bodies = 512, 394, []
    for index in range(count):
        humidity += random.between(-9, 9)
        temperature += random.between(-3, 3)
        bodies.append(
            reading(NOW + index * period_ms + random.between(-jitter_ms, jitter_ms), humidity, temperature)
        )
    return bodies


def random_change(random: Random, stamp: bytes) -> list:
    """Return any valid change of an operation with this stamp."""
    kind = random.below(7)
    if kind > COUNTER:
        kind = INSERT
    if kind == CLOCK:
        utc = random.choice([None, random.below(1 << 48)])
        return [
            CLOCK,
            random.below(1 << 32),
            random.below(1 << 48),
            NOW,
            0 if utc is None else 2,
            utc,
            random.below(999),
        ]
    schema = random.choice([READING, PLANT, DEEP])
    ident = random.choice(["a", 7, [AUTHOR, 3], b"\x00"])
    if kind == INSERT and random.chance(50):
        ident = None
    change = [kind, schema.name, ident]
    options = {}
    if kind != INITIAL and random.chance(20):
        options[MERGE_STAMP] = hlc.wire(hlc.above(stamp))
    if kind == UPDATE and random.chance(30):
        options[UNSET] = random.choice([["name"], [["pot", "colour"], "size"]])
    if kind == COUNTER:
        change.append([random_total(random) for _ in schema.fields])
    elif kind != DELETE:
        change.append([random_value(random, schema, at) for at in range(len(schema.fields))])
    if options:
        change.append(options)
    return change


def random_total(random: Random) -> object:
    """Return [base, total] of a counter, or undefined."""
    base = random.choice([b"", random.bytes(16)])
    total = random.choice([random.between(-99, 99), (1 << 63) - 1, Decimal(-25, -1)])
    return random.choice([cbor.UNDEFINED, [base, total]])


def random_value(random: Random, schema: object, at: int) -> object:
    """Return a value that fits a field of a schema."""
    if schema.fields[at][1] is not None:
        return random.choice([random.between(-999, 999), Decimal(5, 3), None, cbor.UNDEFINED])
    name = schema.fields[at][0]
    if name == "pot":
        return random.choice(
            [{}, {"colour": "red"}, {"rim": {"wide": random.below(9)}, "mark": b"x"}, 5, [1, [2]]]
        )
    return random.choice(
        ["oak", random.between(-1 << 40, 1 << 40), True, None, cbor.UNDEFINED, [1.5, {"k": "v"}]]
    )


def random_operation(random: Random, ms: int) -> bytes:
    """Return the stored form of any valid operation."""
    stamp = hlc.pack(ms, random.choice([0, 0, 0, 1, 700]))
    return encode_body(stamp, [random_change(random, stamp) for _ in range(random.choice([1, 1, 1, 2, 3]))])
