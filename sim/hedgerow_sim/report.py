"""What a run has shown, as one JSON object; counted from the air and from what stations hold."""

import hashlib
from collections import Counter
from typing import TYPE_CHECKING, Any

from hedgerow.sync.hello import LEAF
from hedgerow_sim import place
from hedgerow_sim.missing import missing

if TYPE_CHECKING:
    from hedgerow_sim.world import World

#: Octets of a legacy advertisement's data (Core 5.4, Vol 6 Part B 2.3).
ADVERTISEMENT_BYTES = 31
#: What a full legacy advertisement takes on one channel, in microseconds at 1 Mbit/s, times three channels.
EVENT_AIRTIME_US = 3 * 376
#: Advertising events a second that one place of the air carries well (SPEC 6.19.1).
EVENTS_PER_S = 100
#: 4 packets of 244 bytes of ours each connection interval of 30 ms.
LINK_BYTES_PER_S = 4 * 244 / 0.03
#: Events behind which what was held up goes on.
_BACK = ("heal", "gateway_up", "power_cut", "reboot")
ROLES = {0: "leaf", 1: "relay", 2: "gateway", 3: "keeper"}


def percentiles(values: list[float]) -> dict[str, float]:
    """Seconds below which so many of a hundred lie; {} of nothing."""
    if not values:
        return {}
    ordered = sorted(values)
    found = {
        f"p{share}": round(ordered[min(len(ordered) - 1, len(ordered) * share // 100)], 3)
        for share in (50, 90, 99)
    }
    return {**found, "max": round(ordered[-1], 3)}


def reach(world: "World") -> list[list[int]]:
    """For each radio, who hears a good half of what it says and is heard as well."""
    field = world.field
    floor = field.radio.sensitivity
    good = [{other for other, level in near if level >= floor} for near in field.neighbours]
    return [[other for other in near if node in good[other]] for node, near in enumerate(good)]


class Report:
    """Figures of a world at the end of a run; taken by result()."""

    def __init__(self, world: "World"):
        self._world = world
        self._reach = reach(world)
        gateways = [station.node for station in world.gateways]
        #: Hops of each radio to the nearest gateway, as everything stood at the beginning.
        self.hops = place.hops(self._reach, gateways)
        self._authors: dict[bytes, int] = {}

    def result(self, wall_s: float, cpu_s: float, failure: str = "") -> dict[str, Any]:
        """The report."""
        world = self._world
        audit = world.audit
        for station in world.boards:
            self._authors[station.storage.author()] = station.node
        hours = world.now / 3.6e9
        totals = world.field.totals()
        return {
            "scenario": world.scenario.name,
            "engine": world.scenario.engine,
            "seed": world.seed,
            "failure": failure,
            "replay": world.scenario.replay(world.seed),
            "boards": len(world.boards),
            "leaves": sum(board.role == LEAF for board in world.boards),
            "gateways": len(world.gateways),
            "hours": round(hours, 3),
            "wall_s": round(wall_s, 1),
            "cpu_s": round(cpu_s, 1),
            "neighbours": round(sum(map(len, self._reach)) / max(len(self._reach), 1), 1),
            "hops": self._hops(),
            "readings": {
                "acknowledged": len(audit.made),
                "arrived": len(audit.came),
                "receipted": len(audit.known),
                "gone": len(audit.gone),
                "refused": sum(board.refused for board in world.boards),
            },
            "missing": missing(world),
            "latency_s": percentiles([(audit.came[key] - audit.made[key]) / 1e6 for key in audit.came]),
            "receipt_s": percentiles([(audit.known[key] - audit.made[key]) / 1e6 for key in audit.known]),
            "catch_up": self._catch_up(),
            "document": self._document(),
            "connections": totals["connections"] // 2,
            "connections_per_1000_readings": round(500 * totals["connections"] / max(len(audit.came), 1), 2),
            "broken_sessions": audit.broken_sessions,
            "air": self._air(totals, hours),
            "charge_mah_per_day": self._charge(hours),
            "engine_counts": self._counts(),
            "checks": audit.checks,
            "fingerprint": self.fingerprint(),
        }

    def fingerprint(self) -> str:
        """The same for two runs with the same history."""
        audit = self._world.audit
        digest = hashlib.sha256()
        for moments in (audit.made, audit.came, audit.known):
            for (author, number), moment in moments.items():
                digest.update(b"%s %d %d " % (author, number, moment))
        return digest.hexdigest()[:16]

    def _hops(self) -> dict[str, Any]:
        found = [hop for hop in self.hops[: len(self._world.boards)] if hop is not None]
        return {
            "mean": round(sum(found) / max(len(found), 1), 2),
            "max": max(found, default=0),
            "unreachable": len(self._world.boards) - len(found),
        }

    def _reading_hops(self) -> int:
        """The least number of hops that what arrived has needed: one advertisement each at best."""
        return sum(
            self.hops[self._authors[author]] or 1
            for author, _ in self._world.audit.came
            if author in self._authors
        )

    def _air(self, totals: dict[str, Any], hours: float) -> dict[str, Any]:
        """What was said and what became of it, over reading-hops, beside the bound of one event a hop."""
        world = self._world
        hops = max(self._reading_hops(), 1)
        events = sum(totals["said"].values())
        said = world.audit.said_kinds
        radios = len(world.radios)
        seconds = max(hours * 3600, 1e-9)
        # The beacons of all are 31 octets but for the last bytes of short operations.
        size = events * ADVERTISEMENT_BYTES
        return {
            "events": events,
            "events_by_kind": dict(sorted(totals["said"].items())),
            "payloads_by_kind": dict(sorted(said.items())),
            "reading_hops": hops,
            "payloads_per_reading_hop": round(sum(said.values()) / hops, 3),
            "op_payloads_per_reading_hop": round(said.get("op", 0) / hops, 3),
            "events_per_reading_hop": round(events / hops, 3),
            "bytes_per_reading_hop": round((size + totals["link_bytes"]) / hops, 1),
            "bound_bytes_per_reading_hop": ADVERTISEMENT_BYTES,
            "airtime_share": round(totals["airtime_us"] / 1e6 / seconds / radios, 6),
            "airtime_ms_per_reading_hop": round(totals["airtime_us"] / 1000 / hops, 3),
            "bound_airtime_ms_per_reading_hop": EVENT_AIRTIME_US / 1000,
            "heard": totals["heard"],
            "lost": totals["lost"],
            "link_bytes": totals["link_bytes"],
        }

    def _charge(self, hours: float) -> dict[str, dict[str, float]]:
        """Mean and greatest charge by role, in mAh a day."""
        world = self._world
        taken: dict[str, list[float]] = {}
        for station in world.radios:
            charge = world.field.stats(station.node)["charge_mah"]
            taken.setdefault(ROLES[station.role], []).append(charge * 24 / max(hours, 1e-9))
        return {
            role: {"mean": round(sum(all_) / len(all_), 2), "max": round(max(all_), 2)}
            for role, all_ in taken.items()
        }

    def _catch_up(self) -> dict[str, float]:
        """After the last heal, return, boot: how long the backlog took, and what the radio needs at least."""
        world = self._world
        moments = [event.at_s + event.spread_s for event in world.scenario.events if event.kind in _BACK]
        if not moments:
            return {}
        back_us = round(max(moments) * 1e6)
        audit = world.audit
        late = [
            key
            for key, made in audit.made.items()
            if made <= back_us and audit.came.get(key, back_us + 1) > back_us
        ]
        arrived = [audit.came[key] for key in late if key in audit.came]
        return {
            "backlog": len(late),
            "missing": len(late) - len(arrived),
            "seconds": round((max(arrived) - back_us) / 1e6, 1) if arrived else 0.0,
            "bound_advertising_s": round(len(late) / EVENTS_PER_S / max(len(world.gateways), 1), 1),
            "bound_link_s": round(len(late) * 9 / LINK_BYTES_PER_S / max(len(world.gateways), 1), 1),
        }

    def _document(self) -> dict[str, float]:
        """How the settings came down."""
        documents = self._world.audit.documents
        if documents.written is None:
            return {}
        times = [
            (at - documents.written_us) / 1e6
            for node, at in documents.reached.items()
            if node in documents.wanted_by
        ]
        return {"wanted": len(documents.wanted_by), "reached": len(times), **percentiles(times)}

    def _counts(self) -> dict[str, int]:
        """The engines' own counters, summed over the stations that are on."""
        counts: Counter[str] = Counter()
        for station in self._world.radios:
            if station.on:
                counts.update(
                    {key: value for key, value in station.engine.stats.items() if isinstance(value, int)}
                )
        return dict(sorted(counts.items()))
