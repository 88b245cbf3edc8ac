from collections.abc import Mapping
from typing import Any

from .sync.interest import Interest

def interest_of(text: str, parameters: Mapping[str, Any], hops: int) -> Interest: ...
