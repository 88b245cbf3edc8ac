"""Sessions with keys: the beginning of a link, sealed records, whose hello counts, and who has no keys."""

from crypto_kit import APP, GROUP, Issuer, finish, member
from kit import Random, raises

from hedgerow import limits
from hedgerow.codec import cbor
from hedgerow.crypto import claims
from hedgerow.crypto.channel import Answering, Opening
from hedgerow.crypto.credentials import Credential
from hedgerow.crypto.greeting import Greeting
from hedgerow.crypto.handshake import Gate
from hedgerow.crypto.identity import KEYS, Identity
from hedgerow.crypto.port import P256
from hedgerow.sync import frames
from hedgerow.sync.hello import KEEPER, Hello
from hedgerow.sync.session import Session

HEAP = "1200k"
GATEWAY = b"author-g"
BIG = b"author-b"


class World:
    """A gateway and a keeper, each with a credential."""

    def __init__(self, kinds: int = claims.KEEPS) -> None:
        self.root = Issuer(1)
        self.gateway = member(3, self.root, self.root.roots, AUTHOR=GATEWAY)
        self.big = member(4, self.root, self.root.roots, False, AUTHOR=BIG, KINDS=kinds)

    def sides(
        self, now: int = 0, to: bytes | None = None, author: bytes = GATEWAY, **options: object
    ) -> tuple:
        near = Session(Hello(b"msh", author), now, Greeting(Opening(self.gateway, now, to, Gate([GROUP]))))
        greeting = Greeting(Answering(self.big, now), **options)
        return near, Session(Hello(b"msh", BIG, role=KEEPER), now, greeting)


def carry(one: Session, two: Session, now: int = 0, cut: int = 0, change: object = None) -> list:
    """Move bytes both ways until both are silent, in pieces of `cut` bytes; return the records."""
    said: list = []
    sides = [one, two]
    silent = 0
    while silent < 2:
        record = sides[0].outgoing(1200, now)
        silent = 0 if record else silent + 1
        if record:
            said.append(bytes(record))
            data = change(len(said), record) if change else record
            for at in range(0, len(data), cut or len(data)):
                sides[1].receive(data[at : at + (cut or len(data))], now)
        else:
            sides.reverse()
    return said


def kinds_of(said: list) -> list:
    return [record[2] for record in said]


def code(session: Session) -> str | None:
    return session.error and session.error.code


def test_keys_come_first_and_seal_everything() -> None:
    for cut in (0, 1, 20):
        near, far = World().sides()
        near.queue(frames.TIME_ASK)
        said = carry(near, far, cut=cut)
        assert near.remote.author == BIG and far.remote.author == GATEWAY
        assert kinds_of(said) == [0x13] * 4 + [0x11] * 2
        # No word of a hello or a credential is in the clear.
        assert GATEWAY not in b"".join(said) and BIG not in b"".join(said)
        assert near.bytes_out + far.bytes_out == sum([len(record) for record in said])


def test_a_long_message_goes_in_parts() -> None:
    near, far = World().sides()
    said = carry(near, far)
    assert max([len(record) for record in said]) <= limits.FIRST_RECORD
    big = World()
    big.big = member(9, big.root, big.root.roots, False, AUTHOR=BIG, KINDS=1, METADATA={"about": "x" * 900})
    near, far = big.sides()
    said = carry(near, far)
    assert near.remote and far.remote and 0x12 in kinds_of(said)


def test_whoever_met_resumes_without_a_multiplication() -> None:
    world = World()
    near, far = world.sides()
    carry(near, far)
    to = near.keys.channel.remote
    for peer in (world.gateway, world.big):
        peer.ephemerals.p256.multiplications = 0
    near, far = world.sides(to=to)
    said = carry(near, far)
    assert near.remote and far.remote and near.keys.channel.resumed and far.keys.channel.resumed
    assert [peer.ephemerals.p256.multiplications for peer in (world.gateway, world.big)] == [0, 0]
    greetings = [len(record) for record in said if record[2] in (0x12, 0x13)]
    assert greetings == [3 + 14, 3 + 16, 3 + 8]


def test_a_byte_changed_anywhere_ends_it_before_anything_counts() -> None:
    near, far = World().sides()
    total = sum([len(record) for record in carry(near, far)])
    random = Random(5)
    for _ in range(24):
        at = random.below(total)
        seen = [0]

        def change(_: int, record: bytes, at: int = at, seen: list = seen) -> bytes:
            place = at - seen[0]
            seen[0] += len(record)
            if not 0 <= place < len(record):
                return record
            return record[:place] + bytes((record[place] ^ 0x20,)) + record[place + 1 :]

        near, far = World().sides()
        carry(near, far, change=change)
        for _ in range(3):
            # Whoever waits for what does not come gives up.
            carry(near, far, now=limits.HANDSHAKE_MS + 1)
        assert not (near.remote and far.remote) or code(near) or code(far), at


def test_who_has_no_keys_is_refused_and_told() -> None:
    plain = Session(Hello(b"msh", GATEWAY), 0)
    _, far = World().sides()
    said = carry(plain, far)
    assert code(far) == "SESSION_PLAIN" and code(plain) == "SESSION_PLAIN" and far.remote is None
    assert kinds_of(said) == [0x10, 0x10]
    # The other way about: whoever wants keys takes nobody's word for that there are none.
    near, _ = World().sides()
    other = Session(Hello(b"msh", BIG, role=KEEPER), 0)
    carry(near, other)
    assert code(near) == "SESSION_PLAIN" and near.remote is None


