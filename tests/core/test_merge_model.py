"""Documents against the model of SPEC 3: any changes, in any order, any repetition, kept or superseded.

HEDGEROW_EXAMPLES sets how many runs hypothesis makes of each; five times as many are seeded ones.
"""

import os
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from kit import Random
from merge_kit import check_run, random_run, same
from merge_model import value_of

from hedgerow.operation import COUNTER

EXAMPLES = int(os.environ.get("HEDGEROW_EXAMPLES", "1000"))


class Drawn:
    """Hypothesis as a source of choices."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def below(self, limit: int) -> int:
        return self._draw(st.integers(0, limit - 1))

    def chance(self, percent: int) -> bool:
        return self.below(100) < percent

    def choice(self, items: list[Any]) -> Any:
        return items[self.below(len(items))]


@settings(max_examples=EXAMPLES)
@given(st.data())
def test_any_changes(data: st.DataObject) -> None:
    source = Drawn(data.draw)
    check_run(random_run(source), source)


def test_many_seeded_runs() -> None:
    shown = counted = 0
    for seed in range(EXAMPLES * 5):
        random = Random(seed + 1000)
        run = random_run(random, 14)
        shown += bool(check_run(run, random))
        counters = [change for change in run if change[0][0] == COUNTER]
        counted += not same(value_of(run), value_of([change for change in run if change not in counters]))
    assert shown > 2 * EXAMPLES and counted > EXAMPLES // 2
