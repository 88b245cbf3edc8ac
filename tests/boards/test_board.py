"""An emulated board as a whole: boot, console, heap, serial port, and nothing left behind."""

import importlib.util
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mpremote_link import session

from hedgerow.errors import HedgerowError
from hedgerow_boards import vm_process
from hedgerow_boards.board import Board
from hedgerow_boards.profiles import PROFILES
from hedgerow_boards.vm_process import NAMES_TABLE_BYTES, shim_heap_bytes


def install(board: Board, tmp_path: Path, **scripts: str) -> None:
    for name, text in scripts.items():
        (tmp_path / f"{name}.py").write_text(text)
        board.mpremote("cp", str(tmp_path / f"{name}.py"), ":")


def test_new_board_has_a_file_system_with_boot_py(board: Board) -> None:
    assert board.mpremote("ls").stdout.split()[2:] == ["75", "boot.py"]
    board.wait_for("MicroPython", 5)


def test_main_runs_after_boot_in_the_same_namespace(board: Board, tmp_path: Path) -> None:
    boot = "from machine import reset_cause\nx = 41\n"
    install(board, tmp_path, boot=boot, main="x += 1\nprint('x is', x)\n")
    board.reset()
    assert board.wait_for("x is", 5).text == "x is 42"
    with session(board.port, soft_reset=False) as transport:
        assert transport.eval("(x, __name__)") == (42, "__main__")
        names = transport.eval("sorted(globals())")
    assert set(names) <= {"__name__", "__file__", "reset_cause", "x"}


@pytest.mark.parametrize(("boot", "runs"), [("pass", True), ("1 / 0", False)])
def test_main_needs_boot_to_end_well(board: Board, tmp_path: Path, boot: str, runs: bool) -> None:
    install(board, tmp_path, boot=f"print('boot ran')\n{boot}\n", main="print('main ran')\n")
    since = board.console_count
    board.reset()
    board.wait_for(">>> ", 5, since)
    printed = [line.text for line in board.console[since:]]
    assert "boot ran" in printed
    assert ("main ran" in printed) is runs
    assert any("ZeroDivisionError" in line for line in printed) is not runs


def test_mpremote_stops_a_running_main(board: Board, tmp_path: Path) -> None:
    install(board, tmp_path, main="import time\nprint('busy')\nwhile True:\n    time.sleep_ms(1)\n")
    board.reset()
    board.wait_for("busy", 5)
    assert board.mpremote("exec", "print('mine')").stdout == "mine\n"
    board.reset()
    board.wait_for("busy", 5, board.console_count - 1)


def test_asyncio_sees_one_clock(board: Board) -> None:
    program = """
import asyncio, time
async def tick(n, out):
    for i in range(3):
        await asyncio.sleep_ms(10 * n)
        out.append(n)
async def main():
    out = []
    begun = time.ticks_ms()
    await asyncio.gather(tick(1, out), tick(3, out))
    await asyncio.wait_for(tick(1, []), 1)
    print(sorted(out), 90 <= time.ticks_diff(time.ticks_ms(), begun) < 2000)
asyncio.run(main())
"""
    assert board.mpremote("exec", program).stdout == "[1, 1, 1, 3, 3, 3] True\n"


def test_ticks_take_no_memory(board: Board) -> None:
    """As on a chip: an interrupt handler that asked for them with a full heap was dropped for good."""
    program = """
import micropython, time
def look():
    first = time.ticks_ms()
    return time.ticks_diff(time.ticks_ms(), first) < 1000 and time.ticks_us() > 0
look()
micropython.heap_lock()
fine = look()
micropython.heap_unlock()
print(fine)
"""
    assert board.mpremote("exec", program).stdout == "True\n"


def test_clock_starts_in_2000_and_drifts(boards: Callable[..., list[Board]]) -> None:
    fast, true = boards(2, clock_drift_ppm=100_000.0)[0], boards(1)[0]
    look = "import time; print(time.time(), time.gmtime(0)[:6], time.ticks_add(2**30 - 1, 2))"
    seconds, rest = true.mpremote("exec", look).stdout.split(" ", 1)
    assert int(seconds) < 30
    assert rest == "(2000, 1, 1, 0, 0, 0) 1\n"
    assert true.mpremote("exec", "import time; print(time.ticks_diff(3, 2**30 - 2))").stdout == "5\n"
    lapse = """
import time
ticks, unix = time.ticks_us(), time._monotonic_us()
time.sleep_ms(100)
print((time.ticks_diff(time.ticks_us(), ticks)) / (time._monotonic_us() - unix))
"""
    assert float(fast.mpremote("exec", lapse).stdout) == pytest.approx(1.1, abs=0.01)
    assert float(true.mpremote("exec", lapse).stdout) == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("name", PROFILES)
