"""Delegations: what a gateway may issue while the Big Peer is away, and what of it is countersigned."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from peer_keys import PROOFS, PeerKeys, greeting_of, met, proofs_of

from hedgerow.crypto import claims
from hedgerow.crypto import credentials as core
from hedgerow.errors import HedgerowError
from hedgerow.limits import MAX_OWN_AUTHORS
from hedgerow_bigpeer import limits
from hedgerow_bigpeer.auth import cose
from hedgerow_bigpeer.auth.authority import Authority
from hedgerow_bigpeer.auth.credential import Credential, Limits, read_credential
from hedgerow_bigpeer.auth.database import now
from hedgerow_bigpeer.auth.delegations import Delegations
from hedgerow_bigpeer.auth.identity import Identity
from hedgerow_bigpeer.auth.membership import Membership
from hedgerow_bigpeer.auth.registry import Registry
from hedgerow_bigpeer.auth.scope import Entry

DAY = 86_400
SCOPE = (Entry("readings", 3), Entry("alarms", 2, "level > 1"), Entry("notes", 1))


class Field:
    """A production app, and a gateway with a credential that lets it delegate."""

    def __init__(self, directory: Path) -> None:
        self.registry = Registry(directory)
        self.app = self.registry.create_app("test", "farm", "production", "fields")
        self.authority = Authority(self.registry)
        self.delegations = Delegations(self.authority)
        self.gateway = PeerKeys()
        self.body = self.credential(self.gateway, claims.DELEGATES)

    def credential(self, peer: PeerKeys, kinds: int) -> bytes:
        proved = peer.prove(self.app.id, self.registry.challenger.make(self.app.id))
        identity = Identity("gateway-7", 3600, SCOPE, {}, kinds=kinds)
        return self.authority._grant(self.app, "login", identity, proved).body

    def delegate(
        self,
        collections: tuple[str, ...] = ("readings", "alarms"),
        peers: int = 3,
        seconds: int = 30 * DAY,
        body: bytes | None = None,
        peer: PeerKeys | None = None,
    ) -> Credential:
        holder = peer or self.gateway
        proved = holder.prove(self.app.id, self.registry.challenger.make(self.app.id), log=False)
        granted = self.delegations.delegate(self.app, body or self.body, proved, collections, peers, seconds)
        credential, signed = read_credential(granted.body)
        assert self.registry.issuers.is_signed(self.app, signed)
        return credential

    def show(self, *bodies: bytes) -> list[str]:
        """Show credentials; return the code of each, "" for what was countersigned."""
        found = self.delegations.countersign(self.app, bodies, proofs_of(bodies))
        return [each.error.code if each.error else "" for each in found]


@pytest.fixture
def field(tmp_path: Path) -> Iterator[Field]:
    made = Field(tmp_path)
    yield made
    made.registry.close()


def refusal(work: Any) -> str:
    with pytest.raises(HedgerowError) as caught:
        work()
    return caught.value.code


def test_a_delegation_has_at_most_the_gateways_rights(field: Field) -> None:
    delegation = field.delegate()
    assert delegation.scope == (Entry("readings", 3), Entry("alarms", 2, "level > 1"))
    assert delegation.delegation == Limits(("readings", "alarms"), 3, delegation.expires)
    assert delegation.kinds == claims.DELEGATES and delegation.sealing == field.gateway.sealing
    assert refusal(lambda: field.delegate(("readings", "secrets"))) == "DELEGATION_INVALID"
    assert refusal(lambda: field.delegate(())) == "DELEGATION_INVALID"
    assert refusal(lambda: field.delegate(peers=0)) == "DELEGATION_INVALID"
    assert refusal(lambda: field.delegate(peers=limits.DELEGATION_PEERS + 1)) == "DELEGATION_INVALID"
    assert refusal(lambda: field.delegate(seconds=30 * DAY + 1)) == "DELEGATION_INVALID"


def test_who_may_not_delegate(field: Field) -> None:
    other = PeerKeys()
    plain = field.credential(other, claims.REVOKES)
    assert refusal(lambda: field.delegate(body=plain, peer=other)) == "AUTH_FORBIDDEN"
    assert refusal(lambda: field.delegate(peer=other)) == "PROOF_INVALID"
    delegation = field.registry.ledger.get(field.app, field.delegate().number)
    assert refusal(lambda: field.delegate(body=delegation.body)) == "AUTH_FORBIDDEN"
    field.registry.revocations.revoke("x", field.app, read_credential(field.body)[0].number, 0)
    assert refusal(lambda: field.delegate()) == "CREDENTIAL_REVOKED"


def test_a_key_gets_so_many_delegations_a_month_however_short(
    field: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is a word of its own when the key is revoked, and boards keep few. SPEC 12.6."""
    at, month = now(), limits.DELEGATION_SECONDS
    second, other = field.credential(field.gateway, claims.DELEGATES), PeerKeys()
    for _ in range(limits.DELEGATIONS):
        field.delegate(seconds=1)
    body = field.credential(other, claims.DELEGATES)
    field.delegate(body=body, peer=other)
    for later, refused in ((0, True), (60, True), (month + 1, False)):
        monkeypatch.setattr("hedgerow_bigpeer.auth.delegations.now", lambda later=later: at + later)
        said = field.registry.database.statements(field.app.id, 0)
        if refused:
            assert refusal(lambda: field.delegate(body=second)) == "DELEGATION_INVALID"
            assert field.registry.database.statements(field.app.id, 0) == said
        else:
            field.delegate(body=second)


