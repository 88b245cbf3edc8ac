"""What tests of handshakes need: RFC 9529, keys that are given, issuers, members, a link between two."""

import json

from kit import Random

from hedgerow.codec import cbor
from hedgerow.crypto import claims, cose, signer
from hedgerow.crypto.channel import Answering, Member, Opening
from hedgerow.crypto.credentials import Credential, Trust
from hedgerow.crypto.ephemeral import Ephemerals
from hedgerow.crypto.handshake import Gate, Own
from hedgerow.crypto.port import P256, finish

DATA = __file__.replace("\\", "/").rsplit("/", 2)[0] + "/data/"

APP = "app-1"
MODE = [claims.PRODUCTION, b"mesh-one"]
NOW = 1800000000
DAY = 86400
GROUP = b"group key of 32 bytes for a test"


def rfc_9529() -> list:
    """Return [(section, name, encoding, bytes)]."""
    with open(DATA + "edhoc-rfc9529-section-3.json") as file:
        rows = json.loads(file.read())["values"]
    return [(row["section"], row["name"], row["encoding"], bytes.fromhex(row["hex"])) for row in rows]


def rfc(name: str, section: str = "", encoding: str = "") -> bytes:
    """Return one value, the first of its name."""
    for place, label, form, value in rfc_9529():
        if label == name and section in place and encoding in (form or ""):
            return value
    raise KeyError(name)


class Given:
    """Ephemerals that are given, and no others."""

    def __init__(self, p256: object, pairs: list):
        self.p256 = p256
        self.pairs = pairs

    def take(self) -> object:
        return self.pairs.pop(0)
        yield


class Known:
    """A peer whose credential is a set of claims without signature."""

    def __init__(self, value: bytes, agreement: bytes):
        self.value = value
        self.agreement = agreement


class Peers:
    """Finds those that it was told of, by kid or whole, and believes them all."""

    def __init__(self, known: dict):
        self.known = known

    def find(self, label: int, value: bytes) -> object:
        for kid in self.known:
            if value in (kid, self.known[kid].value):
                return self.known[kid]
        return None

    def accept(self, found: object, issuer: object = None) -> object:
        return
        yield


def drive(side: object) -> bytes:
    """Do all work of a side; return what it says."""
    while side.work():
        pass
    return side.outgoing()


def shake(one: object, two: object, change: object = None) -> list:
    """Carry messages between two sides until both are silent; return them.

    `change(at, message)` may alter one.
    """
    said = []
    sides = [one, two]
    turn = 0
    silent = 0
    while silent < 2:
        message = drive(sides[turn])
        turn ^= 1
        silent = 0 if message else silent + 1
        if message:
            said.append(message)
            if change:
                message = change(len(said), message)
            if message and not (sides[turn].error or sides[turn].done):
                sides[turn].receive(message)
    return said


# ---- credentials


class Issuer:
    """An Authentication Service: it has a key, and issues credentials."""

    def __init__(self, seed: int):
        self.random = Random(seed).bytes
        self.p256 = P256(self.random)
        self.private, self.public = finish(self.p256.make_key())
        self.kid = cose.name_of(self.public)
        self.roots = {self.kid: self.public}

    def credential(
        self, agreement: bytes, private: bytes | None = None, kid: bytes = b"", **more: object
    ) -> bytes:
        """Issue one for an agreement key; `more` are claims by name, None leaves one out."""
        values = {
            claims.ISS: APP,
            claims.SUB: "board-1",
            claims.EXP: NOW + 30 * DAY,
            claims.IAT: NOW,
            claims.CTI: self.random(8),
            claims.CNF: claims.key_of(agreement),
            claims.SCOPE: [["readings", 3]],
            claims.MODE: MODE,
        }
        for name in more:
            number = getattr(claims, name)
            values[number] = more[name]
            if more[name] is None:
                del values[number]
        payload = cbor.encode(values)
        return finish(signer.sign1(self.p256, private or self.private, payload, kid or self.kid))

    def delegate(self, seed: int, **more: object) -> "Delegate":
        return Delegate(self, seed, more)


class Delegate(Issuer):
    """A gateway that may enrol boards."""

    def __init__(self, root: Issuer, seed: int, more: dict):
        super().__init__(seed)
        agreement = finish(self.p256.make_key())[1]
        given = {
            "SEALING_KEY": self.public,
            "KINDS": claims.DELEGATES,
            "DELEGATION": [["readings"], 10, NOW + 30 * DAY],
        }
        given.update(more)
        self.value = root.credential(agreement, **given)
        self.cti = Credential(self.value).claims.cti

    def credential(
        self, agreement: bytes, private: bytes | None = None, kid: bytes = b"", **more: object
    ) -> bytes:
        given: dict = {"UNDER": self.cti}
        given.update(more)
        return super().credential(agreement, private, kid, **given)


def member(seed: int, issuer: Issuer, roots: dict, gate: bool = True, **more: object) -> Member:
    """A peer with a credential, two ephemerals and the group key."""
    random = Random(seed).bytes
    p256 = P256(random)
    private, public = finish(p256.make_key())
    value = issuer.credential(public, **more)
    own = Credential(value)
    along = cose.untagged(issuer.value) if isinstance(issuer, Delegate) else None
    holder = Own(private, own.value, own.name, issuer=along)
    ephemerals = Ephemerals(p256)
    finish(ephemerals.prepare())
    finish(ephemerals.prepare())
    trust = Trust(p256, roots, APP, MODE)
    peer = Member(holder, ephemerals, trust, Gate([GROUP]) if gate else None, random, MODE)
    p256.multiplications = 0
    return peer


def meet(one: Member, two: Member, know: bool = True, now: int = 0, change: object = None) -> tuple:
    """Open a connection from one to two; return (its side, the other side, the messages)."""
    near = Opening(one, now, two.own.name if know else None, Gate([GROUP]))
    far = Answering(two, now)
    return near, far, link(near, far, now, change)


def link(near: object, far: object, now: int = 0, change: object = None) -> list:
    """Carry messages between two channels until both are silent; return them."""
    said: list = []
    sides = [near, far]
    moved = True
    while moved:
        moved = False
        for at in range(2):
            for message in talk(sides[at], now):
                moved = True
                said.append(message)
                if change:
                    message = change(len(said), message)
                if message:
                    sides[1 - at].receive(message, now)
    return said


def talk(side: object, now: int = 0) -> list:
    """Do all work of a channel; return what it says."""
    while side.work(now):
        pass
    said = []
    message = side.outgoing()
    while message:
        said.append(message)
        message = side.outgoing()
    return said


def agree(near: object, far: object) -> None:
    """Both sides are done, and what one seals the other opens."""
    assert near.done and far.done, (near.error, far.error)
    assert near.resumed == far.resumed
    for one, two in ((near, far), (far, near)):
        record = one.sending.seal(0, b"hello")
        assert two.hearing.unseal(record, 0) == b"hello"
