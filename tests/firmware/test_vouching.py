"""Credentials of other authors on a board: put together, verified in slices while no session runs."""

import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hedgerow import limits
from hedgerow.crypto.credentials import Credential
from hedgerow.crypto.identity import Identity
from hedgerow.crypto.port import P256
from hedgerow.crypto.vouchers import part
from hedgerow.errors import HedgerowError
from hedgerow.log import MemoryLog, MemoryStore
from hedgerow.mesh import pace
from hedgerow.mesh.frames import LETTER_DOWN, make
from hedgerow.mesh.letters import SCHEMA, split
from hedgerow.peer import Peer
from hedgerow.sync.hello import RELAY
from hedgerow_device.flashlog import FlashLog
from hedgerow_device.wisher import Wisher
from hedgerow_sim.nor import Nor

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests/core" / name) for name in ("crypto/portable", "portable", "")]

from crypto_kit import MODE, NOW, Issuer  # noqa: E402
from enrolled_kit import revocation  # noqa: E402
from keyring_kit import chip, ring  # noqa: E402, F401
from mesh_kit import Air  # noqa: E402
from micropython_vm import micropython  # noqa: E402
from test_teller import Small  # noqa: E402
from vouched_kit import Ring, add, short, written  # noqa: E402

ISSUER = Issuer(1)


def enrolled(issuer: Issuer = ISSUER) -> Any:
    """Return the keyring of a board that an issuer has given a credential, on a log in memory."""
    from hedgerow_device import enrolling

    state = {name: bytes.fromhex(value) for name, value in enrolling.state().items()}
    named = {"SEALING_KEY": state["sealing"], "AUTHOR": state["author"]}
    good = issuer.credential(state["agreement"], **named)
    enrolling.take(good.hex(), [ISSUER.public.hex()], [])
    keys = ring()
    keys.log = MemoryLog(MemoryStore(state["author"]))
    return keys


def other(issuer: Issuer = ISSUER, **more: object) -> tuple[bytes, bytes]:
    """Return (the author that a credential names, that)."""
    who = Identity.make(P256(os.urandom))
    given = {"SEALING_KEY": who.sealing, "AUTHOR": who.author, "SALT": who.keys[64:], "MODE": MODE, **more}
    return who.author, issuer.credential(who.agreement, **given)[1:]


def say(keys: Any, name: bytes, value: bytes, now: int = 0) -> list[bool]:
    return [
        keys.vouchers().hear_credential(part(value, name, at), now)
        for at in range(3)
        if part(value, name, at)
    ]


def tend(keys: Any, peer: Any, now: int) -> int:
    """Let it verify what is whole; return in how many looks."""
    for count in range(2000):
        keys.tend(peer, now)
        if keys.vouching is None:
            return count + 1
    raise AssertionError("it does not end")


@pytest.fixture
def slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """One slice a look: the clock of the chip goes by 50 ms each time that it is asked."""
    moments = iter(range(0, 1 << 30, 50))
    monkeypatch.setattr(time, "ticks_ms", lambda: next(moments), raising=False)
    monkeypatch.setattr(time, "ticks_diff", lambda one, two: one - two, raising=False)


@pytest.mark.usefixtures("slices")
def test_a_board_verifies_a_credential_from_the_air_and_passes_it_on() -> None:
    keys = enrolled()
    peer = SimpleNamespace(log=keys.log, make_room=lambda: None, stranger=b"")
    author, value = other()
    assert not keys.vouchers().vouches(author) and keys.vouchers().credential_lacks(author) == 0
    assert all(say(keys, author, value)) and keys.vouchers().credential_lacks(author) == -1
    tend(keys, peer, 0)
    assert keys.vouchers().vouches(author) and keys.checks == 2 and not keys.parts
    assert [keys.vouchers().credential_part(author[:3], at) for at in range(3)] == [
        part(value, author, at) for at in range(3)
    ]
    # It is known: nothing is put together again, and nothing loaded.
    assert all(say(keys, author, value)) and not keys.parts
    # The next one has its time; what nobody has signed is not computed again.
    second, bad = other()
    false = bad[:-1] + bytes((bad[-1] ^ 1,))
    say(keys, second, false)
    tend(keys, peer, pace.VOUCH_MS - 1)
    assert keys.parts and keys.checks == 2
    tend(keys, peer, pace.VOUCH_MS)
    assert not keys.parts and keys.checks == 4 and not keys.vouchers().vouches(second)
    assert all(say(keys, second, false)) and not keys.parts
    # One that names another author than the letter does is nobody's.
    third, odd = other()
    say(keys, author[:3] + b"other", odd)
    say(keys, b"somebody", odd, pace.VOUCH_MS)
    tend(keys, peer, 3 * pace.VOUCH_MS)
    assert (
        not keys.vouchers().vouches(third) and not keys.vouchers().vouches(b"somebody") and keys.checks == 4
    )


