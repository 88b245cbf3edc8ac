"""Recording boards, a gateway and a Big Peer while somebody kills or misleads a part of the path."""

import asyncio
import json
import random
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from bleak import BleakClient, BleakScanner
from system_kit import Field, field
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from hedgerow.sync import gatt
from hedgerow_boards.air.backend import backends

pytestmark = pytest.mark.slow

STRANGER = "e0:00:00:00:00:99"


def test_a_gateway_killed_mid_transfer_loses_and_doubles_nothing(tmp_path: Path) -> None:
    with field(tmp_path, boards=3, readings=120) as scenery:
        for share in (0.2, 0.5):
            wanted = share * 360
            scenery.until(lambda wanted=wanted: scenery.at_big_peer >= wanted, "some have arrived")  # type: ignore[misc]
            packets = scenery.scene.bench.air.counters.gatt_packets  # type: ignore[union-attr]
            scenery.until(lambda packets=packets: _packets(scenery) > packets + 3, "a transfer is under way")  # type: ignore[misc]
            scenery.scene.gateway.kill()
            scenery.scene.restart_gateway()
        scenery.until(scenery.finished, "all have arrived")
        found = scenery.audit()
        assert found.clean, found
        assert found.at_big_peer == 360


def _packets(scenery: Field) -> int:
    assert scenery.scene.bench.air is not None
    return scenery.scene.bench.air.counters.gatt_packets


def test_garbage_is_refused_with_a_code_and_the_peers_go_on(tmp_path: Path) -> None:
    with field(tmp_path, boards=2, readings=100) as scenery:
        scenery.until(lambda: scenery.at_big_peer > 0, "readings arrive")
        rng = random.Random(11)
        garbage = [b"", b"\x00", b"\xff" * 1200, rng.randbytes(64), rng.randbytes(1200)]
        for data in garbage[1:]:
            _talk_to_big_peer(scenery.scene.url, data)
        assert _post(scenery.scene.url, b"\xff garbage", "application/json") == (400, "REQUEST_SYNTAX")
        assert _post(scenery.scene.url, b"{}", "application/json") == (400, "REQUEST_SHAPE")
        assert _post(scenery.scene.url, b"x", "text/plain") == (415, "REQUEST_TYPE")
        assert _post(scenery.scene.url, b'{"statement": "DROP"}', "application/json")[0] == 400
        asyncio.run(_talk_to_board(scenery.scene.bench.air_path, scenery.scene.boards[0].address, garbage[3]))
        scenery.until(scenery.finished, "all have arrived")
        found = scenery.audit()
        assert found.clean, found
        assert any("RECORD_" in line or "HELLO" in line for line in scenery.ledgers[0].errors), (
            scenery.ledgers[0].errors
        )


def _talk_to_big_peer(url: str, data: bytes) -> None:
    """Send garbage as the first message of a session: it must be ended, and the server not."""
    with connect(url.replace("http", "ws") + "/api/hedgerow/v1/sync") as socket:
        socket.send(data)
        with pytest.raises(ConnectionClosed):
            while True:
                socket.recv(timeout=15)


def _post(url: str, body: bytes, content_type: str) -> tuple[int, str]:
    """POST to execute; returns the status and the error's code."""
    asked = urllib.request.Request(f"{url}/api/v5/store/execute", body, {"Content-Type": content_type})
    try:
        with urllib.request.urlopen(asked, timeout=15) as response:
            return response.status, ""
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())["error"]["code"]


async def _talk_to_board(air: str, address: str, data: bytes) -> None:
    """As a stranger with Bluetooth: connect to a board and write garbage to its characteristic."""
    scanner, client = backends(air, STRANGER)
    for _ in range(20):
        device = await BleakScanner.find_device_by_address(address.upper(), timeout=10, backend=scanner)
        assert device is not None
        try:
            async with BleakClient(device, backend=client, timeout=5) as board:
                await board.start_notify(gatt.TX, lambda _, data: None)
                await board.write_gatt_char(gatt.RX, data, response=False)
                await asyncio.sleep(0.5)
                return
        except Exception as error:  # noqa: BLE001 - the gateway has the board just now, or it has ended the session
            last = error
    raise AssertionError(f"the board took no connection: {last!r}")
