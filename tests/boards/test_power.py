"""Power: cuts inside flash programs and erases, resets, deep sleep, watchdog, what memory survives."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hedgerow.errors import HedgerowError
from hedgerow_boards import flash
from hedgerow_boards.board import Board

FILL = """
from esp32 import Partition
log = Partition.find(Partition.TYPE_DATA, label="hedgerow")[0]
{before}
for i in range(100):
    log.writeblocks(i // 8, bytes([i]) * 40, i % 8 * 40)
"""
WRITE_FILES = """
import os
i = 0
if "value" in os.listdir():
    words = open("value").read().split()
    print("found", words[0], "whole" if words == words[:1] * 200 else "torn")
    i = int(words[0]) + 1
while True:
    with open("new", "w") as file:
        file.write("%d " % i * 200)
    os.rename("new", "value")
    print("acknowledged", i)
    i += 1
"""


def wait_until(condition: Callable[[], bool], timeout: float = 5.0) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def result(board: Board, program: str) -> str:
    return board.mpremote("resume", "exec", program).stdout.strip()


@pytest.mark.parametrize("model", flash.PROGRAM_MODELS)
def test_cut_inside_a_program(board: Board, model: str) -> None:
    board.cut_power(after_bytes=100, model=model, partition="hedgerow")
    board.mpremote("resume", "exec", "--no-follow", FILL.format(before=""))
    board.wait_power_cut(10)
    assert not board.running
    log = board.partition("hedgerow").offset
    assert board.read_flash(log, 80) == b"\x00" * 40 + b"\x01" * 40
    torn = board.read_flash(log + 80, 40)
    assert all(byte & 2 == 2 for byte in torn)
    assert torn != b"\x02" * 40
    if model == "suffix":
        assert torn[20:] == b"\x02" * 20
    else:
        assert torn[:20] == b"\x02" * 20
    assert board.read_flash(log + 120, 200) == b"\xff" * 200
    board.power_on()
    assert result(board, "print('back')") == "back"


@pytest.mark.parametrize("model", flash.ERASE_MODELS)
def test_cut_inside_an_erase(board: Board, model: str) -> None:
    erases = board.counters.erases
    board.cut_power(in_erase=3, model=model, partition="hedgerow")
    erase = "for i in range(5): log.writeblocks(i, bytes(4096), 0); log.ioctl(6, i)"
    board.mpremote("resume", "exec", "--no-follow", FILL.format(before=erase))
    board.wait_power_cut(10)
    log = board.partition("hedgerow").offset
    assert board.read_flash(log, 8192) == b"\xff" * 8192
    sector = board.read_flash(log + 8192, 4096)
    assert (sector == bytes(4096)) == (model == "none")
    assert (sector == b"\xff" * 4096) == (model == "blank")
    assert board.counters.erases - erases == 2


@pytest.mark.parametrize(
    "arm",
    [
        {"after_bytes": 700},
        {"after_bytes": 1500, "model": "bits"},
        {"after_bytes": 2900, "model": "suffix"},
        {"in_erase": 2},
        {"in_erase": 4, "model": "bits"},
    ],
    ids=str,
)
def test_a_cut_inside_littlefs_keeps_what_was_acknowledged(
    board: Board, tmp_path: Path, arm: dict[str, int | str]
) -> None:
    main = tmp_path / "main.py"
    main.write_text(WRITE_FILES)
    board.mpremote("cp", str(main), ":")
    board.power_off()
    begun = board.console_count
    board.power_on()
    for k in range(3):  # a cut, then further ones while it recovers
        board.wait_for("acknowledged", 20, begun)
        board.cut_power(**arm, partition="vfs")  # type: ignore[arg-type]
        board.wait_power_cut(60)
        acknowledged = last_number(board, "acknowledged")
        since = board.console_count
        board.power_on()
        found = board.wait_for("found", 20, since).text.split()
        assert found[2] == "whole", (k, found)
        assert int(found[1]) in (acknowledged, acknowledged + 1)
        begun = since


def last_number(board: Board, word: str) -> int:
    """The newest number printed after `word`; power cuts end lines anywhere between two words."""
    lines = [line.text.split() for line in board.console if line.text.startswith(word + " ")]
    return int([words for words in lines if len(words) > 1][-1][1])


def test_kill_at_any_instant_and_the_file_system_mounts(board: Board, tmp_path: Path) -> None:
    main = tmp_path / "main.py"
    main.write_text(WRITE_FILES)
    board.mpremote("cp", str(main), ":")
    board.power_off()
    acknowledged = -1
    for i in range(5):
        since = board.console_count
        board.power_on()
        if i:
            found = board.wait_for("found", 5, since).text.split()
            assert found[2] == "whole"
            assert int(found[1]) in (acknowledged, acknowledged + 1)
        board.wait_for("acknowledged", 5, since)
        board.power_off()
        assert not board.running
        acknowledged = last_number(board, "acknowledged")


def test_a_cut_may_come_while_the_board_boots(board: Board, tmp_path: Path) -> None:
    (tmp_path / "boot.py").write_text("import os\nopen('seen', 'w').write('x' * 600)\nprint('booted')\n")
    board.mpremote("cp", str(tmp_path / "boot.py"), ":")
    board.power_off()
    board.cut_power(after_bytes=300, model="bits")
    board.power_on()
    board.wait_power_cut(10)
    assert not board.running
    assert board.power_cuts == 1
    since = board.console_count
    board.power_on()
    board.wait_for("booted", 5, since)


def test_arming_is_checked(board: Board) -> None:
    for arm in ({}, {"after_bytes": 1, "in_erase": 1}, {"after_bytes": -1}, {"in_erase": 0}):
        with pytest.raises(HedgerowError) as caught:
            board.cut_power(**arm)  # type: ignore[arg-type]
        assert caught.value.code == "POWER_CUT"
    with pytest.raises(HedgerowError):
        board.cut_power(in_erase=1, model="prefix")
    with pytest.raises(HedgerowError) as caught:
        board.wait_power_cut(0.01)
    assert caught.value.code == "BOARD_TIMEOUT"


def test_what_survives_which_reset(board: Board) -> None:
    result(board, "import machine; machine.RTC().datetime((2031, 2, 3, 0, 4, 5, 6, 0))")
    result(board, "import machine; machine.RTC().memory(b'kept')")
    look = "import machine, time; print(machine.reset_cause(), machine.RTC().memory(), time.localtime()[0])"
    board.mpremote("soft-reset")
    assert result(board, look) == "5 b'kept' 2031"
    board.mpremote("resume", "exec", "--no-follow", "import machine; machine.deepsleep(30)")
    board.mpremote("resume", "exec", "import time; print(time.ticks_ms())")
    assert result(board, look) == "4 b'kept' 2031"
    boots = board.boots
    board.mpremote("resume", "reset")  # says so 100 ms before it does
    wait_until(lambda: board.boots > boots)
    assert result(board, look) == "2 b'kept' 2031"
    board.reset()
    assert result(board, look) == "1 b'' 2000"


def test_watchdog_resets_a_hung_board(board: Board) -> None:
    feed = "import machine, time\nw = machine.WDT(timeout=200)\n"
    feed += "for i in range(20): time.sleep_ms(20); w.feed()\n"
    # It may bite before the answer is here.
    boots = board.boots
    assert result(board, feed + "print('fed')") == "fed"
    board.wait_for("task watchdog", 5)
    assert result(board, "import machine; print(machine.reset_cause() == machine.WDT_RESET)") == "True"
    assert board.boots == boots + 1


def test_nvs_outlives_power_but_only_what_was_committed(board: Board) -> None:
    result(
        board,
        "import esp32\nn = esp32.NVS('app'); n.set_i32('count', -7); n.set_blob('key', bytes(range(40))); "
        "n.commit()\nn.set_i32('count', 8)",
    )
    board.reset()
    look = """
import esp32
n = esp32.NVS("app")
b = bytearray(64)
print(n.get_i32("count"), n.get_blob("key", b), b[39])
n.erase_key("count")
n.commit()
for key in ("count", "never"):
    try:
        n.get_i32(key)
    except OSError as error:
        print(error.errno)
"""
    assert result(board, look).splitlines() == ["-7 40 39", "-4354", "-4354"]


@pytest.mark.parametrize("arm", [{"in_erase": 1}, {"in_erase": 3}, {"after_bytes": 5}, {"after_bytes": 35}])
def test_a_cut_inside_an_nvs_commit_keeps_the_old_values(board: Board, arm: dict[str, int]) -> None:
    result(board, "import esp32; n = esp32.NVS('app'); n.set_i32('count', 1); n.commit()")
    board.cut_power(**arm, partition="nvs")  # type: ignore[arg-type]
    change = "import esp32; n = esp32.NVS('app'); n.set_i32('count', 2); n.set_i32('more', 3); n.commit()"
    board.mpremote("resume", "exec", "--no-follow", change)
    board.wait_power_cut(10)
    board.power_on()
    assert result(board, "import esp32; print(esp32.NVS('app').get_i32('count'))") == "1"


def test_boards_lose_power_on_their_own(boards: Callable[..., list[Board]]) -> None:
    first, second = boards(2)
    first.power_off()
    assert not first.running
    assert result(second, "print('unmoved')") == "unmoved"
    first.power_on()
    assert result(first, "print('again')") == "again"
