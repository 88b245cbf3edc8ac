"""What all who hear a frame would work out alike is worked out once: a short cut of the simulator alone.

Only what depends on nothing but its arguments, and whose results nobody changes.
"""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any

from hedgerow.mesh import asks, frames, mesh, tells

#: More frames than are on the air between a frame's first event and its last.
_KEPT = 512
#: All who are heard.
_ADDRESSES = 20_000
#: What is shared: (module, name of a function).
SHARED = (
    (mesh, "check"),
    (mesh, "who_of"),
    (frames, "find"),
    (frames, "decode_state"),
    (asks, "decode_ack"),
    (tells, "decode_receipt"),
)


def share() -> None:
    """From now on, in this process."""
    for module, name in SHARED:
        function = getattr(module, name)
        if not hasattr(function, "cache_info"):
            size = _ADDRESSES if name == "who_of" else _KEPT
            setattr(module, name, _once(function, size))


def _once(function: Callable[..., Any], size: int) -> Callable[..., Any]:
    """A function that remembers `size` results, and the last one at hand: all who hear an event ask one after
    another, and where lru_cache is Python, as in PyPy, that spares most of what it costs."""
    kept = lru_cache(size)(function)
    last: tuple[Any, ...] | None = None
    found: Any = None

    @wraps(function)
    def asked(*arguments: Any) -> Any:
        nonlocal last, found
        if arguments != last:
            found = kept(*arguments)
            last = arguments
        return found

    asked.cache_info = kept.cache_info  # type: ignore[attr-defined]
    return asked
