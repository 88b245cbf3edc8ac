"""A simulated world: stations, the air between them, uplinks, and what happens to them, on one queue."""

import random
from collections.abc import Callable
from functools import lru_cache
from hashlib import sha256
from typing import Any

from hedgerow import limits as core
from hedgerow.application import ReadyPeer
from hedgerow.codec.schema import STREAM
from hedgerow.mesh import pace
from hedgerow.mesh.budget import Budget
from hedgerow.mesh.tag import mesh_key
from hedgerow.operation import SOURCE_KEEPER
from hedgerow.peer import Peer
from hedgerow.sync.hello import GATEWAY, KEEPER, LEAF, RELAY
from hedgerow_boards.air import charge
from hedgerow_boards.air.bursts import Interference
from hedgerow_boards.air.field import Field
from hedgerow_boards.air.physics import Radio
from hedgerow_boards.air.tally import frame_kind
from hedgerow_sim import engine, faults, place
from hedgerow_sim.audit import Audit
from hedgerow_sim.baseline import Oracle
from hedgerow_sim.scenario import Scenario
from hedgerow_sim.station import COLLECTION, Station
from hedgerow_sim.uplink import Uplink

MESH = "simulated"
#: Virtual time zero, as ms since 2000.
UTC = 849_000_000_000
# A board carries so many open operations of one other author (hedgerow_device.device_peer).
_QUOTA = 2048
#: Whose currents the air reckons with, and budgets too.
PROFILE = "esp32c3"
# What a wake takes besides its window.
_WAKE_MS = 500


