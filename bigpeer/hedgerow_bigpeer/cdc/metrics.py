"""Bridges in /metrics: how far each is behind, in changes and in time."""

from typing import Any

from ..service import Service
from . import table
from .table import Bridge

Key = tuple[str, int]


def _read(db: Any, key: Key) -> list[tuple[Bridge, tuple[int, int, int | None]]]:
    return [
        (bridge, table.counts(db, key, bridge.name, (bridge.transaction, bridge.seq)))
        for bridge in table.bridges(db, key)
    ]


async def bridge_metrics(service: Service) -> str:
    """Return the metrics of all bridges in the text format of Prometheus, "" if there are none."""
    rows = await service.store.transact(_read)
    if not rows:
        return ""
    now = service.clock.utc()
    found: dict[str, tuple[str, str, dict[str, float]]] = {
        "lag": ("gauge", "Changes that a bridge has not sent.", {}),
        "age_seconds": ("gauge", "Age of the oldest change that a bridge has not sent.", {}),
        "parked": ("gauge", "Events that a bridge has parked.", {}),
        "paused": ("gauge", "Whether a bridge is paused.", {}),
        "delivered_total": ("counter", "Events that a bridge has delivered.", {}),
    }
    for bridge, (parked, lag, first) in rows:
        label = f'{{bridge="{bridge.name}"}}'
        age = 0.0 if first is None else max(0, now - first) / 1000
        for name, value in (
            ("lag", lag),
            ("age_seconds", age),
            ("parked", parked),
            ("paused", bridge.paused),
            ("delivered_total", bridge.delivered),
        ):
            found[name][2][label] = value
    lines = []
    for name, (kind, about, values) in found.items():
        full = f"hedgerow_bigpeer_bridge_{name}"
        lines += [f"# HELP {full} {about}", f"# TYPE {full} {kind}"]
        lines += [f"{full}{label} {value}" for label, value in values.items()]
    return "\n".join(lines) + "\n"
