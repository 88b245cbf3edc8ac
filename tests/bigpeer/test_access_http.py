"""The HTTP Data API in production: who may ask, what is read and written, and the API of operators."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bigpeer_harness import EXECUTE, STATUS, Local, local
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hedgerow.crypto import claims
from hedgerow.errors import CODES
from hedgerow_bigpeer import limits
from hedgerow_bigpeer.auth import cose, manage, revocation, tokens
from hedgerow_bigpeer.auth.database import now
from hedgerow_bigpeer.auth.ledger import Issued
from hedgerow_bigpeer.auth.registry import Registry
from hedgerow_bigpeer.auth.scope import Entry
from hedgerow_bigpeer.base64url import from_base64

V1 = "/api/hedgerow/v1"
SELECT = "SELECT * FROM cars ORDER BY _id"
OIDC = {"type": "oidc", "issuer": "https://login.example", "audience": "cars"}


class Farm(Local):
    """A Big Peer that serves a production app, and the keys to it."""

    def key(self, *verbs: str, permission: Any = None, **more: Any) -> dict[str, Any]:
        wanted = {"name": "test", "verbs": list(verbs), **more}
        if permission is not None:
            wanted["permission"] = permission
        return manage.create_key(self.peer.registry, "test", "farm", wanted)

    def bearer(self, *verbs: str, **more: Any) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key(*verbs, **more)['key']}"}

    def ask(self, statement: str, headers: dict[str, str], args: object = None) -> Any:  # type: ignore[override]
        response = self.execute(statement, args, **headers)
        body = response.json()
        return body["items"] if response.status_code == 200 else (response.status_code, body["error"]["code"])

    def call(self, method: str, path: str, headers: dict[str, str], body: Any = None) -> Any:
        # The client itself sends no half of a surrogate pair, and no NaN.
        content = None if body is None else json.dumps(body)
        headers = {"content-type": "application/json", **headers}
        response = self.request(method, V1 + path, headers=headers, content=content)
        assert response.headers["cache-control"] == "no-store"
        return (
            response.json()
            if response.status_code == 200
            else (response.status_code, response.json()["error"]["code"])
        )


def farm_at(directory: Path, **options: Any) -> Farm:
    registry = Registry(directory)
    registry.create_app("test", "farm", "production", "farm")
    registry.close()
    return Farm(directory, app="farm", mesh="farm", **options)


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    running = farm_at(tmp_path)
    yield running
    running.close()


def rules(**sides: Any) -> dict[str, Any]:
    return {
        side: {"everything": False, "queriesByCollection": {"cars": [condition]}}
        for side, condition in sides.items()
    }


def test_without_a_key_nothing_is_answered(farm: Farm) -> None:
    response = farm.execute(SELECT)
    body = response.json()
    assert response.status_code == 401 and response.headers["www-authenticate"] == "Bearer"
    assert body["error"]["code"] == "AUTH_MISSING" and body["queryType"] == "unknown" and body["items"] == []
    assert set(body) >= {"transactionId", "mutatedDocumentIds", "warnings", "totalWarningsCount"}
    good = farm.bearer("read", "write")["authorization"]
    for value in (
        "",
        "Bearer",
        "Bearer x",
        good[:-1],
        "Basic " + good[7:],
        "Bearer " + "a" * 9000,
        "Bearer a.b.c",
    ):
        assert farm.ask(SELECT, {"authorization": value}) == (401, "AUTH_INVALID"), value
    assert farm.ask(SELECT, {"authorization": good}) == []
    for path in ("/metrics", STATUS):
        assert farm.request("GET", path, headers={"authorization": "Bearer x"}).status_code == 401
    assert farm.request("GET", "/healthz").status_code == 200


def test_who_shows_a_wrong_key_is_named(farm: Farm) -> None:
    farm.ask(SELECT, {"authorization": "Bearer hgk_wrong"})
    entry = farm.peer.registry.audit.newest(1)[0]
    assert (entry.actor, entry.action, entry.subject) == ("address:127.0.0.1", "auth.refuse", EXECUTE)
    assert entry.detail == {"code": "AUTH_INVALID"}


def test_the_body_of_a_stranger_is_not_read(farm: Farm) -> None:
    """The refusal comes before the body is looked at: what it holds, and how much, does not matter."""
    headers = {"content-type": "application/json"}
    response = farm.request("POST", EXECUTE, content=b"x" * (limits.BODY_BYTES + 1), headers=headers)
    assert response.json()["error"]["code"] == "AUTH_MISSING"


@given(
    header=st.binary(max_size=80) | st.sampled_from([b"Bearer hgk_", b"Bearer a.b.c", b"bearer  "]),
    cookie=st.binary(max_size=80),
)
@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_header_is_answered(farm: Farm, header: bytes, cookie: bytes) -> None:
    clean = {name: value.translate(None, b"\r\n\0") for name, value in ((b"a", header), (b"c", cookie))}
    headers = {b"authorization": clean[b"a"], b"cookie": b"hedgerow=" + clean[b"c"]}
    assert (
        farm.request("POST", EXECUTE, headers={**headers, b"content-type": b"application/json"}).status_code
        == 401
    )
    for path in ("/", "/access", "/metrics", f"{V1}/apps"):
        response = farm.request("GET", path, headers=headers)
        assert response.status_code in (200, 401, 403), (path, response.status_code)


def test_a_playground_on_loopback_needs_no_key_but_judges_one(tmp_path: Path) -> None:
    with local(tmp_path) as running:
        assert running.execute("SELECT * FROM cars").status_code == 200
        refused = running.execute("SELECT * FROM cars", authorization="Bearer x")
        assert (refused.status_code, refused.json()["error"]["code"]) == (401, "AUTH_INVALID")
        assert running.request("GET", f"{V1}/apps").status_code == 403


def test_a_revoked_key_is_dead_at_once(farm: Farm) -> None:
    key = farm.key("read", "write")
    headers = {"authorization": f"Bearer {key['key']}"}
    assert farm.ask(SELECT, headers) == []
    manage.revoke_key(farm.peer.registry, "test", "farm", key["id"])
    assert farm.ask(SELECT, headers) == (401, "AUTH_INVALID")


def test_a_key_of_another_app_is_none_here(farm: Farm) -> None:
    manage.create_app(farm.peer.registry, "test", "barn", "production", "barn")
    other = manage.create_key(farm.peer.registry, "test", "barn", {"name": "x", "verbs": ["read"]})
    assert farm.ask(SELECT, {"authorization": f"Bearer {other['key']}"}) == (403, "AUTH_FORBIDDEN")


def test_verbs_and_collections(farm: Farm) -> None:
    writer = farm.bearer("write", collections=["cars"])
    reader = farm.bearer("read", collections=["cars"])
    insert = "INSERT INTO cars DOCUMENTS ({'_id': 1})"
    assert farm.ask(insert, writer) == [] and farm.ask(SELECT, reader) == [{"_id": 1}]
    assert farm.ask(SELECT, writer) == (403, "AUTH_FORBIDDEN")
    assert farm.ask(insert, reader) == (403, "AUTH_FORBIDDEN")
    assert farm.ask("SELECT * FROM boats", reader) == (403, "AUTH_FORBIDDEN")
    assert farm.ask("INSERT INTO boats DOCUMENTS ({'a': 1})", writer) == (403, "AUTH_FORBIDDEN")
    # A condition tells of what it finds: who may not read may not ask one by writing.
    assert farm.ask("UPDATE cars SET a = 1 WHERE _id = 1", writer) == (403, "AUTH_FORBIDDEN")
    assert farm.ask("DELETE FROM cars WHERE _id = 1", writer) == (403, "AUTH_FORBIDDEN")
    assert farm.ask("DELETE FROM cars WHERE _id = 1", reader) == (403, "AUTH_FORBIDDEN")
    assert farm.ask(SELECT, reader) == [{"_id": 1}]


def test_reading_by_a_condition(farm: Farm) -> None:
    every = farm.bearer("read", "write")
    blue = farm.bearer("read", permission=rules(read="color = 'blue'"))
    cars = [{"_id": n, "color": color} for n, color in enumerate(("blue", "red", "blue"))]
    farm.ask("INSERT INTO cars DOCUMENTS (:a), (:b), (:c)", every, dict(zip("abc", cars, strict=True)))
    assert farm.ask(SELECT, blue) == [cars[0], cars[2]]
    assert farm.ask("SELECT COUNT(*) AS n FROM cars", blue) == [{"n": 2}]
    assert farm.ask("SELECT color FROM cars WHERE _id = 1", blue) == []
    assert farm.ask("SELECT * FROM cars WHERE color = 'red' OR TRUE LIMIT 1 OFFSET 1", blue) == [cars[2]]
    farm.ask("UPDATE cars SET color = 'red' WHERE _id = 0", every)
    assert farm.ask(SELECT, blue) == [cars[2]]


def test_writing_by_a_condition_counts_before_and_after(farm: Farm) -> None:
    every = farm.bearer("read", "write")
    own = farm.bearer("read", "write", permission=rules(read="true", write="owner = 'ann'"))
    insert = "INSERT INTO cars DOCUMENTS (:d) ON ID CONFLICT DO UPDATE"
    forbidden = (403, "AUTH_FORBIDDEN")
    assert farm.ask(insert, own, {"d": {"_id": 1, "owner": "ann"}}) == []
    assert farm.ask(insert, own, {"d": {"_id": 2, "owner": "bob"}}) == forbidden
    assert farm.ask(insert, own, {"d": {"_id": 2}}) == forbidden
    farm.ask(insert, every, {"d": {"_id": 3, "owner": "bob"}})
    # Neither may it take another's document, nor give its own away, nor touch another's.
    assert farm.ask(insert, own, {"d": {"_id": 3, "owner": "ann"}}) == forbidden
    assert farm.ask("UPDATE cars SET owner = 'ann' WHERE _id = 3", own) == forbidden
    assert farm.ask("UPDATE cars SET owner = 'bob' WHERE _id = 1", own) == forbidden
    assert farm.ask("UPDATE cars UNSET owner WHERE _id = 1", own) == forbidden
    assert farm.ask("DELETE FROM cars WHERE _id = 3", own) == forbidden
    assert farm.ask("UPDATE cars SET wheels = 4 WHERE _id = 1", own) == []
    assert farm.ask(SELECT, every) == [{"_id": 1, "owner": "ann", "wheels": 4}, {"_id": 3, "owner": "bob"}]
    assert farm.ask("DELETE FROM cars WHERE _id = 1", own) == []
    assert farm.ask(SELECT, every) == [{"_id": 3, "owner": "bob"}]


def test_a_write_among_others_that_is_forbidden_undoes_the_statement(farm: Farm) -> None:
    own = farm.bearer("read", "write", permission=rules(read="true", write="owner = 'ann'"))
    insert = "INSERT INTO cars DOCUMENTS ({'_id': 1, 'owner': 'ann'}), ({'_id': 2, 'owner': 'bob'})"
    assert farm.ask(insert, own) == (403, "AUTH_FORBIDDEN")
    assert farm.ask(SELECT, own) == []


def test_a_condition_does_not_see_what_may_not_be_read(farm: Farm) -> None:
    every = farm.bearer("read", "write")
    half = farm.bearer("read", "write", permission=rules(read="color = 'blue'", write="true"))
    farm.ask("INSERT INTO cars DOCUMENTS ({'_id': 1, 'color': 'red', 'secret': 7})", every)
    farm.ask("UPDATE cars SET found = TRUE WHERE secret = 7", half)
    farm.ask("DELETE FROM cars WHERE secret = 7", half)
    assert farm.ask(SELECT, every) == [{"_id": 1, "color": "red", "secret": 7}]


def test_a_token_for_http_and_its_revocation(farm: Farm) -> None:
    registry, app = farm.peer.registry, farm.peer.app
    token = tokens.make(registry.issuers, app, "ann", b"12345678", now() + 60, (Entry("cars", claims.READ),))
    headers = {"authorization": f"Bearer {token}"}
    assert farm.ask(SELECT, headers) == []
    assert farm.ask("INSERT INTO cars DOCUMENTS ({'a': 1})", headers) == (403, "AUTH_FORBIDDEN")
    row = (b"12345678", app.id, "ann", "x", b"", b"", None, now(), now() + 60, now(), None, None, b"")
    registry.ledger.add(Issued(*row))
    registry.revocations.revoke("test", app, b"12345678", 0)
    assert farm.ask(SELECT, headers) == (401, "AUTH_INVALID")


def test_system_collections_are_for_who_may_see_the_status(farm: Farm) -> None:
    issuers, app = farm.peer.registry.issuers, farm.peer.app
    token = tokens.make(issuers, app, "ann", b"12345678", now() + 60, (Entry("*", claims.READ),))
    named = {"read": {"everything": False, "queriesByCollection": {"system:peers": ["true"]}}}
    watcher = farm.bearer("read", "status")
    shut = (
        farm.bearer("read", "write", "sync", "revoke", "admin"),
        farm.bearer("read", permission=named),
        {"authorization": f"Bearer {token}"},
    )
    for name in farm.peer.queries.system:
        assert isinstance(farm.ask(f"SELECT * FROM {name}", watcher), list)
        for headers in shut:
            assert farm.ask(f"SELECT * FROM {name}", headers) == (403, "AUTH_FORBIDDEN")
            for path in ("/changes?collection=", "/timeseries/"):
                assert farm.call("GET", path + name, headers) == (403, "AUTH_FORBIDDEN")
    for headers in (watcher, *shut):
        body = {"statement": "SELECT * FROM system:peers"}
        assert farm.call("POST", "/live", headers, body) == (400, "QUERY_UNSUPPORTED")


# ---- operators


def test_apps_keys_and_providers_over_http(farm: Farm) -> None:
    admin = farm.bearer("admin")
    (shown,) = farm.call("GET", "/apps", admin)["apps"]
    assert (shown["name"], shown["mode"], shown["token"]) == ("farm", "production", None)
    made = farm.call("POST", "/apps", admin, {"name": "play", "mode": "playground"})
    assert made["token"] and len(farm.call("GET", "/apps", admin)["apps"]) == 1
    assert len(farm.call("POST", "/apps/farm/issuers", admin)["issuers"]) == 2
    key = farm.call("POST", "/apps/farm/keys", admin, {"name": "a", "verbs": ["read"], "days": 1})
    headers = {"authorization": f"Bearer {key['key']}"}
    assert farm.ask(SELECT, headers) == []
    listed = farm.call("GET", "/apps/farm/keys", admin)["keys"]
    assert key["key"] not in json.dumps(listed) and {row["id"] for row in listed} > {key["id"]}
    assert farm.call("DELETE", f"/apps/farm/keys/{key['id']}", admin)["revoked"]
    assert farm.ask(SELECT, headers) == (401, "AUTH_INVALID")
    settings = {
        "type": "oidc",
        "issuer": "https://login.example",
        "audience": "x",
        "clientSecret": "hidden-word",
    }
    put = farm.call("PUT", "/apps/farm/providers/login", admin, settings)
    listed = farm.call("GET", "/apps/farm/providers", admin)["providers"]
    assert [put] == listed and "hidden-word" not in json.dumps(listed) and put["clientSecret"] == "(set)"
    assert farm.call("DELETE", "/apps/farm/providers/login", admin) == {"name": "login"}
    assert farm.call("GET", "/apps/farm/providers", admin)["providers"] == []
    user = farm.call(
        "POST", "/users", admin, {"name": "ann", "role": "viewer", "password": "a good password"}
    )
    assert farm.call("GET", "/users", admin)["users"] == [user] and "password" not in json.dumps(user)
    assert farm.call("DELETE", "/users/ann", admin) == {"name": "ann"}
    log = farm.call("GET", "/audit", admin)["audit"]
    assert {row["actor"] for row in log if row["action"] == "user.remove"} == {
        f"key:{admin['authorization'][11:23]}"
    }
    assert farm.call("GET", f"/audit?before={log[-1]['id']}", admin)["audit"] == []
    assert farm.call("GET", "/audit/check", admin) == {"broken_at": None}
    text = json.dumps(log)
    assert key["key"] not in text and "hidden-word" not in text and "a good password" not in text


@pytest.mark.parametrize(
    "method, path, body",
    [
        ("GET", "/apps", None),
        ("POST", "/apps", {"name": "x"}),
        ("POST", "/apps/farm/token", None),
        ("POST", "/apps/farm/issuers", None),
        ("GET", "/apps/farm/keys", None),
        ("POST", "/apps/farm/keys", {"name": "x", "verbs": ["admin"]}),
        ("DELETE", "/apps/farm/keys/x", None),
        ("GET", "/apps/farm/providers", None),
        ("PUT", "/apps/farm/providers/x", {}),
        ("DELETE", "/apps/farm/providers/x", None),
        ("GET", "/apps/farm/credentials", None),
        ("POST", "/apps/farm/revocations", {}),
        ("GET", "/users", None),
        ("POST", "/users", {}),
        ("DELETE", "/users/x", None),
        ("GET", "/audit", None),
        ("GET", "/audit/check", None),
    ],
)
def test_every_door_of_operators_is_shut(farm: Farm, method: str, path: str, body: Any) -> None:
    before = farm.peer.registry.audit.newest(1)
    assert farm.call(method, path, {}, body) == (401, "AUTH_MISSING")
    less = farm.bearer("read", "write", "sync", "status")
    before = farm.peer.registry.audit.newest(1)
    assert farm.call(method, path, less, body) == (403, "AUTH_FORBIDDEN")
    assert farm.peer.registry.audit.newest(1) == before


@pytest.mark.parametrize(
    "method, path, body",
    [
        ("POST", "/token", None),
        ("POST", "/issuers", None),
        ("GET", "/keys", None),
        ("POST", "/keys", {"name": "x", "verbs": ["admin"], "days": 1}),
        ("DELETE", "/keys/x", None),
        ("GET", "/providers", None),
        ("PUT", "/providers/x", {"type": "webhookUrl", "webhookUrl": "https://x/"}),
        ("DELETE", "/providers/x", None),
        ("GET", "/credentials", None),
        ("POST", "/revocations", {"number": "00" * 8}),
    ],
)
def test_a_key_rules_its_own_app_alone(farm: Farm, method: str, path: str, body: Any) -> None:
    registry = farm.peer.registry
    if not [app for app in manage.list_apps(registry) if app["name"] == "other"]:
        registry.create_app("test", "other", "playground", "other")
    before = registry.audit.newest(1)
    app = registry.apps.get("other")
    for name in (app.name, app.id):
        found = farm.call(method, f"/apps/{name}{path}", farm.bearer("admin", "revoke"), body)
        assert found == (403, "AUTH_FORBIDDEN")
    after = registry.audit.newest(10, before[0].id + 1000)
    assert {row.action for row in after if row.id > before[0].id} == {"key.create"}


@pytest.mark.parametrize(
    "method, path, body, code",
    [
        ("POST", "/apps", {"name": 1}, "REQUEST_SYNTAX"),
        ("POST", "/apps", [], "REQUEST_SYNTAX"),
        ("POST", "/apps", {"name": "farm"}, "APP_INVALID"),
        ("GET", "/apps/barn/keys", None, "APP_UNKNOWN"),
        ("POST", "/apps/farm/keys", {"name": "x", "verbs": ["read"], "days": 366}, "API_KEY_INVALID"),
        ("POST", "/apps/farm/keys", {"name": "x", "verbs": "read"}, "API_KEY_INVALID"),
        ("POST", "/apps/farm/keys", {"name": "x", "verbs": ["read"], "more": 1}, "API_KEY_INVALID"),
        (
            "POST",
            "/apps/farm/keys",
            {"name": "x", "verbs": ["read"], "permission": rules(write="true")},
            "API_KEY_INVALID",
        ),
        ("POST", "/apps/farm/keys", {"name": "x", "verbs": ["read"], "permission": 1}, "PERMISSION_INVALID"),
        ("DELETE", "/apps/farm/keys/x", None, "API_KEY_UNKNOWN"),
        ("PUT", "/apps/farm/providers/x", {"type": "x"}, "PROVIDER_INVALID"),
        ("PUT", "/apps/farm/providers/x", {"type": ["oidc"]}, "PROVIDER_INVALID"),
        ("PUT", "/apps/farm/providers/x", {"type": "anonymous", "kinds": [[]]}, "PROVIDER_INVALID"),
        ("PUT", "/apps/farm/providers/x", {**OIDC, "algorithms": [[]]}, "PROVIDER_INVALID"),
        (
            "PUT",
            "/apps/farm/providers/x",
            {"type": "webhookUrl", "webhookUrl": "http://x/"},
            "PROVIDER_ADDRESS",
        ),
        ("PUT", "/apps/farm/providers/x", {"type": "anonymous"}, "PROVIDER_INVALID"),
        ("DELETE", "/apps/farm/providers/x", None, "PROVIDER_UNKNOWN"),
        ("POST", "/apps/farm/revocations", {"number": "xx"}, "REQUEST_SYNTAX"),
        ("POST", "/apps/farm/revocations", {"number": "00" * 8}, "CREDENTIAL_UNKNOWN"),
        ("GET", "/audit?before=x", None, "REQUEST_SYNTAX"),
        ("GET", "/audit?actoin=login", None, "REQUEST_SYNTAX"),
        ("GET", "/apps/farm/credentials?usr=x", None, "REQUEST_SYNTAX"),
        ("GET", "/auth/revocations?from=1", None, "REQUEST_SYNTAX"),
        ("POST", "/auth/challenge", {"ap": "farm"}, "REQUEST_SYNTAX"),
        ("POST", "/apps", {"name": "shed", "mod": "playground"}, "REQUEST_SYNTAX"),
        (
            "POST",
            "/apps/farm/keys",
            {"name": "k", "verbs": ["read"], "collections": ["\ud800"]},
            "REQUEST_SYNTAX",
        ),
        (
            "PUT",
            "/apps/farm/providers/x",
            {"type": "webhookUrl", "webhookUrl": "https://x/\ud800"},
            "REQUEST_SYNTAX",
        ),
        ("POST", "/apps/farm/keys", {"name": "k", "verbs": ["read"], "days": float("nan")}, "REQUEST_SYNTAX"),
        ("POST", "/apps", {"name": "shed", "mesh": "a\0b"}, "REQUEST_SYNTAX"),
        ("POST", "/bridges/b/skip", {"key": "a\0b"}, "REQUEST_SYNTAX"),
        ("POST", "/bridges/b/replay", {"key": "\udfff"}, "REQUEST_SYNTAX"),
    ],
)
def test_senseless_requests_of_operators(farm: Farm, method: str, path: str, body: Any, code: str) -> None:
    status, found = farm.call(method, path, farm.bearer("admin", "revoke"), body)
    assert (found, status in (400, 404, 502)) == (code, True) and code in CODES


def test_revoking_over_http_keeps_what_is_held(farm: Farm) -> None:
    registry, app = farm.peer.registry, farm.peer.app
    own = farm.peer.service.store.identity.author
    key = cose.compress(registry.issuers.private(app).public_key())
    row = (b"12345678", app.id, "board", "x", key, key, own, now(), now() + 60, now(), None, None, b"x")
    registry.ledger.add(Issued(*row))
    operator = farm.bearer("revoke")
    held = farm.peer.held(own)
    assert held > 0
    shown = farm.call("POST", "/apps/farm/revocations", operator, {"number": "3132333435363738"})
    assert shown["last"] == held and shown["revoked"]
    lower = {"number": "3132333435363738", "last": 0}
    assert farm.call("POST", "/apps/farm/revocations", operator, lower) == (409, "REVOCATION_LOWER")
    (listed,) = farm.call("GET", "/auth/revocations", {})["revocations"]
    signed = cose.read(from_base64(listed["object"], "object"), revocation.KIND)
    assert registry.issuers.is_signed(app, signed)
    assert revocation.read_payload(app.id, signed.payload) == (b"12345678", own, held)
