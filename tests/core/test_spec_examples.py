"""Every byte example in sections 1 to 7 of SPEC.md, rebuilt from the code; every code it names exists."""

import hashlib
import re
from pathlib import Path

import pytest
from samples import AUTHOR, READING, SCHEMAS, reading

from hedgerow import limits
from hedgerow.clock import hlc
from hedgerow.codec import cbor
from hedgerow.codec.decimal import Decimal
from hedgerow.codec.schema import KEEP, schema_for
from hedgerow.codec.segment import encode_segment
from hedgerow.codec.varint import write_uint
from hedgerow.crypto.vouchers import part
from hedgerow.custody.frontier import Frontier
from hedgerow.custody.receipt import Receipt
from hedgerow.custody.skip import DROPPED
from hedgerow.document import Document
from hedgerow.errors import CODES
from hedgerow.log import ENTRY_OP, MemoryLog
from hedgerow.mesh import asks, brief, frames, letters, ops, tag, tells
from hedgerow.mesh.down import proof_of
from hedgerow.mesh.wishes import encode_wish, mark_of
from hedgerow.operation import CLOCK, COUNTER, INITIAL, canonical, encode_body, h16
from hedgerow.sync import interest
from hedgerow.sync.hello import WANTS_TIME, Hello
from hedgerow.trust.lost import make_lost
from hedgerow.trust.seal import make_seal

SPEC = (Path(__file__).parents[2] / "SPEC.md").read_text(encoding="utf-8").split("\n## 8 ")[0]
MOMENT = 837_000_000_000
RECORD = encode_body(hlc.pack(MOMENT), [[CLOCK, 3, 5000, MOMENT - 5000, 2, MOMENT, 40]])
BODY = reading(MOMENT, 512, 394)
PLACE = schema_for("doors", KEEP, {"place": ""})
OPENED = schema_for("doors", KEEP, {"opened": 0})
LEVEL = schema_for("tanks", KEEP, {"level": Decimal(0, -1)})
DEFAULT = [INITIAL, PLACE.name, "door", ["shed"]]
COUNT = [COUNTER, OPENED.name, "door", [[b"", 2]]]
BASED = [COUNTER, LEVEL.name, "tank", [[hlc.pack(MOMENT) + AUTHOR, Decimal(-5, -1)]]]
THREE = [reading(MOMENT + later, 512, 394 + at) for at, later in enumerate((0, 60_013, 119_991))]

MESH = b"\xb3\xa1\xc2"
KEY = tag.mesh_key("shed")
STATE = frames.State(
    MESH[:2], 258, 3, bytes(range(6)), 7, 2, frames.HAS_TIME | frames.CONNECTABLE, 1, AUTHOR[:3], window=255
)
OPERATION = frames.make(
    frames.OP, MESH, ops.pack(AUTHOR, 7, BODY, SCHEMAS, MOMENT - 60_000) or b"", KEY, 31 << 3 | 1
)
PLAN = tells.Announce(AUTHOR, 0, MOMENT >> 24, 0, 0, 300, 290_500, 4)
LOG = MemoryLog()
LOG.append(ENTRY_OP, AUTHOR, 1, 1, BODY)
SEAL = make_seal(AUTHOR, 1, 1, [h16(AUTHOR, 1, BODY, SCHEMAS)], bytes(range(16)))
LETTER = letters.split(letters.encode_operation(AUTHOR, 7, BODY))


def _near(kind: int, body: bytes) -> bytes:
    return frames.make(kind, MESH, body, KEY, 1 << 3)


def _varint(number: int) -> bytes:
    buffer = bytearray()
    write_uint(buffer, number)
    return bytes(buffer)


def _door() -> bytes:
    document = Document()
    document.apply(DEFAULT, PLACE, hlc.pack(MOMENT), AUTHOR)
    document.apply(COUNT, OPENED, hlc.pack(MOMENT), AUTHOR)
    assert document.value() == {"opened": 2, "place": "shed"}
    return document.encode()


