"""SIGKILL at any instant: what was acknowledged is there, once, and the author goes on."""

import random
import signal
import subprocess
import sys
from pathlib import Path

from hedgerow.operation import decode_body
from hedgerow_gateway.sqlite_log import SqliteLog


def run_and_kill(database: Path, lines: int) -> list[int]:
    """Let the writer acknowledge at least `lines` operations, kill it, return what it acknowledged."""
    command = [sys.executable, str(Path(__file__).with_name("killed_writer.py")), str(database)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        said = [writer.stdout.readline() for _ in range(lines)]
        writer.send_signal(signal.SIGKILL)
        said += writer.stdout.readlines()
    return [int(line) for line in said if line.endswith("\n")]


def test_nothing_acknowledged_is_lost_or_doubled(tmp_path: Path) -> None:
    database = tmp_path / "field.db"
    rng = random.Random(7)
    authors = set()
    acknowledged: list[int] = []
    for _ in range(6):
        acknowledged += run_and_kill(database, rng.randrange(1, 60))
        log = SqliteLog(database)
        authors.add(log.author)
        held = log.held(log.author)
        entries = [entry for entry in log.read(log.author, 0, 1 << 31, 1 << 30) if entry[0] == 0]
        log.close()
        assert [entry[1] for entry in entries] == list(range(1, held + 1))
        stamps = [decode_body(entry[3])[0] for entry in entries]
        assert stamps == sorted(set(stamps)), "the clock never went back"
        assert set(acknowledged) <= set(range(1, held + 1))
    assert len(acknowledged) == len(set(acknowledged)), "no number was given twice"
    assert len(authors) == 1
