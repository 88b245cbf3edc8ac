"""The program of a board: it opens the peer, syncs, feeds the watchdog, and runs the application.

That is /app.py with `async def main(peer)`, or the built-in recorder. Console lines: `boot`, `ack`, `time`,
`receipt`, `storage`, `error` (ARCHITECTURE.md). Ctrl-C ends it in the REPL.
"""

import asyncio
import gc
import os
import sys

import machine

from hedgerow.errors import HedgerowError

from .modules import mend, unload
from .uptime import now

# The watchdog of the chip cannot be stopped; this is the longest time that its timer takes.
_REPL_WATCHDOG_MS = 3600000
_FEED_MS = 1000
# How often it looks how full the log is: once a minute, or as often as it tells its health.
_LOOK_EVERY = 60
# The first time that it has refused somebody it looks sooner.
_EARLY = 20
_LOOKED = (
    "hedgerow_device.watch hedgerow_device.health hedgerow.health hedgerow.storage "
    "hedgerow_device.flashstorage"
)
_PAUSE_MS = 1000
_LONGEST_PAUSE_MS = 60000
_APPLICATION = "app"


def report(error: Exception) -> None:
    """Print an error line: a code, and the rest for people."""
    mend()
    if isinstance(error, HedgerowError):
        print("error", error.code, error.detail)
    elif isinstance(error, MemoryError):
        print("error", "DEVICE_MEMORY", error)
    else:
        print("error", "DEVICE_FAULT", repr(error))
        sys.print_exception(error)


class Watchdog:
    """The chip's watchdog, which main.py has armed and nothing stops: an hour where `timeout_ms` is 0."""

    def __init__(self, timeout_ms: int):
        self._wdt = machine.WDT(timeout=timeout_ms or _REPL_WATCHDOG_MS)

    def feed(self) -> None:
        """Say that the program is alive."""
        self._wdt.feed()


async def _program(peer: object, settings: dict) -> None:
    """Run the application; a board that sleeps is done with its wake when that ends."""
    await _application(peer, settings)
    if peer.sleeper:
        await peer.sleep()


async def _application(peer: object, settings: dict) -> None:
    """Run /app.py's `main(peer)`, again after a pause when it fails; the built-in recorder without one."""
    if not _has_application():
        from . import recorder

        await recorder.main(peer, settings)
        return
    pause_ms = _PAUSE_MS
    while True:
        started = now()
        try:
            await __import__(_APPLICATION).main(peer)
            return
        except Exception as error:  # the board goes on syncing, whatever it is
            # What failed begins anew, with what is in the file then; its memory may be all there was.
            sys.modules.pop(_APPLICATION, None)
            report(HedgerowError("APP_FAILED", _words(error)))
            sys.print_exception(error)
        if peer.sleeper:
            # The next wake begins it anew.
            return
        if now() - started > _LONGEST_PAUSE_MS:
            pause_ms = _PAUSE_MS
        await asyncio.sleep_ms(pause_ms)
        pause_ms = min(2 * pause_ms, _LONGEST_PAUSE_MS)


def _has_application() -> bool:
    for name in ("/%s.py" % _APPLICATION, "/%s.mpy" % _APPLICATION):
        try:
            os.stat(name)
            return True
        except OSError:
            pass
    return False


def _words(error: Exception) -> str:
    if isinstance(error, HedgerowError):
        return "%s %s" % (error.code, error.detail)
    return repr(error)


async def _feed(watchdog: Watchdog, peer: object, node: object) -> None:
    seen = [False, {}]
    turn = 0
    told = None
    every = min(_LOOK_EVERY, peer.settings["health_s"] or _LOOK_EVERY)
    peer.heap_low = gc.mem_free()
    while True:
        watchdog.feed()
        gc.collect()
        peer.heap_low = min(peer.heap_low, gc.mem_free())
        try:
            due = turn == 0 or (turn % _EARLY == 0 and peer.suspects and not peer.accused)
            turn = (turn + 1) % every
            if due:
                try:
                    told = _look(peer, seen, told)
                finally:
                    # Where memory ran out, too: the next look is as far away as ever.
                    unload(_LOOKED)
            _tend(peer)
            # What waits for its time comes without an event.
            _tell(peer)
            if not node or node.idle:
                peer.rest()
        except MemoryError as error:
            report(error)
        await asyncio.sleep_ms(_FEED_MS)


def _look(peer: object, seen: list, told: int | None) -> int:
    """Say how full the log is, and tell one's health; return when that was last tried. MemoryError."""
    try:
        from .watch import look, tell_health

        look(peer, seen)
        return tell_health(peer, told, report)
    except MemoryError:
        raise
    except Exception as error:  # the board goes on recording, whatever it is
        report(error)
        return peer.now()


