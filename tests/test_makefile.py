"""`make` passes its variables on as options."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["demo"], "hedgerow demo"),
        (
            ["demo", "BOARDS=12", "READINGS=500", "SEED=7", "DATA=my.csv", "KEEP=1", "AIR=off", "NEAR=1"],
            "hedgerow demo --boards 12 --readings 500 --seed 7 --data 'my.csv' --keep --air off --near",
        ),
        (["demo", "KEEP=0", "NEAR=0"], "hedgerow demo"),
        (["demo-cluster", "BOARDS=3"], "python tests/services/demo_cluster.py --boards 3"),
        (["emulate", "BOARDS=3"], "hedgerow emulate --boards 3"),
        (
            ["flash", "PORT=/dev/ttyUSB0", "BOARD=esp32c3", "NAME=b"],
            "hedgerow flash --port '/dev/ttyUSB0' --board esp32c3 --name 'b'",
        ),
        (
            ["test", "JOBS=1", "ARGS=-k flash"],
            "python -m pytest --numprocesses 1 --dist loadfile --no-loadscope-reorder -k flash",
        ),
        (["test-services", "ARGS=-k writers"], "python -m pytest tests/services -k writers"),
        (
            ["soak", "SECONDS=3600", "SEED=7", "DIR=kept"],
            "python tests/services/soak.py --seconds 3600 --seed 7 --directory 'kept'",
        ),
        (["bench", "ONLY=link"], "python -m bench --only 'link'"),
        (["bench", "ONLY=mesh", "JOBS=2"], "python -m bench --only 'mesh' --jobs 2"),
        (["size", "JSON=1"], "python -m bench.size --json"),
        (["fuzz", "SECONDS=5", "ONLY=payload"], "python tests/core/fuzz.py --seconds 5 --only 'payload'"),
        (["sim", "SEED=7"], "python tests/sim.py --seed 7"),
        (
            ["sim", "SCENARIO=partition", "SEED=7", "WORLDS=3"],
            "python tests/sim.py --scenario 'partition' --seed 7 --worlds 3",
        ),
        (
            ["powercut", "SEED=7", "CUTS=500", "MODEL=bits", "JOBS=2", "REPLAY=4:bits:0/1:all:0", "JSON=1"],
            "python tests/powercut.py --seed 7 --cuts 500 --model 'bits' --jobs 2 "
            "--replay '4:bits:0/1:all:0' --json",
        ),
        (["powercut", "JSON=0"], "python tests/powercut.py"),
    ],
    ids=" ".join,
)
def test_variables_become_options(words: list[str], command: str) -> None:
    make = shutil.which("make")
    assert make
    environment = {"PATH": os.environ["PATH"]}
    done = subprocess.run(
        [make, "-n", *words], capture_output=True, text=True, cwd=ROOT, env=environment, check=True
    )
    shown = " ".join(done.stdout.replace("\\\n", " ").split())
    assert shown.endswith(f".venv/bin/{command}"), shown
