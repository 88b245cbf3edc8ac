"""Boards on their own log code: NOR flash whose power goes in the middle of a program or an erase."""

import random
from typing import TYPE_CHECKING, Any

from hedgerow.codec.schema import is_stream
from hedgerow.errors import HedgerowError
from hedgerow.operation import CLOCK, decode_body
from hedgerow_device.flashfind import begin
from hedgerow_device.flashlog import FlashLog
from hedgerow_device.flashring import Ring
from hedgerow_sim.nor import Nor
from hedgerow_sim.storage import author

if TYPE_CHECKING:
    from hedgerow_sim.station import Station

SECTOR = 4096
# Free sectors that operations leave to seals, receipts and boots, as a board's peer says it.
_SPARE = 7


class PowerCut(BaseException):
    """Raised in the middle of an operation of the flash; nothing of the core may catch it."""


class TornNor(Nor):
    """A flash whose power goes once `left` more bytes are programmed, or sectors erased as if one were a
    hundred bytes; None: it holds. Of the byte where it went each bit is as before or as after."""

    def __init__(self, rng: random.Random, sectors: int):
        super().__init__(sectors, SECTOR)
        self._rng = rng
        self.left: int | None = None

    def _cut(self, block: int, at: int, data: bytes) -> None:
        begin_at = block * self.size + at
        done = self.left or 0
        self.left = None
        self.cells[begin_at : begin_at + done] = data[:done]
        where = begin_at + done
        if done < len(data):
            before = self.cells[where]
            self.cells[where] = before ^ ((before ^ data[done]) & self._rng.getrandbits(8))
        raise PowerCut

    def writeblocks(self, block: int, data: bytes, offset: int) -> None:
        """Program; PowerCut if it ends in here."""
        if self.left is not None:
            if self.left < len(data):
                self._cut(block, offset, bytes(data))
            self.left -= len(data)
        super().writeblocks(block, data, offset)

    def ioctl(self, command: int, argument: int) -> int:
        """See Nor.ioctl; PowerCut if the power goes in an erase: the sector is to be erased again."""
        if command == 6 and self.left is not None:
            if self.left < 100:
                at = argument * self.size
                self.cells[at : at + self.size] = self._rng.randbytes(self.size)
                self.unproven.add(argument)
                self.left = None
                raise PowerCut
            self.left -= 100
        return super().ioctl(command, argument)


class WatchedLog(FlashLog):  # type: ignore[misc]
    """Tells `told(author, number, body)` of operations that the log has taken, once they are durable, and
    `watch(author)` that an author's entry of the vector may have moved."""

    told: Any = None
    watch: Any = None
    cuts: tuple[tuple[bytes, int], ...] = ()

    def append(self, kind: int, author: bytes, first: int, last: int, body: bytes) -> None:
        """See MemoryLog.append."""
        super().append(kind, author, first, last, body)
        if kind == 0 and self.told:
            self.told(bytes(author), first, bytes(body))
        if self.watch:
            self.watch(bytes(author))

    def cut(self, author: bytes, held: int) -> None:
        """See MemoryLog.cut; it is a stated drop."""
        self.cuts += ((bytes(author), held),)
        super().cut(author, held)
        if self.watch:
            self.watch(bytes(author))


class Flash:
    """The storage of a board with the real log on it."""

    flash = True

    def __init__(self, station: "Station"):
        self._station = station
        self._rng = random.Random(f"{station.world.seed} flash {station.name}")
        self.cuts_inside = self._losses = 0
        self._format()

    def _format(self) -> None:
        world = self._station.world
        self.nor = TornNor(self._rng, world.scenario.sectors)
        self._author = author(world.seed, self._station.name, self._losses)
        ring = Ring(self.nor)
        begin(ring, self._author)
        log = FlashLog(self.nor)
        assert log.author == self._author, "what was formatted is found"

    def author(self) -> bytes:
        """Whose log it is."""
        return self._author

    def open(self) -> WatchedLog:
        """Mount the log."""
        log = WatchedLog(self.nor)
        log.spare = _SPARE
        station = self._station
        audit = station.world.audit
        log.keeps = lambda author, number, body, tight=False: _keeps(station.peer, body)
        # What a torn operation left may be whole, though nobody was told so.
        first = audit.highest(log.author) + 1
        for kind, number, _, body in log.read(log.author, first - 1, log.held(log.author), 1 << 30):
            if kind == 0:
                audit.arrived(station, log.author, number, bytes(body))
        log.told = lambda author, number, body: audit.arrived(station, author, number, body)
        return log

    def cut(self) -> None:
        """Take the power, every other time in the middle of one more reading."""
        station = self._station
        if self._rng.random() < 0.5:
            self.nor.left = self._rng.randrange(60)
            try:
                station.measure()
            except PowerCut:
                self.cuts_inside += 1
        self.nor.left = None

    def tear_boot(self) -> None:
        """Let the power go again within what the next boot writes, one time in five."""
        if self._rng.random() < 0.2:
            self.nor.left = self._rng.randrange(40)

    def lose(self) -> None:
        """A flash chip that is new, or was erased."""
        self._losses += 1
        self._format()

    def keep(self) -> None:
        """Nobody makes backups of boards."""

    def put_back(self) -> None:
        """See keep()."""

    def booted(self) -> None:
        """The boot went through."""
        self.nor.left = None


def _keeps(peer: Any, body: bytes) -> bool:
    """Whether a receipted operation still carries something (DevicePeer.keeps, of streams)."""
    if peer is None:
        return True
    try:
        changes = decode_body(body)[1]
        return not all(change[0] == CLOCK or is_stream(peer.schemas[change[1]].kind) for change in changes)
    except (HedgerowError, KeyError):
        return True
