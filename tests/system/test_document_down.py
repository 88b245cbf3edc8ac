"""A configuration document that is written, changed and deleted at the Big Peer reaches boards out of range.

Real VMs: a relay beside the gateway, and behind it a board that is awake and one that is asleep mostly.
"""

from pathlib import Path

import pytest
from line_kit import Line, line

from hedgerow_boards.air.backend import DEFAULT_ADDRESS
from hedgerow_cli.big_peer_http import execute

# What is waited for has limits of its own.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

#: It records now and then, as boards do, and prints what it finds of its configuration.
APP = """
from hedgerow_device.sensor import open_sensor

shown = [None]


async def main(peer):
    settings = peer.settings
    if peer.name != "board1":
        peer.subscribe("SELECT * FROM config")
    sensor = open_sensor(settings["sensor"])
    while True:
        value = sensor.read()
        result = peer.execute("INSERT INTO readings DOCUMENTS (:r)", r={"t": value, "h": value})
        number = result.mutated[0][1]
        print("ack", number, "op=%d" % number, "value=%s" % value)
        if peer.name != "board1":
            found = [(row["_id"], row["every"]) for row in peer.execute("SELECT * FROM config")]
            if shown != found:
                print("config", *(found[0] if found else ("nothing",)))
            shown[:] = found
        await peer.sleep()
        if peer.sleeper:
            return
"""
INTERVAL_MS = 5000
SLEEPER = {"role": "leaf", "sleep_ms": 5000, "window_ms": 800}


def part(scene: Line) -> None:
    """Leave the gateway and the other boards in the first board's range alone, and it in theirs."""
    air = scene.scene.bench.air
    assert air is not None
    behind = [board.address for board in scene.boards[1:]]
    for at, address in enumerate(behind):
        air.block(DEFAULT_ADDRESS, address)
        for other in behind[at + 1 :]:
            air.block(address, other)


def test_what_becomes_of_a_document_reaches_the_far_board_and_a_sleeping_one(tmp_path: Path) -> None:
    with line(
        tmp_path,
        3,
        app=APP,
        settings=lambda at: SLEEPER if at == 2 else {},
        together=True,
        interval_ms=INTERVAL_MS,
        seal_s=8,
    ) as scene:
        part(scene)
        relay, far, sleeper = scene.ledgers

        def said(text: str) -> bool:
            lines = [[line.text for line in ledger.board.console] for ledger in (far, sleeper)]
            return all([line for line in told if line.startswith("config")][-1:] == [text] for told in lines)

        scene.until(lambda: scene.recorded(2), "each has recorded twice", 40)
        execute(scene.scene.url, "INSERT INTO config DOCUMENTS ({'_id': 'north', 'every': 60})", {})
        scene.until(lambda: said("config north 60"), "both have the document", 90)
        # A later word about the same document replaces the earlier one, and the last one takes it away.
        execute(scene.scene.url, "UPDATE config SET every = 7 WHERE _id = 'north'", {})
        scene.until(lambda: said("config north 7"), "both have what became of it", 90)
        execute(scene.scene.url, "DELETE FROM config WHERE _id = 'north'", {})
        scene.until(lambda: said("config nothing"), "both know that it is gone", 90)
        scene.read()
        assert sleeper.board.sleeps >= 2
        assert len(sleeper.boots) == 1, "a wake is no boot"
        assert not any(ledger.errors for ledger in scene.ledgers), scene.report()
        assert not [line for line in relay.board.console if line.text.startswith("config")]
