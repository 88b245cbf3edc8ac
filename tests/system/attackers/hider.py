"""A relay that takes all that is pushed, and keeps it."""

import asyncio
import itertools
import os

from hedgerow.mesh import asks
from hedgerow.mesh.frames import ACK, OP, State, ack_key, advertise, encode_state, make

from .outsiders import frame_of, kind_of
from .radio import Radio
from .world import OUTSIDER, Attacker, World

_NEAREST, _ENOUGH = 1, 8


class Hider(Attacker):
    """Is nearer to a keeper than anybody, says that it has all that is pushed, and passes nothing on."""

    power = OUTSIDER
    # It looks like a bad radio: of what nobody passes on nobody knows who had it.
    names = ()
    address = "D0:00:00:00:00:08"

    def __init__(self) -> None:
        self.hidden = 0

    @property
    def done(self) -> bool:
        return self.hidden > _ENOUGH

    async def run(self, world: World) -> None:
        heard: asyncio.Queue[bytes] = asyncio.Queue()

        def hear(address: str, payload: bytes) -> None:
            if kind_of(payload) == OP and address.lower() in world.boards:
                heard.put_nowait(ack_key(frame_of(payload)))

        async with Radio(world.air, self.address) as radio:
            radio.listener = hear
            author = os.urandom(3)
            for counter in itertools.count():
                if world.over.is_set() or self.done:
                    return
                state = State(world.tag[:2], counter & 0xFFFF, 0, bytes(6), 0, _NEAREST, 0, 0, author, 3, 0)
                said = [encode_state(state, world.key)]
                if not heard.empty():
                    key = heard.get_nowait()
                    self.hidden += 1
                    for what in (asks.ACK_PASSED, asks.ACK_HELD, asks.ACK_UPTO):
                        body = asks.encode_ack(what, [key])
                        said.append(make(ACK, world.tag, body, world.key, _NEAREST << 3))
                for frame in reversed(said):
                    await radio.say(advertise(frame))
                    radio.hush()
                await asyncio.sleep(0.2)
