"""Authors that fork: a cloned board, a stolen key. Who is quarantined, what stands, what the evidence is."""

import base64
import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from farm_kit import ALLOWED, Farm, gateway_at, run, running_farm, until

from hedgerow.codec.schema import KEEP, schema_for
from hedgerow.crypto.credentials import Credential, Trust
from hedgerow.crypto.identity import Identity
from hedgerow.crypto.members import Members
from hedgerow.errors import HedgerowError
from hedgerow.limits import MAX_SEAL_OPERATIONS
from hedgerow.log import ENTRY_OP, ENTRY_SEAL
from hedgerow.memory import MemoryLog, MemoryStore
from hedgerow.operation import INSERT, h16
from hedgerow.peer import Peer
from hedgerow.sync.hello import GATEWAY
from hedgerow.trust.seal import Seal, seal_hash
from hedgerow.trust.verify import twin
from hedgerow_bigpeer.auth import manage
from hedgerow_gateway import Gateway
from hedgerow_host.fork import Evidence, Held, Suspects, contradicts


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    with running_farm(tmp_path_factory.mktemp("farm")) as running:
        yield running


class Board:
    """A board with an identity. `clone` is another one with its keys and what it has written so far."""

    def __init__(self, farm: Farm, path: Path, original: "Board | None" = None) -> None:
        self.farm = farm
        if original is None:
            enrolment = farm.enrol(path, path.stem, ALLOWED)
            self.identity: Identity = enrolment.identity
            assert enrolment.credential is not None
            self.credential: Credential = enrolment.credential
            self.trust: Trust = enrolment.trust
            store = MemoryStore()
        else:
            self.identity, self.credential, self.trust = (
                original.identity,
                original.credential,
                original.trust,
            )
            store = MemoryStore()
        store.author = self.author = self.identity.author
        self.log = MemoryLog(store)
        self.members = Members(self.log, self.trust, self.identity)
        self.members.enrol(self.credential)
        self.peer = Peer(self.log, 0, mesh=b"msh", members=self.members)
        if original is not None:
            original.hand(self.peer, self.log)
            self.log.commit()
            self.peer = Peer(self.log, 0, mesh=b"msh", members=self.members)

    def record(self, *numbers: int, seal: bool = True) -> "Board":
        for n in numbers:
            schema = schema_for("readings", KEEP, {"n": n})
            self.peer.write([[INSERT, schema.name, n, schema.pack({"n": n})]], [schema], 0)
        if seal:
            self.peer.seal(0)
        return self

    def hand(self, peer: Peer, log: object) -> None:
        """Bring all of it to another peer, as a radio would."""
        for schema in self.peer.schemas.values():
            peer.ingest_schema(schema.encoded)
        held, sealed = log.held(self.author), log.sealed(self.author)  # type: ignore[attr-defined]
        for kind, first, last, body in self.log.read(self.author, 0, 0, 1 << 20):
            if (kind == ENTRY_OP and first > held) or (kind == ENTRY_SEAL and last > sealed):
                log.append(kind, self.author, first, last, body)  # type: ignore[attr-defined]
        log.commit()  # type: ignore[attr-defined]

    def shown(self, at: int = -1) -> Evidence:
        """Return one of its seals with what it covers."""
        entries = self.log.read(self.author, 0, 0, 1 << 20)
        body = [body for kind, _, _, body in entries if kind == ENTRY_SEAL][at]
        seal = Seal.decode(body)
        marks = [
            h16(self.author, first, op, self.peer.schemas)
            for kind, first, _, op in entries
            if kind == ENTRY_OP and seal.first <= first <= seal.last
        ]
        return Evidence(self.author, body, tuple(marks))

    def held(self) -> list[Held]:
        return [
            Held(shown.seal, dict(enumerate(shown.marks, Seal.decode(shown.seal).first)))
            for shown in (self.shown(at) for at in range(len(self.seals())))
        ]

    def seals(self) -> list[bytes]:
        entries = self.log.read(self.author, 0, 0, 1 << 20)
        return [body for kind, _, _, body in entries if kind == ENTRY_SEAL]


def gw(farm: Farm, path: Path) -> Path:
    path.mkdir()
    farm.enrol(path / "identity.json", path.name)
    return path


async def known(gateway: Gateway, board: Board) -> None:
    members = gateway.peer.members
    assert members is not None
    await until(lambda: members.knows(board.author), "its credential")


