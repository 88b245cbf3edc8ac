"""How a run went: its state at equal distances in virtual time."""

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hedgerow_sim.world import World


@dataclass
class Curve:
    """Parallel lists: hours, readings acknowledged, arrived and known to be receipted, airtime (s) and charge
    (mAh) of all stations so far, and advertising events."""

    hours: list[float] = field(default_factory=list)
    made: list[int] = field(default_factory=list)
    came: list[int] = field(default_factory=list)
    known: list[int] = field(default_factory=list)
    airtime_s: list[float] = field(default_factory=list)
    charge_mah: list[float] = field(default_factory=list)
    events: list[int] = field(default_factory=list)

    def sample(self, world: "World") -> None:
        """Add the present point."""
        audit = world.audit
        totals = world.field.totals()
        self.hours.append(round(world.now / 3.6e9, 6))
        self.made.append(len(audit.made))
        self.came.append(len(audit.came))
        self.known.append(len(audit.known))
        self.airtime_s.append(totals["airtime_us"] / 1e6)
        self.charge_mah.append(totals["charge_mah"])
        self.events.append(sum(totals["said"].values()))

    def events_per_s(self, begin_h: float, end_h: float) -> float:
        """Advertising events of all a second, from one moment to another."""
        at = [bisect_left(self.hours, hour, hi=len(self.hours) - 1) for hour in (begin_h, end_h)]
        first, last = at
        seconds = (self.hours[last] - self.hours[first]) * 3600
        return round((self.events[last] - self.events[first]) / seconds, 2) if seconds else 0.0
