"""The Authentication Service over HTTP, from a challenge to a countersigned board; and any JSON to it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import identity_provider
import pytest
from bigpeer_harness import Local, local
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from identity_provider import Running
from peer_keys import PeerKeys, proofs_of
from test_access_http import farm_at
from test_authority import ALLOWED

from hedgerow.crypto import claims
from hedgerow.crypto.credentials import Credential as Granted
from hedgerow.errors import CODES
from hedgerow_bigpeer.auth import cose, manage, revocation
from hedgerow_bigpeer.auth.credential import read_credential
from hedgerow_bigpeer.auth.database import now
from hedgerow_bigpeer.auth.proof import Challenge
from hedgerow_bigpeer.auth.registry import PLAYGROUND_PROVIDER
from hedgerow_bigpeer.base64url import from_base64, to_base64

AUTH = "/api/hedgerow/v1/auth"


@pytest.fixture(scope="module")
def idp() -> Iterator[Running]:
    with identity_provider.running() as running:
        yield running


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory, idp: Running) -> Iterator[Local]:
    running = farm_at(tmp_path_factory.mktemp("farm"))
    hook = {
        "type": "webhookUrl",
        "webhookUrl": f"{idp.url}/hook",
        "allowPrivate": True,
        "kinds": ["delegate", "revoke"],
    }
    manage.set_provider(running.peer.registry, "test", "farm", "hook", hook)
    yield running
    running.close()


def post(farm: Local, path: str, body: Any) -> Any:
    response = farm.request("POST", f"{AUTH}/{path}", json=body)
    found = response.json()
    if response.status_code == 200:
        return found
    assert found["error"]["code"] in CODES
    return response.status_code, found["error"]["code"]


def prove(farm: Local, peer: PeerKeys, *, log: bool = True) -> dict[str, Any]:
    made = post(farm, "challenge", {})
    challenge = Challenge(from_base64(made["challenge"], ""), from_base64(made["point"], ""), made["expires"])
    parts = peer.prove(made["app"], challenge, log=log)._asdict()
    return {name: to_base64(value) for name, value in parts.items() if value is not None}


def log_in(farm: Local, peer: PeerKeys, *kinds: str) -> dict[str, Any]:
    rights = {"everything": True}
    token = {**ALLOWED, "hedgerowKinds": list(kinds), "permissions": {"read": rights, "write": rights}}
    body = {"provider": "hook", "token": json.dumps(token), "proof": prove(farm, peer)}
    found = post(farm, "login", body)
    assert isinstance(found, dict), found
    return found


def test_from_a_challenge_to_a_renewed_credential(farm: Local) -> None:
    peer = PeerKeys()
    found = log_in(farm, peer)
    shown = farm.request("GET", f"{AUTH}/issuers").json()
    points = [from_base64(issuer["point"], "") for issuer in shown["issuers"]]
    assert found["issuers"] == [issuer["point"] for issuer in shown["issuers"]] and shown["mode"] == 0
    (keeper,) = (Granted(from_base64(text, "")).claims for text in found["keepers"])
    assert keeper.kinds & claims.KEEPS and keeper.author == farm.peer.service.store.identity.keeper
    credential, signed = read_credential(from_base64(found["credential"], ""))
    assert any(signed.is_by(point) for point in points) and to_base64(credential.mesh) == shown["mesh"]
    assert (found["user_id"], found["client_info"]) == ("123abc", {"greeting": "hello"})
    renewed = post(farm, "renew", {"credential": found["credential"], "proof": prove(farm, peer)})
    assert renewed["number"] != found["number"]
    refused = post(farm, "renew", {"credential": found["credential"], "proof": prove(farm, PeerKeys())})
    assert refused == (401, "PROOF_INVALID")


def test_a_token_for_http_opens_the_data_api(farm: Local) -> None:
    token = json.dumps({**ALLOWED, "permissions": {"read": {"queriesByCollection": {"cars": ["true"]}}}})
    found = post(farm, "login", {"provider": "hook", "token": token})
    headers = {"authorization": f"Bearer {found['token']}"}
    assert farm.execute("SELECT * FROM cars", **headers).status_code == 200
    assert farm.execute("SELECT * FROM boats", **headers).status_code == 403
    (key, *_) = farm.request("GET", f"{AUTH}/jwks").json()["keys"]
    assert key["kty"] == "EC" and "d" not in key


@pytest.mark.parametrize("name", ["databaseID", "appID"])
def test_dittos_login(farm: Local, name: str) -> None:
    body = {name: farm.peer.app.id, "provider": "hook", "token": json.dumps(ALLOWED)}
    found = farm.request("POST", "/_ditto/auth/login", json=body).json()
    assert found["userID"] == "123abc" and 0 < found["expirationSeconds"] <= 28_800
    headers = {"authorization": f"Bearer {found['accessToken']}"}
    assert farm.execute("SELECT * FROM books", **headers).status_code == 200
    body["token"] = "unknown"
    assert farm.request("POST", "/_ditto/auth/login", json=body).status_code == 401
    body[name] = "another"
    assert farm.request("POST", "/_ditto/auth/login", json=body).status_code == 404


def test_a_playground_is_entered_by_its_token(tmp_path: Path) -> None:
    with local(tmp_path) as running:
        body = {"provider": PLAYGROUND_PROVIDER, "token": running.peer.app.token}
        assert "token" in post(running, "login", body)
        assert post(running, "login", {**body, "token": "x"}) == (401, "PROVIDER_REFUSED")


def test_a_gateway_enrols_a_board_and_shows_it_later(farm: Local) -> None:
    gateway, board = PeerKeys(), PeerKeys()
    body = {
        "credential": log_in(farm, gateway, "delegate")["credential"],
        "proof": prove(farm, gateway, log=False),
        "collections": ["readings"],
        "peers": 2,
    }
    delegation = post(farm, "delegate", body)
    assert post(farm, "delegate", body) == (401, "CHALLENGE_INVALID"), "a challenge is good once"
    credential, _ = read_credential(from_base64(delegation["credential"], ""))
    issued = gateway.enrol(farm.peer.app, credential, board)
    forged = gateway.enrol(farm.peer.app, credential, board, kinds=claims.KEEPS)
    shown = post(
        farm,
        "countersign",
        {
            "credentials": [to_base64(issued), to_base64(forged), "AAAA"],
            "proofs": [to_base64(proof) for proof in proofs_of([issued, forged])],
        },
    )
    first, second, third = shown["credentials"]
    assert cose.read(from_base64(first["credential"], "")).payload == cose.read(issued).payload
    assert (second["error"]["code"], third["error"]["code"]) == ("DELEGATION_INVALID", "CREDENTIAL_INVALID")


def test_a_peer_that_may_revoke_does(farm: Local) -> None:
    warden, thief, plain = PeerKeys(), PeerKeys(), PeerKeys()
    held, found = log_in(farm, warden, "revoke"), log_in(farm, thief)
    number = bytes.fromhex(found["number"])

    def revoke(peer: PeerKeys, credential: str, author: bytes, last: int) -> Any:
        said = revocation.payload(farm.peer.app.id, now(), number, author, last)
        signed = cose.sign(peer.sealing_key, said, revocation.KIND)
        return post(farm, "revoke", {"credential": credential, "revocation": to_base64(signed)})

    other = log_in(farm, plain)["credential"]
    assert revoke(plain, other, thief.author, 9) == (403, "AUTH_FORBIDDEN")
    assert revoke(plain, held["credential"], thief.author, 9) == (401, "PROOF_INVALID")
    assert revoke(warden, held["credential"], plain.author, 9) == (404, "CREDENTIAL_UNKNOWN")
    shown = revoke(warden, held["credential"], thief.author, 9)
    assert (shown["last"], shown["by"]) == (9, f"peer:{held['number']}")
    assert revoke(warden, held["credential"], thief.author, 8) == (409, "REVOCATION_LOWER")
    assert revoke(warden, held["credential"], thief.author, 10)["last"] == 10
    listed = farm.request("GET", f"{AUTH}/revocations?since={shown['at']}").json()["revocations"]
    assert [row["last"] for row in listed if row["number"] == found["number"]] == [10]
    body = {"credential": found["credential"], "proof": prove(farm, thief)}
    assert post(farm, "renew", body) == (401, "CREDENTIAL_REVOKED")
    said = revocation.payload(farm.peer.app.id, now(), number, thief.author, 11)
    as_credential = to_base64(cose.sign(warden.sealing_key, said))
    assert post(farm, "revoke", {"credential": held["credential"], "revocation": as_credential})[1] == (
        "CREDENTIAL_INVALID"
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
fields = (
    "app",
    "provider",
    "token",
    "proof",
    "credential",
    "credentials",
    "proofs",
    "collections",
    "peers",
    "revocation",
)


@given(
    path=st.sampled_from(["challenge", "login", "renew", "delegate", "countersign", "revoke"]),
    body=st.dictionaries(st.sampled_from(fields), json_values) | json_values,
)
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_json_is_refused_with_a_code(farm: Local, path: str, body: Any) -> None:
    found = post(farm, path, body)
    if isinstance(found, tuple):
        assert 400 <= found[0] < 500, found
    elif path != "challenge":
        # What is to be countersigned is answered one by one, and none of it is.
        assert path == "countersign" and set(found) == {"credentials"}, found
        assert all(set(entry) == {"error"} and entry["error"]["code"] for entry in found["credentials"])


def test_bodies_that_are_none(farm: Local) -> None:
    for content, kind, code in (
        (b"{", "application/json", "REQUEST_SYNTAX"),
        (b"[" * 100_000, "application/json", "REQUEST_TOO_LARGE"),
        (b"[" * 4000, "application/json", "REQUEST_SYNTAX"),
        (b"{}", "text/plain", "REQUEST_TYPE"),
        (b'{"token": "' + b"x" * 4096 + b'"}', "application/json", "REQUEST_TOO_LARGE"),
    ):
        response = farm.request("POST", f"{AUTH}/login", content=content, headers={"content-type": kind})
        assert response.json()["error"]["code"] == code
    assert farm.request("GET", f"{AUTH}/revocations?since=x").status_code == 400