@pytest.mark.usefixtures("slices")
def test_a_delegation_is_asked_for_and_what_is_revoked_is_refused() -> None:
    keys = enrolled()
    peer = SimpleNamespace(log=keys.log, make_room=lambda: None, stranger=b"")
    delegate = ISSUER.delegate(7)
    author, value = other(delegate)
    say(keys, author, value)
    tend(keys, peer, 0)
    assert peer.stranger == delegate.cti and keys.parts and not keys.vouchers().vouches(author)
    say(keys, delegate.cti, delegate.value[1:])
    tend(keys, peer, pace.VOUCH_MS)
    tend(keys, peer, 2 * pace.VOUCH_MS)
    assert (
        keys.vouchers().vouches(author)
        and keys.vouchers().vouches(delegate.cti)
        and not keys.parts
        and keys.checks == 4
    )
    keys.take_word(revocation(author, b"8 of cti", 3, ISSUER, NOW))
    assert not keys.vouchers().vouches(author)
    say(keys, author, value, 3 * pace.VOUCH_MS)
    tend(keys, peer, 3 * pace.VOUCH_MS)
    assert not keys.vouchers().vouches(author) and len(keys.refused) == 1


@pytest.mark.usefixtures("slices")
def test_where_memory_fails_what_was_begun_is_dropped_and_comes_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys = enrolled()
    peer = SimpleNamespace(log=keys.log, make_room=lambda: None, stranger=b"")
    author, value = other()
    say(keys, author, value)
    keys.tend(peer, 0)
    # Another one is for later: what puts it together has no room beside that.
    assert keys.vouching is not None and say(keys, *other()) == [False] * 3

    def fails(*_: object) -> None:
        raise MemoryError

    keys.vouching.close()
    keys.vouching = (fails() for _ in range(1))
    tend(keys, peer, 0)
    assert not keys.parts and not keys.vouchers().vouches(author) and not keys.refused
    say(keys, author, value, pace.VOUCH_MS)
    tend(keys, peer, pace.VOUCH_MS)
    assert keys.vouchers().vouches(author)


@pytest.mark.usefixtures("slices")
def test_nothing_else_goes_for_a_credential_that_finds_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = enrolled()
    author, value = other()
    say(keys, author, value)

    class Full:
        """Modules for which there is no memory."""

        def __getattr__(self, name: str) -> None:
            raise MemoryError

    air = Air(95, loss=0)
    relay = add(air, 96)
    repair = relay.mesh.repair
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "hedgerow_device.vouching", Full())  # type: ignore[arg-type]
        patch.setattr("hedgerow.crypto.inquiry", Full(), raising=False)
        keys.tend(SimpleNamespace(log=keys.log), 0)
        assert not keys.parts
        assert repair.inquire("find", relay.peer, (relay.author[:3], 0)) is None
    assert repair.inquire("find", relay.peer, (relay.author[:3], 0))


@pytest.mark.usefixtures("slices")
def test_whom_a_session_has_shown_is_vouched_for() -> None:
    keys = enrolled()
    author, value = other()
    p256 = SimpleNamespace(multiplications=0)
    keys._greeting = greeting = SimpleNamespace(
        done=True, channel=SimpleNamespace(resumed=True, remote=b"its name", close=lambda: None)
    )
    known = {b"its name": Credential(value)}
    keys._member = SimpleNamespace(
        trust=SimpleNamespace(known=known.get), ephemerals=SimpleNamespace(p256=p256)
    )
    keys.parted()
    # It is kept once nothing else needs the heap.
    assert not keys.vouchers().vouches(author)
    keys.tend(SimpleNamespace(), 0)
    assert keys.vouchers().vouches(author)
    assert keys.vouchers().credential_part(author[:3], 2) == part(value, author, 2)
    keys._greeting = greeting
    keys.parted()
    assert keys.shown is None


def test_what_is_short_of_memory_gives_up_credentials_from_the_air(slices: None) -> None:
    from hedgerow_device.room import Room

    keys = enrolled()
    author, value = other()
    say(keys, author, value)
    keys.vouching = object()
    room = Room()
    room.peer = SimpleNamespace(keys=keys, close_documents=lambda: None)  # type: ignore[attr-defined]
    room._conn = room._central = None  # type: ignore[attr-defined]
    room.mesh, room._small = object(), True  # type: ignore[attr-defined]
    room.drop(0)
    assert keys.vouching and keys.parts
    room.drop(0, True)
    assert keys.vouching is None and not keys.parts


