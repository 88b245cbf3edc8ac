"""Seals that a board signs in slices: the radio has its turns, and no other seal is disturbed."""

import gc
import os
import time

import pytest
from keyring_kit import chip, made, ring  # noqa: F401

from hedgerow import limits
from hedgerow.codec.schema import STREAM
from hedgerow.crypto.port import P256, finish
from hedgerow.log import ENTRY_SEAL
from hedgerow.trust.seal import Seal, signed_part
from hedgerow_device.flashlog import FlashLog
from hedgerow_sim.nor import Nor

NOW = 1000


class Slow:
    """A board's node as far as seals go, its keys, and how many turns the radio has had."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(time, "ticks_ms", lambda: 0, raising=False)
        monkeypatch.setattr(time, "ticks_diff", lambda later, now: later - now, raising=False)
        from hedgerow.crypto import curve, port
        from hedgerow_device import device_peer, node, vault

        # What boards sign with.
        monkeypatch.setattr(port, "P256", curve.P256)

        monkeypatch.setattr(device_peer, "is_tight", lambda: False)
        self.own = made()
        log = FlashLog(Nor(16), ring().name_log)
        vault.write(vault.CREDENTIAL, log.author + b"the credential")
        self.keys = ring()
        self.keys.log = log
        self.peer = device_peer.DevicePeer(log, lambda: NOW, kinds={"r": STREAM}, members=self.keys)
        self.peer.keys = self.keys
        self.node = node.Node.__new__(node.Node)
        self.node.peer = self.peer
        self.peer.give_up = self.node._give_up
        self.turns = 0

    def record(self, count: int) -> None:
        for _ in range(count):
            self.peer.execute("INSERT INTO r DOCUMENTS (:r)", r={"n": 1})

    def turn(self) -> None:
        self.turns += 1
        self.keys.sign_on()

    def run(self) -> None:
        for _ in range(10_000):
            if self.keys.signing is None:
                return
            self.turn()
        raise AssertionError("no end")

    def seals(self) -> list[Seal]:
        log = self.peer.log
        return [
            Seal.decode(entry[3]) for entry in log.read(log.author, 0, 0, 1 << 20) if entry[0] == ENTRY_SEAL
        ]


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    monkeypatch.setattr(gc, "mem_free", lambda: 1 << 20, raising=False)
    found = Slow(monkeypatch)
    found.record(limits.SEAL_EVERY - found.peer.log.held(found.peer.author) - 1)
    assert not found.seals() and found.keys.signing is None
    return found


def test_a_seal_is_signed_between_turns_of_the_radio(slow: Slow) -> None:
    slow.record(1)
    log, author = slow.peer.log, slow.peer.author
    assert not slow.seals() and slow.keys.signing is not None
    # What is recorded meanwhile is for the next one.
    slow.turn()
    slow.record(3)
    marks = slow.peer.unsealed()[3][: limits.SEAL_EVERY]
    slow.run()
    (seal,) = slow.seals()
    assert (seal.first, seal.last, log.sealed(author)) == (1, limits.SEAL_EVERY, limits.SEAL_EVERY)
    signed = signed_part(author, 1, seal.last, marks, seal.previous, slow.keys.credential)
    assert finish(P256(os.urandom).verify(slow.own.sealing, signed, seal.signature))
    # The walk over a scalar alone has 64 steps.
    assert slow.turns > 64
    assert slow.keys.unsigned == 0
    assert len(slow.peer.unsealed()[3]) == 3
    slow.peer.seal(NOW)
    slow.run()
    assert [(each.first, each.last) for each in slow.seals()][1:] == [(seal.last + 1, seal.last + 3)]


def test_a_session_has_its_seal_at_once_and_there_are_no_two(slow: Slow) -> None:
    slow.record(1)
    slow.turn()
    slow.keys._greeting = object()
    assert slow.peer.seal(NOW)
    assert slow.peer.log.sealed(slow.peer.author) == limits.SEAL_EVERY
    slow.keys._greeting = None
    slow.run()
    assert len(slow.seals()) == 1


def test_another_s_seal_meanwhile_is_not_written_again(slow: Slow) -> None:
    slow.record(1)
    slow.turn()
    slow.peer.append_seal(NOW, at_once=True)
    slow.run()
    assert len(slow.seals()) == 1


@pytest.mark.parametrize("gone", ["session", "memory"])
def test_a_seal_that_is_given_up_is_made_at_once_the_next_time(slow: Slow, gone: str) -> None:
    slow.record(1)
    slow.turn()
    if gone == "session":
        slow.keys._greeting = object()
        slow.turn()
        slow.keys._greeting = None
    else:
        slow.node._conn = slow.node._central = slow.node.mesh = None
        slow.node._silence_ms = 0
        slow.node._unload_engine = lambda: None  # type: ignore[method-assign]
        slow.keys.batch, slow.keys.batching = b"a batch", iter(())
        slow.node.drop(NOW, True)
        # Nor does what is verified in slices hold on to the heap; the next batch is taken.
        assert slow.keys.batching is None and slow.keys.take_said(b"next", slow.peer)
        assert slow.keys.batch == b"next"
    assert slow.keys.signing is None and not slow.seals() and slow.keys.unsigned == 1
    slow.peer.seal(NOW)
    assert len(slow.seals()) == 1 and slow.keys.unsigned == 0 and slow.keys.signing is None


def test_whoever_is_to_sleep_soon_seals_at_once(slow: Slow) -> None:
    slow.peer.sleeper = object()
    slow.record(1)
    assert len(slow.seals()) == 1
