"""Packages from npm that benchmarks need, installed into a cache outside the project."""

import os
import shutil
import subprocess
from pathlib import Path

from hedgerow.errors import HedgerowError

PACKAGES = {
    "pouchdb": "9.0.0",
    "express-pouchdb": "4.2.0",
    "@micropython/micropython-webassembly-pyscript": "1.27.0",
}
CACHE = Path(os.environ.get("HEDGEROW_BENCH_CACHE") or Path.home() / ".cache" / "hedgerow-bench")
_INSTALL_S = 300


def node(*names: str) -> tuple[str, Path]:
    """Return the node program and the folder `node_modules` that has these packages; installs them once.

    Raises HedgerowError BENCH_TOOL_MISSING without node and npm, or if npm cannot install them.
    """
    program, npm = shutil.which("node"), shutil.which("npm")
    if not program or not npm:
        raise HedgerowError("BENCH_TOOL_MISSING", "node and npm (Debian: apt install nodejs npm)")
    modules = CACHE / "node_modules"
    missing = [f"{name}@{PACKAGES[name]}" for name in names if not (modules / name / "package.json").exists()]
    if missing:
        CACHE.mkdir(parents=True, exist_ok=True)
        command = [npm, "install", "--prefix", str(CACHE), "--no-audit", "--no-fund", *missing]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_S, check=False)
        except subprocess.TimeoutExpired as error:
            raise HedgerowError("BENCH_TOOL_MISSING", f"npm took too long: {error}") from None
        if done.returncode:
            raise HedgerowError("BENCH_TOOL_MISSING", f"{', '.join(missing)}: {done.stderr.strip()[-300:]}")
    return program, modules
