"""A board's vault and keyring: what is whole after a power cut, and that no author comes twice."""

import gc
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from hedgerow.crypto import claims
from hedgerow.crypto.credentials import Credential as Granted
from hedgerow.crypto.identity import Identity
from hedgerow.crypto.members import Proofs
from hedgerow.crypto.port import P256, finish
from hedgerow.crypto.resume import Resumable
from hedgerow.crypto.signer import sign_batch
from hedgerow.crypto.words import Word
from hedgerow.custody.receipt import PROOF_MAC, Receipt
from hedgerow.errors import HedgerowError
from hedgerow.memory import MemoryLog, MemoryStore

HERE = Path(__file__).parents[1] / "core"
sys.path[:0] = [str(HERE / "crypto" / "portable"), str(HERE / "portable")]

from crypto_kit import DAY, MODE, NOW, Issuer  # noqa: E402
from enrolled_kit import revocation  # noqa: E402
from keyring_kit import NVS, STORE, chip, made, ring  # noqa: E402, F401


class Log:
    """What name_log() looks at."""

    def __init__(self, author: bytes, *others: bytes) -> None:
        self.author = author
        self._others = others

    def get(self, kind: int, key: bytes) -> None:
        """It keeps no values."""

    def held(self, author: bytes) -> int:
        return int(author == self.author or author in self._others)


class Full(MemoryLog):
    """A log that takes no values."""

    def put(self, kind: int, key: bytes, value: bytes) -> None:
        raise HedgerowError("LOG_FULL", "for a test")


class Holds:
    """What a batch is compared with: a peer with one author."""

    def __init__(self, author: bytes) -> None:
        self.log = self
        self.known = 0
        self._author = author

    def authors(self) -> list[bytes]:
        return [self._author]

    def receipted(self, author: bytes) -> int:
        return self.known


def test_a_value_is_whole_or_not_there() -> None:
    from hedgerow_device import vault

    vault.write("keys", b"a value")
    assert vault.read("keys") == b"a value"
    whole = STORE["keys"]
    for at in range(len(whole)):
        STORE["keys"] = whole[:at]
        assert vault.read("keys") is None
        STORE["keys"] = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        assert vault.read("keys") is None
    # One value is not another's.
    STORE["other"] = whole
    assert vault.read("other") is None


def test_a_log_begins_under_the_author_of_the_keys_and_never_twice() -> None:
    own = made()
    assert ring().name_log() == own.author
    # The log was lost, or discarded: its numbers may have been used.
    second = ring().name_log()
    assert second != own.author and ring().author == second
    from hedgerow_device import vault

    kept = vault.read(vault.KEYS)
    assert kept is not None and kept[:64] == own.keys[:64] and kept[64:80] != own.keys[64:]
    assert claims.author_of(own.sealing, kept[64:80]) == second


def test_a_log_of_another_author_goes_on_under_the_keys_author_whenever_power_is_cut() -> None:
    own = made()
    log = Log(b"another.")
    assert ring().name_log(log) == own.author
    # Power was cut before the log had it: the same name once more, for it is not in use.
    assert ring().name_log(log) == own.author
    # It is in use, or was: another.
    assert ring().name_log(Log(own.author)) != own.author
    held = ring().author
    assert ring().name_log(Log(b"another.", held)) != held


def test_a_board_without_keys_names_its_log_as_ever() -> None:
    assert len({ring().name_log() for _ in range(3)}) == 3
    assert STORE == {}


def test_seals_are_the_sealing_keys_and_only_under_the_author_that_the_credential_names() -> None:
    from hedgerow_device import vault

    own = made()
    keys = ring()
    keys.log = Log(own.author)
    assert not keys.ready
    vault.write(vault.CREDENTIAL, own.author + b"the credential")
    keys = ring()
    keys.log = Log(own.author)
    assert keys.ready and not keys.moves
    keys.log = Log(b"another.")
    assert keys.moves and not keys.ready
    assert finish(P256(os.urandom).verify(own.sealing, b"a seal", keys.sign(b"a seal")))
    # A credential of an author that the keys have left behind: the board has to be enrolled again.
    keys.log = Log(own.author)
    assert keys.name_log() == own.author != keys.name_log()
    keys.log = Log(keys.author)
    assert not keys.ready and not keys.moves


