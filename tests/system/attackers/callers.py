"""Radio outsiders that connect, or have others connect to them."""

import asyncio
import contextlib
import os
import struct
import time
from collections.abc import AsyncIterator

from bleak.exc import BleakError

from hedgerow.crypto import edhoc
from hedgerow.crypto.greeting import END
from hedgerow.crypto.handshake import ADMISSION, Gate
from hedgerow.log import MemoryLog
from hedgerow.mesh.frames import (
    CALL,
    CONNECTABLE,
    STATE,
    State,
    advertise,
    decode_state,
    encode_state,
    end,
    find,
    make,
)
from hedgerow.mesh.tells import encode_call
from hedgerow.mesh.visits import BEHIND
from hedgerow.peer import Peer
from hedgerow.sync.exchange import Exchange
from hedgerow.sync.hello import RELAY

from .radio import FakeBoard, Pipe, Radio
from .world import OUTSIDER, Attacker, World

_FAILURES = (BleakError, TimeoutError, OSError, EOFError)
_MORE_WAITS = 128
_FLOOD_S = 60.0


def record(message: bytes) -> bytes:
    """Return a message of a handshake as the only part of its record."""
    return struct.pack(">HB", 1 + len(message), END) + message


def message_1(gate: Gate | None = None, suites: tuple[int, ...] = (edhoc.SUITE,)) -> bytes:
    """Return a first message whose ephemeral key nobody has."""
    bare = edhoc.message_1(suites, os.urandom(32), b"\1")
    return bare if gate is None else bare + edhoc.write_ead([(ADMISSION, gate.tag(bare))])


class Caller:
    """A radio that has a board be connectable when it likes, by CALLs, and connects."""

    def __init__(self, world: World, radio: Radio, address: str) -> None:
        self._world, self._radio, self._address = world, radio, address
        radio.listener = self._hear

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[Pipe]:
        """Call, and connect. Raises BleakError, TimeoutError."""
        short = self._world.names.get(self._address)
        if short is not None:
            body = encode_call(short, os.urandom(3), 5)
            await self._radio.say(advertise(make(CALL, self._world.tag, body, self._world.key)), 0.06)
            self._radio.hush()
        async with self._radio.connected(self._address, 2.0) as pipe:
            yield pipe

    async def call(self, first: bytes, seconds: float) -> bool:
        """Connect, say this, and listen for so long; False if the board did not let us."""
        try:
            async with self.connected() as pipe:
                await pipe.send(first)  # type: ignore[misc]
                await pipe.receive(seconds)
                return True
        except _FAILURES:
            await asyncio.sleep(0.05)
            return False

    def _hear(self, address: str, payload: bytes) -> None:
        at = find(payload)
        if at and payload[at] & 0x0F == STATE:
            self._world.names[address] = decode_state(payload[at : end(payload, at)]).author


class Stranger(Attacker):
    """Connects to a board and begins in ways that a board must not take: a first message without an
    admission tag, the session of a playground, another cipher suite and method, noise.
    """

    power = OUTSIDER
    names = (("radio.refuse", "HANDSHAKE_*"),)
    address = "D0:00:00:00:00:11"
    rest_s = 20.0

    async def run(self, world: World) -> None:
        gate = Gate([world.key])
        plain = Exchange(Peer(MemoryLog(), 0, name="x", role=RELAY, mesh=world.tag), 0, central=True)
        hello = plain.outgoing(600, 0)
        bare = message_1()
        firsts = [
            record(bare),
            hello,
            record(message_1(gate, (0,))),
            record(b"\0" + bare[1:]),
            os.urandom(64),
        ]
        async with Radio(world.air, self.address) as radio:
            # Not the one that loses power: whom a board has refused it knows until then.
            caller = Caller(world, radio, world.boards[-1])
            for first in firsts:
                for _ in range(5):
                    if world.over.is_set() or await caller.call(first, 0.6):
                        break


class Flooder(Attacker):
    """Begins handshakes with one board as fast as the radio lets it connect, each with the tag of who knows
    the mesh's name, so that each costs the board what a handshake costs: for a minute, or until all is over.
    """

    power = OUTSIDER
    # A handshake that begins well and is left is what a weak radio does too.
    names = ()
    codes = ("HANDSHAKE_*",)
    address = "D0:00:00:00:00:12"

    def __init__(self) -> None:
        self.begun = 0

    @property
    def done(self) -> bool:
        """Whether it has begun what deserves its name; the first to be named may have taken long."""
        return self.begun > 3

    async def run(self, world: World) -> None:
        gate = Gate([world.key])
        async with Radio(world.air, self.address) as radio:
            caller = Caller(world, radio, world.boards[0])
            ends = time.monotonic() + _FLOOD_S
            while not world.over.is_set() and time.monotonic() < ends:
                self.begun += await caller.call(record(message_1(gate)), 0.2)


class Mirror(Attacker):
    """Says that it has much that a gateway lacks, so that one connects, and sends back whatever that says."""

    power = OUTSIDER
    names = (("radio.refuse", "HANDSHAKE_*"),)
    address = "D0:00:00:00:00:13"

    async def run(self, world: World) -> None:
        meetings: asyncio.Queue[Pipe] = asyncio.Queue()
        author = os.urandom(3)
        async with FakeBoard(world.air, self.address, meetings.put_nowait) as board:
            for counter in range(300):
                if world.over.is_set():
                    return
                flags = CONNECTABLE | _MORE_WAITS
                digest = os.urandom(6)
                state = State(
                    world.tag[:2], counter, counter % 8, digest, 60_000, 5, flags, 0, author, 3, BEHIND
                )
                board.say(advertise(encode_state(state, world.key)))
                try:
                    pipe = await asyncio.wait_for(meetings.get(), 0.2)
                except TimeoutError:
                    continue
                try:
                    await self._reflect(pipe)
                except _FAILURES:
                    continue
                return

    async def _reflect(self, pipe: Pipe) -> None:
        while not pipe.over.is_set():
            said = await pipe.receive(3)
            if not said:
                return
            await pipe.send(said)  # type: ignore[misc]
