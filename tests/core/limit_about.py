"""Checks of who is about: how authors and neighbours are counted, and for how long somebody is a way."""

from limit_custody import engine, op_of

from hedgerow import limits
from hedgerow.mesh import frames, pace
from hedgerow.mesh.custody import name_of
from hedgerow.mesh.density import Steady
from hedgerow.mesh.mesh import Mesh
from hedgerow.sync.hello import RELAY


def census() -> None:
    """Authors count for one period after that in which they were heard."""
    mesh = engine()
    mesh._census.add(7, 0)
    assert mesh._census.estimate(2 * pace.CENSUS_MS - 1) == 1
    assert mesh._census.estimate(2 * pace.CENSUS_MS) == 0


def crowd() -> None:
    """Who has counted many floods again after a whole period in which few were heard: silence is none."""
    mesh = engine()
    many = range(0, 3 * limits.FLOOD_AUTHORS, 2)
    for number in many:
        mesh._count(number.to_bytes(3, "big"), 0)
    mesh._mode(0)
    assert not mesh.flood
    silent = 5 * pace.CROWD_MS
    mesh._mode(silent)
    assert not mesh.flood
    mesh._count(b"aut", silent)
    for moment, flood in ((silent + pace.CROWD_MS - 1, False), (silent + pace.CROWD_MS, True)):
        mesh._mode(moment)
        assert mesh.flood == flood
    # Many in the period that runs are many.
    for number in many:
        mesh._crowd.add(number, moment)
    mesh._crowded = True
    mesh._count(b"aut", moment + pace.CROWD_MS)
    mesh._mode(moment + pace.CROWD_MS)
    assert not mesh.flood


def crowd_of_neighbours() -> None:
    """Until it has heard somebody for a whole period any neighbour in a gradient decides, then one nearer."""
    for moment, heard, hops, flood in (
        (pace.CROWD_MS - 1, True, 255, False),
        (pace.CROWD_MS, False, 255, False),
        (pace.CROWD_MS, True, 255, True),
        (pace.CROWD_MS, True, 1, False),
    ):
        mesh = engine()
        if heard:
            mesh._count(b"aut", 0)
        state = frames.State(b"ms", 1, 0, bytes(6), 0, hops, frames.GRADIENT, RELAY, b"aut", 3)
        mesh.visits.heard(b"a", state, -50, moment)
        mesh._mode(moment)
        assert mesh.flood == flood


def steady() -> None:
    """Once a peer has run for a while, who is heard counts if it is heard again in another slice of time."""
    start, period = pace.STATE_MAX_MS, 2 * pace.AROUND_MS
    for again, count in ((pace.STEADY_MS - 1, 0), (pace.STEADY_MS, 1), (period, 1), (3 * period, 0)):
        counted = Steady(512, period, 0)
        counted.add(7, start)
        assert counted.estimate(start) == 0
        # Somebody else, for the slice to end.
        counted.add(8, start + max(again - 1, 0))
        counted.add(7, start + again)
        assert counted.estimate(start + again) == count
    counted = Steady(512, period, 0)
    counted.add(7, start - 1)
    assert counted.estimate(start) == 1


def around() -> None:
    mesh = engine()
    mesh._around.add(7, 0)
    assert mesh._around.estimate(4 * pace.AROUND_MS - 1) == 1
    assert mesh._around.estimate(4 * pace.AROUND_MS) == 0


def _near(mesh: Mesh, address: bytes, distance: int, now: int) -> None:
    """Hear two STATEs in a row of a neighbour."""
    for counter in (1, 2):
        state = frames.State(b"ms", counter, 0, bytes(6), 0, distance, 0, RELAY, address, 3)
        mesh.visits.heard(address, state, -50, now)
    mesh.visits.ways.rank(now)


def meet() -> None:
    """So long a peer that has heard nobody takes nothing in."""
    for moment, taken in ((pace.MEET_MS - 1, 0), (pace.MEET_MS, 1)):
        mesh = engine()
        frame = op_of(1)
        mesh._met_at = pace.MEET_MS
        mesh._carry(frames.OP, frame, name_of(frame), moment)
        assert len(mesh.intake.waiting) == taken


def lost() -> None:
    """Who was not heard for longer is no way any more."""
    mesh = engine()
    _near(mesh, b"aut", 3, 0)
    for moment, found in ((pace.LOST_MS, 4), (pace.LOST_MS + 1, 255)):
        mesh.visits.ways.rank(moment)
        assert mesh.peer.distance(moment) == found


def apart() -> None:
    """A way that is longer by more than a hop is taken after so long without any."""
    mesh = engine()
    _near(mesh, b"one", 1, 0)
    start = pace.LOST_MS + 1
    _near(mesh, b"two", 5, start)
    assert mesh.peer.distance(start) == 255
    for moment, found in ((pace.APART_MS - 1, 255), (pace.APART_MS, 6)):
        mesh.visits.ways.rank(start + moment)
        assert mesh.peer.distance(start) == found
    # A longer one by a hop cannot be our own, come back.
    mesh = engine()
    _near(mesh, b"one", 1, 0)
    _near(mesh, b"two", 2, start)
    assert mesh.peer.distance(start) == 3


def visit() -> None:
    """What is too much for advertisements has to be so for that long before a session is asked for."""
    for moment, calls in ((pace.VISIT_MS - 1, 0), (pace.VISIT_MS, 1)):
        mesh = engine()
        mesh.code = 1
        mesh.flood = False
        state = frames.State(
            b"ms", 1, 0, b"digest", 500, 200, frames.CONNECTABLE | frames.GRADIENT, RELAY, b"aut", 3
        )
        for now in (0, moment):
            mesh.visits.heard(b"a", state, -50, now)
            assert mesh.visit(now) is None
        assert mesh.stats["calls"] == calls
