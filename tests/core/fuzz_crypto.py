"""The fuzz targets of the cryptography: credentials, COSE, messages of handshakes, connections, records."""

import struct
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from typing import Any

from crypto_kit import APP, Given, Issuer, Known, Peers, drive, meet, member, talk
from enrolled_kit import Enrolled, revocation, varint

from hedgerow import limits
from hedgerow.codec import cbor
from hedgerow.codec.schema import CONFIDENTIAL, Schema
from hedgerow.crypto import confidential, cose, edhoc
from hedgerow.crypto.batches import Batch, unfold_batch
from hedgerow.crypto.channel import Answering, Member
from hedgerow.crypto.claims import Claims
from hedgerow.crypto.confidential import CollectionKeys, read_keys
from hedgerow.crypto.credentials import Credential
from hedgerow.crypto.greeting import END, PART, Greeting
from hedgerow.crypto.handshake import KNOWN, Handshake, Own
from hedgerow.crypto.initiator import Initiator
from hedgerow.crypto.port import finish
from hedgerow.crypto.records import RecordKeys
from hedgerow.crypto.responder import Responder
from hedgerow.crypto.resume import Resumable
from hedgerow.crypto.signer import sign_batch
from hedgerow.crypto.words import Word, unfold
from hedgerow.custody.receipt import Receipt
from hedgerow.document import Document
from hedgerow.errors import HedgerowError
from hedgerow.limits import HANDSHAKE_MS
from hedgerow.operation import INSERT
from hedgerow.sync.hello import Hello
from hedgerow.sync.session import Session

ROOT = Issuer(1)
GATEWAY = ROOT.delegate(2)
CREDENTIAL = GATEWAY.credential(ROOT.public, METADATA={"site": "north"}, AUTHOR=b"author-1", KINDS=1)
KEY = bytes(range(16))
AUTHOR = b"author-1"
VISITS = Schema("visits", CONFIDENTIAL, (("n", None), ("who", None)))
SEALED = cose.encrypt0(KEY, bytes(13), b"payload", b"name")
#: Given once: nothing of a try may stay for the next.
PAIR = finish(ROOT.p256.make_key())
OTHER = finish(ROOT.p256.make_key())
OWN = Own(PAIR[0], b"\xa1\x02\x61a", b"\x01", edhoc.KCCS)
THEIRS = Own(OTHER[0], b"\xa1\x02\x61b", b"\x02", edhoc.KCCS)
PEERS = Peers({b"\x02": Known(THEIRS.value, OTHER[1])})


def claims(data: bytes) -> None:
    assert Claims.decode(data).encode() == data


def credential(data: bytes) -> None:
    found = Credential(bytes(data))
    assert found.claims.encode() == found.signed.payload
    assert Credential(found.value).name == found.name


def signed(data: bytes) -> None:
    """Nobody's signature but ours is taken, with whatever around it."""
    found = cose.Sign1(bytes(data))
    if finish(found.verify(ROOT.p256, GATEWAY.public)):
        assert found.payload == cose.Sign1(CREDENTIAL).payload


def encrypted(data: bytes) -> None:
    assert cose.decrypt0({b"name": KEY}.get, bytes(data)) == b"payload"


def message_1(data: bytes) -> None:
    at = edhoc.read_message_1(data)[2]
    edhoc.read_ead(data, at, KNOWN)


def plaintext(data: bytes) -> None:
    label, value, mac, at = edhoc.read_plaintext(bytes(data), 0)
    written = edhoc.id_cred_sent(label, value) + cbor.encode(mac)
    assert data[:at].endswith(written)
    edhoc.read_ead(bytes(data), at, KNOWN)


def _side(make: Callable[[], Handshake], data: bytes) -> None:
    side = make()
    drive(side)
    side.receive(bytes(data))
    drive(side)
    # Only the true other side ends it well.
    assert not side.done or data == answer()
    if side.error:
        raise side.error


def initiator() -> Initiator:
    return Initiator(Given(ROOT.p256, [(PAIR[0], PAIR[1][1:])]), OWN, PEERS, b"\x05")


def responder() -> Responder:
    return Responder(Given(ROOT.p256, [(OTHER[0], OTHER[1][1:])]), THEIRS, PEERS, b"\x06")


@cache
def answer() -> bytes:
    """What the responder says to the initiator."""
    side = responder()
    side.receive(drive(initiator()))
    return drive(side)


