"""What outlives a deep sleep, as saved or not at all; what a relay holds for a leaf. Runs on both VMs."""

import struct
from binascii import crc32

from mesh_kit import KEY
from sync_kit import board, record

from hedgerow.custody.receipt import Receipt
from hedgerow.log import MemoryStore
from hedgerow.mesh import frames, pace, tells
from hedgerow.mesh.down import proof_of
from hedgerow.mesh.mesh import Mesh
from hedgerow.mesh.schedule import Window, own_digest, plan
from hedgerow.mesh.tells import Announce
from hedgerow.sync.hello import LEAF, RELAY

HEAP = "4m"
MESH = b"\x11\x22\x33"
AUTHOR = b"author-a"
KEEPER = b"keeper-k"


def engine(role: int = LEAF, author: bytes = AUTHOR, store: MemoryStore | None = None) -> Mesh:
    peer = board(store=store or MemoryStore(author), role=role, mesh=MESH)
    return Mesh(peer, 0, random=lambda _: 0, role=role, key=KEY)


def sealed(data: bytes) -> bytes:
    return data + crc32(data).to_bytes(4, "big")


# ---- saved


def slept() -> tuple:
    """Return (store, what was saved) of a leaf that knows of a keeper and has pushed two operations."""
    store = MemoryStore(AUTHOR)
    mesh = engine(store=store)
    mesh.counter = 0x1234567
    mesh.announce_at = 200000
    mesh.peer.note_distance(2, 0)
    now = record(mesh.peer, 3, 1000)
    mesh.peer.seal(now)
    mesh.peer.commit()
    mesh.feed.resume(2, 0)
    mesh.set_flood(False, 0)
    return store, mesh.save()


def state_of(mesh: Mesh) -> tuple:
    return mesh.counter, mesh.feed.safe(), mesh.peer.distance(0), mesh.announce_at, mesh.flood


def test_all_of_it_comes_back() -> None:
    store, saved = slept()
    mesh = engine(store=store)
    before = state_of(mesh)
    assert mesh.restore(saved, 0)
    counter, pushed, distance, announce_at, flood = state_of(mesh)
    assert (counter, distance, flood) == (0x1234567, 3, False)
    assert pushed[0] == 2 and before[1][0] < 2
    # What was to be announced within the sleep is due, the rest less the sleep.
    assert announce_at == 200000 - mesh.window.until - pace.LEAF_PERIOD_MS
    assert mesh.save()[:5] == saved[:5]


def test_a_shorter_sleep_leaves_more_of_a_wait() -> None:
    store, saved = slept()
    mesh = engine(store=store)
    mesh.window.period = 10000
    assert mesh.restore(saved, 500)
    assert mesh.announce_at == 500 + 200000 - pace.LEAF_WINDOW_MS - 10000


def test_a_seal_is_due_when_it_was_before_the_sleep() -> None:
    """It counts on through the sleep, and is made at once where it came due in it."""
    for tail, period, due in ((200000, 60000, 1000 + 140000), (200000, 250000, 1000)):
        store = MemoryStore(AUTHOR)
        mesh = engine(store=store)
        record(mesh.peer, 1, 0)
        mesh.tail_at = mesh.window.until + tail
        saved = mesh.save()
        mesh = engine(store=store)
        mesh.window.period = period
        assert mesh.restore(saved, 1000)
        assert mesh.tail_at == due
    mesh = engine()
    mesh.tail_at = None
    saved = mesh.save()
    mesh.tail_at = 7
    assert mesh.restore(saved, 1000) and mesh.tail_at == 7


def test_a_leaf_that_wakes_pushes_at_once() -> None:
    """Its window is shorter than the time in which those take turns who were switched on together."""
    store = slept()[0]
    peer = board(store=store, role=LEAF, mesh=MESH)
    record(peer, 1, 5000)
    saved = Mesh(peer, 0, random=lambda _: 0, role=LEAF, key=KEY).save()
    peer = board(store=store, role=LEAF, mesh=MESH)
    mesh = Mesh(peer, 60000, random=lambda bound: bound - 1, role=LEAF, key=KEY)
    assert mesh.restore(saved, 60000)
    heads = [frame[0] & 15 for _, frame in said(mesh, 60000, 60000 + pace.LEAF_WINDOW_MS)]
    assert frames.OP in heads