def _tend(peer: object) -> None:
    """Say what of the log is damaged: what is lost with it is replaced, or comes again."""
    try:
        places = peer.tend(now())
        if places:
            report(HedgerowError("LOG_DAMAGED", "in %d places" % places))
    except Exception as error:
        report(error)


def _open_node(peer: object, settings: dict) -> object:
    """Return the board's node in the mesh, None where the radio did not start, False where there is none.

    What is recorded waits then.
    """
    try:
        from .opening import open_node

        return open_node(peer, settings, now(), report)
    except (ImportError, OSError) as error:
        report(HedgerowError("BLE_UNAVAILABLE", str(error)))
        return None if isinstance(error, OSError) else False
    finally:
        unload("hedgerow_device.opening")


def _tell(peer: object) -> None:
    """Let observers hear of what has changed; what they do wrong is the application's."""
    try:
        peer.dispatch()
    except Exception as error:
        report(HedgerowError("APP_FAILED", _words(error)))


async def _sync_later(peer: object, settings: dict) -> None:
    """Start the radio that did not start, ever more seldom, and sync then."""
    pause_ms = _PAUSE_MS
    node = None
    while node is None:
        await asyncio.sleep_ms(pause_ms)
        pause_ms = min(2 * pause_ms, _LONGEST_PAUSE_MS)
        node = _open_node(peer, settings)
    if node:
        await _sync(node, peer)


async def _sync(node: object, peer: object) -> None:
    committed: list = []
    peer.add_listener(lambda: committed or committed.append(True))
    ticking = asyncio.create_task(node.tick())
    while not ticking.done():
        try:
            await node.woken()
            node.step(now())
            if committed:
                committed.clear()
                _tell(peer)
            if node.idle:
                peer.log.prepare()
        except Exception as error:  # sessions are made again, recordings are not
            _recover(node, error)


def _recover(node: object, error: Exception) -> None:
    """Give memory back, and say what happened."""
    mend()
    try:
        node.drop(now(), isinstance(error, MemoryError))
        report(error)
    except (MemoryError, OSError):
        # Of memory, or what the radio refuses: the next turn finds what has been given up already.
        pass


async def _run(settings: dict, watchdog: Watchdog) -> None:
    from . import open_peer

    peer = open_peer(config=settings)
    began = "wake" if peer.sleeper and peer.sleeper.woken else "boot"
    print(began, peer.epoch, "author=" + "".join(["%02x" % byte for byte in peer.author]))

    def on_receipt(author: bytes, number: int) -> None:
        if author == peer.author:
            print("receipt", "op=%d" % number)

    peer.on_receipt = on_receipt
    peer.on_time = lambda source, error_ms: print("time", "source=%d" % source, "error_ms=%d" % error_ms)
    node = _open_node(peer, settings)
    tasks = [_feed(watchdog, peer, node), _program(peer, settings)]
    if node:
        tasks.append(_sync(node, peer))
    elif node is None and not peer.sleeper:
        tasks.append(_sync_later(peer, settings))
    if peer.sleeper:
        tasks.append(peer.sleeper.run(peer, node, now, report))
    await asyncio.gather(*tasks)


def _settings() -> dict:
    """Read the configuration, and give back the memory of what reads it."""
    from .config import load

    settings = load()
    unload("hedgerow_device.config")
    return settings


def _be_a_radio(watchdog: Watchdog) -> None:
    """Pass advertisements on for a gateway; a gateway that finds the REPL here starts the board anew."""
    try:
        from .usb_radio import run

        run(watchdog)
    except OSError as error:
        report(HedgerowError("BLE_UNAVAILABLE", str(error)))
    except ImportError:
        report(HedgerowError("CONFIG_INVALID", "role: radio, but this was not flashed as one"))


def main() -> None:
    """Run until Ctrl-C. What cannot be repaired by going on is printed, and the REPL is left."""
    try:
        settings = _settings()
        watchdog = Watchdog(settings["watchdog_ms"])
        if settings["role"] == "radio":
            _be_a_radio(watchdog)
        else:
            asyncio.run(_run(settings, watchdog))
    except KeyboardInterrupt:
        pass
    except HedgerowError as error:
        report(error)
    except MemoryError as error:
        # Nobody was left who could give any back.
        report(error)
        machine.reset()
    finally:
        Watchdog(0)  # A person at the REPL has time.
        _quiet()


def _quiet() -> None:
    """Leave the radio silent and asyncio new."""
    asyncio.new_event_loop()
    try:
        from .ble import quiet

        quiet()
    except (ImportError, OSError):
        pass
