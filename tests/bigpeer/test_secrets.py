"""No secret stands in a log, the audit log, or a file that is not for it: each is used, then looked for."""

import json
import logging
from pathlib import Path
from typing import Any

import httpx
import identity_provider
import pytest
from bigpeer_harness import EXECUTE, Remote
from peer_keys import PeerKeys

from hedgerow_bigpeer.auth import manage
from hedgerow_bigpeer.auth.proof import Challenge
from hedgerow_bigpeer.auth.registry import Registry
from hedgerow_bigpeer.base64url import from_base64, to_base64

V1 = "/api/hedgerow/v1"
PASSWORD = "pass-word-that-is-secret"
CLIENT_SECRET = "client-secret-that-is-secret"
TOKEN = json.dumps(
    {"authenticated": True, "expirationSeconds": 600, "userID": "ann", "more": "token-that-is-secret"}
)


def use(served: Remote, idp_url: str, key: str) -> list[str]:
    """Do everything that takes or makes a secret, well and badly; return what must stand nowhere."""
    client = httpx.Client(base_url=served.url, timeout=20)
    admin = {"authorization": f"Bearer {key}"}

    def put(path: str, body: Any) -> None:
        assert client.put(V1 + path, json=body, headers=admin).status_code == 200

    put(
        "/apps/farm/providers/hook",
        {"type": "webhookUrl", "webhookUrl": f"{idp_url}/hook", "allowPrivate": True},
    )
    settings = {"type": "oidc", "issuer": idp_url, "audience": "x", "allowPrivate": True, "clientId": "c"}
    put("/apps/farm/providers/login", {**settings, "clientSecret": CLIENT_SECRET})
    user = {"name": "ann", "role": "admin", "password": PASSWORD}
    assert client.post(f"{V1}/users", json=user, headers=admin).status_code == 200
    made = client.post(f"{V1}/apps/farm/keys", json={"name": "k", "verbs": ["read"]}, headers=admin).json()
    client.post(
        EXECUTE, json={"statement": "SELECT * FROM c"}, headers={"authorization": f"Bearer {made['key']}"}
    )
    for header in (f"Bearer {made['key']}x", f"Basic {made['key']}", "Bearer wrong-key-that-is-secret"):
        client.post(EXECUTE, json={"statement": "SELECT"}, headers={"authorization": header})
    login = client.post(f"{V1}/auth/login", json={"provider": "hook", "token": TOKEN}).json()
    for token in ("status", "huge", '{"wrong": "token-that-is-secret"}'):
        client.post(f"{V1}/auth/login", json={"provider": "hook", "token": token})
    client.post(f"{V1}/auth/login", json={"provider": "login", "token": "wrong.token-that-is-secret.x"})
    found = client.post(f"{V1}/auth/challenge", json={}).json()
    challenge = Challenge(from_base64(found["challenge"], ""), from_base64(found["point"], ""), 0)
    parts = PeerKeys().prove(found["app"], challenge)._asdict()
    proof = {name: to_base64(value) for name, value in parts.items()}
    assert (
        "credential"
        in client.post(f"{V1}/auth/login", json={"provider": "hook", "token": TOKEN, "proof": proof}).json()
    )
    page = client.get("/login").text
    form = page.split('name="form" value="')[1].split('"')[0]
    for password in (PASSWORD + "x", PASSWORD):
        client.post("/login", data={"form": form, "name": "ann", "password": password})
        form = client.get("/login").text.split('name="form" value="')[1].split('"')[0]
    cookie = client.cookies["hedgerow"]
    client.post("/access/users", data={"form": "wrong", "name": "b", "password": PASSWORD})
    client.close()
    # hgk_, the number, and the secret, which may have a _ of its own.
    secret = made["key"].split("_", 2)[2]
    return [key.split("_", 2)[2], secret, login["token"], cookie, PASSWORD, "that-is-secret"]


def test_secrets_stand_in_no_log(tmp_path: Path) -> None:
    directory = tmp_path / "farm"
    registry = Registry(directory)
    registry.create_app("test", "farm", "production", "farm")
    made = manage.create_key(
        registry, "test", "farm", {"name": "admin", "verbs": ["admin", "read", "status"]}
    )
    registry.close()
    with identity_provider.running() as idp:
        served = Remote(directory, app="farm", mesh="farm", log_level="DEBUG")
        try:
            secrets = use(served, idp.url, made["key"])
        finally:
            served.stop()
    log = served.log.read_text()
    assert "DEBUG" in log and len(log) > 1000, "it did not log all that it can"
    registry = Registry(directory)
    audit = json.dumps(manage.list_audit(registry, 1000))
    registry.database.run("PRAGMA wal_checkpoint(TRUNCATE)")
    registry.close()
    issuers = [path.read_text().splitlines()[1] for path in (directory / "issuers").iterdir()]
    keys = (directory / "identity.key").read_bytes()
    issuers += [to_base64(keys[at : at + 32]) for at in (0, 32)] + [keys[:32].hex(), keys[32:64].hex()]
    assert "login.refuse" in audit and "login.fail" in audit and len(issuers) == 5
    for secret in [*secrets, *issuers]:
        assert len(secret) > 10 and secret not in log and secret not in audit, secret
    # What has to be kept as it is, a client's secret at an identity provider, is where others cannot read.
    kept = (directory / "auth.db").read_bytes()
    assert CLIENT_SECRET.encode() in kept
    for secret in secrets[:-1]:
        assert secret.encode() not in kept


@pytest.mark.parametrize("logger", ["httpx", "httpcore", "uvicorn", "asyncio"])
def test_loggers_of_libraries_are_not_silenced(logger: str) -> None:
    """The test above means something only while these may speak."""
    assert not logging.getLogger(logger).disabled
