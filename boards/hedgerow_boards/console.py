"""What a board printed while nobody had its serial port open."""

import threading
import time
from dataclasses import dataclass

from hedgerow.errors import HedgerowError
from hedgerow_boards.limits import CONSOLE_LINE_BYTES, CONSOLE_LINES

_PROMPTS = (">>> ", "... ", "=== ")
#: How many of the newest lines the notes of a time-out, and the report of a failed test, have.
SHOWN = 60


@dataclass(frozen=True)
class ConsoleLine:
    """A line without its end; `host_time` in seconds since 1970 is when its first bytes came."""

    host_time: float
    text: str


class Console:
    """Lines in order, the newest CONSOLE_LINES of them; `dropped` older ones were forgotten."""

    def __init__(self) -> None:
        self._lines: list[ConsoleLine] = []
        self._partial = b""
        self._partial_since = 0.0
        self._changed = threading.Condition()
        self.dropped = 0

    def feed(self, data: bytes) -> None:
        """Add output of the board."""
        with self._changed:
            if not self._partial:
                self._partial_since = time.time()
            *lines, self._partial = (self._partial + data).split(b"\n")
            while len(self._partial) > CONSOLE_LINE_BYTES:
                lines.append(self._partial[:CONSOLE_LINE_BYTES])
                self._partial = self._partial[CONSOLE_LINE_BYTES:]
            for line in lines:
                self._lines.append(ConsoleLine(self._partial_since, _text(line)))
                self._partial_since = time.time()
            excess = len(self._lines) - CONSOLE_LINES
            if excess > 0:
                del self._lines[:excess]
                self.dropped += excess
            self._changed.notify_all()

    def end_line(self) -> None:
        """What follows begins a line, as after a reset."""
        if self._partial:
            self.feed(b"\n")

    @property
    def lines(self) -> list[ConsoleLine]:
        with self._changed:
            return list(self._lines)

    def since(self, first: int) -> tuple[list[ConsoleLine], int]:
        """Return the whole lines from the `first`-th ever printed on, and the `first` of the next call.

        A line that has begun and not ended comes with the next call.
        """
        with self._changed:
            return self._lines[max(0, first - self.dropped) :], self.dropped + len(self._lines)

    @property
    def count(self) -> int:
        """Lines ever begun: a value for `since` that means those that begin from now on."""
        with self._changed:
            return self.dropped + len(self._lines) + bool(self._partial)

    def wait_for(self, text: str, timeout: float, since: int = 0) -> ConsoleLine:
        """The first line, from the `since`-th ever printed on, that contains `text`.

        A REPL's prompt counts as a line. Raises `BOARD_TIMEOUT` after `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                for line in self._lines[max(0, since - self.dropped) :]:
                    if text in line.text:
                        return line
                partial = _text(self._partial)
                begun = self.dropped + len(self._lines) >= since
                if begun and partial.endswith(_PROMPTS) and text in partial:
                    return ConsoleLine(self._partial_since, partial)
                left = deadline - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    raise self._timed_out(text, timeout)

    def _timed_out(self, text: str, timeout: float) -> HedgerowError:
        shown = [line.text for line in self._lines[-SHOWN:]]
        last = shown[-1] if shown else ""
        error = HedgerowError(
            "BOARD_TIMEOUT", f"no {text!r} on the console in {timeout} s; last line {last!r}"
        )
        error.add_note("\n".join(shown))
        return error


def _text(line: bytes) -> str:
    return line.rstrip(b"\r").decode("utf-8", "replace")
