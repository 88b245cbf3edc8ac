"""How a single server's rights come into the PostgreSQL that it is to share: once, and never by chance."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bigpeer_harness import local, rights_key

from hedgerow.errors import HedgerowError
from hedgerow_bigpeer.auth.apps import App
from hedgerow_bigpeer.auth.moving import Move
from hedgerow_bigpeer.auth.postgres import PostgresEngine
from hedgerow_bigpeer.auth.registry import Registry
from hedgerow_bigpeer.auth.vault import IDENTITY

Url = Callable[[str], str]
DAY = 86_400


class Crash(BaseException):
    """The process ends here."""


def crash(*_: object) -> None:
    raise Crash


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """The folder of a server with an app of its own."""
    made(tmp_path / "data", "farm")
    yield tmp_path / "data"


def made(folder: Path, name: str) -> App:
    registry = Registry(folder)
    app = registry.create_app("test", name, "production", "fields")
    registry.close()
    return app


def apps(url: str, folder: Path, *, take_over: bool = False) -> list[str]:
    """Open, return the names of the apps, and close; what is in the audit log is whole."""
    registry = Registry(folder, url, take_over=take_over)
    names = [app.name for app in registry.apps.all()]
    assert registry.audit.broken_at() is None
    registry.close()
    return names


def files(folder: Path) -> set[str]:
    """Return what there is of auth.db, but for the sign that its rights are elsewhere."""
    names = {path.name for path in folder.iterdir() if path.name.startswith("auth.db")}
    return names - {"auth.db.shared"}


def test_the_rights_of_a_single_server_are_taken_over_once(
    database: Url, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = Registry(tmp_path)
    app = before.create_app("test", "farm", "production", "fields")
    _, text = before.keys.create("test", app, "x", ["read"], DAY)
    before.database.vault.save(IDENTITY, b"keys")
    before.database.state(app.id, b"word")
    entries, secret = before.audit.newest(100), before.challenger._secret
    before.close()
    for _ in range(2):
        shared = Registry(tmp_path, database("a"), take_over=True)
        assert shared.apps.all() == [app] and shared.keys.check(text).app == app.id
        assert list(shared.audit.newest(100)) == list(entries) and shared.audit.broken_at() is None
        assert shared.database.vault.load(IDENTITY) == b"keys" and shared.challenger._secret == secret
        assert [body for _, body in shared.database.statements(app.id, 0)] == [b"word"]
        assert shared.issuers.private(app)
        shared.close()
    said = [message for message in caplog.messages if "moved to PostgreSQL" in message]
    assert len(said) == 1 and "1 apps, 1 keys, 0 providers, 0 users" in said[0]
    # Nobody sets rights in the file any more, and a command without the store's name makes no new one.
    (tmp_path / "rights.key").rename(tmp_path / "elsewhere.key")
    (tmp_path / "auth.db.shared").unlink()
    with pytest.raises(HedgerowError, match="REGISTRY_KEY.*name the store"):
        Registry(tmp_path)
    assert files(tmp_path) == {"auth.db.moved"}
    shared = Registry(tmp_path, database("a"), tmp_path / "elsewhere.key")
    shared.database.state(app.id, b"next")
    assert [body for _, body in shared.database.statements(app.id, 0)] == [b"word", b"next"]
    shared.close()


def test_commands_take_nothing(database: Url, data: Path) -> None:
    url = database("a")
    assert apps(url, data) == []
    assert files(data) == {"auth.db"}
    # And are in nobody's way.
    assert apps(url, data, take_over=True) == ["farm"]


def test_a_server_takes_over_what_it_has(database: Url, data: Path) -> None:
    with local(data, store=database("a"), app="farm", mesh="fields") as served:
        assert [app.name for app in served.peer.registry.apps.all()] == ["farm"]
    assert files(data) == {"auth.db.moved"}


def test_a_node_without_a_file_leaves_a_sign(database: Url, tmp_path: Path) -> None:
    key, data = rights_key(tmp_path / "keys"), tmp_path / "data"
    Registry(tmp_path / "command", database("a"), key).close()
    Registry(tmp_path / "command").close()
    Registry(data, database("a"), key, take_over=True).close()
    with pytest.raises(HedgerowError, match="REGISTRY_KEY.*auth.db.shared says: name the store"):
        Registry(data)
    assert files(data) == set()


def test_two_servers_rights_are_not_mixed(database: Url, data: Path, tmp_path: Path) -> None:
    url, other = database("a"), tmp_path / "other"
    made(other, "orchard")
    assert apps(url, data, take_over=True) == ["farm"]
    (other / "rights.key").write_bytes((data / "rights.key").read_bytes())
    with pytest.raises(HedgerowError, match="REGISTRY_SPLIT"):
        Registry(other, url, take_over=True)
    assert files(other) == {"auth.db"} and apps(url, other) == ["farm"]
    # Nor with one that was begun while a move was under way.
    (other / "auth.db").rename(other / "auth.db.moving")
    (other / "auth.db").write_bytes(b"")
    with pytest.raises(HedgerowError, match="REGISTRY_SPLIT.*are in"):
        Registry(other, url, take_over=True)


@pytest.mark.parametrize("point", ["before the commit", "after the commit"])
def test_a_crash_leaves_no_file_that_seems_to_count(
    point: str, database: Url, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = database("a")
    with monkeypatch.context() as patch:
        if point == "before the commit":
            patch.setattr(PostgresEngine, "commit", crash)
        else:
            patch.setattr(Move, "finish", crash)
        with pytest.raises(Crash):
            Registry(data, url, take_over=True)
    assert files(data) == {"auth.db.moving"}
    (data / "rights.key").rename(data / "kept.key")
    with pytest.raises(HedgerowError, match="REGISTRY_KEY.*name the store"):
        Registry(data)
    (data / "kept.key").rename(data / "rights.key")
    assert apps(url, data) == ([] if point == "before the commit" else ["farm"])
    assert apps(url, data, take_over=True) == ["farm"]
    assert files(data) == {"auth.db.moved"}


def test_a_file_that_was_moved_before_counts_until_it_says_more(database: Url, data: Path) -> None:
    """As a crash of a version before left it, or a copy that was put back."""
    url = database("a")
    apps(url, data, take_over=True)
    (data / "auth.db.moved").rename(data / "auth.db")
    made_up = Registry(data)
    assert [app.name for app in made_up.apps.all()] == ["farm"]
    made_up.close()
    assert apps(url, data, take_over=True) == ["farm"] and files(data) == {"auth.db.moved"}
    (data / "auth.db.moved").rename(data / "auth.db")
    made(data, "orchard")
    with pytest.raises(HedgerowError, match="REGISTRY_SPLIT"):
        Registry(data, url, take_over=True)
    assert files(data) == {"auth.db"}


def test_a_file_that_a_server_uses_stays_its_own(
    database: Url, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = database("a")
    caplog.set_level(logging.WARNING)
    used = Registry(data)
    with pytest.raises(HedgerowError, match="REGISTRY_FAILED.*does a server use it"):
        Registry(data, url, take_over=True)
    used.create_app("test", "orchard", "production", "trees")
    used.close()
    assert "auth.db" in files(data) and not caplog.messages
    # What it did meanwhile comes along.
    assert sorted(apps(url, data, take_over=True)) == ["farm", "orchard"]
    assert files(data) == {"auth.db.moved"}


@pytest.mark.parametrize("older", [False, True])
def test_whom_a_server_has_met_comes_along(database: Url, data: Path, *, older: bool) -> None:
    alone = Registry(data)
    alone.ledger.note_met(b"delegate", b"key")
    if older:
        alone.database.run("DROP TABLE met")
    alone.close()
    shared = Registry(data, database("a"), take_over=True)
    assert shared.ledger.sealing_keys_under(b"delegate") == (set() if older else {b"key"})
    shared.close()


def test_a_file_of_a_newer_version_is_not_taken(database: Url, data: Path) -> None:
    newer = Registry(data)
    newer.database.run("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(HedgerowError, match="REGISTRY_VERSION"):
        Registry(data, database("a"), take_over=True)
    assert files(data) == {"auth.db"}
