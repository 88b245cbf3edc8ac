"""Who is connected to this node."""

from collections.abc import Mapping
from typing import NamedTuple


class Remote(NamedTuple):
    """The other side of an open session: who it says to be, its role (hedgerow.sync.hello), and up to which
    number it has said to hold the operations of authors.
    """

    author: bytes
    name: str
    role: int
    offered: Mapping[bytes, int]
