"""Who asks for the time, who answers, and which answers count (SPEC 6.29). Runs on both VMs."""

from mesh_kit import KEY, NOW, Air, pair

from hedgerow import limits
from hedgerow.mesh import frames, pace, tells

HEAP = "2m"


def test_the_time_is_said_twice_each_time_for_its_own_moment() -> None:
    air, keeper, other = pair(5)
    times: list = []

    def sent(member: object, payload: bytes) -> None:
        at = frames.find(payload)
        if payload[at] & 15 == frames.TIME and member is keeper:
            times.append((air.now, tells.decode_time(payload[at:])[0]))

    air.on_sent = sent
    # Nobody else is there to say it, and whoever asks hears nothing.
    other.mesh.down.heard_time = lambda frame, now: None
    air.run(2000)
    while not times:
        air.run(air.now + 100)
    air.run(times[0][0] + 400)
    assert len(times) == 2 and times[0][1] < times[1][1]
    assert [utc - at for at, utc in times] == [NOW, NOW]
    # While the asker wants it still, its next STATE is answered again.
    air.run(air.now + 60000)
    assert len(times) >= 4


def test_a_time_that_waited_is_not_believed_to_be_exact() -> None:
    for late, error in ((0, 65), (400, 465), (2000, None)):
        other = pair(6)[2]
        body = tells.encode_time(NOW, 5, 4, 0, other.author, 7)
        frame = frames.make(frames.TIME, other.peer.mesh, body, KEY)
        other.mesh.down.asked_time = (7, 1000) * 2
        other.mesh.down.late_ms = late
        other.mesh.down.heard_time(frame, 1000)
        known = other.peer.utc(1000)
        if error is None:
            assert known is None
        else:
            assert known[1] == error and known[0] - error <= NOW and NOW + late <= known[0] + error


def test_a_time_is_taken_that_answers_what_was_asked_lately() -> None:
    fresh = pace.TIME_FRESH_MS
    # The moments of the STATEs that asked, 65534 the first of them, and now; what is answered.
    one, some = (0,), (0, 1000, 2000, 2500)
    for moments, now, counter, asker, taken in (
        (one, 0, 65534, 0, True),
        (one, 0, 65534, 1, False),
        (one, 0, 65535, 0, False),
        (one, 0, 65533, 0, False),
        (one, fresh - 1, 65534, 0, True),
        (one, fresh, 65534, 0, False),
        (some, fresh - 1, 65534, 0, True),
        (some, fresh - 1, 0, 0, True),
        (some, fresh - 1, 2, 0, False),
        # The last may be answered yet, those of whom the first is too old may not.
        (some, fresh, 0, 0, False),
        (some, fresh, 1, 0, True),
        (some, 2500 + fresh, 1, 0, False),
        # Once the first is too old, the one before the last takes its place.
        ((0, fresh - 1000, fresh), fresh + 500, 65535, 0, True),
        ((0, fresh - 1000, fresh), 2 * fresh - 1000, 65535, 0, False),
        # However many are said, what a radio recorded is too old after so long.
        (tuple(range(0, 6000, 500)), 5600, 65534, 0, False),
        (tuple(range(0, 6000, 500)), 5600, 65538 & 0xFFFF, 0, False),
        (tuple(range(0, 6000, 500)), 5600, 65534 + 11 & 0xFFFF, 0, True),
    ):
        keeper, other = pair(6)[1:]
        asked = other.mesh.down.asked_time
        for at, moment in enumerate(moments):
            asked = tells.ask(asked, 65534 + at, moment)
        other.mesh.down.asked_time = asked
        body = tells.encode_time(NOW, 5, 4, 0, (other, keeper)[asker].author, counter)
        other.mesh.down.heard_time(frames.make(frames.TIME, other.peer.mesh, body, KEY), now)
        assert (other.peer.utc(now) is not None) == taken, (moments, now, counter, asker)


def test_a_time_that_is_said_again_is_too_old_for_whoever_asks_often() -> None:
    _, keeper, other = pair(5)
    keeper.mesh.down.offer_time = lambda short, counter, now: None
    for moment in range(0, 4 * pace.TIME_FRESH_MS, 400):
        other.mesh._say_state(0, moment)
        if moment == 0:
            body = tells.encode_time(NOW, 5, 4, 0, other.author, other.mesh.counter)
        elif moment >= pace.TIME_FRESH_MS:
            other.mesh.down.heard_time(frames.make(frames.TIME, other.peer.mesh, body, KEY), moment)
    assert other.peer.utc(moment) is None