class Credential:
    def __init__(self, value: bytes) -> None:
        self.value = value


class Trusting:
    def __init__(self) -> None:
        self.kept: list[bytes] = []

    def keep(self, found: Credential) -> None:
        self.kept.append(found.value)

    def known(self, remote: bytes) -> Credential:
        return Credential(b"credential of " + remote)


def entry(at: int) -> Resumable:
    return Resumable(bytes([at]) * 32, b"remote%02d" % at, bytes(8), bytes(8), 1, False)


def test_who_was_met_is_known_after_a_power_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    from hedgerow_device import met

    monkeypatch.setattr(met, "Credential", Credential)
    known = met.Met(3, Trusting())
    for at in (1, 2, 1, 3, 4):
        known.add(entry(at))
    assert len(STORE) == 3
    trusting = Trusting()
    again = met.Met(3, trusting)
    assert (
        [other.secret[0] for other in again.entries]
        == [1, 3, 4]
        == [other.secret[0] for other in known.entries]
    )
    assert trusting.kept == [b"credential of remote%02d" % at for at in (1, 3, 4)]
    again.add(entry(5))
    assert [other.secret[0] for other in met.Met(3, Trusting()).entries] == [3, 4, 5]
    # A value that is damaged costs a handshake with that peer.
    name = next(name for name in STORE if b"remote04" in STORE[name])
    STORE[name] = STORE[name][:-1]
    assert [other.secret[0] for other in met.Met(3, Trusting()).entries] == [3, 5]


def test_keys_are_made_once_and_the_radio_is_on_before(monkeypatch: pytest.MonkeyPatch) -> None:
    from hedgerow_device import enrolling

    done: list[object] = []

    class BLE:
        def active(self, on: bool) -> None:
            done.append(on)

    monkeypatch.setattr(sys.modules["bluetooth"], "BLE", BLE)
    monkeypatch.setattr(enrolling.os, "urandom", lambda count: done.append(count) or os.getrandom(count))
    first = enrolling.state()
    assert done[0] is True and done[1:] == [32, 32, 16] and first["credential"] == ""
    assert enrolling.state() == first and len(done) == 4
    kept = STORE["keys"][:64].hex()
    assert kept[:64] not in str(first) and kept[64:] not in str(first)


def test_a_heap_without_room_gets_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    from hedgerow_device import enrolling

    monkeypatch.setattr(gc, "mem_free", lambda: 72 * 1024)
    with pytest.raises(HedgerowError, match="DEVICE_MEMORY"):
        enrolling.state()
    assert STORE == {}


def check_batches(keys: Any, keeper: Identity, true: Receipt) -> None:
    """A batch counts for what a board wrote before, and others; what is no news is not even verified."""
    holds = Holds(b"a former")
    said = [true, Receipt(keeper.author, 1, b"a former", 7)]
    batch = finish(sign_batch(keeper.p256, keeper.keys[32:64], keeper.sealing, "app-1", 1, said))
    forged = batch[:-1] + bytes([batch[-1] ^ 1])
    (found,) = keys.take_batch(batch, holds)
    assert (found.keeper, found.author, found.number) == (keeper.author, b"a former", 7)
    with pytest.raises(HedgerowError, match="RECEIPT_INVALID"):
        keys.take_batch(forged, holds)
    holds.known = 7
    assert keys.take_batch(forged, holds) == keys.take_batch(forged, Holds(true.author)) == []


