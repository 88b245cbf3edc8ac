"""Confidential collections at a Big Peer: plain where queries are answered, encrypted where operations go."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confidential_kit import (
    READ,
    WRITE,
    Board,
    Enrolled,
    Right,
    declare,
    enrol,
    entries_for,
    know,
    pair_of,
    subscriber,
    take,
)
from peer_keys import PeerKeys, proofs_of
from test_access_http import Farm, farm_at
from test_auth_http import AUTH, prove
from wire import Subscriber, Wire, link

from hedgerow.codec import cbor
from hedgerow.codec.schema import CONFIDENTIAL, GRANTS, KEEP, STREAM
from hedgerow.codec.segment import decode_segment
from hedgerow.crypto import claims
from hedgerow.crypto.confidential import CollectionKeys, author_key, read_keys
from hedgerow.crypto.grants import ask, hold, unwrap
from hedgerow.operation import CLOCK, COUNTER, DELETE, INSERT, UPDATE, decode_body
from hedgerow.sync import frames
from hedgerow_bigpeer.auth import membership
from hedgerow_bigpeer.auth.credential import read_credential
from hedgerow_bigpeer.auth.delegations import Delegations
from hedgerow_bigpeer.auth.identity import Identity
from hedgerow_bigpeer.base64url import from_base64
from hedgerow_bigpeer.store import ingest

WHOLE = bytes(range(32))
ALL = "SELECT * FROM visits"


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    running = farm_at(tmp_path)
    declare(running, "visits", "doors")
    yield running
    running.close()


def rows(farm: Farm, statement: str) -> list[Any]:
    found = farm.ask(statement, farm.bearer("read", "status"))
    return [{name: row[name] for name in row if name[:1] != "_"} for row in found]


def write(farm: Farm, statement: str) -> None:
    answer = farm.execute(statement, **farm.bearer("read", "write"))
    assert answer.status_code == 200, answer.text


def stored(farm: Farm) -> list[tuple[bytes, int, bytes]]:
    """Return all operations as they lie in the database."""
    query = "SELECT author, number, body FROM operations ORDER BY author, number"
    return farm.run(farm.peer.service.store.transact(lambda db, _: db.execute(query).fetchall()))


def reader(farm: Farm, *collections: str) -> list[Any]:
    """Return the keys of who may read."""
    return entries_for(farm, enrol(farm, *[Right(name, READ) for name in collections]))


def said(wire: Wire) -> bytes:
    return b"".join(body for _, body in wire.kinds)


def given(farm: Farm, wire: Wire) -> list[bytes]:
    """Return the operations that came down a link, in their stored form."""
    schemas = dict(farm.peer.service.schemas)
    return [body for segment in wire.of(frames.PICK) for body in decode_segment(segment, schemas)[2]]


def refused(farm: Farm) -> dict[str, int]:
    return {code: count for _, code, count, _ in farm.run(farm.peer.service.store.refused())}


def test_what_a_board_encrypts_is_plain_over_http_and_nowhere_else(farm: Farm) -> None:
    one = enrol(farm, Right("visits", WRITE), Right("doors", WRITE))
    board = Board(farm, one.keys.author, entries_for(farm, one), visits=STREAM)
    board.peer.insert("visits", {"who": "Ada Lovelace", "n": 3}, 1000)
    board.peer.execute("INSERT INTO doors DOCUMENTS (:d)", d={"_id": "shed", "by": "Ada", "opened": 1})
    board.peer.execute("UPDATE doors APPLY opened PN_INCREMENT BY 4.0 WHERE _id = 'shed'")
    board.give()
    assert rows(farm, ALL) == [{"who": "Ada Lovelace", "n": 3}]
    assert rows(farm, "SELECT * FROM doors WHERE by = 'Ada'") == [{"by": "Ada", "opened": 5}]
    bodies = [body for author, _, body in stored(farm) if author == one.keys.author]
    assert len(bodies) == 4 and b"Ada" not in b"".join(bodies)
    assert COUNTER not in [change[0] for body in bodies for change in decode_body(body)[1]]
    relay = Subscriber(farm)
    for statement in (ALL, "SELECT * FROM doors"):
        relay.peer.subscribe(statement)
    wire = link(farm, relay)
    wire.until(lambda: len(relay.peer.down.documents.history("doors", "shed")) == 2)
    wire.settle()
    assert relay.rows(ALL) == relay.rows("SELECT * FROM doors") == []
    assert b"Ada" not in said(wire) and sorted(given(farm, wire)) == sorted(bodies[1:])
    # With the right it reads what it holds.
    hold(relay.peer, reader(farm, "visits", "doors"))
    assert [row["who"] for row in relay.rows(ALL)] == ["Ada Lovelace"]
    assert [row["opened"] for row in relay.rows("SELECT opened FROM doors")] == [5]
    assert refused(farm) == {}


def test_what_a_log_wrote_under_the_key_of_the_one_before_is_read(farm: Farm) -> None:
    one = enrol(farm, Right("doors", WRITE))
    moved = Board(farm, b"n" * 8, [])
    moved.peer.collection_keys = CollectionKeys(one.keys.author, entries_for(farm, one))
    moved.peer.execute("INSERT INTO doors DOCUMENTS (:d)", d={"_id": "shed", "by": "Ada"})
    assert one.keys.author in moved.give()[1]
    assert rows(farm, "SELECT * FROM doors") == [{"by": "Ada"}]


def test_what_is_written_over_http_is_encrypted(farm: Farm) -> None:
    write(farm, "INSERT INTO doors DOCUMENTS ({'_id': 'shed', 'by': 'Grace Hopper', 'n': 1})")
    write(farm, "UPDATE doors SET n = 2, note = 'Grace left' WHERE _id = 'shed'")
    write(farm, "UPDATE doors APPLY n PN_INCREMENT BY 3.0 WHERE _id = 'shed'")
    write(farm, "UPDATE doors UNSET note WHERE _id = 'shed'")
    write(farm, "INSERT INTO open DOCUMENTS ({'_id': 'shed', 'by': 'Eve'})")
    assert rows(farm, "SELECT * FROM doors") == [{"by": "Grace Hopper", "n": 5}]
    body = b"".join(entry[2] for entry in stored(farm))
    assert b"Grace" not in body and b"Eve" in body
    kinds = {schema.collection: schema.kind for schema in farm.peer.service.schemas.values()}
    assert kinds["doors"] == KEEP | CONFIDENTIAL and kinds["open"] == KEEP
    member, holder = Subscriber(farm), Subscriber(farm)
    hold(holder.peer, reader(farm, "doors"))
    for each, seen in ((member, 0), (holder, 1)):
        each.peer.subscribe("SELECT * FROM doors")
        wire = link(farm, each)
        wire.until(lambda each=each: len(each.peer.down.documents.history("doors", "shed")) == 4)
        assert b"Grace" not in said(wire) and len(each.rows("SELECT * FROM doors")) == seen
    assert holder.rows("SELECT by, n FROM doors") == [{"by": "Grace Hopper", "n": 5}]
    write(farm, "DELETE FROM doors WHERE _id = 'shed'")
    assert rows(farm, "SELECT * FROM doors") == []


def test_what_was_there_before_stays_in_the_clear_and_merges(farm: Farm) -> None:
    write(farm, "INSERT INTO gates DOCUMENTS ({'_id': 'shed', 'by': 'Ada', 'n': 1})")
    declare(farm, "gates")
    write(farm, "UPDATE gates SET by = 'Grace' WHERE _id = 'shed'")
    assert rows(farm, "SELECT * FROM gates") == [{"by": "Grace", "n": 1}]
    body = b"".join(entry[2] for entry in stored(farm))
    assert b"Ada" in body and b"Grace" not in body


def test_what_no_key_here_opens_shows_nowhere_and_is_kept_and_given(
    farm: Farm, caplog: pytest.LogCaptureFixture
) -> None:
    forger = Board(farm, b"f" * 8, [["doors", 3, author_key(WHOLE, b"f" * 8)]])
    forger.peer.execute("INSERT INTO doors DOCUMENTS (:d)", d={"_id": "shed", "by": "Eve"})
    # In the clear under a confidential schema: anybody could have put it there.
    forger.peer.collection_keys.conceal = lambda author, number, stamp, changes, schemas: changes
    forger.peer.execute("INSERT INTO doors DOCUMENTS (:d)", d={"_id": "barn", "by": "Eve"})
    bodies = forger.give()
    assert rows(farm, "SELECT * FROM doors") == [] and refused(farm) == {"KEY_UNKNOWN": 2}
    held = [row for row in rows(farm, "SELECT * FROM system:gaps") if row["reason"] == "KEY_UNKNOWN"]
    assert [(row["author"], row["count"], row["state"]) for row in held] == [
        ((b"f" * 8).hex(), 2, "not counted")
    ]
    write(farm, "INSERT INTO doors DOCUMENTS ({'_id': 'shed', 'by': 'Ada'}) ON ID CONFLICT DO UPDATE")
    assert rows(farm, "SELECT * FROM doors") == [{"by": "Ada"}]
    assert [body for author, _, body in stored(farm) if author == b"f" * 8] == bodies
    other = Subscriber(farm)
    other.peer.subscribe("SELECT * FROM doors WHERE by = 'Eve'")
    wire = link(farm, other)
    wire.until(lambda: len(other.peer.down.documents.history("doors", "shed")) == 2)
    # Judged, and merged, anew it comes to the same.
    farm.run(farm.peer.service.store.transact(lambda db, _: db.execute("DELETE FROM refused")))
    caplog.clear()
    farm.run(farm.peer.service.judge({b"f" * 8}))
    assert "left out" not in caplog.text
    assert refused(farm) == {"KEY_UNKNOWN": 2} and rows(farm, "SELECT * FROM doors") == [{"by": "Ada"}]


def test_nobody_but_an_operator_makes_a_collection_confidential(farm: Farm) -> None:
    forger = Board(farm, b"f" * 8, [["open", 3, author_key(WHOLE, b"f" * 8)]])
    forger.peer.execute("INSERT INTO open DOCUMENTS (:d)", d={"_id": "shed", "by": "Eve"})
    forger.give()
    write(farm, "INSERT INTO open DOCUMENTS ({'_id': 'barn', 'by': 'Ada'})")
    assert rows(farm, "SELECT * FROM open") == [{"by": "Ada"}]
    other = Subscriber(farm)
    other.peer.subscribe("SELECT * FROM open")
    link(farm, other).until(lambda: [row["by"] for row in other.rows("SELECT by FROM open")] == ["Ada"])


def test_a_condition_tells_nothing(farm: Farm) -> None:
    for name, level in (("one", 3), ("two", 900)):
        write(farm, f"INSERT INTO doors DOCUMENTS ({{'_id': '{name}', 'level': {level}}})")
    each = Subscriber(farm)
    each.peer.subscribe("SELECT * FROM doors WHERE level > 500")
    link(farm, each).settle()
    assert all(each.peer.down.documents.history("doors", name) for name in ("one", "two"))


def test_rights_to_write_are_judged_over_what_is_revealed(farm: Farm) -> None:
    one = enrol(farm, Right("doors", WRITE, "level < 3"))
    board = Board(farm, one.keys.author, entries_for(farm, one))
    for level in (2, 5):
        board.peer.execute("INSERT INTO doors DOCUMENTS (:d)", d={"_id": level, "level": level})
    board.give()
    assert rows(farm, "SELECT level FROM doors") == [{"level": 2}]
    assert refused(farm) == {"WRITE_FORBIDDEN": 1}
    # Another credential of it is judged in the same way.
    enrol(farm, Right("doors", WRITE, "level > 3"), keys=one.keys)
    assert rows(farm, "SELECT level FROM doors") == [{"level": 5}]
    assert refused(farm) == {"WRITE_FORBIDDEN": 1}


def test_what_is_superseded_goes_and_what_is_hidden_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "MOMENT_MS", 0)
    farm = farm_at(tmp_path, collect_after_days=0)
    declare(farm, "doors")
    write(farm, "INSERT INTO doors DOCUMENTS ({'_id': 'shed', 'n': 1})")
    for n in (2, 3):
        write(farm, f"UPDATE doors SET n = {n} WHERE _id = 'shed'")
    write(farm, "INSERT INTO doors DOCUMENTS ({'_id': 'barn', 'n': 1})")
    forger = Board(farm, b"f" * 8, [["doors", 3, author_key(WHOLE, b"f" * 8)]])
    forger.peer.execute("INSERT INTO doors DOCUMENTS (:d)", d={"_id": "barn", "n": 7})
    forger.peer.seal(1000)
    kept = forger.give()
    write(farm, "DELETE FROM doors WHERE _id = 'barn'")
    farm.run(farm.peer.own.stop())
    farm.run(farm.peer.service.collect())
    own = farm.peer.service.store.identity.author
    left = [body for author, _, body in stored(farm) if body and author == own]
    changes = [change for body in left for change in decode_body(body)[1] if change[0] != CLOCK]
    # Of the shed the insert and the last update; of the barn its deletion, while something else is there.
    assert [change[:1] + change[2:3] for change in changes] == [
        [INSERT, "shed"],
        [UPDATE, "shed"],
        [DELETE, "barn"],
    ]
    assert [body for author, _, body in stored(farm) if author == b"f" * 8] == kept
    farm.close()


def test_a_restart_reads_on(tmp_path: Path) -> None:
    farm = farm_at(tmp_path)
    declare(farm, "doors")
    write(farm, "INSERT INTO doors DOCUMENTS ({'_id': 'shed', 'by': 'Grace'})")
    one = enrol(farm, Right("doors", READ | WRITE))
    farm.close()
    farm = Farm(tmp_path, app="farm", mesh="farm")
    board = Board(farm, one.keys.author, entries_for(farm, one))
    board.peer.execute("INSERT INTO doors DOCUMENTS (:d)", d={"_id": "barn", "by": "Ada"})
    board.give()
    farm.run(farm.peer.grants.look())
    write(farm, "UPDATE doors SET n = 1 WHERE by = 'Ada'")
    assert rows(farm, "SELECT * FROM doors ORDER BY by") == [{"by": "Ada", "n": 1}, {"by": "Grace"}]
    assert b"Ada" not in b"".join(entry[2] for entry in stored(farm))
    farm.close()


def test_keys_come_as_documents_to_those_who_have_a_right(farm: Farm) -> None:
    writer = enrol(farm, Right("visits", WRITE))
    guest = enrol(farm, Right("open", READ | WRITE))
    one, other = subscriber(farm, writer), subscriber(farm, guest)
    for each in (one, other):
        ask(each.peer)
        wire = link(farm, each)
        wire.settle()
        assert not any(key in said(wire) for _, _, key in entries_for(farm, writer))
    assert take(farm, writer, one.peer) == entries_for(farm, writer) != []
    assert take(farm, guest, other.peer) is None
    # What a peer is told of others it cannot open.
    assert len(stored_grants(farm)) == 1
    before = len(stored(farm))
    know(farm)
    farm.peer.grants._seen = None
    farm.peer.grants._granted.clear()
    know(farm)
    assert len(stored(farm)) == before, "what has not changed is not written again"


def test_a_board_that_a_gateway_enrolled_is_granted_keys_and_no_more_once_the_gateway_is_out(
    farm: Farm,
) -> None:
    gateway, board, friend = PeerKeys(), PeerKeys(), enrol(farm, Right("doors", READ))
    holder = enrol(farm, Right("doors", READ | WRITE), keys=gateway, kinds=claims.DELEGATES)
    registry, app = farm.peer.registry, farm.peer.app
    proved = gateway.prove(app.id, registry.challenger.make(app.id), log=False)
    delegations = Delegations(farm.peer.authority)
    made = delegations.delegate(app, holder.body, proved, ("doors",), 3, 86_400)
    issued = gateway.enrol(app, read_credential(made.body)[0], board, scope=(Right("doors", READ),))
    (shown,) = delegations.countersign(app, [issued], proofs_of([issued]))
    assert shown.error is None
    know(farm)
    one = Enrolled(board, shown.body)
    assert [entry[0] for entry in entries_for(farm, one)] == ["doors"] and len(stored_grants(farm)) == 3
    each = subscriber(farm, one)
    ask(each.peer)
    link(farm, each).settle()
    assert take(farm, one, each.peer) == entries_for(farm, friend)
    before = stored_grants(farm)
    registry.revocations.revoke("test", app, holder.claims.cti, 0)
    know(farm)
    after = stored_grants(farm)
    assert {author for author, grant in after.items() if before[author] != grant} == {friend.keys.author}


def test_who_is_shut_out_is_granted_nothing_any_more(farm: Farm) -> None:
    thief, friend = (enrol(farm, Right("visits", READ), Right("doors", WRITE)) for _ in range(2))
    revoked = thief.claims.cti
    before = stored_grants(farm)
    old = entries_for(farm, thief)
    farm.peer.registry.revocations.revoke("test", farm.peer.app, revoked, 0)
    # Grants may be looked at before all else is that follows from a revocation.
    farm.run(farm.peer.grants.look())
    assert stored_grants(farm)[thief.keys.author] == before[thief.keys.author]
    know(farm)
    after = stored_grants(farm)
    assert after[thief.keys.author] == before[thief.keys.author]
    each = subscriber(farm, friend)
    ask(each.peer)
    link(farm, each).settle()
    found = take(farm, friend, each.peer)
    assert found is not None and [entry[0] for entry in found] == ["doors", "visits", "visits"]
    write(farm, "INSERT INTO visits DOCUMENTS ({'_id': 1, 'who': 'Ada'})")
    for keys, seen in ((old, 0), (found, 1)):
        peer = Subscriber(farm)
        hold(peer.peer, keys)
        peer.peer.subscribe(ALL)
        link(farm, peer).until(lambda peer=peer: peer.peer.down.documents.history("visits", 1))
        assert len(peer.rows(ALL)) == seen


def test_who_has_not_renewed_waits_for_its_next_keys(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    one = enrol(farm, Right("doors", READ))
    before = stored_grants(farm)
    farm.peer.registry.confidential.rotate("test", farm.peer.app, ["doors"])
    at = membership.now()
    with monkeypatch.context() as later:
        later.setattr(membership, "now", lambda: at + 7200)
        farm.run(farm.peer.grants.look())
    assert stored_grants(farm) == before
    enrol(farm, Right("doors", READ), keys=one.keys)
    assert stored_grants(farm).keys() == before.keys() and stored_grants(farm) != before


def test_who_has_less_of_a_right_is_granted_less(farm: Farm) -> None:
    one = enrol(farm, Right("visits", READ), Right("doors", READ))

    def now_granted() -> list[tuple[str, int]]:
        author = one.keys.author
        found = unwrap(pair_of(farm, one), author, stored_grants(farm)[author])
        return [(entry[0], len(entry[2])) for entry in found]

    assert now_granted() == [("doors", 32), ("visits", 32)]
    enrol(farm, Right("visits", WRITE), keys=one.keys)
    assert now_granted() == [("visits", 16)]
    enrol(farm, Right("open", WRITE), keys=one.keys)
    assert now_granted() == []


def stored_grants(farm: Farm) -> dict[bytes, bytes]:
    """Return who has a grant, and it."""

    async def look() -> dict[bytes, bytes]:
        async with farm.peer.service.store.snapshot() as snapshot:
            found = await snapshot.documents(GRANTS, None, 100)
        return {cbor.decode(row.id): cbor.decode(row.value)["keys"] for row in found if row.value}

    return farm.run(look())


def test_nobody_else_writes_grants(farm: Farm) -> None:
    one = enrol(farm, Right("visits", WRITE), Right("*", READ | WRITE))
    before = stored_grants(farm)
    for statement in (
        f"INSERT INTO {GRANTS} DOCUMENTS ({{'_id': 'x', 'keys': 1}})",
        f"UPDATE {GRANTS} SET keys = 1 WHERE true",
        f"DELETE FROM {GRANTS} WHERE true",
    ):
        answer = farm.execute(statement, **farm.bearer("read", "write"))
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "AUTH_FORBIDDEN"), statement
    board = Board(farm, one.keys.author)
    document = {"_id": board.peer.author, "keys": b"x"}
    board.peer.execute(f"INSERT INTO {GRANTS} DOCUMENTS (:d) ON ID CONFLICT DO UPDATE", d=document)
    board.give()
    assert stored_grants(farm) == before and refused(farm) == {"WRITE_FORBIDDEN": 1}


def test_a_login_brings_keys_at_once(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    async def identify(*_: Any) -> Identity:
        return Identity("ann", 3600, rights, {})

    monkeypatch.setattr(farm.peer.authority.identities, "identify", identify)
    hook = {"type": "webhookUrl", "webhookUrl": "https://login.example/hook"}
    farm.peer.registry.providers.set("test", farm.peer.app, "hook", hook)

    def log_in(keys: PeerKeys) -> Any:
        body = {"provider": "hook", "token": "ann", "proof": prove(farm, keys)}
        return farm.request("POST", f"{AUTH}/login", json=body).json()

    keys = PeerKeys()
    rights: Any = (Right("doors", READ), Right("*", WRITE))
    found = log_in(keys)
    entries = read_keys(from_base64(found["keys"], ""))
    assert [(entry[0], len(entry[2])) for entry in entries] == [("doors", 32), ("visits", 16)]
    proof = prove(farm, keys)
    renewed = farm.request(
        "POST", f"{AUTH}/renew", json={"credential": found["credential"], "proof": proof}
    ).json()
    assert renewed["keys"] == found["keys"]
    rights = (Right("open", READ),)
    assert "keys" not in log_in(PeerKeys())
