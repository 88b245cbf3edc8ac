"""Random handshakes with lakers, another implementation of EDHOC, in both roles, and with a byte changed.

    python tests/core/crypto/handshakes.py [--count 1000] [--seed 1]

Handshake `n` of a seed is the same in every run, but for what lakers draws itself.

lakers 0.6.2 does not look at the first byte of a message 3 of more than 23 bytes, the head of its byte
string: changed there it is still read as it was meant, and nothing that is authenticated is another. These
are counted apart; of ours no such message is taken (test_crypto_edhoc goes through all bytes).
"""

import argparse
import random
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

if __name__ == "__main__":
    ROOT = Path(__file__).parents[3]
    sys.path[:0] = [str(ROOT / "shared"), *(str(Path(__file__).parents[at] / "portable") for at in (0, 1))]

import lakers
from crypto_kit import Known, Peers, drive

from hedgerow.codec import cbor
from hedgerow.crypto import edhoc
from hedgerow.crypto.ephemeral import Ephemerals
from hedgerow.crypto.handshake import Handshake, Own
from hedgerow.crypto.initiator import Initiator
from hedgerow.crypto.port import P256, finish
from hedgerow.crypto.responder import Responder

TRANSFERS = (lakers.CredentialTransfer.ByReference, lakers.CredentialTransfer.ByValue)
KINDS = ("agreed", "disagreed", "altered and refused", "altered and completed", "head that lakers skips")
#: The ways in which lakers says no; to a point that is none by a panic.
REFUSALS = ("ValueError", "TypeError", "PanicException")


class Refused(Exception):
    """One of the two has ended the handshake."""


def raise_refused(error: BaseException) -> NoReturn:
    """Raise Refused for what lakers refuses, anything else as it is."""
    if type(error).__name__ not in REFUSALS:
        raise error
    raise Refused(str(error)) from error


class Play:
    """One handshake: two peers with new keys, names and identifiers, and maybe an altered byte."""

    def __init__(self, seed: int, number: int, altered: bool, vm: "Vm | None" = None):
        self.chance = random.Random(f"{seed} {number}")
        self.whole = [self.chance.random() < 0.5 for _ in range(2)]
        p256 = P256(self.chance.randbytes)
        self.ephemerals = Ephemerals(p256)
        kids = self.chance.sample(range(256), 2)
        self.privates, self.creds, self.kids, known = [], [], [], {}
        for kid in kids:
            private, public = finish(p256.make_key())
            y = edhoc_y(public)
            name = "peer-" + str(self.chance.randrange(10**6))
            key = (
                b"\xa5\x01\x02\x02\x41"
                + bytes((kid,))
                + b"\x20\x01\x21\x58\x20"
                + public[1:]
                + b"\x22\x58\x20"
                + y
            )
            cred = b"\xa2\x02" + cbor.encode(name) + b"\x08\xa1\x01" + key
            self.privates.append(private)
            self.creds.append(cred)
            self.kids.append(bytes((kid,)))
            known[bytes((kid,))] = Known(cred, public)
        self.peers = Peers(known)
        self.vm = vm
        self.victim = self.chance.randrange(3) if altered else -1
        self.said: list[bytes] = []
        #: Whether what was altered is what lakers does not look at.
        self.head = False

    def own(self, at: int) -> Own:
        return Own(self.privates[at], self.creds[at], self.kids[at], edhoc.KCCS)

    def way(self, message: bytes) -> bytes:
        """Carry a message: it may arrive with one byte altered."""
        self.said.append(message)
        if len(self.said) - 1 != self.victim:
            return message
        at = self.chance.randrange(len(message))
        self.head = at == 0 and message[0] == 0x58 and len(self.said) == 3
        return message[:at] + bytes((message[at] ^ self.chance.randrange(1, 256),)) + message[at + 1 :]

    def ours(self, side: "Handshake | Vm", message: bytes | None = None) -> bytes:
        """Let our side work; return what it says."""
        if message is not None:
            side.receive(message)
        said = drive(side)
        if side.error:
            raise Refused(str(side.error))
        return said

    def we_begin(self) -> tuple[bytes, bytes]:
        """Play with lakers answering; return the keys of both."""
        c = self.chance.randbytes(1)
        initiator: Handshake | Vm = Initiator(
            self.ephemerals, self.own(0), self.peers, c, whole=self.whole[0]
        )
        if self.vm:
            initiator = self.vm.begin("initiator", self, c)
        responder = lakers.EdhocResponder(self.privates[1], self.creds[1])
        try:
            responder.process_message_1(self.way(self.ours(initiator)))
            message = bytes(responder.prepare_message_2(TRANSFERS[self.whole[1]], None, None))
            message = self.ours(initiator, self.way(message))
            named, _ = responder.parse_message_3(self.way(message))
            responder.verify_message_3(lakers.credential_check_or_fetch(named, self.creds[0]))
            responder.completed_without_message_4()
            theirs = bytes(responder.edhoc_exporter(20, [1, 2], 32))
        except BaseException as error:  # noqa: BLE001  (a panic is no Exception)
            raise_refused(error)
        return initiator.export(20, b"\1\2", 32), theirs

    def they_begin(self) -> tuple[bytes, bytes]:
        """Play with lakers beginning; return the keys of both."""
        c = self.chance.randbytes(self.chance.randrange(1, 4))
        responder: Handshake | Vm = Responder(self.ephemerals, self.own(1), self.peers, c)
        if self.vm:
            responder = self.vm.begin("responder", self, c)
        initiator = lakers.EdhocInitiator()
        try:
            message = self.ours(responder, self.way(bytes(initiator.prepare_message_1(None, None))))
            _, named, _ = initiator.parse_message_2(self.way(message))
            found = lakers.credential_check_or_fetch(named, self.creds[1])
            initiator.verify_message_2(self.privates[0], self.creds[0], found)
            message = bytes(initiator.prepare_message_3(TRANSFERS[self.whole[0]], None)[0])
            self.ours(responder, self.way(message))
            initiator.completed_without_message_4()
            theirs = bytes(initiator.edhoc_exporter(20, [1, 2], 32))
        except BaseException as error:  # noqa: BLE001  (a panic is no Exception)
            raise_refused(error)
        return responder.export(20, b"\1\2", 32), theirs