def test_what_has_no_receipt_is_pushed_again_over_many_sleeps() -> None:
    """Those who took it may have lost it; twice, and then later."""
    store = slept()[0]
    peer = board(store=store, role=LEAF, mesh=MESH)
    mesh = Mesh(peer, 0, random=lambda _: 0, role=LEAF, key=KEY)
    mesh.feed.resume(9, 9)
    again = []
    for now in range(pace.LEAF_PERIOD_MS, 4 * pace.AGAIN_MS, pace.LEAF_PERIOD_MS):
        saved = mesh.save()
        mesh.close()
        mesh = Mesh(peer, now, random=lambda _: 0, role=LEAF, key=KEY)
        assert mesh.restore(saved, now)
        if [1 for _, frame in said(mesh, now, now + pace.LEAF_WINDOW_MS) if frame[0] & 15 == frames.OP]:
            again.append(now)
            # Somebody takes it.
            mesh.feed.resume(9, 9)
            mesh.feed._pushed.clear()
    assert len(again) == 2
    # A wake, which is little of a period, is not counted.
    for at, since, wait in ((again[0], 0, pace.AGAIN_MS), (again[1], again[0], 2 * pace.AGAIN_MS)):
        assert abs(at - since - wait) <= wait // 20


def test_a_wake_is_over_before_the_next_one_is_due() -> None:
    for period, longest in ((5000, 3750), (16000, 12000), (60000, pace.LEAF_MOST_MS)):
        mesh = engine()
        mesh.window.period = period
        mesh.window.wake(pace.LEAF_WINDOW_MS)
        for now in range(pace.LEAF_WINDOW_MS, 40000, 100):
            mesh.window.stir(now)
        assert mesh.window.until - mesh.window.woke_at == longest, period


def test_a_leaf_that_begins_anew_knows_whose_word_its_receipt_is() -> None:
    store = slept()[0]
    peer = board(store=store, role=LEAF, mesh=MESH)
    peer.ingest_receipt(Receipt(KEEPER, 1, AUTHOR, 2))
    peer.commit()
    mesh = engine(store=store)
    assert mesh.peer.receipted(AUTHOR) == 2
    assert mesh.heard(b"relay", -60, frames.advertise(receipt_frame(3)), 1000)
    assert mesh.peer.receipted(AUTHOR) == 3


def test_a_leaf_whose_log_has_more_authors_than_it_has_names_for_knows_its_own() -> None:
    store = slept()[0]
    peer = board(store=store, role=LEAF, mesh=MESH)
    peer.ingest_receipt(Receipt(KEEPER, 1, AUTHOR, 2))
    for at in range(12):
        peer.ingest(b"other-%02d" % at, 1, [peer.log.fetch(AUTHOR, 1)])
    peer.commit()
    mesh = engine(store=store)
    assert mesh.heard(b"relay", -60, frames.advertise(receipt_frame(3)), 1000)
    assert mesh.peer.receipted(AUTHOR) == 3


def test_a_leaf_asks_in_its_window_whose_word_a_receipt_is() -> None:
    mesh = engine(store=slept()[0])
    mesh.feed.resume(9, 9)
    assert mesh.heard(b"relay", -60, frames.advertise(receipt_frame(3)), 1000)
    asked = [
        at for at, frame in said(mesh, 1000, 1400) if frame[0] & 15 == frames.WANT and KEEPER[:3] in frame
    ]
    assert asked and mesh.peer.receipted(AUTHOR) == 0


def refused(data: bytes) -> bool:
    """Whether an engine does not take it, and is as it was."""
    mesh = engine()
    before = state_of(mesh)
    return not mesh.restore(data, 0) and state_of(mesh) == before


def test_what_is_damaged_is_passed_over() -> None:
    saved = slept()[1]
    for at in range(len(saved)):
        for bit in (1, 0x80):
            torn = bytearray(saved)
            torn[at] ^= bit
            assert refused(bytes(torn)), at


def test_what_is_cut_or_longer_is_passed_over() -> None:
    saved = slept()[1]
    assert not refused(saved)
    for size in range(len(saved)):
        assert refused(saved[:size]), size
        # Also where its check happens to be right.
        assert size == len(saved) - 4 or refused(sealed(saved[:size])), size
    assert refused(saved + b"\0") and refused(sealed(saved)) and refused(bytes(len(saved)))


def test_another_version_is_passed_over() -> None:
    data = slept()[1][:-4]
    assert not refused(sealed(data))
    for version in (0, data[0] + 1, 255):
        assert refused(sealed(bytes((version,)) + data[1:])), version


def test_another_author_is_passed_over() -> None:
    data = slept()[1][:-4]
    assert data[-8:] == AUTHOR
    assert refused(sealed(data[:-8] + b"author-b"))


