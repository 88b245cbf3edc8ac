"""Gateways with identities against a production Big Peer in another process: keys, strangers, revocation."""

import asyncio
import contextlib
import json
import re
import stat
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import httpx
import identity_provider
import pytest
from bigpeer_harness import EXECUTE, STATUS, Remote
from identity_provider import Running
from websockets.asyncio.client import connect as dial
from websockets.asyncio.server import serve as listen

from hedgerow.codec.decimal import Decimal
from hedgerow.crypto.greeting import END
from hedgerow.errors import HedgerowError
from hedgerow.log import ENTRY_OP, ENTRY_SEAL
from hedgerow.operation import h16
from hedgerow.trust.seal import NO_SEAL, make_seal
from hedgerow_bigpeer.auth import manage
from hedgerow_bigpeer.auth.registry import Registry
from hedgerow_gateway import Gateway, GatewayConfig, open_peer
from hedgerow_gateway.enrolment import Enrolment, poster

ALLOWED = {"read": {"everything": True}, "write": {"everything": True}}


class Farm:
    """A production app in its own process, and who vouches for its users."""

    def __init__(self, directory: Path, idp: Running) -> None:
        self.directory = directory
        self.registry = Registry(directory)
        self.app = self.registry.create_app("test", "farm", "production", "farm")
        hook = {"type": "webhookUrl", "webhookUrl": f"{idp.url}/hook", "allowPrivate": True}
        manage.set_provider(self.registry, "test", "farm", "hook", hook)
        self.served = Remote(directory, app="farm", mesh="farm")
        self.key = ""

    def enrol(self, path: Path, user: str = "gw", permissions: Any = ALLOWED) -> Enrolment:
        """Get a credential as `hedgerow enroll` does."""
        said = {"authenticated": True, "userID": user, "expirationSeconds": 3600, "permissions": permissions}
        enrolment = Enrolment(path)
        enrolment.log_in(poster(self.served.sync_url), "hook", json.dumps(said))
        return enrolment

    def audit(self, action: str) -> list[tuple[str, str]]:
        """Return (actor, code) of the newest rows of the audit log."""
        rows = self.registry.audit.newest(100, action=action)
        return [(row.actor, str(row.detail.get("code"))) for row in rows]

    def rows(self, statement: str) -> list[Any]:
        """Ask over HTTP with a key that may read everything."""
        if not self.key:
            verbs = {"name": "reader", "verbs": ["read", "status"]}
            self.key = str(manage.create_key(self.registry, "test", "farm", verbs)["key"])
        headers = {"authorization": f"Bearer {self.key}"}
        response = httpx.post(self.served.url + EXECUTE, json={"statement": statement}, headers=headers)
        assert response.status_code == 200, response.text
        return list(response.json()["items"])

    def status(self, author: bytes) -> Any:
        """Return what the status says of an author."""
        self.rows("SELECT * FROM nothing")
        headers = {"authorization": f"Bearer {self.key}"}
        rows = httpx.get(self.served.url + STATUS, headers=headers).json()["authors"]
        (found,) = [row for row in rows if row["author"] == author.hex()]
        return found

    def refused(self) -> dict[str, int]:
        """Return how many operations were refused, by code, from /metrics."""
        headers = {"authorization": f"Bearer {self.key}"}
        text = httpx.get(self.served.url + "/metrics", headers=headers).text
        found = re.findall(r'operations_refused_total\{code="(\w+)"\} (\d+)', text)
        return {code: int(count) for code, count in found}

    def close(self) -> None:
        self.served.kill()
        self.registry.close()


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    with identity_provider.running() as idp:
        running = Farm(tmp_path_factory.mktemp("farm"), idp)
        yield running
        running.close()