def test_a_credential_is_kept_only_if_an_issuer_gave_it_to_these_keys() -> None:

    from hedgerow_device import enrolling, vault

    root = Issuer(1)
    state = {name: bytes.fromhex(value) for name, value in enrolling.state().items()}
    named = {"SEALING_KEY": state["sealing"], "AUTHOR": state["author"]}
    good = root.credential(state["agreement"], MODE=MODE, **named)
    issuers = [root.public.hex()]
    for wrong, code in (
        (root.credential(state["sealing"], MODE=MODE, **named), "CREDENTIAL_INVALID"),
        (
            root.credential(state["agreement"], MODE=MODE, **{**named, "AUTHOR": bytes(8)}),
            "CREDENTIAL_INVALID",
        ),
        (Issuer(2).credential(state["agreement"], MODE=MODE, **named), "CREDENTIAL_ISSUER"),
        (good[:-1] + bytes([good[-1] ^ 1]), "CREDENTIAL_INVALID"),
    ):
        with pytest.raises(HedgerowError, match=code):
            enrolling.take(wrong.hex(), issuers, [])
        assert vault.read(vault.CREDENTIAL) is None
    keeper = Identity.make(P256(os.urandom))
    given = {"AUTHOR": keeper.author, "SEALING_KEY": keeper.sealing, "MODE": MODE, "KINDS": claims.KEEPS}
    for kept, code in (
        (root.credential(keeper.agreement, **{**given, "KINDS": claims.DELEGATES}), "CREDENTIAL_KIND"),
        (root.credential(keeper.agreement, **{**given, "AUTHOR": None}), "CREDENTIAL_KIND"),
        (Issuer(2).credential(keeper.agreement, **given), "CREDENTIAL_ISSUER"),
    ):
        with pytest.raises(HedgerowError, match=code):
            enrolling.take(good.hex(), issuers, [kept.hex()])
        assert vault.read(vault.CREDENTIAL) is None and vault.read(vault.KEEPERS) is None
    shown = [root.credential(keeper.agreement, **given).hex()]
    assert enrolling.take(good.hex(), issuers, shown) == state["author"].hex()
    keys = ring()
    keys.log = Log(state["author"])
    assert keys.ready
    keys.greet(0, False)
    keys.parted()
    # What that keeper says of this board is proven, and nothing else; nothing is computed on the curve.
    keys.multiplications = 0
    proofs = Proofs(keeper, MODE)
    true = proofs.prove(Receipt(keeper.author, 1, state["author"], 7), state["agreement"])
    assert keys.proves(true) and keys.multiplications == 0
    for wrong in (
        Receipt(keeper.author, 1, state["author"], 7),
        Receipt(keeper.author, 1, state["author"], 8, PROOF_MAC, true.proof),
        Receipt(keeper.author, 2, state["author"], 7, PROOF_MAC, true.proof),
        Receipt(b"another!", 1, state["author"], 7, PROOF_MAC, true.proof),
        proofs.prove(true, keeper.agreement),
        Proofs(Identity.make(P256(os.urandom)), MODE).prove(true, state["agreement"]),
    ):
        assert not keys.proves(wrong)
    check_batches(keys, keeper, true)


def test_what_a_gateway_issued_is_kept_with_its_delegation_and_shown_with_it() -> None:
    from hedgerow_device import enrolling, vault

    root = Issuer(1)
    state = {name: bytes.fromhex(value) for name, value in enrolling.state().items()}
    named = {"SEALING_KEY": state["sealing"], "AUTHOR": state["author"]}
    gateway = root.delegate(7, MODE=MODE)
    salt = vault.read(vault.KEYS)[64:80]
    given = gateway.credential(state["agreement"], MODE=MODE, SALT=salt, **named)
    issuers, delegation = [root.public.hex()], gateway.value.hex()
    with pytest.raises(HedgerowError, match="CREDENTIAL_ISSUER"):
        enrolling.take(given.hex(), issuers, [])
    with pytest.raises(HedgerowError, match="CREDENTIAL_ISSUER"):
        enrolling.take(given.hex(), issuers, [], Issuer(2).delegate(7, MODE=MODE).value.hex())
    # One that has no room in the store is refused before anything is written there.
    many = [[f"readings {n:02} " + 46 * "x", 3] for n in range(16)]
    large = root.delegate(
        8, MODE=MODE, SCOPE=many, DELEGATION=[[name for name, _ in many[:13]], 10, NOW + DAY]
    )
    assert vault.MOST < len(large.value) <= 2048
    under = large.credential(state["agreement"], MODE=MODE, SALT=salt, **named, SCOPE=many[:1], EXP=NOW + DAY)
    before = dict(STORE)
    with pytest.raises(HedgerowError, match="CREDENTIAL_INVALID: [0-9]+ bytes"):
        enrolling.take(under.hex(), issuers, [], large.value.hex())
    assert before == STORE and vault.read(vault.CREDENTIAL) is None
    assert enrolling.take(given.hex(), issuers, [], delegation) == state["author"].hex()
    keys = ring()
    keys.log = Log(state["author"])
    assert keys._open().own.issuer == Granted(gateway.value).value
    # A credential by an issuer takes its place whole.
    enrolling.take(root.credential(state["agreement"], MODE=MODE, **named).hex(), issuers, [])
    assert vault.read(vault.DELEGATION) is None