def post(farm: Farm, shown: Evidence) -> httpx.Response:
    def text(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    body = {"author": text(shown.author), "seal": text(shown.seal), "marks": text(b"".join(shown.marks))}
    return httpx.post(f"{farm.served.url}/api/hedgerow/v1/auth/forks", json=body, timeout=60)


def test_a_clone_that_another_gateway_brings_is_noticed_and_its_author_quarantined(
    farm: Farm, tmp_path: Path
) -> None:
    board = Board(farm, tmp_path / "pump.json").record(101, 102)
    clone = Board(farm, tmp_path, board)
    board.record(103, 104, 105)
    # Its seals end elsewhere: what they cover does not fit what is held, and shows nothing by itself.
    clone.record(113, 114, 115, 116, 117, 118)
    other = Board(farm, tmp_path / "innocent.json").record(201)

    async def main() -> None:
        url = farm.served.sync_url
        async with gateway_at(gw(farm, tmp_path / "north"), url) as gateway:
            await known(gateway, board)
            board.hand(gateway.peer, gateway.log)
            gateway.peer.touch(board.author)
            gateway.peer.commit()
            await until(lambda: gateway.peer.receipted(board.author) == 6, "receipted")
            south = gw(farm, tmp_path / "south")
            async with gateway_at(south, url) as second:
                await known(second, clone)
                for each in (clone, other):
                    each.hand(second.peer, second.log)
                    second.peer.touch(each.author)
                second.peer.commit()
                forked = second.peer.members
                assert forked is not None
                await until(lambda: forked.forked(board.author) == 6, "told of the fork")
                # The others go on.
                await until(lambda: second.peer.receipted(other.author) == 2, "others go on")
                # What its author writes now is kept, and neither receipted nor shown.
                board.record(106)
                board.hand(gateway.peer, gateway.log)
                gateway.peer.touch(board.author)
                gateway.peer.commit()
                await until(lambda: farm.status(board.author)["sealed"] == 7, "kept")
                assert gateway.peer.receipted(board.author) == 6

    run(main())
    row = farm.status(board.author)
    assert (row["receipted"], row["refused"]) == (6, "AUTHOR_FORKED")
    gaps = farm.rows("SELECT state, reason, first FROM system:gaps WHERE reason = 'AUTHOR_FORKED'")
    assert {(row["state"], row["first"]) for row in gaps} == {("refused", 7), ("not counted", None)}
    seen = [row["n"] for row in farm.rows("SELECT n FROM readings ORDER BY n")]
    assert seen == [101, 102, 103, 104, 105, 201]
    (row,) = farm.registry.audit.newest(9, action="author.fork")
    assert (row.subject, row.detail["code"], row.detail["last"]) == (board.author.hex(), "AUTHOR_FORKED", 6)
    assert row.actor.endswith(":south")
    assert bytes.fromhex(row.detail["held"]) in board.seals()
    assert bytes.fromhex(row.detail["shown"]) in clone.seals()
    assert farm.refused()["AUTHOR_FORKED"] == 1
    assert manage.list_forks(farm.registry, "farm")[0]["author"] == board.author.hex()
    # Somebody looked at both boards: what is held is the true one's.
    with pytest.raises(HedgerowError, match="REVOCATION_LOWER"):
        manage.accept_fork(farm.registry, "test", "farm", board.author, 5)
    manage.accept_fork(farm.registry, "test", "farm", board.author, 7)

    async def wait() -> None:
        await until(
            lambda: [row["n"] for row in farm.rows("SELECT n FROM readings WHERE n = 106")] == [106], "counts"
        )

    run(wait())


def test_what_is_shown_is_believed_only_if_the_authors_key_has_sealed_both(
    farm: Farm, tmp_path: Path
) -> None:
    board = Board(farm, tmp_path / "valve.json").record(301, 302)
    clone = Board(farm, tmp_path, board).record(313, 314)
    board.record(303, 304)
    stranger = Board(farm, tmp_path / "stranger.json").record(1)

    async def main() -> None:
        async with gateway_at(gw(farm, tmp_path / "east"), farm.served.sync_url) as gateway:
            await known(gateway, board)
            board.hand(gateway.peer, gateway.log)
            gateway.peer.touch(board.author)
            gateway.peer.commit()
            await until(lambda: gateway.peer.receipted(board.author) == 5, "receipted")

    run(main())
    true = clone.shown()
    s = stranger.shown()
    for wrong, code in (
        (board.shown(), "FORK_UNPROVEN"),
        (true._replace(marks=true.marks[:-1] + (bytes(16),)), "FORK_UNPROVEN"),
        (true._replace(seal=s.seal, marks=s.marks), "FORK_UNPROVEN"),
        (true._replace(author=stranger.author), "FORK_UNPROVEN"),
        (true._replace(author=os.urandom(8)), "FORK_UNPROVEN"),
        (true._replace(seal=b"junk"), "CBOR_"),
        (true._replace(marks=()), "REQUEST_SYNTAX"),
        (true._replace(marks=true.marks[:1] * MAX_SEAL_OPERATIONS), "FORK_UNPROVEN"),
        # The other valid signature of the very seal that is held.
        (board.shown()._replace(seal=twin(board.shown().seal)), "FORK_UNPROVEN"),
    ):
        answer = post(farm, wrong)
        assert answer.status_code >= 400 and answer.json()["error"]["code"].startswith(code), answer.text
    assert board.author not in farm.registry.forks.all(farm.app)
    assert post(farm, true).json() == {"author": board.author.hex(), "last": 5}
    # Shown again it is no news, and nothing is lowered.
    assert post(farm, true).json()["last"] == 5
    assert (
        len(
            [
                r
                for r in farm.registry.audit.newest(99, action="author.fork")
                if r.subject == board.author.hex()
            ]
        )
        == 1
    )


def test_what_contradicts_what(farm: Farm, tmp_path: Path) -> None:
    board = Board(farm, tmp_path / "gauge.json").record(1, 2)
    clone = Board(farm, tmp_path, board)
    same = Board(farm, tmp_path, board)
    board.record(3, 4).record(5)
    # It has booted: a clock record comes first.
    clone.record(13).record(15)
    rules = board.members
    held = board.held()
    assert contradicts(clone.shown(1), held, rules) == board.seals()[1]
    # By its place alone: it names another one before it.
    assert contradicts(clone.shown(2), held[:2], rules) == board.seals()[1]
    # The same operations in other ranges are no fork.
    same.record(3, seal=False)
    assert contradicts(board.shown(2), held, rules) == b""
    later = Board(farm, tmp_path, board)
    later.record(6)
    assert contradicts(later.shown(), held, rules) == b""
    # A relay can write the other signature of a seal: who goes on from the true one has not forked.
    altered = [held[0], held[1], held[2]._replace(seal=twin(held[2].seal))]
    assert seal_hash(altered[2].seal) != seal_hash(held[2].seal)
    assert contradicts(later.shown(), altered, rules) == b""
    # What is not all there, or is not the author's word, shows nothing.
    for gone in ([each._replace(marks={}) for each in held], []):
        assert contradicts(clone.shown(1), gone, rules) == b""


def test_a_relay_that_writes_the_other_signature_of_a_seal_stops_nobody(farm: Farm, tmp_path: Path) -> None:
    board = Board(farm, tmp_path / "probe.json").record(401).record(402)
    taken = Peer(MemoryLog(MemoryStore()), 0, role=GATEWAY, mesh=b"msh", members=board.members)
    for schema in board.peer.schemas.values():
        taken.ingest_schema(schema.encoded)

    async def main() -> None:
        async with gateway_at(gw(farm, tmp_path / "relay"), farm.served.sync_url) as gateway:
            await known(gateway, board)
            for peer in (taken, gateway.peer):
                for kind, first, last, body in board.log.read(board.author, 0, 0, 1 << 20):
                    if kind == ENTRY_OP:
                        peer.log.append(kind, board.author, first, last, body)
                    elif peer is taken:
                        # As a gateway verifies it, the first one altered.
                        peer.ingest_seal(board.author, twin(body) if last == 2 else body)
                    else:
                        altered = twin(body) if last == 2 else body
                        peer.log.append(kind, board.author, first, last, altered)
            for schema in board.peer.schemas.values():
                gateway.peer.ingest_schema(schema.encoded)
            gateway.peer.touch(board.author)
            gateway.peer.commit()
            await until(lambda: gateway.peer.receipted(board.author) == 3, "receipted")

    run(main())
    assert taken.log.sealed(board.author) == 3


def test_a_session_collects_a_few_authors_once(farm: Farm, tmp_path: Path) -> None:
    board = Board(farm, tmp_path / "meter.json").record(1, 2)
    suspects, shown = Suspects(), board.shown()
    assert suspects.suspect(board.author, b"junk") is None
    assert suspects.suspect(board.author, shown.seal) == 0 and suspects.watches(board.author)
    assert suspects.suspect(board.author, shown.seal) is None
    assert suspects.seal(board.author, shown.seal) is None, "nothing was heard yet"
    bodies = [body for kind, _, _, body in board.log.read(board.author, 0, 0, 1 << 20) if kind == ENTRY_OP]
    suspects.hear(board.author, 1, bodies, board.peer.schemas)
    assert suspects.seal(board.author, shown.seal) == shown and not suspects.watches(board.author)
    found = [suspects.suspect(bytes([n]) * 8, shown.seal) for n in range(20)]
    assert found.count(0) == 15
