"""The log in memory keeps the contract of every log."""

from log_contract import CHECKS

from hedgerow.log import MemoryLog, MemoryStore


def _new() -> object:
    store = MemoryStore()
    return lambda: MemoryLog(store)


def test_contract() -> None:
    for check in CHECKS:
        check(_new)


def test_what_was_not_committed_is_gone() -> None:
    store = MemoryStore()
    log = MemoryLog(store)
    log.append(0, b"author-a", 1, 1, b"x")
    log.put(4, b"k", b"v")
    log = MemoryLog(store)
    assert log.held(b"author-a") == 0 and log.authors() == [] and log.get(4, b"k") is None
