"""What a reading costs on links, and what the core costs on a board."""

import subprocess
from pathlib import Path

import pytest
from kit import Random
from micropython_vm import micropython
from samples import AUTHOR, NOW, SCHEMAS, reading, readings

from hedgerow.codec.segment import encode_segment
from hedgerow_cli.firmware_files import build

SHARED = Path(__file__).parents[2] / "shared"
# What a board keeps loaded to record and to answer a session, in the order of their imports
RECORDING = ["errors", "limits", "codec/varint", "codec/decimal", "codec/cbor", "codec/schema", "clock/hlc"]
RECORDING += ["operation", "codec/segment"]
# Loaded when a board first takes operations of others
RELAYING = ["codec/unfold"]

# Fifty readings packed and unpacked, while all of them are held twice
EXERCISE = """
from hedgerow.clock import hlc
from hedgerow.codec.schema import schema_for
from hedgerow.codec.decimal import Decimal
from hedgerow.codec.segment import decode_segment, encode_segment
from hedgerow.operation import encode_body
schema = schema_for("readings", 1, {"a": Decimal(0, -1), "b": Decimal(0, -1)})
bodies = []
for index in range(50):
    stamp = hlc.pack(837000000000 + index * 60013)
    bodies.append(encode_body(stamp, [[0, schema.name, None, [500 + index % 7, 394 - index % 5]]]))
schemas = {schema.name: schema}
print(decode_segment(encode_segment(bytes(8), 1, bodies, schemas), schemas)[2] == bodies)
""".splitlines()


def test_bytes_per_reading() -> None:
    sizes = [
        len(encode_segment(AUTHOR, 1001, readings(Random(seed), 50), SCHEMAS)) / 50 for seed in range(10)
    ]
    print(f"\nsegment of 50 readings: {min(sizes):.2f} to {max(sizes):.2f} B a reading")
    assert max(sizes) <= 5.0


def test_bytes_of_one_reading() -> None:
    size = len(encode_segment(AUTHOR, 1001, [reading(NOW, 512, 394)], SCHEMAS))
    print(f"\nsegment of one reading: {size} B; its stored form: {len(reading(NOW, 512, 394))} B")
    assert size <= 26


@pytest.fixture
def compiled(tmp_path: Path) -> Path:
    """The core as .mpy, as the firmware's build makes it."""
    build(tmp_path)
    return tmp_path


def test_size_on_a_board(compiled: Path) -> None:
    sizes = {name: (compiled / "hedgerow" / f"{name}.mpy").stat().st_size for name in RECORDING}
    print(
        "\n.mpy bytes:",
        ", ".join(f"{name} {size}" for name, size in sizes.items()),
        "sum",
        sum(sizes.values()),
    )
    assert sum(sizes.values()) <= 13_500


def test_heap_on_a_board(compiled: Path) -> None:
    program = [f"import gc, sys; sys.path[:] = [{str(compiled)!r}]; gc.collect(); start = gc.mem_alloc()"]
    for name in RECORDING:
        program.append(f"import hedgerow.{name.replace('/', '.')}")
    program += ["gc.collect(); print(gc.mem_alloc() - start)", *EXERCISE]
    command = [micropython(), "-X", "heapsize=96k", "-c", "\n".join(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    heap, answer = done.stdout.split()
    print(f"\nheap of the recording core after import, 64-bit VM: {heap} B")
    assert int(heap) <= 32_000
    assert answer == "True"


def test_counters_are_loaded_by_counters_alone() -> None:
    program = f"""
import sys
sys.path[:0] = [{str(SHARED)!r}]
from hedgerow.clock import hlc
from hedgerow.codec.schema import schema_for
from hedgerow.document import Document
from hedgerow.operation import COUNTER, decode_body, encode_body
document, schema = Document(), schema_for("readings", 1, {{"n": 1}})
for kind, value in ((0, 7), (COUNTER, [b"", 2])):
    body = encode_body(hlc.pack(5), [[kind, schema.name, 1, [value]]])
    document.apply(decode_body(body)[1][0], schema, hlc.pack(5), bytes(8))
    document = Document.decode(document.encode())
    print(document.value(), "hedgerow.counter" in sys.modules)
"""
    command = [micropython(), "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.splitlines() == ["{'n': 7} False", "{'n': 7} True"]
