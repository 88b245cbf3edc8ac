"""What custody and receipts outlive: boots, full logs, words heard before. Runs on both VMs."""

from kit import Random
from mesh_kit import KEY, Air, gradient
from sync_kit import board
from ways_kit import MESH, hear, op, relay, take

from hedgerow import limits
from hedgerow.custody.receipt import Receipt
from hedgerow.errors import HedgerowError
from hedgerow.log import MemoryLog, MemoryStore
from hedgerow.mesh import asks, frames, pace, tells
from hedgerow.mesh.custody import Custody, name_of
from hedgerow.mesh.down import proof_of
from hedgerow.mesh.mesh import Mesh
from hedgerow.mesh.names import Names
from hedgerow.sync import hello

HEAP = "4m"


def passes(mesh: Mesh, address: bytes, frame: bytes, now: int) -> bool:
    """Let it hear a frame; say whether it says one of that kind within 12 seconds."""
    hear(mesh, address, frame, now)
    kinds = []
    for at in range(now, now + 12000, 200):
        said = mesh.say(at)
        if said is not None:
            kinds.append(said[0][frames.find(said[0])] & 0x0F)
    return frame[0] & 0x0F in kinds


def test_a_receipt_is_passed_on_when_its_way_has_become_known_though_it_was_heard_before() -> None:
    """As after a boot: the way that operations came is not known any more until they come again."""
    with gradient():
        mesh = relay()
        body = tells.encode_receipt(b"keep", 1, b"aut", 7)
        receipt = frames.with_hop(frames.make(frames.RECEIPT, MESH, body, KEY), 2, 0)
        assert not passes(mesh, b"nea", receipt, 1000)
        hear(mesh, b"far", op(4), 20000)
        take(mesh, 20000)
        assert passes(mesh, b"ne2", receipt, 40000)
        # Those who pass it on as well are not answered; who says it anew, for what is pushed again, is.
        assert not passes(mesh, b"ne3", receipt, 60000)
        assert not passes(mesh, b"ne4", receipt, 40000 + pace.AGAIN_MS)
        hear(mesh, b"far", op(4), 60000 + pace.AGAIN_MS)
        take(mesh, 60000 + pace.AGAIN_MS)
        assert passes(mesh, b"ne5", receipt, 80000 + pace.AGAIN_MS)


def receipt_of(code: int) -> bytes:
    body = tells.encode_receipt(b"keep", 1, b"aut", 7)
    return frames.with_hop(frames.make(frames.RECEIPT, MESH, body, KEY), code, 0)


def test_a_receipt_that_is_said_again_nearer_a_keeper_is_passed_on_again() -> None:
    """Somebody farther has missed it. What comes from as far, or farther, has been here before."""
    with gradient():
        mesh = relay()
        hear(mesh, b"far", op(4), 20000)
        take(mesh, 20000)
        assert passes(mesh, b"nea", receipt_of(2), 40000)
        assert not passes(mesh, b"ne0", receipt_of(2), 40000 + pace.RECEIPT_MS - 1)
        for at in range(1, 5):
            now = 20000 + 4 * at * pace.RECEIPT_MS
            assert not passes(mesh, b"eq%d" % at, receipt_of(3), now)
            assert not passes(mesh, b"fa%d" % at, receipt_of(4), now + 13000)
            assert passes(mesh, b"ne%d" % at, receipt_of(2), now + 26000)


def test_a_receipt_does_not_come_back_after_many_others() -> None:
    """After an hour more are on their way at once than frames are remembered as heard, or as carried."""
    with gradient():
        mesh = relay()
        hear(mesh, b"far", op(4), 20000)
        take(mesh, 20000)
        assert passes(mesh, b"nea", receipt_of(2), 40000)
        for number in range(4 * limits.MESH_SEEN):
            mesh.seen.note(number * 7919 + 1, 1)
            mesh.custody.know(number * 104729 + 1, 53000)
        for address, code in ((b"far", 4), (b"equ", 3), (b"ne2", 2)):
            assert not passes(mesh, address, receipt_of(code), 55000)


def says(mesh: Mesh, at: int, others: list) -> int:
    """Return how often it says a RECEIPT within 30 s; each time it hears others of these distances say it."""
    count = 0
    for now in range(at, at + 30000, 200):
        said = mesh.say(now)
        if said is None or said[0][frames.find(said[0])] & 0x0F != frames.RECEIPT:
            continue
        count += 1
        for code in others:
            frame = said[0][frames.find(said[0]) :]
            hear(mesh, b"%d %d" % (code, now), frames.with_hop(frame, code, 0), now + 50)
    return count


def among(mesh: Mesh, neighbours: int, now: int = 0) -> Mesh:
    for heard_at in (max(0, now - 2 * pace.STEADY_MS), max(0, now - pace.STEADY_MS), now):
        for at in range(neighbours):
            mesh._around.add(at, heard_at)
    mesh._mode(now)
    assert mesh.speaker.neighbours == neighbours
    return mesh


