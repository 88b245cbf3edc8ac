"""`hedgerow bigpeer apps`, `keys`, `providers`, `users`, `credentials`, `audit`, and `hedgerow enroll`."""

import json
import re
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_kit import hedgerow, running

WEBHOOK = '{"type": "webhookUrl", "webhookUrl": "https://login.example/hook"}'


def ask(data: Path, *words: str, **environment: str) -> Any:
    done = hedgerow("bigpeer", *words, "--data", str(data), "--json", **environment)
    return json.loads(done.stdout)


def code_of(*words: str) -> str:
    done = hedgerow(*words, "--json", status=1)
    return str(json.loads(done.stdout)["error"]["code"])


def password(data: Path, word: str, *words: str) -> Any:
    done = hedgerow("bigpeer", "users", *words, "--data", str(data), "--json", status=None, typed=word + "\n")
    return json.loads(done.stdout)


def test_apps_keys_and_providers(tmp_path: Path) -> None:
    data = tmp_path / "data"
    made = ask(data, "apps", "add", "farm")
    assert (made["mode"], made["mesh"], made["token"]) == ("production", "farm", None)
    assert ask(data, "apps", "add", "play", "--mode", "playground")["token"]
    assert [row["name"] for row in ask(data, "apps", "list")["apps"]] == ["farm", "play"]
    token = ask(data, "apps", "show", "--app", "play")["token"]
    assert ask(data, "apps", "token", "--app", "play")["token"] != token
    assert len(ask(data, "apps", "rotate", "--app", "farm", "--overlap-days", "3")["issuers"]) == 2
    assert ask(data, "forks", "list", "--app", "farm") == {"forks": []}
    rule = '{"read": {"queriesByCollection": {"cars": ["color = \'blue\'"]}}}'
    key = ask(data, "keys", "add", "blue", "--app", "farm", "--verb", "read", "--permission", rule)
    assert re.fullmatch(r"hgk_[0-9a-f]{12}_\S{40,}", key["key"])
    (listed,) = ask(data, "keys", "list", "--app", "farm")["keys"]
    assert listed["permission"]["read"]["queriesByCollection"] == {"cars": ["color = 'blue'"]}
    assert "key" not in listed
    assert ask(data, "keys", "revoke", listed["id"], "--app", "farm")["revoked"]
    ask(data, "providers", "set", "login", WEBHOOK, "--app", "farm")
    (provider,) = ask(data, "providers", "list", "--app", "farm")["providers"]
    assert provider == {"name": "login", **json.loads(WEBHOOK)}
    assert ask(data, "providers", "remove", "login", "--app", "farm") == {"name": "login"}
    found = ask(data, "audit", "--check")
    assert found["broken_at"] is None and found["audit"][0]["action"] == "provider.remove"
    assert all(row["actor"].startswith(("command:", "system")) for row in found["audit"])
    assert key["key"] not in json.dumps(found)
    assert ask(data, "audit", "--action", "key.revoke", "--limit", "5")["audit"][0]["subject"] == listed["id"]


def test_users(tmp_path: Path) -> None:
    assert password(tmp_path, "a good password", "add", "ann", "--role", "admin")["role"] == "admin"
    assert password(tmp_path, "short", "add", "bob")["error"]["code"] == "USER_INVALID"
    assert password(tmp_path, "another password", "password", "ann") == {"name": "ann"}
    assert [row["name"] for row in ask(tmp_path, "users", "list")["users"]] == ["ann"]
    assert ask(tmp_path, "users", "remove", "ann") == {"name": "ann"}


def test_for_people_it_is_text(tmp_path: Path) -> None:
    data = ("--data", str(tmp_path))
    assert "app farm" in hedgerow("bigpeer", "apps", "add", "farm", *data).stdout
    text = hedgerow("bigpeer", "keys", "add", "k", "--app", "farm", "--verb", "read", *data).stdout
    assert text.startswith("hgk_")
    shown = hedgerow("bigpeer", "keys", "list", "--app", "farm", *data).stdout
    assert "read" in shown and text.strip() not in shown
    assert "mode production" in hedgerow("bigpeer", "apps", "show", "--app", "farm", *data).stdout
    assert "key.create" in hedgerow("bigpeer", "audit", *data).stdout


@pytest.mark.parametrize(
    "words, code",
    [
        (("apps", "add", "Farm"), "APP_INVALID"),
        (("apps", "add", "x", "--mode", "y"), "APP_INVALID"),
        (("apps", "show", "--app", "x"), "APP_UNKNOWN"),
        (("keys", "list", "--app", "x"), "APP_UNKNOWN"),
        (("keys", "add", "x", "--verb", "fly", "--app", "farm"), "API_KEY_INVALID"),
        (("keys", "add", "x", "--verb", "read", "--permission", "[", "--app", "farm"), "ARGUMENTS_INVALID"),
        (("keys", "revoke", "x", "--app", "farm"), "API_KEY_UNKNOWN"),
        (("providers", "set", "x", "[]", "--app", "farm"), "ARGUMENTS_INVALID"),
        (("providers", "set", "x", '{"type": "anonymous"}', "--app", "farm"), "PROVIDER_INVALID"),
        (("credentials", "revoke", "zz", "--last", "1", "--app", "farm"), "ARGUMENTS_INVALID"),
        (("credentials", "revoke", "00" * 8, "--last", "1", "--app", "farm"), "CREDENTIAL_UNKNOWN"),
        (("forks", "accept", "zz", "--last", "1", "--app", "farm"), "ARGUMENTS_INVALID"),
        (("forks", "accept", "00" * 8, "--last", "1", "--app", "farm"), "FORK_UNKNOWN"),
    ],
)
def test_what_makes_no_sense(tmp_path: Path, words: tuple[str, ...], code: str) -> None:
    ask(tmp_path, "apps", "add", "farm")
    assert code_of("bigpeer", *words, "--data", str(tmp_path)) == code


