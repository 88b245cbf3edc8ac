"""What the tests of the command share: running it as a process, and starting and stopping the long ones."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-m", "hedgerow_cli"]
SECONDS = 60


def hedgerow(
    *arguments: str, status: int | None = 0, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end; `status` is the exit status that it must have, None for any."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "120", **environment},
        check=False,
    )
    assert status is None or done.returncode == status, done.stdout + done.stderr
    return done


@contextlib.contextmanager
def running(*arguments: str, log: Path, command: Sequence[str] = COMMAND) -> Iterator[subprocess.Popen[str]]:
    """A command that runs until it is stopped; its errors go to `log`. It is dead when the block is left."""
    with log.open("w") as errors:
        process = subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def first_json(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The first line of a process's output, which is JSON."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, "it ended without a word"
    value: dict[str, Any] = json.loads(line)
    return value


def interrupt(process: subprocess.Popen[str]) -> int:
    """Ctrl-C; returns the exit status."""
    process.send_signal(signal.SIGINT)
    return process.wait(SECONDS)


def children(pid: int) -> set[int]:
    """Processes below one, as far as Linux tells."""
    found: set[int] = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid:
                child = int(stat.parent.name)
                found |= {child} | children(child)
    return found


def gone(pids: set[int], seconds: float = 10.0) -> bool:
    """Whether all these processes end in time; one that only waits to be reaped has ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not any(_alive(pid) for pid in pids):
            return True
        time.sleep(0.05)
    return False


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
