"""Which collections are confidential, and who is granted which of their keys."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from peer_keys import PeerKeys
from test_statements import Farm, farm

from hedgerow.codec import cbor
from hedgerow.crypto.claims import Claims
from hedgerow.crypto.confidential import author_key, read_keys
from hedgerow.crypto.cose import Sign1
from hedgerow.errors import HedgerowError
from hedgerow.limits import MAX_COLLECTION_KEYS
from hedgerow_bigpeer import limits
from hedgerow_bigpeer.auth import confidential
from hedgerow_bigpeer.auth.credential import read_credential
from hedgerow_bigpeer.auth.identity import Identity
from hedgerow_bigpeer.auth.manage import list_audit
from hedgerow_bigpeer.auth.registry import Registry
from hedgerow_bigpeer.auth.scope import Entry

__all__ = ["farm"]

READ, WRITE = 1, 2


def enrol(farm: Farm, *scope: Entry, peer: PeerKeys | None = None) -> bytes:
    peer = peer or PeerKeys()
    proved = peer.prove(farm.app.id, farm.registry.challenger.make(farm.app.id))
    return farm.authority._grant(farm.app, "login", Identity("ann", 3600, scope, {}), proved).body


def granted(farm: Farm, body: bytes) -> list[Any]:
    found = farm.registry.confidential.entries_for(farm.app, Claims.decode(Sign1(body).payload))
    assert read_keys(cbor.encode(found)) == found
    return found


def test_who_may_read_holds_the_collections_key_and_who_may_write_its_own(farm: Farm) -> None:
    """SPEC 11.17.5."""
    one, two = (farm.registry.confidential.declare("test", farm.app, name) for name in ("visits", "doors"))
    reader = granted(farm, enrol(farm, Entry("visits", READ), Entry("open", READ | WRITE)))
    assert [entry[:2] for entry in reader] == [["visits", one]] and len(reader[0][2]) == 32
    peer = PeerKeys()
    writer = granted(farm, enrol(farm, Entry("visits", WRITE), peer=peer))
    assert writer == [["visits", one, author_key(reader[0][2], peer.author)]]
    both = granted(farm, enrol(farm, Entry("*", READ | WRITE)))
    assert sorted(entry[:2] for entry in both) == [["doors", two], ["visits", one]]
    assert reader[0] in both and len({entry[2] for entry in both}) == 2
    # A condition is judged where queries are answered: no key can keep to it.
    some = enrol(farm, Entry("visits", READ, "public = true"))
    assert granted(farm, some) == []
    some = enrol(farm, Entry("visits", READ | WRITE, "public = true"), peer=peer)
    assert granted(farm, some) == writer
    assert granted(farm, enrol(farm, Entry("open", READ | WRITE))) == []


@pytest.mark.parametrize("name", ["", "x" * 65, "__health", "__keys", "system:peers", "*", "a\0b"])
def test_what_cannot_be_confidential_is_refused(farm: Farm, name: str) -> None:
    with pytest.raises(HedgerowError) as caught:
        farm.registry.confidential.declare("test", farm.app, name)
    assert caught.value.code == "CONFIDENTIAL_INVALID"
    assert farm.registry.confidential.epochs(farm.app) == {}


def test_a_playground_has_none(farm: Farm) -> None:
    play = farm.registry.create_app("test", "play", "playground", "play")
    kept = farm.registry.confidential
    for refused in (lambda: kept.declare("test", play, "visits"), lambda: kept.rotate("test", play, [])):
        with pytest.raises(HedgerowError) as caught:
            refused()
        assert caught.value.code == "APP_INVALID"
    assert kept.keys(play, b"a" * 8) is None


def test_so_many_are_confidential_that_a_key_of_each_is_granted(farm: Farm) -> None:
    kept = farm.registry.confidential
    names = [f"{number:02}".ljust(64, "x") for number in range(limits.CONFIDENTIAL_COLLECTIONS)]
    for name in names[:-1]:
        kept.declare("test", farm.app, name)
    for _ in range(4):
        kept.rotate("test", farm.app, names[:2])
    last = kept.declare("test", farm.app, names[-1])
    with pytest.raises(HedgerowError) as caught:
        kept.declare("test", farm.app, "one more")
    assert caught.value.code == "CONFIDENTIAL_INVALID"
    assert kept.declare("test", farm.app, names[-1]) == last
    found = granted(farm, enrol(farm, Entry("*", READ)))
    newest = {name: epochs[-1] for name, epochs in kept.epochs(farm.app).items()}
    assert len(cbor.encode(found)) <= limits.GRANT_BYTES
    # As many as one operation takes, and the newest ones first.
    assert {name: epoch for name, epoch, _ in found} == newest
    assert len(newest) < len(found) < sum(map(len, kept.epochs(farm.app).values()))


def test_older_keys_go_first(farm: Farm) -> None:
    kept = farm.registry.confidential
    epochs = [kept.declare("test", farm.app, "visits")]
    epochs += [kept.rotate("test", farm.app, ["visits"])["visits"] for _ in range(MAX_COLLECTION_KEYS + 3)]
    kept.declare("test", farm.app, "doors")
    assert kept.epochs(farm.app)["visits"] == epochs[-MAX_COLLECTION_KEYS:]
    found = granted(farm, enrol(farm, Entry("*", READ)))
    assert len(found) == MAX_COLLECTION_KEYS and found[0][0] == "doors"
    assert [epoch for name, epoch, _ in found if name == "visits"] == epochs[-MAX_COLLECTION_KEYS + 1 :]


def test_a_reader_that_is_revoked_ends_the_epoch(farm: Farm) -> None:
    kept, revoke = farm.registry.confidential, farm.registry.revocations.revoke
    for name in ("visits", "doors"):
        kept.declare("test", farm.app, name)
    before = kept.epochs(farm.app)
    thief = PeerKeys()
    # It may read no more, and has the key all the same.
    enrol(farm, Entry("visits", READ), peer=thief)
    number = read_credential(enrol(farm, Entry("open", READ), Entry("doors", WRITE), peer=thief))[0].number
    revoke("test", farm.app, number, 3)
    after = kept.epochs(farm.app)
    assert len(after["visits"]) == 2 and after["doors"] == before["doors"]
    # A number that is raised shuts nobody out.
    revoke("test", farm.app, number, 4)
    revoke("test", farm.app, read_credential(enrol(farm, Entry("doors", WRITE)))[0].number, 0)
    assert kept.epochs(farm.app) == after
    with pytest.raises(HedgerowError) as caught:
        kept.rotate("test", farm.app, ["open"])
    assert caught.value.code == "CONFIDENTIAL_INVALID"


def test_an_epoch_after_an_old_backup_is_later_than_any_before(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, at = farm.registry.confidential, confidential.now()
    saved = kept.declare("test", farm.app, "visits")
    monkeypatch.setattr(confidential, "now", lambda: at + 8 * 86_400)
    lost = [kept.rotate("test", farm.app, ["visits"])["visits"] for _ in range(3)][-1]
    keys = kept.keys(farm.app, b"a" * 8)
    farm.registry.database.run("DELETE FROM epochs WHERE epoch > ?", saved)
    again = kept.keys(farm.app, b"a" * 8)
    assert keys is not None and again is not None and again.newest("visits") == saved
    # What was written under it is read all the same.
    assert again.find("visits", lost) == keys.find("visits", lost) != keys.find("visits", saved)
    monkeypatch.setattr(confidential, "now", lambda: at + 30 * 86_400)
    assert kept.rotate("test", farm.app, ["visits"])["visits"] > lost


def test_keys_are_one_for_all_nodes_and_shown_nowhere(farm: Farm, tmp_path: Path) -> None:
    kept = farm.registry.confidential
    kept.declare("test", farm.app, "visits")
    (entry,) = granted(farm, enrol(farm, Entry("visits", READ)))
    other = Registry(tmp_path)
    keys = other.confidential.keys(other.apps.get(farm.app.id), b"b" * 8)
    assert keys is not None and keys.find("visits", entry[1]) == entry[2]
    other.close()
    farm.registry.confidential.rotate("ann", farm.app, ["visits"])
    rows = list_audit(farm.registry, 99)["audit"]
    done = [(row["actor"], row["action"], row["subject"]) for row in rows if "collection" in row["action"]]
    assert done == [("ann", "collection.rekey", "visits"), ("test", "collection.confidential", "visits")]
    with sqlite3.connect(tmp_path / "auth.db") as opened:
        for (table,) in opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            shown = repr(opened.execute(f"SELECT * FROM {table}").fetchall())
            assert repr(entry[2])[2:-1] not in shown and entry[2].hex() not in shown
