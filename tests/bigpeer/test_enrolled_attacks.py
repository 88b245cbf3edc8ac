"""Strangers, revoked gateways, who alters what goes by, and who forges, before a production Big Peer."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from farm_kit import (
    Farm,
    counters,
    gateway_at,
    receipted,
    record,
    run,
    running_farm,
    tapped,
    until,
)

from hedgerow.crypto.cose import Sign1
from hedgerow.crypto.words import REVOCATION, Word, unfold
from hedgerow.errors import HedgerowError
from hedgerow.log import ENTRY_OP, ENTRY_SEAL
from hedgerow.operation import h16
from hedgerow.trust.seal import NO_SEAL, make_seal
from hedgerow_bigpeer.auth import manage
from hedgerow_gateway import Gateway, GatewayConfig, open_peer
from hedgerow_gateway.enrolment import Enrolment, poster


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    with running_farm(tmp_path_factory.mktemp("farm")) as running:
        yield running


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
            # As letters they are the same word for word.
            app = farm.app.id
            said = [body for _, body in farm.registry.database.statements(app, 0)]
            words = [Word(body, app) for body in said if Sign1(body).kind == REVOCATION]
            assert [unfold(word.brief(), app) for word in words] == [word.statement for word in words] != []

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


def test_a_gateway_that_forges_is_named_and_stops_nobody(farm: Farm, tmp_path: Path) -> None:
    """A member in good standing invents operations of a victim: one without a seal, then more under one that
    it makes itself.
    """
    for name in ("relay", "victim"):
        (tmp_path / name).mkdir()
        farm.enrol(tmp_path / name / "identity.json", name)

    async def forge(gateway: Gateway, author: bytes, bodies: list[bytes], held: int) -> None:
        gateway.peer.ingest(author, held + 1, bodies[:1])
        record(gateway, 1)
        await until(lambda: receipted(gateway), "its own goes on")
        assert farm.status(author)["held"] == held, "nothing stands in the place of the next one"
        gateway.peer.ingest(author, held + 2, bodies[1:])
        marks = [h16(author, held + 1 + at, body, gateway.peer.schemas) for at, body in enumerate(bodies)]
        forged = make_seal(author, held + 1, held + len(bodies), marks, NO_SEAL, gateway.peer.members)
        gateway.log.append(ENTRY_SEAL, author, held + 1, held + len(bodies), forged)
        gateway.peer.touch(author)
        gateway.peer.commit()
        record(gateway, 1)
        await until(lambda: farm.status(author)["refused"] == "SEAL_INVALID", "the seal is refused")
        assert farm.status(author)["held"] == held

    async def main() -> None:
        url = farm.served.sync_url
        async with gateway_at(tmp_path / "victim", url) as victim:
            record(victim, 1)
            await until(lambda: receipted(victim), "receipted")
            author = victim.peer.author
            entries = victim.log.read(author, 0, 0, 1 << 20)
            schemas = [schema.encoded for schema in victim.peer.schemas.values()]
            async with gateway_at(tmp_path / "relay", url) as gateway:
                for encoded in schemas:
                    gateway.peer.ingest_schema(encoded)
                bodies = [body for kind, _, _, body in entries if kind == ENTRY_OP]
                gateway.peer.ingest(author, 1, bodies)
                await forge(gateway, author, bodies[-1:] * 2, len(bodies))
                record(victim, 77)
                await until(lambda: receipted(victim), "what the victim writes then is receipted")
                assert gateway.enrolment is not None and victim.enrolment is not None
                numbers = [found.enrolment.claims.cti.hex() for found in (gateway, victim)]
        await until(
            lambda: (f"credential:{numbers[0]}:relay", "SEAL_INVALID") in farm.audit("seal.refuse"), "named"
        )
        assert not [actor for actor, _ in farm.audit("seal.refuse") if numbers[1] in actor]
        assert len(farm.rows("SELECT n FROM readings WHERE n = 77")) == 1

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
