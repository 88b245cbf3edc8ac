"""What memory ran out for while it was imported is given back on the VM, not only forgotten."""

import subprocess
from pathlib import Path

from micropython_vm import micropython

ROOT = Path(__file__).parents[2]
PROGRAM = """
import gc, sys
sys.path[:0] = {places!r}
import many
from hedgerow_device.modules import unload

def taken():
    gc.collect()
    return gc.mem_alloc()

before = taken()
for turn in range(3):
    for name in "abc":
        try:
            __import__("many." + name)
        except MemoryError:
            pass
    kept = taken() - before
    unload("many.a many.behind_a", "many.b many.behind_b many.c many.behind_c")
    print(kept > 20000, taken() - before < 2000, sorted([name for name in sys.modules if "many." in name]))
"""


def test_what_an_import_without_memory_left_is_given_back(tmp_path: Path) -> None:
    package = tmp_path / "many"
    package.mkdir()
    (package / "__init__.py").touch()
    for name in "abc":
        (package / f"{name}.py").write_text(f"large = bytearray(20000)\nimport many.behind_{name}\n")
        (package / f"behind_{name}.py").write_text("large = bytearray(20000)\nraise MemoryError\n")
    places = [str(place) for place in (tmp_path, ROOT / "firmware", ROOT / "shared")]
    done = subprocess.run(
        [micropython(), "-X", "heapsize=512k", "-c", PROGRAM.format(places=places)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.splitlines() == ["True True []"] * 3, done.stdout + done.stderr