class World:
    """Everything of one run. `now` is in microseconds; the same scenario and seed give the same history."""

    def __init__(self, scenario: Scenario, seed: int):
        self.scenario = scenario
        self.seed = seed
        self.rng = random.Random(f"{seed} world")
        self.tag = sha256(b"hedgerow mesh " + MESH.encode()).digest()[:3]
        self.key = mesh_key(MESH)
        self.oracle = Oracle()
        self.audit = Audit(self)
        self.make_engine = engine.maker(scenario.engine, self.key, self.oracle)
        places = place.boards(scenario, self.rng)
        doors = place.gateways(scenario, places)
        self.places = places + doors
        kind = frame_kind if scenario.engine == "mesh" else _kind
        self.kind: Callable[[bytes], str] = lru_cache(1024)(kind)
        self.field = Field(
            self.places,
            seed=seed,
            radio=_radio(scenario),
            interference=_sources(scenario),
            profile=PROFILE,
            kind=self.kind,
        )
        self.readings_end_us = round(scenario.duration_s * 1e6)
        #: Of each node.
        self.addresses = [
            bytes([0]) + (0xC00000000000 + node).to_bytes(6, "big")
            for node in range(len(self.places) + scenario.big_peers)
        ]
        self.boards = [self._board(at) for at in range(len(places))]
        self.gateways = [
            self._station(len(places) + at, f"gateway-{at}", GATEWAY) for at in range(len(doors))
        ]
        self.big_peers: list[Station] = []
        if scenario.uplink == "big_peer" and doors:
            self.big_peers = [
                self._station(len(self.places) + at, f"big-peer-{at}", KEEPER)
                for at in range(scenario.big_peers)
            ]
        self.radios = self.boards + self.gateways
        self.stations = self.radios + self.big_peers
        self.field.ears = [station.hear for station in self.radios]
        self.by_address = {station.address: station for station in self.radios}
        self.uplinks: dict[int, Uplink] = {}
        #: The role from which on having an operation counts as its arrival.
        naive = scenario.engine == "naive_flood"
        self.counts_from = KEEPER if self.big_peers and not naive else GATEWAY

    @property
    def now(self) -> int:
        return self.field.now

    @property
    def keepers(self) -> list[Station]:
        """The stations whose word lets others forget."""
        return self.big_peers or self.gateways

    # ---- making it

    def _board(self, at: int) -> Station:
        leaf = self.rng.random() < self.scenario.leaves
        flash = self.rng.random() < self.scenario.flash
        return self._station(at, f"board-{at}", LEAF if leaf else RELAY, flash)

    def _station(self, node: int, name: str, role: int, flash: bool = False) -> Station:
        drift = self.scenario.drift_ppm if role < GATEWAY else 0
        return Station(self, node, name, role, self.rng.randint(-drift, drift), flash)

    def open_peer(self, station: Station) -> Any:
        """A peer on what a station's storage holds."""
        keeper = station.role == KEEPER or (station.role == GATEWAY and self.scenario.uplink == "keeper")
        options: dict[str, Any] = {
            "name": station.name,
            "role": station.role,
            "mesh": self.tag,
            "kinds": {COLLECTION: STREAM},
            "keeper": keeper,
            "credit": 1024 if station.role < GATEWAY else 65_536,
            "quota": _QUOTA if station.role < GATEWAY else core.MAX_NUMBER,
        }
        log = station.storage.open()
        # A log in memory has room for everything.
        peer: Any
        if station.storage.flash:
            peer = ReadyPeer(log, station.ms, **options)
        else:
            peer = Peer(log, station.ms(), **options)
        if keeper:
            peer.set_time(UTC + self.now // 1000, 20, SOURCE_KEEPER, station.ms())
        return peer

    def budget(self, station: Station) -> Any:
        """What a board is told to take a day, None for no such word."""
        scenario = self.scenario
        if not scenario.budget_mah or station.role >= GATEWAY:
            return None
        awake, wakes = 1000, 0
        if station.role == LEAF and scenario.reading_s:
            period_ms = scenario.reading_s * 1000
            awake = min(1000, round((pace.LEAF_WINDOW_MS + _WAKE_MS) * 1000 / period_ms))
            wakes = round(86_400_000 / period_ms)
        return Budget(charge.profile(PROFILE), round(scenario.budget_mah), station.ms(), awake, wakes)

    def start(self) -> None:
        """Switch everything on, boards at moments of chance."""
        for keeper in self.big_peers:
            keeper.on = True
            keeper.peer = self.open_peer(keeper)
            self.audit.booted(keeper)
        for gateway in self.gateways:
            gateway.boot()
            self.join_up(gateway)
        for board in self.boards:
            self.field.at(round(self.rng.uniform(0, self.scenario.boot_s) * 1e6), _first_boot, board)
        faults.plan(self)

    def join_up(self, gateway: Station) -> None:
        """Open a gateway's uplink to its Big Peer, if both are there."""
        if not self.big_peers or not gateway.on:
            return
        at = self.gateways.index(gateway)
        former = self.uplinks.get(at)
        if former and former.open:
            return
        self.uplinks[at] = Uplink(self, gateway, self.big_peers[at % len(self.big_peers)])

    def cut_uplink(self, gateway: Station) -> None:
        """End a gateway's uplink."""
        uplink = self.uplinks.pop(self.gateways.index(gateway), None)
        if uplink:
            uplink.close()

    # ---- running it

    def step(self, until_us: int) -> None:
        """Let time pass up to `until_us`."""
        self.field.step(until_us)


def _first_boot(board: Station) -> None:
    board.boot()
    board.begin_readings()


def _radio(scenario: Scenario) -> Radio:
    if scenario.disc:
        return Radio.disc(scenario.range_m, loss=scenario.loss)
    return Radio.reaching(scenario.range_m)._replace(loss=scenario.loss)


def _sources(scenario: Scenario) -> list[Interference]:
    return [
        Interference(one.idle_ms, one.busy_ms, one.level, (0, 1, 2), one.x, one.y, one.radius_m or None)
        for one in scenario.interference
    ]


def _kind(payload: bytes) -> str:
    """What the baselines say; the mesh's own frames the air knows."""
    return "state" if payload[-1] == 0 and payload[13:] == bytes(18) else "op"
