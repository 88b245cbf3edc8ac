"""Checks of the limits of the cryptography."""

import itertools
import os
from typing import Any

import crypto_kit
import enrolled_kit
from kit import raises

from hedgerow import limits
from hedgerow.codec import cbor
from hedgerow.codec.schema import CONFIDENTIAL, STREAM, Schema
from hedgerow.crypto import claims, edhoc
from hedgerow.crypto.batches import Batch
from hedgerow.crypto.channel import Answering, Channel, Opening
from hedgerow.crypto.claims import Claims
from hedgerow.crypto.confidential import CollectionKeys, read_keys
from hedgerow.crypto.credentials import Credential
from hedgerow.crypto.edhoc import KID
from hedgerow.crypto.ephemeral import Ephemerals
from hedgerow.crypto.handshake import Gate
from hedgerow.crypto.initiator import Initiator
from hedgerow.crypto.port import P256, finish
from hedgerow.crypto.records import RecordKeys
from hedgerow.crypto.responder import Responder
from hedgerow.crypto.resume import Resumable, Resumables
from hedgerow.crypto.signer import sign1, sign_batch
from hedgerow.custody.receipt import Receipt
from hedgerow.sync.exchange import Exchange


def ephemerals() -> None:
    """So many keys are made ahead, and no more."""
    store = Ephemerals(P256(os.urandom))
    for _ in range(limits.MAX_EPHEMERALS + 2):
        finish(store.prepare())
    assert len(store) == limits.MAX_EPHEMERALS == store.p256.multiplications


def collection_keys(code: str) -> None:
    """So many keys are taken, and no more; what is derived of them is forgotten."""
    entry = ["visits", 1, bytes(32)]
    assert read_keys(cbor.encode([entry] * limits.MAX_COLLECTION_KEYS))
    raises(code, read_keys, cbor.encode([entry] * (limits.MAX_COLLECTION_KEYS + 1)))
    keys = CollectionKeys(bytes(8), [entry])
    schema = Schema("visits", STREAM | CONFIDENTIAL, (("n", None),))
    for number in range(2 * limits.MAX_COLLECTION_KEYS):
        keys.conceal(number.to_bytes(8, "big"), 1, bytes(8), [[0, schema.name, None, [1]]], [schema])
        assert len(keys._derived) <= limits.MAX_COLLECTION_KEYS


# ---- handshakes


def handshake(code: str) -> None:
    """A message of that length, filled with padding, is answered."""
    issuer = crypto_kit.Issuer(1)
    peer = crypto_kit.member(2, issuer, issuer.roots)
    message = edhoc.message_1((edhoc.SUITE,), issuer.public[1:], b"\1")
    for more, refused in ((0, False), (1, True)):
        side = Responder(peer.ephemerals, peer.own, peer.trust, b"\1")
        padding = bytes(limits.MAX_HANDSHAKE - len(message) - 4 + more)
        whole = message + edhoc.write_ead([(0, padding)])
        assert len(whole) == limits.MAX_HANDSHAKE + more
        side.receive(whole)
        assert len(crypto_kit.drive(side)) > 40 or refused
        assert (side.error is not None) == refused
        if side.error:
            assert side.error.code == code


def identifier(code: str) -> None:
    assert edhoc.read_identifier(b"x" * limits.MAX_IDENTIFIER)
    raises(code, edhoc.read_identifier, b"x" * (limits.MAX_IDENTIFIER + 1))


def admitted(code: str) -> None:
    """Of so many admissions each is good once; then the oldest is forgotten."""
    gate = Gate([b"k" * 32])
    messages = [b"%d" % at for at in range(limits.MAX_ADMITTED + 1)]
    for message in messages[:-1]:
        gate.admit(message, gate.tag(message))
    raises(code, gate.admit, messages[0], gate.tag(messages[0]))
    gate.admit(messages[-1], gate.tag(messages[-1]))
    gate.admit(messages[0], gate.tag(messages[0]))


# ---- credentials


def issued(**more: Any) -> bytes:
    issuer = crypto_kit.Issuer(1)
    return issuer.credential(issuer.public, **more)


