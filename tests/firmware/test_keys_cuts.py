"""Power cuts in a workload of the document index: what is in the log is found after any cut."""

import pytest
from keys_cuts import record, survive, torn_cells

from hedgerow.errors import HedgerowError
from hedgerow_sim.nor import NorError


def cut_everywhere(seed: int, laps: float, every: int) -> int:
    trace, frames = record(seed, laps)
    assert frames > 12
    cuts = 0
    for index, operation, model, torn in torn_cells(trace, every):
        try:
            survive(torn, index)
        except (AssertionError, HedgerowError, NorError, ValueError) as error:
            raise AssertionError(f"operation {index} {operation[:3]}, {model}: {error!r}") from error
        cuts += 1
    return cuts


@pytest.mark.parametrize("seed", range(2))
def test_cuts_at_sampled_operations(seed: int) -> None:
    assert cut_everywhere(seed, 2.2, 11) > 150


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 8))
def test_cuts_at_every_operation(seed: int) -> None:
    assert cut_everywhere(seed, 1.8, 1) > 900
