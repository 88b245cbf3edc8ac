"""auth.db: apps, issuer keys and their rotation, API keys, accounts, and the audit log."""

import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from hedgerow.codec import cbor
from hedgerow.crypto import claims
from hedgerow.errors import HedgerowError
from hedgerow_bigpeer import limits
from hedgerow_bigpeer.auth import api_keys, audit, cose, database, engine, issuers, tokens
from hedgerow_bigpeer.auth.apps import App
from hedgerow_bigpeer.auth.registry import PLAYGROUND_PROVIDER, Registry
from hedgerow_bigpeer.auth.scope import Entry

DAY = 86_400


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    opened = Registry(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def farm(registry: Registry) -> App:
    return registry.create_app("test", "farm", "production", "fields")


class Clock:
    """A time that a test sets, for every module that asks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at = database.now()
        for module in (api_keys, issuers, tokens):
            monkeypatch.setattr(module, "now", lambda: self.at)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_files_are_for_their_owner_only(registry: Registry, farm: App, tmp_path: Path) -> None:
    files = [tmp_path / "auth.db", *(tmp_path / "issuers").iterdir()]
    assert len(files) == 2 and farm.mode == claims.PRODUCTION
    for path in files:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE((tmp_path / "issuers").stat().st_mode) == 0o700


def test_a_playground_has_a_token_of_its_own(registry: Registry, tmp_path: Path) -> None:
    app = registry.ensure_app("default", "demo")
    other = Registry(tmp_path / "other")
    assert registry.ensure_app("default", "demo") == app and app.is_playground
    assert app.token and app.token != other.ensure_app("default", "demo").token
    other.close()
    assert [provider.name for provider in registry.providers.all(app)] == [PLAYGROUND_PROVIDER]
    renewed = registry.apps.renew_token("test", app)
    assert renewed.token != app.token and registry.apps.get("default") == renewed


def test_modes_meshes_and_apps_have_ids_of_their_own(registry: Registry) -> None:
    first = registry.create_app("test", "a", "production", "fields")
    second = registry.create_app("test", "b", "production", "fields")
    ids = {first.mesh_id, second.mesh_id, first._replace(mesh="x").mesh_id, first._replace(mode=1).mesh_id}
    assert len(ids) == 4


@pytest.mark.parametrize(
    "name, mode, mesh",
    [
        ("", "production", "m"),
        ("A", "production", "m"),
        ("a", "x", "m"),
        ("a", "production", ""),
        ("a", "production", "m:a-secret-of-the-mesh-"),
    ],
)
def test_senseless_apps(registry: Registry, name: str, mode: str, mesh: str) -> None:
    with pytest.raises(HedgerowError, match="APP_INVALID") as caught:
        registry.create_app("test", name, mode, mesh)
    # What the secret of a mesh looks like is neither kept nor said again.
    assert registry.apps.all() == [] and not registry.audit.newest(9) and "a-secret" not in str(caught.value)


def test_two_apps_of_one_name(registry: Registry, farm: App) -> None:
    with pytest.raises(HedgerowError, match="APP_INVALID"):
        registry.create_app("test", "farm", "playground", "m")
    with pytest.raises(HedgerowError, match="APP_UNKNOWN"):
        registry.apps.get("barn")


def test_rotation_overlaps(registry: Registry, farm: App, clock: Clock) -> None:
    old = registry.issuers.ensure(farm)
    by_old = cose.read(cose.sign(registry.issuers.private(farm), b"payload"))
    clock.at += 10
    new = registry.issuers.rotate("test", farm, 100)
    by_new = cose.read(cose.sign(registry.issuers.private(farm), b"payload"))
    assert by_old.kid == old.kid and by_new.kid == new.kid != old.kid
    assert registry.issuers.is_signed(farm, by_old) and registry.issuers.is_signed(farm, by_new)
    assert [issuer.kid for issuer in registry.issuers.trusted(farm)] == [new.kid, old.kid]
    assert new.statement is not None
    said = cose.read(new.statement, issuers.STATEMENT)
    assert said.is_by(old.point)
    assert cose.point_of(cbor.decode(said.payload)[claims.CNF][1]) == new.point
    clock.at += 100
    assert not registry.issuers.is_signed(farm, by_old) and registry.issuers.is_signed(farm, by_new)


def test_another_apps_issuer_does_not_count(registry: Registry, farm: App) -> None:
    barn = registry.create_app("test", "barn", "production", "fields")
    signed = cose.read(cose.sign(registry.issuers.private(barn), b"payload"))
    assert registry.issuers.is_signed(barn, signed) and not registry.issuers.is_signed(farm, signed)


def test_an_issuer_whose_file_is_gone_or_another(tmp_path: Path) -> None:
    first = Registry(tmp_path)
    app = first.create_app("test", "farm", "production", "fields")
    first.close()
    (path,) = (tmp_path / "issuers").iterdir()
    text = path.read_bytes()
    path.unlink()
    again = Registry(tmp_path)
    with pytest.raises(HedgerowError, match="ISSUER_MISSING"):
        again.issuers.private(app)
    other = again.create_app("test", "barn", "production", "fields")
    (wrong,) = (tmp_path / "issuers").iterdir()
    path.write_bytes(wrong.read_bytes())
    with pytest.raises(HedgerowError, match="holds another key"):
        again.issuers.private(app)
    path.write_bytes(text)
    assert again.issuers.private(app) and again.issuers.private(other)
    again.close()


def test_an_api_key_is_shown_once_and_stored_hashed(registry: Registry, farm: App, tmp_path: Path) -> None:
    key, text = registry.keys.create("test", farm, "grafana", ["read"], 30 * DAY)
    assert registry.keys.check(text) == key and key.scope == (Entry("*", claims.READ),)
    secret = text.rpartition("_")[2]
    registry.database.run("PRAGMA wal_checkpoint(TRUNCATE)")
    for path in tmp_path.iterdir():
        if path.is_file():
            assert secret.encode() not in path.read_bytes()
    for wrong in (text[:-1], text + "x", text.replace("hgk_", ""), f"hgk_{key.id}_", "", "hgk__", "hgk_é_é"):
        with pytest.raises(HedgerowError, match="AUTH_INVALID"):
            registry.keys.check(wrong)


def test_a_revoked_key_is_dead_at_once_in_every_process(
    registry: Registry, farm: App, tmp_path: Path
) -> None:
    key, text = registry.keys.create("test", farm, "old", ["read", "write"], DAY)
    other = Registry(tmp_path)
    assert other.keys.check(text) == key
    revoked = registry.keys.revoke("test", farm, key.id)
    assert revoked.revoked is not None
    for each in (registry, other):
        with pytest.raises(HedgerowError, match="was revoked"):
            each.keys.check(text)
    other.close()
    assert registry.keys.revoke("test", farm, key.id).revoked == revoked.revoked
    barn = registry.create_app("test", "barn", "production", "fields")
    with pytest.raises(HedgerowError, match="API_KEY_UNKNOWN"):
        registry.keys.revoke("test", barn, key.id)


def test_an_api_key_ends(registry: Registry, farm: App, clock: Clock) -> None:
    _, text = registry.keys.create("test", farm, "short", ["read"], 60)
    clock.at += 59
    registry.keys.check(text)
    clock.at += 1
    with pytest.raises(HedgerowError, match="has expired"):
        registry.keys.check(text)


def test_keys_that_ended_make_room(
    registry: Registry, farm: App, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "API_KEYS", 3)
    barn = registry.create_app("test", "barn", "production", "fields")
    elsewhere, _ = registry.keys.create("test", barn, "elsewhere", ["read"], 1)

    def make(name: str, seconds: int = DAY) -> str:
        return registry.keys.create("test", farm, name, ["read"], seconds)[0].id

    def names() -> set[str]:
        return {key.name for key in registry.keys.all(farm)}

    make("stands")
    make("short", 60)
    revoked = make("revoked")
    for _ in range(2):
        with pytest.raises(HedgerowError, match="API_KEY_INVALID: 3 keys"):
            make("more")
        assert names() == {"stands", "short", "revoked"}
    registry.keys.revoke("test", farm, revoked)
    clock.at += 60
    make("first")
    assert names() == {"stands", "short", "first"}, "what ended first goes first"
    make("second")
    assert names() == {"stands", "first", "second"}
    with pytest.raises(HedgerowError, match="API_KEY_INVALID: 3 keys"):
        make("more")
    registry.keys.revoke("test", farm, registry.keys.all(farm)[0].id)
    for _ in range(10):
        registry.keys.revoke("test", farm, make("turn"))
    assert len(names()) == 3
    assert registry.keys.all(barn) == [elsewhere]


@pytest.mark.parametrize(
    "name, verbs, seconds, rules",
    [
        ("a", [], DAY, None),
        ("a", ["fly"], DAY, None),
        ("A", ["read"], DAY, None),
        ("a" * 64, ["read"], DAY, None),
        ("a", ["read"], 0, None),
        ("a", ["read"], 366 * DAY, None),
        ("a", ["read"], DAY, (Entry("c", 2),)),
    ],
)
def test_senseless_keys(
    registry: Registry, farm: App, name: str, verbs: list[str], seconds: int, rules: tuple[Entry, ...] | None
) -> None:
    with pytest.raises(HedgerowError, match="API_KEY_INVALID"):
        registry.keys.create("test", farm, name, verbs, seconds, rules)
    assert registry.keys.all(farm) == []


def test_tokens_for_http(registry: Registry, farm: App, clock: Clock) -> None:
    rules = (Entry("readings", 1, "n > 3"),)
    token = tokens.make(registry.issuers, farm, "ann", b"12345678", clock.at + 60, rules)
    assert tokens.read(registry.issuers, farm, token) == ("ann", b"12345678", rules)
    registry.issuers.rotate("test", farm)
    assert tokens.read(registry.issuers, farm, token)[0] == "ann"
    barn = registry.create_app("test", "barn", "production", "fields")
    parts = token.split(".")
    cut = ".".join([parts[0], parts[1], parts[2][:-4] + "AAAA"])
    for app, wrong in ((barn, token), (farm, cut), (farm, "x.y.z"), (farm, "")):
        with pytest.raises(HedgerowError, match="AUTH_INVALID"):
            tokens.read(registry.issuers, app, wrong)
    old = tokens.make(registry.issuers, farm, "ann", b"12345678", clock.at - 1, rules)
    with pytest.raises(HedgerowError, match="AUTH_INVALID"):
        tokens.read(registry.issuers, farm, old)
    jwks = tokens.jwks(registry.issuers, farm)["keys"]
    assert len(jwks) == 2 and all("d" not in key and key["crv"] == "P-256" for key in jwks)


def test_accounts(registry: Registry) -> None:
    accounts = registry.accounts
    assert not accounts.any
    accounts.create("test", "ann", "operator", "a good password")
    assert accounts.any and accounts.check("ann", "a good password").role == "operator"
    (row,) = registry.database.rows("SELECT hash FROM users")
    assert row[0].startswith("$argon2id$")
    for name, password in (("ann", "a bad password"), ("bob", "a good password"), ("ann", "")):
        with pytest.raises(HedgerowError, match="LOGIN_FAILED"):
            accounts.check(name, password)
    for name, role, password in (
        ("ann", "viewer", "0123456789"),
        ("x", "king", "0123456789"),
        ("x", "viewer", "short"),
    ):
        with pytest.raises(HedgerowError, match="USER_INVALID"):
            accounts.create("test", name, role, password)


def test_logins_end(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    accounts = registry.accounts
    accounts.create("test", "ann", "admin", "a good password")
    login, token = accounts.log_in("ann", "admin", "password")
    other = accounts.log_in("ann", "admin", "password")[1]
    assert accounts.logged_in(token) == login and accounts.logged_in(token + "x") is None
    assert login.may("viewer") and login.may("admin") and not login._replace(role="operator").may("admin")
    accounts.log_out(token)
    assert accounts.logged_in(token) is None and accounts.logged_in(other) is not None
    accounts.set_password("test", "ann", "another password")
    assert accounts.logged_in(other) is None
    third = accounts.log_in("ann", "admin", "password")[1]
    late = database.now() + 13 * 3600
    monkeypatch.setattr("hedgerow_bigpeer.auth.accounts.now", lambda: late)
    assert accounts.logged_in(third) is None
    accounts.remove("test", "ann")
    assert not accounts.any


def test_logins_end_with_their_provider(registry: Registry, farm: App) -> None:
    oidc = {"type": "oidc", "issuer": "https://login.example", "audience": "x", "clientId": "c"}
    providers, accounts = registry.providers, registry.accounts

    def log_in() -> list[str]:
        users = ("log_n:eve", "login:eve", "login:olga", "viewer")
        return [accounts.log_in(user, "viewer", "test")[1] for user in users]

    def standing(tokens: list[str]) -> list[bool]:
        return [accounts.logged_in(token) is not None for token in tokens]

    for name in ("login", "log_n"):
        providers.set("test", farm, name, oidc)
    tokens = log_in()
    providers.set("test", farm, "login", oidc)
    assert standing(tokens) == [True, True, True, True], "nothing was changed"
    providers.set("test", farm, "login", {**oidc, "role": "viewer"})
    assert standing(tokens) == [True, False, False, True]
    tokens = log_in()
    providers.remove("test", farm, "login")
    assert standing(tokens) == [True, False, False, True]
    providers.remove("test", farm, "log_n")
    assert standing(tokens) == [False, False, False, True]


def test_the_audit_log_only_grows(registry: Registry, farm: App) -> None:
    registry.audit.add("key:ab", "test.word", "subject", more=1)
    (newest, *_) = registry.audit.newest(10)
    assert newest[2:] == ("key:ab", "test.word", "subject", {"more": 1})
    for statement in ("DELETE FROM audit", "UPDATE audit SET actor = 'x'", "DELETE FROM audit WHERE id = 1"):
        with pytest.raises(engine.Violated, match="append-only"):
            registry.database.run(statement)
    assert registry.audit.broken_at() is None
    assert [entry.action for entry in registry.audit.newest(9, action="app.create")] == ["app.create"]
    assert registry.audit.newest(9, before=newest.id)[0].id == newest.id - 1


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM audit WHERE id = 2",
        "UPDATE audit SET actor = 'nobody' WHERE id = 2",
        "DELETE FROM audit WHERE id = 1",
    ],
)
def test_who_edits_the_file_breaks_the_chain(registry: Registry, statement: str) -> None:
    for number in range(4):
        registry.audit.add("test", "word", str(number))
    registry.database.run("DROP TRIGGER audit_keeps_rows")
    registry.database.run("DROP TRIGGER audit_keeps_words")
    registry.database.run(statement)
    assert registry.audit.broken_at() in (2, 3)


def test_strangers_do_not_fill_the_audit_log(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    at = [database.now()]
    monkeypatch.setattr(audit, "now", lambda: at[0])
    for number in range(limits.AUDIT_REFUSALS + 70):
        registry.audit.refuse("address:192.0.2.1", "auth.refuse", str(number))
    assert len(registry.audit.newest(1000)) == limits.AUDIT_REFUSALS
    registry.audit.add("user:ann", "key.revoke", "what people do is always there")
    at[0] += limits.AUDIT_REFUSALS_SECONDS
    registry.audit.refuse("address:192.0.2.1", "auth.refuse", "later")
    later, more, done = registry.audit.newest(3)
    assert (later.subject, more.action, more.detail["count"], done.action) == (
        "later",
        "refusals.more",
        70,
        "key.revoke",
    )


def test_strangers_hide_nobody_who_is_known(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    at = [database.now()]
    monkeypatch.setattr(audit, "now", lambda: at[0])
    monkeypatch.setattr(limits, "AUDIT_ACTORS", 3)
    for _ in range(limits.AUDIT_REFUSALS + 5):
        registry.audit.refuse("address:192.0.2.1", "auth.refuse", "")
        registry.audit.refuse("credential:01:loud", "seal.refuse", "")
    registry.audit.refuse("credential:02:quiet", "seal.refuse", "")
    rows = [row.actor for row in registry.audit.newest(1000)]
    assert rows.count("credential:02:quiet") == 1
    assert rows.count("credential:01:loud") == rows.count("address:192.0.2.1") == limits.AUDIT_REFUSALS
    # Of more than so many each counts as a stranger.
    registry.audit.refuse("credential:03:late", "seal.refuse", "")
    assert "credential:03:late" not in [row.actor for row in registry.audit.newest(1000)]
    at[0] += limits.AUDIT_REFUSALS_SECONDS
    registry.audit.refuse("credential:03:late", "seal.refuse", "")
    later, *more = registry.audit.newest(3)
    assert later.actor == "credential:03:late"
    assert {row.subject: row.detail["count"] for row in more} == {"": 6, "credential:01:loud": 5}


def test_what_a_peer_says_of_others_fills_no_day_of_the_audit_log(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = [database.now()]
    monkeypatch.setattr(audit, "now", lambda: at[0])
    monkeypatch.setattr(limits, "AUDIT_TOLD", 45)

    def tell(by: str) -> None:
        registry.audit.hear("radio:D0:00:00:00:00:01", "radio.refuse", by, code="BEACON_TAG", count=1)

    for _ in range(3):
        for _ in range(limits.AUDIT_REFUSALS + 2):
            tell("credential:01:loud")
        at[0] += limits.AUDIT_REFUSALS_SECONDS
    told = [(row.action, row.detail["count"]) for row in registry.audit.newest(1000)][::-1]
    assert told == [("radio.refuse", 1)] * 30 + [("radio.more", 2)] + [("radio.refuse", 1)] * 13
    # It hides neither others, nor what it is refused here.
    tell("credential:02:quiet")
    registry.audit.refuse("credential:01:loud", "seal.refuse", "")
    assert [row.action for row in registry.audit.newest(2)] == ["seal.refuse", "radio.refuse"]
    at[0] += limits.AUDIT_TOLD_SECONDS
    tell("credential:01:loud")
    later, more = registry.audit.newest(2)
    assert (later.subject, later.detail["by"]) == ("credential:01:loud", "credential:01:loud")
    left_out = 3 * (limits.AUDIT_REFUSALS + 2) - 45
    assert (more.action, more.subject, more.detail["count"]) == ("radio.more", "credential:01:loud", left_out)


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    Registry(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "auth.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(HedgerowError, match="REGISTRY_VERSION"):
        Registry(tmp_path)


def test_a_database_that_is_taken_is_a_coded_refusal(registry: Registry, farm: App, tmp_path: Path) -> None:
    registry.database.run("PRAGMA busy_timeout = 10")
    other = sqlite3.connect(tmp_path / "auth.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(HedgerowError, match="REGISTRY_FAILED"):
        registry.keys.create("test", farm, "a", ["read"], DAY)
    other.execute("ROLLBACK")
    other.close()
    registry.keys.create("test", farm, "a", ["read"], DAY)


def test_what_fails_halfway_leaves_nothing(
    registry: Registry, farm: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **more: object) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(registry.audit, "add", fail)
    with pytest.raises(RuntimeError):
        registry.keys.create("test", farm, "a", ["read"], DAY)
    assert registry.keys.all(farm) == []
