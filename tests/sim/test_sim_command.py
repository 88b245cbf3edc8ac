"""`hedgerow sim` and `make sim` as people meet them."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _sim(*words: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hedgerow_cli", "sim", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done


def test_without_a_name_scenarios_are_listed() -> None:
    found = json.loads(_sim("--json").stdout)
    assert {"name", "about"} == set(found[0]) and "intel-lab" in [each["name"] for each in found]
    assert "intel-lab" in _sim().stdout


def test_a_run_for_people() -> None:
    printed = _sim("line", "--seed", "1", "--hours", "0.05", "--engine", "connect_always").stdout
    assert "readings: 15 acknowledged, 15 at a keeper, 15 receipted" in printed


def test_a_scenario_of_ones_own_that_fails_says_how_to_repeat_it(tmp_path: Path) -> None:
    path = tmp_path / "far.toml"
    path.write_text(
        "boards = 2\nspacing_m = 90.0\ndisc = true\ngateways = [[0, 0]]\nhours = 0.1\nsettle_hours = 0.1\n"
    )
    changes = ("--hours", "0.05", "--boards", "3", "--set", "events=[{at_s = 60, kind = 'reboot'}]", "--json")
    printed = _sim(str(path), "--seed", "9", *changes, status=1)
    report = json.loads(printed.stdout)
    assert re.search(r"convergence: (\d+) of \1 readings did not arrive", report["failure"])
    assert report["boards"] == 3
    words = shlex.split(report["replay"])
    assert words[:2] == ["hedgerow", "sim"]
    again = _sim(*words[2:], status=1)
    assert f"repeat it with: {report['replay']}" in " ".join(again.stderr.split())
    repeated = json.loads(_sim(*words[2:], "--json", status=1).stdout)
    assert repeated["fingerprint"] == report["fingerprint"]


def test_a_change_that_is_none() -> None:
    assert "SCENARIO_INVALID: 'loss=much'" in _sim("line", "--set", "loss=much", status=1).stderr
    for key in ("los", "wanted"):
        assert f"SCENARIO_INVALID: no key '{key}'" in _sim("line", "--set", f"{key}=1", status=1).stderr
    for change in ("source='a'", "loss=0.1\nboards=3"):
        assert "SCENARIO_INVALID" in _sim("line", "--set", change, status=1).stderr


def test_one_that_is_not_there() -> None:
    assert _sim("nowhere", status=1).stderr.startswith("SCENARIO_UNKNOWN:")


def test_pictures(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="no matplotlib here: pip install 'hedgerow[sim]'")
    plot, chart = tmp_path / "plot.svg", tmp_path / "map.svg"
    words = ("line", "--seed", "1", "--hours", "0.05", "--engine", "connect_always")
    _sim(*words, "--plot", str(plot), "--map", str(chart))
    texts = [plot.read_text(), chart.read_text()]
    assert all(text.startswith("<?xml") for text in texts)
    # Five boards and a gateway stand on the map.
    assert texts[1].count("<use ") >= 6


def test_make_sim_runs_the_core_and_names_its_replay() -> None:
    command = [sys.executable, str(ROOT / "tests" / "sim.py"), "--scenario", "core", "--seed", "3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0 and done.stdout.startswith("core seed 3: "), done.stdout + done.stderr
