"""Gateways with identities against a production Big Peer in another process: keys, and who may write."""

import asyncio
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from farm_kit import (
    Farm,
    counters,
    gateway_at,
    greetings,
    receipted,
    record,
    run,
    running_farm,
    tapped,
    until,
)

from hedgerow.crypto.greeting import END
from hedgerow.custody.receipt import PROOF_MAC
from hedgerow.errors import HedgerowError
from hedgerow_gateway import open_peer


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    with running_farm(tmp_path_factory.mktemp("farm")) as running:
        yield running


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
            # The Big Peer says with each receipt what would prove it to its author over any way.
            receipt = gateway.peer.receipt(gateway.peer.author)
            assert receipt is not None and gateway.peer.members is not None
            assert receipt.proof_kind == PROOF_MAC and gateway.peer.members.proves(receipt)
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
