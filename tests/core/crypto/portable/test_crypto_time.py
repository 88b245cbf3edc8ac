"""A session with keys proves the time, or mends one that came by an advertisement. Runs on both VMs."""

from enrolled_kit import Enrolled, meet

from hedgerow.crypto.claims import GIVES_TIME
from hedgerow.operation import SOURCE_KEEPER, SOURCE_RELAYED

HEAP = "800k"
NOW = 860_000_000_000
YEAR_MS = 31_536_000_000


def board(utc_ms: int) -> Enrolled:
    """Return a board that heard the time on the air."""
    one = Enrolled(31)
    assert one.peer.set_time(utc_ms, 40, SOURCE_RELAYED, 0)
    return one


def giver(kinds: int = GIVES_TIME) -> Enrolled:
    two = Enrolled(32, kinds=kinds)
    two.peer.set_time(NOW, 300, SOURCE_KEEPER, 0, True)
    return two


def test_what_a_session_says_takes_the_place_of_what_the_air_said() -> None:
    for wrong in (NOW - 8000, NOW + 8000, NOW - YEAR_MS, NOW + YEAR_MS):
        one = board(wrong)
        meet(one, giver())
        utc_ms, error_ms = one.peer.utc(0)
        assert abs(utc_ms - NOW) <= error_ms <= 400, wrong - NOW


def test_a_time_that_holds_is_proven_and_not_written_again() -> None:
    one = board(NOW + 100)
    held = one.log.held(one.identity.author)
    assert one.peer.doubts_time(0)
    meet(one, giver())
    assert one.peer.utc(0)[0] == NOW + 100 and one.log.held(one.identity.author) == held
    assert not one.peer.doubts_time(0)
    # What is proven no other word moves, unless it is better.
    assert not one.peer.set_time(NOW + YEAR_MS, 40, SOURCE_KEEPER, 0, True)


def test_who_may_not_give_the_time_moves_none() -> None:
    one = board(NOW - YEAR_MS)
    meet(one, giver(0))
    assert one.peer.utc(0)[0] == NOW - YEAR_MS and one.peer.doubts_time(0)


def test_what_the_air_says_against_a_proven_time_is_not_taken() -> None:
    one = board(NOW)
    meet(one, giver())
    # Its error has grown beyond what a TIME says.
    later = 40 * 3_600_000
    assert one.peer.wants_time(later)
    for wrong in (NOW + later - YEAR_MS, NOW + later + 3_600_000):
        assert not one.peer.set_time(wrong, 40, SOURCE_RELAYED, later)
    assert one.peer.set_time(NOW + later + 500, 40, SOURCE_RELAYED, later)
