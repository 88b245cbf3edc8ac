"""The application of a board that has none of its own: it measures, records, and prints `ack`."""

import asyncio

from .app import report
from .counting import Counting
from .sensor import open_sensor
from .uptime import now


class Recorder:
    """Records what the sensor says as {"board", "n", field}."""

    def __init__(self, peer: object, settings: dict):
        self._peer = peer
        self._readings = Counting(peer, settings["collection"])
        self._insert = "INSERT INTO `%s` DOCUMENTS (:r)" % settings["collection"]
        self._settings = settings
        self._sensor = None

    @property
    def count(self) -> int:
        """The newest `n`."""
        return self._readings.count

    def sample(self) -> None:
        """Measure and record once; prints the acknowledgement."""
        settings = self._settings
        if self._sensor is None:
            self._sensor = open_sensor(settings["sensor"])
        value = self._sensor.read()
        n = self.count + 1
        reading = {"board": settings["name"], "n": n, settings["field"]: value}
        result = self._peer.execute(self._insert, r=reading)
        print("ack", n, "op=%d" % result.mutated[0][1], "value=%s" % value)

    def wanted(self) -> bool:
        """Say whether there is more to record."""
        return not self._settings["readings"] or self.count < self._settings["readings"]


async def main(peer: object, settings: dict) -> None:
    """Measure until there are as many readings as are wanted: at the configured interval, or once a wake."""
    recorder = Recorder(peer, settings)
    interval_ms = settings["interval_ms"]
    due = now()
    while recorder.wanted():
        try:
            recorder.sample()
        except Exception as error:  # the board goes on recording, whatever it is
            report(error)
        if peer.sleeper:
            await peer.sleep()
        # After a long stall it goes on from now instead of catching up.
        due = max(due + interval_ms, now() - interval_ms)
        await asyncio.sleep_ms(max(0, due - now()))
