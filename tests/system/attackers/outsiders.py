"""Radio outsiders that speak: they replay, invent, forge and lie in advertisements."""

import asyncio
import json
import os
import random
import time
import urllib.request

from hedgerow.mesh import frames, letters, tells
from hedgerow.mesh.frames import LETTER_DOWN, OP, RECEIPT, STATE, TIME, Op, advertise, encode_op, make
from hedgerow_gateway.enrolment import AUTH

from .radio import Radio
from .world import OUTSIDER, Attacker, World

_LISTEN_S = 6.0
_FORGERIES = 40
_INVENTED = 600
_EVERYTHING = (1 << 32) - 2


def kind_of(payload: bytes) -> int | None:
    at = frames.find(payload)
    return payload[at] & 0x0F if at else None


def frame_of(payload: bytes) -> bytes:
    at = frames.find(payload)
    return payload[at : frames.end(payload, at)]


def issuer_of(url: str) -> bytes:
    """Return the name of the key that signs revocations, which the Big Peer tells anybody."""
    with urllib.request.urlopen(f"{url}{AUTH}/issuers", timeout=10) as response:
        found = json.load(response)["issuers"][-1]
    return bytes.fromhex(found["kid"])


class Replayer(Attacker):
    """Records STATEs, operations, letters, receipts, names, questions, and says them again later, in another
    order and from another address: last week's beacons, to peers of which one has lost power since. Not the
    time: of that anybody is believed in advertisements, which SECURITY.md says.
    """

    power = OUTSIDER
    names = (("radio.refuse", "BEACON_REPLAYED"),)
    address = "D0:00:00:00:00:01"

    async def run(self, world: World) -> None:
        async with Radio(world.air, self.address) as radio:
            await asyncio.sleep(_LISTEN_S)
            said = [payload for _, payload in radio.heard if kind_of(payload) is not None]
            states = [payload for payload in said if kind_of(payload) == STATE]
            others = [payload for payload in said if kind_of(payload) not in (STATE, TIME)]
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
        issuer = issuer_of(world.url)
        async with Radio(world.air, self.address) as radio:
            for _ in range(3):
                seconds = int(time.time()).to_bytes(5, "big")
                brief = issuer + seconds + os.urandom(8) + os.urandom(8) + bytes(4) + os.urandom(64)
                for _ in range(2):
                    for body in letters.split(bytes((letters.REVOKED,)) + brief):
                        await radio.say(advertise(make(LETTER_DOWN, world.tag, body, world.key)), 0.06)
