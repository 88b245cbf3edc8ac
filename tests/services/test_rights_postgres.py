"""The database of rights in PostgreSQL: what is asked of the one in a file, and what nodes share."""

import asyncio
import concurrent.futures
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psycopg
import pytest
import test_authority
from bigpeer_harness import Local, local
from test_access_http import farm_at
from test_authority import (  # noqa: F401 - run here, over PostgreSQL
    idp,
    service,
    test_a_challenge_is_good_once_and_for_a_while,
    test_a_revoked_credential_is_not_renewed_and_the_number_only_rises,
    test_an_author_stays_with_its_key,
    test_every_part_of_a_proof_counts,
    test_renewal_keeps_everything_but_number_and_times,
    test_the_audit_log_names_what_was_issued_and_to_whom,
    test_without_keys_there_is_a_token_for_http,
)
from test_live import Reader
from test_registry import (  # noqa: F401 - run here, over PostgreSQL
    Clock,
    clock,
    farm,
    test_accounts,
    test_an_api_key_ends,
    test_keys_that_ended_make_room,
    test_logins_end,
    test_logins_end_with_their_provider,
    test_modes_meshes_and_apps_have_ids_of_their_own,
    test_rotation_overlaps,
    test_strangers_hide_nobody_who_is_known,
    test_the_audit_log_only_grows,
    test_tokens_for_http,
    test_two_apps_of_one_name,
    test_what_fails_halfway_leaves_nothing,
)

from hedgerow.errors import HedgerowError
from hedgerow_bigpeer import limits
from hedgerow_bigpeer.auth import manage
from hedgerow_bigpeer.auth.apps import App
from hedgerow_bigpeer.auth.database import now
from hedgerow_bigpeer.auth.ledger import Issued
from hedgerow_bigpeer.auth.registry import Registry
from hedgerow_bigpeer.auth.vault import IDENTITY

Url = Callable[[str], str]
DAY = 86_400


@pytest.fixture
def registry(database: Url, tmp_path: Path) -> Iterator[Registry]:
    opened = Registry(tmp_path, database("a"))
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def _on_postgres(database: Url, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_authority, "Registry", lambda folder: Registry(folder, database(str(folder))))


@pytest.fixture
def nodes(database: Url, tmp_path: Path) -> Iterator[tuple[Local, Local]]:
    """Two nodes of an app in production; the second has the first one's key, and no more."""
    url = database("a")
    one = farm_at(tmp_path / "one", store=url)
    key = tmp_path / "one" / "rights.key"
    with local(tmp_path / "two", store=url, rights_key=key, app="farm", mesh="farm") as two:
        yield one, two
    one.close()