def test_it_is_small_whatever_it_holds() -> None:
    mesh = engine()
    mesh.counter = (1 << 40) - 1
    mesh.announce_at = 0xFFFFFFFF
    assert len(mesh.save()) <= 512
    assert engine().restore(mesh.save(), 0)


def test_what_the_log_does_not_hold_is_not_counted_as_pushed() -> None:
    """An older log on a new chip, or one that lost its tail, is pushed from where it is."""
    data = bytearray(slept()[1][:-4])
    data[5:13] = struct.pack(">II", 1000, 1000)
    store = slept()[0]
    mesh = engine(store=store)
    assert mesh.restore(sealed(bytes(data)), 0)
    held, under = mesh.peer.log.held(AUTHOR), mesh.peer.log.sealed(AUTHOR)
    assert mesh.feed.safe() == (held, under)


# ---- when a leaf is due


def test_a_leaf_is_due_once_in_each_period() -> None:
    announce = Announce(AUTHOR, 0, 0, LEAF, 0, 30, 5000, 15)
    found = [plan(announce, now, now)[0] for now in (0, 4999, 5000, 5001, 34999, 35001, 3600000)]
    assert found == [5000, 5000, 5000, 35000, 35000, 65000, 3605000]
    assert plan(None, 0, 10**9) == (None, False)
    assert plan(Announce(AUTHOR, 0, 0, LEAF), 0, 10**9) == (None, False)


def test_a_leaf_is_overdue_after_three_wakes_and_not_before() -> None:
    announce = Announce(AUTHOR, 0, 0, LEAF, 0, 30, 5000, 15)
    late = 7000 + 3 * 30000 + 30000
    assert [plan(announce, 7000, now)[1] for now in (7000, late, late + 1)] == [False, False, True]
    hourly = Announce(AUTHOR, 0, 0, LEAF, 0, 3600, 5000, 15)
    assert not plan(hourly, 7000, late + 1)[1]


def test_the_plan_that_is_heard_is_by_the_own_clock() -> None:
    mesh = engine(RELAY, b"relay--r")
    hear_announce(mesh, 100000, 12000)
    mesh.visits.heard(b"leaf", leaf_state(0, 0), -60, 100000)
    row = mesh.neighbours(100000)[0]
    assert row[0] == AUTHOR and row[4:] == (LEAF, 112000, False)
    row = mesh.neighbours(112000 + 1)[0]
    assert row[5:] == (142000, False)
    assert mesh.neighbours(100000 + 120001)[0][6]
    mesh.visits.heard(b"leaf", leaf_state(0, 0), -60, 240000)
    assert not mesh.neighbours(240000)[0][6]


def hear_announce(mesh: Mesh, now: int, due_ms: int) -> None:
    body = tells.encode_announce(Announce(AUTHOR, 0, 0, LEAF, 0, 30, due_ms, 15))
    frame = frames.make(frames.ANNOUNCE, MESH, body, KEY)
    assert mesh.heard(b"leaf", -60, frames.advertise(frame), now)


def test_wakes_are_on_a_grid_however_long_one_lasts() -> None:
    window = Window(1000)
    window.period = 30000
    assert [window.next(now) for now in (1000, 5000, 30999, 31000, 95000)] == [
        31000, 31000, 31000, 61000, 121000,
    ]  # fmt: skip
    assert not window.wake(1000 + pace.LEAF_WINDOW_MS - 1)
    start = 1000 + pace.LEAF_WINDOW_MS
    assert window.wake(start)
    assert (window.woke_at, window.until) == (start, start + pace.LEAF_WINDOW_MS)
    assert not window.wake(start + 1), "it is awake already"
    window = Window(0)
    assert [window.left(now) for now in (0, 1, 1400, 1401, 1499, 1500, 2000)] == [15, 15, 1, 1, 1, 0, 0]


# ---- handing over


def leaf_state(receipted: int, held: int, distance: int = 0) -> frames.State:
    digest = receipted.to_bytes(4, "big") + (held & 0xFFFF).to_bytes(2, "big")
    return frames.State(MESH[:2], 1, 0, digest, 0, distance, 0, LEAF, AUTHOR[:3], 3, 15)


def hear_leaf(mesh: Mesh, now: int, state: frames.State) -> None:
    state.counter = now // 10
    assert mesh.heard(b"leaf", -60, frames.advertise(frames.encode_state(state, KEY)), now)


