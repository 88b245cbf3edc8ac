"""What a person who watches the demo is told: how far each board is, and what is waited for."""

import io

from rich.console import Console

from hedgerow_cli.demo.table import Row, Screen


def row(name: str, *counts: int, time_wrong: int = 0) -> Row:
    recorded, at_gateway, at_big_peer, receipted = counts
    return Row(name, 40, recorded, at_gateway, at_big_peer, receipted, 9, 1, 0.5, "", time_wrong)


def shown(*rows: Row, terminal: bool = False) -> str:
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=200)
    with Screen(console, 40 * len(rows)) as screen:
        screen.show(list(rows), 3, final=True)
    return text.getvalue()


def test_what_a_board_waits_for_is_counted_where_it_lies() -> None:
    assert row("b", 40, 40, 40, 40).waits_for == ""
    assert row("b", 38, 30, 27, 20).waits_for == (
        "2 to record, 8 to reach the gateway, 3 to reach the Big Peer, 7 without receipt"
    )
    assert row("b", 40, 40, 40, 40, time_wrong=4).waits_for == "4 without the right time"
    # A receipt may be heard of before the gateway's page was asked again.
    assert row("b", 40, 30, 35, 40).waits_for == "10 to reach the gateway"


def test_a_line_names_who_is_waited_for_once_all_is_recorded() -> None:
    line = shown(row("b1", 40, 40, 40, 40), row("b2", 40, 33, 33, 30))
    assert line.rstrip().endswith("connections 3; b2: 7 to reach the gateway, 3 without receipt")
    assert "b1:" not in line
    assert shown(row("b1", 40, 40, 40, 40), row("b2", 39, 33, 33, 30)).rstrip().endswith("connections 3")


def test_the_table_says_it_in_the_rows_of_those_who_are_waited_for() -> None:
    table = shown(row("b1", 40, 40, 40, 40), row("b2", 40, 33, 33, 30), terminal=True)
    of_b1, of_b2 = ([line for line in table.splitlines() if name in line] for name in ("b1", "b2"))
    assert of_b1 and of_b2
    assert all("7 to reach the gateway, 3 without receipt" in line for line in of_b2)
    assert not any("without" in line for line in of_b1)