def test_heap_is_the_profiles(boards: Callable[..., list[Board]], name: str) -> None:
    (board,) = boards(profile=name)
    fill = """
import gc
gc.collect()
whole = gc.mem_free() + gc.mem_alloc()
free = gc.mem_free()
def take():
    kept = None
    count = 0
    try:
        while True:
            kept = (kept, bytearray(1000))
            count += 1
    except MemoryError:
        return count
print(whole, free, take())
"""
    whole, free, taken = map(int, board.mpremote("exec", fill).stdout.split())
    limit = 2 * board.profile.heap_kib * 1024
    assert limit * 0.93 < whole - shim_heap_bytes(False) <= limit
    # A program without names of its own does not fill the table for which there is room besides.
    assert limit * 0.8 < free - NAMES_TABLE_BYTES <= limit
    assert free // 1024 * 0.75 < taken <= free // 1024
    print(f"{name}: shims {shim_heap_bytes(False)} B, in use after boot {board.heap_at_boot} B of {whole} B")


def test_output_without_a_reader_does_not_stop_a_board(board: Board) -> None:
    program = "import machine\nfor i in range(4000):\n print('x' * 100)\nmachine.Pin(2).on()\n"
    with session(board.port) as transport:
        transport.exec_raw_no_follow(program.encode())
        # The port stays open and nobody reads: 400 kB must not block the program.
        deadline = time.monotonic() + 20
        while not board.pin(2):
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert board.mpremote("resume", "exec", "print('alive')").stdout.endswith("alive\n")


def test_pins_and_adc_reach_the_host(board: Board) -> None:
    board.set_pin(4, True)
    board.set_analog(34, 40000)
    look = "from machine import ADC, Pin\nprint(Pin(4, Pin.IN)(), ADC(Pin(34)).read_u16())\n"
    assert board.mpremote("resume", "exec", look + "Pin(5, Pin.OUT, value=1)").stdout == "1 40000\n"
    assert board.pin(5) == 1
    look = "import machine\ntry:\n machine.ADC(63)\nexcept ValueError as error:\n print(error)\n"
    assert board.mpremote("resume", "exec", look).stdout == "invalid pin\n"
    with pytest.raises(HedgerowError) as caught:
        board.pin(64)
    assert caught.value.code == "PIN_RANGE"


def test_waiting_for_the_console_ends(board: Board) -> None:
    with pytest.raises(HedgerowError) as caught:
        board.wait_for("never printed", 0.05)
    assert caught.value.code == "BOARD_TIMEOUT"
    # Whoever reads it sees what was printed instead.
    assert caught.value.__notes__ == ["\n".join(line.text for line in board.console)]


def test_a_damaged_file_system_is_not_formatted(boards: Callable[..., list[Board]]) -> None:
    (board,) = boards()
    board.power_off()
    vfs = board.partition("vfs")
    board.write_flash(vfs.offset, b"not a file system".ljust(8192, b"\0"))
    since = board.console_count
    board.power_on()
    board.wait_for("file system is damaged", 5, since)
    assert board.read_flash(vfs.offset, 17) == b"not a file system"


@pytest.mark.parametrize(
    ("options", "code"),
    [({"profile": "arduino"}, "PROFILE_UNKNOWN"), ({"address": "c0:00"}, "ADDRESS_INVALID")],
)
def test_bad_arguments_are_refused(tmp_path: Path, options: dict[str, str], code: str) -> None:
    with pytest.raises(HedgerowError) as caught:
        Board("x", tmp_path / "x", **options)  # type: ignore[arg-type]
    assert caught.value.code == code
    assert not (tmp_path / "x").exists()


def test_platform_without_a_vm_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(HedgerowError, match=r"glibc 2\.28.*macOS") as caught:
        Board("x", tmp_path / "x")
    assert caught.value.code == "EMULATOR_UNSUPPORTED"


def test_close_leaves_no_process_descriptor_or_thread(tmp_path: Path) -> None:
    shim_heap_bytes(False)
    threads, descriptors = threading.active_count(), list(Path("/dev/fd").iterdir())
    pids: list[int] = []
    ports: list[str] = []
    for i in range(3):
        board = Board(f"b{i}", tmp_path / f"b{i}", address=f"c0:00:00:00:00:0{i}")
        board.power_on()
        board.mpremote("soft-reset")
        board.reset()
        assert board.pid is not None
        pids.append(board.pid)
        ports.append(board.port)
        board.close()
        board.close()
    for pid in pids:
        with pytest.raises(ProcessLookupError):  # not even a zombie
            os.kill(pid, 0)
    assert all(not Path(port).exists() for port in ports)
    assert threading.active_count() == threads
    assert len(list(Path("/dev/fd").iterdir())) == len(descriptors)


def test_plugin_loads_nothing_for_those_who_do_not_use_it() -> None:
    code = "import sys, hedgerow_boards.pytest_plugin\nprint([m for m in sys.modules if m[:8] == 'hedgerow'])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "['hedgerow_boards', 'hedgerow_boards.pytest_plugin']"


def test_the_vm_side_also_runs_without_native_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "vm"
    folder.mkdir()
    vm_process.copy_without_native_code(folder)
    assert not any("@micropython." in source.read_text() for source in folder.iterdir())
    monkeypatch.setattr(vm_process, "_vm_folder", lambda: folder)
    with Board("x", tmp_path / "x") as board:
        board.power_on()
        assert "boot.py" in board.mpremote("ls").stdout
        program = "from esp32 import Partition\nPartition('hedgerow').writeblocks(0, b'abc', 0)"
        board.mpremote("exec", program)
        assert board.read_flash(board.partition("hedgerow").offset, 4) == b"abc\xff"
