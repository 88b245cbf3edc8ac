"""A board or gateway: its log, its peer, its engine, and the loop that joins them to the air.

What a board's main loop does on events, this does on the world's queue: hear, say, listen, visit, sleep.
"""

import random
from typing import TYPE_CHECKING, Any

from hedgerow.codec.decimal import Decimal
from hedgerow.errors import HedgerowError
from hedgerow.sync.exchange import Exchange
from hedgerow.sync.hello import GATEWAY, LEAF
from hedgerow_sim import limits
from hedgerow_sim.clock import Clock
from hedgerow_sim.engine import Engine, dice
from hedgerow_sim.flash import Flash, PowerCut
from hedgerow_sim.session import Session
from hedgerow_sim.storage import Memory, Storage

if TYPE_CHECKING:
    from hedgerow_sim.world import World

COLLECTION = "readings"
_TICK_US = limits.TICK_US


class Station:
    """`node` is its number in the air, `role` as in a hello. It is off until boot()."""

    def __init__(self, world: "World", node: int, name: str, role: int, ppm: int, flash: bool = False):
        self.world = world
        self._field = world.field
        self.node = node
        self.name = name
        self.role = role
        self.ppm = ppm
        self.address = world.addresses[node]
        self._addresses = world.addresses
        self.storage: Storage = Flash(self) if flash else Memory(self)
        self.clock = Clock(ppm, 0)
        self.on = False
        self.asleep = False
        self.boots = 0
        self.readings = 0
        self.refused = 0
        self.sessions: list[Session] = []
        self.peer: Any = None
        self.engine: Engine
        self._rng = random.Random(f"{world.seed} {name}")
        # A board has one session at a time, a gateway as many as it has connections.
        self._most = limits.CONNECTIONS if role == GATEWAY else 1
        self._open_payload = b""
        self._rtc = b""
        self.budget: Any = None
        self._longest_us = limits.LONGEST_TURN_MS * 1000
        if world.scenario.budget_mah:
            self._longest_us = limits.BUDGET_TURN_MS * 1000
        self._turn_us = 0
        self._due_ms = self._duty = -1
        self._speaking = False
        self._visit_ms = self._idle = 0
        self._reading_us = 0

    def ms(self) -> int:
        """The time of this station's clock."""
        return self.clock.ms(self._field.now)

    # ---- power

    def boot(self) -> None:
        """Switch it on: what is durable is there, and nothing else."""
        world = self.world
        self.boots += 1
        self.clock = Clock(self.ppm, world.now)
        self.asleep = False
        self.storage.tear_boot()
        while True:
            try:
                self.peer = world.open_peer(self)
                break
            except PowerCut:
                self.boots += 1
        self.storage.booted()
        self.on = True
        self._make_engine()
        world.field.power(self.node, "on")
        world.audit.booted(self)
        self._plan()

    def _make_engine(self) -> None:
        world = self.world
        if self.budget is None:
            self.budget = world.budget(self)
        self.engine = world.make_engine(self.peer, self.ms(), dice(self._rng), self.role, self.budget)
        window = getattr(self.engine, "window", None)
        if window is not None and self.role == LEAF:
            window.period = round(world.scenario.reading_s * 1000)
        self._turn_us = 0
        self._due_ms = self._duty = -1
        self._speaking = False
        self._visit_ms = self._idle = 0

    def cut(self) -> None:
        """Take its power: everything but the storage is gone."""
        if not self.on:
            return
        self.on = False
        for session in list(self.sessions):
            session.end(False)
        self.world.field.power(self.node, "off")
        self.storage.cut()
        self.engine.close()
        self.peer = self.budget = None

    def _wake(self, due_us: int) -> None:
        """End a deep sleep: the engine begins with what it had put into RTC memory."""
        if not self.asleep or due_us != self._turn_us:
            return
        self.asleep = False
        self.world.field.power(self.node, "on")
        self._make_engine()
        now = self.ms()
        self.engine.restore(self._rtc, now)
        self.engine.wake(now)
        self._plan()

    # ---- readings

    def begin_readings(self) -> None:
        """Record from a moment of chance on, every so often."""
        scenario = self.world.scenario
        if scenario.reading_s:
            first = self._rng.uniform(0, min(scenario.start_s, scenario.reading_s))
            self._reading_us = self.world.now + round(first * 1e6)
            self.world.field.at(self._reading_us, self._record, None)

    def _record(self, _: None) -> None:
        world = self.world
        over = world.now >= world.readings_end_us
        if over and self.role != LEAF:
            self._reading_us = 0
            return
        self._reading_us = world.now + round(world.scenario.reading_s * 1e6)
        world.field.at(self._reading_us, self._record, None)
        if not self.on:
            return
        if self.asleep:
            self._wake(self._turn_us)
        if not over and self.measure():
            self._plan()

    def measure(self) -> bool:
        """Record a reading; say whether it was acknowledged."""
        self.readings += 1
        at = self.readings
        reading = {"t": Decimal(394 + at * 7 % 40, -1), "h": Decimal(512 - at * 3 % 50, -1)}
        try:
            number = self.peer.insert(COLLECTION, reading, self.ms())
        except HedgerowError:
            self.refused += 1
            return False
        self.world.audit.acknowledged(self, number)
        return True

    # ---- the air

    def hear(self, sender: int, rssi: int, payload: bytes, connectable: bool) -> None:
        """Take an advertisement of a node; who is off or asleep has no ear."""
        now_us = self._field.now
        clock = self.clock
        ms = (now_us - clock.booted_us) * clock.rate // 1_000_000_000
        engine = self.engine
        engine.heard(self._addresses[sender], rssi, payload, ms, connectable)
        # A board's loop looks that often at what is due.
        turn_us = self._turn_us
        if not now_us <= turn_us <= now_us + _TICK_US:
            due = engine.due(ms)
            if due != self._due_ms or turn_us < now_us:
                self._due_ms = due
                self._plan()

    def _said(self, _: int) -> None:
        self._speaking = False
        if self.on and not self.asleep:
            self._plan()

    def _plan(self) -> None:
        """Have a turn when the engine wants one, unless an earlier one is coming."""
        now_us = self._field.now
        clock = self.clock
        us = clock.us(self.engine.due(clock.ms(now_us)))
        if self._speaking:
            us = max(us, now_us + limits.VISIT_EVERY_MS * 1000)
        soonest = now_us + limits.SHORTEST_TURN_MS * 1000
        us = min(max(us, soonest), now_us + self._longest_us)
        if self._turn_us > now_us and self._turn_us <= us:
            return
        self._turn_us = us
        self._due_ms = -1
        self._field.at(us, self._turn, us)

    def _turn(self, due_us: int) -> None:
        if due_us != self._turn_us or not self.on or self.asleep:
            return
        now = self.ms()
        if not self._speaking:
            self._speak(now)
        self._listen(now)
        if now >= self._visit_ms:
            self._visit_ms = now + limits.VISIT_EVERY_MS
            self._visit(now)
        if self.role == LEAF and self._sleep(now):
            return
        self._turn_us = 0
        self._plan()

    def _speak(self, now: int) -> None:
        busy = len(self.sessions) >= self._most
        said = self.engine.say(now)
        if said is None:
            if self._open_payload and not busy and self.engine.called(now):
                self._advertise(self._open_payload, True, limits.CALLED_EVENTS, limits.CALLED_US)
            self._idle = self._idle + 1 if self.engine.due(now) <= now else 0
            self.world.audit.idled(self, self._idle)
            return
        self._idle = 0
        payload, connectable, events = said
        self.world.audit.said(self, payload)
        if connectable:
            self._open_payload = payload
        self._advertise(payload, connectable and not busy, events, limits.ADVERTISE_US)

    def _advertise(self, payload: bytes, connectable: bool, events: int, interval_us: int) -> None:
        self._speaking = True
        self.world.field.say(self.node, payload, events, interval_us, connectable, self._said)

    def _listen(self, now: int) -> None:
        duty = self.engine.duty(now)
        if duty != self._duty:
            self._duty = duty
            self._field.duty(self.node, duty, limits.SCAN_INTERVAL_US)

    # ---- sessions

    def _visit(self, now: int) -> None:
        """Connect to whom the engine names: a board one at a time, a gateway as many as it has room for."""
        if len(self.sessions) >= self._most or any(not session.up for session in self.sessions):
            return
        busy = [session.other.address for session in self.sessions]
        address = self.engine.visit(now, busy)
        if address is None:
            return
        other = self.world.by_address[address]
        self.world.audit.note(f"{self.name} connects to {other.name}")
        session = Session(self.world, self, other)
        if not session.over:
            self.sessions.append(session)

    def accept(self, session: Session) -> None:
        """A central has connected: that ends what is being advertised."""
        self._speaking = False
        if not self.on or self.asleep:
            session.end(False)
            return
        self.sessions.append(session)
        self._plan()

    def released(self, session: Session, exchange: Exchange | None, well: bool) -> None:
        """The central has gone."""
        if session not in self.sessions:
            return
        self.sessions.remove(session)
        if self.on:
            if well and exchange:
                now = self.ms()
                self.engine.synced(session.central.address, exchange.summary, now, exchange.told())
            self._plan()

    def parted(self, session: Session, exchange: Exchange | None, well: bool) -> None:
        """A session that this station opened is over."""
        if session in self.sessions:
            self.sessions.remove(session)
        if not self.on:
            return
        now = self.ms()
        if well and exchange:
            self.engine.synced(session.other.address, exchange.summary, now, exchange.told())
        else:
            self.engine.failed(session.other.address, now)
        self._plan()

    # ---- sleep

    def _sleep(self, now: int) -> bool:
        """Sleep, if the engine lets a leaf do so; until then, or until the next reading."""
        if self._speaking or self.sessions:
            return False
        until = self.engine.sleep_until(now)
        if until is None or until <= now:
            return False
        self.asleep = True
        self._rtc = self.engine.save()
        self.engine.close()
        # A board that records wakes for that.
        self._turn_us = self._reading_us or self.clock.us(until)
        self.world.field.power(self.node, "sleep")
        self.world.field.at(self._turn_us, self._wake, self._turn_us)
        return True
