"""The main.py of a board that does what it always does, and says when more modules of ours are loaded."""

import asyncio
import gc
import sys

import hedgerow_device.app as app


async def _feed(watchdog: object, peer: object) -> None:
    """In place of the firmware's own task, which does the same without saying anything."""
    known = 0
    while True:
        watchdog.feed()
        gc.collect()
        names = sorted(name for name in sys.modules if name.startswith("hedgerow"))
        if len(names) != known:
            known = len(names)
            # A line of the console is not long.
            for at in range(0, known, 5):
                print("modules", known, *names[at : at + 5])
        await asyncio.sleep_ms(200)


app._feed = _feed
app.main()
