"""The sink that is a file, for people and for tests."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from .events import Event, structured
from .sink import Later


class FileSink:
    """Appends a line of JSON for each event, forced to the disk before it counts as taken."""

    def __init__(self, path: Path, *, structured_mode: bool) -> None:
        self._path = path
        self._structured = structured_mode

    async def deliver(self, events: Sequence[Event]) -> Sequence[str]:
        """See `Sink`."""
        lines = [structured(event) if self._structured else event.value for event in events]
        try:
            await asyncio.to_thread(self._append, "".join([f"{line}\n" for line in lines]).encode())
        except OSError as error:
            raise Later(f"{self._path.name}: {error.strerror}") from None
        return [""] * len(events)

    def _append(self, data: bytes) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a+b") as file:
            # What a crash left of a line is no line.
            end = file.seek(0, os.SEEK_END)
            if end:
                file.seek(end - 1)
                if file.read(1) != b"\n":
                    file.write(b"\n")
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    async def close(self) -> None:
        """See `Sink`."""
