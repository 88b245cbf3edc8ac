"""Boards that a gateway enrolled by itself: to a production Big Peer, up to the delegation's count."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from farm_kit import Farm, gateway_at, run, running_farm, until

from hedgerow.codec.schema import KEEP, schema_for
from hedgerow.crypto.credentials import Credential
from hedgerow.crypto.identity import Identity
from hedgerow.crypto.members import Members
from hedgerow.crypto.port import P256
from hedgerow.errors import HedgerowError
from hedgerow.log import ENTRY_OP, ENTRY_SEAL
from hedgerow.memory import MemoryLog, MemoryStore
from hedgerow.operation import INSERT, h16
from hedgerow.peer import Peer
from hedgerow.trust.seal import NO_SEAL, make_seal
from hedgerow_bigpeer.auth import manage
from hedgerow_gateway import Gateway, limits
from hedgerow_gateway.delegate import Delegate
from hedgerow_gateway.enrolment import poster, to_bytes, to_text

DAY = 86_400


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    with running_farm(tmp_path_factory.mktemp("farm")) as running:
        yield running


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "DELEGATED_LOOK_S", 0.05)
    monkeypatch.setattr(limits, "RENEWAL_LOOK_S", 0.1)


def delegate(farm: Farm, path: Path, peers: int) -> Delegate:
    """Enrol a gateway that may delegate, and get it a delegation."""
    made = Delegate(farm.enrol(path, "gateway-7", kinds=["delegate"]))
    made.ask(poster(farm.served.sync_url), ["readings"], peers, 30 * DAY)
    return made


class Board:
    """A board with keys that a gateway has enrolled: it records, and seals."""

    def __init__(self, giver: Delegate, user: str = "") -> None:
        p256 = P256(os.urandom)
        self.identity = Identity.make(p256)
        answer = enrol(giver, self.identity, token=user)
        self.credential = Credential(to_bytes(answer["credential"]))
        store = MemoryStore()
        store.author = self.identity.author
        self.members = Members(MemoryLog(store), giver._enrolment.trust, self.identity)
        self.members.enrol(self.credential)
        self.peer = Peer(self.members._log, 0, mesh=b"msh", members=self.members)

    @property
    def author(self) -> bytes:
        return self.identity.author

    def record(self, collection: str, n: int) -> None:
        schema = schema_for(collection, KEEP, {"n": n})
        self.peer.write([[INSERT, schema.name, n, schema.pack({"n": n})]], [schema], 0)

    def hand_to(self, gateway: Gateway) -> None:
        """Bring all of it to a gateway, as its radio would."""
        self.peer.seal(0)
        for schema in self.peer.schemas.values():
            gateway.peer.ingest_schema(schema.encoded)
        held, sealed = gateway.log.held(self.author), gateway.log.sealed(self.author)
        for kind, first, last, body in self.peer.log.read(self.author, 0, 0, 1 << 20):
            if kind == 0 and first > held:
                gateway.peer.ingest(self.author, first, [body])
            elif kind == 1 and last > sealed:
                gateway.peer.ingest_seal(self.author, body)
        gateway.peer.commit()


def enrol(giver: Delegate, identity: Identity, **wanted: Any) -> dict[str, Any]:
    """Enrol a board as `hedgerow enroll --by-gateway` does over USB."""
    challenge = giver.post("challenge", {})
    parts = (to_bytes(challenge[name]) for name in ("challenge", "point"))
    proof = {name: to_text(value) for name, value in identity.prove(challenge["app"], *parts).items()}
    return giver.post("login", {"proof": proof, **wanted})


def receipts(gateway: Gateway, board: Board) -> int:
    return gateway.peer.receipted(board.author)


def test_boards_of_a_gateway_are_countersigned_and_one_too_many_is_refused_and_named(
    farm: Farm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "gw"
    giver = delegate(farm, data / "identity.json", 2)
    first, second = Board(giver, "pump-1"), Board(giver)
    # Here the count is known; who has the gateway's key can ignore it.
    with pytest.raises(HedgerowError, match="DELEGATION_FULL"):
        Board(giver)
    with monkeypatch.context() as patched:
        patched.setattr(Delegate, "boards", lambda self: [])
        third = Board(giver, "one too many")

    async def main() -> None:
        async with gateway_at(data, farm.served.sync_url) as gateway:
            for board in (first, second):
                await until(lambda board=board: gateway.peer.members.knows(board.author), "known")
                board.record("readings", 1)
                board.record("secrets", 2)
                board.hand_to(gateway)
                assert gateway.log.held(board.author) == 3 and gateway.log.sealed(board.author) == 3
            # Its seals name credentials that the Big Peer has not given, and go by their delegate.
            await until(lambda: receipts(gateway, first) and receipts(gateway, second), "receipted")
            states = gateway.report()["boards"]
            assert states is not None and sum(states.values()) == 3
            await until(lambda: gateway.report()["boards"]["waiting"] == 0, "settled")

    run(main())
    states = [(board.read.claims.author, board.state) for board in giver.boards()]
    assert states == [
        (first.author, "countersigned"),
        (second.author, "countersigned"),
        (third.author, "DELEGATION_FULL"),
    ]
    refused = farm.registry.audit.newest(9, action="delegation.refuse")
    number = giver.delegation.claims.cti.hex()
    assert [(row.actor, row.detail["code"]) for row in refused] == [
        (f"delegation:{number}:gateway-7", "DELEGATION_FULL")
    ]
    # What the delegation does not cover is kept, and never shown.
    assert farm.rows("SELECT _id FROM readings") == [{"_id": 1}]
    assert farm.rows("SELECT _id FROM secrets") == []


@pytest.mark.parametrize("seals", ["none", "of kind 0", "true operations"])
def test_what_another_has_brought_of_a_board_that_nobody_knew_goes(
    farm: Farm, tmp_path: Path, seals: str
) -> None:
    """DESIGN 7: on a conflict of dots the sealed one stands, however late its credential becomes known.

    Who seals it, as an author without a credential does, would have the board let go of what it wrote: that
    would be told of a receipt with a proof.
    """
    base = 100 * (1 + ["none", "of kind 0", "true operations"].index(seals))
    data, thief = tmp_path / "gw", tmp_path / "thief"
    giver, url = delegate(farm, data / "identity.json", 1), farm.served.sync_url
    thief.mkdir()
    farm.enrol(thief / "identity.json", "thief")
    board, store = Board(giver), MemoryStore()
    store.author = board.author
    false = Peer(MemoryLog(store), 0, mesh=b"msh")
    for n in (base + 1, base + 2):
        board.record("readings", n)
    schema = schema_for("readings", KEEP, {"n": 1})
    for n in (base + 1, base + 66, base + 67, base + 68, base + 69):
        false.write([[INSERT, schema.name, n, schema.pack({"n": n})]], [schema], 0)
    log = board.peer.log if seals == "true operations" else false.log
    brought = [entry for entry in log.read(board.author, 0, 0, 1 << 20) if entry[0] == ENTRY_OP]
    before = brought[-1][1]
    if seals != "none":
        marks = [h16(board.author, first, body, {schema.name: schema}) for _, first, _, body in brought]
        brought.append((ENTRY_SEAL, 1, before, make_seal(board.author, 1, before, marks, NO_SEAL)))

    def shown() -> list[int]:
        query = f"SELECT n FROM readings WHERE n > {base} AND n < {base + 100} ORDER BY n"
        return [row["n"] for row in farm.rows(query)]

    def held() -> Any:
        row = farm.status(board.author)
        return row["held"], row["receipted"], row["refused"]

    async def main() -> None:
        async with gateway_at(thief, url) as gateway:
            gateway.peer.ingest_schema(schema.encoded)
            for kind, first, last, body in brought:
                gateway.log.append(kind, board.author, first, last, body)
            gateway.peer.touch(board.author)
            gateway.peer.commit()
            await until(lambda: base + 1 in shown() and len(shown()) == before - 1, "brought")
            await until(lambda: seals == "none" or held() == (before, before, None), "believed")
            giver.countersign(poster(url))
            await until(lambda: not held()[1], "receipted no more")
        async with gateway_at(data, url) as gateway:
            await until(lambda: gateway.peer.members.knows(board.author), "known")
            board.hand_to(gateway)
            await until(lambda: held() == (3, 3, None), "receipted")
        # Nothing of it holds up what comes next, by a gateway that was told nothing of it.
        board.record("readings", base + 3)
        farm.enrol(tmp_path / "identity.json", "next")
        async with gateway_at(tmp_path, url) as gateway:
            await until(lambda: gateway.peer.members.knows(board.author), "known")
            board.hand_to(gateway)
            await until(lambda: receipts(gateway, board) == 4, "receipted")

    run(main())
    assert shown() == [base + 1, base + 2, base + 3] and held() == (4, 4, None)


def test_revoking_a_gateway_ends_what_it_may_give(farm: Farm, tmp_path: Path) -> None:
    data = tmp_path / "gw"
    giver = delegate(farm, data / "identity.json", 4)
    board = Board(giver)
    assert [each.state for each in giver.countersign(poster(farm.served.sync_url))] == ["countersigned"]
    manage.revoke(farm.registry, "test", "farm", giver._enrolment.claims.cti, 0)
    revoked = {row.number for row in farm.registry.revocations.all(farm.app, 99)}
    assert giver.delegation.claims.cti in revoked and board.credential.claims.cti not in revoked
    late = Board(giver)
    assert [each.state for each in giver.countersign(poster(farm.served.sync_url))] == ["CREDENTIAL_REVOKED"]
    assert late.author != board.author


def test_who_may_not_delegate_gets_no_delegation(farm: Farm, tmp_path: Path) -> None:
    enrolment = farm.enrol(tmp_path / "identity.json", "plain")
    giver = Delegate(enrolment)
    with pytest.raises(HedgerowError, match="AUTH_FORBIDDEN"):
        giver.ask(poster(farm.served.sync_url), ["readings"], 1, DAY)
    with pytest.raises(HedgerowError, match="DELEGATION_NONE"):
        assert giver.delegation


def test_another_gateway_learns_of_boards_from_the_big_peer(farm: Farm, tmp_path: Path) -> None:
    giver = delegate(farm, tmp_path / "identity.json", 1)
    board = Board(giver)
    giver.countersign(poster(farm.served.sync_url))
    board.record("readings", 7)
    data = tmp_path / "other"
    data.mkdir()
    farm.enrol(data / "identity.json", "other")

    async def main() -> None:
        async with gateway_at(data, farm.served.sync_url) as gateway:
            await until(lambda: gateway.peer.members.knows(board.author), "told")
            # The seal names the credential as the delegate signed it.
            board.hand_to(gateway)
            await until(lambda: receipts(gateway, board) == 2, "receipted")

    run(main())
