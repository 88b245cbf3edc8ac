"""Seeded runs of changes against the model of SPEC 3; `tests/core/test_merge_model.py` has many more."""

from kit import Random
from merge_kit import check_run, random_run


def test_documents_are_what_the_model_says() -> None:
    shown = 0
    for seed in range(60):
        random = Random(seed)
        shown += bool(check_run(random_run(random), random))
    assert shown > 20