def test_a_playground_hears_both() -> None:
    plain = Session(Hello(b"msh", GATEWAY), 0)
    _, far = World().sides(optional=True)
    carry(plain, far)
    assert plain.remote.author == BIG and far.remote.author == GATEWAY and far.keys is None
    near, far = World().sides(optional=True)
    carry(near, far)
    assert far.remote and far.keys.done
    # Once there are keys nothing in the clear is taken.
    far.receive(frames.seal_record(1, b""), 0)
    assert code(far) == "RECORD_VERSION"


def test_a_hello_is_by_the_author_of_the_credential() -> None:
    world = World()
    near, far = world.sides()
    near._queue[0] = (frames.HELLO, Hello(b"msh", b"another!").encode())
    carry(near, far)
    assert code(far) == code(near) == "CREDENTIAL_AUTHOR" and far.remote is None


def test_only_a_keeper_says_that_it_is_one() -> None:
    world = World(kinds=claims.GIVES_TIME)
    near, far = world.sides()
    carry(near, far)
    assert code(near) == code(far) == "CREDENTIAL_KIND" and near.remote is None
    near, far = World(kinds=claims.KEEPS).sides()
    carry(near, far)
    assert near.trusts(claims.KEEPS) and not near.trusts(claims.GIVES_TIME)
    assert Session(Hello(b"msh", GATEWAY), 0).trusts(claims.GIVES_TIME)


def test_a_revoked_one_is_refused_at_the_next_contact() -> None:
    world = World()
    near, far = world.sides()
    carry(near, far)
    to = near.keys.channel.remote
    world.big.trust.revoked[far.keys.claims.cti] = 7
    near, far = world.sides(to=to)
    carry(near, far)
    assert code(far) == "CREDENTIAL_REVOKED" and code(near) == "HANDSHAKE_REFUSED"
    assert near.remote is None and far.remote is None and near.closed and far.closed


def test_with_a_delegate_all_that_it_enrolled_are_out() -> None:
    world = World()
    delegate = world.root.delegate(7)
    named = {"SEALING_KEY": delegate.public, "SALT": bytes(16)}
    author = claims.author_of(delegate.public, bytes(16))
    world.gateway = member(8, delegate, world.root.roots, AUTHOR=author, **named)
    near, far = world.sides(author=author)
    carry(near, far)
    assert far.error is None
    to = near.keys.channel.remote
    world.big.trust.revoked[delegate.cti] = 0
    near, far = world.sides(to=to, author=author)
    carry(near, far)
    assert code(far) == "CREDENTIAL_REVOKED" and far.remote is None


def test_what_comes_before_the_keys_is_bounded() -> None:
    _, far = World().sides()
    part = frames.struct.pack(">HB", 501, 0x12) + bytes(500)
    sent = 0
    while not far.error:
        far.receive(part, 0)
        sent += 500
    assert code(far) == "HANDSHAKE_INVALID" and limits.MAX_UNPROVEN < sent <= limits.MAX_UNPROVEN + 500
    assert far.outgoing(1200, 0) == b"" and far.closed


def test_silence_before_the_keys_ends_in_time() -> None:
    _, far = World().sides()
    assert far.next_wakeup(0) == limits.FIRST_MESSAGE_MS
    assert far.outgoing(1200, limits.FIRST_MESSAGE_MS) == b""
    assert code(far) == "HANDSHAKE_TIMEOUT" and far.closed
    near, _ = World().sides()
    assert near.outgoing(1200, 0)
    assert near.outgoing(1200, limits.HANDSHAKE_MS) == b"" and code(near) == "HANDSHAKE_TIMEOUT"


def test_one_slice_at_a_time() -> None:
    world = World()
    near, far = world.sides(at_once=False)
    record = near.outgoing(1200, 0)
    far.receive(record, 0)
    calls = 0
    while not (said := far.outgoing(1200, 0)):
        assert far.next_wakeup(0) == 0
        calls += 1
    assert calls and said[2] in (0x12, 0x13)


def test_an_identity_proves_what_it_has() -> None:
    random = Random(8).bytes
    p256 = P256(random)
    one = Identity.make(p256)
    same = Identity(p256, one.keys)
    assert (same.agreement, same.sealing, same.author) == (one.agreement, one.sealing, one.author)
    anew = one.reformatted()
    assert anew.sealing == one.sealing and anew.author != one.author and len(anew.keys) == KEYS
    root = Issuer(2)
    own = Credential(root.credential(one.agreement, SEALING_KEY=one.sealing, AUTHOR=one.author))
    assert one.own(own).name == own.name
    other = Credential(root.credential(Identity.make(p256).agreement))
    assert raises("CREDENTIAL_INVALID", one.own, other)
    assert raises("KEY_INVALID", Identity, p256, one.keys[1:])
    said = one.prove(APP, b"c" * 40, root.public)
    covered = cbor.encode(["hedgerow proof", APP, b"c" * 40, one.agreement, one.sealing, one.author])
    assert finish(p256.verify(one.sealing, covered, said["signature"])) and len(said["tag"]) == 16
