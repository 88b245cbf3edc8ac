from collections.abc import Callable, Mapping
from typing import Any

from .application import ReadyPeer
from .query.live import Changes

class Observer:
    def __init__(
        self,
        peer: ReadyPeer,
        statement: tuple[Any, ...],
        parameters: Mapping[str, Any],
        on_change: Callable[[Changes], object],
    ) -> None: ...
    def touch(self, collection: str, document_id: object) -> None: ...
    def run(self) -> None: ...