def receipt_frame(number: int) -> bytes:
    receipt = Receipt(KEEPER, 1, AUTHOR, number)
    body = tells.encode_receipt(KEEPER[:4], 1, AUTHOR[:3], number, proof_of(receipt))
    return frames.make(frames.RECEIPT, MESH, body, KEY)


def said(mesh: Mesh, since: int, until: int) -> list:
    """Return [(moment, frame)] of all that an engine says in a time."""
    found = []
    now = since
    while now <= until:
        entry = mesh.say(now)
        if entry:
            at = frames.find(entry[0])
            found.append((now, entry[0][at : frames.end(entry[0], at)]))
        now += 10
    return found


def receipts(mesh: Mesh, since: int, until: int) -> list:
    return [(at, frame) for at, frame in said(mesh, since, until) if frame[0] & 15 == frames.RECEIPT]


def relay() -> Mesh:
    """A relay that has heard a leaf, and has nothing more to say of itself."""
    mesh = engine(RELAY, b"relay--r")
    hear_leaf(mesh, 1000, leaf_state(0, 5))
    said(mesh, 1000, 30000)
    return mesh


def test_a_receipt_is_held_for_a_leaf_and_handed_over_while_it_listens() -> None:
    mesh = relay()
    mesh.heard(b"k", -60, frames.advertise(receipt_frame(4)), 31000)
    said(mesh, 31000, 60000)
    hear_leaf(mesh, 61000, leaf_state(0, 5))
    found = receipts(mesh, 61000, 61000 + pace.LEAF_WINDOW_MS)
    assert len(found) >= 1 and found[0][1][12:16] == (4).to_bytes(4, "big")
    # A leaf that has it is told no more, and nothing is said while it sleeps.
    assert not receipts(mesh, 70000, 120000)
    hear_leaf(mesh, 121000, leaf_state(4, 5))
    assert not receipts(mesh, 121000, 125000)


def test_the_newest_receipt_is_the_one_that_is_handed_over() -> None:
    mesh = relay()
    for number in (2, 5):
        mesh.heard(b"k", -60, frames.advertise(receipt_frame(number)), 31000)
    said(mesh, 31000, 60000)
    hear_leaf(mesh, 61000, leaf_state(2, 5))
    found = receipts(mesh, 61000, 63000)
    assert found and [frame[15] for _, frame in found] == [5] * len(found)


def test_what_a_leaf_holds_more_is_asked_for_while_it_is_awake() -> None:
    mesh = relay()
    mesh.names.learn(AUTHOR, 30000)
    hear_announce(mesh, 30000, 5000)
    hear_leaf(mesh, 61000, leaf_state(0, 7))
    wants = [at for at, frame in said(mesh, 61000, 66000) if frame[0] & 15 == frames.WANT]
    assert wants and wants[0] < 61000 + pace.LEAF_WINDOW_MS


def test_a_leaf_without_a_plan_is_asked_for_it_while_it_is_awake() -> None:
    mesh = engine(RELAY, b"relay--r")
    hear_leaf(mesh, 1000, leaf_state(0, 0))
    asked = [f for _, f in said(mesh, 1000, 1000 + pace.LEAF_WINDOW_MS) if f[0] & 15 == frames.WANT]
    assert [frame for frame in asked if AUTHOR[:3] in frame]
    hear_announce(mesh, 3000, 5000)
    said(mesh, 3000, 60000)
    hear_leaf(mesh, 61000, leaf_state(0, 1))
    asked = [f for _, f in said(mesh, 61000, 63000) if f[0] & 15 == frames.WANT and f[4] & 15 == 2]
    assert not asked


def test_a_leaf_that_knows_no_way_is_told_one() -> None:
    mesh = engine(RELAY, b"relay--r")
    mesh.peer.note_distance(0, 0)
    mesh.say(0)
    for distance, found in ((255, True), (2, False)):
        mesh._told_at = 0
        state = leaf_state(0, 0, distance)
        said(mesh, 10000, 12000)
        mesh._trickle.due = mesh._time_at = 10**9
        hear_leaf(mesh, 20000, state)
        states = [f for _, f in said(mesh, 20300, 21500) if f[0] & 15 == frames.STATE]
        assert bool(states) == found, distance


def test_what_a_leaf_shows_is_its_own() -> None:
    mesh = engine()
    record(mesh.peer, 3, 0)
    held = mesh.peer.log.held(AUTHOR)
    assert own_digest(mesh.peer) == b"\0\0\0\0" + held.to_bytes(2, "big")
