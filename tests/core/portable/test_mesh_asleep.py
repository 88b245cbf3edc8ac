"""Leaves whose neighbours are heard badly: what one word tells them, and what is said to them more than once.
Runs on both VMs."""

from mesh_kit import KEY
from sync_kit import board, record

from hedgerow.custody.receipt import Receipt
from hedgerow.log import MemoryStore
from hedgerow.mesh import asks, frames, pace, tells
from hedgerow.mesh.down import KEEPER_NAME, proof_of
from hedgerow.mesh.feed import frames_of
from hedgerow.mesh.mesh import Mesh
from hedgerow.sync.hello import LEAF, RELAY

HEAP = "4m"
MESH = b"\x11\x22\x33"
AUTHOR = b"author-a"
KEEPER = b"keeper-k"


def engine(role: int = LEAF, author: bytes = AUTHOR) -> Mesh:
    peer = board(store=MemoryStore(author), role=role, mesh=MESH)
    return Mesh(peer, 0, random=lambda _: 0, role=role, key=KEY)


def hear(
    mesh: Mesh, frame: bytes, now: int, code: int = 5, repeat: int = 0, address: bytes = b"other"
) -> None:
    if frame[0] & 15 != frames.STATE:
        frame = frames.with_hop(frame, code, repeat)
    assert mesh.heard(address, -60, frames.advertise(frame), now)


def said(mesh: Mesh, since: int, until: int, kind: int) -> list:
    """Return the frames of a kind that an engine says in a time."""
    found = []
    for now in range(since, until, 10):
        entry = mesh.say(now)
        if entry:
            at = frames.find(entry[0])
            if entry[0][at] & 15 == kind:
                found.append(entry[0][at : frames.end(entry[0], at)])
    return found


def written(count: int) -> tuple:
    """Return (a board that has written so much, its frames by number)."""
    peer = board(store=MemoryStore(AUTHOR), role=LEAF, mesh=MESH)
    record(peer, count)
    peer.commit()
    log = peer.log
    made = {}
    for number in range(1, log.held(AUTHOR) + 1):
        made[number] = frames_of(peer, AUTHOR, number, log.fetch(AUTHOR, number), KEY)
    return peer, made


def copy(mesh: Mesh, source: object, upto: int, now: int) -> None:
    """Give a relay an author's log up to a number."""
    mesh.peer.ingest_schema(list(source.schemas.values())[0].encoded)
    mesh.peer.ingest(AUTHOR, 1, [source.log.fetch(AUTHOR, number) for number in range(1, upto + 1)])
    mesh.peer.commit()
    mesh.names.learn(AUTHOR, now)
    said(mesh, now, now + 30000, 99)


def ack(what: int, number: int) -> bytes:
    body = asks.encode_ack(what, [AUTHOR[:3] + number.to_bytes(2, "big") + b"?"])
    return frames.make(frames.ACK, MESH, body, KEY)


def receipt_frame(number: int, author: bytes = AUTHOR) -> bytes:
    proof = proof_of(Receipt(KEEPER, 1, author, number))
    return frames.make(
        frames.RECEIPT, MESH, tells.encode_receipt(KEEPER[:4], 1, author[:3], number, proof), KEY
    )


def leaf_state(mesh: Mesh, counter: int, receipted: int, held: int) -> bytes:
    digest = receipted.to_bytes(4, "big") + held.to_bytes(2, "big")
    return frames.encode_state(
        frames.State(MESH[:2], counter, 0, digest, 0, 255, 0, LEAF, AUTHOR[:3], 3, 15), mesh.key
    )


def on_its_way(leaf: Mesh) -> list:
    return [frame for frame in leaf.custody._frames.values() if frame[0] & 15 == frames.OP]


# ---- one word for all