def test_a_place_in_the_environment_keeps_no_move_from_being_abandoned(tmp_path: Path) -> None:
    words = ("bigpeer", "apps", "move", "farm", "--data", str(tmp_path))
    there = {"HEDGEROW_PLACE": "postgresql://db/farm", "HEDGEROW_STORE": ""}
    assert "HEDGEROW_STORE names no PostgreSQL" in hedgerow(*words, "--abandon", status=1, **there).stderr
    assert code_of(*words) == "ARGUMENTS_INVALID"


def test_a_gateway_enrols_only_with_a_port_and_a_delegation(tmp_path: Path) -> None:
    identity = str(tmp_path / "identity.json")
    by = ("enroll", "--by-gateway", "--identity", identity)
    assert code_of(*by) == "ARGUMENTS_INVALID"
    # It has no credential yet, and has enrolled nobody.
    wanted = ("gateway", "delegate", "--identity", identity, "--collection", "readings")
    assert code_of(*wanted) == "CREDENTIAL_UNKNOWN"
    assert code_of(*wanted, "--url", "http://farm.example") == "ARGUMENTS_INVALID"
    shown = hedgerow("gateway", "boards", "--identity", identity, "--json").stdout
    assert json.loads(shown) == {"boards": []}


def test_an_edited_audit_log_is_named(tmp_path: Path) -> None:
    ask(tmp_path, "apps", "add", "farm")
    ask(tmp_path, "apps", "add", "barn")
    database = sqlite3.connect(tmp_path / "auth.db")
    database.execute("DROP TRIGGER audit_keeps_words")
    database.execute("UPDATE audit SET actor = 'nobody' WHERE id = 1")
    database.commit()
    database.close()
    done = hedgerow("bigpeer", "audit", "--check", "--data", str(tmp_path), status=1)
    assert "REGISTRY_FAILED" in done.stderr and "row 1" in done.stderr


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A Big Peer that serves an app in production, asked with keys that the command makes meanwhile."""
    data = tmp_path_factory.mktemp("served")
    ask(data, "apps", "add", "farm")
    words = (
        "bigpeer",
        "run",
        "--data",
        str(data),
        "--app",
        "farm",
        "--mesh",
        "farm",
        "--port",
        "0",
        "--json",
    )
    with running(*words, log=data / "log.txt") as process:
        assert process.stdout is not None
        yield data, json.loads(process.stdout.readline())["ready"]


def test_a_key_made_and_revoked_beside_a_running_server(served: tuple[Path, str]) -> None:
    data, url = served
    query = ("query", "SELECT * FROM cars", "--url", url)
    assert code_of(*query) == "AUTH_MISSING"
    key = ask(data, "keys", "add", "k", "--app", "farm", "--verb", "read")
    assert json.loads(hedgerow(*query, "--json", HEDGEROW_KEY=key["key"]).stdout)["items"] == []
    ask(data, "keys", "revoke", key["id"], "--app", "farm")
    assert code_of(*query, "--key", key["key"]) == "AUTH_INVALID"


def test_a_providers_token_is_not_sent_in_the_clear(tmp_path: Path) -> None:
    enroll = ("enroll", "--identity", str(tmp_path / "identity.json"), "--token", "secret")
    for url in ("http://big.invalid", "http://10.0.0.1:8080", "http://[::2", "http://localhost.example"):
        assert code_of(*enroll, "--url", url) == "ARGUMENTS_INVALID"
    assert code_of(*enroll, "--url", "http://big.invalid", "--plain") == "BIG_PEER_UNREACHABLE"
    assert code_of(*enroll, "--url", "https://big.invalid") == "BIG_PEER_UNREACHABLE"


def test_enrolling_and_renewing(tmp_path: Path) -> None:
    data, identity = tmp_path / "data", tmp_path / "identity.json"
    words = ("bigpeer", "run", "--data", str(data), "--port", "0", "--json")
    with running(*words, log=tmp_path / "log.txt") as process:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["ready"]
        enroll = ("enroll", "--url", url, "--identity", str(identity))
        assert code_of(*enroll) == "ARGUMENTS_INVALID"
        assert code_of(*enroll, "--token", "wrong") == "PROVIDER_REFUSED" and not identity.exists()
        token = ask(data, "apps", "show")["token"]
        first = json.loads(hedgerow(*enroll, "--json", HEDGEROW_TOKEN=token).stdout)
        assert stat.S_IMODE(identity.stat().st_mode) == 0o600 and first["user_id"] == "anonymous"
        keys = json.loads(identity.read_text())["keys"]
        second = json.loads(hedgerow(*enroll, "--json").stdout)
        assert second["number"] != first["number"] and second["author"] == first["author"]
        assert json.loads(identity.read_text())["keys"] == keys
        for name in keys:
            assert keys[name] not in json.dumps([first, second])
        rows = ask(data, "credentials", "list")["credentials"]
        numbers = {row["number"] for row in rows if row["user"] != "big-peer"}
        assert numbers == {first["number"], second["number"]} and len(rows) == 3
        ask(data, "credentials", "revoke", second["number"], "--last", "7")
        assert code_of(*enroll) == "CREDENTIAL_REVOKED"
        identity.write_text("{}")
        assert code_of(*enroll) == "IDENTITY_FILE"
