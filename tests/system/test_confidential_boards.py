"""A confidential collection in a production mesh: its readers show values; who carries them holds none."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from farm_kit import ALLOWED, Farm, running_farm
from test_enrolled_boards import enrol, gateway, install, until

from hedgerow.codec.varint import read_uint
from hedgerow.log import ENTRY_OP
from hedgerow.operation import INSERT, decode_body
from hedgerow_boards.air import Air
from hedgerow_boards.board import Board

from device_rig import errors, open_image  # isort: skip

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1400)]

Boards = Callable[..., list[Board]]
SECRET = "Ada Lovelace"
#: The longest wait: three boards beside other tests are as slow as their share of the machine, and a
#: session for which memory was short comes again after up to a minute.
WAIT_S = 400
#: Everybody may read and write all but the visits, of which there is but one author and one reader.
WRITES: Any = {
    "read": {"queriesByCollection": {"config": ["true"]}},
    "write": {"queriesByCollection": {"visits": ["true"], "config": ["true"]}},
}
CARRIES: Any = {name: {"queriesByCollection": {"config": ["true"]}} for name in ("read", "write")}
WRITER = """
import asyncio
from hedgerow.errors import HedgerowError

async def main(peer):
    n = 0
    while not peer.collection_keys:
        await asyncio.sleep_ms(100)
    while True:
        n += 1
        try:
            peer.execute("INSERT INTO visits DOCUMENTS (:r)", r={"n": n, "who": "Ada Lovelace"})
        except HedgerowError as error:
            # It has written nothing, and has made room.
            assert error.code == "DEVICE_MEMORY"
            n -= 1
            await asyncio.sleep_ms(500)
            continue
        print("wrote", n, "epoch=%d" % peer.collection_keys.newest("visits"))
        # What is more than advertisements bring wants a session.
        await asyncio.sleep_ms(2000 if n > 40 else 20)
"""
READER = """
import asyncio

async def main(peer):
    peer.subscribe("SELECT * FROM visits")
    shown = 0
    while True:
        try:
            rows = (await peer.aexecute("SELECT count(*) AS c, max(n) AS n FROM visits")).rows
            if rows[0]["c"] != shown:
                shown = rows[0]["c"]
                print("shows", shown, rows[0]["n"])
        except Exception as error:
            print("refused", error)
        await asyncio.sleep_ms(1000)
"""


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    with running_farm(tmp_path_factory.mktemp("farm")) as running:
        running.registry.confidential.declare("test", running.app, "visits")
        yield running


def epochs(board: Board) -> list[int]:
    """Return under which epochs the visits in a board's log are encrypted, in their order."""
    log = open_image(board)
    found = []
    for author in log.authors():
        for kind, _, _, body in log.read(author, 0, 0, 1 << 20):
            for change in decode_body(body)[1] if kind == ENTRY_OP else ():
                if change[0] == INSERT and change[2] is None and isinstance(change[3][0], bytes):
                    found.append(read_uint(change[3][0], 0)[0] >> 1)
    return found


def holds(board: Board) -> bool:
    """Say whether a board's log holds the secret in the clear."""
    partition = board.partition("hedgerow")
    return SECRET.encode() in board.read_flash(partition.offset, partition.size)


def test_values_are_their_readers_alone_under_each_epoch(
    boards: Boards, air: Air, farm: Farm, tmp_path: Path
) -> None:
    writer, reader, relay = boards(count=3, air=air.path, profile="esp32c3")
    for board, app in ((writer, WRITER), (reader, READER), (relay, "async def main(peer):\n    pass\n")):
        path = tmp_path / f"app-{board.name}"
        path.mkdir()
        (path / "app.py").write_text(app)
        install(board, path / "app.py")
    for board, rights in ((reader, ALLOWED), (relay, CARRIES), (writer, WRITES)):
        enrol(board, farm, board.name, rights)
    # Its enrolment has brought the key.
    writer.wait_for("wrote 1", WAIT_S)
    data = tmp_path / "gw"
    data.mkdir()
    farm.enrol(data / "identity.json", "gateway", CARRIES)
    with gateway(farm, air, data):
        until(lambda: secrets(farm) >= 3, "read at the Big Peer", WAIT_S)
        reader.wait_for("shows ", WAIT_S)
        reader.power_off()
        since = reader.console_count
        reader.power_on()
        reader.wait_for("shows ", WAIT_S, since)
        (epoch,) = farm.registry.confidential.rotate("test", farm.app, ["visits"]).values()
        writer.power_off()
        since = writer.console_count
        writer.power_on()
        # A session tells it.
        writer.wait_for(f"epoch={epoch}", WAIT_S, since)
        before = secrets(farm)
        until(lambda: secrets(farm) >= before + 3, "more of them", WAIT_S)
    for board in (writer, reader, relay):
        board.power_off()
    written = epochs(writer)
    assert written == sorted(written) and written[0] < written[-1] == epoch
    assert not [board.name for board in (writer, reader, relay) if holds(board)]
    for path in data.glob("gateway.db*"):
        assert SECRET.encode() not in path.read_bytes()
    for board in (writer, reader, relay):
        # A handshake that took too long is nobody's fault (SPEC 5.15.1), and common where the host is slow.
        assert {*errors(board)} <= {"DEVICE_MEMORY", "HANDSHAKE_TIMEOUT"}


def secrets(farm: Farm) -> int:
    rows = farm.rows("SELECT who FROM visits")
    return len([row for row in rows if row["who"] == SECRET])