def to_initiator(data: bytes) -> None:
    _side(initiator, data)


def to_responder(data: bytes) -> None:
    _side(responder, data)


def record(data: bytes) -> None:
    """Nobody's records but ours are taken."""
    assert RecordKeys(bytes(32)).unseal(bytes(data), 7) == b"payload"


def resumable(data: bytes) -> None:
    assert Resumable.unpack(bytes(data)).pack() == data


@cache
def members() -> tuple[Member, Member, list[bytes]]:
    """Two that have met, and what they said the second time."""
    one, two = member(3, GATEWAY, ROOT.roots), member(4, GATEWAY, ROOT.roots)
    meet(one, two, know=False)
    return one, two, meet(one, two)[2]


def runs() -> list[bytes]:
    said = members()[2]
    return [join(messages) for messages in ([said[0]], [bytes(14)], [said[0][:6] + bytes(8)])]


def join(messages: list[bytes]) -> bytes:
    """Messages with a byte of length before each."""
    return b"".join(bytes((len(message),)) + message for message in messages)


def connection(data: bytes) -> None:
    """Whatever a stranger says one after the other: no keys, no curve, and the peer is free again."""
    peer = members()[1]
    before = peer.ephemerals.p256.multiplications
    side: Any = Answering(peer, 0)
    at = 0
    while at < len(data):
        size = data[at]
        side.receive(bytes(data[at + 1 : at + 1 + size]), 0)
        talk(side)
        at += 1 + size
    assert not side.done and peer.ephemerals.p256.multiplications == before
    error = side.error
    side.close()
    assert peer.busy is None
    if error:
        raise error


@cache
def knower() -> Enrolled:
    return Enrolled(61)


_NOBODY = knower()


def statement(data: bytes) -> None:
    """Only what an issuer has signed changes what is known."""
    members = knower().members
    before = members.count, dict(members.trust.revoked)
    members.take(bytes(data))
    if (members.count, members.trust.revoked) != before:
        assert any(bytes(data).endswith(cose.untagged(said)) for said in STATEMENTS)


def word(data: bytes) -> None:
    """What any member passes on: only what an issuer has signed shuts anybody out."""
    members = knower().members
    members.take_word(bytes(data))
    for known in members.trust.revoked:
        assert known == bytes(8), "of STATEMENTS alone"


def brief(data: bytes) -> None:
    """The same as letters carry it."""
    word(unfold(bytes(data), APP))


def batch(data: bytes) -> None:
    """Whatever is read as a batch says what its bytes say, and nobody who is not known has signed it."""
    found = Batch(bytes(data), APP)
    assert 1 <= len(found.receipts()) <= limits.MAX_BATCH
    assert knower().members.take_batch(bytes(data), knower().peer) == []


def _batch() -> bytes:
    receipts = [Receipt(b"keeper-1", 1, b"author-1", 7), Receipt(b"keeper-1", 1, b"author-2", 9)]
    private, public = finish(ROOT.p256.make_key())
    signed: bytes = finish(sign_batch(ROOT.p256, private, public, APP, 5, receipts))
    return signed


def folded(data: bytes) -> None:
    """Whatever a letter has of a batch is what it is made to again; who is not known has signed nothing."""
    found = unfold_batch(bytes(data), APP, [(b"keeper-1", ROOT.public)])
    if found is not None and len(data) <= limits.MAX_FOLDED:
        assert found[0].keeper == b"keeper-1" and found[0].fold() == bytes(data)
    assert _NOBODY.members.take_said(bytes(data), _NOBODY.peer) and not _NOBODY.members.said


def keyed(data: bytes) -> None:
    """Whatever a stranger says to a session with keys: nothing of it counts, and the link ends."""
    peer = members()[1]
    peer.busy = None
    session = Session(Hello(b"msh", b"author-b"), 0, Greeting(Answering(peer, 0)))
    assert session.receive(bytes(data), 0) == []
    while session.outgoing(1200, 0):
        pass
    session.outgoing(1200, HANDSHAKE_MS)
    assert session.closed and session.remote is None
    if session.error and session.error.code != "HANDSHAKE_TIMEOUT":
        raise session.error


