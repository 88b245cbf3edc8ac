"""Scenario files: those that come with Hedgerow are good, and what makes no sense is refused by name."""

from pathlib import Path

import pytest

from hedgerow.errors import HedgerowError
from hedgerow_sim import place, scenario
from hedgerow_sim.world import World


@pytest.mark.parametrize("name", scenario.names())
def test_each_comes_to_stand(name: str) -> None:
    found = scenario.load(name)
    assert found.about and found.name == name
    if found.boards <= 100:
        world = World(found, 1)
        assert len(world.boards) == found.boards
        assert bool(world.gateways) == (found.uplink != "none")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("boards = 0", "boards"),
        ("boards = 1.5", "boards"),
        ("boards = true", "boards"),
        ("lots = 1", "lots"),
        ("layout = 'ring'", "ring"),
        ("layout = 'file'", "file"),
        ("file = 'x.csv'", "file"),
        ("engine = 'magic'", "magic"),
        ("loss = 1.0", "loss"),
        ("gateways = [[1]]", "gateway"),
        ("gateways = 3", "gateways"),
        ("[[events]]\nat_s = 1", "kind"),
        ("[[events]]\nat_s = 1\nkind = 'flood'", "flood"),
        ("[[events]]\nat_s = -1\nkind = 'heal'", "event"),
        ("[[events]]\nat_s = 1\nkind = 'heal'\nwhen = 2", "when"),
        ("interference = 1", "interference"),
        ("[[interference]]\nidle_ms = 1", "busy_ms"),
        ("[[interference]]\nidle_ms = 0\nbusy_ms = 1", "interference"),
        ("boards =", "x.toml"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, text: str, word: str) -> None:
    path = tmp_path / "x.toml"
    path.write_text(text)
    with pytest.raises(HedgerowError) as caught:
        scenario.load(str(path))
    assert caught.value.code == "SCENARIO_INVALID" and word in caught.value.detail


def test_one_that_is_not_there() -> None:
    with pytest.raises(HedgerowError, match="SCENARIO_UNKNOWN.*intel-lab"):
        scenario.load("nowhere")


def test_a_missing_file_of_positions() -> None:
    found = scenario.parse({"layout": "file", "file": "none.csv"})
    with pytest.raises(HedgerowError, match="SCENARIO_INVALID"):
        World(found, 1)


def test_the_lab_has_its_54_motes() -> None:
    import random

    spots = place.boards(scenario.load("intel-lab"), random.Random(1))
    assert len(spots) == 54 and spots[0] == (21.5, 23.0) and spots[-1] == (26.5, 2.0)


def test_a_field_is_as_dense_as_it_says() -> None:
    import random

    found = scenario.parse({"layout": "field", "boards": 3000, "neighbours": 12.0, "range_m": 30.0})
    spots = place.boards(found, random.Random(1))
    inner = [
        (x, y)
        for x, y in spots
        if 60 < x < place.field_side(found) - 60 and 60 < y < place.field_side(found) - 60
    ]
    near = [sum((x - a) ** 2 + (y - b) ** 2 <= 900 for a, b in spots) - 1 for x, y in inner[:300]]
    assert 11 < sum(near) / len(near) < 13


def test_hops() -> None:
    assert place.hops([[1], [0, 2], [1], []], [0]) == [0, 1, 2, None]