def test_a_time_of_another_boot_is_no_answer() -> None:
    air, keeper, other = pair(5)
    times: list = []

    def sent(member: object, payload: bytes) -> None:
        if payload[frames.find(payload)] & 15 == frames.TIME and member is keeper:
            times.append(payload)

    air.on_sent = sent
    while not times:
        air.run(air.now + 100)
    air.run(air.now + 1000)
    assert other.peer.utc(air.now)
    # The board starts again, and asks; what answers is what it was told before.
    air, keeper, other = pair(6)
    keeper.mesh.down.offer_time = lambda short, counter, now: None
    air.run(5000)
    assert other.mesh.down.asked_time[1] > 0 and other.peer.wants_time(air.now)
    other.mesh.heard(b"there", -50, times[0], air.now)
    assert other.peer.utc(air.now) is None


def told(air: Air, keeper: object) -> list:
    """Return the list to which (asker, counter) of each TIME that the keeper says is added."""
    times: list = []

    def sent(member: object, payload: bytes) -> None:
        at = frames.find(payload)
        if payload[at] & 15 == frames.TIME and member is keeper:
            times.append(tells.decode_time(payload[at:])[4:])

    air.on_sent = sent
    return times


def ask(air: Air, keeper: object, asker: bytes, counter: int) -> None:
    """Let the keeper hear a STATE that wants the time, as its engine takes it."""
    keeper.mesh._due_at = None
    keeper.mesh.down.offer_time(asker, counter, air.now)
    air.look(keeper)


def said(keeper: object, asker: bytes, counter: int, hops: int = 0) -> bytes:
    """Return a TIME by somebody else."""
    return frames.make(frames.TIME, keeper.peer.mesh, tells.encode_time(NOW, 5, 4, hops, asker, counter), KEY)


def test_all_who_ask_at_once_get_the_time() -> None:
    air, keeper, _ = pair(5)
    times = told(air, keeper)
    down = keeper.mesh.down
    most = limits.MESH_ASKERS
    for counter in range(most):
        ask(air, keeper, bytes((9, 9, counter)), counter)
    # Somebody else is heard answering the first. What answers an older question, or is too far from the
    # time to be taken, is no answer.
    down.heard_time(said(keeper, bytes((9, 9, 0)), 0), air.now)
    down.heard_time(said(keeper, bytes((9, 9, 1)), 0), air.now)
    down.heard_time(said(keeper, bytes((9, 9, 2)), 2, 15), air.now)
    air.run(4000)
    answered = [counter for asker, counter in times if asker[:2] == bytes((9, 9))]
    assert sorted(answered) == sorted(list(range(1, most)) * 2)


def test_who_asks_when_many_do_has_a_chance() -> None:
    air, keeper, other = pair(5)
    times = told(air, keeper)
    down = keeper.mesh.down
    for counter in range(3 * limits.MESH_ASKERS):
        ask(air, keeper, bytes((9, 9, counter)), counter)
        assert len(down._askers) <= limits.MESH_ASKERS and down._askers[-1][1] == counter
    air.run(8000)
    # The board asks, too, while all places are taken.
    answered = [counter for asker, counter in times if asker[:2] == bytes((9, 9))]
    assert len(answered) >= 2 * limits.MESH_ASKERS - 2 and other.peer.utc(air.now)


def test_what_asks_again_with_the_same_state_is_answered_once() -> None:
    air, keeper, _ = pair(5)
    times = told(air, keeper)
    for turn in range(40):
        # Recorded ones, said again and again.
        for counter in range(40):
            ask(air, keeper, bytes((9, 9, counter)), counter)
        if turn % 10 == 9:
            ask(air, keeper, bytes((8, 8, 8)), turn)
        air.run(air.now + 1000)
    air.run(air.now + 3000)
    assert len([1 for asker, _ in times if asker[:2] == bytes((9, 9))]) <= 80
    mine = [counter for asker, counter in times if asker == bytes((8, 8, 8))]
    assert mine == [9, 9, 19, 19, 29, 29, 39, 39]


def test_a_time_that_is_withdrawn_leaves_nobody_waiting() -> None:
    air, keeper, _ = pair(5)
    times = told(air, keeper)
    down = keeper.mesh.down
    for counter in range(limits.MESH_ASKERS):
        ask(air, keeper, bytes((9, 9, counter)), counter)
    keeper.peer.withdraw_time(4)
    air.run(3000)
    assert not times and not down._askers
    keeper.peer.set_time(NOW, 5, 4, keeper.now(air.now))
    ask(air, keeper, bytes((8, 8, 8)), 1)
    air.run(air.now + 3000)
    assert (bytes((8, 8, 8)), 1) in times
