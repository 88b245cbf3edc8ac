"""What attackers know of a running demo, and what they all are."""

import asyncio
import re
import sqlite3
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, ClassVar

from hedgerow.mesh.tag import mesh_key
from hedgerow_gateway.gateway import mesh_tag

from .dump import FlashDump

_RADIOS = "D0:"
OUTSIDER, MEMBER, STOLEN_GATEWAY, NETWORK = "radio outsider", "member", "stolen gateway", "network"


@dataclass
class World:
    """A demo that runs in `directory`: the socket of its `air`, its Big Peer's `url`, its boards' addresses.

    `names` has the short name that each radio's newest STATE had, by its address: attackers tell each other.
    `arrived` is set once everything has arrived, with its time, `over` when the attackers are to stop.
    """

    directory: Path
    air: str
    url: str
    boards: list[str]
    mesh: str = "demo"
    names: dict[str, bytes] = field(default_factory=dict)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def key(self) -> bytes:
        """Under which frames are tagged, as far as an outsider can know."""
        return mesh_key(self.mesh)

    @property
    def tag(self) -> bytes:
        return mesh_tag(self.mesh)

    def dump(self, board: str, copy: Path) -> FlashDump:
        """Copy a board's flash, as it is now, to a file."""
        return FlashDump(self.directory / board / "flash.bin", copy)

    async def until(self, condition: Callable[[], object], seconds: float) -> bool:
        """Wait until it holds; False when time is up or all is over first."""
        deadline = time.monotonic() + seconds
        while not condition():
            if self.over.is_set() or time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.05)
        return True


class Attacker(ABC):
    """`names` are pairs (action, code) of which each is to stand in the audit log, with the attacker as its
    actor: `address`, or who it is by its credential. `rest_s` is how long it waits for that before it attacks
    again: who keeps a board from saying whom it has refused is not named. Who need not be named may be, with
    one of `codes`, and with no other.
    """

    power: ClassVar[str]
    codes: ClassVar[tuple[str, ...]] = ()
    names: ClassVar[tuple[tuple[str, str], ...]]
    address: ClassVar[str] = ""
    rest_s: ClassVar[float] = 2.0

    @property
    def done(self) -> bool:
        """Whether it has had its chance."""
        return True

    async def begin(self) -> None:  # noqa: B027
        """Be there before the demo is."""

    async def end(self) -> None:  # noqa: B027
        """Be there no more."""

    @abstractmethod
    async def run(self, world: World) -> None:
        """Attack, once, for a few seconds."""


def find_world(directory: Path) -> World | None:
    """Return what the processes of a demo say of it on their command lines; None before all run."""
    air = url = ""
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if not any(str(directory) in word for word in words):
            continue
        if "gateway" in words and "--air" in words:
            air = words[words.index("--air") + 1]
        if "bigpeer" in words and "--port" in words:
            url = f"http://127.0.0.1:{words[words.index('--port') + 1]}"
    boards = sorted(path.name for path in directory.glob("board*"))
    if not air or not url or not boards:
        return None
    return World(directory, air, url, [f"c0:00:00:00:00:{at + 1:02x}" for at in range(len(boards))])


def audit_of(directory: Path) -> list[tuple[str, str, str, str]]:
    """Return (actor, action, subject, code) of all rows of a Big Peer's audit log."""
    with sqlite3.connect(f"file:{directory / 'bigpeer' / 'auth.db'}?mode=ro", uri=True) as database:
        rows: list[Any] = database.execute("SELECT actor, action, subject, detail FROM audit").fetchall()
    found = []
    for actor, action, subject, detail in rows:
        code = re.search(r'"code": "(\w+)"', detail)
        found.append((actor, action, subject, code[1] if code else ""))
    return found


def misnamed(attacker: Attacker, directory: Path) -> list[str]:
    """Return the codes with which the audit log has an attacker and that it has not earned."""
    rows = audit_of(directory)
    codes = {code for actor, _, _, code in rows if fnmatchcase(actor, f"radio:{attacker.address}")}
    return sorted(code for code in codes if not any(fnmatchcase(code, each) for each in attacker.codes))


def unnamed(attackers: Sequence[Attacker], directory: Path) -> list[tuple[str, str, str]]:
    """Return (actor, action, code) of what the audit log does not have."""
    rows = [(actor, action, code) for actor, action, _, code in audit_of(directory)]
    lacking = []
    for attacker in attackers:
        address = attacker.address
        actor = f"radio:{address}" if address.startswith(_RADIOS) else address
        for action, code in attacker.names:
            wanted = (actor, action, code)
            if not any(all(map(fnmatchcase, row, wanted)) for row in rows):
                lacking.append(wanted)
    return lacking
