"""An application with aioble services of its own, on a board whose firmware syncs beside it."""

import asyncio
import os
from pathlib import Path

import pytest
from bleak import BleakClient, BleakScanner
from line_kit import line

from hedgerow.sync import gatt
from hedgerow_boards.air.backend import backends

HOME = Path(os.environ.get("HEDGEROW_MICROPYTHON") or Path.home() / ".micropython")
AIOBLE = {"aioble": HOME / "lib" / "aioble", "stand-in": Path(__file__).parent / "standin" / "aioble"}
PROFILES = {"aioble": "esp32s3-psram", "stand-in": "esp32c3"}
PHONE = "e0:00:00:00:00:77"
SERVICE = "0000181a-0000-1000-8000-00805f9b34fb"
VALUE = "00002a6e-0000-1000-8000-00805f9b34fb"
BOX = "0000aa01-0000-1000-8000-00805f9b34fb"

APP = """
import aioble
import asyncio
import bluetooth

SERVICE = bluetooth.UUID(0x181A)
service = aioble.Service(SERVICE)
value = aioble.Characteristic(service, bluetooth.UUID(0x2A6E), read=True, notify=True)
box = aioble.BufferedCharacteristic(service, bluetooth.UUID(0xAA01), write=True, max_len=100)


async def post():
    while True:
        await box.written()
        words = box.read()
        print("app got", words)
        value.write(b"echo of " + words, send_update=True)


async def greet():
    while True:
        connection = await aioble.advertise(100000, name="mine", services=[SERVICE])
        print("app met somebody")
        await connection.disconnected()
        print("app parted")


async def main(peer):
    aioble.register_services(service)
    value.write(b"nothing yet")
    asyncio.create_task(post())
    asyncio.create_task(greet())
    number = 0
    while True:
        number += 1
        result = peer.execute("INSERT INTO readings DOCUMENTS (:r)", r={"t": number, "h": 1})
        print("ack", number, "op=%d" % result.mutated[0][1], "value=%d" % number)
        await asyncio.sleep_ms(2000)
"""


async def talk(path: str, address: str) -> tuple[bytes, bytes, list[str], bytes]:
    """What a phone would do: find it by name, read, write, be notified; and disturb our own service."""
    scanner, backend = backends(path, PHONE)
    told = asyncio.Event()
    told_ours = asyncio.Event()
    heard = bytearray()
    ours = bytearray()

    def notified(_: object, data: bytearray) -> None:
        heard.extend(data)
        told.set()

    def notified_ours(_: object, data: bytearray) -> None:
        ours.extend(data)
        if b"RECORD_LENGTH" in ours:
            told_ours.set()

    device = await BleakScanner.find_device_by_name("mine", timeout=20, backend=scanner)
    assert device
    assert device.address.lower() == address
    async with asyncio.timeout(30), BleakClient(device, backend=backend) as client:
        services = [service.uuid for service in client.services]
        first = bytes(await client.read_gatt_char(VALUE))
        await client.start_notify(VALUE, notified)
        await client.write_gatt_char(BOX, b"a word from afar, longer than twenty", response=True)
        await told.wait()
        await client.start_notify(gatt.TX, notified_ours)
        await client.write_gatt_char(gatt.RX, bytes(100), response=False)
        await told_ours.wait()
    return first, bytes(heard), services, bytes(ours)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["stand-in", "aioble"])
def test_the_application_serves_and_the_firmware_syncs(tmp_path: Path, kind: str) -> None:
    source = AIOBLE[kind]
    if not source.is_dir():
        pytest.skip(f"no aioble at {source} (README, Programs of others)")
    # Beside all of aioble a board without PSRAM has no room for a session.
    with line(tmp_path, 1, app=APP, seal_s=4, profile=PROFILES[kind]) as running:
        (board,) = running.boards
        board.mpremote("mkdir", ":/lib", "+", "cp", "-r", str(source), ":/lib/")
        board.reset()
        (ledger,) = running.ledgers

        def arrived(number: int) -> bool:
            running.read()
            return bool(ledger.author) and running.held(ledger) >= number

        running.until(lambda: arrived(3), "three readings at the Big Peer")
        air = running.scene.bench.air
        assert air is not None
        first, heard, services, ours = asyncio.run(talk(air.path, board.address))
        assert first == b"nothing yet"
        assert heard == b"echo of a word from afar, longer than twenty"
        assert SERVICE in services
        assert gatt.SERVICE in services
        assert b"RECORD_LENGTH" in ours
        board.wait_for("app got b'a word from afar, longer than twenty'", 5)
        board.wait_for("app met somebody", 5)
        board.wait_for("app parted", 10)
        since = len(ledger.acknowledged)
        running.until(lambda: arrived(since + 3), "what was recorded since")
        said = {
            frame["data"][:8] for frame in air.frames if frame["from"] == board.address and "data" in frame
        }
        # Both are on the air in turn: ours, and the name of the application.
        assert "020106" in {text[:6] for text in said}
        named = [
            frame
            for frame in air.frames
            if frame["kind"] == "adv" and b"mine".hex() in frame["data"] and frame["from"] == board.address
        ]
        assert len(named) > 5
        texts = [line.text for line in board.console]
        # Before the reset there was no aioble.
        boots = [at for at, text in enumerate(texts) if text.startswith("boot ")]
        texts = texts[boots[-1] :]
        assert not [text for text in texts if "Unhandled" in text or "Traceback" in text], texts
        errors = [text for text in texts if text.startswith("error ")]
        assert [text.split()[1] for text in errors] == ["RECORD_LENGTH"], errors
