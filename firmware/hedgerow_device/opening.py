"""Makes a board's node as its configuration says; given back once that is done."""

from hedgerow.errors import HedgerowError
from hedgerow.limits import const
from hedgerow.mesh.tag import mesh_key

from .node import Node

_DAY_MS = const(86400000)
# What a wake takes besides the window in which it listens.
_WAKE_MS = const(1000)
_BUDGET_BYTES = const(12)


def open_node(peer: object, settings: dict, now: int, on_error: object) -> Node:
    """Return the node of a peer. OSError without a radio; CONFIG_INVALID for a budget that cannot be kept."""
    sleeper = peer.sleeper
    budget = _budget(settings, now) if settings["budget_mah"] else None
    node = Node(
        peer,
        now,
        on_error,
        silence_ms=settings["radio_watchdog_s"] * 1000,
        key=mesh_key(settings["mesh"]),
        seal_ms=settings["seal_s"] * 1000,
        budget=budget,
        group=peer.keys and peer.keys.group,
    )
    if sleeper:
        state = sleeper.mesh_state
        sleeper.mesh_state = b""
        if budget and len(state) >= _BUDGET_BYTES:
            budget.restore(state[:_BUDGET_BYTES], now - sleeper.slept)
            budget.slept(sleeper.slept, now)
            state = state[_BUDGET_BYTES:]
        node.saved = state
    return node


def _budget(settings: dict, now: int) -> object:
    from hedgerow.mesh.budget import Budget, Profile

    period = settings["sleep_ms"] if settings["role"] == "leaf" else 0
    awake, wakes = 1000, 0
    if period:
        awake = min(1000, (settings["window_ms"] + _WAKE_MS) * 1000 // period)
        wakes = _DAY_MS // period
    budget = Budget(Profile(), settings["budget_mah"], now, awake, wakes)
    if not budget.possible:
        raise HedgerowError("CONFIG_INVALID", "budget_mah: being awake takes more")
    return budget
