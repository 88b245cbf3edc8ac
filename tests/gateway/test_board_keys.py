"""Sessions with boards that have keys: over GATT in pieces, again and again, strangers, broken links."""

import asyncio
import base64
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fake_ble import Board, Ether
from gateway_kit import config, run, until

CORE = Path(__file__).parent.parent / "core"
sys.path[:0] = [str(CORE / "crypto" / "portable"), str(CORE / "portable")]

from crypto_kit import Issuer, finish  # noqa: E402
from test_crypto_group import word as group_word  # noqa: E402

from hedgerow.crypto import claims  # noqa: E402
from hedgerow.crypto.channel import Answering, Member  # noqa: E402
from hedgerow.crypto.credentials import Credential, Trust  # noqa: E402
from hedgerow.crypto.ephemeral import Ephemerals  # noqa: E402
from hedgerow.crypto.greeting import Greeting  # noqa: E402
from hedgerow.crypto.handshake import Gate, Own  # noqa: E402
from hedgerow.crypto.rotation import epoch, take  # noqa: E402
from hedgerow.crypto.words import Word  # noqa: E402
from hedgerow.errors import HedgerowError  # noqa: E402
from hedgerow.mesh.tag import mesh_key  # noqa: E402
from hedgerow_gateway import Gateway, GatewayConfig, limits  # noqa: E402
from hedgerow_gateway.enrolment import Enrolment  # noqa: E402

MODE = [claims.PRODUCTION, b"mesh-one"]
ROOT = Issuer(1)


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HOURLY_MS", 50)
    monkeypatch.setattr(limits, "HOURLY_RETRY_MS", 50)


def text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def enrol(path: Path) -> None:
    """Write the file of a gateway whose log is yet to be made."""
    enrolment = Enrolment(path)
    enrolment.anew()
    _give(path, enrolment)


def _give(path: Path, enrolment: Enrolment) -> None:
    keys = {"SEALING_KEY": enrolment.identity.sealing, "AUTHOR": enrolment.author}
    value = ROOT.credential(enrolment.identity.agreement, MODE=MODE, **keys)
    kept = json.loads(path.read_text())
    given = {"app": "app-1", "credential": text(value), "issuers": [text(ROOT.public)]}
    path.write_text(json.dumps({**kept, **given}))


class Keyed:
    """The keys of a board; `slices` of work, as a board does them."""

    def __init__(self, board: Board, seed: int, issuer: Issuer = ROOT) -> None:
        p256 = Issuer(seed).p256
        private, public = finish(p256.make_key())
        own = Credential(issuer.credential(public, MODE=MODE, AUTHOR=board.log.author))
        self.trust = Trust(p256, ROOT.roots, "app-1", MODE)
        gate = Gate([mesh_key("demo")])
        holder = Own(private, own.value, own.name)
        self.member = Member(holder, Ephemerals(p256), self.trust, gate, p256.random, MODE)
        self.p256 = p256
        self.greetings: list[Greeting] = []
        board.peer.greeter = self._greet

    def _greet(self, now: int, central: bool) -> Greeting:
        # The connection before is gone, and what it had begun with it.
        for greeting in self.greetings:
            greeting.channel.close()
        self.greetings.append(Greeting(Answering(self.member, now), False, False))
        return self.greetings[-1]


@asynccontextmanager
async def running(path: Path, ether: Ether, **settings: Any) -> AsyncIterator[Gateway]:
    quick: dict[str, Any] = {"radio": "none", "call_s": 1, "connect_s": 1, "linger_ms": 20, "hold_off_ms": 1}
    gateway = Gateway(config(path, **{**quick, "board_keys": True, **settings}, **ether.backends))
    if gateway.enrolment is not None and gateway.enrolment.claims.author != gateway.log.author:
        # As the Big Peer would, once the log is there.
        _give(gateway.enrolment.path, gateway.enrolment)
        gateway.enrolment.refresh()
    task = asyncio.create_task(gateway.run())
    try:
        yield gateway
    finally:
        gateway.stop()
        await task


def held(gateway: Gateway, board: Board) -> int:
    return gateway.log.held(board.log.author)


def test_boards_with_keys_are_met_and_met_again(tmp_path: Path) -> None:
    enrol(tmp_path / "identity.json")

    async def main() -> None:
        ether = Ether()
        board = Board(ether, "C0:00:00:00:00:01", "b1")
        keyed = Keyed(board, 7)
        async with running(tmp_path, ether) as gateway:
            for count in range(1, 4):
                board.record(count)
                await until(lambda count=count: held(gateway, board) == count + 1, "collected")
                await until(lambda: not gateway.central.visiting, "hung up")
            done = [greeting for greeting in keyed.greetings if greeting.done]
            assert [greeting.channel.resumed for greeting in done][:3] == [False, True, True]
            assert all(greeting.claims.author == gateway.peer.author for greeting in done)
            keyed.p256.multiplications = 0
            board.record(4)
            await until(lambda: held(gateway, board) == 5, "collected")
            assert keyed.p256.multiplications == 0

    run(main())


