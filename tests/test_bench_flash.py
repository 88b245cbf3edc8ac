"""The parts of `make bench ONLY=flash`, on small rings: what they count, and that they can find fault."""

import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "bench" / "vm")]

import flash_nor  # noqa: E402

from bench import __main__ as bench_main  # noqa: E402
from bench import flash_collection, flash_cpu, flash_erases, flash_index, flash_mount, flash_vm  # noqa: E402
from bench import flash_programmed as programmed  # noqa: E402
from bench.figure import figure, keeps_its_goal  # noqa: E402
from hedgerow.errors import HedgerowError  # noqa: E402


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small rings; what earlier tests have counted is not theirs."""
    monkeypatch.setattr(flash_vm, "LAPS", {12: 1, 32: 3, 60: 1})
    monkeypatch.setattr(flash_vm, "RING", 32)
    monkeypatch.setattr(flash_vm, "RECORDS", 300)
    for name, value in (
        ("RING", 32),
        ("SHARES", (50,)),
        ("_GOAL_SHARES", (50,)),
        ("_WORST_SHARE", 50),
        ("LAPS", 2),
    ):
        monkeypatch.setattr(flash_collection, name, value)
    for function in (flash_vm.laps, flash_vm.littlefs, flash_collection._collections):
        function.cache_clear()


def by_name(figures: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {each["figure"]: each for each in figures}


def test_bytes_programmed_keep_their_goals_and_stand_beside_littlefs() -> None:
    found = by_name(programmed.bytes_programmed())
    for size in (12, 32, 60):
        frames, everything = (found[f"flash.programmed.{what}_{size}"] for what in ("frames", "all"))
        assert 1 < frames["value"] < everything["value"] < everything["beside"]["with_receipts"]
        assert keeps_its_goal(frames) and keeps_its_goal(everything), everything
        assert frames["beside"]["littlefs_flush_each"] > 25 * everything["value"]
    alone, many = (found[f"flash.programmed.all_32{authors}"] for authors in ("", "_64_authors"))
    assert many["value"] > alone["value"]


def test_erases_are_as_few_as_they_can_be_and_even() -> None:
    for each in flash_erases.erases():
        assert keeps_its_goal(each), each
        assert each["figure"].endswith("spread") or each["value"] < each["beside"]["littlefs"]


def test_collection_is_near_to_theory_and_no_append_does_much() -> None:
    (factor,) = flash_collection.collection()
    assert factor["value"] is not None and factor["value"] > 1.1, factor
    assert factor["beside"]["in_bytes"] >= factor["value"]
    assert factor["beside"]["live_share"] == pytest.approx(0.5, abs=0.1)
    assert keeps_its_goal(factor), factor
    for each in flash_collection.worst_append():
        assert keeps_its_goal(each), each


def test_theory_of_a_ring_first_in_first_out() -> None:
    """The values that are computed in another way in the literature on flash."""
    for share, factor in ((0.3, 1.04), (0.5, 1.255), (0.7, 1.88), (0.9, 5.18)):
        assert flash_collection.theory(share) == pytest.approx(factor, rel=0.01)
    lives = 1 - 1 / flash_collection.theory(0.6)
    assert (1 - lives) / -math.log(lives) == pytest.approx(0.6)


@pytest.mark.parametrize("authors", [1, 8])
def test_a_mount_after_a_cut_reads_little_of_the_ring(authors: int) -> None:
    arguments = {"size": 32, "sectors": 64, "authors": authors, "cuts": 8}
    counted = flash_vm.run("flash_mount", "mount", arguments)
    # Every end of a sector is among them.
    assert len(counted["reads"]) >= 16
    assert counted["sectors_in_use"] > 48
    assert min(counted["reads"]) > 4096 // 8
    assert max(counted["reads"]) <= flash_mount._WORST_GOAL


def test_the_two_take_turns_in_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flash_cpu, "ROUNDS", 3)
    (times,) = flash_cpu.cpu()
    assert times["unit"] == "times" and times["value"] > 0
    arguments = {"size": 32, "ours": 10, "theirs": 10, "rounds": 4, "sectors": 64}
    counted = flash_vm.run("flash_littlefs", "paired", arguments)
    assert len(counted["times"]) == 4
    assert 40 * 32 < counted["ours"]["programmed"] < counted["littlefs"]["programmed"] // 10


def test_the_index_is_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without node, whose part is then named as left out."""
    monkeypatch.setattr(flash_index, "DOCUMENTS", 400)
    monkeypatch.setattr(flash_index, "SECTORS", 64)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = by_name(flash_index.index())
    assert 5 < found["flash.index.programmed_per_document"]["value"] < 25
    assert found["flash.index.read_per_lookup"]["value"] < 1024
    assert "flash.index.heap" not in found