def test_a_flooding_relay_says_that_it_has_all_up_to_the_last() -> None:
    source, made = written(6)
    relay = engine(RELAY, b"relay--r")
    copy(relay, source, 5, 1000)
    hear(relay, made[3][0], 40000, repeat=1)
    found = [asks.decode_ack(frame) for frame in said(relay, 40000, 45000, frames.ACK)]
    assert [(what, [key[:5] for key in keys]) for what, keys in found] == [
        (asks.ACK_ALL, [AUTHOR[:3] + b"\0\5"])
    ]
    # What has been pushed for the first time is passed on instead.
    hear(relay, made[6][0], 50000)
    assert not said(relay, 50000, 55000, frames.ACK)


def test_one_word_frees_a_leaf_of_all_that_it_has_to_push() -> None:
    for what, left in ((asks.ACK_PASSED, True), (asks.ACK_ALL, False)):
        leaf = engine()
        record(leaf.peer, 20)
        leaf.peer.commit()
        held = leaf.peer.log.held(AUTHOR)
        assert said(leaf, 0, 2000, frames.OP)
        hear(leaf, ack(what, held), 2000)
        leaf.say(2000)
        assert bool(on_its_way(leaf)) == left
        assert (leaf.feed.pushed()[0] < held) == left
        # Of what is beyond the own log nothing can be said.
        hear(leaf, ack(asks.ACK_ALL, held + 9), 2100)
        assert leaf.feed.pushed()[0] <= held


def test_who_floods_takes_nothing_over_from_those_who_do_not() -> None:
    """One that is farther has it from here."""
    relay = engine(RELAY, b"relay--r")
    relay.custody.code, relay.custody.flood = 3, False
    frame = frames.make(frames.OP, MESH, b"aut\0\7" + bytes(7), KEY, 9 << 3)
    assert relay.custody.take(frame, 77, 0)
    for code, count in ((4, 1), (3, 1), (2, 0)):
        relay.custody.passed(b"aut\0\x08?", code, asks.ACK_ALL, 0)
        assert relay.custody.count() == count, code


def test_an_ack_is_left_to_one_that_says_as_much() -> None:
    source, made = written(6)
    for number, found in ((4, 1), (5, 0), (6, 0)):
        relay = engine(RELAY, b"relay--r")
        copy(relay, source, 5, 1000)
        hear(relay, made[3][0], 40000, repeat=1)
        hear(relay, ack(asks.ACK_ALL, number), 40005, address=b"third")
        assert len(said(relay, 40010, 45000, frames.ACK)) == found, number


# ---- who is spoken to


def test_words_for_others_keep_no_leaf_awake() -> None:
    others = asks.encode_ack(asks.ACK_PASSED, [b"othe\0?"])
    for frame, longer in (
        (frames.make(frames.ACK, MESH, others, KEY), False),
        (receipt_frame(1, b"other--b"), False),
        (receipt_frame(1), True),
    ):
        leaf = engine()
        until = leaf.window.until
        hear(leaf, frame, 1000)
        assert (leaf.window.until > until) == longer


# ---- receipts


def test_a_receipt_frees_what_is_on_its_way() -> None:
    leaf = engine()
    record(leaf.peer, 5)
    leaf.peer.seal(2000)
    leaf.peer.commit()
    leaf.names.learn(KEEPER, 0)
    said(leaf, 0, 400, frames.OP)
    assert on_its_way(leaf)
    hear(leaf, receipt_frame(leaf.peer.log.held(AUTHOR)), 400)
    assert leaf.peer.receipted(AUTHOR) == leaf.peer.log.held(AUTHOR)
    assert not on_its_way(leaf)


def receipted(upto: int = 5) -> tuple:
    source, made = written(6)
    relay = engine(RELAY, b"relay--r")
    copy(relay, source, 5, 1000)
    relay.peer.ingest_receipt(Receipt(KEEPER, 1, AUTHOR, upto))
    relay.peer.commit()
    said(relay, 35000, 90000, 99)
    return relay, made


def test_who_pushes_what_is_receipted_is_handed_the_receipt() -> None:
    relay, made = receipted(4)
    now = 100000
    for number, repeat, found in ((3, 0, False), (5, 1, False), (4, 1, True)):
        now += 10000
        hear(relay, made[number][0], now, repeat=repeat)
        told = said(relay, now, now + pace.LEAF_WINDOW_MS, frames.RECEIPT)
        assert bool(told) == found, number
        assert not told or told[0][12:16] == b"\0\0\0\4"


