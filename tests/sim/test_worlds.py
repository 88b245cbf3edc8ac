"""Short seeded worlds on the mesh engine, each with its own trouble: what has to hold, holds."""

import math
from typing import Any

import pytest

from hedgerow_sim import limits, scenario
from hedgerow_sim.missing import missing
from hedgerow_sim.report import reach
from hedgerow_sim.run import Outcome, run
from hedgerow_sim.world import World

#: Of each: (scenario, what is changed to make it last for seconds).
WORLDS: dict[str, tuple[str, dict[str, Any]]] = {
    "line": ("line", {"hours": 0.25}),
    "gateway as keeper": ("no-big-peer", {"hours": 0.25}),
    "lab": ("intel-lab", {"boards": 16, "hours": 0.2}),
    "sleeping leaves": ("intel-lab-leaves", {"boards": 12, "hours": 0.2}),
}


def _live(name: str, seed: int = 1, **changes: Any) -> Outcome:
    outcome = run(scenario.load(name, **changes), seed)
    assert not outcome.failure, f"{outcome.failure}; {outcome.replay}"
    return outcome


@pytest.mark.parametrize("world", WORLDS)
def test_all_arrives(world: str) -> None:
    name, changes = WORLDS[world]
    report = _live(name, settle_hours=2.0, **changes).report
    readings = report["readings"]
    assert readings["acknowledged"] == readings["arrived"] == readings["receipted"] > 40
    assert not report["broken_sessions"] and report["hops"]["max"] > 1


def test_a_crowd_in_which_everybody_hears_everybody() -> None:
    """The channel stays usable: each says the less the more there are."""
    changes = {"boards": 70, "hours": 0.1, "settle_hours": 1.5, "boot_s": 60.0, "start_s": 120.0}
    report = _live("crowd-500", reading_s=120.0, **changes).report
    boots, settled = report["air"]["events_per_s"]
    assert settled < 40 < boots < 150, (boots, settled)
    assert report["neighbours"] == 70 and report["latency_s"]["p90"] < 30


def test_relays_on_a_budget() -> None:
    """A day's charge is spent evenly, but for an hour's ahead: all arrives, for half of what it took."""
    outcome = _live("budget", boards=4, hours=2.0, settle_hours=2.0, budget_mah=700.0)
    report = outcome.report
    awake = 25.0
    even = (700 - awake * 24) / 24
    most = awake * report["hours"] + even * (report["hours"] + 1)
    for board in outcome.world.boards:
        assert outcome.world.field.stats(board.node)["charge_mah"] < most * 1.02, board.name
    assert report["readings"]["arrived"] == report["readings"]["receipted"] >= 28


def test_boards_that_are_carried_about() -> None:
    """Half of them walk for half a minute each, while the others go on, and come to hear others."""
    events = [{"at_s": 300, "kind": "move", "share": 0.5, "spread_s": 1200.0, "metres": 30.0}]
    outcome = _live("moving", settle_hours=2.0, boards=12, hours=0.6, events=events)
    before = World(outcome.world.scenario, 1)
    moved = [
        math.dist(here, there)
        for here, there in zip(outcome.world.places, before.places, strict=True)
        if here != there
    ]
    assert len(moved) == 6 and all(abs(metres - 30) < 1e-6 for metres in moved)
    changed = zip(reach(outcome.world), reach(before), strict=True)
    assert sum(there != here for there, here in changed) > 6
    readings = outcome.report["readings"]
    assert readings["acknowledged"] == readings["arrived"] == readings["receipted"] > 150


def test_power_cuts_inside_the_flash() -> None:
    """Boards on their own log code lose power in the middle of a program, boots included."""
    events = [
        {"at_s": at, "kind": "power_cut", "share": 0.7, "spread_s": 60.0} for at in (300, 500, 700, 900)
    ]
    outcome = _live("power-cycled", boards=10, hours=0.3, settle_hours=2.0, flash=0.6, events=events)
    boards = outcome.world.boards
    torn = [board for board in boards if board.storage.flash and board.storage.cuts_inside]
    assert torn and sum(board.boots for board in boards) > 30
    assert outcome.report["readings"]["arrived"] > 40
    late = outcome.report["catch_up"]
    assert late["missing"] == 0 and late["bound_advertising_s"] < 1


def test_partition_and_heal() -> None:
    events = [{"at_s": 300, "kind": "partition", "x": 20.0}, {"at_s": 1500, "kind": "heal"}]
    report = _live(
        "partition", boards=13, hours=0.55, settle_hours=2.0, reading_s=120.0, events=events
    ).report
    late = report["catch_up"]
    assert late["backlog"] > 20 and late["missing"] == 0


