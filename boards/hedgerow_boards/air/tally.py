"""Statistics per node: what it said and heard, what it lost and why, and what that cost."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from hedgerow.mesh.budget import Profile
from hedgerow_boards.air import charge
from hedgerow_boards.air.physics import CHANCE, COLLISION, INTERFERENCE, WEAK

# Causes of loss beside those of the physics.
NOT_LISTENING = 5
OWN_TRANSMISSION = 6
NO_BUFFER = 7
CAUSES = {
    WEAK: "weak",
    COLLISION: "collision",
    INTERFERENCE: "interference",
    CHANCE: "chance",
    NOT_LISTENING: "not_listening",
    OWN_TRANSMISSION: "own",
    NO_BUFFER: "no_buffer",
}

# States of a node's power.
OFF = 0
ON = 1
ASLEEP = 2
STATES = {"off": OFF, "on": ON, "sleep": ASLEEP}

_KINDS = (
    "state",
    "op",
    "want",
    "have",
    "receipt",
    "time",
    "announce",
    "letter_up",
    "letter_down",
    "ack",
    "call",
)
_OURS = b"\xff\xff\xff"  # AD type and company, SPEC 6


def frame_kind(payload: bytes) -> str:
    """The name of the kind of an advertisement's payload; `other` for what is not ours (SPEC 6)."""
    at = 0
    while at + 4 < len(payload):
        if payload[at + 1 : at + 4] == _OURS:
            kind = payload[at + 4] & 15
            return _KINDS[kind] if kind < len(_KINDS) else f"kind_{kind}"
        at += payload[at] + 1
    return "other"


class Tally:
    """Of nodes 0 to n - 1, in lists by node, so that counting is cheap; `report` puts one node's together."""

    def __init__(self, profiles: Iterable[Profile] = ()) -> None:
        self.profiles: list[Profile] = []
        self.said: list[Counter[str]] = []
        self.events: list[int] = []
        self.airtime: list[int] = []
        self.heard: list[int] = []
        self.lost: list[list[int]] = [[] for _ in range(len(CAUSES) + 1)]
        self.connections: list[int] = []
        self.link_packets: list[int] = []
        self.link_bytes: list[int] = []
        self.wakes: list[int] = []
        self._state: list[int] = []
        self._share: list[float] = []
        self._links: list[int] = []
        self._since: list[int] = []
        self._spent: list[list[float]] = []  # us on, with a window open, connected, asleep
        for board in profiles:
            self.add(board)

    def add(self, board: Profile, now: int = 0) -> int:
        """One node more, on from `now`; its number."""
        self.profiles.append(board)
        self.said.append(Counter())
        counts = (self.events, self.airtime, self.heard, self.connections, self.link_packets, self.link_bytes)
        for count in (*counts, self.wakes, self._links, *self.lost):
            count.append(0)
        self._state.append(ON)
        self._share.append(0.0)
        self._since.append(now)
        self._spent.append([0.0, 0.0, 0.0, 0.0])
        return len(self.profiles) - 1

    def say(self, node: int, kind: str, airtime: int) -> None:
        """One advertising event of three packets of `airtime` us."""
        self.said[node][kind] += 1
        self.events[node] += 1
        self.airtime[node] += 3 * airtime

    def power(self, node: int, state: int, now: int) -> None:
        """The node is on, asleep or off from now on."""
        self._settle(node, now)
        self.wakes[node] += self._state[node] == ASLEEP and state == ON
        self._state[node] = state

    def listens(self, node: int, share: float, now: int) -> None:
        """Its scan windows are open for this share of time from now on."""
        self._settle(node, now)
        self._share[node] = share

    def link(self, node: int, change: int, now: int) -> None:
        """It has one link more (1) or less (-1)."""
        self._settle(node, now)
        self._links[node] += change
        self.connections[node] += change > 0

    def _settle(self, node: int, now: int) -> None:
        elapsed = now - self._since[node]
        self._since[node] = now
        state, spent = self._state[node], self._spent[node]
        if state == ON:
            spent[0] += elapsed
            spent[1] += elapsed * self._share[node]
            spent[2] += elapsed * (self._links[node] > 0)
        elif state == ASLEEP:
            spent[3] += elapsed

    def charge(self, node: int, now: int) -> dict[str, float]:
        """mAh so far, by what took them."""
        self._settle(node, now)
        on, scan, connected, asleep = self._spent[node]
        return charge.charge_mah(
            self.profiles[node],
            on_us=on,
            scan_us=scan,
            advertisements=self.events[node],
            connected_us=connected,
            sleep_us=asleep,
            wakes=self.wakes[node],
        )

    def report(self, node: int, now: int) -> dict[str, Any]:
        """All of one node: said by kind (advertising events), airtime_us, heard, lost by cause, connections,
        link_packets, link_bytes, charge (mAh by what took it) and charge_mah."""
        parts = self.charge(node, now)
        return {
            "said": dict(self.said[node]),
            "airtime_us": self.airtime[node],
            "heard": self.heard[node],
            "lost": {name: self.lost[cause][node] for cause, name in CAUSES.items()},
            "connections": self.connections[node],
            "link_packets": self.link_packets[node],
            "link_bytes": self.link_bytes[node],
            "charge": parts,
            "charge_mah": sum(parts.values()),
        }


def total(reports: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Reports of nodes, added up."""
    summed: dict[str, Any] = {}
    for report in reports:
        for key, value in report.items():
            if isinstance(value, dict):
                into = summed.setdefault(key, {})
                for name, count in value.items():
                    into[name] = into.get(name, 0) + count
            else:
                summed[key] = summed.get(key, 0) + value
    return summed
