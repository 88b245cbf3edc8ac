"""A few cases of tests/core/test_convergence.py, the same on every VM."""

from converge_kit import run_case

HEAP = "6m"


def test_fleets_come_to_the_same() -> None:
    for seed in range(4):
        run_case(seed, 3 + seed, 14)