def test_a_link_that_breaks_anywhere_is_made_again(tmp_path: Path) -> None:
    """24 connections break, each a notification later than the one before: in handshakes and after."""
    enrol(tmp_path / "identity.json")

    async def main() -> None:
        ether = Ether()
        board = Board(ether, "C0:00:00:00:00:01", "b1")
        keyed = Keyed(board, 8)
        for count in range(40):
            board.record(count)
        async with running(tmp_path, ether) as gateway:
            for cut in range(1, 25):
                board.cut_after = cut
                before = board.visits
                await until(lambda before=before: board.visits > before, "visited")
            board.cut_after = None
            await until(lambda: held(gateway, board) == 41, "all of it")
            assert any(greeting.channel.resumed for greeting in keyed.greetings)

    run(main())


def test_who_has_no_keys_or_no_credential_of_ours_is_refused(tmp_path: Path) -> None:
    enrol(tmp_path / "identity.json")

    async def main() -> None:
        ether = Ether()
        plain = Board(ether, "C0:00:00:00:00:01", "plain")
        foreign = Board(ether, "C0:00:00:00:00:02", "foreign")
        revoked = Board(ether, "C0:00:00:00:00:03", "revoked")
        good = Board(ether, "C0:00:00:00:00:04", "good")
        Keyed(foreign, 9, Issuer(99))
        out = Keyed(revoked, 10)
        Keyed(good, 11)
        async with running(tmp_path, ether, max_connections=1) as gateway:
            assert gateway.enrolment is not None
            cti = Credential(out.member.own.value).claims.cti
            gateway.enrolment.trust.revoked[cti] = 0
            for board in (plain, foreign, revoked, good):
                board.record(1)
            await until(lambda: held(gateway, good) == 2, "the good one is collected")
            errors = gateway.central.counters.errors
            for code in ("SESSION_PLAIN", "CREDENTIAL_ISSUER", "CREDENTIAL_REVOKED"):
                await until(lambda code=code: errors[code], code)
            assert [held(gateway, board) for board in (plain, foreign, revoked)] == [0, 0, 0]

    run(main())


def test_a_board_answers_no_stranger(tmp_path: Path) -> None:
    """A gateway without keys, and one of another mesh's group key: the board computes nothing for them."""

    async def main() -> None:
        ether = Ether()
        board = Board(ether, "C0:00:00:00:00:01", "b1")
        keyed = Keyed(board, 12)
        keyed.member.gate = Gate([b"another group key of 32 bytes..."])
        keyed.p256.multiplications = 0
        board.record(1)
        async with running(tmp_path / "none", ether, board_keys=False) as gateway:
            await until(lambda: gateway.central.counters.failed > 0, "refused")
            assert held(gateway, board) == 0 and gateway.central.counters.errors["SESSION_PLAIN"]
        (tmp_path / "gw").mkdir()
        enrol(tmp_path / "gw" / "identity.json")
        # A stranger is told nothing.
        async with running(tmp_path / "gw", ether, stall_s=0.3) as gateway:
            await until(lambda: gateway.central.counters.failed > 0, "refused")
            assert held(gateway, board) == 0
        assert keyed.p256.multiplications == 0
        errors = [greeting.error for greeting in keyed.greetings]
        assert "HANDSHAKE_STRANGER" in [error.code for error in errors if error is not None]

    run(main())


def test_keys_for_boards_want_an_identity(tmp_path: Path) -> None:
    with pytest.raises(HedgerowError, match="SETTING_INVALID"):
        GatewayConfig(data=tmp_path, board_keys=True)


def test_a_group_key_is_kept_for_its_owner_only_and_outlives_the_gateway(tmp_path: Path) -> None:
    enrol(tmp_path / "identity.json")
    word = Word(group_word(4), "app-1")

    async def main() -> None:
        async with running(tmp_path, Ether()) as gateway:
            assert epoch(gateway.mesh.epochs.group)[0] == 0
            take(gateway.mesh.epochs.group, word)
        kept = tmp_path / "group.key"
        assert kept.stat().st_mode & 0o777 == 0o600 and word.key.hex() in kept.read_text()
        for path in tmp_path.iterdir():
            assert word.key not in path.read_bytes()
        async with running(tmp_path, Ether()) as gateway:
            group = gateway.mesh.epochs.group
            assert (epoch(group), group.key) == ((4, word.issued, word.statement), word.key)
        # What is damaged is no key, and no reason to stay down.
        kept.write_text("no hexadecimal digits")
        async with running(tmp_path, Ether()) as gateway:
            group = gateway.mesh.epochs.group
            assert group.key == group.base
            kept.unlink()
            kept.mkdir()
            with pytest.raises(OSError, match="IDENTITY_FILE"):
                take(group, word)
            assert group.key == group.base

    run(main())