def test_countersigned_are_the_same_claims_under_the_apps_issuer(field: Field) -> None:
    delegation, board = field.delegate(), PeerKeys()
    body = field.gateway.enrol(field.app, delegation, board)
    (first,) = field.delegations.countersign(field.app, [body], proofs_of([body]))
    credential, signed = read_credential(first.body)
    assert credential == read_credential(body)[0] and signed.payload == cose.read(body).payload
    assert field.registry.issuers.is_signed(field.app, signed) and not signed.is_by(field.gateway.sealing)
    assert field.delegations.countersign(field.app, [body], []) == [first], "shown again, it is the same"
    assert field.authority.current(field.app, first.body)[0] == credential
    assert field.registry.ledger.find(field.app, credential.number)


def test_the_count_is_of_peers_and_holds(field: Field) -> None:
    delegation = field.delegate(peers=2)
    first, second, third = PeerKeys(), PeerKeys(), PeerKeys()
    shown = [field.gateway.enrol(field.app, delegation, peer) for peer in (first, second, third, first)]
    assert field.show(*shown) == ["", "", "DELEGATION_FULL", ""]
    assert field.show(shown[2]) == ["DELEGATION_FULL"]


def test_the_count_holds_over_whom_all_nodes_meet_and_what_is_countersigned(
    field: Field, tmp_path: Path
) -> None:
    """SPEC 12.6. Also where the database is of an earlier version, and after a start."""
    delegation = field.delegate(peers=3)
    body = field.registry.ledger.get(field.app, delegation.number).body
    shown = [field.gateway.enrol(field.app, delegation, PeerKeys()) for _ in range(4)]
    shown.append(field.gateway.enrol(field.app, delegation, PeerKeys(), author=None, salt=None))
    with closing(sqlite3.connect(tmp_path / "auth.db")) as before:
        before.execute("DROP TABLE met")
    codes = []
    for turn in (shown[:1], shown[1:2], shown[:1], shown[3:]):
        node = Registry(tmp_path)
        member = Membership(node, node.apps.get(field.app.id), b"keeper--")
        member.refresh()
        codes += [met(member, body, each) for each in turn]
        node.close()
        if len(codes) == 2:
            assert field.show(shown[2]) == [""]
    assert codes == ["", "", "", "DELEGATION_FULL", "DELEGATION_FULL"]
    assert field.show(*shown) == ["", "", "", "DELEGATION_FULL", "DELEGATION_FULL"]