def test_a_receipt_is_said_until_somebody_farther_is_heard_saying_it() -> None:
    """Nearer ones say nothing of who hears this peer alone; nor who said it long ago."""
    with gradient():
        for neighbours, most in ((2, 5), (8, 3)):
            mesh = among(relay(), neighbours)
            hear(mesh, b"far", op(4), 20000)
            take(mesh, 20000)
            for turn, others, count in ((1, [4], 1), (2, [], most), (3, [2, 1, 3], most), (4, [2, 4], 1)):
                at = turn * 5 * pace.RECEIPT_MS
                among(mesh, neighbours, at)
                hear(mesh, b"n%d" % turn, receipt_of(2), at)
                assert mesh.seen.senders(name_of(receipt_of(2))) == 1
                assert says(mesh, at, others) == count, (neighbours, turn)
            # So it is with its own word.
            mesh.peer.ledger.take(Receipt(b"keeper-1", 1, b"author-1", 1))
            for turn, others, count in ((5, [5, 4], 1), (6, [], most)):
                at = turn * 5 * pace.RECEIPT_MS
                among(mesh, neighbours, at)
                mesh.down.say_receipt(b"author-1", at)
                assert says(mesh, at, others) == count


def test_an_author_says_its_receipt_once_for_those_who_brought_it() -> None:
    """Unless somebody farther has the same short name."""
    author = b"aut-1234"
    receipt = Receipt(b"keeper-1", 1, author, 1)
    body = tells.encode_receipt(b"keeper-1", 1, author, 1, proof_of(receipt))
    frame = frames.with_hop(frames.make(frames.RECEIPT, MESH, body, KEY), 2, 0)
    with gradient():
        for twin, count in ((False, 1), (True, 5)):
            peer = board(store=MemoryStore(author), mesh=MESH)
            mesh = Mesh(peer, 0, random=Random(1).below, key=KEY)
            mesh.set_flood(False, 0)
            peer.note_distance(2, 0)
            mesh.say(0)
            mesh.names.learn(b"keeper-1", 0)
            if twin:
                hear(mesh, b"far", op(4), 4000)
                take(mesh, 4000)
            among(mesh, 2, 20000)
            hear(mesh, b"nea", frame, 20000)
            assert peer.receipted(author) == 1
            assert says(mesh, 20000, []) == count


def test_receipts_of_those_who_fall_silent_come_within_minutes() -> None:
    """All are told, though they write nothing more and none pushes again for half an hour."""
    late = 0
    with gradient():
        for seed in (1, 2, 3, 4):
            air = Air(seed, loss=20)
            keeper = air.add("keeper", hello.GATEWAY, True)
            all_of = [keeper] + [air.add("b%d" % at, seal_ms=60000) for at in range(6)]
            for one, other in ((0, 1), (1, 2), (1, 6), (2, 3), (2, 5), (3, 4), (3, 6)):
                air.link(all_of[one], all_of[other])
            air.run(60000)
            for _ in range(3):
                air.readings(all_of[1:], 20000, air.now + 60000)
                air.run(air.now + 320000)
                late += sum([1 for one in all_of[1:] if one.peer.receipted(one.author) < one.acked])
    # Where a receipt that is lost was not said again there are 13.
    assert late <= 4, late


def want(mesh: Mesh, what: int, entry: object, now: int) -> None:
    """Let it hear a question from nearer a keeper, and pass it on."""
    body = asks.encode_want(what, [entry])
    hear(mesh, b"w%d" % now, frames.with_hop(frames.make(frames.WANT, MESH, body, KEY), 2, now & 7), now)
    take(mesh, now)


def test_what_somebody_asks_for_is_taken_once_more_from_who_pushes_it() -> None:
    """A frame that came back is known as such: whoever is nearer has lost it if it is asked for."""
    with gradient():
        mesh = relay()
        for at in range(2):
            hear(mesh, b"f%d" % at, op(4, 7 * at), 10000 + 40000 * at)
            take(mesh, 10000 + 40000 * at)
            hear(mesh, b"n%d" % at, op(2), 30000 + 40000 * at)
            assert mesh.stats["custody"] == at + 1 and not mesh.custody.count()
        hear(mesh, b"far", op(4, 7), 90000)
        take(mesh, 90000)
        assert mesh.stats["custody"] == 2
        mesh.down.note_route(b"oth", 105000)
        want(mesh, asks.WANT_OPERATIONS, (b"oth", 1, 1), 105000)
        assert mesh.stats["passed"]
        hear(mesh, b"fa2", op(4, 7), 120000)
        take(mesh, 120000)
        assert mesh.stats["custody"] == 2
        want(mesh, asks.WANT_OPERATIONS, (b"aut", 1, 1), 135001)
        hear(mesh, b"fa3", op(4, 7), 150000)
        take(mesh, 150000)
        assert mesh.stats["custody"] == 3
        hear(mesh, b"n3", op(2), 170000)
        assert not mesh.custody.count()
        hear(mesh, b"fa4", op(4, 7), 135001 + pace.AROUND_MS)
        take(mesh, 135001 + pace.AROUND_MS)
        assert mesh.stats["custody"] == 3, "it was asked for long ago"


