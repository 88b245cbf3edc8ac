"""Boards in a line, real VMs, only neighbours in range: advertisements alone carry everything, both ways.

Connections are counted from the air's frames; no other channel is open between the boards.
"""

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from channels import accepted, channels, networked
from line_kit import APP, Line, frames_in, install, line, said_by, stretch

from hedgerow.mesh import frames
from hedgerow_boards.air import Air
from hedgerow_cli.demo.ledger import BoardLedger
from hedgerow_cli.emulation import emulated
from hedgerow_cli.lifeline import Child

# What is waited for has limits of its own.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

LEAF_APP = """
from hedgerow_device.sensor import open_sensor


async def main(peer):
    value = open_sensor(peer.settings["sensor"]).read()
    result = peer.execute("INSERT INTO readings DOCUMENTS (:r)", r={"t": value, "h": value})
    number = result.mutated[0][1]
    print("ack", number, "op=%d" % number, "value=%s" % value)
    await peer.sleep()
"""


#: Readings of each board of the two lines of five, one a minute.
READINGS = 3
MINUTE = {"readings": READINGS, "interval_ms": 60000, "seal_s": 5}


@contextlib.contextmanager
def keeper_line(directory: Path) -> Iterator[tuple[Path, list[BoardLedger]]]:
    """Five boards in a line, and at its end a gateway that is their keeper: there is no Big Peer."""
    directory.mkdir()
    with emulated(["esp32c3"] * 5, directory=directory, seed=1, air_log=directory / "air.jsonl") as bench:
        stretch(bench)
        command = [
            sys.executable, "-m", "hedgerow_cli", "gateway", "run", "--data", str(directory / "gateway"),
            "--air", bench.air_path, "--mesh", "demo", "--name", "gateway", "--keeper", "--time", "trust",
            "--json",
        ]  # fmt: skip
        gateway = Child(command, directory / "gateway.log")
        try:
            install(bench.boards, directory, APP, lambda at: {}, MINUTE)
            yield directory, [BoardLedger(board) for board in bench.boards]
        finally:
            gateway.stop()


@pytest.fixture(scope="module")
def five(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """Five boards in a line before a gateway with a Big Peer, which record once a minute."""
    with line(tmp_path_factory.mktemp("five"), 5, **MINUTE) as scene:
        yield scene


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[BoardLedger]]]:
    with keeper_line(tmp_path_factory.mktemp("kept") / "line") as found:
        yield found


def test_two_lines_of_five_boards_begin(five: Line, kept: tuple[Path, list[BoardLedger]]) -> None:
    """They take their minutes beside the other tests of this file; its last ones look at what came of it."""
    five.until(lambda: five.recorded(1), "each has recorded", 30)
    for ledger in kept[1]:
        ledger.board.wait_for("ack 1 ", 30)


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


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what a process has open")
def test_the_air_is_the_only_channel_between_boards(trio: Line) -> None:
    """A serial line, the emulator's pipe, its own flash, control page, sensor; and one socket: the air."""
    opened = []
    for board in trio.boards:
        assert board.pid is not None
        found = channels(board.pid)
        assert (len(found["socket"]), len(found["pipe"])) == (2, 1), found
        own = str(trio.directory / board.name) + "/"
        assert all(name.startswith(own) for name in found["file"] | found["mapped"]), found
        opened.append(set().union(*found.values()))
    assert len(set().union(*opened)) == sum(map(len, opened)), opened
    # The gateway's radio is the fourth; none of their sockets reaches a network.
    assert accepted(trio.scene.bench.air_path) == len(trio.boards) + 1
    assert not networked() & set().union(*opened)


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


def test_five_boards_that_record_once_a_minute_never_connect(five: Line) -> None:
    five.until(lambda: five.arrived(READINGS), "all arrived and receipted", 240)
    assert five.frames()["connect"] == 0
    assert all(not ledger.errors for ledger in five.ledgers), five.report()
    check_values(five)
    # The far board has learnt the time from board to board.
    five.ledgers[-1].board.wait_for("time source=3 ", 1)


def test_a_named_gateway_is_the_keeper_where_there_is_no_big_peer(
    kept: tuple[Path, list[BoardLedger]],
) -> None:
    directory, ledgers = kept
    deadline = time.monotonic() + 240
    while not all(arrived(ledger) for ledger in ledgers):
        assert time.monotonic() < deadline, [(ledger.receipted_op, ledger.errors) for ledger in ledgers]
        time.sleep(0.1)
    assert not any(ledger.errors for ledger in ledgers)
    assert frames_in(directory)["connect"] == 0


def arrived(ledger: BoardLedger) -> bool:
    """Whether a board has all its readings recorded, and receipted by the keeper."""
    ledger.read()
    made = [reading.op for reading in ledger.acknowledged.values()]
    return len(made) == READINGS and ledger.receipted_op >= max(made)
