"""What operators set of confidential collections, and where their documents go from a Big Peer."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from bigpeer_harness import eventually, local
from confidential_kit import WRITE, Board, Right, declare, enrol, entries_for, know, pair_of
from peer_keys import PeerKeys, met, proofs_of
from test_access_http import V1, Farm, farm_at
from test_bridges import Admin, FakeSink, sink
from test_confidential import rows, stored_grants, write
from test_login_pages import entered, farm_with_people

from hedgerow.codec.schema import KEEP, SCOPE_LOCAL, Schema
from hedgerow.crypto import claims
from hedgerow.crypto.grants import unwrap
from hedgerow.custody.receipt import Receipt
from hedgerow_bigpeer.auth.credential import read_credential
from hedgerow_bigpeer.auth.database import now
from hedgerow_bigpeer.auth.delegations import Delegations
from hedgerow_bigpeer.auth.identity import Identity
from hedgerow_bigpeer.store.rows import SchemaEntry

__all__ = ["sink"]

DOORS = "/collections/doors"
TO_FILE: dict[str, Any] = {"sink": {"type": "file", "path": "out.jsonl"}}


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    running = farm_at(tmp_path)
    yield running
    running.close()


def test_an_operator_makes_a_collection_confidential_for_ever(farm: Farm) -> None:
    admin, reader = farm.bearer("admin"), farm.bearer("read", "status")
    for path in ("/confidential", "/rekey"):
        method = "PUT" if path == "/confidential" else "POST"
        assert farm.call(method, DOORS + path, reader) == (403, "AUTH_FORBIDDEN")
    assert farm.call("POST", f"{DOORS}/rekey", admin) == (400, "CONFIDENTIAL_INVALID")
    write(farm, "INSERT INTO gates DOCUMENTS ({'_id': 1, 'by': 'Ada'})")
    made = farm.call("PUT", f"{DOORS}/confidential", admin)
    epoch = made["epoch"]
    assert made == {
        **{"name": "doors", "kind": None, "keep_ms": None, "gone_before": None, "expired": 0},
        **{"confidential": True, "epoch": epoch, "plain_before": False},
    }
    assert farm.call("PUT", "/collections/gates/confidential", admin)["plain_before"] is True
    # It counts for what comes next.
    write(farm, "INSERT INTO doors DOCUMENTS ({'_id': 1, 'by': 'Ada'})")
    assert farm.call("PUT", f"{DOORS}/confidential", admin) == {**made, "kind": "keep"}
    assert farm.call("POST", f"{DOORS}/rekey", admin)["epoch"] == epoch + 1
    found = {row["name"]: row for row in farm.call("GET", "/collections", admin)["collections"]}
    assert (found["doors"]["confidential"], found["doors"]["epoch"]) == (True, epoch + 1)
    system = farm.ask("SELECT * FROM system:collections WHERE _id = 'doors'", reader)
    assert [(row["confidential"], row["epoch"]) for row in system] == [(True, epoch + 1)]
    for name in ("__health", "system:peers"):
        refused = farm.call("PUT", f"/collections/{name}/confidential", admin)
        assert refused == (400, "CONFIDENTIAL_INVALID"), name
    local = Schema("diary", KEEP | SCOPE_LOCAL << 1, (("n", None),))
    farm.run(farm.peer.service.submit([SchemaEntry(local.encoded)]))
    assert farm.call("PUT", "/collections/diary/confidential", admin) == (400, "CONFIDENTIAL_INVALID")
    actions = [row.action for row in farm.peer.registry.audit.newest(9) if row.subject == "doors"]
    assert actions == ["collection.rekey", "collection.confidential"]


def test_a_playground_keeps_no_secrets(tmp_path: Path) -> None:

    with local(tmp_path) as served:
        admin = Admin(served)
        answer = served.request("PUT", f"{V1}{DOORS}/confidential", headers=admin._headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "APP_INVALID")


def test_queries_go_by_the_rights_of_who_asks(farm: Farm) -> None:
    declare(farm, "doors")
    write(farm, "INSERT INTO doors DOCUMENTS ({'_id': 1, 'by': 'Ada', 'public': false})")
    write(farm, "INSERT INTO doors DOCUMENTS ({'_id': 2, 'by': 'Eve', 'public': true})")
    other = farm.bearer("read", "write", "status", collections=["gates"])
    some = {"read": {"queriesByCollection": {"doors": ["public = true"]}}}
    guest = farm.bearer("read", permission=some)
    asked = (
        ("GET", "/collections/doors/documents", None),
        ("GET", "/timeseries/doors?fields=by", None),
        ("POST", "/live", {"statement": "SELECT * FROM doors"}),
    )
    for method, path, body in asked:
        assert farm.call(method, path, other, body) == (403, "AUTH_FORBIDDEN"), path
    for statement in (
        "SELECT * FROM doors",
        "SELECT COUNT(*) AS n FROM doors",
        "DELETE FROM doors WHERE true",
    ):
        assert farm.ask(statement, other) == (403, "AUTH_FORBIDDEN"), statement
    assert farm.call("GET", "/changes", other)["changes"] == []
    # Who may not read is not told whether what is there is what it writes.
    alike = "INSERT INTO doors DOCUMENTS ({'_id': 1, 'by': 'Ada'}) ON ID CONFLICT DO UPDATE_LOCAL_DIFF"
    for kinds, seen in ((("write",), [1]), (("read", "write"), [])):
        key = farm.bearer(*kinds, collections=["doors"])
        assert farm.execute(alike, None, **key).json()["mutatedDocumentIds"] == seen
    # Conditions are judged here: where the right has one, the documents that hold it are shown.
    found = farm.call("GET", "/collections/doors/documents", guest)["items"]
    assert [row["by"] for row in found] == ["Eve"]
    assert "Ada" not in str(farm.call("GET", "/changes", guest))


def test_the_portal_marks_what_is_confidential(tmp_path: Path) -> None:
    farm = cast(Farm, farm_with_people(tmp_path))
    declare(farm, "doors")
    for name in ("doors", "gates"):
        write(farm, f"INSERT INTO {name} DOCUMENTS ({{'_id': 1, 'by': 'Ada'}})")
    page = entered(farm, "viewer").open("/data").text
    assert page.count(", confidential</small>") == 1 and "keep, confidential</small>" in page
    farm.close()


class Bridge:
    """A bridge of a farm, over HTTP."""

    def __init__(self, farm: Farm) -> None:
        self._farm = farm
        self._admin = farm.bearer("admin")

    def call(self, path: str = "", body: Any = None, method: str = "POST") -> Any:
        return self._farm.call(method, f"/bridges/out{path}", self._admin, body)

    def set(self, *collections: str, **more: Any) -> Any:
        sources = [{"collection": name} for name in collections]
        return self.call(body={**TO_FILE, "sources": sources, **more}, method="PUT")

    def until(self, **fields: Any) -> None:
        def look() -> bool:
            self._farm.run(asyncio.sleep(0.01))
            shown = self.call(method="GET")
            return all(shown[name] == value for name, value in fields.items())

        eventually(look)


REFUSED = (400, "BRIDGE_CONFIDENTIAL")


def test_a_bridge_says_that_it_sends_on_what_is_confidential(farm: Farm, sink: FakeSink) -> None:
    declare(farm, "doors")
    bridge = Bridge(farm)
    # No sources are all collections.
    assert bridge.set("gates", "doors") == bridge.set() == bridge.set("doors", confidential=False) == REFUSED
    assert bridge.call(method="GET") == (404, "BRIDGE_UNKNOWN")
    assert bridge.set("doors", confidential="yes") == (400, "BRIDGE_INVALID")
    assert bridge.set("gates")["confidential"] is False
    bridge.until(state="runs")
    # Whoever runs it does not take the next one of its name for it.
    bridge.call(method="DELETE")
    assert bridge.set("doors", confidential=True)["confidential"] is True
    write(farm, "INSERT INTO doors DOCUMENTS ({'_id': 1, 'by': 'Ada'})")
    bridge.until(delivered=1, lag=0)
    assert sink.seen() == [{"_id": 1, "by": "Ada"}]


def test_nothing_leaves_of_what_becomes_confidential_before_it_is_confirmed(
    farm: Farm, sink: FakeSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    bridge = Bridge(farm)
    bridge.set("doors", "gates")
    write(farm, "INSERT INTO doors DOCUMENTS ({'_id': 1, 'by': 'Eve'})")
    bridge.until(delivered=1)
    # Another node was told so, and a board has a key already: this node's next look is a while away.
    monkeypatch.setattr(farm.peer.grants, "_learn", lambda *_: None)
    farm.peer.registry.confidential.declare("test", farm.peer.app, "doors")
    one = enrol(farm, Right("doors", WRITE))
    board = Board(farm, one.keys.author, entries_for(farm, one))
    board.peer.execute("INSERT INTO doors DOCUMENTS (:d)", d={"_id": 2, "by": "Ada"})
    board.give()
    assert len(rows(farm, "SELECT * FROM doors")) == 2
    bridge.until(state="paused", error="BRIDGE_CONFIDENTIAL: doors is confidential")
    assert bridge.call("/resume") == REFUSED == bridge.set("doors")
    assert bridge.call("/replay", {}) == {"events": 0}
    farm.run(asyncio.sleep(0.1))
    assert [row["by"] for row in sink.seen()] == ["Eve"]
    # Elsewhere it may go on.
    assert bridge.set("gates")["state"] != "paused"
    assert bridge.set("doors", confidential=True)["error"] == ""
    bridge.until(lag=0, delivered=1)


def test_what_waits_while_it_is_not_confirmed_comes_then(farm: Farm, sink: FakeSink) -> None:
    bridge = Bridge(farm)
    bridge.set()
    declare(farm, "doors")
    # It shows without anything to send.
    bridge.until(state="paused")
    write(farm, "INSERT INTO doors DOCUMENTS ({'_id': 1, 'by': 'Ada'})")
    assert bridge.set(confidential=True)["state"] != "paused"
    bridge.until(lag=0)
    assert {"_id": 1, "by": "Ada"} in sink.seen()
    # One that an operator has paused stays so.
    bridge.call("/pause")
    assert bridge.set(confidential=True)["state"] == "paused"


def test_a_delegate_cannot_have_the_grants_of_another_author(farm: Farm) -> None:
    """It signs what credentials say, also that an author has an agreement key which is its own."""
    declare(farm, "visits")
    registry, app, gateway, evil = farm.peer.registry, farm.peer.app, PeerKeys(), PeerKeys()
    made = Identity("gateway", 3600, (Right("visits", WRITE),), {}, kinds=claims.DELEGATES)
    first = farm.peer.authority._grant(
        app, "login", made, gateway.prove(app.id, registry.challenger.make(app.id))
    )
    delegations = Delegations(farm.peer.authority)
    proved = gateway.prove(app.id, registry.challenger.make(app.id), log=False)
    given = delegations.delegate(app, first.body, proved, ("visits",), 3, 3600)
    victim = enrol(farm, Right("visits", WRITE))
    author = victim.keys.author
    before = stored_grants(farm)[author]
    receipt = Receipt(farm.peer.service.store.identity.keeper, 1, author, 1)
    proof = farm.peer.membership.prove(receipt).proof
    delegation = read_credential(given.body)[0]
    scope, at = (Right("visits", WRITE),), now() + 60
    changes = {"agreement": evil.agreement, "scope": scope, "issued": at, "expires": at + 600}
    body = gateway.enrol(app, delegation, victim.keys, **changes)
    (refused,) = delegations.countersign(app, [body], proofs_of([body]))
    assert refused.error is not None and refused.error.code == "PROOF_INVALID"
    assert met(farm.peer.membership, given.body, body) == "", "in a session it shows its own agreement key"
    know(farm)
    registry.confidential.rotate("test", app, ["visits"])
    know(farm)
    after = stored_grants(farm)[author]
    assert after != before and len(unwrap(pair_of(farm, victim), author, after)) == 2
    # Nor are receipts proven to it, which would keep the author's log full for good.
    assert farm.peer.membership.prove(receipt).proof == proof != receipt.proof
