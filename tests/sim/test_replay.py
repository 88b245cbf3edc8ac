"""The same scenario and seed are the same history, in another process too."""

import json
import os
import subprocess
import sys

import pytest

from hedgerow.mesh import asks, frames, mesh
from hedgerow_sim import memo, scenario
from hedgerow_sim.run import run


def _elsewhere(hash_seed: str, *words: str) -> dict[str, object]:
    command = [sys.executable, "-m", "hedgerow_cli", "sim", *words, "--json"]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("engine", ["mesh", "connect_always"])
def test_in_other_processes(engine: str) -> None:
    words = ("line", "--seed", "4", "--hours", "0.1", "--engine", engine)
    first, second = _elsewhere("1", *words), _elsewhere("2", *words)
    assert first["fingerprint"] == second["fingerprint"]
    assert first["air"] == second["air"] and first["connections"] == second["connections"]


def test_with_power_cuts_on_flash() -> None:
    changes = {"boards": 6, "hours": 0.2, "flash": 1.0, "engine": "connect_always"}
    events = [{"at_s": 200, "kind": "power_cut", "share": 1.0, "spread_s": 30.0}]
    wanted = scenario.load("power-cycled", events=events, **changes)
    first, second = run(wanted, 3), run(wanted, 3)
    assert first.report["fingerprint"] == second.report["fingerprint"]
    assert run(wanted, 4).report["fingerprint"] != first.report["fingerprint"]


def test_what_is_worked_out_once_for_all_receivers_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same history as where each of them works it out."""
    wanted = scenario.load("intel-lab", hours=0.03, settle_hours=0.02)
    short = run(wanted, 2, judge=False)
    assert mesh.check.cache_info().hits > 1000  # type: ignore[attr-defined]
    monkeypatch.setattr(memo, "share", lambda: None)
    for module, name in memo.SHARED:
        monkeypatch.setattr(module, name, getattr(module, name).__wrapped__)
    assert not [one for one in (mesh.check, frames.find, asks.decode_ack) if hasattr(one, "cache_info")]
    long = run(wanted, 2, judge=False)
    for key in ("fingerprint", "air", "engine_counts"):
        assert long.report[key] == short.report[key]
    assert short.report["readings"]["arrived"] > 50
