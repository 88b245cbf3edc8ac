"""What the tests of the command share: running it to its end, and starting and stopping the long ones."""

import contextlib
import json
import logging
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from hedgerow_cli.main import app
from hedgerow_cli.output import ask_for_json

COMMAND = [sys.executable, "-m", "hedgerow_cli"]
SECONDS = 60


def hedgerow(
    *arguments: str,
    status: int | None = 0,
    cwd: Path | None = None,
    typed: str | None = None,
    **environment: str,
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end, in this process; `status` is its exit status, None for any."""
    command = [*COMMAND, *arguments]
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        with contextlib.chdir(cwd or Path.cwd()):
            environment = {"COLUMNS": "120", **environment}
            result = CliRunner().invoke(app, arguments, input=typed, env=environment, prog_name="hedgerow")
    finally:
        ask_for_json(False)
        root.handlers[:] = handlers
        root.setLevel(level)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert status is None or result.exit_code == status, result.stdout + result.stderr
    return subprocess.CompletedProcess(command, result.exit_code, result.stdout, result.stderr)


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
