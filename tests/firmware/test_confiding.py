"""Keys of confidential collections on a board: from its enrolment, from grants, in its vault (SPEC 11.17)."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hedgerow.application import ReadyPeer
from hedgerow.codec import cbor
from hedgerow.codec.schema import CONFIDENTIAL, GRANTS, STREAM
from hedgerow.crypto import claims
from hedgerow.crypto.confidential import author_key, read_keys
from hedgerow.crypto.grants import FIELD, ask, hold, wrap
from hedgerow.crypto.identity import Identity
from hedgerow.crypto.port import P256, finish
from hedgerow.crypto.proofs import pair_key
from hedgerow.errors import HedgerowError
from hedgerow.memory import MemoryLog
from hedgerow.sync.hello import GATEWAY, RELAY

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests/core" / name) for name in ("crypto/portable", "portable")]
sys.path[:0] = [str(ROOT / "tests/core")]

from crypto_kit import MODE, Issuer  # noqa: E402
from keyring_kit import NVS, STORE, chip, ring  # noqa: E402, F401
from micropython_vm import micropython  # noqa: E402

from hedgerow_device.config import check  # noqa: E402
from hedgerow_sim.nor import Nor  # noqa: E402

ISSUER = Issuer(1)
WHOLE, NEWER = bytes(range(32)), bytes(range(32, 64))


class Keeper:
    """A keeper that vouches for itself, and grants keys."""

    def __init__(self) -> None:
        self.peer = ReadyPeer(MemoryLog(), lambda: 1000, keeper=True)
        self.identity = Identity.make(P256(os.urandom))
        given = {"SEALING_KEY": self.identity.sealing, "AUTHOR": self.peer.author, "KINDS": claims.KEEPS}
        self.credential = ISSUER.credential(self.identity.agreement, MODE=MODE, **given)

    def wrapped(self, to: Any, entries: list[Any]) -> bytes:
        """Return a grant for a board, as a session brings it."""
        agreement = own().agreement
        pair = finish(pair_key(P256(os.urandom), self.identity.keys[:32], agreement, MODE))
        return wrap(pair, self.peer.author, to.author, entries)

    def grant(self, to: Any, entries: list[Any]) -> None:
        """Write a grant for a board, and bring it there."""
        document = {"_id": to.author, FIELD: self.wrapped(to, entries)}
        self.peer.execute(f"INSERT INTO {GRANTS} DOCUMENTS (:d) ON ID CONFLICT DO UPDATE", d=document)
        bring(self.peer, to)


def bring(source: Any, to: Any) -> None:
    """Bring what a peer wrote last."""
    for schema in source.schemas.values():
        to.ingest_schema(schema.encoded)
    number = source.log.held(source.author)
    to.down.fill(source.author, number, [source.log.fetch(source.author, number)], False)
    to.commit()


def own() -> Identity:
    from hedgerow_device import enrolling

    return enrolling.identity()


def enrol(keys: Any = "", issuer: Issuer = ISSUER, keepers: tuple[Keeper, ...] = (), **more: Any) -> None:
    from hedgerow_device import enrolling

    made = own()
    named = {"SEALING_KEY": made.sealing, "AUTHOR": made.author, "MODE": MODE, **more}
    given = issuer.credential(made.agreement, **named)
    if keys:
        keys = cbor.encode(keys).hex()
    shown = [keeper.credential.hex() for keeper in keepers]
    enrolling.take(given.hex(), [issuer.public.hex()], shown, "", keys)


def boot(nor: Nor, **config: Any) -> Any:
    """Start the board on its flash, as starting.py does it."""
    from hedgerow_device.device_peer import DevicePeer
    from hedgerow_device.flashlog import FlashLog
    from hedgerow_device.unlock import give_keys

    keys = ring()
    log = FlashLog(nor, keys.name_log)
    keys.log = log
    kind = STREAM | (CONFIDENTIAL if config.get("confidential") else 0)
    peer = DevicePeer(log, lambda: 1000, kinds={"readings": kind}, members=keys if keys.ready else None)
    give_keys(peer, keys, config)
    return peer


def stored(peer: Any) -> bytes:
    return b"".join(body for _, _, _, body in peer.log.since(0, 1 << 20))


def kept() -> list[Any]:
    from hedgerow_device import vault

    data = vault.read(vault.COLLECTIONS)
    return read_keys(data[8:]) if data else []


def test_an_enrolment_brings_keys_and_leaves_those_of_the_same_service() -> None:
    first, second = [["readings", 1, bytes(16)]], [["readings", 2, bytes(16)], ["doors", 1, WHOLE]]
    enrol(first)
    assert kept() == first
    enrol(second)
    assert sorted(kept()) == sorted(first + second)
    # Whose right is narrower now writes nothing in the clear.
    enrol(second[:1])
    assert sorted(kept()) == sorted(first + second)
    enrol()
    assert sorted(kept()) == sorted(first + second)
    enrol(issuer=Issuer(2), ISS="app-2")
    assert kept() == []


def test_keys_that_break_the_rules_change_nothing() -> None:
    enrol([["readings", 1, bytes(16)]])
    before = dict(STORE)
    for wrong in ([["readings", 0, bytes(16)]], [["readings", 2, bytes(15)]], 7):
        with pytest.raises(HedgerowError, match="KEYS_INVALID"):
            enrol(wrong)
    # The newest of each have to fit; of the rest the oldest go.
    names = [f"{at:02}" + "x" * 62 for at in range(32)]
    with pytest.raises(HedgerowError, match="KEYS_INVALID: [0-9]+ bytes"):
        enrol([[name, 1, WHOLE] for name in names])
    assert before == STORE
    enrol([[name, epoch, WHOLE] for name in names[:6] for epoch in (3, 1, 2, 5, 4)])
    assert ["readings", 1, bytes(16)] in kept()
    epochs = [entry[1] for entry in kept() if entry[0] in names]
    assert epochs.count(5) == 6 and epochs == sorted(epochs) and min(epochs) > 1 and len(epochs) > 12


def test_a_board_records_under_its_key_and_under_the_newer_one_that_it_is_granted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[Exception] = []
    monkeypatch.setitem(sys.modules, "hedgerow_device.app", SimpleNamespace(report=said.append))
    keeper, nor = Keeper(), Nor(64)
    name = own().author
    under = [["readings", 1, author_key(WHOLE, name)]]
    enrol(under, keepers=(keeper,))
    peer = boot(nor)
    # A standing subscription would take heap: it is told in sessions, and asks where that may be long.
    assert peer.author == name and not peer.may_want
    peer.insert("readings", {"n": 1, "who": "Ada"}, 1000)
    assert b"Ada" not in stored(peer)
    keys = peer.keys
    # It is looked at where nothing else needs the heap, and is in the vault before anything is written so.
    under.append(["readings", 2, author_key(NEWER, name)])
    keeper.grant(peer, under)
    assert keys.due and peer.collection_keys.newest("readings") == 1 and len(kept()) == 1
    writes: list[str] = []
    NVS.commit, commit = lambda nvs: (writes.append("commit"), commit(nvs))[1], NVS.commit  # type: ignore
    try:
        keys.tend(peer, 1000)
        assert not keys.due and kept() == under and peer.collection_keys.newest("readings") == 2
        # The same once more is not written again, and an older one takes nothing away.
        keeper.grant(peer, under)
        for grant in (b"", keeper.wrapped(peer, under), keeper.wrapped(peer, under[:1]), bytes(40)):
            if grant:
                keys.take_grant(grant)
            keys.tend(peer, 1000)
            assert not keys.due and not keys.grant and kept() == under
        assert writes == ["commit"] and len(said) == 1
        under.append(["readings", 3, author_key(bytes(32), name)])
        keys.take_grant(keeper.wrapped(peer, under))
        assert len(kept()) == 2
        keys.tend(peer, 1000)
        assert kept() == under and peer.collection_keys.newest("readings") == 3
        del under[2]
        peer.collection_keys.entries = under
    finally:
        NVS.commit = commit  # type: ignore[method-assign]
    peer.insert("readings", {"n": 2, "who": "Ada"}, 2000)
    again = boot(nor)
    assert again.author == name and again.collection_keys.newest("readings") == 3
    shown = again.execute("SELECT n, who FROM readings").rows
    assert shown == [{"n": 1, "who": "Ada"}, {"n": 2, "who": "Ada"}]
    reader = ReadyPeer(MemoryLog(), lambda: 1000)
    hold(reader, [["readings", 2, NEWER]])
    bring(again, reader)
    bring(peer, reader)
    assert [row["n"] for row in reader.execute("SELECT n FROM readings").rows] == [2]


def test_power_that_goes_before_the_vault_has_a_grant_costs_nothing() -> None:
    keeper, nor = Keeper(), Nor(64)
    name = own().author
    enrol([["readings", 1, author_key(WHOLE, name)]], keepers=(keeper,))
    peer = boot(nor)
    ask(peer)
    newer = [["readings", 1, author_key(WHOLE, name)], ["readings", 2, author_key(NEWER, name)]]
    keeper.grant(peer, newer)
    assert len(kept()) == 1
    peer = boot(nor)
    assert kept() == newer and peer.collection_keys.newest("readings") == 2


def test_a_board_asks_the_mesh_where_no_gateway_tells_it_and_for_an_hour() -> None:
    keeper, name = Keeper(), own().author
    under = [["readings", 1, author_key(WHOLE, name)]]
    enrol(under, keepers=(keeper,))
    peer = boot(Nor(64))
    keys = peer.keys

    def asked(now: int) -> bool:
        keys.tend(peer, now)
        return bool(peer.may_want and peer.down.subscriptions.own)

    revoked = SimpleNamespace(author=bytes(8), brief=lambda: b"")
    keys._follow = lambda word: None
    keys._check = lambda work, word: revoked
    type(keys).words, words = SimpleNamespace(hear=None), type(keys).words
    try:
        # A gateway was met since: what there is it has told.
        keys.take_word(b"")
        assert not asked(1000)
        assert keys.grants_for(SimpleNamespace(role=RELAY)) == [] and keys.missed
        keys.grants_for(SimpleNamespace(role=GATEWAY))
        assert not asked(2_000_000)
        keys.take_word(b"")
        assert [asked(now) for now in (3_000_000, 3_599_999, 3_600_000, 7_199_999)] == [
            False,
            False,
            True,
            True,
        ]
        assert not asked(7_200_001)
        # What comes of it ends it.
        keys.take_word(b"")
        assert not asked(8_000_000) and asked(9_000_000)
        keeper.grant(peer, [["readings", 2, author_key(NEWER, name)]])
        asked(9_001_000)
        assert peer.collection_keys.newest("readings") == 2 and not asked(9_002_000)
    finally:
        type(keys).words = words


def test_a_board_without_any_key_takes_what_a_session_brings() -> None:
    """Its collection became confidential after it was enrolled. SPEC 11.17.4."""
    keeper, name = Keeper(), own().author
    enrol(keepers=(keeper,))
    peer = boot(Nor(64))
    assert not peer.keys.confides and peer.collection_keys is None
    peer.keys.take_grant(keeper.wrapped(peer, [["readings", 1, author_key(WHOLE, name)]]))
    peer.keys.tend(peer, 1000)
    assert peer.keys.confides and len(kept()) == 1
    peer.insert("readings", {"n": 1, "who": "Ada"}, 1000)
    assert b"Ada" not in stored(peer)


def test_a_grant_that_the_vault_has_no_room_for_leaves_the_key_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keeper, name = Keeper(), own().author
    enrol([["readings", 1, author_key(WHOLE, name)]], keepers=(keeper,))
    peer = boot(Nor(64))
    keeper.grant(peer, [["readings", 2, author_key(NEWER, name)]])
    said: list[Exception] = []
    monkeypatch.setitem(sys.modules, "hedgerow_device.app", SimpleNamespace(report=said.append))
    monkeypatch.setattr(NVS, "full", True)
    peer.keys.tend(peer, 1000)
    assert [type(error) for error in said] == [OSError]
    assert peer.collection_keys.newest("readings") == 1 and kept()[0][1] == 1


def test_another_peers_grant_and_a_strangers_count_for_nothing() -> None:
    keeper, stranger, name = Keeper(), Keeper(), own().author
    enrol([["readings", 1, author_key(WHOLE, name)]], keepers=(keeper,))
    peer = boot(Nor(64))
    stranger.grant(peer, [["readings", 9, WHOLE]])
    assert peer.keys.due
    peer.keys.tend(peer, 1000)
    assert peer.collection_keys.newest("readings") == 1
    other = ReadyPeer(MemoryLog(), lambda: 1000)
    stranger.grant(other, [["readings", 9, WHOLE]])
    bring(stranger.peer, peer)
    assert not peer.keys.due


def test_a_board_that_is_told_that_its_collection_is_confidential_writes_nothing_in_the_clear() -> None:
    enrol()
    peer = boot(Nor(64), confidential=True)
    with pytest.raises(HedgerowError, match="COLLECTION_KEY_MISSING"):
        peer.insert("readings", {"n": 1, "who": "Ada"}, 1000)
    assert b"Ada" not in stored(peer)
    # It asks for its key all the same, which a board without either does not.
    assert [entry.collection for entry in peer.down.subscriptions.own] == [GRANTS]
    plain = boot(Nor(64))
    assert plain.on_filled is None and not plain.may_want and not plain.keys.confides


def test_confidential_is_a_word_of_the_configuration() -> None:
    assert check({"name": "b1"})["confidential"] is False
    assert check({"name": "b1", "confidential": True})["confidential"] is True
    for wrong in (1, "true", None):
        with pytest.raises(HedgerowError, match="CONFIG_INVALID: confidential"):
            check({"name": "b1", "confidential": wrong})
    with pytest.raises(HedgerowError, match="CONFIG_INVALID: readings"):
        check({"name": "b1", "readings": True})


def test_readings_are_counted_on_under_their_key_and_what_cannot_be_read_may_be_one() -> None:
    from hedgerow_device.counting import Counting

    nor, name = Nor(64), own().author
    enrol([["readings", 1, author_key(WHOLE, name)]])
    peer = boot(nor)
    readings = Counting(peer, "readings")
    for at in range(1, 8):
        assert readings.count == at - 1
        peer.insert("readings", {"n": at, "board": "b1"}, 1000 * at)
    assert Counting(boot(nor), "readings").count == 7
    # Under another key each of them may have been a reading: no number comes twice.
    from hedgerow_device import vault
    from hedgerow_device.confiding import pack

    vault.write(vault.COLLECTIONS, pack(name, [["readings", 2, author_key(NEWER, name)]]))
    assert Counting(boot(nor), "readings").count >= 7


def test_what_a_write_loads_has_no_curve() -> None:
    program = f"""
import sys
sys.path[:0] = ["{ROOT}/shared", "{ROOT}/firmware"]
import hedgerow.crypto.grants
print([name for name in sys.modules if name in ("hedgerow.crypto.port", "hedgerow.crypto.curve")])
"""
    done = subprocess.run(
        [micropython(), "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "[]\n", done.stdout + done.stderr