def test_a_key_is_everywhere_and_dead_everywhere(
    nodes: tuple[Local, Local], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LIVE_ASK_SECONDS", 0.05)
    one, two = nodes
    made = manage.create_key(one.peer.registry, "test", "farm", {"name": "x", "verbs": ["read", "write"]})
    bearer = {"authorization": f"Bearer {made['key']}"}
    for node in nodes:
        assert node.execute("INSERT INTO cars DOCUMENTS ({'n': 1})", **bearer).status_code == 200

    async def watched() -> list[str]:
        reader = Reader(two, "SELECT * FROM cars", made["key"])
        assert await reader.start() == 200
        names = [(await reader.next())[0]]
        await asyncio.to_thread(manage.revoke_key, one.peer.registry, "test", "farm", made["id"])
        # Nothing changes, and the stream ends all the same.
        name, value = await reader.next()
        assert value["code"] == "AUTH_INVALID" and (await reader.next())[0] == "end"
        await reader.close()
        return [*names, name]

    assert two.run(watched()) == ["rows", "error"]
    for node in nodes:
        assert node.execute("SELECT * FROM cars", **bearer).status_code == 401


def test_a_login_holds_on_every_node(nodes: tuple[Local, Local]) -> None:
    one, two = (node.peer.registry.accounts for node in nodes)
    one.create("test", "ann", "operator", "correct horse battery")
    login, cookie = one.log_in("ann", "operator", "password")
    assert two.logged_in(cookie) == login
    two.log_out(cookie)
    assert one.logged_in(cookie) is None


def test_nodes_are_one_keeper_with_one_credential(nodes: tuple[Local, Local]) -> None:
    one, two = (node.peer.membership for node in nodes)
    assert one.identity.sealing == two.identity.sealing
    assert one.credential is not None and two.credential is not None
    assert one.credential.name == two.credential.name
    # Each signs what it writes itself, and for the keeper that both are.
    authors = [node.peer.service.store.identity.author for node in nodes]
    keeper = nodes[0].peer.service.store.identity.keeper
    assert authors[0] != authors[1] and keeper not in authors
    for membership, author in zip((one, two), authors, strict=True):
        assert membership.signer(author) is not None and membership.signer(keeper) is not None
        assert membership.signer(b"stranger") is None
    two.refresh()
    assert two.rules.knows(authors[0])


def test_a_credential_that_one_node_revokes_is_revoked_on_all(nodes: tuple[Local, Local]) -> None:
    one, two = nodes
    registry, app = one.peer.registry, one.peer.app
    number, author = b"n" * 16, b"author--"
    ends = now() + DAY
    row = Issued(number, app.id, "ann", "test", b"a" * 33, b"s" * 33, None, 1, ends, 1, None, None, b"")
    with registry.database.change():
        registry.ledger.add(row._replace(author=None))
        registry.database.run("UPDATE credentials SET author = ? WHERE number = ?", author, number)
    two.peer.membership.refresh()
    assert number not in two.peer.membership.trust.revoked
    manage.revoke(registry, "test", "farm", number, 7)
    two.peer.membership.refresh()
    trust = two.peer.membership.trust
    assert trust.revoked == {number: 7} and trust.revoked_keys == {b"s" * 33}
    assert author in two.peer.membership.unjudged


def test_who_has_another_key_or_none_is_not_let_in(database: Url, tmp_path: Path) -> None:
    url = database("a")
    Registry(tmp_path / "one", url).close()
    with pytest.raises(HedgerowError, match="REGISTRY_KEY.*copy it from another node"):
        Registry(tmp_path / "two", url)
    assert not (tmp_path / "two" / "rights.key").exists()
    Registry(tmp_path / "three", database("b")).close()
    with pytest.raises(HedgerowError, match="REGISTRY_KEY.*sealed with another key"):
        Registry(tmp_path / "two", url, tmp_path / "three" / "rights.key")
    (tmp_path / "short.key").write_text("00" * 31)
    with pytest.raises(HedgerowError, match="REGISTRY_KEY.*64 hexadecimal digits"):
        Registry(tmp_path / "two", url, tmp_path / "short.key")
    Registry(tmp_path / "two", url, tmp_path / "one" / "rights.key").close()


def test_a_key_file_that_was_named_is_not_made(database: Url, tmp_path: Path) -> None:
    url, named = database("a"), tmp_path / "rights.key"
    with pytest.raises(HedgerowError, match="REGISTRY_KEY.*is not there.*openssl rand -hex 32"):
        Registry(tmp_path / "one", url, named)
    assert not named.exists() and not (tmp_path / "one" / "rights.key").exists()
    # Nothing was sealed meanwhile: the one that is made then is the one.
    named.write_text("5a" * 32 + "\n")
    Registry(tmp_path / "one", url, named).close()
    Registry(tmp_path / "two", url, named).close()


def test_no_secret_stands_open_in_the_database(registry: Registry, farm: App) -> None:  # noqa: F811
    registry.database.vault.save(IDENTITY, b"what nobody else may know")
    kid = registry.issuers.trusted(farm)[0].kid
    pem = registry.database.vault.load(f"issuers/{kid.hex()}.pem")
    assert pem is not None and pem.startswith(b"-----BEGIN PRIVATE KEY")
    rows = dict(registry.database.rows("SELECT name, value FROM secrets"))
    assert set(rows) == {"rights.key", "challenge", IDENTITY, f"issuers/{kid.hex()}.pem"}
    assert not any(b"PRIVATE" in value or b"nobody" in value for value in rows.values())
    assert registry.challenger._secret not in b"".join(rows.values())
    # A row under another's name does not open.
    registry.database.run("UPDATE secrets SET value = ? WHERE name = ?", rows["challenge"], IDENTITY)
    with pytest.raises(HedgerowError, match="REGISTRY_KEY"):
        registry.database.vault.load(IDENTITY)


def test_changes_of_many_nodes_are_one_after_the_other(database: Url, tmp_path: Path) -> None:
    url = database("a")
    first = Registry(tmp_path, url)
    app = first.create_app("test", "farm", "production", "fields")
    registries = [first, *[Registry(tmp_path, url) for _ in range(3)]]

    def write(number: int) -> None:
        mine = registries[number]
        for n in range(10):
            mine.audit.add(f"node:{number}", "test", str(n))
            with mine.database.change():
                mine.database.state(app.id, b"%d.%d" % (number, n))

    with concurrent.futures.ThreadPoolExecutor(len(registries)) as pool:
        list(pool.map(write, range(len(registries))))
    assert first.audit.broken_at() is None
    assert len(first.audit.newest(100, action="test")) == 40
    places = [place for place, _ in first.database.statements(app.id, 0)]
    assert len(places) == 40 and places == sorted(places)
    for opened in registries:
        opened.close()


def test_a_lost_connection_is_made_anew(database: Url, tmp_path: Path) -> None:
    url = database("a")
    registry = Registry(tmp_path, url)
    app = registry.create_app("test", "farm", "production", "fields")

    def cut() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'hedgerow-rights' AND datname = current_database()"
            )

    cut()
    assert registry.apps.all() == [app]
    cut()
    made = manage.create_key(registry, "test", "farm", {"name": "x", "verbs": ["read"]})
    # Within a change nothing is tried twice: the change is lost, and says so.
    with pytest.raises(HedgerowError, match="REGISTRY_FAILED"), registry.database.change():
        registry.keys.revoke("test", app, made["id"])
        cut()
        registry.audit.add("test", "late", "")
    assert registry.keys.check(made["key"]).revoked is None
    assert registry.audit.broken_at() is None
    registry.close()


