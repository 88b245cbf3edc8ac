"""Each guard against saying and doing things again is taken out in turn, and a check must then fail."""

from collections.abc import Callable
from typing import Any

import pytest
import test_mesh_far as far
import test_mesh_handed as handed
import test_mesh_once as once

from hedgerow.mesh import carrier, pace, ways
from hedgerow.mesh.custody import BACK, Custody
from hedgerow.mesh.down import Down
from hedgerow.mesh.feed import Feed
from hedgerow.mesh.repair import Repair
from hedgerow.mesh.speaker import Speaker
from hedgerow.mesh.ways import Ways

Patch = Callable[[pytest.MonkeyPatch], None]


def asked_by_each(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Repair, "_again", lambda *_args: False)


def passed_on_whoever_does(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Speaker, "echo", lambda *_args: None)


class _Forgets:
    def note(self, *_args: Any) -> None:
        pass

    def has(self, *_args: Any) -> bool:
        return False


def taken_whenever_it_comes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(carrier, "Recent", lambda *_args: _Forgets())


def taken_where_there_is_no_room(patch: pytest.MonkeyPatch) -> None:
    offer = Custody.offer

    def noted(place: Custody, frame: bytes, name: int, now: int, wait: int) -> None:
        offer(place, frame, name, now, wait)
        place.done.note(name ^ BACK, now)

    patch.setattr(Custody, "offer", noted)


def all_come_first(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Ways, "near", lambda *_args: True)


def asks_as_soon_for_much(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Repair, "_patience", lambda self, wait: wait if self._mesh.flood else pace.LATE_MS)


def answers_by_chance(patch: pytest.MonkeyPatch) -> None:
    say = Down._say_time
    patch.setattr(Down, "_say_time", lambda self, at: say(self, min(at, 100 + self._mesh.random(900))))


def nothing_is_handed_over(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Feed, "hand", lambda *_args: False)


def all_that_waits_counts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ways, "_VAIN_MS", 0)


MUTANTS: list[tuple[Patch, Callable[[], None]]] = [
    (asked_by_each, once.test_a_question_that_many_pass_on_is_answered_once),
    (asked_by_each, once.test_a_question_that_two_others_pass_on_need_not_be),
    (passed_on_whoever_does, once.test_a_question_that_two_others_pass_on_need_not_be),
    (taken_whenever_it_comes, once.test_what_comes_back_again_and_again_is_on_its_way),
    (taken_where_there_is_no_room, once.test_what_comes_back_and_finds_no_room_is_not_acknowledged),
    (all_come_first, once.test_those_who_hear_it_well_take_anew_first),
    (asks_as_soon_for_much, once.test_a_gateway_that_lacks_much_is_patient),
    (nothing_is_handed_over, handed.test_what_somebody_nearer_was_given_is_pushed),
    (nothing_is_handed_over, handed.test_who_comes_later_is_not_given_it_as_well),
    (all_that_waits_counts, far.test_who_does_not_hear_us_is_no_way),
    (answers_by_chance, once.test_who_knows_the_time_best_answers_first),
]


@pytest.mark.parametrize(("mutant", "check"), MUTANTS, ids=lambda part: part.__name__)
def test_the_mutant_of_once_is_caught(
    mutant: Patch, check: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant(monkeypatch)
    with pytest.raises(AssertionError):
        check()