def test_whose_author_is_anothers_is_refused_and_not_counted(field: Field) -> None:
    delegation, board, thief = field.delegate(peers=2), PeerKeys(), PeerKeys()
    body = field.registry.ledger.get(field.app, delegation.number).body
    member = Membership(field.registry, field.app, b"keeper--")
    member.refresh()
    assert met(member, body, field.gateway.enrol(field.app, delegation, board)) == ""
    field.registry.ledger.bind_author(field.app, thief.author, board.sealing)
    assert met(member, body, field.gateway.enrol(field.app, delegation, thief)) == "AUTHOR_TAKEN"
    assert field.registry.ledger.sealing_keys_under(delegation.number) == {board.sealing}


class Two:
    """Two gateways that enrol boards: one of them honest, and what a Big Peer knows."""

    def __init__(self, field: Field) -> None:
        self.field = field
        self.thief = PeerKeys()
        narrow = field.credential(self.thief, claims.DELEGATES)
        self.good = field.delegate()
        self.bad = field.delegate(("notes",), body=narrow, peer=self.thief)
        self.member = Membership(field.registry, field.app, b"keeper--")
        self.member.refresh()

    def enrol(self, board: PeerKeys, **changes: Any) -> bytes:
        return self.field.gateway.enrol(self.field.app, self.good, board, **changes)

    def copy(self, board: PeerKeys, **changes: Any) -> bytes:
        """Return what the other one signs for the public keys of a board: later, and for less."""
        issued = {"issued": now() + 60, "expires": now() + DAY, "scope": (Entry("notes", 1),)}
        return self.thief.enrol(self.field.app, self.bad, board, **{**issued, **changes})

    def met(self, delegation: Credential, body: bytes) -> str:
        row = self.field.registry.ledger.get(self.field.app, delegation.number)
        return met(self.member, row.body, body)

    def may_write(self, board: PeerKeys) -> bool:
        self.member.refresh()
        holder = self.member.rules.holder(board.author)
        return holder is not None and bool(holder.may("readings", claims.WRITE))


def test_a_delegate_narrows_no_rights_of_whom_it_did_not_enrol(field: Field) -> None:
    """The keys in a credential, and what a log was formatted with, are public: see SPEC 12.6."""
    two, board = Two(field), PeerKeys()
    first = two.enrol(board)
    copied = two.copy(board, number=read_credential(first)[0].number)
    for proof in (b"", bytes(64), PROOFS[first]):
        (shown,) = field.delegations.countersign(field.app, [copied], [proof])
        assert shown.error is not None and shown.error.code == "PROOF_INVALID"
    (named,) = {row.actor for row in field.registry.audit.newest(9, action="delegation.refuse")}
    assert named.startswith(f"delegation:{two.bad.number.hex()}:")
    # Whoever comes first has said nothing either, in a session neither.
    copied = two.copy(board, agreement=PeerKeys().agreement)
    assert two.met(two.bad, copied) == "" and not two.may_write(board)
    assert two.met(two.good, first) == ""
    assert field.show(first) == [""] and two.may_write(board)
    later = two.copy(board)
    assert two.met(two.bad, later) == "" and two.may_write(board)
    assert two.member.owner(greeting_of(core.Credential(later))) is None
    assert two.member.owner(greeting_of(core.Credential(first))) == board.author
    holders = [each.issued for each in two.member.holders() if each.author == board.author]
    assert holders == [read_credential(first)[0].issued]


def test_a_board_that_moves_to_another_gateway_proves_its_keys_to_that(field: Field) -> None:
    two, board = Two(field), PeerKeys()
    assert field.show(two.enrol(board)) == [""] and two.may_write(board)
    moved = two.copy(board)
    assert two.met(two.bad, moved) == "" and two.may_write(board), "not before it is countersigned"
    assert field.show(moved) == [""] and not two.may_write(board)


