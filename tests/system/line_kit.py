"""A line of emulated boards, only neighbours in range, a gateway at one end; counted on the air."""

import contextlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from system_kit import firmware

from hedgerow.mesh import frames
from hedgerow_boards.air.backend import DEFAULT_ADDRESS
from hedgerow_boards.board import Board
from hedgerow_cli.big_peer_http import execute
from hedgerow_cli.demo.ledger import BoardLedger
from hedgerow_cli.demo.options import DemoOptions
from hedgerow_cli.demo.scene import Scene, staged
from hedgerow_cli.emulation import Bench
from hedgerow_cli.flashing.flash import Options, flash_board

FIELD = "temperature_f"
#: Two values a reading, and its dot for an id.
APP = """
from hedgerow_device.sensor import open_sensor


async def main(peer):
    settings = peer.settings
    sensor = open_sensor(settings["sensor"])
    last = 0
    while settings["readings"] == 0 or last < settings["readings"]:
        value = sensor.read()
        last += 1
        result = peer.execute("INSERT INTO readings DOCUMENTS (:r)", r={"t": value, "h": value})
        print("ack", last, "op=%d" % result.mutated[0][1], "value=%s" % value)
        await peer.sleep()
"""


@dataclass
class Line:
    """What runs; the first board is the one beside the gateway."""

    scene: Scene
    directory: Path
    boards: list[Board]
    ledgers: list[BoardLedger]

    def read(self) -> None:
        self.scene.check()
        for ledger in self.ledgers:
            ledger.read()

    def frames(self) -> Counter[str]:
        return frames_in(self.directory)

    def until(self, condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"never: {what}; {self.report()}"
            time.sleep(0.1)

    def report(self) -> str:
        """What each board has recorded and had receipted, and its last words."""
        self.read()
        said = [
            f"{ledger.board.name}: {len(ledger.acknowledged)} recorded, {ledger.receipted_op} receipted, "
            f"{[line.text for line in ledger.board.console[-3:]]} {ledger.errors[:3]}"
            for ledger in self.ledgers
        ]
        return f"{said}; held {self.at_big_peer()}; frames {dict(self.frames())}"

    def at_big_peer(self) -> dict[str, int]:
        """Up to which operation the Big Peer holds each author."""
        return self.scene.held(f"{self.scene.url}/api/hedgerow/v1/status")

    def held(self, ledger: BoardLedger) -> int:
        """Up to which operation the Big Peer holds a board."""
        return self.at_big_peer().get(ledger.author, 0)

    def recorded(self, count: int) -> bool:
        """Whether each board has recorded so many."""
        self.read()
        return all(len(ledger.acknowledged) >= count for ledger in self.ledgers)

    def arrived(self, count: int) -> bool:
        """Whether each board has recorded so many, the Big Peer has them, and the board knows."""
        if not self.recorded(count):
            return False
        for ledger in self.ledgers:
            last = max(reading.op for reading in ledger.acknowledged.values())
            if self.held(ledger) < last or ledger.receipted_op < last:
                return False
        return True

    def query(self, statement: str, **arguments: object) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = execute(self.scene.url, statement, arguments)["items"]
        return items


@contextlib.contextmanager
def line(
    tmp_path: Path,
    boards: int,
    *,
    app: str = APP,
    settings: Callable[[int], dict[str, object]] = lambda at: {},
    profile: str = "esp32c3",
    together: bool = False,
    **common: object,
) -> Iterator[Line]:
    """Boards with this app in a line behind a gateway and a Big Peer, all running; `together`: all in range.

    `settings` gives what a board has besides what all of them have in `common`.
    """
    directory = tmp_path / "line"
    directory.mkdir()
    options = DemoOptions(
        boards=boards, readings=1, near=profile == "esp32c3", profile=profile, playground=True
    )
    with staged(options, directory) as scene:
        if not together:
            stretch(scene.bench)
        install(scene.boards, directory, app, settings, common)
        ledgers = [BoardLedger(board) for board in scene.boards]
        yield Line(scene, directory, scene.boards, ledgers)


def stretch(bench: Bench) -> None:
    """Let only neighbours hear each other: the gateway, the first board, the second one, ..."""
    assert bench.air is not None
    addresses = [DEFAULT_ADDRESS, *(board.address for board in bench.boards)]
    for at, address in enumerate(addresses):
        for other in addresses[at + 2 :]:
            bench.air.block(address, other)


def install(
    boards: list[Board],
    directory: Path,
    app: str,
    settings: Callable[[int], dict[str, object]],
    common: dict[str, object],
) -> None:
    """Put the firmware, an app and settings on boards, and start them."""
    (directory / "app.py").write_text(app)
    built = firmware()

    def flash(at: int) -> None:
        board = boards[at]
        config = {"name": board.name, "field": FIELD, "mesh": "demo", **common, **settings(at)}
        chosen = Options(board=board.profile.name, config=config, files=(directory / "app.py",), start=False)
        flash_board(board.port, chosen, lambda what, done, total: None, built)

    with ThreadPoolExecutor(len(boards)) as pool:
        list(pool.map(flash, range(len(boards))))
    for board in boards:
        board.reset()


def frames_in(directory: Path) -> Counter[str]:
    """Frames of an air's log by kind: `adv`, `connect` and others."""
    with (directory / "air.jsonl").open() as log:
        return Counter(json.loads(line)["kind"] for line in log if line.endswith("\n"))


def said_by(directory: Path, address: str) -> Iterator[bytes]:
    """Give the frames of ours that a radio said, in the order of the air's log."""
    with (directory / "air.jsonl").open() as log:
        for line in log:
            entry = json.loads(line) if line.endswith("\n") else {}
            if entry.get("kind") == "adv" and entry["from"] == address:
                payload = bytes.fromhex(entry["data"])
                at = frames.find(payload)
                if at:
                    yield payload[at : frames.end(payload, at)]
