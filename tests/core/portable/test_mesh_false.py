"""A false OP, which passes the short check, keeps nobody's operations from their keeper. Runs on both VMs."""

from kit import Random
from mesh_kit import KEY, Air, check_air, gradient
from sync_kit import board, converse, durable, operations, record
from sync_kit import gateway as plain_gateway
from sync_kit import keeper as plain_keeper
from test_mesh_gradient import line

from hedgerow import limits
from hedgerow.clock import hlc
from hedgerow.custody.skip import LOST, Skip
from hedgerow.log import ENTRY_SEAL, ENTRY_SKIP, MemoryStore
from hedgerow.mesh import asks, frames, letters, ops
from hedgerow.mesh.brief import encode_seal
from hedgerow.mesh.custody import name_of
from hedgerow.mesh.feed import frames_of, letter_frames
from hedgerow.mesh.mesh import Mesh
from hedgerow.mesh.outcome import KNOWN, TAKEN, WAITS
from hedgerow.operation import INSERT, decode_body, encode_body
from hedgerow.sync import hello
from hedgerow.trust.seal import NO_SEAL, make_seal
from hedgerow.trust.verify import doubt

HEAP = "8m"
HOUR = 3600000


def false_one(of: object, at: object, number: int) -> bytes:
    """Return the stored form of an operation that `of` never wrote, as what follows `number` - 1."""
    before = at.peer.log.fetch(of.author, number - 1)
    schema = list(of.peer.schemas.values())[0]
    stamp = hlc.pack(hlc.stamp_ms(decode_body(before)[0]) + 500)
    return encode_body(stamp, [[INSERT, schema.name, None, [999] * len(schema.fields)]])


def false_op(of: object, at: object, number: int) -> bytes:
    """Return the payload of an OP with it."""
    before = at.peer.log.fetch(of.author, number - 1)
    before_ms = hlc.stamp_ms(decode_body(before)[0])
    body = ops.pack(of.author, number, false_one(of, at, number), of.peer.schemas, before_ms, before)
    return frames.advertise(frames.make(frames.OP, of.peer.mesh, body, KEY))


def hear(air: Air, members: list, payload: bytes) -> None:
    for member in members:
        member.mesh.heard(b"forger", -60, payload, member.now(air.now))
        air.look(member)


def poisoned(air: Air, count: int, where: list) -> tuple:
    """Return (keeper, far): those of the line who stand at `where` hold what far never wrote."""
    keeper, members = line(air, count)
    far = members[-1]
    # What is true comes later, and its number is taken then.
    stations = [([keeper] + members)[at] for at in where]
    air.run(60000)
    for _ in range(6):
        air.reading(far)
        air.run(air.now + 5000)
    air.run(air.now + 60000)
    air.settle([keeper], [far], 300000)
    number = keeper.peer.log.held(far.author) + 1
    hear(air, stations, false_op(far, keeper, number))
    for station in stations:
        assert station.peer.log.held(far.author) == number
    for at in range(30):
        air.at(air.now + at * 30000, air.reading, far)
    return keeper, far


def wrong_seal(author: bytes, first: int, last: int) -> bytes:
    return make_seal(author, first, last, [bytes(16)] * (last - first + 1), NO_SEAL)


def say_seal(air: Air, at: object, of: object, first: int, last: int) -> None:
    """Have a peer hear a seal that does not fit."""
    content = bytes((letters.SEAL,)) + of.author + wrong_seal(of.author, first, last)
    for part in letter_frames(of.peer, content, KEY):
        hear(air, [at], frames.advertise(part))


def check_arrived(air: Air, keeper: object, far: object) -> None:
    # What has no receipt is pushed again after half an hour, and after twice as long each time.
    until = air.now + 6 * HOUR
    while far.peer.receipted(far.author) < far.peer.log.held(far.author) and air.now < until:
        air.run(air.now + 60000)
    assert keeper.peer.log.held(far.author) == far.peer.log.held(far.author)
    assert far.peer.receipted(far.author) >= far.acked
    check_air(air)


