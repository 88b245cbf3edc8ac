"""`make powercut [SEED=7 CUTS=100000 MODEL=bits JOBS=2]`: the power goes at every byte that the log programs.

A seeded workload of more than two laps is recorded once; from its trace the flash is rebuilt as it was at
each operation, torn in every way, mounted, checked, used, mounted and checked again (firmware/flash_cuts.py).
Then the same in the second and third boot, and hundreds of cuts in a row. What fails is printed with the
command that repeats it.
"""

import argparse
import json
import multiprocessing
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

sys.path[:0] = [str(Path(__file__).parent / folder) for folder in ("firmware", "core")]

from flash_cuts import (  # noqa: E402  (the path comes first)
    DEEP,
    MODELS,
    PROGRAM_TEARS,
    Leg,
    Operation,
    Recording,
    cut,
    cuts_in,
    go_on,
)
from flash_rows import ROW, row  # noqa: E402
from keys_cuts import record, survive, torn_cells  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: E402

CUTS = 100_000
#: Of all cuts so many are left to what is no first cut: second ones, third ones, rows.
_LATER = 0.15
_JOB = 400
#: Of those that are left: cuts in the workload of the document index, so many operations apart in one job.
_KEYS = 0.25
_KEYS_APART = 40
_KEYS_LAPS = 1.4
#: From one first cut so many bytes of each operation that follows, for each model; one in so many again.
_BYTES = 1
_AGAIN = 20
_LATER_PER_START = 70
_FAILURES = 10
Path_ = tuple[tuple[int, str, int], ...]


class Job(NamedTuple):
    """What a worker does at once: first cuts from operation `first` on, or what follows on one, or a row, or
    cuts in the document index's workload at operations `first`, `first` + 40, ..."""

    kind: str
    seed: int
    first: int = 0
    last: int = 0
    stride: int = 1
    models: tuple[str, ...] = MODELS


class Outcome:
    """What was cut: images (8 bytes of a hash each) with the model and level that they came by first, what
    failed."""

    def __init__(self) -> None:
        self.images: dict[bytes, tuple[str, str]] = {}
        self.failures: list[str] = []
        self.runs = 0

    @property
    def models(self) -> Counter[str]:
        """How many images came by each model."""
        return Counter(model for model, _ in self.images.values())

    @property
    def levels(self) -> Counter[str]:
        """How many images came by first cuts, second ones, and so on."""
        return Counter(level for _, level in self.images.values())

    def new(self, cells: bytes | bytearray, model: str, level: str) -> bool:
        """Say whether an image is new, and note it."""
        mark = blake2b(cells, digest_size=8).digest()
        if mark in self.images:
            return False
        self.images[mark] = (model, level)
        return True

    def add(self, other: "Outcome") -> None:
        """Take another's in; an image counts once."""
        self.images = other.images | self.images
        self.failures += other.failures
        self.runs += other.runs


@lru_cache(maxsize=2)
def recording(seed: int) -> Recording:
    """Return the recorded run of a seed."""
    return Recording(seed)


def text(path: Path_) -> str:
    """Return a path of cuts as REPLAY= takes it."""
    return "/".join("%d:%s:%d" % part for part in path)


def try_cut(outcome: Outcome, leg: Leg, seed: int, path: Path_, cells: bytearray) -> Leg | None:
    """Make the last cut of a path in a leg whose cells are those before it; return the way from there.

    None if the image is not new, or if something did not hold: that is noted.
    """
    index, model, byte = path[-1]
    name = f"{seed}/{text(path)}"
    torn, doubtful = cut(leg, index, cells, model, byte, name)
    marked = torn + bytes(sorted(doubtful))
    # The same cells may stand before and behind an acknowledgement: looked at twice, and counted once.
    if not outcome.new(marked, model, f"cut {len(path)}") and model not in ("nothing", "all", "unstarted"):
        return None
    outcome.runs += 1
    try:
        return go_on(leg, index, torn, doubtful, name, deep=crc32(name.encode()) % DEEP == 0)
    except Exception as error:  # noqa: BLE001 - whatever it was, the path repeats it
        outcome.failures.append(describe(leg, seed, path, error))
        return None


def describe(leg: Leg, seed: int, path: Path_, error: BaseException) -> str:
    """Return what failed, where, and how to repeat it."""
    index, model, byte = path[-1]
    operation = leg.trace[index]
    step = leg.step_at(index)
    action = " ".join(map(str, leg.steps[step].action[:1])) if step >= 0 else "format"
    size = f" at {operation[2]}, {len(operation[3])} bytes" if operation[0] == "program" else ""
    return (
        f"seed {seed}, operation {index} ({operation[0]} in sector {operation[1]}{size}; {action}), "
        f"model {model}, byte {byte}: {error!r}\n"
        f"    repeat it with: make powercut SEED={seed} REPLAY={text(path)}"
    )