def test_a_credential_is_used_as_security_says() -> None:
    from hedgerow_device import unlock, vault

    def opened(word: str) -> bool:
        return unlock.open_keys({"security": word, "mesh": "demo"}) is not None

    made()
    assert [opened(word) for word in ("auto", "keys", "none")] == [False, True, False]
    vault.write(vault.CREDENTIAL, bytes(8) + b"the credential")
    assert [opened(word) for word in ("auto", "keys", "none")] == [True, True, False]


def test_there_is_no_session_without_a_credential() -> None:
    made()
    with pytest.raises(HedgerowError, match="CREDENTIAL_UNKNOWN"):
        ring().greet(0, False)


def test_a_full_vault_ends_no_session(monkeypatch: pytest.MonkeyPatch) -> None:
    from hedgerow_device import met

    monkeypatch.setattr(met, "Credential", Credential)
    known = met.Met(3, Trusting())
    monkeypatch.setattr(NVS, "full", True)
    known.add(entry(1))
    assert len(known.entries) == 1 and STORE == {}


def test_a_board_keeps_revocations_over_a_power_cut_and_shuts_out_whom_they_name() -> None:
    from hedgerow_device import vault

    root, own = Issuer(1), made()
    named = {"SEALING_KEY": own.sealing, "AUTHOR": own.author, "MODE": MODE}
    value = Granted(root.credential(own.agreement, **named)).value
    vault.write(vault.CREDENTIAL, own.author + value)
    vault.write(vault.ISSUERS, root.public)
    kept = [name + bytes(range(32)) + root.public for name in (b"keeper-1", b"keeper-2")]
    vault.write(vault.KEEPERS, b"".join(kept))
    store = MemoryStore()
    store.author = own.author
    log = MemoryLog(store)
    keys = ring()
    keys.log = log
    out = Granted(root.credential(own.agreement, AUTHOR=b"keeper-1", MODE=MODE)).claims
    assert keys.stands(out)
    # What others say of it counts for nothing, and neither does a word that was altered.
    keys.take_word(revocation(b"keeper-1", out.cti, 0, Issuer(2)))
    word = revocation(b"keeper-1", out.cti, 0, root)
    with pytest.raises(HedgerowError, match="STATEMENT_INVALID"):
        keys.take_word(word[:-1] + bytes([word[-1] ^ 1]))
    assert keys.stands(out) and keys.words.all() == []
    keys.take_word(word)
    log.commit()
    keys = ring()
    keys.log = MemoryLog(store)
    assert not keys.stands(out) and keys.words.all() == [word]
    # It was a keeper: its receipts prove nothing any more, the other's do.
    assert vault.read(vault.KEEPERS) == kept[1]


def test_what_the_air_says_of_revocations_is_verified_by_the_next_session() -> None:
    from hedgerow_device import vault

    root, own = Issuer(1), made()
    named = {"SEALING_KEY": own.sealing, "AUTHOR": own.author, "MODE": MODE}
    vault.write(vault.CREDENTIAL, own.author + Granted(root.credential(own.agreement, **named)).value)
    vault.write(vault.ISSUERS, root.public)
    store = MemoryStore()
    store.author = own.author
    keys = ring()
    keys.log = MemoryLog(store)
    out = Granted(root.credential(own.agreement, AUTHOR=b"a thief!", MODE=MODE)).claims
    word = revocation(b"a thief!", out.cti, 0, root)
    true = Word(word, "app-1").brief()
    assert not keys.take_brief(true[:-1] + bytes([true[-1] ^ 1])) and not keys.take_brief(true)
    # It is passed on once; nothing is computed yet, and it outlives a power cut.
    assert keys.take_brief(true) and len(keys.fresh) == 2 and keys.checks == 0
    keys.log.commit()
    keys = ring()
    keys.log = Full(store)
    assert keys.stands(out) and keys.checks == 4
    keys = ring()
    keys.log = MemoryLog(store)
    assert not keys.stands(out) and keys.words.all() == [word] and keys.checks == 4
    keys.rest()
    assert not keys.stands(out) and keys.checks == 4
