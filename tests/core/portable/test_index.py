"""The document index in RAM keeps the contract of every document index."""

from index_contract import CHECKS

from hedgerow.index import RamIndex


def test_contract() -> None:
    for check in CHECKS:
        check(RamIndex)
