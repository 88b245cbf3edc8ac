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
for path in %r:
    try:
        os.rmdir(path)
    except OSError:
        pass
"""
#: Where the firmware lies on a board that has no partition for it; once it did so on all.
_FORMER = ("/lib/hedgerow/", "/lib/hedgerow_device/")
#: The last of those files.
WHOLE = "/lib/hedgerow/whole"


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


def is_former(path: str) -> bool:
    """Whether a file on a board is firmware among the board's own files."""
    return path.startswith(_FORMER)


def deploy(port: str, rom: File, state: BoardState, show: Show) -> bool:
    """Bring the image in the board's ROM partition up to date; say whether it was sent."""
    if state.rom_digest == rom.digest:
        return False

    def on_line(line: str) -> None:
        done = line.rpartition(" ")[2]
        if line.startswith("Writing at offset ") and done.isdigit():
            show("sending the firmware", min(int(done), rom.size - 1), rom.size)

    mpremote(port, "romfs", "deploy", str(rom.local), on_line=on_line)
    show("sending the firmware", rom.size, rom.size)
    return True


def send(port: str, files: Sequence[File], state: BoardState, show: Show) -> list[File]:
    """Bring the board's files up to date in the given order; returns those that were sent.

    Firmware among them that is not wanted is removed.
    """
    changed = [file for file in files if state.digests.get(file.path) != file.digest]
    wanted = {file.path for file in files}
    surplus = sorted(path for path in state.files if is_former(path) and path not in wanted)
    if WHOLE in state.files and any(is_former(file.path) for file in changed):
        # Until all of it is there, there is none.
        surplus.append(WHOLE)
        changed += [file for file in files if file.path == WHOLE and file not in changed]
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

    emptied = {
        str(parent) for path in surplus for parent in PurePosixPath(path).parents if len(parent.parts) > 2
    }
    arguments = ["exec", _PREPARE % (folders_of(changed), surplus, sorted(emptied, reverse=True))]
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
