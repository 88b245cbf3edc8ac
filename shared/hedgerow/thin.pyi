from typing import Any, Final

from .summary import Summary

OLDEST: Final = "oldest"
THIN: Final = "thin"

class Plan:
    parts: list[tuple[int, int]]
    summary: Summary | None
    gain: int
    def __init__(
        self,
        peer: Any,
        parts: list[tuple[int, int]],
        summary: Summary | None,
        low: int,
        count: int,
        gain: int,
    ) -> None: ...
    def carry_out(self, now: int) -> None: ...

def put_skip(peer: Any, first: int, last: int, reason: int, summary: list[int] | None) -> None: ...
def finish(peer: Any) -> bool: ...
def find(peer: Any) -> Plan | None: ...
