"""What an attacked field costs: a radio without the mesh's key begins handshakes for a virtual hour, as fast
as it can connect, beside the same hour without it.
"""

import os
import struct
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

from hedgerow.crypto import edhoc
from hedgerow.crypto.channel import Answering, Member
from hedgerow.crypto.ephemeral import Ephemerals
from hedgerow.crypto.greeting import END, Greeting
from hedgerow.crypto.handshake import Gate, Own
from hedgerow.crypto.port import P256, finish
from hedgerow.mesh.frames import CALL, advertise, make
from hedgerow.mesh.tells import encode_call
from hedgerow.sync.exchange import Exchange
from hedgerow_sim import limits, scenario
from hedgerow_sim.run import Outcome, run
from hedgerow_sim.scenario import Scenario
from hedgerow_sim.station import Station
from hedgerow_sim.world import World

from .figure import Figure, figure

#: A seal comes an hour after the first reading, so that the world lasts longer than that.
BOARDS, HOURS, HOUR_US = 12, 0.5, 3_600_000_000
_CALL_S, _FASTEST_US = 5, 20_000
_CONNECT_US, _PAUSE_US = 700_000, 20_000


def message_1() -> bytes:
    """Return the first message of a stranger, as the only part of its record."""
    message = edhoc.message_1((edhoc.SUITE,), os.urandom(32), b"\1")
    return struct.pack(">HB", 1 + len(message), END) + message


class Attempt:
    """A connection of the attacker with a board, which answers as one with keys does."""

    up = True

    def __init__(self, flood: "Flood", other: Station, link: Any) -> None:
        self.flood, self.other, self.link = flood, other, link
        self.central = flood
        self.over = False
        self.exchange: Exchange | None = None
        link.received = self._received
        other.accept(self)  # type: ignore[arg-type]
        if not self.over:
            world = other.world
            self.keys = Greeting(Answering(flood.member, other.ms()), False, False)
            self.exchange = Exchange(other.peer, other.ms(), linger_ms=None, keys=self.keys)
            setup = limits.SETUP_ROUND_TRIPS * 2 * limits.CONNECTION_INTERVAL_US
            world.field.at(world.now + setup, lambda _: link.send(flood.node, message_1()), None)

    def _received(self, link: Any, node: int, data: bytes) -> None:
        if self.over or node != self.other.node or self.exchange is None:
            return
        now = self.other.ms()
        self.exchange.receive(data, now)
        while self.exchange.outgoing(limits.RECORD_BYTES, now) or self.exchange.session.keys.working:
            pass
        error = self.exchange.session.error
        self.flood.answers[error.code if error else ""] += 1
        self.end(False)

    def end(self, well: bool) -> None:
        """It is over, for whatever reason."""
        if self.over:
            return
        self.over = True
        if self.exchange is not None:
            self.keys.channel.close()
        self.other.released(self, None, False)  # type: ignore[arg-type]
        if self.link.open:
            self.other.world.field.at(self.other.world.now, lambda _: self.link.close(), None)
        self.flood.go_on()


class Flood(Station):
    """The attacker, in the place of a gateway: it calls each board in turn, and connects."""

    def prepare(self) -> None:
        p256 = P256(os.urandom)
        gate = Gate([b"the key that no stranger has ..."])
        private, _ = finish(p256.make_key())
        own = Own(private, b"a credential", b"its name")
        self.member = Member(own, Ephemerals(p256), None, gate, os.urandom, [0, bytes(8)])
        p256.multiplications = 0
        self.p256 = p256
        self.attempts = 0
        self.answers: Counter[str] = Counter()
        self.engine = cast(Any, SimpleNamespace(stats={}))
        self.turn = 0

    def boot(self) -> None:
        self.on = True
        self.world.field.power(self.node, "on")
        self.go_on()

    def hear(self, *_: Any) -> None:
        """It has heard enough."""

    def go_on(self) -> None:
        self.world.field.at(self.world.now + _PAUSE_US, self._call, None)

    def _call(self, _: None) -> None:
        world = self.world
        self.turn += 1
        board = world.boards[self.turn % len(world.boards)]
        if not board.on or board.peer is None:
            self.go_on()
            return
        body = encode_call(board.peer.author, os.urandom(3), _CALL_S)
        payload = advertise(make(CALL, world.tag, body, world.key))
        world.field.say(self.node, payload, 2, _FASTEST_US, False, lambda _: self._connect(board))

    def _connect(self, board: Station) -> None:
        self.world.field.connect(
            self.node, board.node, lambda link: self._made(board, link), self._lost, _CONNECT_US,
            limits.CONNECTION_INTERVAL_US, limits.SUPERVISION_US,
        )  # fmt: skip

    def _made(self, board: Station, link: Any) -> None:
        self.attempts += 1
        self.attempt = Attempt(self, board, link)

    def _lost(self, link: Any, reason: Any = None) -> None:
        if link is None:
            self.go_on()
        else:
            self.attempt.end(False)


class Besieged(World):
    """A world whose second gateway is none."""

    def __init__(self, wanted: Scenario, seed: int) -> None:
        super().__init__(wanted, seed)
        self.flood = self.gateways.pop()
        assert isinstance(self.flood, Flood)
        self.stations.remove(self.flood)
        self.flood.prepare()

    def _station(self, node: int, name: str, role: int, flash: bool = False) -> Station:
        if name == "gateway-1":
            return Flood(self, node, name, role, 0)
        return super()._station(node, name, role, flash)

    def start(self) -> None:
        super().start()
        self.flood.boot()


def hour(*, besieged: bool) -> Outcome:
    places = [[15.0, 8.0], [20.0, 10.0]][: 1 + besieged]
    wanted = scenario.load(
        "line", layout="field", boards=BOARDS, hours=HOURS, settle_hours=2.0, range_m=40.0, gateways=places,
        reading_s=60.0, expect_connections=-1,
    )  # fmt: skip
    outcome = run(wanted, 5, make=Besieged if besieged else World)
    assert not outcome.failure, f"{outcome.failure}; {outcome.replay}"
    assert outcome.world.now > HOUR_US
    return outcome


def charge_of(outcome: Outcome) -> float:
    """Return the mean current of all boards together, in mAh per microsecond."""
    world = outcome.world
    spent = [world.field.stats(board.node)["charge_mah"] for board in world.boards]
    return float(sum(spent)) / world.now


def flood() -> list[Figure]:
    """An hour of a reading a minute of each board; the mean current is of a board."""
    calm, stormy = hour(besieged=False), hour(besieged=True)
    readings = stormy.report["readings"]
    current = [HOUR_US * charge_of(outcome) / BOARDS for outcome in (calm, stormy)]
    attempts = stormy.world.flood.attempts  # type: ignore[attr-defined]
    return [
        figure("security.flood.handshakes", attempts, "1", None),
        figure(
            "security.flood.readings_missing",
            readings["acknowledged"] - readings["receipted"],
            "1",
            0,
            {"recorded": readings["acknowledged"]},
        ),
        figure("security.flood.current", current[1], "mA", 1.2 * current[0], {"calm": current[0]}),
    ]


FIGURES: list[Callable[[], list[Figure]]] = [flood]
