"""The Authentication Service against an identity provider in another process."""

import asyncio
import json
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import identity_provider
import pytest
from identity_provider import Running
from peer_keys import PeerKeys

from hedgerow.crypto import claims
from hedgerow.errors import HedgerowError
from hedgerow.limits import MAX_OWN_AUTHORS
from hedgerow_bigpeer import limits
from hedgerow_bigpeer.auth import authority, database, ledger, proof, tokens
from hedgerow_bigpeer.auth.apps import App
from hedgerow_bigpeer.auth.authority import Authority, Granted
from hedgerow_bigpeer.auth.credential import Credential, read_credential
from hedgerow_bigpeer.auth.registry import PLAYGROUND_PROVIDER, Registry
from hedgerow_bigpeer.auth.scope import Entry

Result = TypeVar("Result")

ALLOWED = {
    "authenticated": True,
    "expirationSeconds": 28_800,
    "userID": "123abc",
    "clientInfo": {"greeting": "hello"},
    "identityServiceMetadata": {"team": "north"},
    "permissions": {
        "read": {"everything": False, "queriesByCollection": {"books": ["_id.locationId == 'abc'"]}},
        "write": {"everything": True, "queriesByCollection": {}},
    },
}


@pytest.fixture(scope="module")
def idp() -> Iterator[Running]:
    with identity_provider.running() as running:
        yield running


class Service:
    """An Authentication Service with a production app whose providers are the process."""

    def __init__(self, directory: Path, idp: Running) -> None:
        self.registry = Registry(directory)
        self.authority = Authority(self.registry)
        self.app: App = self.registry.create_app("test", "farm", "production", "fields")
        self.set("my-auth", {"type": "webhookUrl", "webhookUrl": f"{idp.url}/hook", "kinds": ["delegate"]})
        self.set("login", {"type": "oidc", "issuer": idp.url, "audience": identity_provider.AUDIENCE})
        self._runner = asyncio.Runner()

    def set(self, name: str, settings: dict[str, Any]) -> None:
        self.registry.providers.set("test", self.app, name, {"allowPrivate": True, **settings})

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self._runner.run(work)

    def log_in(self, provider: str, token: object, peer: PeerKeys | None = None, **options: Any) -> Granted:
        text = token if isinstance(token, str) else json.dumps(token)
        proved = None
        if peer is not None:
            proved = peer.prove(self.app.id, self.registry.challenger.make(self.app.id), **options)
        return self.run(self.authority.log_in(self.app, provider, text, proved))

    def renew(self, peer: PeerKeys, body: bytes) -> Granted:
        proved = peer.prove(self.app.id, self.registry.challenger.make(self.app.id))
        return self.run(self.authority.renew(self.app, body, proved))

    def close(self) -> None:
        self.run(self.authority.close())
        self._runner.close()
        self.registry.close()


@pytest.fixture
def service(tmp_path: Path, idp: Running) -> Iterator[Service]:
    running = Service(tmp_path, idp)
    yield running
    running.close()


def refusal(work: Any) -> str:
    with pytest.raises(HedgerowError) as caught:
        work()
    return caught.value.code


