"""What pages draw: tables and plots of answers, the map of peers, and amounts in words."""

import json
from typing import Any

import pytest

from hedgerow.codec.decimal import Decimal
from hedgerow_bigpeer import limits
from hedgerow_bigpeer.pages import words
from hedgerow_bigpeer.pages.map import make_maps
from hedgerow_bigpeer.pages.table import make_table, plot_of


def test_tables_are_bounded() -> None:
    rows = [{"_id": n, **{f"c{m}": "x" * 1000 for m in range(50)}} for n in range(500)]
    table = make_table(rows, new=[1])
    assert (len(table.rows), table.total, len(table.columns)) == (
        limits.SHOWN_ROWS,
        500,
        limits.SHOWN_COLUMNS,
    )
    assert table.columns[0] == "_id" and [new for new, _ in table.rows[:3]] == [False, True, False]
    assert len(table.rows[0][1][1].text) == limits.SHOWN_CHARACTERS + 1


def test_readings_have_a_plot() -> None:
    at = "2026-06-01T00:00:0{}.000Z"
    rows = [
        {"_id": 1, "board": "a", "n": 1, "t": Decimal(215, -1), "_time": at.format(2), "_time_error_ms": 7},
        {"_id": 2, "board": "b", "n": 1, "t": 20, "_time": at.format(1)},
        {"_id": 3, "board": "a", "n": 2, "t": float("inf"), "_time": at.format(3)},
        {"_id": 4, "board": "a", "n": 2, "t": "warm", "_time": "yesterday"},
    ]
    found = json.loads(plot_of(rows))
    assert found == {
        "field": "t",
        "names": ["a", "b"],
        "data": [[1780272001.0, 1780272002.0], [None, 21.5], [20.0, None]],
    }
    assert plot_of(rows[:1]) == "" and plot_of([]) == ""


def row(name: str, place: str, **more: Any) -> dict[str, Any]:
    nothing = {"author": name.encode().hex(), "overdue": False, "refused": None, "connected": False}
    return {"name": name, "place": place, **nothing, "last_seen": "2026-06-01T00:00:00.000Z", **more}


def test_a_map_keeps_directions_distances_and_its_edges() -> None:
    (drawn,) = make_maps([row("a", "0,0"), row("b", "300,0"), row("c", "0,100", overdue=True)], 900, 400)
    a, b, c = drawn.dots
    assert b.x > a.x and abs(b.y - a.y) < 0.2 and c.y < a.y and abs(c.x - a.x) < 0.2
    assert abs((b.x - a.x) / 3 - (a.y - c.y)) < 0.2, "one unit in both directions"
    assert (a.state, c.state) == ("well", "overdue")
    metres = float(drawn.scale.removesuffix(" m"))
    assert abs(drawn.bar / metres - (b.x - a.x) / 300) < 0.01
    for dot in drawn.dots:
        assert 0 < dot.x < 900 and 0 < dot.y < 400


def test_a_map_of_the_earth_is_of_its_size_there() -> None:
    (drawn,) = make_maps(
        [row("a", "geo:60,10"), row("b", "geo:60,10.01"), row("c", "geo:60.01,10")], 900, 400
    )
    a, b, c = drawn.dots
    assert abs((b.x - a.x) / (a.y - c.y) - 0.5) < 0.01, "at 60 degrees a degree of longitude is half as long"
    # One place, and many on one spot, are a map too; labels that would cover others are left out.
    (single,) = make_maps([row("a", "geo:60,10")], 900, 400)
    assert (single.dots[0].x, single.dots[0].y) == (450, 200)
    (crowd,) = make_maps([row(f"board {n}", "1,1") for n in range(20)], 360, 360)
    assert sum(bool(dot.label) for dot in crowd.dots) <= 2
    assert make_maps([row("a", "the barn"), row("b", "")], 900, 400) == []


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (172_799, "47 h"),
        (172_800, "2 d"),
    ],
)
def test_spans(seconds: float, text: str) -> None:
    assert words.span(seconds) == text


def test_other_words() -> None:
    assert (words.count(1234567), words.count(None)) == ("1\u202f234\u202f567", "–")
    assert (words.volts({"voltage_mv": 3712}), words.volts({}), words.volts(None)) == ("3.71 V", "", "")
    assert (words.kibibytes(40960), words.kibibytes(None), words.moment(None)) == ("40 KiB", "", "–")
