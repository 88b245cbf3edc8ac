"""The demo's judge: it must find everything that can be wrong, and nothing else."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from hedgerow_boards.console import Console, ConsoleLine
from hedgerow_boards.sensor import Sample
from hedgerow_cli.demo.audit import Findings, audit_board, audit_log
from hedgerow_cli.demo.ledger import BoardLedger

START = 1_700_000_000.0
AUTHOR = "00112233445566ff"


class ToldBoard:
    """What the ledger sees of a board: lines at given times, and measurements."""

    name = "b1"
    sleeps = 0

    def __init__(
        self, directory: Path, lines: list[tuple[float, str]], samples: list[tuple[float, str]]
    ) -> None:
        self.directory = directory
        self.heard = Console()
        self.tell(lines)
        self.samples = [Sample(START + at, index, text) for index, (at, text) in enumerate(samples)]

    def tell(self, lines: list[tuple[float, str]]) -> None:
        self.heard._lines += [ConsoleLine(START + at, text) for at, text in lines]

    def console_since(self, first: int) -> tuple[list[ConsoleLine], int]:
        return self.heard.since(first)


LINES = [
    (0.0, f"boot 1 author={AUTHOR}"),
    (1.1, "ack 1 op=2 value=39.4"),
    (1.5, "time source=2 error_ms=60"),
    (2.1, "ack 2 op=3 value=39.0"),
    # Power goes in the middle of the third reading, which survives; the fourth is the next boot's.
    (5.0, f"boot 2 author={AUTHOR}"),
    (6.1, "ack 4 op=6 value=-1"),
    (6.5, "time source=2 error_ms=60"),
    (7.0, "receipt op=3"),
]
SAMPLES = [(1.0, "39.4"), (2.0, "39.0"), (3.0, "38.5"), (6.0, "-1")]


def document(n: int, op: int, value: object, at: float, error_ms: int = 70) -> dict[str, Any]:
    time = datetime.fromtimestamp(START + at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"_id": ["ABEiM0RVZv8", op], "n": n, "t": value, "_time": time, "_time_error_ms": error_ms}


def documents() -> list[dict[str, Any]]:
    return [
        document(1, 2, Decimal("39.4"), 1.02),
        document(2, 3, Decimal("39.0"), 2.0),
        document(3, 4, Decimal("38.5"), 3.01),
        document(4, 6, -1, 6.0),
    ]


def audit(tmp_path: Path, found: list[dict[str, Any]], lines: list[tuple[float, str]] = LINES) -> Findings:
    board: Any = ToldBoard(tmp_path, lines, SAMPLES)
    ledger = BoardLedger(board)
    ledger.read()
    return audit_board(ledger, "t", found)


def test_all_is_well_with_a_reading_that_survived_unacknowledged(tmp_path: Path) -> None:
    found = audit(tmp_path, documents())
    assert found == Findings(recorded=4, at_big_peer=4, receipted=2)
    assert found.clean


def test_a_board_that_recorded_nothing_is_no_success(tmp_path: Path) -> None:
    found = audit(tmp_path, [], [])
    assert found == Findings(silent=1)
    assert not found.clean


def test_a_reading_that_did_not_survive_leaves_no_hole(tmp_path: Path) -> None:
    lines = [(at, text.replace("ack 4", "ack 3")) for at, text in LINES]
    kept = documents()
    kept[2:] = [document(3, 6, -1, 6.0)]
    assert audit(tmp_path, kept, lines) == Findings(recorded=3, at_big_peer=3, receipted=2)


def test_a_line_that_was_read_late_is_no_wrong_value(tmp_path: Path) -> None:
    lines = [(2.05 if text.startswith("ack 1") else at, text) for at, text in LINES]
    assert audit(tmp_path, documents(), lines).clean
    kept = documents()
    kept[3]["t"] = Decimal("39.4")
    assert not audit(tmp_path, kept, lines).clean


@pytest.mark.parametrize("lost", [0, 1, 2, 3])
def test_what_is_missing_is_found(tmp_path: Path, lost: int) -> None:
    kept = documents()
    del kept[lost]
    assert audit(tmp_path, kept).missing == 1


def test_a_double_is_found(tmp_path: Path) -> None:
    found = audit(tmp_path, [*documents(), document(2, 9, Decimal("39.0"), 2.0)])
    assert (found.duplicates, found.at_big_peer) == (1, 4)
    assert not found.clean


@pytest.mark.parametrize("value", [Decimal("39.5"), Decimal("39.40"), 39.4, Decimal(394), None, True, "39.4"])
def test_a_value_must_be_the_series_to_the_digit(tmp_path: Path, value: object) -> None:
    wrong = documents()
    wrong[0]["t"] = value
    assert audit(tmp_path, wrong).wrong == 1


def test_an_unacknowledged_reading_must_be_a_measurement_of_its_time(tmp_path: Path) -> None:
    wrong = documents()
    wrong[2]["t"] = Decimal("39.0")
    assert audit(tmp_path, wrong).wrong == 1


@pytest.mark.parametrize(
    ("at", "error_ms", "wrong"),
    [
        (2.05, 40, 0),  # between its measurement and its acknowledgement at 2.1
        (2.13, 40, 0),
        (2.15, 40, 1),
        (1.97, 40, 0),
        (1.95, 40, 1),
        (1.9, 99, 1),
        (2.9, 1000, 0),
        (2.0, 1001, 1),
        (2.0, -1, 1),
    ],
)
def test_a_time_must_be_within_its_bound_and_the_bound_within_a_second(
    tmp_path: Path, at: float, error_ms: int, wrong: int
) -> None:
    changed = documents()
    changed[1] = document(2, 3, Decimal("39.0"), at, error_ms)
    assert audit(tmp_path, changed).time_wrong == wrong


def test_a_boot_that_never_met_time_may_have_a_wide_bound(tmp_path: Path) -> None:
    lines = [line for line in LINES if not line[1].startswith("time")]
    wide = [document(row["n"], row["_id"][1], row["t"], 3.0, 5000) for row in documents()]
    assert audit(tmp_path, wide, lines).time_wrong == 0


def test_a_reading_without_time_is_wrong(tmp_path: Path) -> None:
    changed = documents()
    del changed[1]["_time"]
    assert audit(tmp_path, changed).time_wrong == 1


def test_a_boot_that_lost_power_before_it_met_time_may_lack_it_and_no_other(tmp_path: Path) -> None:
    lines = [line for line in LINES if not line[1].startswith("time")]
    found = documents()
    for each in found:
        del each["_time"]
    # The last boot may still learn it.
    assert audit(tmp_path, found, lines).time_wrong == 1
    found = documents()
    found[0] = document(1, 2, Decimal("39.4"), 1.7, 60)
    # A time that is there is looked at all the same.
    assert audit(tmp_path, found, lines).time_wrong == 1


def test_a_new_author_is_found(tmp_path: Path) -> None:
    lines = [
        (at, text.replace(f"boot 2 author={AUTHOR}", "boot 2 author=ff00000000000000")) for at, text in LINES
    ]
    found = audit(tmp_path, documents(), lines)
    assert found.minted == 1 and not found.clean


@pytest.mark.parametrize(
    ("author", "numbers", "gone", "minted"),
    [
        (AUTHOR, {1, 2, 3, 4, 5, 6}, 0, 0),
        # Receipted up to 3, so the ring may have taken back all below its oldest.
        (AUTHOR, {4, 5, 6}, 0, 0),
        (AUTHOR, {1, 2, 4, 5, 6}, 1, 0),
        (AUTHOR, {1, 2, 3, 4, 5}, 1, 0),
        (AUTHOR, {7, 8}, 1, 0),
        (AUTHOR, set(), 3, 0),
        ("ff00000000000000", {2, 3, 6}, 0, 1),
    ],
)
def test_what_was_acknowledged_must_be_in_the_log(
    tmp_path: Path, author: str, numbers: set[int], gone: int, minted: int
) -> None:
    board: Any = ToldBoard(tmp_path, LINES, SAMPLES)
    ledger = BoardLedger(board)
    ledger.read()
    found = audit_log(ledger, author, numbers)
    assert found == Findings(gone=gone, minted=minted)
    assert found.clean == (not gone and not minted)


def test_the_ledger_is_kept_outside_the_board(tmp_path: Path) -> None:
    audit(tmp_path, documents())
    kept = (tmp_path / "console.log").read_text().splitlines()
    assert [line.partition(" ")[2] for line in kept] == [text for _, text in LINES]


def test_a_torn_line_is_no_acknowledgement(tmp_path: Path) -> None:
    lines = [*LINES, (8.0, "ack 5 op="), (8.1, "error SENSOR_TIMEOUT 0x48")]
    board: Any = ToldBoard(tmp_path, lines, SAMPLES)
    ledger = BoardLedger(board)
    ledger.read()
    ledger.read()
    assert sorted(ledger.acknowledged) == [1, 2, 4]
    assert ledger.errors == ["error SENSOR_TIMEOUT 0x48"]


def test_a_line_that_has_only_begun_is_taken_when_it_is_whole(tmp_path: Path) -> None:
    board: Any = ToldBoard(tmp_path, LINES[:1], [])
    ledger = BoardLedger(board)
    board.heard.feed(b"ack 1 op=2 val")
    ledger.read()
    assert not ledger.acknowledged
    board.heard.feed(b"ue=39.4\r\nack 2 op=3 value=39.0\r\nreceipt op")
    ledger.read()
    assert sorted(ledger.acknowledged) == [1, 2]
    board.heard.feed(b"=3\r\n")
    ledger.read()
    assert (ledger.receipted_op, ledger.reacknowledged) == (3, 0)
    kept = (tmp_path / "console.log").read_text().splitlines()
    assert [line.split()[1] for line in kept] == ["boot", "ack", "ack", "receipt"]
