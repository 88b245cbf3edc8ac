"""The figures of the mesh, of runs that last for minutes: all of them are there, beside both baselines."""

from typing import Any

import pytest

from bench import mesh_faults, mesh_run
from hedgerow_sim import scenario


def test_a_fault_is_seen_beside_both_baselines() -> None:
    figures = {
        each["figure"].removeprefix("mesh.faults.partition."): each
        for each in mesh_faults.faults("partition", 0.01, 0.01)
    }
    assert figures["broken_invariants"]["value"] == figures["missing_per_1000"]["value"] == 0
    assert figures["backlog"]["value"] > 10
    assert set(figures["catch_up"]["beside"]) == {"advertising_bound", "link_bound"}
    for name in ("missing_per_1000", "latency_p99", "caught_up_rate", "charge_relay_day"):
        assert set(figures[name]["beside"]) == set(mesh_run.BASELINES), name
    for name in ("payloads_per_reading_hop", "events_per_reading_hop", "bytes_per_reading_hop"):
        assert figures[name]["value"] > figures[name]["beside"]["bound"] > 0
    assert figures["charge_relay_day_max"]["value"] >= figures["charge_relay_day"]["value"]


def test_a_part_of_a_scenario_has_its_events_as_much_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    """And who may never have everything there is not waited for longer than that."""
    given: dict[str, dict[str, Any]] = {}
    monkeypatch.setattr(
        mesh_run, "report", lambda _, engine, **changes: given.update({engine: changes}) or {}
    )
    whole = scenario.load("power-cycled")
    for engine in ("mesh", "naive_flood"):
        mesh_run.part("power-cycled", 0.1, engine)
    assert [event["at_s"] for event in given["mesh"]["events"]] == [360, 720, 1080]
    assert given["mesh"]["events"][0]["spread_s"] == whole.events[0].spread_s * 0.1
    assert (given["mesh"]["hours"], given["mesh"]["settle_hours"]) == (0.4, whole.settle_hours)
    assert given["naive_flood"]["settle_hours"] == 0.4


def test_a_failure_is_a_figure_and_says_how_to_repeat_it(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody hears the gateway: nothing arrives, and the goals are missed."""
    found = mesh_run.report("line", boards=2, hours=0.05, settle_hours=0.05, gateways=[[900.0, 0.0]])
    figures = {each["figure"]: each for each in mesh_run.common("mesh.line", found, {})}
    assert figures["mesh.line.broken_invariants"]["value"] == 1
    assert figures["mesh.line.missing_per_1000"]["value"] == 1000
    assert "repeat it with: hedgerow sim line --seed 1 --set" in capsys.readouterr().err
