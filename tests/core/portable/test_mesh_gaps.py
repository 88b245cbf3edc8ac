"""What waits for something missing, and how that is asked for until it has come. Runs on both VMs."""

from kit import Random
from mesh_kit import KEY, Air, away, check_air
from sync_kit import keeper as a_keeper

from hedgerow import limits
from hedgerow.log import ENTRY_SEAL, STATE_CUSTODY, MemoryLog, MemoryStore
from hedgerow.mesh import asks, brief, frames, letters, pace
from hedgerow.mesh.custody import name_of
from hedgerow.mesh.feed import frames_of, letter_frames, seal_letter
from hedgerow.mesh.mesh import Mesh
from hedgerow.mesh.outcome import REFUSED, TAKEN, WAITS
from hedgerow.sync import hello

HEAP = "8m"


def pair(seed: int, readings: int, loss: int = 0) -> tuple:
    """Two who know each other's names and schemas; one has recorded much that the other has not heard."""
    air = Air(seed, loss=loss, duty=100)
    one, other = air.add("one", author=b"one-auth"), air.add("other", author=b"other-au")
    air.link(one, other)
    air.reading(one)
    air.run(20000)
    assert other.peer.log.held(one.author) == one.peer.log.held(one.author)
    air.unlink(one, other)
    for at in range(readings):
        air.at(21000 + 100 * at, air.reading, one)
    air.run(21000 + 100 * readings + 30000)
    return air, one, other


def op(member: object, number: int) -> bytes:
    stored = member.peer.log.fetch(member.author, number)
    return frames_of(member.peer, member.author, number, stored, KEY)[0]


def take(other: object, frame: bytes, now: int) -> int:
    return other.mesh.intake.take(frame, int.from_bytes(frame[-3:], "big"), now)


def test_what_follows_is_taken_though_no_more_may_wait() -> None:
    air, one, other = pair(1, limits.MESH_WAITING + 20)
    base = other.peer.log.held(one.author)
    now = other.now(air.now)
    last = one.peer.log.held(one.author)
    # The newest come first, and fill the table; what comes before them takes their places.
    for number in range(last, base + 1, -1):
        assert take(other, op(one, number), now) == WAITS
    waiting = other.mesh.intake.waiting
    numbers = sorted([what[7] << 8 | what[8] for what, _, _ in waiting.values()])
    assert numbers == list(range(base + 2, base + 2 + limits.MESH_WAITING))
    assert take(other, op(one, last), now) == REFUSED
    assert take(other, op(one, base + 1), now) == TAKEN
    assert other.peer.log.held(one.author) == base + 1 + limits.MESH_WAITING and not waiting


def test_a_gap_is_asked_for_however_often_nobody_answers() -> None:
    air, one, other = pair(2, 3)
    frame = op(one, one.peer.log.held(one.author))
    assert take(other, frame, other.now(air.now)) == WAITS
    air.run(air.now + 600000)
    assert other.mesh.stats["wants"] > pace.ASKS
    air.links[one].append(other)
    air.links[other].append(one)
    air.settle([other], [one], 64000)
    check_air(air)


def test_one_answer_after_the_other_fills_a_long_gap() -> None:
    air, one, other = pair(3, 90)
    asked: list = []

    def sent(member: object, payload: bytes) -> None:
        if member is other and payload[frames.find(payload)] & 15 == frames.WANT:
            asked.append(payload)

    air.on_sent = sent
    air.links[one].append(other)
    air.links[other].append(one)
    assert take(other, op(one, one.peer.log.held(one.author)), other.now(air.now)) == WAITS
    air.look(other)
    # 16 at a time, and hardly a wait between them: about as long as saying them takes.
    air.settle([other], [one], 60000)
    assert len(asked) <= 16, len(asked)
    check_air(air)


def test_a_question_of_others_is_for_us_only_if_it_asks_for_what_we_lack() -> None:
    for bits, waits in ((0b1, True), (0b10, False)):
        air, one, other = pair(4, 3)
        now = other.now(air.now)
        assert take(other, op(one, one.peer.log.held(one.author)), now) == WAITS
        due = other.mesh.repair.due()
        low = other.peer.log.held(one.author) + 1
        body = asks.encode_want(asks.WANT_OPERATIONS, [(one.author, low, bits)])
        other.mesh.repair.heard_want(frames.make(frames.WANT, other.peer.mesh, body, KEY), now)
        assert (other.mesh.repair.due() > due) == waits


def test_where_no_more_is_asked_for_letters_make_room() -> None:
    air, one, other = pair(5, 3)
    now = other.now(air.now)
    repair = other.mesh.repair
    for at in range(limits.MESH_WANTS):
        repair.want(asks.WANT_LETTERS, b"l" + at.to_bytes(2, "big"), now)
    repair.want(asks.WANT_LETTERS, b"one", now)
    assert (asks.WANT_LETTERS, b"one") not in repair._wants
    assert take(other, op(one, one.peer.log.held(one.author)), now) == WAITS
    assert (asks.WANT_OPERATIONS, one.author) in repair._wants
    assert len(repair._wants) == limits.MESH_WANTS


