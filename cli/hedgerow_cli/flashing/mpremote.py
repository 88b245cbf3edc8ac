"""Runs of the real mpremote against one port."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable

from hedgerow.errors import HedgerowError
from hedgerow_cli.limits import FIRST_WORD_SECONDS, MPREMOTE_SECONDS, RESET_SECONDS

#: What mpremote says when nothing that is MicroPython answers.
_NO_REPL = ("could not enter raw repl", "could not exec command", "timeout waiting for first EOF")


def greet(port: str) -> None:
    """Raises `PORT_UNUSABLE`, or `MICROPYTHON_MISSING` if nothing that is MicroPython answers in time."""
    answer = mpremote(port, "eval", "6 * 7", seconds=FIRST_WORD_SECONDS)
    if answer.strip() != "42":
        raise HedgerowError("MICROPYTHON_MISSING", f"{port}: it said {answer[:40]!r}")


def restart(port: str) -> None:
    """Reset a board, and wait until it is through that: what came to it meanwhile would be lost.

    mpremote leaves it a tenth of a second before; boot loader and MicroPython take about as long again.
    """
    mpremote(port, "resume", "reset")
    time.sleep(RESET_SECONDS)


def mpremote(
    port: str,
    *arguments: str,
    on_line: Callable[[str], None] | None = None,
    seconds: float = MPREMOTE_SECONDS,
) -> str:
    """Run `mpremote connect PORT ...` and return what it printed; `on_line` gets each line as it comes.

    Raises `PORT_UNUSABLE`, `MICROPYTHON_MISSING`, or `MPREMOTE_FAILED` with its last words.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "mpremote", "connect", port, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    watchdog = threading.Timer(seconds, process.kill)
    watchdog.start()
    lines: list[str] = []
    try:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                lines.append(line.rstrip("\r\n"))
                if on_line is not None:
                    on_line(lines[-1])
        status = process.wait()
    finally:
        watchdog.cancel()
        if process.poll() is None:
            process.kill()
            process.wait()
    if status:
        raise _failure(port, lines)
    return "\n".join(lines)


def _failure(port: str, lines: list[str]) -> HedgerowError:
    said = " / ".join(line.strip() for line in lines[-4:] if line.strip()) or "no answer in time"
    if not lines or any(phrase in line for line in lines for phrase in _NO_REPL):
        return HedgerowError("MICROPYTHON_MISSING", f"{port}: {said}")
    if any("failed to access" in line or "no device" in line for line in lines):
        return HedgerowError("PORT_UNUSABLE", f"{port}: {said}")
    return HedgerowError("MPREMOTE_FAILED", f"{port}: {said}")
