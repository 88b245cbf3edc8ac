"""Who brings changed logs and who opens sessions, before a Big Peer in this process: nothing is missing or
wrong, and they are named. With one guard taken out each of them succeeds, or nobody says who it was.
"""

import asyncio
import copy
import shutil
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import cast

import identity_provider
import pytest
from attackers.dump import FlashDump
from attackers.members import Astray, Clone, NetworkStranger, Relay, Thief, writer
from attackers.world import World, unnamed
from farm_kit import Farm, until
from here import Here
from identity_provider import Running

from hedgerow.codec.schema import KEEP, schema_for
from hedgerow.crypto.credentials import Trust
from hedgerow.errors import HedgerowError
from hedgerow.memory import MemoryLog, MemoryStore
from hedgerow.operation import INSERT, SOURCE_KEEPER
from hedgerow_bigpeer import forks
from hedgerow_bigpeer.auth import manage
from hedgerow_bigpeer.auth.membership import Membership
from hedgerow_bigpeer.intake import Intake
from hedgerow_bigpeer.store import ahead, judge
from hedgerow_bigpeer.sync import Connection
from hedgerow_cli.logfile import deliver as delivery
from hedgerow_gateway.enrolment import Enrolment

Patch = Callable[[pytest.MonkeyPatch], None]
#: How long a session waits for more; a second where the network is far.
_LINGER_MS = 150
_READINGS = 6


class Dump:
    """A board's flash as it is now."""

    def __init__(self, store: MemoryStore, identity: Path) -> None:
        self._store, self._identity = copy.deepcopy(store), identity

    def log(self) -> MemoryLog:
        return MemoryLog(self._store)

    def identity(self, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(self._identity, path))


class Scene(World):
    """A production app with a gateway, a relay, and a board that brings its log itself when it likes."""

    def __init__(self, directory: Path, idp: Running) -> None:
        self.farm = Farm(directory / "bigpeer", idp, Here)
        super().__init__(directory, "", self.farm.served.url, [], mesh="farm")
        self.stores = {}
        for user in ("gateway", "relay", "board1", "board2"):
            (directory / user).mkdir()
            enrolment = self.farm.enrol(directory / user / "identity.json", user)
            self.stores[user] = MemoryStore()
            self.stores[user].author = enrolment.identity.author
        self.store = self.stores["board1"]
        self.peer = writer(MemoryLog(self.store), directory / "board1" / "identity.json", "board1", self)
        self.written: list[int] = []

    def dump(self, board: str, copy: Path) -> FlashDump:
        return cast(FlashDump, Dump(self.stores[board], self.directory / board / "identity.json"))

    def record(self) -> None:
        """Write readings, and seal them."""
        for _ in range(_READINGS):
            self.written.append(101 + len(self.written))
            self._write("readings", self.written[-1], {"n": self.written[-1]})
        self.peer.seal(0)

    def configure(self, every: int) -> None:
        """Write a document that others may change."""
        self.peer.set_time(self.farm.served.peer.service.clock.utc(), 5, SOURCE_KEEPER, 0, True)
        self._write("config", 1, {"every": every})
        self.peer.seal(0)

    def _write(self, collection: str, number: int, document: dict[str, int]) -> None:
        schema = schema_for(collection, KEEP, document)
        self.peer.write([[INSERT, schema.name, number, schema.pack(document)]], [schema], 0)

    async def bring(self, user: str = "board1") -> str:
        """Have somebody bring the board's log, as it is; return what went wrong, if not all is receipted."""
        identity = self.directory / user / "identity.json"
        log = Dump(self.store, identity).log()
        try:
            await asyncio.to_thread(delivery.deliver, log, self.url, self.mesh, 0.0, identity)
        except HedgerowError as error:
            # It says so of a session that has brought everything, too.
            return str(error) if delivery.custody(log).readings else ""
        return ""

    @property
    def shown(self) -> list[int]:
        return [row["n"] for row in self.farm.rows("SELECT n FROM readings ORDER BY n")]


@pytest.fixture(scope="module")
def idp() -> Iterator[Running]:
    with identity_provider.running() as running:
        yield running