def test_what_a_false_op_spoilt_comes_again() -> None:
    """At the keeper alone, with a relay that has it as well, and at a relay alone."""
    for where in ([0], [0, 1], [1]):
        air = Air(3, loss=10)
        keeper, far = poisoned(air, 2, where)
        air.run(air.now + HOUR // 2)
        check_arrived(air, keeper, far)


def test_a_relay_that_only_passes_on_is_no_hindrance() -> None:
    with gradient():
        air = Air(4, loss=10)
        keeper, far = poisoned(air, 3, [0])
        air.run(air.now + HOUR // 2)
        check_arrived(air, keeper, far)


def test_the_short_check_is_not_trusted_twice() -> None:
    """What was given up comes whole: neither the false OP nor a true one takes its place."""
    air = Air(5, loss=0, duty=100)
    keeper, far = line(air, 1)
    far = far[0]
    air.run(60000)
    air.reading(far)
    air.run(air.now + 5000)
    far.peer.seal(far.now(air.now))
    air.run(air.now + 60000)
    sealed = keeper.peer.log.sealed(far.author)
    assert sealed == keeper.peer.log.held(far.author) > 1
    payload = false_op(far, keeper, sealed + 1)
    air.unlink(keeper, far)
    hear(air, [keeper], payload)
    assert keeper.peer.log.held(far.author) == sealed + 1
    say_seal(air, keeper, far, sealed + 1, sealed + 2)
    assert keeper.peer.log.held(far.author) == sealed + 1, "a seal over more than is here spoils nothing"
    say_seal(air, keeper, far, sealed + 1, sealed + 1)
    assert keeper.peer.log.held(far.author) == sealed
    air.reading(far)
    stored = far.peer.log.fetch(far.author, sealed + 1)
    true = frames_of(far.peer, far.author, sealed + 1, stored, KEY)
    assert len(true) == 1
    hear(air, [keeper], payload)
    hear(air, [keeper], frames.advertise(true[0]))
    assert keeper.peer.log.held(far.author) == sealed
    asked = []
    air.on_sent = lambda member, sent: asked.append(sent) if sent[4] & 15 == frames.WANT else None
    air.run(air.now + 60000)
    wanted = [asks.decode_want(sent[4:]) for sent in asked]
    assert (asks.WANT_WHOLE, [(far.author[:3], sealed + 1)]) in wanted
    assert not [1 for what, _ in wanted if what == asks.WANT_OPERATIONS], wanted
    air.link(keeper, far)
    check_arrived(air, keeper, far)


def test_who_goes_on_with_it_cannot_make_it_go_round() -> None:
    """However often seals are said that do not fit: operations are given up twice an hour."""
    air = Air(6, loss=0, duty=100)
    keeper, members = line(air, 2)
    far = members[1]
    air.run(60000)
    for _ in range(6):
        air.reading(far)
    air.run(air.now + 120000)
    falls = []
    real = keeper.peer.log.cut

    def cut(author: bytes, held: int) -> None:
        falls.append(air.now)
        real(author, held)

    keeper.peer.log.cut = cut
    for at in range(0, HOUR + HOUR // 3, 60000):
        held = keeper.peer.log.held(far.author)
        sealed = keeper.peer.log.sealed(far.author)
        if held > sealed:
            say_seal(air, keeper, far, sealed + 1, held)
        if not at % 600000:
            air.reading(far)
        air.run(air.now + 60000)
    assert 2 <= len(falls) <= 3, falls
    for at in range(1, len(falls)):
        assert falls[at] - falls[at - 1] >= limits.DOUBT_MS
    check_arrived(air, keeper, far)


def test_who_shares_a_short_name_loses_nothing_by_the_others_seal() -> None:
    """A brief seal names its author by 3 bytes: it is not another one's that does not fit."""
    air = Air(7, loss=0, duty=100)
    keeper = air.add("keeper", hello.GATEWAY, True)
    twins = [air.add("a", author=b"twins-01"), air.add("b", author=b"twins-02")]
    air.all([keeper] + twins)
    air.run(20000)
    for _ in range(20):
        for twin in twins:
            for _ in range(1 + (twin is twins[0])):
                air.reading(twin)
        air.run(air.now + 10000)
    real = keeper.peer.log.cut
    falls = []
    keeper.peer.log.cut = lambda author, held: falls.append(author) or real(author, held)
    air.run(air.now + HOUR)
    assert not falls
    for twin in twins:
        check_arrived(air, keeper, twin)


def give(at: Mesh, of: object, count: int, wrong: int = 0) -> None:
    """Let a peer hold so many operations of another one, of which a number is not what that wrote."""
    bodies = [body for _, body in operations(of.log, of.author)][:count]
    if wrong:
        schema = list(of.schemas.values())[0]
        bodies[wrong - 1] = encode_body(hlc.pack(5), [[INSERT, schema.name, None, [7, 7]]])
    at.peer.ingest(of.author, 1, bodies)
    at.peer.commit()


def keeper_of(authors: list) -> Mesh:
    """Return the engine of a keeper that knows some names, with their schema."""
    mesh = Mesh(plain_keeper(), 0, random=Random(1).below, key=KEY, role=hello.GATEWAY)
    for author in authors:
        mesh.names.learn(author.author, 0)
        mesh.peer.ingest_schema(list(author.schemas.values())[0].encoded)
    return mesh


def sealed_board(store: object, count: int) -> tuple:
    """Return (a board with so many operations, the content of a letter with its seal over them)."""
    one = board(store=store)
    record(one, count - 1)
    one.seal(9000)
    seal = one.log.read(one.author, 1 << 30, 0, 1)[0][3]
    content = encode_seal(one.author, seal, one.log, one.schemas)
    assert content[0] == letters.SEAL_BRIEF
    return one, content


def test_a_brief_seal_may_be_that_of_any_twin() -> None:
    """One that one of them has, or lacks operations for, does not show that the other one's are false."""
    for order in (b"12", b"21"):
        one, content = sealed_board(MemoryStore(b"twins-0" + order[:1]), 7)
        other = sealed_board(MemoryStore(b"twins-0" + order[1:]), 9)[0]
        at = keeper_of([one, other])
        give(at, other, 9)
        if order == b"12":
            at.peer.ingest_seal(other.author, other.log.read(other.author, 1 << 30, 0, 1)[0][3])
        give(at, one, 3)
        assert at.intake.take(content, 9, 0) == WAITS and not at.peer.doubts
        give(at, one, 7)
        at.intake.moved(one.author, 0)
        assert at.peer.log.sealed(one.author) == 7
        assert at.intake.take(content, 9, 0) == KNOWN
        assert not at.peer.doubts and at.peer.log.held(other.author) == 9
        # It is that of one of whom all are here, and fits neither.
        at = keeper_of([one, other])
        give(at, other, 9)
        give(at, one, 7, 3)
        at.peer.touched.clear()
        assert at.intake.take(content, 9, 0) == WAITS
        assert one.author in at.peer.touched and durable(at.peer).held(one.author) == 0
        assert at.peer.log.held(one.author) == 0 and at.peer.doubts[one.author][0] == 7


def test_what_brings_it_again_may_be_letters_that_were_here() -> None:
    """Such frames are known, and what they say, and count again all the same."""
    one, content = sealed_board(MemoryStore(b"author-1"), 3)
    at = keeper_of([one])
    parts = []
    for number, body in operations(one.log, one.author):
        parts += letter_frames(at.peer, letters.encode_operation(one.author, number, body), KEY)
    for part in parts:
        hear_frame(at, part, 1000)
    assert at.peer.log.held(one.author) == 3
    # What a forger has put in the place of the second one.
    at.peer.log.cut(one.author, 0)
    give(at, one, 3, 2)
    assert at.intake.take(content, 9, 2000) == WAITS and at.peer.log.held(one.author) == 0
    for part in parts:
        hear_frame(at, part, 3000)
    assert at.peer.receipted(one.author) == 3


def hear_frame(at: Mesh, frame: bytes, now: int) -> None:
    at.heard(b"nearby", -60, frames.advertise(frame), now)
    at._refresh(now)


def test_what_followed_on_a_false_one_is_not_the_way_to_the_next() -> None:
    """A session has brought it again: the next OP is rebuilt behind what it brought."""
    one, content = sealed_board(MemoryStore(b"author-1"), 4)
    at = keeper_of([one])
    give(at, one, 2)
    schema = list(one.schemas.values())[0]
    wrong = [hlc.pack(stamp_ms(one, at_) + 200000 * (at_ - 2)) for at_ in (3, 4)]
    for number in (3, 4):
        before = at.peer.log.fetch(one.author, number - 1)
        stored = encode_body(wrong[number - 3], [[INSERT, schema.name, None, [7, 7]]])
        body = ops.pack(one.author, number, stored, one.schemas, hlc.stamp_ms(decode_body(before)[0]), before)
        frame = frames.make(frames.OP, at.peer.mesh, body, KEY)
        assert at.intake.take(frame, name_of(frame), 0) == TAKEN
    assert at.intake.take(content, 9, 0) == WAITS
    give(at, one, 4)
    at.intake.moved(one.author, 0)
    assert at.peer.receipted(one.author) == 4
    record(one, 1, 20000)
    frame = frames_of(one, one.author, 5, one.log.fetch(one.author, 5), KEY)[0]
    assert at.intake.take(frame, name_of(frame), 0) == TAKEN
    assert operations(at.peer.log, one.author) == operations(one.log, one.author)


def stamp_ms(of: object, number: int) -> int:
    return hlc.stamp_ms(decode_body(of.log.fetch(of.author, number))[0])


def test_a_session_brings_it_again_at_once() -> None:
    """A gateway, and the keeper behind it, have something else of a board than it wrote."""
    for count in (3, 40):
        leaf, middle, top = board(), plain_gateway(), plain_keeper()
        record(leaf, count)
        first = leaf.log.read(leaf.author, 0, 0, 1)[0][3]
        wrong = [first]
        for schema in leaf.schemas.values():
            middle.ingest_schema(schema.encoded)
        wrong.append(encode_body(hlc.pack(5000), [[INSERT, schema.name, None, [7, 7]]]))
        middle.ingest(leaf.author, 1, wrong)
        middle.commit()
        now = converse(middle, top, 2000).now
        assert operations(top.log, leaf.author) == [(1, first), (2, wrong[1])]
        pipe = converse(leaf, middle, now)
        assert [end.error for end in pipe.ends] == [None, None]
        assert operations(middle.log, leaf.author) == operations(leaf.log, leaf.author)
        pipe = converse(middle, top, pipe.now)
        assert operations(top.log, leaf.author) == operations(leaf.log, leaf.author)
        assert top.receipted(leaf.author) == middle.receipted(leaf.author) == leaf.log.held(leaf.author)


def test_a_gateway_that_comes_late_checks_the_seals_from_the_receipt_on() -> None:
    """What the receipt covers is not here, nor the seals over it."""
    leaf, middle, top = board(), plain_gateway(), plain_keeper()
    record(leaf, 5)
    now = converse(leaf, top, 4000).now
    middle.ingest_receipt(top.receipt(leaf.author))
    receipted = middle.receipted(leaf.author)
    assert receipted == leaf.log.held(leaf.author) > 5
    record(leaf, 40, now)
    leaf._near = (255, now)
    pipe = converse(leaf, middle, now + 20000)
    assert pipe.ends[1].refused == {}
    assert middle.log.sealed(leaf.author) == leaf.log.held(leaf.author) > receipted + 40 - 1


def test_a_session_gives_up_nothing_twice() -> None:
    """Who brings a seal that does not fit what it brings is refused the second time."""
    leaf, top = board(), plain_keeper()
    record(leaf, 3)
    leaf.seal(3000)
    leaf.log.read = _seals_are(leaf.log.read, wrong_seal(leaf.author, 1, 4))
    for taken in (8, 0):
        pipe = converse(leaf, top, 4000)
        assert pipe.ends[1].refused == {leaf.author: "SEAL_INVALID"}
        assert pipe.ends[1].operations_in == taken
        assert top.log.held(leaf.author) == 4 and top.receipted(leaf.author) == 0


def _seals_are(read: object, wrong: bytes) -> object:
    return lambda *args: [entry[:3] + (wrong,) if entry[0] == 1 else entry for entry in read(*args)]


def test_what_is_given_up_is_so_for_good_and_nothing_that_is_sealed() -> None:
    one = sealed_board(MemoryStore(b"author-1"), 4)[0]
    for reaches in (0, 1):
        at = keeper_of([one])
        give(at, one, 2)
        log = at.peer.log
        log.append(ENTRY_SKIP, one.author, 3, 5, Skip(3, 5, LOST, [1, bytes(6)]).encode())
        log.append(ENTRY_SEAL, one.author, 1, 2 + reaches, wrong_seal(one.author, 1, 2 + reaches))
        at.peer.commit()
        assert doubt(at.peer, one.author, b"no seal", 0) is False
        # A skip is not cut in two: its beginning has a receipt.
        assert doubt(at.peer, one.author, None, 0) is not bool(reaches)
        assert durable(at.peer).held(one.author) == (5 if reaches else 2)
        assert at.peer.receipted(one.author) == 2 + reaches
        assert doubt(at.peer, at.peer.author, None, 0) is False
