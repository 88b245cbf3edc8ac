"""Radio outsiders that speak: they replay, invent, forge and lie in advertisements."""

import asyncio
import os
import random
import time

from hedgerow.clock import hlc
from hedgerow.codec.decimal import Decimal
from hedgerow.errors import HedgerowError
from hedgerow.log import MemoryLog
from hedgerow.mesh import frames, letters, tells
from hedgerow.mesh.frames import LETTER_DOWN, OP, RECEIPT, STATE, TIME, Op, advertise, encode_op, make
from hedgerow.mesh.mesh import Mesh
from hedgerow.mesh.ops import pack
from hedgerow.operation import SOURCE_KEEPER, decode_body, encode_body
from hedgerow.peer import Peer
from hedgerow.sync.hello import RELAY

from .radio import Radio
from .world import OUTSIDER, Attacker, World

_LISTEN_S = 6.0
_FORGERIES = 40
_INVENTED = 360
_LIES = 40
#: What a board makes of a keeper's receipt whose name it does not know is none of ours to say.
_EVERYTHING = (1 << 32) - 2
_2036 = 36 * 366 * 86_400_000


def kind_of(payload: bytes) -> int | None:
    at = frames.find(payload)
    return payload[at] & 0x0F if at else None


def frame_of(payload: bytes) -> bytes:
    at = frames.find(payload)
    return payload[at : frames.end(payload, at)]


class Replayer(Attacker):
    """Records everything that is said, STATEs, operations, receipts and times, and says it again later, in
    another order and from another address: last week's beacons, to peers of which one has lost power since.
    """

    power = OUTSIDER
    names = (("radio.refuse", "BEACON_REPLAYED"),)
    address = "D0:00:00:00:00:01"

    async def run(self, world: World) -> None:
        async with Radio(world.air, self.address) as radio:
            await asyncio.sleep(_LISTEN_S)
            said = [payload for _, payload in radio.heard if kind_of(payload) is not None]
            states = [payload for payload in said if kind_of(payload) == STATE]
            others = [payload for payload in said if kind_of(payload) != STATE]
            chosen = [*states[:40], *others[:120]]
            random.Random(1).shuffle(chosen)
            for payload in chosen:
                if world.over.is_set():
                    return
                await radio.say(payload)


class WrongMesh(Attacker):
    """Says frames with the tag of this mesh under the key of another one."""

    power = OUTSIDER
    names = (("radio.refuse", "BEACON_TAG"),)
    address = "D0:00:00:00:00:02"

    async def run(self, world: World) -> None:
        key = os.urandom(32)
        async with Radio(world.air, self.address) as radio:
            for _ in range(_FORGERIES):
                body = encode_op(Op(os.urandom(3), 1, os.urandom(2), os.urandom(2), 1000, [1, 2]))
                await radio.say(advertise(make(OP, world.tag, body, key)))


class Poisoner(Attacker):
    """Listens as a relay until it knows authors, schemas and numbers, and then says operations in the places
    of those to come: the right numbers and checks, other values.
    """

    power = OUTSIDER
    names = (("radio.refuse", "OPERATION_FORGED"),)
    address = "D0:00:00:00:00:03"

    async def run(self, world: World) -> None:
        log = MemoryLog()
        peer = Peer(log, 0, name="listener", role=RELAY, mesh=world.tag)
        rng = random.Random(2)
        mesh = Mesh(peer, 0, random=rng.randrange, role=RELAY, key=world.key)
        began = time.monotonic()

        def now() -> int:
            return int((time.monotonic() - began) * 1000)

        async with Radio(world.air, self.address) as radio:
            radio.listener = lambda address, payload: mesh.heard(address, -50, payload, now(), False)
            poisoned: set[tuple[bytes, int]] = set()
            while not world.over.is_set() and len(poisoned) < _FORGERIES and now() < 20_000:
                for author in [author for author in log.authors() if author != peer.author]:
                    key = (author, log.held(author))
                    if log.held(author) and key not in poisoned:
                        poisoned.add(key)
                        for payload in self._next(world, peer, author, log.held(author)):
                            await radio.say(payload)
                said = mesh.say(now())
                if said is None:
                    await asyncio.sleep(0.02)
                else:
                    # What it lacks it asks for, as any relay does.
                    await radio.say(said[0])

    def _next(self, world: World, peer: Peer, author: bytes, held: int) -> list[bytes]:
        before = peer.log.fetch(author, held)
        found: list[bytes] = []
        for number in (held + 1, held + 2):
            stamp, changes = decode_body(before)
            ms = hlc.stamp_ms(stamp)
            if changes[0][0] != 1 or not isinstance(changes[0][-1], list):
                return found
            values = [value + 1 if isinstance(value, int) else value for value in changes[0][-1]]
            values = [
                Decimal(value.mantissa + 1, value.exponent) if isinstance(value, Decimal) else value
                for value in values
            ]
            stored = encode_body(hlc.make_stamp(ms + 500, 0), [[*changes[0][:-1], values]])
            try:
                body = pack(author, number, stored, peer.schemas, ms, before)
            except (HedgerowError, KeyError):
                return found
            if body is None:
                return found
            found.append(advertise(make(OP, world.tag, body, world.key)))
            before = stored
        return found


