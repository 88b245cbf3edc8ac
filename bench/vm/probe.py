"""The app.py of a board that records as without it, and says when more modules of ours are loaded."""

import asyncio
import sys

from hedgerow_device import recorder


async def say() -> None:
    """Print the modules that are loaded, each time when there are others."""
    known = 0
    while True:
        names = sorted(name for name in sys.modules if name.startswith("hedgerow"))
        if len(names) != known:
            known = len(names)
            # A line of the console is not long.
            for at in range(0, known, 5):
                print("modules", known, *names[at : at + 5])
        await asyncio.sleep_ms(200)


async def main(peer: object) -> None:
    """Record, and say what is loaded, for ever."""
    saying = asyncio.create_task(say())
    await recorder.main(peer, peer.settings)
    await saying
