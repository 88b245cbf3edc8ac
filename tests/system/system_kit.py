"""What the system tests share: the demo as a process, and a scene whose boards record, to be disturbed."""

import contextlib
import functools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hedgerow_cli.big_peer_http import execute
from hedgerow_cli.demo.audit import Findings, audit_board
from hedgerow_cli.demo.ledger import BoardLedger
from hedgerow_cli.demo.options import DemoOptions
from hedgerow_cli.demo.scene import Scene, staged
from hedgerow_cli.flashing.flash import Firmware, Options, build_firmware, flash_board

SECONDS = 240
_folder = tempfile.TemporaryDirectory(prefix="firmware-")


@functools.cache
def firmware() -> Firmware:
    """The firmware, built once for all tests of a process."""
    return build_firmware(Path(_folder.name))


def demo(*arguments: str, status: int = 0) -> dict[str, Any]:
    """Run `hedgerow demo`; returns the JSON of its last line. It must end with that exit status."""
    done = subprocess.run(
        [sys.executable, "-m", "hedgerow_cli", "demo", *arguments],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env={**os.environ, "COLUMNS": "200"},
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    result["said"] = done.stdout
    return result


def clean(result: dict[str, Any]) -> bool:
    """Whether a demo's result says that everything arrived, once and right, and was receipted."""
    wrong = [result[name] for name in ("missing", "duplicates", "wrong", "time_wrong")]
    return not any(wrong) and result["recorded"] == result["at_big_peer"] == result["receipted"]


class Field:
    """A scene with recording boards, and the ledgers of what they say."""

    def __init__(self, scene: Scene, readings: int) -> None:
        self.scene = scene
        self.readings = readings
        self.ledgers = [BoardLedger(board) for board in scene.boards]

    def read(self) -> None:
        self.scene.check()
        for ledger in self.ledgers:
            ledger.read()

    @property
    def recorded(self) -> int:
        self.read()
        return sum(len(ledger.acknowledged) for ledger in self.ledgers)

    def query(self, statement: str, **arguments: object) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = execute(self.scene.url, statement, arguments)["items"]
        return items

    @property
    def at_big_peer(self) -> int:
        return int(self.query("SELECT COUNT(*) AS n FROM readings")[0]["n"])

    def until(self, condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, (
                f"never: {what}; {self.recorded} recorded, {self.at_big_peer} arrived"
            )
            time.sleep(0.1)

    def finished(self) -> bool:
        """Whether every board has recorded all it was to, and the Big Peer has that."""
        self.read()
        done = all(max(ledger.acknowledged, default=0) >= self.readings for ledger in self.ledgers)
        return done and self.at_big_peer >= self.readings * len(self.ledgers)

    def audit(self) -> Findings:
        self.read()
        found = Findings()
        for ledger in self.ledgers:
            statement = "SELECT * FROM readings WHERE board = :board"
            documents = self.query(statement, board=ledger.board.name)
            found.add(audit_board(ledger, self.scene.field, documents))
        return found


@contextlib.contextmanager
def field(
    tmp_path: Path, boards: int, readings: int, *, interval_ms: int = 100, **more: object
) -> Iterator[Field]:
    """Boards that record, a gateway and a Big Peer, all running; `more` are settings of the boards."""
    options = DemoOptions(boards=boards, readings=readings, near=True, playground=True)
    directory = tmp_path / "field"
    directory.mkdir()
    with staged(options, directory) as scene:
        for board in scene.boards:
            settings = {
                "name": board.name,
                "field": scene.field,
                "interval_ms": interval_ms,
                "readings": readings,
                "seal_s": 2,
                **more,
            }
            chosen = Options(board=board.profile.name, config=settings, start=False)
            flash_board(board.port, chosen, lambda what, done, total: None, firmware())
            board.reset()
        yield Field(scene, readings)