def credential(code: str) -> None:
    """Metadata has less room than that; claims of a later version fill it."""
    issuer = crypto_kit.Issuer(1)
    room = limits.MAX_CREDENTIAL - len(issued())
    for size, refused in ((room - 10, False), (room, True)):
        values = {**Credential(issued()).claims.values, -70000: bytes(size)}
        data = finish(sign1(issuer.p256, issuer.private, cbor.encode(values), issuer.kid))
        if refused:
            raises(code, Credential, data)
        else:
            assert len(data) <= limits.MAX_CREDENTIAL < len(data) + 10
            assert Credential(data).claims.subject == "board-1"


def _claims(claim: int, good: object, bad: object, code: str) -> None:
    values = dict(Credential(issued()).claims.values)
    values[claim] = good
    Claims.decode(cbor.encode(values))
    values[claim] = bad
    raises(code, Claims.decode, cbor.encode(values))


def subject(code: str) -> None:
    _claims(claims.SUB, "x" * limits.MAX_SUBJECT, "x" * (limits.MAX_SUBJECT + 1), code)
    _claims(claims.ISS, "x" * limits.MAX_SUBJECT, "x" * (limits.MAX_SUBJECT + 1), code)


def scope(code: str) -> None:
    entry = ["a", 1]
    _claims(claims.SCOPE, [entry] * limits.MAX_SCOPE, [entry] * (limits.MAX_SCOPE + 1), code)
    names = ["a"] * limits.MAX_SCOPE
    _claims(claims.DELEGATION, [names, 1, 2], [[*names, "a"], 1, 2], code)


def metadata(code: str) -> None:
    room = limits.MAX_METADATA - 6
    _claims(claims.METADATA, {"a": "x" * room}, {"a": "x" * (room + 1)}, code)


def credentials() -> None:
    """Who was not met for longest makes room."""
    issuer = crypto_kit.Issuer(1)
    trust = crypto_kit.Trust(issuer.p256, issuer.roots, crypto_kit.APP, crypto_kit.MODE)
    known = [Credential(issuer.credential(issuer.public)) for _ in range(limits.MAX_CREDENTIALS + 1)]
    for each in known:
        trust.keep(each)
    assert [trust.find(KID, each.name) for each in known] == [None, *known[1:]]


# ---- records and resumption


def rekey() -> None:
    """The last record under a key, and the first under the next, which is another."""
    keys = RecordKeys(bytes(32))
    keys.seal(0, b"")
    first = keys._key
    keys.seal(limits.REKEY_RECORDS - 1, b"")
    assert keys._key == first
    keys.seal(limits.REKEY_RECORDS, b"")
    assert keys._key != first


def _entry(number: int) -> Resumable:
    return Resumable(bytes(32), b"peer%04d" % number, bytes(8), bytes(8), 1000, True)


def resumables() -> None:
    kept = Resumables()
    for number in range(limits.MAX_RESUMABLES + 1):
        kept.add(_entry(number))
    assert len(kept.entries) == limits.MAX_RESUMABLES
    assert kept.with_peer(b"peer0000") is None and kept.with_peer(b"peer0001") is not None


def contacts() -> None:
    """After so many contacts on one secret there is a handshake."""
    issuer = crypto_kit.Issuer(1)
    one, two = crypto_kit.member(2, issuer, issuer.roots), crypto_kit.member(3, issuer, issuer.roots)
    crypto_kit.meet(one, two, know=False)
    for _ in range(limits.RESUME_CONTACTS):
        assert crypto_kit.meet(one, two)[0].resumed
    near = crypto_kit.meet(one, two)[0]
    assert near.done and not near.resumed


def grace() -> None:
    issuer = crypto_kit.Issuer(1)
    trust = crypto_kit.Trust(issuer.p256, issuer.roots, crypto_kit.APP, crypto_kit.MODE)
    kept = Resumables()
    for late, usable in ((0, True), (1, False)):
        trust.floor = 1000 + limits.RESUME_GRACE_S + late
        assert kept.usable(_entry(1), bytes(8), trust) == usable


