"""The byte budgets for links, by the counters that the benchmark prints."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench import link


@pytest.mark.parametrize("measure", link.FIGURES, ids=[measure.__name__ for measure in link.FIGURES])
def test_budget_is_kept(measure: object) -> None:
    assert callable(measure)
    figures = measure()
    assert figures
    for figure in figures:
        assert set(figure) == {"figure", "value", "unit", "goal", "beside"}
        assert 0 < figure["value"] <= figure["goal"], figure


def test_the_count_is_of_every_byte() -> None:
    gateway, board = link.new_gateway(), link.new_board()
    link.record(board, link.series(5))
    count = link.exchange(gateway, board, 10_000_000)
    held = board.log.held(board.author)
    assert gateway.log.held(board.author) == held >= 6
    assert count.total > count.hello + count.seals + count.schemas > 0
    assert count.seal_count == gateway.log.sealed(board.author) // held + (count.seal_count > 1)