def test_a_relay_learns_the_credential_of_a_board_with_the_small_engine() -> None:
    air = Air(91, loss=10)
    relay = add(air, 92)
    short(relay)
    far = Small(air, "far", RELAY, False, author=Ring(93).named)
    air.members.append(far)
    air.links[far] = []
    air._wake(far, 0)
    far.peer.members = Ring(93)
    far.peer.members.log = far.peer.log
    air.link(relay, far)
    air.readings([far], 60_000, 600_000)
    air.run(600_000)
    assert relay.peer.members.vouches(far.author) and relay.peer.crowded
    assert relay.peer.log.held(far.author) == far.peer.log.held(far.author)


def test_the_small_engine_makes_no_room_for_what_it_does_not_verify() -> None:
    peer = SimpleNamespace(wish_at=1, wish_letters=[], wish_schema=b"")
    wisher = Wisher(SimpleNamespace(peer=peer), lambda most: 0, 0)
    author, value = other()
    for content in (part(value, author, 0), bytes((SCHEMA,)) + bytes(40)):
        for body in split(content):
            wisher.heard(make(LETTER_DOWN, b"ms", body, bytes(32)), 0)
    assert [content[0] for content in wisher.whole] == [SCHEMA]


def test_a_board_verifies_a_credential_from_the_air_in_its_vm() -> None:
    delegate = ISSUER.delegate(8)
    mine = Identity.make(P256(os.urandom))
    named = {"SEALING_KEY": mine.sealing, "AUTHOR": mine.author, "SALT": mine.keys[64:], "MODE": MODE}
    own = delegate.credential(mine.agreement, **named)[1:]
    author, value = other(delegate)
    kept = {
        "credential": mine.author + own,
        "delegation": delegate.value[1:],
        "issuers": ISSUER.public,
        "keys": mine.keys + mine.author + b"\1",
    }
    said = [part(value, author, at) for at in range(3)]
    program = f"""
import sys
sys.path[:0] = ["{ROOT}/shared", "{ROOT}/firmware"]

class Stand:
    stranger = b""

from hedgerow_device import vault
vault.read = {kept!r}.get
from hedgerow.errors import HedgerowError
from hedgerow.log import MemoryLog, MemoryStore
from hedgerow_device.keyring import Keyring
keys = Keyring(bytes(32))
peer = Stand()
peer.log = keys.log = MemoryLog(MemoryStore({mine.author!r}))
peer.make_room = lambda: None
before = keys.vouchers().vouches({author!r})
for content in {said!r}:
    assert keys.vouchers().hear_credential(content, 0)
keys.tend(peer, -1)
assert "hedgerow.crypto.vouchers" not in sys.modules
from hedgerow_device import vouching
# One slice a look.
vouching.ticks_diff = lambda one, two: 1000
looks = 0
beside = set()
while keys.parts:
    keys.tend(peer, 0)
    looks += 1
    if keys.vouching:
        beside.update(sys.modules)
# The mesh needs the heap meanwhile: what reads credentials is gone.
print(sorted(name for name in beside if name[-7:] in ("entials", ".claims", ".words", "ouchers")))
print(before, keys.vouchers().vouches({author!r}), keys.checks, looks > 3, keys.refused)
print(keys.vouchers().credential_part({author[:3]!r}, 1) == {said[1]!r})
print(len(keys.vouchers().credential_part({delegate.cti[:3]!r}, 0)))
keys.settle()
print([name for name in sys.modules if name.startswith("hedgerow.crypto") or "vouching" in name])
"""
    done = subprocess.run(
        [micropython(), "-c", program], capture_output=True, text=True, timeout=100, check=False
    )
    assert (
        done.stdout == "['hedgerow.crypto.vouchers']\nFalse True 2 True []\nTrue\n128\n['hedgerow.crypto']\n"
    ), done.stdout + done.stderr


def test_strangers_of_whom_nothing_is_left_keep_their_places_on_flash() -> None:
    who = Ring(97)
    log = FlashLog(Nor(64))
    peer = Peer(log, 0, name="relay", role=RELAY)
    who.log, who.named = log, log.author
    peer.members = who  # type: ignore[assignment]
    body = written(b"template", 0).log.fetch(b"template", 1)
    for at in range(limits.MAX_STRANGE_AUTHORS):
        author = b"autho-%02d" % at
        peer.ingest(author, 1, [body])
        log.cut(author, 0)
    assert not [author for author in peer.authors() if author[:6] == b"autho-"]
    with pytest.raises(HedgerowError, match="QUOTA_FULL"):
        peer.ingest(b"one more", 1, [body])
    # Who has a place needs none.
    peer.ingest(b"autho-07", 1, [body])
    who.vouch(b"verified", b"credential")
    peer.ingest(b"verified", 1, [body])