def first_cuts(job: Job, outcome: Outcome) -> None:
    """Cut in the operations of a job, at every `stride`-th place."""
    leg = recording(job.seed)
    cells = leg.cells_at(job.first)
    phase = random.Random(f"{job.seed}/{job.first}").randrange(job.stride)
    for index in range(job.first, job.last):
        for model, byte in cuts_in(leg.trace[index]):
            phase += 1
            if phase % job.stride == 0 and model in job.models:
                try_cut(outcome, leg, job.seed, ((index, model, byte),), cells)
        leg.apply(cells, index)


def later_cuts(job: Job, outcome: Outcome) -> None:
    """Cut again in what follows on a cut by chance: in every operation, at some bytes; some once more."""
    leg = recording(job.seed)
    rng = random.Random(f"{job.seed}/later/{job.first}")
    index = rng.randrange(len(leg.trace))
    places = [place for place in cuts_in(leg.trace[index]) if place[0] in job.models]
    path: Path_ = ((index, *rng.choice(places)),) if places else ()
    way = try_cut(outcome, leg, job.seed, path, leg.cells_at(index)) if path else None
    if way:
        for second in sampled(way, rng, job.models):
            third = try_cut(outcome, way, job.seed, (*path, second), way.cells_at(second[0]))
            if third and rng.randrange(_AGAIN) == 0:
                for last in sampled(third, rng, job.models):
                    if rng.randrange(_AGAIN) == 0:
                        cells = third.cells_at(last[0])
                        try_cut(outcome, third, job.seed, (*path, second, last), cells)


def sampled(way: Leg, rng: random.Random, models: tuple[str, ...]) -> Iterator[tuple[int, str, int]]:
    """Yield (operation, model, byte): every operation, a few bytes by every model."""
    for index, operation in enumerate(way.trace):
        places: dict[str, list[int]] = {}
        for model, byte in cuts_in(operation):
            if model in models:
                places.setdefault(model, []).append(byte)
        for model, bytes_ in places.items():
            for byte in rng.sample(bytes_, min(_BYTES, len(bytes_))):
                yield index, model, byte


def cuts_in_a_row(job: Job, outcome: Outcome) -> None:
    """Cut hundreds of boots in a row."""
    try:
        images = row(recording(job.seed), job.first, same=bool(job.last))
    except Exception as error:  # noqa: BLE001 - whatever it was, the number repeats it
        outcome.failures.append(
            f"seed {job.seed}, row {job.first}: {error!r}\n"
            f"    repeat it with: make powercut SEED={job.seed} REPLAY=row:{job.first}:{job.last}"
        )
        return
    for image in images:
        outcome.runs += 1
        outcome.new(image, "row", "in a row")


@lru_cache(maxsize=2)
def keys_trace(seed: int) -> list[Operation]:
    """Return the operations of a seed's run of the document index."""
    return record(seed, _KEYS_LAPS)[0]


def keys_cuts(job: Job, outcome: Outcome) -> None:
    """Cut in the workload of the document index."""
    for index, operation, model, torn in torn_cells(keys_trace(job.seed), _KEYS_APART, job.first):
        outcome.new(torn, "keys", "keys")
        outcome.runs += 1
        try:
            survive(torn, index)
        except Exception as error:  # noqa: BLE001 - whatever it was, the number repeats it
            outcome.failures.append(
                f"seed {job.seed}, document index, operation {index} {operation[:2]}, {model}: {error!r}\n"
                f"    repeat it with: make powercut SEED={job.seed} REPLAY=keys:{job.first}"
            )
            return


KINDS = {"first": first_cuts, "later": later_cuts, "row": cuts_in_a_row, "keys": keys_cuts}


def work(job: Job) -> Outcome:
    """Do a job, in a worker."""
    outcome = Outcome()
    KINDS[job.kind](job, outcome)
    return outcome


# ---- planning