def test_a_gateway_that_goes_and_comes_back() -> None:
    events = [{"at_s": 300, "kind": "gateway_down"}, {"at_s": 1800, "kind": "gateway_up"}]
    changes = {"boards": 12, "hours": 0.6, "settle_hours": 2.0, "reading_s": 120.0, "events": events}
    report = _live("gateway-lost", **changes).report
    assert report["catch_up"]["backlog"] > 40 and report["catch_up"]["missing"] == 0


def test_relays_that_are_full_drop_what_is_others_and_get_it_again() -> None:
    """The gateway is gone for longer than their flash holds all: each keeps its own, holes are refilled."""
    events = [{"at_s": 120, "kind": "gateway_down"}, {"at_s": 2100, "kind": "gateway_up"}]
    changes = {"boards": 4, "hours": 0.6, "settle_hours": 2.0, "reading_s": 10.0, "flash": 1.0, "sectors": 12}
    outcome = _live("gateway-lost", events=events, **changes)
    boards = outcome.world.boards
    assert not sum(board.refused for board in boards)
    assert all(board.peer.log.cuts for board in boards), [len(board.peer.log.cuts) for board in boards]
    readings = outcome.report["readings"]
    assert readings["acknowledged"] == readings["arrived"] == readings["receipted"] > 800


@pytest.mark.parametrize("flash", [0.0, 1.0])
def test_boards_that_lose_their_flash(flash: float) -> None:
    """They begin anew under another name; what others hold of them arrives, what nobody had is told."""
    events = [{"at_s": 600, "kind": "lose_flash", "share": 0.4, "spread_s": 300.0}]
    changes = {"boards": 10, "hours": 0.5, "settle_hours": 2.0, "flash": flash, "events": events}
    outcome = _live("line", expect_connections=-1, **changes)
    world = outcome.world
    assert len(world.audit.ended) == 4
    readings = outcome.report["readings"]
    assert readings["acknowledged"] == readings["arrived"] > 250
    assert readings["gone"] == len(world.audit.gone) < 12
    # Of each name that is over something has arrived.
    assert world.audit.ended <= {author for author, _ in world.audit.came}


def test_a_big_peer_that_goes_on_from_a_backup() -> None:
    """It is another incarnation, whose receipts alone count: all that boards still have of it comes again."""
    events = [{"at_s": 300, "kind": "backup"}, {"at_s": 1500, "kind": "restore"}]
    outcome = _live("line", hours=0.6, settle_hours=3.0, events=events, expect_connections=-1)
    world = outcome.world
    assert world.big_peers[0].peer.log.incarnation == 2
    came = [made for key, made in world.audit.made.items() if made < 1500e6 < world.audit.came[key]]
    assert len(came) > 80, len(came)
    readings = outcome.report["readings"]
    assert readings["acknowledged"] == readings["arrived"] == readings["receipted"] > 170
    assert not readings["gone"]


def test_others_in_the_band() -> None:
    report = _live("interference", boards=12, hours=0.4, settle_hours=2.0).report
    assert report["air"]["lost"]["interference"] > 1000
    assert report["readings"]["acknowledged"] == report["readings"]["receipted"] > 100


def test_two_gateways_and_two_big_peers() -> None:
    events = [{"at_s": 300, "kind": "gateway_down"}, {"at_s": 900, "kind": "gateway_up"}]
    _live("two-gateways", boards=16, hours=0.4, settle_hours=2.0, events=events)


def test_settings_that_are_written_again_are_pushed_down_the_line() -> None:
    """Those who want them ask for them each five minutes only."""
    events = [
        {"at_s": at, "kind": kind, "share": 1.0}
        for at, kind in ((60, "want"), (300, "document"), (800, "document"))
    ]
    found = _live("document", hours=0.3, settle_hours=2.0, events=events).report["document"]
    assert found["wanted"] == found["reached"] == 5 and found["max"] < 60


def test_what_did_not_arrive_is_named_with_the_reason() -> None:
    events = [{"at_s": 120, "kind": "gateway_down"}]
    changes = {"boards": 3, "hours": 0.1, "settle_hours": 0.02, "disc": True, "events": events}
    outcome = run(scenario.load("line", **changes), 1)
    report = outcome.report
    readings = report["readings"]
    named = report["missing"]
    assert len(named) == min(readings["acknowledged"] - readings["arrived"], limits.NAMED) > 5
    assert all(line in outcome.failure and "hold it, and no gateway does" in line for line in named)
    assert {line.split()[0] for line in named} == {"board-0", "board-1", "board-2"}
    for board in outcome.world.boards:
        board.cut()
    assert all(line.endswith("its board is off") for line in missing(outcome.world))
    # Of what does arrive there is nothing to say.
    assert not run(scenario.load("line", boards=2, hours=0.05), 1).report["missing"]


def test_without_anybody_to_bring_it_to_everything_is_held() -> None:
    outcome = _live("no-gateway", boards=6, hours=0.5)
    for board in outcome.world.boards:
        assert board.peer.log.held(board.peer.author) >= board.readings > 10
        assert not outcome.report["readings"]["receipted"]