REBUILT = {
    "1.8": cbor.encode(Decimal.parse("39.4")),
    "1.11": _varint(300),
    "2.1a": hlc.wire(hlc.pack(MOMENT)),
    "2.1b": hlc.wire(hlc.pack(MOMENT, 258)),
    "2.7": RECORD,
    "3.3": READING.encoded,
    "3.7": BODY,
    "3.9a": canonical(AUTHOR, 7, BODY, SCHEMAS),
    "3.9b": h16(AUTHOR, 7, BODY, SCHEMAS),
    "3.13a": encode_body(hlc.pack(MOMENT), [DEFAULT]),
    "3.13b": hashlib.sha256(cbor.encode([PLACE.hash, "door", ["shed"]])).digest()[:8],
    "3.22a": encode_body(hlc.pack(MOMENT), [COUNT]),
    "3.22b": encode_body(hlc.pack(MOMENT + 250), [BASED]),
    "3.25": _door(),
    "4.9a": encode_segment(AUTHOR, 7, [BODY], SCHEMAS),
    "4.9b": encode_segment(AUTHOR, 7, THREE, SCHEMAS),
    "4.9c": encode_segment(AUTHOR, 6, [RECORD, BODY], SCHEMAS),
    "5.5.5": make_lost(AUTHOR, 2, 9, DROPPED, bytes(5) + b"\5", None, bytes(16)),
    "5.11": Frontier(b"keeper-1", 1, 90, {AUTHOR: 7}).encode(),
    "6.3": KEY,
    "6.6": frames.encode_state(STATE, KEY),
    "6.6b": frames.advertise(frames.encode_state(STATE, KEY)),
    "6.7": OPERATION,
    "6.8": _near(frames.WANT, asks.encode_want(asks.WANT_OPERATIONS, [(AUTHOR, 7, 1 | 2 | 1 << 15)])),
    "6.8b": _near(frames.WANT, asks.encode_want(asks.WANT_CREDENTIALS, [(AUTHOR, 1)])),
    "6.9": _near(frames.HAVE, asks.encode_have(3, 6, [(AUTHOR, 40, asks.hint(40, 32, 0))])),
    "6.10": _near(frames.ACK, asks.encode_ack(asks.ACK_HELD, [frames.ack_key(OPERATION)])),
    "6.11": _near(
        frames.RECEIPT,
        tells.encode_receipt(b"keeper-1", 2, AUTHOR, 40, proof_of(Receipt(b"keeper-1", 2, AUTHOR, 40))),
    ),
    "6.12": _near(frames.TIME, tells.encode_time(MOMENT, 40, 2, 0, AUTHOR, 258)),
    "6.13": _near(frames.ANNOUNCE, tells.encode_announce(PLAN)),
    "6.14": _near(frames.CALL, tells.encode_call(AUTHOR, b"keeper-1", 30)),
    "6.15a": _near(frames.LETTER_UP, LETTER[0]),
    "6.15b": _near(frames.LETTER_UP, LETTER[-1]),
    "6.15c": brief.encode_seal(AUTHOR, SEAL, LOG, SCHEMAS),
    "6.15d": encode_wish(
        interest.Interest("alarms", "level > :x", {"x": 2}, 3), [mark_of(AUTHOR, 7)], hurry=False, serial=5
    ),
    "6.15e": part(bytes(range(130)), AUTHOR, 1),
    "7.5": Hello(
        b"\xb3\xa1\xc2", AUTHOR, vector=((AUTHOR, 300, 299, 128),), name="greenhouse", flags=WANTS_TIME
    ).encode(),
    "7.10a": interest.write_interests([interest.Interest("alarms", "level > :x", {"x": 2}, 3)], [77]),
    "7.10b": interest.write_marks(1, [90]),
    "7.10c": interest.write_wants([(AUTHOR, 3, 4)]),
}
EXAMPLES = dict(re.findall(r"^Example (\S+) \([^)]*\): `([0-9a-f]+)`$", SPEC, re.MULTILINE))


def test_every_example_is_checked() -> None:
    assert EXAMPLES.keys() == REBUILT.keys()
    assert f"Its name: `{READING.name.hex()}`." in SPEC


@pytest.mark.parametrize("rule", REBUILT)
def test_example(rule: str) -> None:
    assert EXAMPLES[rule] == REBUILT[rule].hex()


def test_every_code_named_exists() -> None:
    names = set(re.findall(r"`([A-Z]+_[A-Z_]+)`", SPEC))
    assert len(names) > 30
    assert names <= CODES.keys()


def test_the_limits_are_those_of_the_code() -> None:
    table = SPEC.split("1.10 Limits.")[1].split("\n1.11")[0]
    for number in (
        limits.MAX_DEPTH,
        limits.MAX_ARRAY,
        limits.MAX_MAP,
        limits.MAX_TEXT,
        limits.MAX_VALUE_DEPTH,
        limits.MAX_OPERATION,
        limits.MAX_CHANGES,
        limits.MAX_FIELDS,
        limits.MAX_PATH,
        limits.MAX_ID,
        limits.MAX_SEGMENT_OPERATIONS,
        limits.MAX_SEGMENT_BYTES,
    ):
        assert re.search(rf"\b{number:,}\b", table), number


def test_numbers_of_codes_are_unique() -> None:
    numbers = [number for number, _ in CODES.values()]
    assert len(set(numbers)) == len(numbers)
    for code, (number, text) in CODES.items():
        assert 0 < number < 1000 and text[-1] in ".?" and re.fullmatch(r"[A-Z][A-Z0-9_]{3,31}", code), code