def test_what_a_session_brought_is_told_at_once() -> None:
    air, one, other = pair(6, 40)
    third = air.add("third", author=b"third-au")
    air.link(other, third)
    air.run(air.now + 200000)
    number = other.peer.log.held(one.author) + 1
    held = one.peer.log.held(one.author)
    # As a session does it.
    while number <= held:
        other.peer.ingest(one.author, number, [one.peer.log.fetch(one.author, number)])
        number += 1
    other.peer.commit()
    air.look(other)
    air.settle([third], [one], 30000)
    check_air(air)


def test_what_a_session_brought_waits_no_more() -> None:
    air, one, other = pair(8, 12)
    base, held = other.peer.log.held(one.author), one.peer.log.held(one.author)
    for number in range(base + 2, held + 1):
        assert take(other, op(one, number), other.now(air.now)) == WAITS
    for number in range(base + 1, held - 2):
        other.peer.ingest(one.author, number, [one.peer.log.fetch(one.author, number)])
    other.peer.commit()
    air.look(other)
    air.run(air.now + 1000)
    assert not other.mesh.intake.waiting and other.peer.log.held(one.author) == held


def test_seals_beyond_those_that_both_have_are_found_and_then_nothing_more_is_said() -> None:
    """With no keeper for a day there are many: the first two of them are of no use to who has them."""
    for size, has, steps in ((4, 2, 5), (4, 4, 5), (1, 12, 30), (3, 0, 6), (7, 11, 12)):
        air = Air(11, loss=0, duty=100)
        one, other = air.add("one", author=b"one-auth"), air.add("other", author=b"other-au")
        writer = air.add("writer", author=b"writer-1")
        for _step in range(steps):
            for _ in range(size):
                air.reading(writer)
            writer.peer.seal(0)
        for copy, seals in ((one, steps), (other, has)):
            for schema in writer.peer.schemas.values():
                copy.peer.ingest_schema(schema.encoded)
            for number in range(1, writer.peer.log.held(writer.author) + 1):
                copy.peer.ingest(writer.author, number, [writer.peer.log.fetch(writer.author, number)])
            for entry in writer.peer.log.read(writer.author, 1 << 30, 0, 1 << 20)[:seals]:
                assert entry[0] == ENTRY_SEAL
                copy.peer.ingest_seal(writer.author, entry[3])
            copy.peer.commit()
        air.link(one, other)
        air.run(240000)
        assert other.peer.log.sealed(writer.author) == writer.peer.log.held(writer.author), (size, has)
        said = other.mesh.stats["said"] + one.mesh.stats["said"]
        air.run(300000)
        assert other.mesh.stats["said"] + one.mesh.stats["said"] - said < 12
        check_air(air)


def test_a_letter_with_a_seal_is_answered_though_many_were_said_since() -> None:
    """Who lacked two fragments asked for them in vain until the digests showed the seal, minutes later."""
    air, one, _ = pair(1, 3)
    now = one.now(air.now)
    one.peer.seal(now)
    air.run(air.now + 20000)
    (seal,) = [
        entry[3]
        for entry in one.peer.log.read(one.author, 1 << 30, one.peer.log.sealed(one.author) - 1, 1)
        if entry[0] == ENTRY_SEAL
    ]
    parts = letter_frames(one.peer, seal_letter(one.peer, one.author, seal), KEY)
    now = one.now(air.now)
    mesh = one.mesh
    mesh._said_letters = []
    rebuilt = []
    unfold = brief.unfold_seal
    brief.unfold_seal = lambda *given: rebuilt.append(1) or unfold(*given)
    for asked, mask in ((parts[0][4:7], 1), (b"one", 1)):
        entry = asks.encode_want(asks.WANT_LETTERS, [(asked, mask)])
        for name in [name_of(part) for part in parts]:
            mesh.speaker.drop(name)
        mesh.repair.heard_want(frames.make(frames.WANT, one.peer.mesh, entry, KEY), now)
        said = [index for index in range(len(parts)) if name_of(parts[index]) in mesh.speaker.names]
        # One is looked for in a while.
        assert not mesh.repair._seal_of(parts[0][4:7], now)
        now += pace.ASK_MS
        assert said == ([0] if asked != b"one" else [])
        # To read all of a seal's operations takes a board seconds: none for a name that is another's.
        assert len(rebuilt) == 1
    brief.unfold_seal = unfold


def test_twins_who_take_each_other_for_themselves_do_not_talk_for_ever() -> None:
    air = Air(7, loss=0, duty=100)
    members = [air.add("b%d" % at, author=b"twins-0%d" % at) for at in range(2)]
    air.line(members)
    for member in members:
        # They have not heard each other's names.
        member.mesh.down.heard_announce = lambda frame, name, now: None
    air.reading(members[0])
    air.run(600000)
    assert sum([member.mesh.stats["haves"] for member in members]) <= 30