# ---- the instruments


def test_a_program_over_what_is_programmed_is_an_error() -> None:
    device = flash_nor.Nor(8)
    device.writeblocks(1, b"\x0f", 5)
    device.writeblocks(1, b"\x0e", 5)
    with pytest.raises(ValueError, match="sector 1 at 5"):
        device.writeblocks(1, b"\x10", 5)
    device.ioctl(6, 1)
    device.writeblocks(1, b"\x10", 5)
    assert (device.programmed, device.programs, device.erases, list(device.wear)[:3]) == (3, 3, 1, [0, 1, 0])


def test_every_frame_is_counted_by_its_kind() -> None:
    device = flash_nor.LogNor(8)
    device.writeblocks(0, b"Hg" + bytes(30), 0)
    device.writeblocks(0, b"\x05\x01" + bytes(7), 40)
    device.writeblocks(0, b"\x81\x05\x40" + bytes(264), 50)
    device.writeblocks(0, b"\x05\xc6" + bytes(7), 400)
    device.writeblocks(0, b"\x05\xc6" + bytes(7), 400)
    found = device.counters()
    assert {name: size for name, size in found["bytes"].items() if size} == {
        "header": 32, "op": 9, "seal": 267, "note": 9, "again": 9,
    }  # fmt: skip


def test_beyond_counts_all_but_its_own_frame_and_one_that_moved() -> None:
    op, moved, header = flash_nor.OP, flash_nor.BESIDE, flash_nor.NAMES.index("header")
    assert flash_nor.beyond([(op, 37)]) == 0
    assert flash_nor.beyond([(moved, 41), (op, 37)]) == 0
    assert flash_nor.beyond([(header, 36), (moved, 41), (moved, 39), (op, 37)]) == 36 + 39
    assert flash_nor.beyond([(op, 50), (op, 37)]) == 0


@pytest.mark.parametrize(
    ("value", "unit", "goal", "kept"),
    [(2, "B", 2, True), (2.1, "B", 2, False), (9, "times", 10, False), (10, "times", 10, True),
     (None, "B", 2, False), (None, "B", None, True), (5, "B", None, True)],
)  # fmt: skip
def test_a_goal(value: float | None, unit: str, goal: float | None, kept: bool) -> None:
    assert keeps_its_goal(figure("a.b", value, unit, goal)) is kept


def test_a_goal_that_is_missed_ends_with_a_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = figure("flash.x", 1, "B", 2), figure("flash.y", 3, "B", 2)
    for figures, status in (([good], 0), ([good, bad], 1), ([], 2)):
        monkeypatch.setattr(bench_main, "measures", lambda wanted, made=figures: [lambda: made])
        assert bench_main.main(["--only", "flash"]) == status
    said = capsys.readouterr()
    assert [json.loads(line)["figure"] for line in said.out.splitlines()] == ["flash.x", "flash.x", "flash.y"]
    assert "flash.y misses its goal" in said.err


def test_what_the_vm_complains_of_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(HedgerowError, match=r"(?s)BENCH_FAILED: appends.*LOG_DEVICE"):
        flash_vm.run(
            "flash_log", "appends", {"size": 32, "laps": 1, "sectors": 4, "authors": 1, "idle": True}
        )


def test_without_a_vm_it_is_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none() -> str:
        raise HedgerowError("BENCH_TOOL_MISSING", "micropython")

    monkeypatch.setattr(flash_vm, "micropython", none)
    assert flash_cpu.cpu() == []
    assert "cpu is left out: BENCH_TOOL_MISSING" in capsys.readouterr().err
