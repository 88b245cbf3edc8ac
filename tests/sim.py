"""`make sim [SCENARIO=name] [SEED=n] [WORLDS=n]`: simulated meshes with random faults.

SCENARIO is one of `hedgerow sim`, a TOML file, or `core`: a keeper, a gateway and two boards on links that
break at any byte, every step of them checked. Without one it is `core` and some that last for seconds, WORLDS
rounds of them. Without a seed every run has other chance; a failing seed is printed with what repeats it.
"""

import argparse
import random
import sys
import time
import traceback
from pathlib import Path

from hedgerow.errors import HedgerowError
from hedgerow_sim import scenario
from hedgerow_sim.run import run

PORTABLE = Path(__file__).parent / "core" / "portable"
CORE = "core"
#: Changed so that a round of all takes about a minute.
QUICK: dict[str, dict[str, float]] = {
    "line": {"hours": 0.5},
    "moving": {"hours": 1.0, "boards": 20},
    "no-big-peer": {"hours": 0.5},
    "power-cycled": {},
}
WORLDS = 4
TROUBLE = 60


def main() -> int:
    """Run the worlds; returns the exit status, 1 as soon as one breaks an invariant."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--scenario", default="", help="core, a name that `hedgerow sim` lists, or a TOML file"
    )
    parser.add_argument("--seed", type=int, help="one world, with this seed")
    parser.add_argument("--worlds", type=int, help="how many worlds of random seeds")
    wanted = parser.parse_args()
    worlds = wanted.worlds or (1 if wanted.scenario and wanted.scenario != CORE else WORLDS)
    seeds = [wanted.seed]
    if wanted.seed is None:
        seeds = [random.randrange(1 << 31) for _ in range(worlds)]
    names = [wanted.scenario] if wanted.scenario else [CORE, *QUICK]
    if wanted.seed is not None and not wanted.scenario:
        names = [CORE]
    try:
        good = all(simulate(name, seed, not wanted.scenario) for seed in seeds for name in names)
    except HedgerowError as error:
        print(error, file=sys.stderr)
        return 2
    return 0 if good else 1


def simulate(name: str, seed: int, quick: bool) -> bool:
    """One world; say whether all went well."""
    if name == CORE:
        return simulate_core(seed)
    chosen = scenario.load(name, **(QUICK[name] if quick else {}))
    outcome = run(chosen, seed)
    report = outcome.report
    readings = report["readings"]
    print(
        f"{name} seed {seed}: {readings['acknowledged']} readings, {readings['arrived']} arrived, "
        f"{report['connections']} connections, {report['hours']:g} h in {report['wall_s']:.1f} s",
        flush=True,
    )
    if outcome.failure:
        print("\n".join(outcome.world.audit.events))
        print(f"{outcome.failure}\nseed {seed} failed; repeat it with: {outcome.replay}")
    return not outcome.failure


def simulate_core(seed: int) -> bool:
    """Four peers in a row on bad links."""
    sys.path.insert(0, str(PORTABLE))
    import test_sync_simulation as simulation

    started = time.monotonic()
    try:
        world = simulation._simulate(seed, TROUBLE)
    except Exception:  # noqa: BLE001 - whatever it was, the seed repeats it
        traceback.print_exc()
        print(f"seed {seed} failed; repeat it with: make sim SCENARIO={CORE} SEED={seed}")
        return False
    print(
        f"{CORE} seed {seed}: {world.breaks} broken sessions, {world.cuts} power cuts, settled, "
        f"{time.monotonic() - started:.1f} s",
        flush=True,
    )
    return True


if __name__ == "__main__":
    sys.exit(main())
