"""Program of the relay in test_relay_heap: it records as the demo's boards do, and says how much is free."""

import asyncio
import gc
import sys

from hedgerow_device.counting import Counting
from hedgerow_device.sensor import open_sensor


async def look():
    """Print the least that was free, each time when there is less, and when there is a session."""
    least = 1 << 30
    busy = False
    while True:
        gc.collect()
        free = gc.mem_free()
        if free < least:
            least = free
            print("free", free)
        if busy != ("hedgerow.sync.session" in sys.modules):
            busy = not busy
            print("session" if busy else "alone")
        await asyncio.sleep_ms(50)


async def main(peer):
    """Record for ever."""
    tasks = [asyncio.create_task(look())]
    settings = peer.settings
    sensor = open_sensor(settings["sensor"])
    readings = Counting(peer, "readings")
    while tasks:
        reading = {"board": peer.name, "n": readings.count + 1, settings["field"]: sensor.read()}
        peer.execute("INSERT INTO readings DOCUMENTS (:r)", r=reading)
        print("ack", reading["n"])
        await peer.sleep()
