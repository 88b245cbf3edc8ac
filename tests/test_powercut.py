"""`make powercut`: what it counts is distinct, it goes everywhere, and a failure can be repeated."""

import json
import re
import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent)]

import powercut  # noqa: E402  (the path comes first)

from hedgerow_device import flashframes  # noqa: E402
from hedgerow_device.flashring import Ring  # noqa: E402


def test_a_plan_goes_through_every_operation_once() -> None:
    jobs, _ = powercut.plan(1, 1 << 20, powercut.MODELS)
    firsts = sorted((job.first, job.last) for job in jobs if job.kind == "first")
    assert all(job.stride == 1 for job in jobs)
    ends = [0, *(last for _, last in firsts)]
    assert [first for first, _ in firsts] == ends[:-1]
    assert ends[-1] == len(powercut.recording(1).trace)
    assert {job.kind for job in jobs} == {"first", "later", "row", "keys"}


def test_one_seed_has_enough_cuts_for_a_full_run() -> None:
    cuts = [place for operation in powercut.recording(1).trace for place in powercut.cuts_in(operation)]
    assert len(cuts) > 0.8 * powercut.CUTS
    assert powercut.CUTS >= 100_000
    assert len({model for model, _ in cuts}) == len(powercut.MODELS)


def test_an_image_counts_once() -> None:
    job = powercut.Job("first", 1, 60, 63, 7)
    outcome = powercut.work(job)
    assert not outcome.failures
    assert sum(outcome.models.values()) == len(outcome.images) > 20
    before = len(outcome.images)
    powercut.KINDS["first"](job, outcome)
    assert len(outcome.images) == before == sum(outcome.models.values())


def test_a_share_of_a_full_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert powercut.main(["--seed", "1", "--cuts", "300", "--jobs", "1", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["cuts"] >= 300 and summary["failures"] == 0 and summary["seeds"][0] == 1
    assert "cut 1" in summary["levels"]
    assert sum(summary["models"].values()) == summary["cuts"] == sum(summary["levels"].values())


def test_what_fails_is_repeated_by_the_command_that_is_printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flashframes, "crc32", lambda data, value=0: 0)
    # The quick way of an append makes its own.
    monkeypatch.setattr(Ring, "quick", property(lambda ring: 0, lambda ring, limit: None), raising=False)
    powercut.recording.cache_clear()
    try:
        assert powercut.main(["--seed", "1", "--cuts", "3000", "--jobs", "1"]) == 1
        seed, path = re.findall(r"make powercut SEED=(\d+) REPLAY=(\S+)", capsys.readouterr().err)[0]
        with pytest.raises(Exception):  # noqa: B017 - as it failed before, by whatever it broke
            powercut.main(["--seed", seed, "--replay", path])
    finally:
        powercut.recording.cache_clear()
    monkeypatch.undo()
    assert powercut.main(["--seed", "1", "--replay", "50:prefix:3"]) == 0
    assert "all invariants hold" in capsys.readouterr().out
