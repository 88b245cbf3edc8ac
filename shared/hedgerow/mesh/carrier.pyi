from typing import Any

from .talk import Talk

class Carrier(Talk):
    wishes: Any
    code: Any
    tail_at: Any
