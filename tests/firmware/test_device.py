"""The firmware on emulated boards: it records, goes on after resets and power cuts, and can be talked to."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from device_rig import SERIES, acks, check_log, errors, install, open_image, readings

from hedgerow_boards import flash
from hedgerow_boards.board import Board

Boards = Callable[..., list[Board]]


def test_records_and_goes_on_after_a_reset(boards: Boards, firmware: Path) -> None:
    (board,) = boards(sensor=SERIES)
    install(board, firmware)
    first = board.wait_for("boot 1 author=", 10).text
    board.wait_for("ack 10 ", 10)
    board.reset()
    assert board.wait_for("boot 2 author=", 10).text.split()[2] == first.split()[2]
    board.wait_for("ack 20 ", 10)
    board.power_off()
    held = check_log(board)
    assert len(held) >= 20
    assert [ack.value for ack in held[:9]] == SERIES.values[:9]
    assert set(errors(board)) <= {"BLE_UNAVAILABLE"}
    assert open_image(board).author.hex() == first.split("=")[1]


def test_a_first_write_takes_the_three_lines_of_a_pi(boards: Boards, firmware: Path) -> None:
    (board,) = boards(sensor=SERIES)
    install(board, firmware)
    board.wait_for("ack 1 ", 10)
    code = """from hedgerow_device import open_peer
peer = open_peer("field.db", url="ws://big.example")
result = peer.execute("INSERT INTO visits DOCUMENTS (:v)", v={"count": 3})
print(result.mutated == [[peer.author, peer.log.held(peer.author)]])
"""
    assert board.mpremote("exec", code).stdout.strip() == "True"


def test_the_repl_answers_while_it_records(boards: Boards, firmware: Path) -> None:
    (board,) = boards(sensor=SERIES)
    install(board, firmware)
    board.wait_for("ack 5 ", 10)
    for _ in range(3):
        assert board.mpremote("exec", "print(6 * 7)").stdout.strip() == "42"
    code = "from hedgerow_device import open_peer; peer = open_peer(); print(peer.log.held(peer.author))"
    assert int(board.mpremote("exec", code).stdout) >= 7
    since = board.console_count
    board.mpremote("reset")
    board.wait_for("ack ", 10, since)
    board.power_off()
    check_log(board)


def test_stops_recording_after_the_readings_that_are_wanted(boards: Boards, firmware: Path) -> None:
    (board,) = boards(sensor=SERIES)
    install(board, firmware, readings=8)
    board.wait_for("ack 8 ", 10)
    board.reset()
    board.wait_for("boot 2 ", 10)
    assert board.mpremote("exec", "print(1)").stdout.strip() == "1"
    board.power_off()
    assert len(check_log(board)) == 8


def test_goes_on_without_a_sensor(boards: Boards, firmware: Path) -> None:
    (board,) = boards()
    install(board, firmware)
    since = board.wait_for("error SENSOR_MISSING", 10)
    assert "0x48" in since.text
    assert board.mpremote("exec", "print(1)").stdout.strip() == "1"


@pytest.mark.parametrize(
    "settings",
    [{"interval_ms": 0}, {"colour": "red"}, {"role": "king"}, {"sensor": {"address": 300}}],
    ids=["range", "unknown", "role", "sensor"],
)
def test_says_what_is_wrong_with_its_configuration(
    boards: Boards, firmware: Path, settings: dict[str, object]
) -> None:
    (board,) = boards(sensor=SERIES)
    install(board, firmware, **settings)
    line = board.wait_for("error CONFIG_INVALID", 10).text
    assert next(iter(settings)) in line or "address" in line


def cut_and_boot(board: Board, rng: random.Random, *, in_erase: bool) -> None:
    """Cut the power within a flash operation to come, then give it back."""
    if in_erase:
        board.cut_power(in_erase=1, model=rng.choice(flash.ERASE_MODELS), partition="hedgerow")
    else:
        model = rng.choice(flash.PROGRAM_MODELS)
        board.cut_power(after_bytes=rng.randrange(1, 900), model=model, partition="hedgerow")
    board.wait_power_cut(30)
    since = board.console_count
    board.power_on()
    board.wait_for("boot ", 10, since)


def survive_cuts(board: Board, seed: int, programs: int, erases: int) -> None:
    rng = random.Random(seed)
    kinds = [False] * programs + [True] * erases
    rng.shuffle(kinds)
    for in_erase in kinds:
        cut_and_boot(board, rng, in_erase=in_erase)
    last = acks(board)[-1].n
    board.wait_for(f"ack {last + 5} ", 10)
    board.power_off()
    held = check_log(board)
    assert len(held) > 5 * programs
    assert board.power_cuts == len(kinds)


def test_power_cuts_lose_no_acknowledged_reading(boards: Boards, firmware: Path) -> None:
    (board,) = boards(sensor=SERIES)
    install(board, firmware, interval_ms=20)
    board.wait_for("ack 3 ", 10)
    survive_cuts(board, 1, programs=4, erases=1)


@pytest.mark.slow
def test_twenty_power_cuts_lose_no_acknowledged_reading(boards: Boards, firmware: Path) -> None:
    (board,) = boards(sensor=SERIES)
    install(board, firmware, interval_ms=20)
    board.wait_for("ack 3 ", 10)
    survive_cuts(board, 2, programs=14, erases=6)
    assert len(readings(open_image(board))) >= len(acks(board))