def parts(message: bytes) -> bytes:
    """Return a message as the records of a greeting."""
    return b"".join(
        struct.pack(">HB", 1 + len(message[at : at + 20]), END if at + 20 >= len(message) else PART)
        + message[at : at + 20]
        for at in range(0, len(message), 20)
    )


def collection_keys(data: bytes) -> None:
    """Whatever is read as keys can be held."""
    keys = CollectionKeys(AUTHOR, read_keys(bytes(data)))
    assert keys.newest("visits") >= 0


def values(data: bytes) -> None:
    """What whoever has the right encrypts shows as a change that breaks no rule, or not at all."""
    keys = CollectionKeys(AUTHOR, [["visits", 1, KEY]])
    bound = confidential._bound(AUTHOR, 7, bytes(8), 0, [INSERT, VISITS.name, "id"], VISITS)
    iv = sha256(bound).digest()[:13]
    blob = b"\2" + confidential.seal(KEY, iv, confidential._structure(bound), bytes(data))
    change = [INSERT, VISITS.name, "id", [blob, cbor.UNDEFINED]]
    found = keys.reveal(AUTHOR, 7, bytes(8), 0, change, VISITS)
    if found is None:
        raise HedgerowError("KEYS_INVALID", "hidden")
    assert found[:3] == change[:3] and len(found[3]) == 2
    Document().apply(found, VISITS, bytes(8), AUTHOR)


def blob(data: bytes) -> None:
    """Nothing that was not encrypted under the key shows."""
    keys = CollectionKeys(AUTHOR, [["visits", 1, KEY]])
    for change in (
        [INSERT, VISITS.name, None, [bytes(data), cbor.UNDEFINED]],
        [2, VISITS.name, 1, [data, 3]],
    ):
        assert keys.reveal(AUTHOR, 7, bytes(8), 0, change, VISITS) is None


STATEMENTS = [ROOT.credential(ROOT.public, AUTHOR=b"author-1"), revocation(b"author-1", bytes(8), 7, ROOT)]

TARGETS: list[tuple[str, Callable[[bytes], object], list[bytes], int]] = [
    ("claims", claims, [cose.Sign1(CREDENTIAL).payload, cose.Sign1(GATEWAY.value).payload], 2),
    ("credential", credential, [CREDENTIAL, GATEWAY.value, cose.untagged(CREDENTIAL)], 2),
    ("signed", signed, [CREDENTIAL], 1),
    ("encrypted", encrypted, [SEALED], 1),
    (
        "message 1",
        message_1,
        [
            drive(initiator()),
            edhoc.message_1((6, 2), bytes(32), b"\1") + edhoc.write_ead([(32768, bytes(8)), (32769, None)]),
        ],
        1,
    ),
    (
        "plaintext",
        plaintext,
        [
            b"\x05" + cbor.encode(bytes(8)),
            edhoc.id_cred_sent(edhoc.KCWT, cose.untagged(CREDENTIAL)) + cbor.encode(bytes(8)),
            b"\xf5\x48" + bytes(8) + cbor.encode(bytes(8)) + edhoc.write_ead([(32770, b"issuer")]),
        ],
        1,
    ),
    ("initiator", to_initiator, [answer()], 1),
    ("responder", to_responder, [drive(initiator())], 1),
    ("sealed record", record, [RecordKeys(bytes(32)).seal(7, b"payload")], 1),
    ("resumable", resumable, [Resumable(bytes(32), bytes(8), bytes(8), bytes(8), 5, True).pack()], 1),
    ("connection", connection, runs(), 2),
    ("statement", statement, [varint(5) + said for said in STATEMENTS], 1),
    ("word", word, STATEMENTS[1:], 2),
    ("brief word", brief, [Word(STATEMENTS[1], APP).brief()], 1),
    ("batch", batch, [_batch()], 2),
    ("batch-folded", folded, [Batch(_batch(), APP).fold()], 1),
    ("collection keys", collection_keys, [cbor.encode([["visits", 1, KEY], ["visits", 2, bytes(32)]])], 1),
    (
        "encrypted values",
        values,
        [cbor.encode([INSERT, [5, {"a": [1, "b"]}]]), cbor.encode([INSERT, [1, 2]])],
        1,
    ),
    ("values of a stranger", blob, [b"\2" + bytes(20)], 1),
    (
        "session with keys",
        keyed,
        [parts(bytes(14)), parts(members()[2][0])],
        1,
    ),
]
