"""Enrolled peers in memory, for tests of rules and seals."""

from crypto_kit import APP, MODE, NOW, Issuer, finish
from kit import Random

from hedgerow.codec import cbor
from hedgerow.codec.schema import KEEP, schema_for
from hedgerow.codec.varint import write_uint
from hedgerow.crypto import claims, signer
from hedgerow.crypto.credentials import Credential, Trust
from hedgerow.crypto.identity import Identity
from hedgerow.crypto.members import ISSUER, REVOCATION, Members
from hedgerow.crypto.port import P256
from hedgerow.memory import MemoryLog, MemoryStore
from hedgerow.operation import INSERT
from hedgerow.peer import Peer
from hedgerow.sync import frames
from hedgerow.sync.exchange import Exchange
from hedgerow.sync.hello import GATEWAY
from hedgerow.trust.lost import seal_over
from hedgerow.trust.seal import SEAL_SIGNED

ROOT = Issuer(1)
_RECORD = 200


def varint(number: int) -> bytes:
    out = bytearray()
    write_uint(out, number)
    return bytes(out)


def revocation(author: bytes, cti: bytes, last: int, issuer: Issuer = ROOT, at: int = NOW) -> bytes:
    values = {
        claims.ISS: APP,
        claims.IAT: at,
        claims.CTI: cti,
        claims.AUTHOR: author,
        claims.LAST_NUMBER: last,
    }
    return finish(signer.sign1(issuer.p256, issuer.private, cbor.encode(values), issuer.kid, REVOCATION))


def next_issuer(one: Issuer, two: Issuer, at: int = NOW) -> bytes:
    """Return the word of one issuer that another comes after it."""
    values = {claims.ISS: APP, claims.IAT: at, claims.CNF: claims.key_of(two.public)}
    return finish(signer.sign1(one.p256, one.private, cbor.encode(values), one.kid, ISSUER))


class Enrolled:
    """A peer with an identity, a log of it, and what it knows of others."""

    def __init__(
        self,
        seed: int,
        scope: list | None = None,
        keeper: bool = False,
        role: int = GATEWAY,
        kinds: int = 0,
        mode: list = MODE,
    ) -> None:
        self.p256 = P256(Random(seed).bytes)
        self.identity = Identity.make(self.p256)
        store = MemoryStore()
        store.author = self.identity.author
        self.log = MemoryLog(store)
        self.kinds = kinds
        self.mode = mode
        trust = Trust(self.p256, dict(ROOT.roots), APP, mode)
        self.members = Members(self.log, trust, self.identity, self.sealed_under)
        self.renew(scope)
        self.peer = Peer(self.log, 0, role=role, mesh=b"msh", members=self.members, keeper=keeper)

    def sealed_under(self, author: bytes, number: int) -> bytes | None:
        seal = seal_over(self.log, author, number)
        return seal.credential if seal is not None and seal.kind == SEAL_SIGNED else None

    def renew(self, scope: list | None, at: int = NOW) -> bytes:
        """Get another credential; return it."""
        keys: dict = {"SEALING_KEY": self.identity.sealing, "AUTHOR": self.identity.author}
        keys.update(KINDS=self.kinds, MODE=self.mode)
        value = ROOT.credential(self.identity.agreement, SCOPE=scope or [["*", 3]], IAT=at, **keys)
        self.members.enrol(Credential(value))
        return value

    def put(self, collection: str, document_id: object, document: dict, kind: int = INSERT) -> int:
        schema = schema_for(collection, KEEP, document)
        change = [kind, schema.name, document_id, schema.pack(document)]
        return self.peer.write([change], [schema], 0)

    def show(self, collection: str) -> list:
        documents = self.peer.down.documents
        return sorted([row["_id"] for row in documents.scan(collection) if row is not None])


def entries(one: Enrolled) -> list:
    """Return everything that a log of an author holds, for another peer."""
    return one.log.read(one.identity.author, 0, 0, 1 << 20)


def hand(one: Enrolled, two: Enrolled, count: int = 1 << 20) -> None:
    """Bring what one wrote to two, in order, up to so many entries."""
    for schema in one.peer.schemas.values():
        two.peer.ingest_schema(schema.encoded)
    for kind, first, last, body in entries(one)[:count]:
        if kind == 0 and first > two.log.held(one.identity.author):
            two.peer.ingest(one.identity.author, first, [body])
        elif kind == 1 and last > two.log.sealed(one.identity.author):
            two.peer.ingest_seal(one.identity.author, body)
    two.peer.commit()


class Agreed:
    """Stands for keys that are agreed: the other side has a credential with these claims."""

    done = True
    plain = False
    error = None
    begun = True

    def __init__(self, other: claims.Claims) -> None:
        self.claims = other

    def give(self, limit: int, now: int) -> bytes:
        return b""

    def wake(self, now: int) -> None:
        return None

    seal = staticmethod(frames.seal_record)
    unseal = staticmethod(frames.open_record)


def meet(one: Enrolled, two: Enrolled, now: int = 0) -> tuple:
    """Hold a session of two members at a moment; return both sides, and the frames that were words."""
    sides = []
    for at, (member, other) in enumerate(((one, two), (two, one))):
        keys = Agreed(other.members.own.claims)
        sides.append(Exchange(member.peer, now, central=at == 0, keys=keys))
    said = []
    for _ in range(40):
        for at in range(2):
            record = sides[at].outgoing(_RECORD, now)
            if record:
                said += [kind for kind, _ in frames.read_frames(record[5:-8]) if kind == frames.WORD]
                sides[1 - at].receive(record, now)
    return sides[0], sides[1], len(said)
