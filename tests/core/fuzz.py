"""Coverage-guided fuzzing of the table, `make fuzz`: fuzz.py [--seconds 60] [--only NAME] [--replay FILE].

Every target gets a process of its own and its share of the time. What covers something new is kept in a
cache, so that a later run goes on from there. Bytes that break a target are kept too, and the line that
replays them is printed; the exit status is 1 then.
"""

import argparse
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "portable"), str(HERE / "crypto" / "portable"), str(HERE)]

from fuzz_table import TABLE, Target, check, odd_bytes  # noqa: E402  (the path comes first)

from hedgerow.errors import HedgerowError  # noqa: E402

CACHE = Path(os.environ.get("HEDGEROW_FUZZ_CACHE") or Path.home() / ".cache" / "hedgerow-fuzz")
_LONGEST = 6000
#: Targets of a process of its own: how it is told which one.
_WORKER = "--worker"


def _corpus(target: Target) -> Path:
    """The folder of a target's corpus, seeds in it."""
    folder = CACHE / target.name
    folder.mkdir(parents=True, exist_ok=True)
    for at, seed in enumerate(target.corpus):
        (folder / f"seed-{at}").write_bytes(seed)
        for number, odd in enumerate(odd_bytes(seed)):
            (folder / f"odd-{at}-{number}").write_bytes(odd)
    return folder


def work(target: Target, seconds: int) -> None:
    """Fuzz one target in this process; ends the process."""
    import atheris

    for name in sorted(sys.modules):
        module = sys.modules[name]
        if name.startswith("hedgerow"):
            for item in list(vars(module).values()):
                _instrument(atheris, module, item)
    found = CACHE / "found"
    found.mkdir(parents=True, exist_ok=True)
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={_LONGEST}",
        f"-artifact_prefix={found}/{target.name}-",
        "-verbosity=0",
        "-print_final_stats=1",
        "-timeout=10",
        "-rss_limit_mb=1024",
    ]
    atheris.Setup([sys.argv[0], *options, str(_corpus(target))], lambda data: check(target, data))
    atheris.Fuzz()


def _instrument(atheris: object, module: object, item: object) -> None:
    """Count the branches of a function, or of a class's methods, that this module defines."""
    if getattr(item, "__module__", None) != module.__name__:  # type: ignore[attr-defined]
        return
    if isinstance(item, type):
        for part in list(vars(item).values()):
            _instrument(atheris, module, getattr(part, "__func__", part))
    elif hasattr(item, "__code__"):
        atheris.instrument_func(item)  # type: ignore[attr-defined]


def replay(target: Target, file: Path) -> int:
    """Run a target once on the bytes of a file, its memory measured."""
    tracemalloc.start()
    check(target, file.read_bytes())
    print(f"{target.name}: taken or refused as it should be")
    return 0


def run(targets: list[Target], seconds: int) -> int:
    """Fuzz targets one after the other; returns the exit status."""
    weight = sum(target.weight for target in targets)
    broken = []
    for target in targets:
        share = max(1, seconds * target.weight // weight)
        command = [sys.executable, str(Path(__file__)), _WORKER, target.name, "--seconds", str(share)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=share + 120, check=False)
        runs = done.stderr.partition("stat::number_of_executed_units:")[2].split()[:1]
        kept = len(list((CACHE / target.name).iterdir()))
        print(f"{target.name}: {runs[0] if runs else '?'} runs, {kept} in its corpus", flush=True)
        if done.returncode:
            broken.append(target.name)
            print(done.stderr[-3000:])
    for file in sorted((CACHE / "found").glob("*")) if broken else []:
        print(f"replay: {sys.executable} {__file__} --only {file.name.partition('-')[0]} --replay {file}")
    return 1 if broken else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--only", default="", help="the targets whose name begins so")
    parser.add_argument("--replay", type=Path, help="run the one target on this file's bytes")
    parser.add_argument(_WORKER, help=argparse.SUPPRESS)
    options = parser.parse_args()
    try:
        import atheris  # noqa: F401
    except ImportError as error:
        if not options.replay:
            print(HedgerowError("EXTRA_MISSING", f"{error}; pip install 'hedgerow[fuzz]'"), file=sys.stderr)
            return 1
    named = {target.name: target for target in TABLE}
    if options.worker:
        work(named[options.worker], options.seconds)
    targets = [target for target in TABLE if target.name.startswith(options.only)]
    if not targets or (options.replay and len(targets) > 1):
        print(f"the targets are {', '.join(named)}", file=sys.stderr)
        return 2
    return replay(targets[0], options.replay) if options.replay else run(targets, options.seconds)


if __name__ == "__main__":
    sys.exit(main())
