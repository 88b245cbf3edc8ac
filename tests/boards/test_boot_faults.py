"""Boots that nobody waits for: what hangs or cannot start is said, and the board boots again."""

import os
import select
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from hedgerow_boards import supervisor
from hedgerow_boards.board import Board
from hedgerow_boards.console import Console
from hedgerow_boards.rack import Rack
from hedgerow_boards.serial_line import SerialLine
from hedgerow_boards.serial_port import SerialPort
from hedgerow_boards.vm_process import VmProcess

_SLEEPS_ONCE = """
import machine
print("cause", machine.reset_cause())
if machine.reset_cause() == machine.HARD_RESET:
    machine.deepsleep(10)
"""


def _sleep_once(
    board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, process: type[VmProcess]
) -> int:
    """Let the board go to deep sleep, whose VMs are such from now on; return its console's count before."""
    (tmp_path / "main.py").write_text(_SLEEPS_ONCE)
    board.mpremote("cp", str(tmp_path / "main.py"), ":main.py")
    monkeypatch.setattr(supervisor, "VmProcess", process)
    monkeypatch.setattr(supervisor, "BOOT_SECONDS", 3.0)
    since = board.console_count
    board.mpremote("resume", "exec", "--no-follow", "import machine; machine.reset()")
    return since


def test_a_wake_up_that_hangs_is_said_and_booted_again(
    board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    starts = []

    class HangsOnce(VmProcess):
        def __init__(self, config: dict[str, Any], heap_bytes: int) -> None:
            super().__init__(config, heap_bytes)
            starts.append(self.pid)
            if len(starts) == 2:
                os.kill(self.pid, signal.SIGSTOP)

    since = _sleep_once(board, tmp_path, monkeypatch, HangsOnce)
    board.wait_for("cause 3", 12, since)
    said = board.wait_for("emulator: no file system after 3 s, the board resets", 1, since).text
    assert f"VM {starts[1]}, not mounted" in said
    assert f"thread {starts[1]} T" in said
    assert board.sleeps == 1
    assert f"{board.name}: no file system" in caplog.text


def test_a_wake_up_that_the_host_cannot_start_is_said_and_tried_again(
    board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = []

    class FailsOnce(VmProcess):
        def __init__(self, config: dict[str, Any], heap_bytes: int) -> None:
            starts.append(1)
            if len(starts) == 2:
                raise BlockingIOError("no processes left")
            super().__init__(config, heap_bytes)

    since = _sleep_once(board, tmp_path, monkeypatch, FailsOnce)
    board.wait_for("no VM could be started, it is tried again: no processes left", 10, since)
    board.wait_for("cause 4", 10, since)
    assert len(starts) == 3
    assert not board.asleep


def test_an_event_of_the_vm_before_does_not_silence_this_one() -> None:
    rack, console = Rack(), Console()
    vm, program = socket.socketpair()
    vm.setblocking(False)

    def start() -> SerialLine:
        line = SerialLine(rack, SerialPort(), console)
        line.connect(vm, os.getpid())
        rack._readers[vm.fileno()](select.POLLIN)  # from the batch in which its descriptor was another's
        return line

    line = rack.call(start)
    program.sendall(b"still heard\n")
    console.wait_for("still heard", 5)
    rack.call(lambda: line.disconnect(forget_input=True))
    rack.call(line.close)
    rack.stop()
    vm.close()
    program.close()
