"""What gateways and programs go by of confidential collections: keepers' grants, also after a restart."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from gateway_kit import config
from test_board_keys import MODE, ROOT, _give, enrol, text

from hedgerow.application import ReadyPeer
from hedgerow.codec import cbor
from hedgerow.codec.schema import CONFIDENTIAL, GRANTS, KEEP, STREAM, Schema
from hedgerow.crypto import claims
from hedgerow.crypto.confidential import author_key
from hedgerow.crypto.grants import FIELD, hold, wrap
from hedgerow.crypto.identity import Identity
from hedgerow.crypto.port import P256, finish
from hedgerow.crypto.proofs import pair_key
from hedgerow.errors import HedgerowError
from hedgerow.memory import MemoryLog
from hedgerow.peer import Peer
from hedgerow_gateway import Gateway, open_peer
from hedgerow_gateway.enrolment import Enrolment, to_bytes

WHOLE, NEWER = bytes(range(32)), bytes(range(32, 64))


class Keeper:
    """A keeper that grants keys, and an author who writes under one."""

    def __init__(self) -> None:
        self.peer = ReadyPeer(MemoryLog(), lambda: 1000, keeper=True)
        self.identity = Identity.make(P256(os.urandom))
        given = {"SEALING_KEY": self.identity.sealing, "AUTHOR": self.peer.author, "KINDS": claims.KEEPS}
        self.credential = ROOT.credential(self.identity.agreement, MODE=MODE, **given)

    def grant(self, to: Peer, identity: Identity, entries: list[Any]) -> None:
        """Write a grant, and bring it to its holder."""
        self.grant_for(to.author, identity, entries)
        bring(self.peer, to)

    def grant_for(self, author: bytes, identity: Identity, entries: list[Any], data: bytes = b"") -> bytes:
        """Write a grant of these, or `data`; return it."""
        p256, private = P256(os.urandom), self.identity.keys[:32]
        pair = finish(pair_key(p256, private, identity.agreement, MODE))
        data = data or wrap(pair, self.peer.author, author, entries)
        self.peer.execute(
            f"INSERT INTO {GRANTS} DOCUMENTS (:d) ON ID CONFLICT DO UPDATE", d={"_id": author, FIELD: data}
        )
        return data


def bring(source: Peer, to: Peer) -> None:
    """Bring what a peer wrote last."""
    for schema in source.schemas.values():
        to.ingest_schema(schema.encoded)
    number = source.log.held(source.author)
    body = source.log.fetch(source.author, number)
    to.down.fill(source.author, number, [body], False)
    to.commit()


def author_of(entries: list[Any]) -> ReadyPeer:
    made = ReadyPeer(MemoryLog(), lambda: 1000, kinds={"readings": STREAM})
    hold(made, [[name, epoch, author_key(key, made.author)] for name, epoch, key in entries])
    return made


def seen(peer: Any) -> list[Any]:
    """What a query of a local peer, or the documents of a gateway, show of the readings."""
    if isinstance(peer, Gateway):
        return sorted(row["n"] for row in peer.peer.down.documents.scan("readings"))
    return [row["n"] for row in peer.execute("SELECT n FROM readings ORDER BY n").rows]


def core(peer: Any) -> Any:
    return peer.peer if isinstance(peer, Gateway) else peer._core


def opened(folder: Path, kind: str) -> Any:
    """A gateway or program with an identity, as they are opened again and again."""
    identity = folder / "identity.json"
    if not identity.exists():
        enrol(identity)
    for _ in range(2):
        if kind == "gateway":
            made: Any = Gateway(config(folder))
        else:
            made = open_peer(folder / "own.db", identity=identity, time="trust")
        enrolment = Enrolment(identity)
        if enrolment.claims.author == core(made).author:
            return made
        # The log came after the credential.
        closed(made)
        _give(identity, enrolment)
    raise AssertionError("another author each time")


def closed(peer: Any) -> None:
    peer.log.close() if isinstance(peer, Gateway) else peer.close()


@pytest.mark.parametrize("kind", ["gateway", "program"])
def test_it_goes_by_its_grant_and_by_the_next_one_also_after_a_restart(tmp_path: Path, kind: str) -> None:
    keeper, entries = Keeper(), [["readings", 1, WHOLE]]
    author = author_of(entries)
    author.insert("readings", {"n": 1}, 1000)
    peer = opened(tmp_path, kind)
    identity = Enrolment(tmp_path / "identity.json").identity
    asked = [entry.collection for entry in core(peer).down.subscriptions.own]
    assert asked == [GRANTS]
    bring(author, core(peer))
    told: list[Any] = []
    if kind == "program":
        peer.observe("SELECT n FROM readings", lambda changes: told.append(changes.rows))
    keeper.grant(core(peer), identity, entries)
    # Nobody says yet that this is a keeper.
    assert seen(peer) == [] and core(peer).collection_keys is None
    core(peer).members.take(b"\1" + keeper.credential)
    assert seen(peer) == [1]
    if kind == "program":
        core(peer).dispatch()
        assert told == [[], [{"n": 1}]]
    entries.append(["readings", 2, NEWER])
    keeper.grant(core(peer), identity, entries)
    core(peer).insert("readings", {"n": 2}, 2000)
    assert core(peer).collection_keys.newest("readings") == 2 and seen(peer) == [1, 2]
    closed(peer)
    peer = opened(tmp_path, kind)
    assert core(peer).collection_keys.newest("readings") == 2 and seen(peer) == [1, 2]
    assert [entry.collection for entry in core(peer).down.subscriptions.own] == [GRANTS]
    # What others write there, or a keeper that is shut out, takes nothing away.
    forger = Keeper()
    forger.grant(core(peer), identity, [["readings", 9, WHOLE]])
    assert core(peer).collection_keys.newest("readings") == 2
    closed(peer)
    mode = (tmp_path / "identity.granted").stat().st_mode & 0o777
    assert mode == 0o600


def test_what_an_enrolment_brings_counts_before_there_is_a_grant(tmp_path: Path) -> None:
    closed(opened(tmp_path, "program"))
    enrolment = Enrolment(tmp_path / "identity.json")

    def post(path: str, body: dict[str, Any]) -> dict[str, Any]:
        if path == "challenge":
            return {"challenge": text(bytes(40)), "point": text(ROOT.public), "app": "app-1"}
        return answer

    kept = json.loads(enrolment.path.read_text())
    own = [["readings", 1, author_key(WHOLE, enrolment.claims.author or b"")]]
    answer = {name: kept.get(name, "") for name in ("app", "credential", "issuers", "number", "expires")}
    answer |= {"user_id": "u", "keys": text(cbor.encode(own))}
    enrolment.log_in(post, "hook", "token")
    peer = opened(tmp_path, "program")
    number = peer.insert("readings", {"who": "Ada"})
    assert b"Ada" not in core(peer).log.fetch(peer.author, number)
    # A grant of less than that adds to it, until the next one.
    keeper = Keeper()
    core(peer).members.take(b"\1" + keeper.credential)
    keeper.grant(core(peer), enrolment.identity, [["doors", 1, WHOLE]])
    assert core(peer).collection_keys.newest("doors") == 1
    closed(peer)
    # Who is enrolled without any keeps those before, as a grant leaves them; broken ones are refused.
    answer["keys"] = text(cbor.encode([["readings", 0, WHOLE]]))
    with pytest.raises(HedgerowError, match="KEYS_INVALID"):
        enrolment.log_in(post, "hook", "token")
    del answer["keys"]
    enrolment.log_in(post, "hook", "token")
    both = sorted([*own, ["doors", 1, WHOLE]])
    assert enrolment.granted() == (enrolment.claims.author, both)
    assert to_bytes(json.loads((tmp_path / "identity.granted").read_text())["keys"]) == cbor.encode(both)


@pytest.mark.parametrize("kind", ["gateway", "program"])
def test_who_may_only_write_reads_what_it_wrote_before_its_first_grant(tmp_path: Path, kind: str) -> None:
    """SPEC 11.17.3. Enrolled before its log was made, it writes under the key of another author then."""
    identity = tmp_path / "identity.json"
    enrol(identity)
    enrolment, made = Enrolment(identity), b"enrolled"
    enrolment.keep_granted(made, [["readings", 1, author_key(WHOLE, made)]])
    keeper = Keeper()
    for turn in range(3):
        peer = opened(tmp_path, kind)
        core(peer).kinds["readings"] = STREAM | CONFIDENTIAL
        if not turn:
            core(peer).insert("readings", {"n": 1}, 1000)
            assert seen(peer) == [1]
            core(peer).members.take(b"\1" + keeper.credential)
            own = [["readings", 1, author_key(WHOLE, core(peer).author)]]
            keeper.grant(core(peer), enrolment.identity, own)
            core(peer).insert("readings", {"n": 2}, 2000)
        # It goes by the grant now, also after a start, and once it was enrolled again.
        assert core(peer).collection_keys.owner == core(peer).author and seen(peer) == [1, 2]
        if turn == 1:
            enrolment.keep_granted(b"another.", [["readings", 1, author_key(WHOLE, b"another.")]])
            enrolment.keep_granted(core(peer).author, own)
        peer_author = core(peer).author
        closed(peer)
    assert {name for name, _ in enrolment.former()} == {made, peer_author, b"another."}
    enrolment.forget_granted()
    assert (enrolment.granted(), enrolment.former()) == ((b"", []), [])


def test_nothing_confidential_is_written_where_the_program_says_that_it_is(tmp_path: Path) -> None:
    with open_peer(tmp_path / "own.db", kinds={"readings": STREAM | CONFIDENTIAL}) as peer:
        with pytest.raises(HedgerowError, match="COLLECTION_KEY_MISSING"):
            peer.insert("readings", {"n": 1})
        assert seen(peer) == []


@pytest.mark.parametrize("enrolled", [False, True])
def test_anybodys_word_makes_no_collection_confidential_that_was_written_openly(
    tmp_path: Path, enrolled: bool
) -> None:
    """Schemas are learnt from whoever says them; a confidential one is believed of what was never written."""
    identity = tmp_path / "identity.json"
    if enrolled:
        closed(opened(tmp_path, "program"))

    def program() -> Any:
        return open_peer(tmp_path / "own.db", identity=identity if enrolled else None, time="trust")

    def schemas(name: str, kind: int) -> list[Schema]:
        """Of many the first and the last by name: whoever says them can pick."""
        made = [Schema(name, kind, ((f"f{n}", None),)) for n in range(30)]
        return sorted(made, key=lambda schema: schema.name)[:: len(made) - 1]

    said = [
        *schemas("readings", STREAM | CONFIDENTIAL),
        schemas("doors", KEEP)[0],
        schemas("doors", STREAM | CONFIDENTIAL)[1],
    ]
    with program() as peer:
        peer.insert("readings", {"n": 1})
    for turn in (2, 3):
        with program() as peer:
            # What nothing was written under is known until the program ends.
            for schema in said:
                core(peer).ingest_schema(schema.encoded)
            core(peer).commit()
            number = peer.insert("readings", {"n": "open"})
            assert b"open" in core(peer).log.fetch(peer.author, number)
            peer.execute("INSERT INTO readings DOCUMENTS (:d)", d={"_id": turn, "n": turn})
            for write in (
                lambda: peer.insert("doors", {"n": 1}),
                lambda: peer.execute("INSERT INTO doors DOCUMENTS (:d)", d={"n": 1}),
            ):
                with pytest.raises(
                    HedgerowError, match="WRITE_FORBIDDEN" if enrolled else "COLLECTION_KEY_MISSING"
                ):
                    write()
            assert core(peer).kind_of("doors") & CONFIDENTIAL and not core(peer).kind_of("readings") & STREAM
    with program() as peer:
        # The word that counts is a key.
        hold(core(peer), [["readings", 1, WHOLE]])
        number = peer.insert("readings", {"n": "hidden"})
        assert b"hidden" not in core(peer).log.fetch(peer.author, number)
        assert len(peer.execute("SELECT * FROM readings").rows) == 6


def test_a_peer_without_an_identity_asks_for_nothing(tmp_path: Path) -> None:
    gateway = Gateway(config(tmp_path))
    assert gateway.peer.on_filled is None and not gateway.peer.may_want
    closed(gateway)


def test_a_gateway_owes_a_board_the_grant_that_no_session_has_told(tmp_path: Path) -> None:
    keeper, gateway = Keeper(), opened(tmp_path, "gateway")
    members = core(gateway).members
    members.take(b"\1" + keeper.credential)
    board, identity = author_of([]), Identity.make(P256(os.urandom))
    grant = keeper.grant_for(board.author, identity, [["readings", 1, WHOLE]])
    assert not members.owed
    bring(keeper.peer, core(gateway))
    assert members.owed == {board.author[:3]}
    assert members.grants_for(board) == [grant] and not members.owed
    # The same again is no news; the next one is.
    keeper.grant_for(board.author, identity, [["readings", 1, WHOLE]], grant)
    bring(keeper.peer, core(gateway))
    assert not members.owed
    keeper.grant_for(board.author, identity, [["readings", 2, NEWER]])
    bring(keeper.peer, core(gateway))
    assert members.owed == {board.author[:3]}
    closed(gateway)
