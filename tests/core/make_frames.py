"""Write tests/core/data/frames.json: `.venv/bin/python tests/core/make_frames.py`."""

import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "portable"), str(HERE.parents[1] / "shared")]

from kit import Random  # noqa: E402
from samples import AUTHOR, NOW, READING, SCHEMAS, random_operation, reading  # noqa: E402
from vector_form import hexed  # noqa: E402

from hedgerow.clock import hlc  # noqa: E402
from hedgerow.mesh import asks, frames, letters, ops, tag, tells  # noqa: E402
from hedgerow.operation import decode_body  # noqa: E402
from hedgerow.trust.seal import NO_SEAL, make_seal  # noqa: E402

PATH = HERE / "data" / "frames.json"
NAME = "shed"
KEY = tag.mesh_key(NAME)
MESH = b"\xb3\xa1"
KINDS = [
    "STATE",
    "OP",
    "WANT",
    "HAVE",
    "RECEIPT",
    "TIME",
    "ANNOUNCE",
    "LETTER_UP",
    "LETTER_DOWN",
    "ACK",
    "CALL",
]
OTHER = b"\x01\x23\x45other"
KEEPER = b"keeper-1"


def states() -> list[frames.State]:
    """STATEs at the edges of their fields."""
    digest = bytes(range(1, 7))
    return [
        frames.State(MESH, 258, 3, digest, 7, 2, 9, 1, AUTHOR[:3], window=255),
        frames.State(MESH, 0, 0, bytes(6), 0, 0, 0, 3, b"\0\0\0", 0),
        frames.State(MESH, 0xFFFF, 7, b"\xff" * 6, 0xFFFF, 255, 0xCF, 3, b"\xff\xff\xff", 3, 254),
        frames.State(MESH, 77, 1, digest, 300, 114, frames.GRADIENT, 2, AUTHOR[:3], 1, 4),
    ]


def bodies() -> list[tuple[int, dict[str, Any], bytes]]:
    """(kind, parts as the file has them, body) of frames of every other kind."""
    rows: list[tuple[int, dict[str, Any], bytes]] = []
    for what, entries in (
        (asks.WANT_OPERATIONS, [(AUTHOR[:3], 7, 0x8003), (b"oth", 0xFFFF, 1)]),
        (asks.WANT_LETTERS, [(b"abc", 255), (b"abd", 1)]),
        (asks.WANT_ANNOUNCES, [AUTHOR[:3], b"oth"]),
        (asks.WANT_SCHEMAS, [READING.name[:2], b"na"]),
        (asks.WANT_WHOLE, [(AUTHOR[:3], 7), (b"oth", 0xFFFF)]),
    ):
        shown = [[_form(part) for part in (one if isinstance(one, tuple) else (one,))] for one in entries]
        rows.append((frames.WANT, {"what": what, "entries": shown}, asks.encode_want(what, entries)))
    have = [(AUTHOR[:3], 40, asks.hint(40, 32, 0)), (b"oth", 0xFFFF, 0xFF)]
    shown = [[_form(part) for part in one] for one in have]
    rows.append((frames.HAVE, {"log2": 3, "bucket": 6, "entries": shown}, asks.encode_have(3, 6, have)))
    for what, keys in ((asks.ACK_PASSED, [b"author"]), (asks.ACK_HELD, [b"author", b"other.", b"third."])):
        parts = {"what": what, "keys": [hexed(key) for key in keys]}
        rows.append((frames.ACK, parts, asks.encode_ack(what, keys)))
    rows.append(
        (
            frames.RECEIPT,
            {"keeper": hexed(KEEPER[:4]), "incarnation": 2, "author": hexed(AUTHOR[:3]), "number": 70000},
            tells.encode_receipt(KEEPER, 2, AUTHOR, 70000),
        )
    )
    for utc, error, source, hops, counter in ((NOW, 40, 2, 0, 258), ((1 << 48) - 1, 65535, 4, 255, 65535)):
        parts = {"utc": utc, "error": error, "source": source, "hops": hops}
        parts = {**parts, "asker": hexed(AUTHOR[:3]), "counter": counter}
        rows.append((frames.TIME, parts, tells.encode_time(utc, error, source, hops, AUTHOR, counter)))
    for plan in (
        tells.Announce(AUTHOR, 1, NOW >> 24, 0, 5, 300, 290_500, 4),
        tells.Announce(OTHER, 0xFFFF, 0xFFFFFF, 3),
    ):
        parts = {**vars(plan), "author": hexed(plan.author)}
        rows.append((frames.ANNOUNCE, parts, tells.encode_announce(plan)))
    parts = {"target": hexed(AUTHOR[:3]), "sender": hexed(KEEPER[:3]), "seconds": 30}
    rows.append((frames.CALL, parts, tells.encode_call(AUTHOR, KEEPER, 30)))
    return rows


def _form(part: bytes | int) -> str | int:
    return hexed(part) if isinstance(part, bytes) else part


def operations() -> list[dict[str, Any]]:
    """Operations, those that go as OP and those that do not."""
    random = Random(12)
    rows = []
    stored = [reading(NOW + at * 60013, 512 - at * 300, -394 + at * 9000) for at in range(6)]
    stored += [reading(NOW, 1 << 40, -(1 << 40)), reading(NOW, 1, 2, 7)]
    stored += [random_operation(random, NOW + at) for at in range(12)]
    for number, body in enumerate(stored, 65533):
        before = hlc.stamp_ms(decode_body(body)[0]) - 60000
        packed = ops.pack(AUTHOR, number, body, SCHEMAS, before)
        row = {"author": hexed(AUTHOR), "number": number, "before": before, "stored": hexed(body)}
        rows.append({**row, "body": None if packed is None else hexed(packed)})
    return rows


def contents() -> list[bytes]:
    """Contents of letters."""
    seal = make_seal(AUTHOR, 1, 2, [bytes(16)] * 2, NO_SEAL)
    return [
        letters.encode_operation(AUTHOR, 300, reading(NOW, 512, 394)),
        bytes((letters.SEAL,)) + AUTHOR + seal,
        bytes((letters.SCHEMA,)) + READING.encoded,
        b"\x01\x00a",
        b"\x01" + bytes(254),
        bytes(1 + at % 127 for at in range(128)),
    ]


def build() -> dict[str, Any]:
    """Return the content of the file."""
    shown = []
    for state in states():
        parts = {**vars(state), "mesh": hexed(state.mesh), "digest": hexed(state.digest)}
        frame = frames.encode_state(state, KEY)
        row = {"kind": KINDS[0], **parts, "author": hexed(state.author), "frame": hexed(frame)}
        shown.append({**row, "payload": hexed(frames.advertise(frame))})
    for at, (kind, parts, body) in enumerate(bodies()):
        frame = frames.make(kind, MESH, body, KEY, at % 32 << 3 | at % 8)
        row = {"kind": KINDS[kind], **parts, "hop": frame[3], "frame": hexed(frame)}
        shown.append({**row, "payload": hexed(frames.advertise(frame))})
    return {
        "mesh": [{"name": NAME, "mesh": hexed(MESH), "key": hexed(KEY)}],
        "schemas": [hexed(schema.encoded) for schema in SCHEMAS.values()],
        "frames": shown,
        "operations": operations(),
        "letters": [
            {"content": hexed(content), "bodies": [hexed(body) for body in letters.split(content)]}
            for content in contents()
        ],
    }


def text() -> str:
    """Return the file: one line for each row."""
    parts = []
    for name, rows in build().items():
        lines = ",\n".join(json.dumps(row) for row in rows)
        parts.append(f'"{name}": [\n{lines}\n]')
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