# ---- connections


def _answering() -> Answering:
    issuer = crypto_kit.Issuer(1)
    return Answering(crypto_kit.member(2, issuer, issuer.roots), 0)


def _wait(side: Channel, moment: int, code: str) -> None:
    assert side.due() == moment
    side.work(moment - 1)
    assert side.error is None
    side.work(moment)
    assert side.error is not None and side.error.code == code


def first_message(code: str) -> None:
    _wait(_answering(), limits.FIRST_MESSAGE_MS, code)


def handshake_time(code: str) -> None:
    side = _answering()
    side.receive(bytes(14), 10)
    _wait(side, limits.HANDSHAKE_MS, code)
    issuer = crypto_kit.Issuer(1)
    _wait(Opening(crypto_kit.member(2, issuer, issuer.roots), 0), limits.HANDSHAKE_MS, code)


def unproven(code: str) -> None:
    """Bytes of all messages of one side before there are keys."""
    for more, refused in ((0, False), (1, True)):
        side = _answering()
        side.receive(bytes(14), 0)
        side.receive(b"\x60" * (limits.MAX_UNPROVEN - 14 + more), 0)
        assert (side.error is not None) == refused
        if side.error:
            assert side.error.code == code


def attempts(code: str) -> None:
    """A connection whose other side never knows our name is begun anew so often."""
    issuer = crypto_kit.Issuer(1)
    side = _answering()
    other = crypto_kit.member(4, issuer, issuer.roots)
    gate = crypto_kit.Gate([crypto_kit.GROUP])
    for _ in range(limits.MAX_ATTEMPTS):
        near = Initiator(other.ephemerals, other.own, other.trust, b"\1", gate, ask=True, confirm=True)
        for _ in range(2):
            side.receive(crypto_kit.drive(near), 0)
            near.receive(crypto_kit.talk(side)[-1])
        crypto_kit.drive(near)
        assert near.unknown and side.error is None
    side.receive(bytes(40), 0)
    assert side.error is not None and side.error.code == code


def words() -> None:
    """So many are kept; then the one that was said first goes, and an older one is not taken."""
    one, board = enrolled_kit.Enrolled(71), enrolled_kit.Enrolled(72)
    said = [
        enrolled_kit.revocation(bytes(8), bytes((at,)) * 8, 0, at=crypto_kit.NOW + at)
        for at in range(limits.MAX_WORDS + 2)
    ]
    for word in said[1:]:
        one.members.take_word(word)
    assert one.members.words.all() == said[2:]
    one.members.take_word(said[0])
    assert one.members.words.all() == said[2:]
    for word in said[:1:-1]:
        board.members.take_word(word)
    assert board.members.words.digest() == one.members.words.digest()


def words_time() -> None:
    """So long who hangs up waits for words that the other side has and does not say."""
    one, two = enrolled_kit.Enrolled(73), enrolled_kit.Enrolled(74)
    two.members.take_word(enrolled_kit.revocation(bytes(8), b"somebody", 0))
    near, far = (
        Exchange(member.peer, 0, central=member is one, keys=enrolled_kit.Agreed(other.members.own.claims))
        for member, other in ((one, two), (two, one))
    )
    far._told_words = True
    for _ in range(20):
        for side, other in ((near, far), (far, near)):
            other.receive(side.outgoing(200, 0), 0)
    assert near.settled
    for at, ends in ((limits.WORDS_MS - 1, False), (limits.WORDS_MS, True)):
        near.outgoing(200, at)
        assert near.session.ending == ends


def issuers() -> None:
    """So many are kept beside the revocations, and the oldest goes for another issuer alone."""
    roots = [enrolled_kit.ROOT] + [crypto_kit.Issuer(80 + at) for at in range(limits.MAX_ISSUERS + 2)]
    one, board = enrolled_kit.Enrolled(77), enrolled_kit.Enrolled(78)
    said = [
        enrolled_kit.next_issuer(before, after, crypto_kit.NOW + at)
        for at, (before, after) in enumerate(itertools.pairwise(roots))
    ]
    for word in said[:-1]:
        one.members.take_word(word)
    one.members.take_word(said[-1])
    assert one.members.words.all() == said[2:]
    one.members.take_word(said[0])
    assert one.members.words.all() == said[2:]
    board.members.trust.roots.update(one.members.trust.roots)
    for word in said[::-1]:
        board.members.take_word(word)
    assert board.members.words.digest() == one.members.words.digest()


