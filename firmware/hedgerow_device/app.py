"""The sensor program of a board: measure, record, advertise, sync.

Console lines: `boot`, `ack`, `time`, `receipt`, `error` (ARCHITECTURE.md). Ctrl-C ends it in the REPL.
"""

import asyncio
import gc
import sys

from hedgerow.errors import HedgerowError
from hedgerow.log import STATE_CONFIG

from .uptime import now

# The watchdog of the chip cannot be stopped; this is the longest time that its timer takes.
_REPL_WATCHDOG_MS = 3600000
_FEED_MS = 1000
_COUNT = b"n"


def report(error: Exception) -> None:
    """Print an error line: a code, and the rest for people."""
    if isinstance(error, HedgerowError):
        print("error", error.code, error.detail)
    elif isinstance(error, MemoryError):
        print("error", "DEVICE_MEMORY", error)
    else:
        print("error", "DEVICE_FAULT", repr(error))
        sys.print_exception(error)


class Watchdog:
    """The chip's watchdog, if `timeout_ms` is not 0."""

    def __init__(self, timeout_ms: int):
        self._wdt = None
        if timeout_ms:
            from machine import WDT

            self._wdt = WDT(timeout=timeout_ms)

    def feed(self) -> None:
        """Say that the program is alive."""
        if self._wdt:
            self._wdt.feed()

    def release(self) -> None:
        """Give a person at the REPL time."""
        if self._wdt:
            from machine import WDT

            WDT(timeout=_REPL_WATCHDOG_MS)


class Recorder:
    """Records what the sensor says as {"board", "n", field}; `n` counts on over boots, without holes."""

    def __init__(self, peer: object, settings: dict):
        self._peer = peer
        self._settings = settings
        self._sensor = None
        self.count = _last_count(peer, settings["collection"])

    def sample(self) -> None:
        """Measure and record once; prints the acknowledgement."""
        from .sensor import open_sensor

        if self._sensor is None:
            self._sensor = open_sensor(self._settings["sensor"])
        value = self._sensor.read()
        document = {"board": self._settings["name"], "n": self.count + 1, self._settings["field"]: value}
        peer = self._peer
        held = peer.log.held(peer.author)
        try:
            number = peer.insert(self._settings["collection"], document, now())
        finally:
            # If it became durable before an error it counts: the next one must not have its `n`.
            self.count += peer.log.held(peer.author) - held
        print("ack", self.count, "op=%d" % number, "value=%s" % value)

    def keep_count(self) -> None:
        """Make the count durable apart from the readings, which may leave the ring once receipted."""
        self._peer.log.put(STATE_CONFIG, _COUNT, self.count.to_bytes(4, "big"))

    def wanted(self) -> bool:
        """Say whether there is more to record."""
        return not self._settings["readings"] or self.count < self._settings["readings"]


def _last_count(peer: object, collection: str) -> int:
    """Return the greatest `n` so far: that of the newest reading in the log, or as kept apart."""
    from hedgerow.operation import INSERT, decode_body

    log = peer.log
    kept = int.from_bytes(log.get(STATE_CONFIG, _COUNT) or b"", "big")
    high = log.held(peer.author)
    floor = peer.receipted(peer.author)
    while high > floor:
        low = max(floor, high - 16)
        found = 0
        for _, _, last, body in log.read(peer.author, low, high, 4096):
            if last > high:
                break
            change = decode_body(body)[1][0]
            schema = peer.schemas.get(change[1]) if change[0] == INSERT else None
            if schema and schema.collection == collection:
                found = schema.unpack(change[3]).get("n", 0)
        if found:
            return max(found, kept)
        high = low
    return kept


async def _record(recorder: Recorder, interval_ms: int) -> None:
    due = now()
    while recorder.wanted():
        try:
            recorder.sample()
        except Exception as error:  # the board goes on recording, whatever it is
            report(error)
        # After a long stall it goes on from now instead of catching up.
        due = max(due + interval_ms, now() - interval_ms)
        await asyncio.sleep_ms(max(0, due - now()))


async def _feed(watchdog: Watchdog) -> None:
    while True:
        watchdog.feed()
        gc.collect()
        await asyncio.sleep_ms(_FEED_MS)


def _open_node(peer: object) -> object:
    """Return the board's node in the mesh, None without a radio: what is recorded waits then."""
    try:
        from .node import Node

        return Node(peer, report)
    except (ImportError, OSError) as error:
        report(HedgerowError("BLE_UNAVAILABLE", str(error)))
        return None


async def _sync(node: object, peer: object, recorder: Recorder) -> None:
    kept = peer.receipted(peer.author)
    ticking = asyncio.create_task(node.tick())
    while not ticking.done():
        await node.woken()
        try:
            node.step(now())
            if peer.receipted(peer.author) > kept:
                kept = peer.receipted(peer.author)
                recorder.keep_count()
            if node.idle:
                peer.log.prepare()
        except Exception as error:  # sessions are made again, recordings are not
            node.drop(now())
            gc.collect()
            report(error)


async def _run(settings: dict, watchdog: Watchdog) -> None:
    from . import open_peer

    peer = open_peer(settings)
    print("boot", peer.epoch, "author=" + "".join(["%02x" % byte for byte in peer.author]))
    recorder = Recorder(peer, settings)

    def on_receipt(author: bytes, number: int) -> None:
        if author == peer.author:
            print("receipt", "op=%d" % number)

    peer.on_receipt = on_receipt
    peer.on_time = lambda source, error_ms: print("time", "source=%d" % source, "error_ms=%d" % error_ms)
    node = _open_node(peer)
    tasks = [_feed(watchdog), _record(recorder, settings["interval_ms"])]
    if node:
        tasks.append(_sync(node, peer, recorder))
    await asyncio.gather(*tasks)


def _settings() -> dict:
    """Read the configuration, and give back the memory of what reads it."""
    import hedgerow_device.config

    settings = hedgerow_device.config.load()
    del hedgerow_device.config
    del sys.modules["hedgerow_device.config"]
    return settings


def main() -> None:
    """Run until Ctrl-C. What cannot be repaired by going on is printed, and the REPL is left."""
    watchdog = None
    try:
        settings = _settings()
        watchdog = Watchdog(settings["watchdog_ms"])
        asyncio.run(_run(settings, watchdog))
    except KeyboardInterrupt:
        pass
    except HedgerowError as error:
        report(error)
    finally:
        if watchdog:
            watchdog.release()
        _quiet()


def _quiet() -> None:
    """Leave the radio silent and asyncio new."""
    asyncio.new_event_loop()
    try:
        from .radio import quiet

        quiet()
    except (ImportError, OSError):
        pass
