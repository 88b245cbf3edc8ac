"""Files to a board and back, through mpremote; only what differs is sent."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from hedgerow_cli.flashing.mpremote import mpremote
from hedgerow_cli.flashing.probe import BoardState

Show = Callable[[str, int, int], None]

_PREPARE = """
import os
for path in %r:
    try:
        os.mkdir(path)
    except OSError as error:
        if error.errno != 17:
            raise
for path in %r:
    os.remove(path)
"""


@dataclass(frozen=True)
class File:
    """A file here, its absolute path on the board, its size and its SHA-256 in hex."""

    local: Path
    path: str
    size: int
    digest: str

    @classmethod
    def of(cls, local: Path, path: str) -> "File":
        data = local.read_bytes()
        return cls(local, path, len(data), hashlib.sha256(data).hexdigest())


def folders_of(files: Sequence[File]) -> list[str]:
    """Every folder that the files lie in, parents first."""
    found = {str(parent) for file in files for parent in PurePosixPath(file.path).parents}
    return sorted(found - {"/"}, key=lambda path: (path.count("/"), path))


def stale(files: Sequence[File], state: BoardState) -> list[str]:
    """Files in the firmware's own packages that are no part of it any more."""
    wanted = {file.path for file in files}
    packages = {"/".join(file.path.split("/")[:3]) + "/" for file in files if file.path.startswith("/lib/")}
    return sorted(
        path for path in state.files if path not in wanted and any(path.startswith(own) for own in packages)
    )


def send(port: str, files: Sequence[File], state: BoardState, show: Show) -> list[File]:
    """Bring the board's files up to date in the given order; returns those that were sent."""
    changed = [file for file in files if state.digests.get(file.path) != file.digest]
    surplus = stale(files, state)
    if not changed and not surplus:
        return []
    total = sum(file.size for file in changed)
    sizes = {f"cp {file.local} :{file.path}": file.size for file in changed}
    done = 0

    def on_line(line: str) -> None:
        nonlocal done
        # mpremote names a file when it begins with it, so it is half there on average.
        done += sizes.get(line.strip(), 0)
        if line.strip() in sizes:
            show("sending files", min(done, total - 1), total)

    arguments = ["exec", _PREPARE % (folders_of(changed), surplus)]
    for file in changed:
        arguments += ["+", "fs", "-f", "cp", str(file.local), f":{file.path}"]
    mpremote(port, *arguments, on_line=on_line)
    show("sending files", total, total)
    return changed


def save(port: str, paths: Sequence[str], folder: Path) -> list[File]:
    """Fetch files of a board into `folder`."""
    pairs = [(folder / f"{number}", path) for number, path in enumerate(paths)]
    arguments: list[str] = []
    for local, path in pairs:
        arguments += ["+", "fs", "cp", f":{path}", str(local)]
    if arguments:
        mpremote(port, *arguments[1:])
    return [File.of(local, path) for local, path in pairs]