def move_clock(monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    for module in (authority, proof, tokens):
        monkeypatch.setattr(module, "now", lambda: database.now() + seconds)


def test_the_webhook_is_asked_as_ditto_asks_it(service: Service, idp: Running) -> None:
    peer = PeerKeys()
    granted = service.log_in("my-auth", ALLOWED, peer)
    asked = idp.seen()["asked"][-1]
    assert asked["databaseID"] == asked["appID"] == service.app.id
    assert (asked["version"], asked["provider"], json.loads(asked["token"])) == ("1", "my-auth", ALLOWED)
    credential, signed = read_credential(granted.body)
    assert service.registry.issuers.is_signed(service.app, signed)
    assert credential == Credential(
        app=service.app.id,
        user="123abc",
        expires=credential.issued + 28_800,
        issued=credential.issued,
        number=granted.number,
        agreement=peer.agreement,
        sealing=peer.sealing,
        scope=(Entry("books", 1, "_id.locationId == 'abc'"), Entry("*", 2)),
        mode=claims.PRODUCTION,
        mesh=service.app.mesh_id,
        author=peer.author,
        metadata={"team": "north"},
    )
    assert granted.client_info == {"greeting": "hello"} and abs(credential.issued - time.time()) < 60
    assert service.authority.current(service.app, granted.body)[0] == credential


def test_both_spellings(service: Service) -> None:
    other = {**ALLOWED, "authenticate": ALLOWED["authenticated"]}
    del other["authenticated"]
    assert service.log_in("my-auth", other, PeerKeys()).user == "123abc"
    for answer in ({"authenticated": False}, {"authenticate": False, "userInfo": "no"}):
        assert (
            refusal(lambda answer=answer: service.log_in("my-auth", answer, PeerKeys())) == "PROVIDER_REFUSED"
        )
    assert refusal(lambda: service.log_in("my-auth", "unknown", PeerKeys())) == "PROVIDER_REFUSED"


@pytest.mark.parametrize(
    "change",
    [
        {"authenticated": 1},
        {"authenticated": None},
        {"expirationSeconds": None},
        {"expirationSeconds": "8"},
        {"expirationSeconds": 0},
        {"expirationSeconds": True},
        {"userID": None},
        {"userID": ""},
        {"userID": "x" * 129},
        {"userID": "a\0b"},
        {"identityServiceMetadata": [1]},
        {"identityServiceMetadata": {"x": "y" * 1100}},
        {"permissions": {"read": {"queriesByCollection": {"c": ["nonsense ("]}}}},
    ],
)
def test_answers_that_are_none(service: Service, change: dict[str, Any]) -> None:
    code = refusal(lambda: service.log_in("my-auth", {**ALLOWED, **change}, PeerKeys()))
    assert code in ("PROVIDER_FAILED", "PERMISSION_INVALID", "CREDENTIAL_TOO_LARGE")
    assert service.registry.ledger.newest(service.app, 9) == []
    (noted, *_) = service.registry.audit.newest(1)
    assert (noted.action, noted.detail["code"]) == ("login.refuse", code)


@pytest.mark.parametrize("token", ["huge", "away", "broken", "status"])
def test_a_webhook_that_misbehaves(service: Service, idp: Running, token: str) -> None:
    seen = idp.seen()["counts"].get("/seen", 0)
    assert refusal(lambda: service.log_in("my-auth", token, PeerKeys())) == "PROVIDER_FAILED"
    assert idp.seen()["counts"]["/seen"] == seen + 1, "a redirect was followed"


def test_a_webhook_that_is_slow(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PROVIDER_SECONDS", 0.3)
    assert refusal(lambda: service.log_in("my-auth", "slow", PeerKeys())) == "PROVIDER_FAILED"


def test_rights_end_with_the_providers_limit(service: Service, idp: Running) -> None:
    service.set("short", {"type": "webhookUrl", "webhookUrl": f"{idp.url}/hook", "sessionLength": 600})
    credential, _ = read_credential(service.log_in("short", ALLOWED, PeerKeys()).body)
    assert credential.expires - credential.issued == 600
    credential, _ = read_credential(
        service.log_in("my-auth", {**ALLOWED, "expirationSeconds": 10**9}, PeerKeys()).body
    )
    assert credential.expires - credential.issued == limits.CREDENTIAL_SECONDS


def test_kinds_are_granted_only_as_far_as_the_app_allows(service: Service) -> None:
    granted = service.log_in("my-auth", {**ALLOWED, "hedgerowKinds": ["delegate", "revoke", "x"]}, PeerKeys())
    assert read_credential(granted.body)[0].kinds == claims.DELEGATES


def test_openid_connect(service: Service, idp: Running) -> None:
    rules = {"read": {"everything": False, "queriesByCollection": {"readings": ["site = 'north'"]}}}
    granted = service.log_in("login", idp.token(hedgerow_permissions=rules), PeerKeys())
    credential, _ = read_credential(granted.body)
    assert (credential.user, credential.scope) == ("ann", (Entry("readings", 1, "site = 'north'"),))
    assert (
        service.log_in("login", idp.token(aud=["other", identity_provider.AUDIENCE]), PeerKeys()).user
        == "ann"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "https://elsewhere.example"},
        {"iss": None},
        {"aud": "others"},
        {"aud": None},
        {"exp": 1_600_000_000},
        {"exp": None},
        {"exp": "tomorrow"},
        {"nbf": 4_000_000_000},
        {"forge": "none"},
        {"forge": "secret"},
        {"forge": "other"},
        {"algorithm": "ES256"},
    ],
)
def test_tokens_that_are_refused(service: Service, idp: Running, change: dict[str, Any]) -> None:
    assert refusal(lambda: service.log_in("login", idp.token(**change), PeerKeys())) == "TOKEN_INVALID"