def plan(seed: int, cuts: int, models: tuple[str, ...]) -> tuple[list[Job], int]:
    """Return the jobs on one seed, and about how many cuts they are: at most about `cuts`."""
    leg = recording(seed)
    sizes = [sum(1 for model, _ in cuts_in(operation) if model in models) for operation in leg.trace]
    stride = max(1, round(sum(sizes) / max(1, cuts * (1 - _LATER))))
    jobs = []
    first = total = 0
    for index, size in enumerate(sizes):
        total += size
        if total > _JOB * stride or index == len(sizes) - 1:
            jobs.append(Job("first", seed, first, index + 1, stride, models))
            first = index + 1
            total = 0
    planned = sum(sizes) // stride
    after = later = max(1, int(min(cuts, sum(sizes)) * _LATER))
    rows = later // 3 // ROW
    keys = 0
    if models == MODELS:
        per_job = len(keys_trace(seed)) * len(PROGRAM_TEARS) // _KEYS_APART
        keys = min(_KEYS_APART, max(1, int(later * _KEYS) // per_job))
        jobs += [Job("keys", seed, number) for number in range(keys)]
        later -= min(later, keys * per_job)
    starts = (later - min(later, rows * ROW)) // _LATER_PER_START
    jobs += [Job("later", seed, number, 0, 1, models) for number in range(starts)]
    if models == MODELS:
        jobs += [Job("row", seed, number, number % 3 != 2) for number in range(rows)]
    random.Random(seed).shuffle(jobs)
    return jobs, planned + after


def run(
    seed: int, cuts: int, models: tuple[str, ...], jobs: int, console: Console
) -> tuple[Outcome, list[int]]:
    """Cut until there were `cuts` distinct cuts, on as many seeds as that takes, or until enough fails."""
    outcome = Outcome()
    seeds: list[int] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with ExitStack() as stack:
        pool = stack.enter_context(multiprocessing.Pool(jobs)) if jobs > 1 else None
        progress = Progress(*columns, console=console, disable=not console.is_terminal)
        stack.enter_context(progress)
        bar = progress.add_task("power cuts", total=cuts)
        while len(outcome.images) < cuts and len(outcome.failures) < _FAILURES:
            seeds.append(seed + len(seeds))
            todo, planned = plan(seeds[-1], cuts - len(outcome.images), models)
            progress.update(bar, total=len(outcome.images) + planned)
            before = len(outcome.images)
            for part in pool.imap_unordered(work, todo) if pool else map(work, todo):
                outcome.add(part)
                progress.update(
                    bar, completed=len(outcome.images), description=f"{len(outcome.failures)} failures"
                )
                if len(outcome.failures) >= _FAILURES:
                    break
            if len(outcome.images) == before:
                break
    return outcome, seeds


def replay(seed: int, path: str) -> None:
    """Make one path of cuts again; raises what failed."""
    leg: Leg = recording(seed)
    if path.startswith("row:"):
        _, number, same = path.split(":")
        row(leg, int(number), same=bool(int(same)))
        return
    if path.startswith("keys:"):
        outcome = Outcome()
        keys_cuts(Job("keys", seed, int(path.split(":")[1])), outcome)
        if outcome.failures:
            raise AssertionError(outcome.failures[0])
        return
    done: Path_ = ()
    for part in path.split("/"):
        index, model, byte = part.split(":")
        done = (*done, (int(index), model, int(byte)))
        cells = leg.cells_at(int(index))
        name = f"{seed}/{text(done)}"
        torn, doubtful = cut(leg, int(index), cells, model, int(byte), name)
        leg = go_on(leg, int(index), torn, doubtful, name, deep=crc32(name.encode()) % DEEP == 0)


def main(arguments: list[str] | None = None) -> int:
    """Run; returns the exit status, 1 if anything did not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, help="of the workload and of all chance; by chance itself")
    parser.add_argument("--cuts", type=int, default=CUTS, help="at least so many distinct cuts")
    parser.add_argument("--model", choices=MODELS, help="only this way of tearing")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--replay", help="one path of cuts, as a failure names it")
    parser.add_argument("--json", action="store_true", help="the summary as JSON")
    wanted = parser.parse_args(arguments)
    seed = random.randrange(1 << 31) if wanted.seed is None else wanted.seed
    if wanted.replay:
        replay(seed, wanted.replay)
        print(f"seed {seed}, {wanted.replay}: all invariants hold")
        return 0
    models = (wanted.model,) if wanted.model else MODELS
    started = time.monotonic()
    outcome, seeds = run(seed, wanted.cuts, models, wanted.jobs, Console(stderr=True))
    summary = {
        "cuts": len(outcome.images),
        "runs": outcome.runs,
        "levels": dict(sorted(outcome.levels.items())),
        "models": dict(outcome.models.most_common()),
        "failures": len(outcome.failures),
        "seconds": round(time.monotonic() - started, 1),
        "seeds": seeds,
    }
    for failure in outcome.failures[:_FAILURES]:
        print(failure, file=sys.stderr)
    if wanted.json:
        print(json.dumps(summary))
    else:
        show(summary)
    return 1 if outcome.failures else 0


def show(summary: dict[str, object]) -> None:
    """Print the summary for people."""
    print(f"{summary['cuts']:,} distinct power cuts, {summary['failures']} failures, {summary['seconds']} s")
    for name in ("levels", "models"):
        print(f"{name}: " + ", ".join(f"{key} {count:,}" for key, count in summary[name].items()))  # type: ignore[attr-defined]
    seeds = summary["seeds"]
    print(f"repeat it with: make powercut SEED={seeds[0]}")  # type: ignore[index]


if __name__ == "__main__":
    sys.exit(main())