def test_a_leaf_without_any_receipt_is_told_whose_word_it_is() -> None:
    for known, told in ((0, 1), (3, 0), (5, 0)):
        relay, _ = receipted()
        hear(relay, leaf_state(relay, 9, known, 6), 100000)
        found = []
        receipts = 0
        for now in range(100000, 100000 + pace.LEAF_WINDOW_MS, 10):
            entry = relay.say(now)
            frame = entry[0][frames.find(entry[0]) :] if entry else b"\xff"
            receipts += frame[0] & 15 == frames.RECEIPT
            if frame[0] & 15 == frames.ANNOUNCE:
                announce = tells.decode_announce(frame)
                found += [announce] if announce.author == KEEPER and announce.flags & KEEPER_NAME else []
        assert len(found) == told, known
        assert receipts == (known < 5), known


def test_the_names_of_keepers_outlive_a_sleep() -> None:
    leaf = engine()
    announce = tells.encode_announce(tells.Announce(KEEPER, 0, 0, 3, KEEPER_NAME))
    hear(leaf, frames.make(frames.ANNOUNCE, MESH, announce, KEY), 500)
    for at in range(9):
        announce = tells.encode_announce(tells.Announce(b"z-keep-%d" % at, 0, 0, 3, KEEPER_NAME))
        hear(leaf, frames.make(frames.ANNOUNCE, MESH, announce, KEY), 600 + at)
    record(leaf.peer, 3)
    leaf.peer.seal(2000)
    leaf.peer.commit()
    saved = leaf.save()
    again = Mesh(leaf.peer, 60000, random=lambda _: 0, role=LEAF, key=KEY)
    assert again.restore(saved, 60000) and len(saved) < 100
    hear(again, receipt_frame(2), 60500)
    assert again.peer.receipted(AUTHOR) == 2


def test_a_schema_is_not_said_anew_in_each_wake() -> None:
    """But by who begins anew, and behind a receipt: those who have it may be gone."""
    for pushed, known, told in ((3, 0, False), (0, 0, True), (3, 3, True)):
        leaf = engine()
        record(leaf.peer, 2)
        leaf.peer.seal(2000)
        if known:
            leaf.peer.ingest_receipt(Receipt(KEEPER, 1, AUTHOR, known))
        leaf.peer.commit()
        leaf.feed.resume(pushed, pushed)
        saved = leaf.save()
        record(leaf.peer, 1, 50000)
        leaf.peer.commit()
        again = Mesh(leaf.peer, 60000, random=lambda _: 0, role=LEAF, key=KEY)
        assert again.restore(saved, 60000)
        assert bool(said(again, 60000, 63000, frames.LETTER_UP)) == told
        assert said(again, 63000, 66000, frames.OP)


def test_a_leaf_says_more_often_that_its_receipt_is_late() -> None:
    for left, tries, states in (
        (pace.AGAIN_MS - pace.RECEIPT_LATE_MS, 0, 1),
        (pace.AGAIN_MS - pace.RECEIPT_LATE_MS - 1000, 0, 4),
        (2 * pace.AGAIN_MS, 1, 4),
    ):
        leaf = engine()
        record(leaf.peer, 3)
        leaf.peer.seal(2000)
        leaf.peer.commit()
        held = leaf.peer.log.held(AUTHOR)
        leaf.feed.resume(held, held, left, tries)
        assert len(said(leaf, 0, 12000, frames.STATE)) == states, left
        if states > 1:
            leaf = engine()
            record(leaf.peer, 3)
            leaf.peer.seal(2000)
            leaf.peer.ingest_receipt(Receipt(KEEPER, 1, AUTHOR, leaf.peer.log.held(AUTHOR)))
            leaf.peer.commit()
            leaf.feed.resume(held, held, left, tries)
            assert len(said(leaf, 0, 12000, frames.STATE)) == 1
