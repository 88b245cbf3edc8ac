"""`make sim [SEED=n]`: simulated meshes with broken links and power cuts, as many as WORLDS says.

Each world has a keeper, a gateway and two boards on virtual time, runs the core itself, and is checked all
along. Without a seed every run has other chance; a failing seed is printed with the command that repeats it.
"""

import argparse
import random
import sys
import time
import traceback
from pathlib import Path

PORTABLE = Path(__file__).parent / "core" / "portable"
WORLDS = 20
TROUBLE = 60


def main() -> int:
    """Run the worlds; returns the exit status, 1 as soon as one breaks an invariant."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, help="one world, with this seed")
    parser.add_argument("--worlds", type=int, default=WORLDS, help="how many worlds of random seeds")
    wanted = parser.parse_args()
    seeds = [wanted.seed]
    if wanted.seed is None:
        seeds = [random.randrange(1 << 31) for _ in range(wanted.worlds)]
    sys.path.insert(0, str(PORTABLE))
    import test_sync_simulation as simulation

    for seed in seeds:
        started = time.monotonic()
        try:
            world = simulation._simulate(seed, TROUBLE)
        except Exception:  # noqa: BLE001 - whatever it was, the seed repeats it
            traceback.print_exc()
            print(f"seed {seed} failed; repeat it with: make sim SEED={seed}")
            return 1
        seconds = time.monotonic() - started
        print(
            f"seed {seed}: {world.breaks} broken sessions, {world.cuts} power cuts, settled, {seconds:.1f} s"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
