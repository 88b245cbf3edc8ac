"""A mesh's group key: an epoch begins with every revocation; its key goes to members in sessions alone."""

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from peer_keys import PeerKeys
from test_statements import Farm, farm

from hedgerow.crypto.cose import Sign1
from hedgerow.crypto.words import GROUP, Word
from hedgerow.errors import HedgerowError
from hedgerow.sync import frames
from hedgerow.sync.session import Session
from hedgerow_bigpeer.auth import groups
from hedgerow_bigpeer.auth.credential import read_credential
from hedgerow_bigpeer.auth.identity import Identity
from hedgerow_bigpeer.auth.manage import list_audit, rekey, show_app
from hedgerow_bigpeer.auth.registry import Registry
from hedgerow_bigpeer.auth.shared import TableVault
from hedgerow_bigpeer.statements import Statements

__all__ = ["farm"]


def newest(farm: Farm) -> Word:
    return Word(farm.registry.groups.statement(farm.app), farm.app.id)


def test_every_revocation_begins_an_epoch_and_an_operator_may(farm: Farm) -> None:
    """SPEC 11.16.6."""
    revocations = farm.registry.revocations
    assert farm.registry.groups.statement(farm.app) == b""
    first, second = (read_credential(farm.enrol(PeerKeys()))[0].number for _ in range(2))
    keys = []
    for number in (first, second):
        before = newest(farm).epoch if keys else 0
        revocations.revoke("test", farm.app, number, 3)
        keys.append(newest(farm).key)
        assert newest(farm).epoch > before
    # A number that is raised shuts nobody out.
    last = newest(farm).epoch
    revocations.revoke("test", farm.app, second, 4)
    assert newest(farm).epoch == last
    assert rekey(farm.registry, "test", "farm") == {"id": farm.app.id, "epoch": last + 1}
    assert len({*keys, newest(farm).key}) == 3
    with pytest.raises(HedgerowError) as caught:
        farm.registry.groups.rotate("test", farm.registry.create_app("test", "play", "playground", "play"))
    assert caught.value.code == "APP_INVALID"


def test_a_token_for_http_that_is_revoked_is_nothing_to_the_mesh(farm: Farm) -> None:
    """SPEC 12.9: boards keep 32 revocations, and each epoch is a session with every member."""
    token = farm.authority._grant(farm.app, "login", Identity("ann", 3600, (), {}), None)
    said = farm.kinds()
    farm.registry.revocations.revoke("test", farm.app, token.number, 0)
    assert farm.registry.revocations.is_revoked(token.number)
    assert farm.kinds() == said and farm.registry.groups.statement(farm.app) == b""


def test_an_epoch_after_an_old_backup_is_later_than_any_before_and_never_goes_back_with_the_clock(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SPEC 11.16.6."""
    at = groups.now()
    rotate = farm.registry.groups.rotate
    monkeypatch.setattr(groups, "now", lambda: at)
    saved = rotate("test", farm.app)
    # What the backup has not: members know the key of the last one, and so does whoever is shut out next.
    monkeypatch.setattr(groups, "now", lambda: at + 3600)
    lost = [rotate("test", farm.app) for _ in range(5)][-1]
    farm.registry.database.run("DELETE FROM secrets WHERE name = ?", f"group/{farm.app.id}")
    monkeypatch.setattr(groups, "now", lambda: at + 86_400)
    restored = rotate("test", farm.app)
    assert saved < lost < restored
    monkeypatch.setattr(groups, "now", lambda: at - 86_400)
    assert rotate("test", farm.app) == restored + 1


def test_who_is_revoked_and_the_next_key_stand_or_fall_together(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SPEC 11.16.6."""
    number = read_credential(farm.enrol(PeerKeys()))[0].number
    with monkeypatch.context() as cut:
        cut.setattr(farm.registry.groups, "_save", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(OSError, match="disk full"):
            farm.registry.revocations.revoke("test", farm.app, number, 3)
    assert not farm.registry.revocations.is_revoked(number) and not farm.registry.groups.statement(farm.app)
    farm.registry.revocations.revoke("test", farm.app, number, 3)
    assert farm.registry.revocations.is_revoked(number) and newest(farm).epoch


def test_two_nodes_that_rotate_at_once_make_two_epochs(farm: Farm, tmp_path: Path) -> None:
    """SPEC 11.16.6."""
    other = Registry(tmp_path)
    nodes = (farm.registry, other)
    app = other.apps.get(farm.app.id)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda at: nodes[at % 2].groups.rotate("test", app), range(8)))
    other.close()
    assert len(set(found)) == 8 and newest(farm).epoch == max(found)


def test_the_issuer_that_signs_now_has_signed_the_key(farm: Farm) -> None:
    """SPEC 11.16.6."""
    farm.registry.groups.rotate("test", farm.app)
    before = newest(farm)
    issuer = farm.registry.issuers.rotate("test", farm.app)
    again = newest(farm)
    assert Sign1(again.statement).kid == issuer.kid != Sign1(before.statement).kid
    assert (again.epoch, again.key) == (before.epoch, before.key)
    assert farm.registry.groups.statement(farm.app) == again.statement


