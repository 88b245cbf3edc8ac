"""The demo from start to verdict."""

import contextlib
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any

from hedgerow_cli.big_peer_http import execute
from hedgerow_cli.demo.audit import Findings, audit_board, audit_log, audit_refused, audit_revoked
from hedgerow_cli.demo.board_log import own_operations
from hedgerow_cli.demo.consumer import consuming
from hedgerow_cli.demo.director import Director
from hedgerow_cli.demo.frames import FrameTally
from hedgerow_cli.demo.intruders import Intruders
from hedgerow_cli.demo.ledger import BoardLedger
from hedgerow_cli.demo.options import INTERVAL_MS, MESH, DemoOptions
from hedgerow_cli.demo.scene import Scene, prepare_directory, staged
from hedgerow_cli.demo.table import Row, Screen
from hedgerow_cli.emulation import wait_for_end
from hedgerow_cli.flashing.flash import Options, build_firmware, flash_board
from hedgerow_cli.output import console, print_json

__all__ = ["DemoOptions", "run_demo"]

#: The boards' program, flashed as that of a project is.
_APP = Path(__file__).with_name("app.py")
_STEP_SECONDS = 0.25
_SILENT_SECONDS = 5.0
#: Between two looks whether all that is at the Big Peer has its time.
_AUDIT_SECONDS = 1.0
_STATUS_PATH = "/api/hedgerow/v1/status"