def test_a_key_has_so_many_logs_in_sessions_too(field: Field) -> None:
    """Of each delegation by itself: one wears out no keys of boards that others have enrolled."""
    two, board = Two(field), PeerKeys()
    salts = [bytes((at,)) * 16 for at in range(MAX_OWN_AUTHORS + 1)]
    logs = [{"salt": salt, "author": claims.author_of(board.sealing, salt)} for salt in salts]
    codes = [two.met(two.bad, two.copy(board, **log)) for log in [*logs, logs[0]]]
    assert codes == [""] * MAX_OWN_AUTHORS + ["KEY_WORN_OUT", ""]
    two.member = Membership(field.registry, field.app, b"keeper--")
    two.member.refresh()
    assert two.met(two.bad, two.copy(board, **logs[-1])) == "KEY_WORN_OUT", "at all nodes, for ever"
    assert two.met(two.good, two.enrol(board)) == "" and field.show(two.enrol(board)) == [""]


@pytest.mark.parametrize("code", ["ISSUER_MISSING", "REGISTRY_FAILED"])
def test_a_fault_of_the_installation_is_no_verdict(
    field: Field, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    """A gateway keeps a verdict for ever; what fails here for a while is to be shown again."""
    delegation, peers = field.delegate(), (PeerKeys(), PeerKeys())
    shown = [field.gateway.enrol(field.app, delegation, peer) for peer in peers]
    private, calls = field.registry.issuers.private, []

    def failing(app: Any) -> Any:
        calls.append(app)
        if len(calls) == 2:
            raise HedgerowError(code, "for a test")
        return private(app)

    monkeypatch.setattr(field.registry.issuers, "private", failing)
    assert refusal(lambda: field.show(*shown)) == code
    assert not [entry for entry in field.registry.audit.newest(9) if entry.action == "delegation.refuse"]
    assert field.show(*shown) == ["", ""]


@pytest.mark.parametrize(
    "changes",
    [
        {"app": "another"},
        {"scope": (Entry("notes", 1),)},
        {"scope": (Entry("*", 2),)},
        {"scope": (Entry("readings", 2), Entry("secrets", 1))},
        {"scope": (Entry("alarms", 1, "level > 1"),)},
        {"scope": (Entry("alarms", 2),)},
        {"scope": (Entry("alarms", 2, "level > 0"),)},
        {"kinds": claims.KEEPS},
        {"kinds": claims.DELEGATES},
        {"delegation": Limits(("readings",), 1, now() + DAY)},
        {"expires": now() + 31 * DAY},
        {"issued": now() - DAY},
        {"issued": now() + 31 * DAY, "expires": now() + 32 * DAY},
        {"mode": claims.PLAYGROUND},
        {"mesh": b"12345678"},
        {"under": None},
        {"under": b"12345678"},
    ],
)
def test_what_goes_beyond_a_delegation_is_refused_and_named(field: Field, changes: dict[str, Any]) -> None:
    delegation = field.delegate()
    bad = field.gateway.enrol(field.app, delegation, PeerKeys(), **changes)
    good = field.gateway.enrol(field.app, delegation, PeerKeys(), scope=(Entry("alarms", 2, "level > 1"),))
    assert field.show(bad, good) == ["DELEGATION_INVALID", ""]
    refused = [entry for entry in field.registry.audit.newest(9) if entry.action == "delegation.refuse"]
    assert [entry.subject for entry in refused] == [read_credential(bad)[0].number.hex()]


def test_who_is_no_delegate_issues_nothing(field: Field) -> None:
    delegation, thief, board = field.delegate(), PeerKeys(), PeerKeys()
    assert field.show(thief.enrol(field.app, delegation, board)) == ["DELEGATION_INVALID"]
    under_plain = field.gateway.enrol(field.app, read_credential(field.body)[0], board)
    assert field.show(under_plain, b"junk") == ["DELEGATION_INVALID", "CREDENTIAL_INVALID"]
    itself = field.gateway.enrol(field.app, delegation, field.gateway)
    assert field.show(itself) == ["DELEGATION_INVALID"]


def test_one_number_is_one_credential(field: Field) -> None:
    delegation, board = field.delegate(), PeerKeys()
    first = field.gateway.enrol(field.app, delegation, board)
    number = read_credential(first)[0].number
    other = field.gateway.enrol(field.app, delegation, board, number=number, user="someone else")
    stolen = field.gateway.enrol(field.app, delegation, board, number=delegation.number)
    assert field.show(first, other, stolen) == ["", "DELEGATION_INVALID", "DELEGATION_INVALID"]


def test_an_author_of_another_is_not_taken(field: Field) -> None:
    delegation, board, thief = field.delegate(), PeerKeys(), PeerKeys()
    assert field.show(field.gateway.enrol(field.app, delegation, board)) == [""]
    copied = field.gateway.enrol(field.app, delegation, thief, author=board.author)
    assert field.show(copied) == ["AUTHOR_TAKEN"]
    assert field.show(field.gateway.enrol(field.app, delegation, thief)) == [""]


def test_a_delegate_names_no_author_before_its_holder_does(field: Field) -> None:
    delegation, board, thief = field.delegate(), PeerKeys(), PeerKeys()
    for salt in (board.salt, thief.salt, None):
        taken = field.gateway.enrol(field.app, delegation, thief, author=board.author, salt=salt)
        assert field.show(taken) == ["AUTHOR_TAKEN"]
    assert field.show(field.gateway.enrol(field.app, delegation, board)) == [""]


def test_after_its_revocation_a_delegation_brings_nobody_in(field: Field) -> None:
    delegation, early, late = field.delegate(), PeerKeys(), PeerKeys()
    assert field.show(field.gateway.enrol(field.app, delegation, early)) == [""]
    field.registry.revocations.revoke("user:ann", field.app, delegation.number, 0)
    assert field.show(field.gateway.enrol(field.app, delegation, late)) == ["CREDENTIAL_REVOKED"]


def test_a_key_that_is_revoked_is_countersigned_nothing_new(field: Field) -> None:
    """SPEC 11.13.2."""
    delegation, board = field.delegate(), PeerKeys()
    first, second = (field.gateway.enrol(field.app, delegation, board) for _ in range(2))
    assert field.show(first) == [""]
    field.registry.revocations.revoke("user:ann", field.app, read_credential(first)[0].number, 0)
    said = field.registry.database.statements(field.app.id, 0)
    assert field.show(second, first) == ["CREDENTIAL_REVOKED", ""], "what it has it keeps"
    assert field.registry.database.statements(field.app.id, 0) == said


def test_who_is_revoked_while_it_asks_gets_no_delegation(
    field: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SPEC 11.13.2."""
    current = field.authority.current

    def revoked_since(*shown: Any) -> Any:
        found = current(*shown)
        field.registry.revocations.revoke("another node", field.app, found[0].number, 0)
        return found

    monkeypatch.setattr(field.authority, "current", revoked_since)
    assert refusal(field.delegate) == "CREDENTIAL_REVOKED"


def test_what_was_issued_in_time_is_countersigned_however_late(
    field: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    delegation = field.delegate()
    body = field.gateway.enrol(field.app, delegation, PeerKeys())
    later = now() + 90 * DAY
    for module in ("authority", "delegations", "issuers", "audit"):
        monkeypatch.setattr(f"hedgerow_bigpeer.auth.{module}.now", lambda: later)
    assert field.show(body) == [""]


def test_too_many_at_once(field: Field) -> None:
    with pytest.raises(HedgerowError, match="DELEGATION_INVALID"):
        field.show(*[b""] * (limits.COUNTERSIGNED_AT_ONCE + 1))