def test_one_of_two_nodes_signs_the_key_anew(
    farm: Farm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every other statement for it would go to all members once more. SPEC 11.16.6."""
    farm.registry.groups.rotate("test", farm.app)
    issuer = farm.registry.issuers.rotate("test", farm.app)
    other = Registry(tmp_path)
    faster: list[bytes] = []
    load = farm.registry.groups._load

    def late(app: Any) -> Any:
        found = load(app)
        if not faster:
            # Between what this node has read and its turn to write.
            monkeypatch.setattr(groups, "now", lambda: at - 1)
            faster.append(other.groups.statement(other.apps.get(farm.app.id)))
            monkeypatch.setattr(groups, "now", lambda: at)
        return found

    at = groups.now()
    monkeypatch.setattr(farm.registry.groups, "_load", late)
    assert farm.registry.groups.statement(farm.app) == faster[0] and Sign1(faster[0]).kid == issuer.kid
    other.close()


@pytest.mark.parametrize("sealed", [False, True])
def test_the_key_is_shown_nowhere(
    farm: Farm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sealed: bool
) -> None:
    """Sealed: as in a database that nodes share."""
    database = farm.registry.database
    if sealed:
        with database.change():
            vault = TableVault(database, tmp_path / "test.key", may_make=True)
        monkeypatch.setattr(database.vault, "seal", vault.seal)
        monkeypatch.setattr(database.vault, "unseal", vault.unseal)
    farm.registry.groups.rotate("test", farm.app)
    key = newest(farm).key
    shown = repr(
        (list_audit(farm.registry, 99), show_app(farm.registry, farm.app), farm.member.statements(0))
    )
    assert key.hex() not in shown and repr(key)[2:-1] not in shown
    found = []
    with sqlite3.connect(tmp_path / "auth.db") as opened:
        tables = [name for (name,) in opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for row in opened.execute(f"SELECT * FROM {table}"):
                if any(isinstance(part, bytes) and key in part for part in row):
                    found.append((table, row[0]))
    # In a file for its owner only it lies among the secrets, once.
    assert found == ([] if sealed else [("secrets", f"group/{farm.app.id}")])


class Said:
    """A session's queue; `done` without keys is one that is not there yet, None is a plain one."""

    def __init__(self, body: bytes, *, done: bool | None = True) -> None:
        self.frames: list[tuple[int, bytes]] = []
        shown = SimpleNamespace(claims=Word, done=done)
        if done:
            from hedgerow.crypto.claims import Claims

            shown.claims = Claims.decode(Sign1(body).payload)
        self.keys = None if done is None else shown

    def room(self) -> int:
        return 1 << 20

    def queue(self, kind: int, body: bytes) -> None:
        self.frames.append((kind, body))


def told(farm: Farm, said: Said, statements: Statements | None = None) -> list[bytes]:
    """Return the group keys that a session is told after it has asked."""
    statements = statements or Statements(farm.member)
    asyncio.run(statements.ask(0))
    statements.fill(cast(Session, cast(Any, said)))
    return [body for kind, body in said.frames if kind == frames.WORD]


def test_members_are_told_once_and_nobody_else(farm: Farm) -> None:
    """SPEC 11.16.7."""
    member, thief = farm.enrol(PeerKeys()), farm.enrol(PeerKeys())
    said, statements = Said(member), Statements(farm.member)
    farm.member.refresh()
    assert told(farm, said, statements) == []
    farm.registry.revocations.revoke("test", farm.app, read_credential(thief)[0].number, 3)
    farm.member.refresh()
    for _ in range(2):
        assert [Word(body, farm.app.id).kind for body in told(farm, said, statements)] == [GROUP]
    # Whoever has the key knows by then who is out.
    kinds = [kind for kind, _ in said.frames]
    assert kinds.index(frames.WORD) == len(kinds) - 1 > 0
    for nobody in (Said(thief), Said(member, done=False), Said(member, done=None)):
        assert told(farm, nobody) == []


def test_a_key_is_told_to_nobody_whose_revocation_came_with_it_while_the_first_was_read(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SPEC 11.16.7."""
    member, thief = farm.enrol(PeerKeys()), farm.enrol(PeerKeys())
    revocations = farm.registry.revocations
    number = read_credential(thief)[0].number
    farm.member.refresh()
    read = revocations.sealing_keys

    def between(app: Any) -> Any:
        found = read(app)
        revocations.revoke("another node", farm.app, number, 3)
        return found

    with monkeypatch.context() as cut:
        cut.setattr(revocations, "sealing_keys", between)
        farm.member.refresh()
    assert newest(farm).epoch and told(farm, Said(thief)) == []
    farm.member.refresh()
    assert told(farm, Said(thief)) == [] and told(farm, Said(member)) == [newest(farm).statement]


def test_a_refresh_that_fails_half_way_tells_no_newer_key(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SPEC 11.16.7."""
    thief = farm.enrol(PeerKeys())
    farm.member.refresh()
    farm.registry.revocations.revoke("test", farm.app, read_credential(thief)[0].number, 3)
    with monkeypatch.context() as cut:
        cut.setattr(
            farm.registry.revocations, "last_numbers", lambda *_: (_ for _ in ()).throw(OSError("disk"))
        )
        with pytest.raises(OSError, match="disk"):
            farm.member.refresh()
    assert told(farm, Said(thief)) == []
