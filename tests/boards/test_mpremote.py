"""The real mpremote against an emulated board, over its serial port."""

import json
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mpremote_link import interrupt, session

from hedgerow.errors import HedgerowError
from hedgerow_boards.board import Board

ALLOCATE = b"""
print("go")
kept = []
while True:
    kept.append([bytearray(40) for _ in range(10)])
    if len(kept) > 20:
        kept.clear()
"""


def test_files_come_back_as_they_went(board: Board, tmp_path: Path) -> None:
    source = tmp_path / "program.py"
    source.write_text("print('ran from flash', 6 * 7)\n")
    board.mpremote("cp", str(source), ":program.py")
    assert "program.py" in board.mpremote("ls").stdout
    assert board.mpremote("cat", ":program.py").stdout == source.read_text()
    assert board.mpremote("exec", "import program").stdout == "ran from flash 42\n"
    assert board.mpremote("run", str(source)).stdout == "ran from flash 42\n"


def test_a_failing_program_is_reported(board: Board) -> None:
    with pytest.raises(HedgerowError, match="ZeroDivisionError") as caught:
        board.mpremote("exec", "1 / 0")
    assert caught.value.code == "MPREMOTE_FAILED"


def test_mount_serves_host_files_unchanged(board: Board, tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("NAME = 'from the host'\n")
    everything = bytes(range(256)) * 8
    (tmp_path / "bytes.bin").write_bytes(everything)
    check = (
        "import helper, hashlib; print(helper.NAME)\n"
        "print(hashlib.sha256(open('/remote/bytes.bin', 'rb').read()).digest() == "
        "hashlib.sha256(bytes(range(256)) * 8).digest())\n"
        "open('/remote/copy.bin', 'wb').write(bytes(range(256)) * 8)"
    )
    done = board.mpremote("mount", str(tmp_path), "exec", check)
    assert done.stdout.splitlines()[-2:] == ["from the host", "True"]
    assert (tmp_path / "copy.bin").read_bytes() == everything


def test_soft_reset_runs_boot_only_and_reset_runs_main_too(board: Board, tmp_path: Path) -> None:
    (tmp_path / "boot.py").write_text("print('this is boot')\n")
    (tmp_path / "main.py").write_text("print('this is main')\n")
    board.mpremote("cp", str(tmp_path / "boot.py"), str(tmp_path / "main.py"), ":")
    since = board.console_count
    boots = board.boots
    board.mpremote("soft-reset")
    assert board.boots > boots
    board.mpremote("resume", "reset")
    board.wait_for("this is main", 5, since)
    printed = [line.text for line in board.console[since:]]
    assert printed.count("this is main") == 1
    assert printed.index("this is boot") < printed.index("this is main")
    reset_cause = "import machine; print(machine.reset_cause() == machine.HARD_RESET)"
    assert board.mpremote("resume", "exec", reset_cause).stdout == "True\n"


def test_clock_is_set_and_read(board: Board) -> None:
    assert board.mpremote("rtc").stdout.startswith("(2000, 1, 1, 5, 0, 0, ")
    board.mpremote("rtc", "--set")
    year = int(board.mpremote("rtc").stdout.strip("(").split(",")[0])
    assert year == time.localtime().tm_year


def test_mip_installs_a_local_package(board: Board, tmp_path: Path) -> None:
    (tmp_path / "greeting.py").write_text("WORDS = 'installed'\n")
    package = {"version": "1.0", "urls": [["greetings/hello.py", "greeting.py"]]}
    (tmp_path / "package.json").write_text(json.dumps(package))
    board.mpremote("mip", "install", "package.json", cwd=tmp_path)
    assert board.mpremote("exec", "from greetings.hello import WORDS; print(WORDS)").stdout == "installed\n"


def test_many_files_go_by_raw_paste(board: Board, tmp_path: Path) -> None:
    rng = random.Random(1)
    folder = tmp_path / "lib"
    folder.mkdir()
    for i in range(25):
        (folder / f"module{i}.bin").write_bytes(rng.randbytes(3280))
    begun = time.monotonic()
    board.mpremote("cp", "-r", str(folder), ":")
    print(f"25 files, 82 kB copied in {time.monotonic() - begun:.2f} s")
    # Without raw-paste mpremote would send its chunks to the plain raw REPL, 256 bytes every 10 ms.
    assert board.raw_pastes > 82_000 // 256
    count = "import os; print(sum(os.stat('lib/' + f)[6] for f in os.listdir('lib')))"
    copied = board.mpremote("exec", count)
    assert copied.stdout == "82000\n"


def test_two_hundred_interrupts_of_an_allocating_loop(board: Board) -> None:
    boots = board.boots
    with session(board.port) as transport:
        for i in range(200):
            error = interrupt(transport, ALLOCATE, b"go\r\n")
            assert b"KeyboardInterrupt" in error
            assert transport.eval(f"{i} + 1") == i + 1
    assert board.interrupts >= 200
    assert board.boots == boots + 1  # the session's own soft reset: no VM died


SCAN = b"""
import bluetooth, time
heard = 0
def on_event(event, data):
    global heard
    if event == 5:
        heard += 1
ble = bluetooth.BLE()
ble.active(True)
ble.irq(on_event)
try:
    ble.gap_scan(0, 30000, 30000)
except OSError:  # EALREADY: the last program left it scanning
    pass
while heard < 3:
    time.sleep_ms(5)
"""
ADVERTISE = """
import bluetooth
ble = bluetooth.BLE()
ble.active(True)
ble.gap_advertise(20000, b"\\x02\\x01\\x06", connectable=False)
while True:
    pass
"""


def test_interrupts_under_radio_traffic(
    request: pytest.FixtureRequest, boards: Callable[..., list[Board]]
) -> None:
    pytest.importorskip("hedgerow_boards.air", reason="the air is not installed")
    air = request.getfixturevalue("air")
    talker, board = boards(2, air=air.path)
    talker.mpremote("exec", "--no-follow", ADVERTISE)
    boots = board.boots
    with session(board.port) as transport:
        for i in range(200):
            error = interrupt(transport, SCAN + ALLOCATE, b"go\r\n")
            assert b"KeyboardInterrupt" in error
            assert transport.eval(f"{i} + 1") == i + 1
    assert board.boots == boots + 1
    hears = SCAN.decode() + "print('heard', heard >= 3)"
    assert board.mpremote("exec", hears).stdout.endswith("heard True\n")


def test_a_reset_is_over_when_mpremote_returns(board: Board) -> None:
    """What follows at once would meet the last tenth of a second before it, or be lost in it."""
    for _ in range(5):
        board.mpremote("exec", "before = 1", "+", "reset")
        assert board.mpremote("resume", "exec", "print('before' in globals())").stdout == "False\n"
