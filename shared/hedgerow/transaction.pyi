from types import TracebackType
from typing import Any, Literal

from .application import ReadyPeer
from .result import Result

class Transaction:
    number: int
    mutated: list[Any]
    def __init__(self, peer: ReadyPeer) -> None: ...
    def __enter__(self) -> Transaction: ...
    def execute(self, text: str, **parameters: Any) -> Result: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]: ...
