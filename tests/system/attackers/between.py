"""Who is between a board and the gateway: each believes that it is connected with the other."""

import asyncio
import os

from bleak.exc import BleakError

from hedgerow.crypto.greeting import END, PART
from hedgerow.crypto.records import VERSION_KIND
from hedgerow.mesh.frames import CONNECTABLE, STATE, State, advertise, encode_state
from hedgerow.mesh.visits import BEHIND, BULK

from .callers import Caller
from .outsiders import kind_of
from .radio import FakeBoard, Pipe, Radio
from .world import OUTSIDER, Attacker, World

_FAILURES = (BleakError, TimeoutError, OSError, EOFError)
_LURE_S, _QUIET_S = 0.2, 12.0


def knows(radio: Radio, target: str) -> bool:
    """Say whether a board's STATE was heard, by which one calls it."""
    return any(address == target and kind_of(payload) == STATE for address, payload in radio.heard)


class ManInTheMiddle(Attacker):
    """Says that it has much that others lack, so that the gateway or a board connects, connects to another
    board meanwhile, and passes on what either says: as it is up to a record of the handshake, then of the
    session, which it changes.
    """

    power = OUTSIDER
    # By whom it lured: a gateway soon, a board when it next tells how it is, which may be an hour later.
    names = ()
    codes = ("HANDSHAKE_*", "RECORD_TAG")
    address = "D0:00:00:00:01:*"
    rest_s = 1.0

    def __init__(self) -> None:
        self.relayed = self.altered = 0
        self._turn = 0

    @property
    def done(self) -> bool:
        return self.altered >= 2

    async def run(self, world: World) -> None:
        self._turn += 1
        # Another one each time: the gateway leaves whom it could not talk to alone.
        own = f"{self.address[:-1]}{self._turn % 100:02}"
        meetings: asyncio.Queue[Pipe] = asyncio.Queue()
        async with Radio(world.air, self.address[:-1] + "FF") as radio:
            if not await world.until(lambda: all(knows(radio, target) for target in world.boards), 15):
                return
            async with FakeBoard(world.air, own, meetings.put_nowait) as board:
                pipe = await self._lured(world, board, meetings)
                if pipe is not None:
                    await self._meet(world, pipe, [Caller(world, radio, each) for each in world.boards])

    async def _meet(self, world: World, pipe: Pipe, callers: list[Caller]) -> None:
        # It may be a board that has been lured: then it is the other one that it believes to be with.
        for turn in range(3 * len(callers)):
            try:
                async with callers[-1 - turn % len(callers)].connected() as other:
                    await self._pass_on(pipe, other)
                    return
            except _FAILURES:
                await asyncio.sleep(0.05)
            if pipe.over.is_set() or world.over.is_set():
                return

    async def _lured(self, world: World, board: FakeBoard, meetings: "asyncio.Queue[Pipe]") -> Pipe | None:
        author = os.urandom(3)
        for counter in range(150):
            if world.over.is_set():
                return None
            digest, flags = os.urandom(6), CONNECTABLE | BULK
            state = State(world.tag[:2], counter, counter % 8, digest, 60_000, 5, flags, 0, author, 3, BEHIND)
            board.say(advertise(encode_state(state, world.key)))
            try:
                return await asyncio.wait_for(meetings.get(), _LURE_S)
            except TimeoutError:
                continue
        return None

    async def _pass_on(self, gateway: Pipe, board: Pipe) -> None:
        """Pass on what both say until one of them has gone."""
        kinds = (VERSION_KIND,) if self.altered % 2 else (PART, END)
        ways = [
            asyncio.create_task(self._one_way(gateway, board, ())),
            asyncio.create_task(self._one_way(board, gateway, kinds)),
        ]
        try:
            await asyncio.wait(ways, timeout=40, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _one_way(self, source: Pipe, sink: Pipe, kinds: tuple[int, ...]) -> None:
        """Pass on record by record; the last byte of the first one of some kinds is another, and all goes on
        as if nothing were.
        """
        heard = b""
        while said := await source.receive(_QUIET_S):
            heard += said
            while len(heard) > 2 and len(heard) >= 2 + int.from_bytes(heard[:2], "big"):
                size = 2 + int.from_bytes(heard[:2], "big")
                passed, heard = heard[:size], heard[size:]
                if passed[2] in kinds:
                    kinds = ()
                    passed = passed[:-1] + bytes((passed[-1] ^ 1,))
                    self.altered += 1
                self.relayed += 1
                await sink.send(passed)  # type: ignore[misc]
