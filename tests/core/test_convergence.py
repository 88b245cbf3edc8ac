"""Peers of every kind, with everything that may go wrong, come to the same documents: those of the model.

HEDGEROW_EXAMPLES sets how much is played, 15 to a case; HEDGEROW_SEED plays one case alone, and says its
steps: `HEDGEROW_SEED=1234 pytest tests/core/test_convergence.py -s`.
"""

import os

import pytest
from converge_kit import run_case

CASES = int(os.environ.get("HEDGEROW_EXAMPLES", "1000")) // 15
SEED = os.environ.get("HEDGEROW_SEED")
SHARDS = 4


def play(seed: int, say: object = None) -> None:
    try:
        run_case(seed, 3 + seed % 6, 20 + seed % 50, say=say)
    except Exception as error:
        again = f"HEDGEROW_SEED={seed} pytest tests/core/test_convergence.py -s"
        raise AssertionError(f"seed {seed} ({again}): {error}") from error


@pytest.mark.parametrize("shard", range(SHARDS) if SEED is None else [])
def test_all_come_to_the_same(shard: int) -> None:
    for seed in range(shard, CASES, SHARDS):
        play(seed)


if SEED is not None:

    def test_one_case() -> None:
        play(int(SEED or "0"), print)
