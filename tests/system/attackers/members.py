"""Members with bad intent, who stole a gateway, and who is on the network between."""

import asyncio
import contextlib
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from cryptography.hazmat.primitives.asymmetric import ec
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from hedgerow.codec.schema import KEEP, schema_for
from hedgerow.crypto.identity import Identity
from hedgerow.crypto.members import Members
from hedgerow.crypto.port import P256
from hedgerow.errors import HedgerowError
from hedgerow.log import ENTRY_OP
from hedgerow.operation import SOURCE_KEEPER, UPDATE
from hedgerow.peer import Peer
from hedgerow_bigpeer.auth.credential import CTI_BYTES, Credential
from hedgerow_bigpeer.auth.scope import ALL
from hedgerow_cli.logfile.deliver import deliver
from hedgerow_gateway.enrolment import SYNC, Enrolment, to_text

from .world import MEMBER, NETWORK, STOLEN_GATEWAY, Attacker, World

_READ_BYTES = 1 << 20
_LEAST = 4
_YEAR_MS = 365 * 86_400_000
# 2000-01-01, from which stamps count.
_EPOCH_S = 946_684_800
Bodies = dict[int, bytes]


class TamperedLog:
    """A log in which some own operations are others."""

    def __init__(self, log: Any, bodies: Bodies) -> None:
        self.__dict__.update(log=log, bodies=bodies, owner=bytes(log.author))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.log, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.log, name, value)

    def read(self, author: bytes, held: int, sealed: int, max_bytes: int) -> list[Any]:
        """See hedgerow.log.Log."""
        entries = self.log.read(author, held, sealed, max_bytes)
        if author != self.owner:
            return list(entries)
        return [
            (kind, first, last, self.bodies.get(first, body) if kind == ENTRY_OP else body)
            for kind, first, last, body in entries
        ]


def edited(numbers: list[int], bodies: Bodies) -> Bodies:
    """The last digit of one operation is another."""
    body = bodies[numbers[-1]]
    return {numbers[-1]: body[:-1] + bytes((body[-1] ^ 1,))}


def dropped(numbers: list[int], bodies: Bodies) -> Bodies:
    """One is left out: those behind it take its number, and the last one comes twice."""
    at = numbers[-_LEAST:]
    return {number: bodies[min(number + 1, at[-1])] for number in at}


def reordered(numbers: list[int], bodies: Bodies) -> Bodies:
    """Two have changed places."""
    one, two = numbers[-2:]
    return {one: bodies[two], two: bodies[one]}


class _Bringer(Attacker):
    """Takes a board's log from its flash whenever a seal is new there, changes it, and brings it to the Big
    Peer before the board's own can be there.
    """

    changes: ClassVar[tuple[Callable[[list[int], Bodies], Bodies], ...]]
    board: ClassVar[str] = "board1"

    def __init__(self) -> None:
        self.brought = 0

    def identity(self, world: World, folder: Path) -> Path | None:
        """Return the file of who brings it, None as long as there is none."""
        raise NotImplementedError

    async def run(self, world: World) -> None:
        folder = world.directory / "stolen" / type(self).__name__
        seen = 0
        while not world.over.is_set():
            await asyncio.sleep(0.3)
            identity = self.identity(world, folder)
            if identity is None:
                continue
            log = world.dump(self.board, folder / "flash.bin").log()
            sealed = log.sealed(log.author)
            if sealed <= seen:
                continue
            seen = sealed
            entries = log.read(log.author, 0, sealed, _READ_BYTES)
            bodies = {first: bytes(body) for kind, first, _, body in entries if kind == ENTRY_OP}
            numbers = [number for number in sorted(bodies) if number <= sealed]
            if len(numbers) < _LEAST:
                continue
            change = self.changes[self.brought % len(self.changes)]
            with contextlib.suppress(HedgerowError):
                tampered = TamperedLog(log, change(numbers, bodies))
                await asyncio.to_thread(deliver, tampered, world.url, world.mesh, 0.0, identity)
            self.brought += 1


class Relay(_Bringer):
    """A member with a credential of its own that edits, drops and reorders what it carries."""

    power = MEMBER
    names = (("seal.refuse", "SEAL_INVALID"),)
    address = "credential:*:relay"
    changes = (edited, dropped, reordered)

    def identity(self, world: World, folder: Path) -> Path | None:
        path = world.directory / "relay" / "identity.json"
        return path if path.exists() else None


class Thief(_Bringer):
    """Has the files of the gateway, and speaks in its name while that runs."""

    power = STOLEN_GATEWAY
    names = (("seal.refuse", "SEAL_INVALID"),)
    address = "credential:*:gateway"
    changes = (reordered, edited)

    def identity(self, world: World, folder: Path) -> Path | None:
        copy = folder / "identity.json"
        if not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(world.directory / "gateway" / "identity.json", copy)
        return copy


