from typing import Any

from .digests import Digests

class Answers(Digests):
    def heard_want(self, frame: bytes, now: int) -> None: ...
    def inquire(self, what: str, *given: object) -> Any: ...