class Vm:
    """Our side in a MicroPython VM (side_in_vm.py), for one handshake after the other."""

    def __init__(self, command: list[str | Path]):
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self.error: str | None = None
        self._said = b""

    def close(self) -> None:
        self.process.communicate(timeout=10)

    def _ask(self, *words: object) -> str:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(" ".join(str(word) for word in words) + "\n")
        return self.process.stdout.readline().strip()

    def _answer(self, *words: object) -> None:
        answer = self._ask(*words)
        assert answer, "the VM has ended"
        self.error = answer[1:] if answer[0] == "!" else None
        self._said = b"" if answer == "-" or self.error else bytes.fromhex(answer)

    def begin(self, role: str, play: Play, c: bytes) -> "Vm":
        own = 0 if role == "initiator" else 1
        other = play.peers.known[play.kids[1 - own]]
        parts = (play.privates[own], play.creds[own], play.kids[own], play.kids[1 - own])
        parts += (other.value, other.agreement, c)
        self._answer("begin", role, *(part.hex() for part in parts), play.whole[own])
        return self

    def receive(self, message: bytes) -> None:
        self._answer("take", message.hex())

    def work(self) -> bool:
        return False

    def outgoing(self) -> bytes:
        said, self._said = self._said, b""
        return said

    def export(self, label: int, context: bytes, length: int) -> bytes:
        return bytes.fromhex(self._ask("export", label, context.hex(), length))


def edhoc_y(public: bytes) -> bytes:
    """The y of a compressed point, which lakers wants in credentials."""
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public)
    return key.public_numbers().y.to_bytes(32, "big")


def run(seed: int, numbers: range, vm: Vm | None = None) -> dict[str, int]:
    """Play these handshakes in both roles, each again with a byte altered; return how many ended how."""
    counts = dict.fromkeys(KINDS, 0)
    for number in numbers:
        for role in ("we_begin", "they_begin"):
            ours, theirs = getattr(Play(seed, number, False, vm), role)()
            counts["agreed" if ours == theirs else "disagreed"] += 1
            play = Play(seed, number, True, vm)
            try:
                ours, theirs = getattr(play, role)()
            except Refused:
                counts["altered and refused"] += 1
            else:
                kind = (
                    "head that lakers skips" if play.head and role == "we_begin" else "altered and completed"
                )
                counts[kind] += 1
                print(f"{kind}: seed {seed}, number {number}, {role}", file=sys.stderr)
    return counts


def good(counts: dict[str, int]) -> bool:
    """Say whether all agreed, and nothing that was altered was taken."""
    refused = counts["altered and refused"] + counts["head that lakers skips"]
    return counts["agreed"] == refused == sum(counts.values()) // 2


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    counts = run(options.seed, range(options.count))
    print(", ".join(f"{count} {name}" for name, count in counts.items()))
    return 0 if good(counts) else 1


if __name__ == "__main__":
    sys.exit(main())