def test_a_seal_waits_at_a_gateway_though_as_many_operations_do_as_may() -> None:
    air = Air(9, loss=0, duty=100)
    keeper = air.add("keeper", hello.GATEWAY, True, author=b"keeper-1")
    one = air.add("one", author=b"one-auth")
    air.link(keeper, one)
    air.reading(one)
    air.run(20000)
    air.unlink(keeper, one)
    for at in range(40):
        air.at(21000 + 100 * at, air.reading, one)
    air.run(60000)
    now = keeper.now(air.now)
    base, last = keeper.peer.log.held(one.author), one.peer.log.held(one.author)
    for number in range(base + 2, base + 2 + limits.MESH_WAITING):
        assert take(keeper, op(one, number), now) == WAITS
    assert take(keeper, op(one, last), now) == REFUSED
    one.peer.seal(one.now(air.now))
    for kind, _, _, body in one.peer.log.read(one.author, 0xFFFFFFFF, 0, 4000):
        if kind == ENTRY_SEAL:
            parts = letter_frames(one.peer, seal_letter(one.peer, one.author, body), KEY)
            results = [keeper.mesh.intake.take_fragment(part, now) for part in parts]
            assert results == [WAITS] * len(parts) and keeper.mesh.intake.waits(parts[0])
    for number in range(base + 1, last + 1):
        take(keeper, op(one, number), now)
    assert keeper.peer.log.sealed(one.author) == keeper.peer.log.held(one.author) == last
    assert not keeper.mesh.intake.waiting


def test_a_schema_that_operations_wait_for_is_asked_for_however_often_nobody_answers() -> None:
    air, keeper, one = away(10)
    number = one.peer.log.held(one.author)
    assert take(keeper, op(one, number), keeper.now(air.now)) == WAITS
    # Nobody pushes it any more, nor the schema.
    one.mesh.feed.fill = lambda now: None
    air.run(air.now + 600000)
    assert keeper.mesh.stats["wants"] > pace.ASKS
    one.mesh.custody.clear()
    air.link(keeper, one)
    air.settle([keeper], [one], 30000)


def kept_by(store: MemoryStore) -> Mesh:
    return Mesh(a_keeper(store), 0, random=Random(1).below, key=KEY, role=hello.GATEWAY)


def strange(number: int) -> bytes:
    """An OP of somebody whom nobody ever names."""
    body = number.to_bytes(3, "big") + bytes((0, 9)) + number.to_bytes(2, "big") + bytes(6)
    return frames.make(frames.OP, b"\x11\x22", body, KEY)


def seal_of(number: int) -> bytes:
    return bytes((letters.SEAL_BRIEF,)) + b"aut" + number.to_bytes(4, "big") + bytes(21)


def test_what_waits_in_vain_does_not_stay_for_ever() -> None:
    """Neither in one boot, nor over many; and it is durable until then."""
    store = MemoryStore(b"keeper-1")
    at = kept_by(store)
    assert at.intake.take(strange(1), name_of(strange(1)), 5000) == WAITS
    at.intake.take(strange(1), name_of(strange(1)), 900000)
    at._mode(5000 + pace.WAITING_MS - 1)
    assert len(at.intake.waiting) == 1
    at._mode(5000 + pace.WAITING_MS)
    assert not at.intake.waiting and not kept_by(store).intake.waiting
    for boots in (7, 8):
        at = kept_by(store)
        assert at.intake.take(strange(boots), name_of(strange(boots)), 0) == WAITS
        for _ in range(boots):
            at = kept_by(store)
        assert (name_of(strange(boots)) in at.intake.waiting) == (boots == 7)
    assert not kept_by(store).intake.waiting
    assert not [1 for key, value in MemoryLog(store).items(STATE_CUSTODY) if key[:1] == b"w" and value]


def test_a_letter_that_waited_in_vain_is_taken_when_it_comes_again() -> None:
    at = kept_by(MemoryStore(b"keeper-1"))
    at.names.learn(b"aut-1234", 0)
    parts = letter_frames(at.peer, seal_of(7), KEY)
    for now in (5000, 5000 + pace.WAITING_MS):
        at._mode(now)
        assert not at.intake.waiting
        for part in parts:
            at.intake.take_fragment(part, now)
        assert len(at.intake.waiting) == 1


def test_nobody_takes_all_places_of_what_waits() -> None:
    """Neither one author, nor those whom nobody names."""
    at = kept_by(MemoryStore(b"keeper-1"))
    taken = 0
    for number in range(600):
        taken += at.intake.take(strange(number), name_of(strange(number)), 0) == WAITS
    assert taken == 256
    at.names.learn(b"aut-1234", 0)
    taken = 0
    for number in range(200):
        taken += at.intake.take(seal_of(number + 2), 1 << 30 | number, 0) == WAITS
    assert taken == 128