class Run:
    """One demo on a scene that stands."""

    def __init__(self, options: DemoOptions, scene: Scene, screen: Screen) -> None:
        self.options = options
        self.scene = scene
        self.screen = screen
        self.ledgers = [BoardLedger(board) for board in scene.boards]
        self.tally = FrameTally(scene.directory / "air.jsonl")
        self.notes = [""] * len(self.ledgers)
        self._time_wrong = [0] * len(self.ledgers)
        self._audited_at = 0.0
        self._at_gateway: dict[str, int] = {}
        self._at_big_peer: dict[str, int] = {}
        self._started = time.monotonic()
        self.intruders: Intruders | None = None
        if scene.identities is not None and options.air:
            self.intruders = Intruders(
                options, scene.identities, self.ledgers, scene.url, self._held, screen.event
            )

    def _held(self, author: str) -> int:
        return self._at_big_peer.get(author, 0)

    def flash(self) -> None:
        """Put the firmware on all boards at once, and start them."""
        firmware = build_firmware(self.scene.directory / "firmware")

        def flash_one(index: int) -> None:
            def show(what: str, done: int, total: int) -> None:
                self.notes[index] = f"{what} {100 * done // total} %"

            board = self.scene.boards[index]
            settings = {
                "name": board.name,
                "field": self.scene.field,
                "interval_ms": INTERVAL_MS,
                "readings": self.options.readings_of(index),
                "mesh": MESH,
                "seal_s": self.options.seal_s,
                **self.options.role_of(index),
            }
            wanted = Options(board=board.profile.name, config=settings, files=(_APP,), start=False)
            flash_board(board.port, wanted, show, firmware)
            if self.scene.identities is not None:
                self.notes[index] = "makes its keys"
                self.scene.identities.enrol(board, self.scene.url)
            # The reset comes when mpremote has let go of the port, so that the ledger misses no line.
            board.reset()
            self.notes[index] = ""

        pool = ThreadPoolExecutor(len(self.ledgers))
        waiting = [pool.submit(flash_one, index) for index in range(len(self.ledgers))]
        try:
            while not all(each.done() for each in waiting):
                self._step({})
            for each in waiting:
                each.result()
        finally:
            # Who interrupts the demo does not wait for mpremote: that ends once the boards are gone.
            pool.shutdown(wait=False, cancel_futures=True)
        self._started = time.monotonic()
        self.screen.event(
            f"{firmware.rom.size // 1024} KiB of firmware are on each of {len(self.ledgers)} boards"
        )

    def watch(self, director: Director) -> None:
        """Until everything has arrived, with its time, and is receipted, or time is up."""
        finished_at = None
        while time.monotonic() - self._started < self.options.limit_seconds:
            self._step(director.notes)
            if director.failure is not None:
                raise director.failure
            if self._recorded() and director.done:
                finished_at = finished_at or time.monotonic()
                if (self._arrived() and self._is_settled()) or (
                    not self.options.air and time.monotonic() - finished_at > _SILENT_SECONDS
                ):
                    return
        self.screen.event(f"time is up after {self.options.limit_seconds:.0f} s")
        for board in self.scene.boards:
            self.screen.event(f"{board.name}: {board.activity()}")

    def audit(self) -> Findings:
        """Ask the Big Peer for everything, board by board, and compare."""
        found = Findings()
        for index, ledger in enumerate(self.ledgers):
            ledger.read()
            statement = "SELECT * FROM readings WHERE board = :board ORDER BY n"
            answer = execute(self.scene.url, statement, {"board": ledger.board.name}, key=self.scene.key)
            of_board = self._audit_board(index, answer["items"])
            self._time_wrong[index] = of_board.time_wrong
            found.add(of_board)
        self.tally.read()
        return found

    def _audit_board(self, index: int, documents: list[dict[str, Any]]) -> Findings:
        ledger, field = self.ledgers[index], self.scene.field
        if index == self.options.barred:
            return audit_refused(ledger, self._at_big_peer.get(ledger.author, 0), documents)
        last = self.intruders.trial.last if self.intruders and index == self.options.revoked else None
        if last is not None:
            return audit_revoked(ledger, field, documents, last)
        return audit_board(ledger, field, documents)

    def audit_log(self, chosen: int) -> Findings:
        """Look into the log of a board that was cut, while it is off."""
        ledger = self.ledgers[chosen]
        ledger.board.power_off()
        ledger.read()
        found = audit_log(ledger, *own_operations(ledger.board))
        if self.options.keep:
            ledger.board.power_on()
        return found

    def errors(self) -> list[str]:
        """What boards complained of."""
        return [f"{ledger.board.name}: {line}" for ledger in self.ledgers for line in ledger.errors]

    def show(self, notes: dict[int, str]) -> None:
        """The last table."""
        self.screen.show(self._rows(notes), self.tally.connection_total, final=True)

    def _step(self, notes: dict[int, str]) -> None:
        self.scene.check()
        for ledger in self.ledgers:
            ledger.read()
        self.tally.read()
        self._at_gateway = self.scene.held(f"{self.scene.gateway_url}/status") or self._at_gateway
        self._at_big_peer = self.scene.held(f"{self.scene.url}{_STATUS_PATH}") or self._at_big_peer
        self.screen.show(self._rows(notes), self.tally.connection_total)
        time.sleep(_STEP_SECONDS)

    def _rows(self, notes: dict[int, str]) -> list[Row]:
        now = time.time()
        rows = []
        for index, ledger in enumerate(self.ledgers):
            address = ledger.board.address
            last = self.tally.last_beacon.get(address)
            rows.append(
                Row(
                    name=ledger.board.name,
                    wanted=self.options.readings_of(index),
                    recorded=len(ledger.acknowledged),
                    at_gateway=ledger.up_to(self._at_gateway.get(ledger.author, 0)),
                    at_big_peer=ledger.up_to(self._at_big_peer.get(ledger.author, 0)),
                    receipted=ledger.up_to(ledger.receipted_op),
                    beacons=self.tally.beacons[address],
                    connections=self.tally.connections[address],
                    seen=None if last is None else max(0.0, now - last),
                    note=notes.get(index, self.notes[index]) or self._place(index),
                    time_wrong=self._time_wrong[index],
                )
            )
        return rows

    def _place(self, index: int) -> str:
        if index == self.options.far:
            return "out of the gateway's range"
        if index == self.options.leaf:
            return "asleep" if self.ledgers[index].board.asleep else "awake"
        return ""

    def _recorded(self) -> bool:
        return all(
            max(ledger.acknowledged, default=0) >= self.options.readings_of(index)
            for index, ledger in enumerate(self.ledgers)
        )

    def _arrived(self) -> bool:
        for index, ledger in enumerate(self.ledgers):
            last = max(reading.op for reading in ledger.acknowledged.values())
            if index == self.options.revoked and self.intruders is not None:
                last = self.intruders.trial.last or last
            if self._at_big_peer.get(ledger.author, 0) < last or ledger.receipted_op < last:
                return False
        return True

    def _is_settled(self) -> bool:
        """Whether everything has its time, and nothing is seen that counts no more: what a board says of its
        clock may come after its readings, and a Big Peer hears of a revocation within seconds.
        """
        if time.monotonic() - self._audited_at < _AUDIT_SECONDS:
            return False
        found = self.audit()
        self._audited_at = time.monotonic()
        return not found.time_wrong and not found.leaked


