"""Batches of receipts from the air on a board: verified in slices, while no session runs."""

import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from hedgerow.crypto import claims
from hedgerow.crypto.batches import Batch
from hedgerow.crypto.identity import Identity
from hedgerow.crypto.port import P256, finish
from hedgerow.crypto.signer import sign_batch
from hedgerow.custody.receipt import Receipt

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests/core" / name) for name in ("crypto/portable", "portable", "")]

from crypto_kit import MODE, Issuer  # noqa: E402
from keyring_kit import chip, ring  # noqa: E402, F401
from micropython_vm import micropython  # noqa: E402


def test_a_batch_from_the_air_is_verified_in_slices_while_no_session_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from hedgerow_device import enrolling, vault

    root, keeper = Issuer(1), Identity.make(P256(os.urandom))
    state = {name: bytes.fromhex(value) for name, value in enrolling.state().items()}
    good = root.credential(
        state["agreement"], MODE=MODE, SEALING_KEY=state["sealing"], AUTHOR=state["author"]
    )
    given = {"AUTHOR": keeper.author, "SEALING_KEY": keeper.sealing, "MODE": MODE, "KINDS": claims.KEEPS}
    shown = [root.credential(keeper.agreement, **given).hex()]
    enrolling.take(good.hex(), [root.public.hex()], shown)
    assert vault.read(vault.KEEPERS)
    keys = ring()
    # One slice a look: the clock of the chip goes by 50 ms each time that it is asked.
    moments = iter(range(0, 1 << 30, 50))
    monkeypatch.setattr(time, "ticks_ms", lambda: next(moments), raising=False)
    monkeypatch.setattr(time, "ticks_diff", lambda one, two: one - two, raising=False)

    class Held:
        """A peer that takes receipts of one author."""

        def __init__(self) -> None:
            self.taken: list[Receipt] = []
            self.commits = 0
            self.log = SimpleNamespace(authors=lambda: [b"author-1"])

        def ingest_receipt(self, receipt: Receipt, by_keeper: bool) -> None:
            assert by_keeper
            self.taken.append(receipt)

        def commit(self) -> None:
            self.commits += 1

    peer = Held()

    def tell(moment: int, false: int = 0) -> int:
        receipts = [Receipt(keeper.author, 1, name, 7) for name in (b"author-1", b"author-2")]
        data = finish(sign_batch(keeper.p256, keeper.keys[32:64], keeper.sealing, "app-1", moment, receipts))
        brief = Batch(data, "app-1").fold()
        brief = brief[:-1] + bytes([brief[-1] ^ false])
        before = len(peer.taken)
        assert keys.take_said(brief, peer) and keys.take_said(b"another", peer) and keys.batch == brief
        for _ in range(2000):
            keys.tend(peer, 0)
            if not keys.batch:
                break
        assert not keys.batch and keys.batching is None
        return len(peer.taken) - before

    assert tell(5000, 1) == 0 and not keys.said and not peer.commits
    assert tell(5000) == 1 and [entry[0] for entry in keys.said[0][1]] == [b"author-1", b"author-2"]
    assert peer.taken[0].author == b"author-1" and peer.commits == 1 and keys.checks == 2
    # The next one has its time.
    assert tell(7999) == 0 and tell(8000) == 1


def test_a_board_verifies_a_batch_from_the_air_in_its_vm() -> None:
    root, keeper = Issuer(1), Identity.make(P256(os.urandom))
    mine = Identity.make(P256(os.urandom))
    named = {"SEALING_KEY": mine.sealing, "AUTHOR": mine.author}
    credential = mine.author + root.credential(mine.agreement, MODE=MODE, **named)
    receipts = [Receipt(keeper.author, 1, name, 7) for name in (b"author-1", b"author-2")]
    data = finish(sign_batch(keeper.p256, keeper.keys[32:64], keeper.sealing, "app-1", 5000, receipts))
    kept = {"credential": credential, "keepers": keeper.author + bytes(32) + keeper.sealing}
    program = f"""
import sys
sys.path[:0] = ["{ROOT}/shared", "{ROOT}/firmware"]

class Stand:
    pass

from hedgerow_device import batching, vault
vault.read = {kept!r}.get
# One slice a look.
batching.ticks_diff = lambda one, two: 1000
peer, keys = Stand(), Stand()
keys.named = b"an owner"
peer.log = Stand()
peer.log.authors = lambda: [b"author-1"]
taken = []
peer.ingest_receipt = lambda receipt, by_keeper: taken.append((receipt.author, receipt.number))
peer.commit = lambda: taken.append("durable")
peer.make_room = keys.settle = lambda: None
keys.said_at = keys.checks = 0
keys.batching = None
keys.batch = {Batch(data, "app-1").fold()!r}
looks = 1
beside = set()
while not batching.look(peer, keys):
    looks += 1
    beside.update(sys.modules)
print(taken, keys.said_at, keys.checks, looks > 10, keys.batch)
# The mesh needs the heap meanwhile: what has read the credential is gone.
print(sorted(name for name in beside if name[-7:] in ("entials", ".claims", ".edhoc", "batches")))
"""
    done = subprocess.run(
        [micropython(), "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    found, beside = done.stdout.splitlines() or ["", ""]
    assert found == "[(b'author-1', 7), 'durable'] 5000 2 True b''", done.stdout + done.stderr
    assert beside == "['hedgerow.crypto.batches']"
