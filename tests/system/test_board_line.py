"""Boards in a line, real VMs, only neighbours in range: advertisements alone carry everything, both ways.

Connections are counted from the air's frames; no other channel is open between the boards.
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from line_kit import APP, Line, frames_in, install, line, said_by, stretch

from hedgerow.mesh import frames
from hedgerow_boards.air import Air
from hedgerow_cli.demo.ledger import BoardLedger
from hedgerow_cli.emulation import emulated
from hedgerow_cli.lifeline import Child

pytestmark = pytest.mark.slow

LEAF_APP = """
from hedgerow_device.sensor import open_sensor


async def main(peer):
    value = open_sensor(peer.settings["sensor"]).read()
    result = peer.execute("INSERT INTO readings DOCUMENTS (:r)", r={"t": value, "h": value})
    number = result.mutated[0][1]
    print("ack", number, "op=%d" % number, "value=%s" % value)
    await peer.sleep()
"""


def _hedgerow(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "hedgerow_cli", *arguments]


def _until_receipted(ledger: BoardLedger, number: int, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while ledger.receipted_op < number:
        assert time.monotonic() < deadline, (ledger.board.name, ledger.receipted_op, number)
        time.sleep(0.1)
        ledger.read()


def check_values(scene: Line) -> None:
    """What the Big Peer has of each board is what its sensor measured, each once."""
    found: dict[str, dict[int, str]] = {}
    rows = scene.query("SELECT * FROM readings")
    for row in rows:
        author, number = row["_id"]
        found.setdefault(str(author), {})[number] = str(row["t"])
        assert row["t"] == row["h"]
    said = [{r.op: r.text for r in ledger.acknowledged.values()} for ledger in scene.ledgers]
    assert len(rows) == sum(map(len, said))
    assert sorted(found.values(), key=str) == sorted(said, key=str)


def check_pushed_in_time(scene: Line, sleeper: BoardLedger) -> None:
    """What a leaf recorded is on the air before the wake after the next one says what it holds by then."""
    made = sorted(reading.op for reading in sleeper.acknowledged.values())
    said: set[int] = set()
    for frame in said_by(scene.directory, sleeper.board.address):
        if frame[0] & 0x0F == frames.OP and frame[4:7].hex() == sleeper.author[:6]:
            said.add(int.from_bytes(frame[7:9], "big"))
        elif frame[0] & 0x0F == frames.STATE:
            held = int.from_bytes(frames.decode_state(frame).digest[4:6], "big")
            assert said >= {number for number in made if number < held - 2}, (held, made, said)


def test_five_boards_in_a_line_sync_without_a_connection(tmp_path: Path) -> None:
    with line(tmp_path, 5, readings=2, interval_ms=2000, seal_s=5) as scene:
        scene.until(lambda: scene.arrived(2), "all arrived and receipted", 180)
        assert scene.frames()["connect"] == 0
        assert all(not ledger.errors for ledger in scene.ledgers), scene.report()
        check_values(scene)
        # The far board has learnt the time from board to board.
        scene.ledgers[-1].board.wait_for("time source=3 ", 150)


def test_a_sleeping_leaf_behind_a_relay_gets_its_readings_up_and_its_receipt_down(tmp_path: Path) -> None:
    leaf = {"role": "leaf", "sleep_ms": 5000, "window_ms": 800, "readings": 0}
    with line(
        tmp_path, 2, app=LEAF_APP, settings=lambda at: leaf if at else {"role": "relay"}, seal_s=8
    ) as scene:
        relay, sleeper = scene.ledgers

        def receipted() -> bool:
            scene.read()
            made = sorted(reading.op for reading in sleeper.acknowledged.values())
            return len(made) > 4 and scene.held(sleeper) >= sleeper.receipted_op >= made[4]

        # Each wake makes one reading.
        scene.until(receipted, "the leaf has a receipt over the readings of five wakes", 90)
        assert sleeper.board.sleeps >= 4
        assert len(sleeper.boots) == 1, "a wake is no boot"
        check_pushed_in_time(scene, sleeper)
        assert scene.frames()["connect"] == 0
        assert not relay.errors and not sleeper.errors, scene.report()
        sleeper.board.wait_for("time source=3 ", 30)


def test_a_named_gateway_is_the_keeper_where_there_is_no_big_peer(tmp_path: Path) -> None:
    directory = tmp_path / "line"
    directory.mkdir()
    log = directory / "air.jsonl"
    with emulated(["esp32c3"] * 5, directory=directory, seed=1, air_log=log) as bench:
        stretch(bench)
        command = [
            "gateway", "run", "--data", str(directory / "gateway"), "--air", bench.air_path, "--mesh", "demo",
            "--name", "gateway", "--keeper", "--time", "trust", "--json",
        ]  # fmt: skip
        gateway = Child(_hedgerow(*command), directory / "gateway.log")
        try:
            install(
                bench.boards, directory, APP, lambda at: {}, {"readings": 2, "interval_ms": 2000, "seal_s": 5}
            )
            ledgers = [BoardLedger(board) for board in bench.boards]
            for ledger in ledgers:
                ledger.board.wait_for("ack 2 ", 30)
                ledger.read()
                last = max(reading.op for reading in ledger.acknowledged.values())
                _until_receipted(ledger, last)
                assert not ledger.errors
            assert frames_in(directory)["connect"] == 0
        finally:
            gateway.stop()


@pytest.fixture(scope="module")
def trio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """Three relays that hear each other and the gateway, and record now and then for as long as they run."""
    folder = tmp_path_factory.mktemp("trio")
    with line(folder, 3, together=True, readings=0, interval_ms=3000, seal_s=2, radio_watchdog_s=4) as scene:
        yield scene


def test_relays_that_record_now_and_then_never_connect(trio: Line) -> None:
    def receipted() -> bool:
        trio.read()
        return all(
            4 in ledger.acknowledged and ledger.receipted_op >= ledger.acknowledged[4].op
            for ledger in trio.ledgers
        )

    trio.until(receipted, "four readings of each are receipted", 120)
    assert all(trio.held(ledger) >= ledger.receipted_op for ledger in trio.ledgers)
    assert trio.frames()["connect"] == 0
    assert all(not ledger.errors for ledger in trio.ledgers), trio.report()


def test_a_radio_that_falls_silent_is_mended_by_stages(trio: Line) -> None:
    stages = (("scan", None), ("active", "radio restart"), ("reset", "radio reset"))
    air = trio.scene.bench.air
    assert isinstance(air, Air)

    def beyond(reached: list[int]) -> bool:
        trio.read()
        return all(ledger.receipted_op > at for ledger, at in zip(trio.ledgers, reached, strict=True))

    trio.until(lambda: beyond([1, 1, 1]), "all three work", 60)
    since = [ledger.board.console_count for ledger in trio.ledgers]
    for ledger, (until, _) in zip(trio.ledgers, stages, strict=True):
        air.deafen(ledger.board.address, until)
    for ledger, start, (_, said) in zip(trio.ledgers, since, stages, strict=True):
        if said:
            ledger.board.wait_for(said, 60, start)
    trio.read()
    reached = [ledger.receipted_op for ledger in trio.ledgers]
    trio.until(lambda: beyond(reached), "receipts come again to all three", 60)
    for ledger, start, (until, _) in zip(trio.ledgers, since, stages, strict=True):
        resets = [line for line in ledger.board.console[start:] if line.text == "radio reset"]
        assert len(resets) == (until == "reset")
