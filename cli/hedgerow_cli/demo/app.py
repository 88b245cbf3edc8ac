"""What the demo's boards run: they record what the sensor says, numbered so that a missing reading shows."""

from hedgerow_device.counting import Counting
from hedgerow_device.sensor import open_sensor


async def main(peer):
    """Measure until there are as many readings as are wanted."""
    settings = peer.settings
    sensor = open_sensor(settings["sensor"])
    readings = Counting(peer, "readings")
    while readings.count < settings["readings"]:
        value = sensor.read()
        reading = {"board": peer.name, "n": readings.count + 1, settings["field"]: value}
        result = peer.execute("INSERT INTO readings DOCUMENTS (:r)", r=reading)
        # It is durable now. The demo keeps its account of the readings from these lines.
        print("ack", reading["n"], "op=%d" % result.mutated[0][1], "value=%s" % value)
        # For the interval; a board that sleeps powers down, and its next wake begins main() anew.
        await peer.sleep()