class Inventor(Attacker):
    """Says operations of authors that it makes up, a new one with each advertisement, at the radio's rate."""

    power = OUTSIDER
    names = (("radio.refuse", "CUSTODY_FULL"),)
    address = "D0:00:00:00:00:04"

    async def run(self, world: World) -> None:
        async with Radio(world.air, self.address) as radio:
            for _ in range(_INVENTED):
                if world.over.is_set():
                    return
                body = encode_op(Op(os.urandom(3), 1, os.urandom(2), os.urandom(2), 1000, [1, 2]))
                await radio.say(advertise(make(OP, world.tag, body, world.key)))


class ReceiptForger(Attacker):
    """Tells every author that its keeper has all it will ever write: with proofs that it makes up, and with
    those of receipts that were said.
    """

    power = OUTSIDER
    names = (("radio.refuse", "RECEIPT_FORGED"),)
    address = "D0:00:00:00:00:05"

    async def run(self, world: World) -> None:
        async with Radio(world.air, self.address) as radio:

            def heard(kind: int) -> list[bytes]:
                return [frame_of(payload) for _, payload in radio.heard if kind_of(payload) == kind]

            if not await world.until(lambda: heard(RECEIPT), 60):
                return
            for turn in range(_FORGERIES):
                for keeper, low, author, _, proof in {
                    tells.decode_receipt(frame) for frame in heard(RECEIPT)
                }:
                    shown = proof if turn % 2 else os.urandom(8)
                    body = tells.encode_receipt(keeper, low, author, _EVERYTHING, shown)
                    await radio.say(advertise(make(RECEIPT, world.tag, body, world.key)))
                    if world.over.is_set():
                        return


class RevocationForger(Attacker):
    """Revokes everybody whom it hears, in the form that letters have, with a signature that nobody made."""

    power = OUTSIDER
    names = (("radio.refuse", "STATEMENT_INVALID"),)
    address = "D0:00:00:00:00:06"

    async def run(self, world: World) -> None:
        async with Radio(world.air, self.address) as radio:
            for _ in range(3):
                seconds = int(time.time()).to_bytes(5, "big")
                brief = os.urandom(8) + seconds + os.urandom(8) + os.urandom(8) + bytes(4) + os.urandom(64)
                for _ in range(2):
                    for body in letters.split(bytes((letters.REVOKED,)) + brief):
                        await radio.say(advertise(make(LETTER_DOWN, world.tag, body, world.key)), 0.06)


class TimeLiar(Attacker):
    """Says that it is 2036, and then that it is 2001, as a keeper would, without a hop between."""

    power = OUTSIDER
    names = ()
    address = "D0:00:00:00:00:07"

    async def run(self, world: World) -> None:
        async with Radio(world.air, self.address) as radio:
            for turn in range(_LIES):
                utc = _2036 if turn % 2 else 366 * 86_400_000
                body = tells.encode_time(utc + turn * 40, 1, SOURCE_KEEPER, 0)
                await radio.say(advertise(make(TIME, world.tag, body, world.key)))
                if world.over.is_set():
                    return
