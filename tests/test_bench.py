"""`python -m bench` prints figures and nothing else, and the ones on the link keep to their goals."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=ROOT, check=False)


def test_every_line_is_a_figure() -> None:
    done = bench("--only", "link")
    assert done.returncode == 0, done.stderr
    figures = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(figures) >= 3
    for figure in figures:
        assert set(figure) == {"figure", "value", "unit", "goal", "beside", "ratios"}
        assert set(figure["ratios"]) == set(figure["beside"])
        assert figure["goal"] is None or figure["value"] <= figure["goal"], figure


def test_one_figure_by_name() -> None:
    done = bench("--only", "link.bytes_per_reading_54_authors")
    assert [json.loads(line)["figure"] for line in done.stdout.splitlines()] == [
        "link.bytes_per_reading_54_authors"
    ]


def test_an_unknown_name_fails_and_says_so() -> None:
    done = bench("--only", "nothing")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no figure's name begins with 'nothing'" in done.stderr


def test_two_at_a_time_find_the_same() -> None:
    alone, two = bench("--only", "link"), bench("--only", "link", "--jobs", "2")
    assert two.returncode == 0, two.stderr
    assert sorted(two.stdout.splitlines()) == sorted(alone.stdout.splitlines())
