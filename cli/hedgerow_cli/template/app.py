"""What the board records. The firmware opens the peer, syncs in the background, and runs main(peer)."""

import asyncio

from hedgerow_device.sensor import open_sensor


async def main(peer):
    """Measure every ten seconds for ever."""
    sensor = open_sensor(peer.settings["sensor"])
    while True:
        reading = {"board": peer.name, "celsius": sensor.read()}
        peer.execute("INSERT INTO readings DOCUMENTS (:r)", r=reading)
        print("recorded", reading["celsius"])
        await asyncio.sleep(10)