def test_an_algorithm_that_is_set_is_taken(service: Service, idp: Running) -> None:
    settings = {
        "type": "oidc",
        "issuer": idp.url,
        "audience": identity_provider.AUDIENCE,
        "algorithms": ["ES256"],
    }
    service.set("curves", settings)
    assert service.log_in("curves", idp.token(algorithm="ES256"), PeerKeys()).user == "ann"
    assert refusal(lambda: service.log_in("curves", idp.token(), PeerKeys())) == "TOKEN_INVALID"


def test_keys_are_fetched_once_and_again_when_a_new_one_signs(
    service: Service, idp: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetched() -> int:
        return int(idp.seen()["counts"].get("/jwks", 0))

    before = fetched()
    for _ in range(5):
        service.log_in("login", idp.token(), PeerKeys())
    assert fetched() == before + 1
    idp.rotate()
    # Who sends nonsense does not make us ask more than now and then.
    for _ in range(3):
        assert refusal(lambda: service.log_in("login", idp.token(), PeerKeys())) == "TOKEN_INVALID"
    assert fetched() == before + 1
    monkeypatch.setattr(limits, "JWKS_AGAIN_SECONDS", 0.0)
    assert service.log_in("login", idp.token(), PeerKeys()).user == "ann"
    assert fetched() > before + 1


def test_a_provider_that_is_gone_is_not_asked_by_everybody(service: Service) -> None:
    service.set("gone", {"type": "oidc", "issuer": "http://127.0.0.1:9", "audience": "x"})
    for detail in ("ConnectError", "did not answer a moment ago"):
        with pytest.raises(HedgerowError, match=detail) as caught:
            service.log_in("gone", "a.b.c", PeerKeys())
        assert caught.value.code == "PROVIDER_FAILED"


def test_a_playground_takes_its_own_token_only(service: Service) -> None:
    service.app = service.registry.create_app("test", "play", "playground", "demo")
    assert service.app.token
    credential, _ = read_credential(service.log_in(PLAYGROUND_PROVIDER, service.app.token, PeerKeys()).body)
    assert (credential.mode, credential.scope) == (claims.PLAYGROUND, (Entry("*", 3),))
    for token in ("", service.app.token + "x", "é" * 5000):
        code = refusal(lambda token=token: service.log_in(PLAYGROUND_PROVIDER, token, PeerKeys()))
        assert code == "PROVIDER_REFUSED"


def test_production_has_no_anonymous_way_in(service: Service) -> None:
    assert refusal(lambda: service.set("open", {"type": "anonymous"})) == "PROVIDER_INVALID"
    assert refusal(lambda: service.log_in("open", "x", PeerKeys())) == "PROVIDER_UNKNOWN"


def test_without_keys_there_is_a_token_for_http(service: Service) -> None:
    granted = service.log_in("my-auth", ALLOWED)
    user, number, rules = tokens.read(service.registry.issuers, service.app, granted.token)
    assert (user, number, len(rules)) == ("123abc", granted.number, 2) and not granted.body
    assert granted.expires - time.time() <= limits.TOKEN_SECONDS


# ---- proof of possession


def test_every_part_of_a_proof_counts(service: Service) -> None:
    peer, other = PeerKeys(), PeerKeys()
    app_id = service.app.id
    challenger = service.registry.challenger
    good = peer.prove(app_id, challenger.make(app_id))
    challenger.check(app_id, good)
    foreign = other.prove(app_id, challenger.make(app_id))
    changes: list[tuple[dict[str, Any], str]] = [
        ({"challenge": bytes(40)}, "CHALLENGE_INVALID"),
        ({"challenge": good.challenge[:-1]}, "CHALLENGE_INVALID"),
        ({"challenge": foreign.challenge}, "PROOF_INVALID"),
        ({"signature": foreign.signature}, "PROOF_INVALID"),
        ({"signature": bytes(64)}, "PROOF_INVALID"),
        ({"tag": bytes(16)}, "PROOF_INVALID"),
        ({"tag": b""}, "PROOF_INVALID"),
        ({"agreement": other.agreement}, "PROOF_INVALID"),
        ({"sealing": other.sealing}, "PROOF_INVALID"),
        ({"agreement": bytes(33)}, "POINT_INVALID"),
        ({"agreement": peer.sealing}, "POINT_INVALID"),
        ({"sealing": b"\x02" + b"\xff" * 32}, "POINT_INVALID"),
        ({"author": other.author}, "PROOF_INVALID"),
        ({"salt": bytes(16)}, "AUTHOR_TAKEN"),
        ({"salt": None}, "AUTHOR_TAKEN"),
    ]
    for change, code in changes:
        assert refusal(lambda change=change: challenger.check(app_id, good._replace(**change))) == code, (
            change
        )
    assert refusal(lambda: challenger.check("another app", good)) == "CHALLENGE_INVALID"


def test_a_proof_without_the_agreement_key_is_none(service: Service) -> None:
    """Who has only the sealing key, and names another's agreement key, gets nothing."""
    peer, victim = PeerKeys(), PeerKeys()
    peer.agreement = victim.agreement
    assert refusal(lambda: service.log_in("my-auth", ALLOWED, peer)) == "PROOF_INVALID"


def test_a_challenge_is_good_once_and_for_a_while(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    peer = PeerKeys()
    proved = peer.prove(service.app.id, service.registry.challenger.make(service.app.id))
    text = json.dumps(ALLOWED)
    service.run(service.authority.log_in(service.app, "my-auth", text, proved))
    again = service.authority.log_in(service.app, "my-auth", text, proved)
    assert refusal(lambda: service.run(again)) == "CHALLENGE_INVALID"
    late = peer.prove(service.app.id, service.registry.challenger.make(service.app.id))
    move_clock(monkeypatch, limits.CHALLENGE_SECONDS + 2)
    assert refusal(lambda: service.registry.challenger.check(service.app.id, late)) == "CHALLENGE_INVALID"


def test_who_proves_nothing_costs_the_identity_provider_nothing(service: Service, idp: Running) -> None:
    before = len(idp.seen()["asked"])
    peer = PeerKeys()
    proved = peer.prove(service.app.id, service.registry.challenger.make(service.app.id))._replace(
        tag=bytes(16)
    )
    work = service.authority.log_in(service.app, "my-auth", json.dumps(ALLOWED), proved)
    assert refusal(lambda: service.run(work)) == "PROOF_INVALID"
    assert len(idp.seen()["asked"]) == before


def test_an_author_stays_with_its_key(service: Service) -> None:
    peer, thief = PeerKeys(), PeerKeys()
    service.log_in("my-auth", ALLOWED, peer)
    assert (
        refusal(lambda: service.registry.ledger.bind_author(service.app, peer.author, thief.sealing))
        == "AUTHOR_TAKEN"
    )
    service.registry.ledger.bind_author(service.app, peer.author, peer.sealing)


def test_a_key_has_so_many_logs_and_no_more(service: Service) -> None:
    peer, other = PeerKeys(), PeerKeys()
    ledger = service.registry.ledger
    authors = [bytes((at,)) * 8 for at in range(MAX_OWN_AUTHORS)]
    for author in [*authors, *authors]:
        ledger.bind_author(service.app, author, peer.sealing)
    assert refusal(lambda: ledger.bind_author(service.app, b"one more", peer.sealing)) == "KEY_WORN_OUT"
    ledger.bind_author(service.app, b"one more", other.sealing)


# ---- renewal and revocation


def test_renewal_keeps_everything_but_number_and_times(
    service: Service, idp: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = PeerKeys()
    granted = service.log_in("my-auth", ALLOWED, peer)
    before = read_credential(granted.body)[0]
    asked = len(idp.seen()["asked"])
    move_clock(monkeypatch, 20_000)
    after = read_credential(service.renew(peer, granted.body).body)[0]
    assert after.number != before.number and after.issued >= before.issued + 20_000
    assert after == before._replace(number=after.number, issued=after.issued, expires=after.issued + 28_800)
    assert len(idp.seen()["asked"]) == asked


def test_what_is_not_renewed(service: Service, idp: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    peer = PeerKeys()
    service.set("once", {"type": "webhookUrl", "webhookUrl": f"{idp.url}/hook", "renewLength": 0})
    once = service.log_in("once", ALLOWED, peer).body
    assert refusal(lambda: service.renew(peer, once)) == "CREDENTIAL_EXPIRED"
    granted = service.log_in("my-auth", ALLOWED, peer)
    assert refusal(lambda: service.renew(PeerKeys(), granted.body)) == "PROOF_INVALID"
    assert refusal(lambda: service.renew(peer, granted.body[:-1])) == "CREDENTIAL_INVALID"
    barn = service.registry.create_app("test", "barn", "production", "fields")
    forged = read_credential(granted.body)[0].sign(service.registry.issuers.private(barn))
    assert refusal(lambda: service.renew(peer, forged)) == "CREDENTIAL_INVALID"
    service.registry.providers.remove("test", service.app, "my-auth")
    assert refusal(lambda: service.renew(peer, granted.body)) == "PROVIDER_UNKNOWN"
    move_clock(monkeypatch, 28_801)
    assert refusal(lambda: service.renew(peer, granted.body)) == "CREDENTIAL_EXPIRED"


def test_a_renewal_is_no_way_around_the_identity_provider_for_ever(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = PeerKeys()
    body = service.log_in("my-auth", ALLOWED, peer).body
    renewals = 0
    for step in range(1, 200):
        move_clock(monkeypatch, step * 28_000)
        try:
            body = service.renew(peer, body).body
        except HedgerowError as error:
            assert error.code == "CREDENTIAL_EXPIRED"
            break
        renewals += 1
    assert renewals == limits.RENEWAL_SECONDS // 28_000


def test_a_revoked_credential_is_not_renewed_and_the_number_only_rises(service: Service) -> None:
    peer = PeerKeys()
    granted = service.log_in("my-auth", ALLOWED, peer)
    revocations = service.registry.revocations
    first = revocations.revoke("user:ann", service.app, granted.number, 40)
    assert (first.author, first.last) == (peer.author, 40)
    assert refusal(lambda: service.renew(peer, granted.body)) == "CREDENTIAL_REVOKED"
    assert revocations.revoke("user:bob", service.app, granted.number, 40) == first
    assert (
        refusal(lambda: revocations.revoke("user:bob", service.app, granted.number, 39)) == "REVOCATION_LOWER"
    )
    raised = revocations.revoke("user:bob", service.app, granted.number, 50)
    assert [row.last for row in revocations.all(service.app, 9)] == [50]
    assert refusal(lambda: revocations.revoke("x", service.app, b"12345678", 1)) == "CREDENTIAL_UNKNOWN"
    assert refusal(lambda: revocations.revoke("x", service.app, granted.number, -1)) == "PERMISSION_INVALID"
    assert (
        refusal(lambda: revocations.revoke("x", service.app, granted.number, 1 << 32)) == "PERMISSION_INVALID"
    )
    signed = authority.read_credential  # the reader of credentials takes no revocation for one
    assert refusal(lambda: signed(raised.body)) == "CREDENTIAL_INVALID"


def test_the_audit_log_names_what_was_issued_and_to_whom(service: Service) -> None:
    granted = service.log_in("my-auth", ALLOWED, PeerKeys())
    (entry, *_) = service.registry.audit.newest(5)
    assert (entry.actor, entry.action, entry.subject) == (
        "provider:my-auth",
        "credential.issue",
        granted.number.hex(),
    )
    assert entry.detail["user"] == "123abc" and service.registry.audit.broken_at() is None
    assert isinstance(service.registry.ledger.get(service.app, granted.number), ledger.Issued)
