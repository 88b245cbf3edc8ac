"""Radio outsiders that speak: they replay, invent, forge and lie in advertisements."""

import asyncio
import contextlib
import json
import os
import random
import time
import urllib.request

from hedgerow.codec.schema import STREAM, Schema
from hedgerow.limits import MAX_NEIGHBOURS
from hedgerow.mesh import frames, letters, pace, tells
from hedgerow.mesh.frames import (
    ANNOUNCE,
    LETTER_DOWN,
    LETTER_UP,
    OP,
    RECEIPT,
    STATE,
    TIME,
    WANTS_TIME,
    Op,
    advertise,
    decode_state,
    encode_op,
    encode_state,
    make,
)
from hedgerow.operation import SOURCE_KEEPER
from hedgerow.sync.hello import RELAY
from hedgerow_gateway.enrolment import AUTH

from .radio import Radio
from .world import MEMBER, OUTSIDER, Attacker, World

_LISTEN_S = 4.0
_FORGERIES = 40
_INVENTED = 600
_EVERYTHING = (1 << 32) - 2
_LATE = 100
_YEAR_MS = 365 * 86_400_000
# 2000-01-01, from which the mesh counts.
_EPOCH_S = 946_684_800


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
    """Records STATEs, operations, letters, receipts, names, questions and the time, and says them again, also
    those of all rounds before, in another order and from another address: last week's beacons, to peers of
    which one has lost power since.
    """

    power = OUTSIDER
    names = (("radio.refuse", "BEACON_REPLAYED"),)
    address = "D0:00:00:00:00:01"

    def __init__(self) -> None:
        self._states: list[bytes] = []
        self._others: list[bytes] = []
        self.times = 0

    async def run(self, world: World) -> None:
        rng = random.Random(1)
        async with Radio(world.air, self.address) as radio:
            await asyncio.sleep(_LISTEN_S)
            recorded = list(radio.heard)
            # Of what is younger a TIME may be an answer still.
            await asyncio.sleep(pace.TIME_FRESH_MS / 1000 + 1)
            for address, payload in recorded:
                kind = kind_of(payload)
                if kind is not None and not address.upper().startswith("D0:"):
                    (self._states if kind == STATE else self._others).append(payload)
            times = [payload for payload in self._others if kind_of(payload) == TIME]
            chosen = [
                *rng.sample(self._states, min(40, len(self._states))),
                *rng.sample(self._others, min(100, len(self._others))),
                *times[:20],
            ]
            rng.shuffle(chosen)
            for payload in chosen:
                if world.over.is_set():
                    return
                await radio.say(payload)
                self.times += payload in times


class ClockTurner(Attacker):
    """Says the time, a year ago or a year ahead: to one board at once when that asks for it, which without a
    secret an outsider can and with one whoever has a board; to the others as who has not heard them ask.
    """

    power = MEMBER
    names = (("radio.refuse", "TIME_FALSE"),)
    address = "D0:00:00:00:00:07"

    def __init__(self) -> None:
        self.answered = 0

    async def run(self, world: World) -> None:
        async with Radio(world.air, self.address) as radio:
            asked: asyncio.Queue[tuple[bytes, int]] = asyncio.Queue()

            def hear(address: str, payload: bytes) -> None:
                if kind_of(payload) == STATE:
                    state = decode_state(frame_of(payload))
                    late = 0 if address == world.boards[-1] else _LATE
                    if state.flags & WANTS_TIME or asked.empty():
                        asked.put_nowait((state.author, state.counter - late & 0xFFFF))

            radio.listener = hear
            ends = time.monotonic() + _LISTEN_S
            while time.monotonic() < ends and not world.over.is_set():
                with contextlib.suppress(TimeoutError):
                    asker, counter = await asyncio.wait_for(asked.get(), 1.0)
                    self.answered += 1
                    off = _YEAR_MS if self.answered % 2 else -_YEAR_MS
                    moment = int(1000 * (time.time() - _EPOCH_S)) + off
                    body = tells.encode_time(moment, 5, SOURCE_KEEPER, 0, asker, counter)
                    await radio.say(advertise(make(TIME, world.tag, body, world.key)), 0.06)
                    radio.hush()


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


class Crowd(Attacker):
    """Neighbours that do not exist, from an address each, show themselves within a few seconds by all that
    one says of itself: a STATE, a name, a schema and an operation under that.
    """

    power = OUTSIDER
    names = ()
    address = "D0:00:00:00:0C:*"

    def __init__(self) -> None:
        self.shown = 0

    @property
    def done(self) -> bool:
        return self.shown >= MAX_NEIGHBOURS

    async def run(self, world: World) -> None:
        mesh, key = world.tag[:2], world.key
        for at in range(MAX_NEIGHBOURS):
            author, schema = os.urandom(8), Schema(f"crowd{at}", STREAM, (("x", None),))
            state = frames.State(mesh, at, at & 7, os.urandom(6), 60_000, 5, 0, RELAY, author[:3], 3, 255)
            op = Op(author[:3], 1, os.urandom(2), schema.name[:2], 1000, [1])
            said = [
                encode_state(state, key),
                make(ANNOUNCE, mesh, tells.encode_announce(tells.Announce(author, 0, 0, 0)), key),
                *(make(LETTER_UP, mesh, body, key) for body in letters.split(b"\3" + schema.encoded)),
                make(OP, mesh, encode_op(op), key),
            ]
            async with Radio(world.air, f"D0:00:00:00:0C:{at:02X}") as radio:
                for frame in said:
                    await radio.say(advertise(frame))
            self.shown += 1


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

            # On a slow host the first one is said late, and none when all have theirs.
            if not await world.until(lambda: heard(RECEIPT), 300):
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