def test_text_that_postgres_does_not_hold(registry: Registry, farm: App) -> None:  # noqa: F811
    registry.audit.add("somebody\0", "test", "a\0b", detail="c\0d")
    (entry, *_) = registry.audit.newest(1)
    assert (entry.actor, entry.subject) == ("somebody\ufffd", "a\ufffdb")
    assert entry.detail == {"detail": "c\0d"} and registry.audit.broken_at() is None
    with pytest.raises(HedgerowError, match="APP_UNKNOWN"):
        registry.apps.get("fa\0rm")
    with pytest.raises(HedgerowError, match="LOGIN_FAILED"):
        registry.accounts.check("an\0n", "x")


def test_an_older_database_gets_what_came_later(database: Url, tmp_path: Path) -> None:
    again = partial(Registry, tmp_path, database("a"))
    registry = again()
    registry.database.run("DROP TABLE met")
    registry.close()
    registry = again()
    for _ in range(2):
        registry.ledger.note_met(b"delegate", b"key")
    assert registry.ledger.sealing_keys_under(b"delegate") == {b"key"}
    registry.close()


def test_a_newer_database_is_refused(database: Url, tmp_path: Path) -> None:
    again = partial(Registry, tmp_path, database("a"))
    registry = again()
    registry.database.run("INSERT INTO version VALUES (99)")
    registry.close()
    with pytest.raises(HedgerowError, match="REGISTRY_VERSION"):
        again()