def run_demo(options: DemoOptions) -> bool:
    """Run the demo; returns whether nothing was missing, doubled or wrong. Its last line is JSON."""
    started = time.monotonic()
    with _terminated_as_interrupted(), contextlib.ExitStack() as stack:
        directory = options.directory or Path(tempfile.mkdtemp(prefix="hedgerow-demo-"))
        prepare_directory(directory)
        keep_files = options.directory is not None
        try:
            console.print("starting a Big Peer, a gateway and the boards")
            scene = stack.enter_context(staged(options, directory))
            with Screen(console, options.readings_of_all) as screen:
                run = Run(options, scene, screen)
                run.flash()
                consumer = stack.enter_context(consuming(options, scene, screen.event))
                with Director(
                    options, run.ledgers, scene.proxy, screen.event, scene.nodes, run.intruders
                ) as director:
                    run.watch(director)
                found = run.audit()
                if consumer is not None:
                    consumer.audit(scene.url, scene.field)
                if options.cuts and director.cut_board is not None:
                    found.add(run.audit_log(director.cut_board))
                run.show(director.notes if options.cuts else {})
            clean = found.clean and director.cuts.total() >= options.cuts
            if run.intruders is not None:
                clean = clean and run.intruders.tampered_found > 0
            if consumer is not None:
                clean = clean and consumer.arrivals.clean
                console.print(consumer.arrivals.verdict)
            _verdict(options, run, found)
            if options.air and not clean:
                keep_files = True
                console.print(f"logs, databases and flash images stay in {directory}")
            result = _result(options, run, director, found, time.monotonic() - started)
            print_json({**result, **({} if consumer is None else consumer.arrivals.figures)})
            if options.keep:
                wait_for_end()
            return clean
        finally:
            stack.close()
            if not keep_files:
                shutil.rmtree(directory, ignore_errors=True)


def _verdict(options: DemoOptions, run: Run, found: Findings) -> None:
    for line in run.errors()[:20]:
        console.print(line, markup=False)
    if not options.air:
        console.print(
            "The air is switched off: nothing arrived." if not found.at_big_peer else "The air leaks."
        )
    elif found.clean:
        console.print("Every acknowledged reading is at the Big Peer, once, with its value and its time.")
    else:
        console.print("The Big Peer does not have what the boards recorded.")
    if options.keep:
        url = run.scene.url
        console.print(f"Everything stays up until Ctrl-C. Status page: {url}/")
        body = '{"statement": "SELECT * FROM readings ORDER BY _time LIMIT 10", "args": {}}'
        console.print(
            f"curl -s {url}/api/v5/store/execute -H 'Content-Type: application/json' -d '{body}'",
            markup=False,
        )
        for board in run.scene.boards:
            console.print(f"mpremote connect {board.port}   # {board.name}", markup=False)


def _result(
    options: DemoOptions, run: Run, director: Director, found: Findings, seconds: float
) -> dict[str, object]:
    cut_board = director.cut_board
    return {
        "boards": options.boards,
        **vars(found),
        "connections": run.tally.connection_total,
        "beacons": run.tally.beacon_total,
        "power_cuts": sum(board.power_cuts for board in run.scene.boards),
        "cuts_in_programs": director.cuts["program"],
        "cuts_in_erases": director.cuts["erase"],
        "boots_of_cut_board": 0 if cut_board is None else len(run.ledgers[cut_board].boots),
        "sleeps": sum(board.sleeps for board in run.scene.boards),
        "tampered_found": 0 if run.intruders is None else run.intruders.tampered_found,
        "uplink_outages": run.scene.proxy.outages,
        "nodes": options.nodes,
        "node_kills": run.scene.nodes.kills,
        "seconds": round(seconds, 1),
        "url": run.scene.url,
    }


@contextlib.contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM ends the demo as Ctrl-C does, with everything that it started."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
