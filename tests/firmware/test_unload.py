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
WITHOUT_MEMORY = """
import micropython, sys
sys.path[:0] = {places!r}
from hedgerow_device.modules import free, mend, unload

# So that the table has a place for it.
import module
del sys.modules["module"], module
for give_back in (mend, free, lambda: unload("other"), lambda: unload("module")):
    micropython.heap_lock()
    try:
        import module
    except MemoryError:
        pass
    finally:
        micropython.heap_unlock()
    half = "module" in sys.modules and sys.modules.get("module") is None
    give_back()
    import module
    print(half, module.answer)
    del sys.modules["module"], module
"""


def test_what_an_import_without_memory_left_is_given_back(tmp_path: Path) -> None:
    package = tmp_path / "many"
    package.mkdir()
    (package / "__init__.py").touch()
    for name in "abc":
        (package / f"{name}.py").write_text(f"large = bytearray(20000)\nimport many.behind_{name}\n")
        (package / f"behind_{name}.py").write_text("large = bytearray(20000)\nraise MemoryError\n")
    assert run(PROGRAM, tmp_path) == ["True True []"] * 3


def test_a_module_for_which_there_was_no_memory_is_imported_later_and_crashes_nothing(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text("answer = 42\n")
    assert run(WITHOUT_MEMORY, tmp_path) == ["True 42"] * 4


def run(program: str, folder: Path) -> list[str]:
    """Return what a program printed that finds modules in `folder`."""
    places = [str(place) for place in (folder, ROOT / "firmware", ROOT / "shared")]
    done = subprocess.run(
        [micropython(), "-X", "heapsize=512k", "-c", program.format(places=places)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()
