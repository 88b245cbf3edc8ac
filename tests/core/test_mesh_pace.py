"""Each time and count of the mesh engine is what pace says: something at it, and nothing one before it."""

from collections.abc import Callable

import limit_about as about
import limit_custody as custody
import limit_leaves as leaves
import limit_strangers as strangers
import limit_times as times
import limit_wishes as wishes
import pytest

from hedgerow.mesh import pace

CHECKS: dict[str, Callable[[], None]] = {
    "EVENTS": custody.events,
    "QUIET": custody.quiet,
    "PUSHES": custody.pushes,
    "TURN_MS": times.turn,
    "MOST_TURNS": times.most_turns,
    "FEW": times.few,
    "AGAIN_SOON_MS": times.again_soon,
    "BACKOFF_MS": custody.backoff,
    "GATHER_MS": times.gather,
    "RECEIPT_MS": times.receipt_again,
    "ROUTE_MS": times.route,
    "NOTE_MS": custody.note,
    "DONE_MS": custody.known_as_passed_on,
    "AGAIN_MS": times.again,
    "ASKS": times.asks_of_one,
    "WAITING_MS": times.waiting,
    "LATE_MS": times.late,
    "ASK_MS": times.ask_again,
    "LETTER_MS": times.said_letter,
    "SAME_MS": times.same_question,
    "SEAL_MS": times.seal,
    "CENSUS_MS": about.census,
    "CROWD_MS": about.crowd,
    "AROUND_MS": about.around,
    "ANNOUNCE_MS": times.announce,
    "START_MS": times.start,
    "MEET_MS": about.meet,
    "VISIT_MS": about.visit,
    "TIME_MS": times.time,
    "TIME_FRESH_MS": times.time_fresh,
    "POOR_TIME_MS": times.poor_time,
    "TIME_MOST_MS": times.better_time,
    "WISH_MS": wishes.wish_again,
    "LOST_MS": about.lost,
    "APART_MS": about.apart,
    "FALSE_WORD_MS": wishes.false_word,
    "VOUCH_MS": strangers.next_one,
    "VOUCH_OPEN_MS": strangers.open_ones,
    "VOUCH_AGAIN_MS": strangers.asked_again,
    "HANDOVER_MS": times.handover,
    "GRACE_MS": times.grace,
    "STATE_MIN_MS": times.state_least,
    "STATE_BUSY_MS": times.state_busy,
    "STATE_MAX_MS": times.state_most,
    "STATE_CALM_MS": times.state_calm,
    "STATE_SETTLE_MS": times.state_settle,
    "STEADY_MS": about.steady,
    "HAVE_MAX_MS": times.have_most,
    "FULL_MS": times.full,
    "LOOK_MS": times.look,
    "LEAF_WINDOW_MS": leaves.leaf_window,
    "LEAF_MOST_MS": leaves.leaf_most,
    "LEAF_PERIOD_MS": leaves.leaf_period,
    "LEAF_BACKOFF_MS": custody.leaf_backoff,
    "RECEIPT_LATE_MS": leaves.receipt_late,
}
#: Where one of them counts in another place too.
MORE: list[Callable[[], None]] = [
    custody.passed_on_needs_so_many,
    wishes.wish_kept,
    about.crowd_of_neighbours,
]


def test_all_of_it_is_checked() -> None:
    assert CHECKS.keys() == {name for name in vars(pace) if name.isupper()}


@pytest.mark.parametrize("name", CHECKS)
def test_pace(name: str) -> None:
    CHECKS[name]()


@pytest.mark.parametrize("check", MORE, ids=lambda check: check.__name__)
def test_more_of_it(check: Callable[[], None]) -> None:
    check()