def test_an_announcement_that_was_heard_before_is_passed_up_when_it_is_asked_for() -> None:
    """The name is forgotten here, and the frame is not."""
    with gradient():
        mesh = relay()
        hear(mesh, b"far", op(4), 10000)
        take(mesh, 10000)
        body = tells.encode_announce(tells.Announce(b"aut-1234", 0, 0, 1))
        frame = frames.with_hop(frames.make(frames.ANNOUNCE, MESH, body, KEY), 4, 0)
        assert not passes(mesh, b"fa1", frame, 30000)
        mesh.names = mesh.down._mesh.names = Names(8)
        assert not passes(mesh, b"fa2", frame, 50000)
        want(mesh, asks.WANT_ANNOUNCES, b"aut", 70000)
        assert mesh.stats["passed"]
        assert passes(mesh, b"fa3", frame, 90000)
        assert not passes(mesh, b"fa4", frame, 120000)


def test_a_new_relay_begins_behind_the_receipt_of_an_author_whose_operations_it_never_had() -> None:
    """It has not to ask for all that came before, and knows the high bits of the numbers that follow."""
    keeper, author, number = b"keeper-1", b"author-1", 70000
    mesh = Mesh(board(mesh=MESH), 0, random=Random(1).below, key=KEY)
    for name, flags in ((author, 0), (keeper, 1)):
        body = tells.encode_announce(tells.Announce(name, 1, 0, 1, flags))
        hear(mesh, b"nea", frames.make(frames.ANNOUNCE, MESH, body, KEY), 1000)
    receipt = Receipt(keeper, 1, author, number)
    body = tells.encode_receipt(keeper, 1, author, number, proof_of(receipt))
    hear(mesh, b"nea", frames.make(frames.RECEIPT, MESH, body, KEY), 2000)
    assert mesh.peer.receipted(author) == mesh.intake.base(author) == number


def test_a_place_that_is_filled_often_is_not_taken_for_one_that_was_passed_on() -> None:
    """However many frames went through it since that was noted last: none is lost by a power cut."""
    store = MemoryStore(bytes(range(8)))
    stats = {"custody": 0, "acked": 0}

    def boot() -> Custody:
        custody = Custody(MemoryLog(store), Random(1).below, stats, 0)
        custody.code, custody.flood = 3, False
        return custody

    held = boot()
    for number in range(1, 520):
        frame = op(4, 0, number)
        assert held.take(frame, name_of(frame), 0)
        assert boot().count() == 1, number
        held.echo(name_of(frame), 1, 0, 0)
        assert held.count() == 0
        if number == 1:
            held.step(pace.NOTE_MS, 1)


def test_a_frame_that_was_about_to_be_taken_has_one_place_once_a_session_brought_it() -> None:
    """With two, one of them is never free again: after eight nothing of its own gets on."""
    for code, taken in ((31, True), (2, False)):
        stats = {"custody": 0, "acked": 0, "left": 0}
        custody = Custody(MemoryLog(MemoryStore(b"author-1")), Random(1).below, stats, 0)
        custody.code, custody.flood = 3, False
        room = custody.room()
        frame = op(4)
        custody.offer(frame, name_of(frame), 0, 500)
        custody.push(frame, 100)
        assert custody.has(name_of(frame)) and not custody.pending(name_of(frame))
        custody.step(1000, 9)
        assert custody.room() == room - 1 and not custody.count()
        custody.echo(name_of(frame), code, 0, 2000)
        assert (custody.room() == room) == (not taken) == (not custody.flying())


def test_a_full_log_takes_nothing_and_the_engine_goes_on() -> None:
    def full(*_: object) -> None:
        raise HedgerowError("LOG_FULL", "")

    with gradient():
        mesh = relay()
        hear(mesh, b"far", op(4), 1000)
        log = mesh.peer.log
        put = log.put
        mesh.custody._note_at = 1000
        log.put = full
        take(mesh, 1000)
        assert not mesh.custody.count() and mesh.stats["refused"] == 1
        # What has no place is still pushed by the one before.
        log.put = put
        hear(mesh, b"far", op(4, 1), 14000)
        take(mesh, 14000)
        assert mesh.custody.count() == 1 and mesh.custody.due() is not None


def test_a_leaf_begins_a_letter_anywhere_and_asks_who_has_it() -> None:
    """Each wake is the first that pushes it, and may end before the last fragment."""
    frames = [op(31, 0, number) for number in range(1, 8)]
    begun = set()
    for seed in range(40):
        custody = Custody(MemoryLog(MemoryStore(b"author-1")), Random(seed).below, {"acked": 0}, 0)
        assert custody.in_turn(frames) == frames
        custody.patient = True
        turned = custody.in_turn(frames)
        assert sorted(turned) == sorted(frames)
        begun.add(turned[0])
        assert custody.in_turn(frames[:1]) == frames[:1]
        for repeat in (1, 1, 2) if seed else (0, 1):
            custody.patient = bool(seed)
            if not custody.flying():
                custody.push(frames[0], 0)
            (said,) = custody.step(custody.due() or 0, 9)
            assert said[1][3] & 7 == repeat
    assert len(begun) == len(frames)
