"""The portable parser says the same on MicroPython and on CPython."""

import json
import subprocess
from pathlib import Path

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from micropython_vm import micropython
from parse_in_vm import outcome
from test_parsers import PIECES, STATEMENTS

HERE = Path(__file__).parent


def collected() -> list[str]:
    """Return statements, and statements with mistakes."""
    found: list[str] = []

    @settings(max_examples=250, phases=[Phase.generate], database=None)
    @given(STATEMENTS, st.floats(0, 1), PIECES)
    def collect(text: str, where: float, piece: str) -> None:
        at = int(where * len(text))
        found.extend((text, text[:at] + piece + text[at:]))

    collect()
    return found


def test_both_vms_read_the_same(tmp_path: Path) -> None:
    texts = collected()
    assert len(texts) == 500
    (tmp_path / "texts.json").write_text(json.dumps(texts, ensure_ascii=False), encoding="utf-8")
    command = [micropython(), "-X", "heapsize=2M", HERE / "parse_in_vm.py", tmp_path / "texts.json"]
    done = subprocess.run(
        [*command, HERE.parents[1] / "shared"], capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout[-500:]
    lines = done.stdout.decode().splitlines()
    assert len(lines) == len(texts)
    read = 0
    for text, line in zip(texts, lines):
        expected = json.loads(json.dumps(outcome(text)))
        assert json.loads(line) == expected, text
        read += isinstance(expected[0], list)
    assert read > 50
