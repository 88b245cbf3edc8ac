"""`python -m bench [--only NAME]`: one JSON object per figure on standard output, and nothing else there.

Every module of this package with a list `FIGURES` takes part: functions that each return a list of
{"figure", "value", "unit", "goal", "beside"}. NAME is a figure, or the beginning of its name, such as `link`.
"""

import argparse
import contextlib
import importlib
import json
import pkgutil
import sys
from collections.abc import Callable, Iterator
from typing import Any

import bench

Measure = Callable[[], list[dict[str, Any]]]


def measures(wanted: str) -> Iterator[Measure]:
    """The functions of every module that may have a figure whose name begins with `wanted`."""
    for info in pkgutil.iter_modules(bench.__path__):
        if info.name != "__main__" and (info.name.startswith(wanted) or wanted.startswith(info.name)):
            yield from importlib.import_module(f"bench.{info.name}").FIGURES


def main(arguments: list[str] | None = None) -> int:
    """Run the wanted benchmarks; returns the exit status, 2 when there is no figure of that name."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", default="", help="only figures whose name begins so")
    wanted: str = parser.parse_args(arguments).only
    shown = 0
    for measure in measures(wanted):
        with contextlib.redirect_stdout(sys.stderr):
            figures = measure()
        for figure in figures:
            if figure["figure"].startswith(wanted):
                shown += 1
                print(json.dumps(figure), flush=True)
    if not shown:
        print(f"no figure's name begins with {wanted!r}", file=sys.stderr)
    return 0 if shown else 2


if __name__ == "__main__":
    sys.exit(main())