def run(main: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(40):
            await main

    asyncio.run(bounded())


async def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def gateway_at(data: Path, url: str, **settings: Any) -> AsyncIterator[Gateway]:
    quick = {"http": None, "time": "trust", "radio": "off", "name": "gw", "mesh": "farm"}
    pauses = {"uplink_first_pause_s": 0.02, "uplink_max_pause_s": 0.05}
    gateway = Gateway(GatewayConfig(data=data, uplink=url, **{**quick, **pauses, **settings}))
    task = asyncio.create_task(gateway.run())
    try:
        yield gateway
    finally:
        gateway.stop()
        await task


def record(gateway: Gateway, n: int) -> None:
    gateway.peer.insert("readings", {"n": n, "t": Decimal(394 + n, -1)}, gateway.clock.now())


def receipted(gateway: Gateway) -> bool:
    author = gateway.peer.author
    return gateway.peer.receipted(author) == gateway.log.held(author) > 0


def counters(gateway: Gateway) -> Any:
    assert gateway.uplink is not None
    return gateway.uplink.counters


class Wiretap:
    """Stands between a gateway and the Big Peer: keeps what goes by, and may cut or alter it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.heard: list[bytes] = []
        self.sockets: list[Any] = []
        self.change: Callable[[int, bytes], bytes] = lambda _, message: message

    async def serve(self, near: Any) -> None:
        async with dial(self._url, compression=None) as far:
            self.sockets.append(near)

            async def carry(one: Any, two: Any) -> None:
                async for message in one:
                    self.heard.append(message)
                    await two.send(self.change(len(self.heard), message))

            ways = {asyncio.create_task(carry(near, far)), asyncio.create_task(carry(far, near))}
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.wait(ways)
            await near.close(far.close_code or 1000, far.close_reason or "")


@contextlib.asynccontextmanager
async def tapped(url: str) -> AsyncIterator[tuple[Wiretap, str]]:
    tap = Wiretap(url)
    async with listen(tap.serve, "127.0.0.1", 0, compression=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield tap, f"ws://127.0.0.1:{port}/"


def greetings(tap: Wiretap) -> list[int]:
    """Return the sizes of the messages that came before keys."""
    return [len(message) for message in tap.heard if message[2] == END]


def test_a_gateway_enrols_syncs_and_meets_again_without_a_handshake(farm: Farm, tmp_path: Path) -> None:
    data = tmp_path / "gw"
    data.mkdir()
    farm.enrol(data / "identity.json")

    async def main() -> None:
        # Its log is new, and so is its author: the credential has to name it before the first session.
        async with gateway_at(data, farm.served.sync_url) as gateway:
            for n in range(5):
                record(gateway, n)
            await until(lambda: receipted(gateway), "receipted")
            assert gateway.enrolment is not None and gateway.enrolment.author == gateway.peer.author
            assert gateway.enrolment.claims.author == gateway.peer.author
            assert counters(gateway).renewals == 1
            assert stat.S_IMODE((data / "identity.json").stat().st_mode) == 0o600
            assert "gw, credential" in str(gateway.report()["security"])
        async with tapped(farm.served.sync_url) as (tap, url), gateway_at(data, url) as gateway:
            record(gateway, 6)
            await until(lambda: receipted(gateway), "receipted through the wiretap")
            assert counters(gateway).renewals == 0
            # By value both ways, for neither knows the other: 4 messages. Nothing is in the clear.
            assert len(greetings(tap)) == 4
            said = b"".join(tap.heard)
            assert b"readings" not in said and gateway.peer.author not in said
            kinds = {message[2] for message in tap.heard} - {END, END - 1}
            assert kinds == {0x11}
            tap.heard.clear()
            await tap.sockets[0].close()
            record(gateway, 7)
            await until(lambda: receipted(gateway), "receipted once more")
            assert greetings(tap) == [17, 19, 11]
            await tap.sockets[-1].close()
            await until(lambda: counters(gateway).resumed == 1, "counted")

    run(main())
    mode = stat.S_IMODE((farm.directory / "identity.key").stat().st_mode)
    assert mode == 0o600


def test_strangers_are_refused_with_a_code(farm: Farm, tmp_path: Path) -> None:
    async def main() -> None:
        async with gateway_at(tmp_path / "none", farm.served.sync_url) as gateway:
            record(gateway, 1)
            await until(lambda: counters(gateway).failures, "refused")
            assert counters(gateway).last_error.startswith("SESSION_PLAIN")
            assert counters(gateway).sessions == 0
        for name, code in (("forged", "CREDENTIAL_ISSUER"), ("taken", "HANDSHAKE_MAC")):
            data = tmp_path / name
            data.mkdir()
            path = data / "identity.json"
            enrolment = farm.enrol(path, name)
            kept = json.loads(path.read_text())
            if name == "forged":
                # One that no issuer of this app signed.
                kept["credential"] = forged(enrolment)
            else:
                # Somebody's credential, without the key in it.
                other = farm.enrol(tmp_path / "victim.json", "victim")
                kept["credential"] = json.loads((tmp_path / "victim.json").read_text())["credential"]
                enrolment.identity = other.identity
            path.write_text(json.dumps(kept))
            await refused(data, enrolment, code)

    async def refused(data: Path, enrolment: Enrolment, code: str) -> None:
        """Try to get in with the file in a folder; where the key is another one our own check is left out."""
        private = enrolment.identity
        async with gateway_at(data, farm.served.sync_url) as gateway:
            assert gateway.enrolment is not None
            gateway.enrolment.due = lambda now_s: False  # type: ignore[method-assign]
            if code == "HANDSHAKE_MAC":
                keys = bytearray(private.keys)
                keys[31] ^= 1
                private.keys = bytes(keys)
                gateway.enrolment.identity = private
            gateway.enrolment._own = None
            start = counters(gateway).failures
            await until(lambda: counters(gateway).failures > start + 1, "refused")
            assert counters(gateway).last_error.startswith(code), counters(gateway).last_error
            assert counters(gateway).sessions == 0

    run(main())
    codes = {code for actor, code in farm.audit("session.refuse") if actor == "address:127.0.0.1"}
    assert {"SESSION_PLAIN", "CREDENTIAL_ISSUER", "HANDSHAKE_MAC"} <= codes


def forged(enrolment: Enrolment) -> str:
    """Return the same claims, signed by a key that nobody trusts."""
    from cryptography.hazmat.primitives.asymmetric import ec

    from hedgerow_bigpeer.auth import cose
    from hedgerow_bigpeer.base64url import to_base64

    assert enrolment.credential is not None
    return to_base64(cose.sign(ec.generate_private_key(ec.SECP256R1()), enrolment.claims.encode()))


def test_a_revoked_gateway_is_out_within_seconds_and_stays_out(farm: Farm, tmp_path: Path) -> None:
    data = tmp_path / "gw"
    data.mkdir()
    farm.enrol(data / "identity.json", "stolen")

    async def main() -> None:
        async with gateway_at(data, farm.served.sync_url) as gateway:
            record(gateway, 1)
            await until(lambda: receipted(gateway), "receipted")
            held = gateway.log.held(gateway.peer.author)
            assert gateway.enrolment is not None
            number = gateway.enrolment.claims.cti
            manage.revoke(farm.registry, "test", "farm", number, held)
            await until(lambda: counters(gateway).failures >= 3, "thrown out, and refused again")
            assert counters(gateway).last_error.startswith("CREDENTIAL_REVOKED")
            record(gateway, 2)
            with pytest.raises(HedgerowError, match="CREDENTIAL_REVOKED"):
                gateway.enrolment.renew(poster(farm.served.sync_url))
            assert not receipted(gateway) and counters(gateway).sessions == 1
            assert (f"credential:{number.hex()}:stolen", "CREDENTIAL_REVOKED") in farm.audit("session.refuse")

    run(main())


def test_what_a_credential_does_not_allow_never_shows_anywhere(farm: Farm, tmp_path: Path) -> None:
    data = tmp_path / "gw"
    data.mkdir()
    rights = {"write": {"queriesByCollection": {"notes": ["true"], "alarms": ["level < 3"]}}}
    farm.enrol(data / "identity.json", "guest", rights)
    farm.enrol(tmp_path / "identity.json", "program")

    async def main() -> None:
        url = farm.served.sync_url
        program = open_peer(tmp_path / "field.db", url, mesh="farm", identity=tmp_path / "identity.json")
        async with program, gateway_at(data, url) as gateway:
            await program.asubscribe("SELECT * FROM notes")
            await program.asubscribe("SELECT * FROM alarms")
            await program.asubscribe("SELECT * FROM secrets")
            gateway.peer.insert("notes", {"text": "hello"}, gateway.clock.now())
            gateway.peer.insert("secrets", {"text": "hello"}, gateway.clock.now())
            for level in range(5):
                gateway.peer.insert("alarms", {"level": level}, gateway.clock.now())
            # What is refused is held and receipted like all else: it blocks nothing.
            await until(lambda: receipted(gateway), "receipted")
            held = farm.rows("SELECT level FROM alarms")
            assert sorted(row["level"] for row in held) == [0, 1, 2]
            assert farm.rows("SELECT * FROM secrets") == [] and len(farm.rows("SELECT * FROM notes")) == 1
            assert farm.refused()["WRITE_FORBIDDEN"] == 3
            documents = gateway.peer.down.documents
            assert [row for row in documents.scan("secrets") if row] == []
            assert len([row for row in documents.scan("alarms") if row]) == 3

            async def seen(collection: str) -> int:
                return len((await program.aexecute(f"SELECT * FROM {collection}")).rows)

            deadline = time.monotonic() + 20
            # Until it is told of the credential it believes all of it.
            while (await seen("notes"), await seen("alarms"), await seen("secrets")) != (1, 3, 0):
                assert time.monotonic() < deadline
                await asyncio.sleep(0.02)

    run(main())


def test_a_program_is_told_at_once_what_it_may_not_write(farm: Farm, tmp_path: Path) -> None:
    rights = {"write": {"queriesByCollection": {"notes": ["true"], "alarms": ["level < 3"]}}}
    farm.enrol(tmp_path / "identity.json", "limited", rights)

    async def main() -> None:
        path, url = tmp_path / "field.db", farm.served.sync_url
        async with open_peer(path, url, mesh="farm", identity=tmp_path / "identity.json") as program:
            held = len(await program.astatus())
            for statement in (
                "INSERT INTO secrets DOCUMENTS ({'a': 1})",
                "INSERT INTO alarms DOCUMENTS ({'_id': 1, 'level': 3})",
            ):
                with pytest.raises(HedgerowError, match="WRITE_FORBIDDEN"):
                    await program.aexecute(statement)
            await program.aexecute("INSERT INTO alarms DOCUMENTS ({'_id': 2, 'level': 2})")
            with pytest.raises(HedgerowError, match="WRITE_FORBIDDEN"):
                await program.aexecute("UPDATE alarms SET level = 9 WHERE _id = 2")
            rows = (await program.aexecute("SELECT _id, level FROM alarms")).rows
            assert rows == [{"_id": 2, "level": 2}] and held == len(await program.astatus())

    run(main())


def test_after_a_revocation_what_came_later_leaves_all_queries(farm: Farm, tmp_path: Path) -> None:
    data = tmp_path / "gw"
    data.mkdir()
    farm.enrol(data / "identity.json", "thief")
    farm.enrol(tmp_path / "identity.json", "watcher")

    async def main() -> None:
        url = farm.served.sync_url
        watcher = open_peer(tmp_path / "field.db", url, mesh="farm", identity=tmp_path / "identity.json")
        async with watcher:
            await watcher.asubscribe("SELECT * FROM logbook")

            async def seen() -> list[int]:
                return sorted(row["n"] for row in (await watcher.aexecute("SELECT n FROM logbook")).rows)

            async with gateway_at(data, url) as gateway:
                numbers = [gateway.peer.insert("logbook", {"n": n}, gateway.clock.now()) for n in range(6)]
                await until(lambda: receipted(gateway), "receipted")
                deadline = time.monotonic() + 20
                while await seen() != list(range(6)):
                    assert time.monotonic() < deadline
                    await asyncio.sleep(0.02)
                assert gateway.enrolment is not None
                number = gateway.enrolment.claims.cti
            for last, left in ((numbers[2], [0, 1, 2]), (numbers[4], [0, 1, 2, 3, 4])):
                manage.revoke(farm.registry, "test", "farm", number, last)
                deadline = time.monotonic() + 20
                while await seen() != left:
                    assert time.monotonic() < deadline, (await seen(), left)
                    await asyncio.sleep(0.02)
                held = sorted(row["n"] for row in farm.rows("SELECT n FROM logbook"))
                assert held == left
            assert farm.refused()["WRITE_REVOKED"] >= 3

    run(main())


def test_who_alters_what_goes_by_ends_the_session_and_changes_nothing(farm: Farm, tmp_path: Path) -> None:
    data = tmp_path / "gw"
    data.mkdir()
    farm.enrol(data / "identity.json", "altered")

    def change(count: int, message: bytes) -> bytes:
        # Before keys and after, in turn; every third goes as it is.
        place = (count * 7) % len(message)
        return message if count % 3 else message[:place] + bytes([message[place] ^ 1]) + message[place + 1 :]

    async def main() -> None:
        async with tapped(farm.served.sync_url) as (tap, url), gateway_at(data, url) as gateway:
            assert gateway.enrolment is not None
            await asyncio.to_thread(gateway.enrolment.renew, poster(farm.served.sync_url))
            tap.change = change
            for n in range(50):
                record(gateway, n)
            await until(lambda: counters(gateway).failures > 10, "sessions end")
            assert not receipted(gateway)
            tap.change = lambda _, message: message
            await until(lambda: receipted(gateway), "all of it arrives")

    run(main())


def test_a_gateway_that_forges_seals_is_named(farm: Farm, tmp_path: Path) -> None:
    """A member in good standing brings operations of a victim, changed, under a seal that it makes itself."""
    data = tmp_path / "gw"
    data.mkdir()
    farm.enrol(data / "identity.json", "relay")
    (tmp_path / "victim").mkdir()
    farm.enrol(tmp_path / "victim" / "identity.json", "victim")

    async def main() -> None:
        async with gateway_at(tmp_path / "victim", farm.served.sync_url) as victim:
            record(victim, 1)
            await until(lambda: receipted(victim), "receipted")
            author = victim.peer.author
            entries = victim.log.read(author, 0, 0, 1 << 20)
            schemas = [schema.encoded for schema in victim.peer.schemas.values()]
        async with gateway_at(data, farm.served.sync_url) as gateway:
            for encoded in schemas:
                gateway.peer.ingest_schema(encoded)
            bodies = [body for kind, _, _, body in entries if kind == ENTRY_OP]
            held = len(bodies)
            bodies += bodies[-1:] * 2
            gateway.peer.ingest(author, 1, bodies)
            marks = [h16(author, at, bodies[-1], gateway.peer.schemas) for at in (held + 1, held + 2)]
            forged = make_seal(author, held + 1, held + 2, marks, NO_SEAL, gateway.peer.members)
            gateway.log.append(ENTRY_SEAL, author, held + 1, held + 2, forged)
            gateway.peer.touch(author)
            gateway.peer.commit()
            record(gateway, 1)
            await until(lambda: receipted(gateway), "its own goes on")
            await until(lambda: farm.status(author)["held"] == held + 2, "tentative")
            await until(lambda: farm.status(author)["refused"] == "SEAL_INVALID", "the seal is refused")
            assert gateway.enrolment is not None
            named = f"credential:{gateway.enrolment.claims.cti.hex()}:relay"
        await until(lambda: (named, "SEAL_INVALID") in farm.audit("seal.refuse"), "it is named")
        assert farm.status(author)["receipted"] == held

    run(main())


def test_settings_keep_keys_and_words_on_this_machine(tmp_path: Path) -> None:
    for url in ("ws://example.com/api", "ws://10.0.0.1:80/", "ws://[::2]/"):
        with pytest.raises(HedgerowError, match="SETTING_INVALID"):
            GatewayConfig(data=tmp_path, uplink=url)
        assert GatewayConfig(data=tmp_path, uplink=url, plain_uplink=True).uplink == url
        assert GatewayConfig(data=tmp_path, uplink=url.replace("ws", "wss", 1)).uplink
    broken = tmp_path / "identity.json"
    broken.write_text("{}")
    with pytest.raises(HedgerowError, match="IDENTITY_FILE"):
        Enrolment(broken)
