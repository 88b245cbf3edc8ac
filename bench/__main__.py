"""`python -m bench [--only NAME] [--jobs N]`: a JSON object a figure on standard output, nothing else there.

Every module of this package with a list `FIGURES` takes part: functions that each return a list of figures
(see `figure.py`), of which the part of the name before the last point is the module's. NAME is a figure, or
the beginning of its name, such as `link` or `sync.rate`. `ratios` are the values beside, each over the value.
N functions are run at a time, each in a process of its own; figures that are rates want to be alone.
"""

import argparse
import contextlib
import importlib
import json
import pkgutil
import sys
from collections.abc import Callable, Iterator
from concurrent import futures

import bench

from .figure import Figure, keeps_its_goal

Measure = Callable[[], list[Figure]]


def measures(wanted: str) -> Iterator[Measure]:
    """The functions of every module that may have a figure whose name begins with `wanted`."""
    for info in pkgutil.iter_modules(bench.__path__):
        begin = info.name.replace("_", ".")
        if info.name != "__main__" and (begin.startswith(wanted) or wanted.startswith(begin)):
            yield from getattr(importlib.import_module(f"bench.{info.name}"), "FIGURES", [])


def with_ratios(figure: Figure) -> Figure:
    """Add how many times the value each one beside it is."""
    value = figure["value"]
    ratios = {name: round(other / value, 2) for name, other in figure["beside"].items()} if value else {}
    return {**figure, "ratios": ratios}


def _measured(measure: Measure) -> list[Figure]:
    """What it finds; nothing but figures goes to standard output."""
    with contextlib.redirect_stdout(sys.stderr):
        return measure()


def results(wanted: str, jobs: int) -> Iterator[list[Figure]]:
    """What the measures find, as each of them ends."""
    if jobs == 1:
        yield from map(_measured, measures(wanted))
        return
    with futures.ProcessPoolExecutor(jobs) as pool:
        under_way = [pool.submit(_measured, measure) for measure in measures(wanted)]
        yield from (done.result() for done in futures.as_completed(under_way))


def main(arguments: list[str] | None = None) -> int:
    """Run the wanted benchmarks; returns the exit status: 1 if a goal is missed, 2 without such a figure."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", default="", help="only figures whose name begins so")
    parser.add_argument(
        "--jobs", type=int, default=1, choices=range(1, 65), metavar="N", help="how many at a time"
    )
    given = parser.parse_args(arguments)
    wanted: str = given.only
    shown = missed = 0
    for figures in results(wanted, given.jobs):
        for figure in figures:
            if figure["figure"].startswith(wanted):
                shown += 1
                print(json.dumps(with_ratios(figure)), flush=True)
                if not keeps_its_goal(figure):
                    missed += 1
                    print(f"{figure['figure']} misses its goal", file=sys.stderr)
    if not shown:
        print(f"no figure's name begins with {wanted!r}", file=sys.stderr)
        return 2
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