def fresh() -> None:
    """So many that are news wait to be said: of more the first ones, which sessions bring all the same."""
    one = enrolled_kit.Enrolled(73)
    for at in range(limits.MAX_FRESH + 2):
        one.members.take_word(enrolled_kit.revocation(bytes(8), bytes((at,)) * 8, 0))
    assert [brief[13] for brief in one.members.fresh] == list(range(2, limits.MAX_FRESH + 2))


def _batch(authors: int, moment: int = 1) -> bytes:
    one = enrolled_kit.Enrolled(74)
    receipts = [Receipt(b"keeper-1", 1, at.to_bytes(8, "big"), 1) for at in range(1, authors + 1)]
    keys = one.identity
    signing = sign_batch(one.p256, keys.keys[32:64], keys.sealing, crypto_kit.APP, moment, receipts)
    signed: bytes = finish(signing)
    return signed


def batch(code: str) -> None:
    assert len(Batch(_batch(limits.MAX_BATCH), crypto_kit.APP).entries) == limits.MAX_BATCH
    raises(code, Batch, _batch(limits.MAX_BATCH + 1), crypto_kit.APP)


def folded() -> None:
    """One that is a byte longer goes into no letter, which begins with a byte that says what it is."""
    keys = enrolled_kit.Enrolled(74)
    own = keys.identity
    for last, length in ((127, limits.MAX_FOLDED), (128, 0)):
        made = [
            Receipt(b"keeper-1", 1, bytes((at,)) * 8, number)
            for at, number in enumerate((1 << 21, 1 << 21, 1 << 14, 1, last))
        ]
        signing = sign_batch(keys.p256, own.keys[32:64], own.sealing, crypto_kit.APP, 1, made)
        assert len(Batch(finish(signing), crypto_kit.APP).fold()) == length
    assert limits.MAX_FOLDED + 1 == limits.MAX_FRAGMENTS * 16


def batch_apart() -> None:
    """Of two that are signed within that time one is said."""
    keeper = enrolled_kit.Enrolled(75, keeper=True, kinds=claims.KEEPS)
    for later, said in ((limits.BATCH_APART_S - 1, 1), (limits.BATCH_APART_S, 2)):
        gateway = enrolled_kit.Enrolled(76)
        gateway.members.add(keeper.members.own.name, keeper.members.own.claims)
        for moment in (crypto_kit.NOW, crypto_kit.NOW + later):
            receipt = Receipt(keeper.identity.author, 1, bytes(8), moment - crypto_kit.NOW + 1)
            own = keeper.identity
            signing = sign_batch(keeper.p256, own.keys[32:64], own.sealing, crypto_kit.APP, moment, [receipt])
            assert gateway.members.take_batch(finish(signing), gateway.peer)
        assert len(gateway.members.said) == said


def batches() -> None:
    """So many are kept; the one that is signed first goes."""
    keeper = enrolled_kit.Enrolled(75, keeper=True, kinds=claims.KEEPS)
    gateway = enrolled_kit.Enrolled(76)
    gateway.members.add(keeper.members.own.name, keeper.members.own.claims)
    said = []
    for at in range(limits.MAX_BATCHES + 2):
        receipt = Receipt(keeper.identity.author, 1, bytes((at,)) * 8, 1)
        keys = keeper.identity
        said.append(
            finish(sign_batch(keeper.p256, keys.keys[32:64], keys.sealing, crypto_kit.APP, 9 + at, [receipt]))
        )
        assert gateway.members.take_batch(said[-1], gateway.peer)
    vector = [(bytes((at,)) * 8, 1, 1, 0) for at in range(limits.MAX_BATCHES + 2)]
    assert gateway.members.batches(vector) == said[:1:-1]
