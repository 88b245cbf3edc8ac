"""Checks of the times after which a mesh counts anew how many authors there are."""

from limit_custody import engine

from hedgerow import limits
from hedgerow.mesh import frames, pace
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
