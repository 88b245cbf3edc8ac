from typing import Any, Final

from .group import Group
from .mesh import Mesh

STRANGE: Final = 0
APART: Final = 1
NEWEST: Final = 2
BEFORE: Final = 3

class Epochs:
    group: Group
    def __init__(self, mesh: Mesh, group: Group, now: int) -> None: ...
    def look(self, now: int) -> None: ...
    def read(self, frame: bytes, address: Any, rssi: int, now: int) -> bytes: ...
    def sign(self, frame: bytes) -> bytes: ...
    def due(self, at: int) -> int: ...