@pytest.fixture
def scene(tmp_path: Path, idp: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setattr(delivery, "_LINGER_MS", _LINGER_MS)
    found = Scene(tmp_path, idp)
    yield found
    found.farm.close()


async def bring_changed(scene: Scene, attacker: Relay | Thief) -> None:
    """One brings what a board has sealed, changed in each of its ways; then the board brings the same."""
    task = asyncio.create_task(attacker.run(scene))
    try:
        for turn, _ in enumerate(attacker.changes, 1):
            scene.record()
            await until(lambda turn=turn: task.done() or attacker.brought == turn, "it is brought")
            await scene.bring()
    finally:
        scene.over.set()
        await task
    assert scene.shown == scene.written
    assert not unnamed([attacker], scene.directory)


async def relay(scene: Scene) -> None:
    await bring_changed(scene, Relay())


async def thief(scene: Scene) -> None:
    """Once the gateway is revoked what has its files brings nothing more, not even what is true."""
    await bring_changed(scene, Thief())
    stolen = Enrolment(scene.directory / "gateway" / "identity.json").claims.cti
    manage.revoke(scene.farm.registry, "test", "farm", stolen, 0)
    trust = scene.farm.served.peer.sync._membership.trust
    await until(lambda: stolen in trust.revoked, "the Big Peer has heard of it")
    scene.record()
    assert await scene.bring("gateway")
    assert scene.shown == scene.written[:-_READINGS]
    assert ("address:127.0.0.1", "CREDENTIAL_REVOKED") in scene.farm.audit("session.refuse")


async def clone(scene: Scene) -> None:
    """What arrived before stands, and of what either writes afterwards nothing counts."""
    attacker = Clone()
    scene.record()
    task = asyncio.create_task(attacker.run(scene))
    await until(lambda: attacker._log is not None, "it is read")
    scene.record()
    assert not await scene.bring()
    arrived = list(scene.written)
    scene.arrived.set()
    await task
    scene.record()
    await scene.bring()
    assert scene.shown == arrived
    assert not unnamed([attacker], scene.directory)


async def stranger(scene: Scene) -> None:
    """Who is nobody brings nothing."""
    attacker = NetworkStranger()
    scene.record()
    await attacker.run(scene)
    assert scene.shown == []
    assert not unnamed([attacker], scene.directory)


async def astray(scene: Scene) -> None:
    """What is written in a time to come waits for it, and what is written in the past comes before."""
    scene.configure(5)
    assert not await scene.bring()
    await Astray().run(scene)
    board2 = scene.stores["board2"].author
    assert scene.farm.status(board2)["receipted"] == scene.farm.status(board2)["held"] > 0
    assert scene.farm.rows("SELECT every FROM config") == [{"every": 5}]


# ---- guards that are taken out


def any_signature_seals(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(judge, "check_seal", lambda *_: True)


def any_seal_is_in_its_place(patch: pytest.MonkeyPatch) -> None:
    any_signature_seals(patch)
    patch.setattr(judge, "names", lambda *_: True)


def nothing_waits_for_a_seal(patch: pytest.MonkeyPatch) -> None:
    """Nor goes what stands in the place of what is sealed: either guard is enough."""

    async def stays(*_: object) -> bool:
        return False

    patch.setattr(Intake, "_is_guarded", lambda *_: False)
    patch.setattr(forks.ForkJudge, "amend", stays)


def refusals_are_not_written_down(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Connection, "offences", lambda _: [])


def the_revoked_may_speak(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Trust, "stands", lambda *_: True)


def nothing_contradicts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(forks, "contradicts", lambda *_: b"")


def keys_are_as_one_likes(patch: pytest.MonkeyPatch) -> None:
    greeting = Membership.greeting
    patch.setattr(Membership, "greeting", lambda self, now, optional: greeting(self, now, optional=True))


def anybody_issues(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Trust, "verify", lambda *_: iter(()))


def no_time_is_ahead(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ahead, "AHEAD_MS", 2 * 366 * 86_400_000)


Attack = Callable[[Scene], Awaitable[None]]
MUTANTS: list[tuple[Patch, Attack]] = [
    (any_signature_seals, relay),
    (nothing_waits_for_a_seal, relay),
    (refusals_are_not_written_down, relay),
    (any_signature_seals, thief),
    (nothing_waits_for_a_seal, thief),
    (the_revoked_may_speak, thief),
    (any_seal_is_in_its_place, clone),
    (nothing_contradicts, clone),
    (keys_are_as_one_likes, stranger),
    (anybody_issues, stranger),
    (refusals_are_not_written_down, stranger),
    (no_time_is_ahead, astray),
]


@pytest.mark.parametrize(
    "attack", [relay, thief, clone, stranger, astray], ids=lambda attack: attack.__name__
)
def test_the_attack_fails(attack: Attack, scene: Scene) -> None:
    asyncio.run(attack(scene))  # type: ignore[arg-type]


@pytest.mark.parametrize(("mutant", "attack"), MUTANTS, ids=lambda part: part.__name__)
def test_without_the_guard_it_succeeds(
    mutant: Patch, attack: Attack, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant(monkeypatch)
    with pytest.raises(AssertionError):
        asyncio.run(attack(scene))  # type: ignore[arg-type]