class Clone(Attacker):
    """A board's flash, read early and run a second time: it records on under the same name and keys, and
    brings the Big Peer what it has written, ahead of the board, once that has all of the board's own: of what
    the board writes after that nothing counts, a better time included.
    """

    power = MEMBER
    names = (("author.fork", "AUTHOR_FORKED"),)
    address = "credential:*:board1"
    board = "board1"

    def __init__(self) -> None:
        self._log: Any = None

    async def run(self, world: World) -> None:
        folder = world.directory / "stolen" / "clone"
        if self._log is None:
            dump = world.dump(self.board, folder / "flash.bin")
            log, identity = dump.log(), dump.identity(folder / "identity.json")
            if Enrolment(identity).author != log.author:
                # It has not begun to record under its own name yet.
                return
            self._log, self._identity = log, identity
        if not await world.until(world.arrived.is_set, 600):
            return
        own = world.dump(self.board, folder / "board.bin").log()
        peer = writer(self._log, self._identity, self.board, world)
        while self._log.held(self._log.author) < own.held(own.author) + 40:
            peer.insert("readings", {"n": 1, "board": self.board}, 1000)
        peer.seal(2000)
        assert self._log.sealed(self._log.author) > own.held(own.author)
        with contextlib.suppress(HedgerowError):
            await asyncio.to_thread(deliver, self._log, world.url, world.mesh, 0.0, self._identity)


def writer(log: Any, identity: Path, name: str, world: World) -> Peer:
    """Return who writes a log with the keys in a file."""
    enrolment = Enrolment(identity)
    assert enrolment.credential is not None
    members = Members(log, enrolment.trust, enrolment.identity)
    members.enrol(enrolment.credential)
    return Peer(log, 0, name=name, mesh=world.tag, members=members)


class Astray(Attacker):
    """A board whose clock is turned back by a year and then ahead by one: it changes a document of others in
    either time, by rights that it has, and the later time is to win.
    """

    power = MEMBER
    # A clock that is wrong is nobody's offence: what it has written waits for its time.
    names = ()
    board = "board2"

    async def run(self, world: World) -> None:
        folder = world.directory / "stolen" / "astray"
        dump = world.dump(self.board, folder / "flash.bin")
        log, identity = dump.log(), dump.identity(folder / "identity.json")
        for off in (-_YEAR_MS, _YEAR_MS):
            peer = writer(log, identity, self.board, world)
            peer.set_time(int(1000 * (time.time() - _EPOCH_S)) + off, 5, SOURCE_KEEPER, 0, True)
            schema = schema_for("config", KEEP, {"every": off})
            peer.write([[UPDATE, schema.name, 1, schema.pack({"every": off})]], [schema], 0)
            peer.seal(0)
        with contextlib.suppress(HedgerowError):
            await asyncio.to_thread(deliver, log, world.url, world.mesh, 0.0, identity)


class NetworkStranger(Attacker):
    """Opens sessions with the Big Peer: with noise, without keys, and under a credential that it has issued
    to itself.
    """

    power = NETWORK
    names = (("session.refuse", "SESSION_PLAIN"), ("session.refuse", "CREDENTIAL_ISSUER"))
    address = "address:127.0.0.1"

    async def run(self, world: World) -> None:
        url = world.url.replace("http", "ws", 1) + SYNC
        folder = world.directory / "stolen" / "stranger"
        log = world.dump("board1", folder / "flash.bin").log()
        for first in (os.urandom(300), b"\x00\x02\x10\x00", b""):
            with contextlib.suppress(OSError, WebSocketException, TimeoutError):
                async with connect(url, compression=None) as socket:
                    await socket.send(first)
                    await asyncio.wait_for(socket.recv(), 3)
        for identity in (None, forged_identity(world, folder / "identity.json")):
            with contextlib.suppress(HedgerowError):
                await asyncio.to_thread(deliver, log, world.url, world.mesh, 0.0, identity)


def forged_identity(world: World, path: Path) -> Path:
    """Write an identity whose credential is as the app's are, and signed by a key of one's own."""
    real = Enrolment(world.directory / "gateway" / "identity.json")
    own = Enrolment(path)
    own.identity = Identity.make(P256(os.urandom))
    mode, mesh = real.claims.mode
    now = int(time.time())
    granted = Credential(
        app=real.claims.issuer, user="gateway", expires=now + 9999, issued=now, number=os.urandom(CTI_BYTES),
        agreement=own.identity.agreement, sealing=own.identity.sealing, scope=ALL, mode=mode, mesh=mesh,
        author=own.identity.author,
    )  # fmt: skip
    kept = dict(real._given)
    own._given = {**kept, "credential": to_text(granted.sign(ec.generate_private_key(ec.SECP256R1())))}
    own.save()
    return path
