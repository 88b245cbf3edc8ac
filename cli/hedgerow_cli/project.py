"""A project: a folder with a program for boards and a hedgerow.toml that says how to put it there."""

import json
import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from hedgerow.errors import HedgerowError
from hedgerow_boards.profiles import PROFILES, Profile
from hedgerow_cli import limits
from hedgerow_device.config import check

PROJECT_FILE = "hedgerow.toml"
_TEMPLATE = ("README.md", "app.py", PROJECT_FILE, "test_app.py")
#: What the firmware itself puts there.
_RESERVED = ("boot.py", "main.py", "hedgerow.json")


@dataclass(frozen=True)
class Project:
    """The kind of board, the settings of /hedgerow.json, and the files that go to the board's root."""

    board: str
    settings: dict[str, Any]
    files: tuple[Path, ...]


def find_project(folder: Path) -> Project | None:
    """Return the project in a folder, None without a hedgerow.toml; raises PROJECT_INVALID."""
    path = folder / PROJECT_FILE
    if not path.exists():
        return None
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise HedgerowError("PROJECT_INVALID", f"{path}: {error}") from None
    for name in values:
        if name not in ("board", "files", "settings"):
            raise HedgerowError("PROJECT_INVALID", f"{path}: {name}: not known")
    board, names, settings = values.get("board", "esp32"), values.get("files", []), values.get("settings", {})
    if not isinstance(board, str) or not isinstance(settings, dict) or not isinstance(names, list):
        raise HedgerowError("PROJECT_INVALID", f"{path}: board is a text, files an array, settings a table")
    return Project(board, settings, tuple(_file(path, name) for name in names))


def _file(path: Path, name: object) -> Path:
    """Return a file of the project; it lies in the folder itself and gets the same name on the board."""
    if not isinstance(name, str) or not name or Path(name).name != name or name in _RESERVED:
        raise HedgerowError("PROJECT_INVALID", f"{path}: files: {name!r}")
    file = path.with_name(name)
    try:
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".py":
            compile(text, name, "exec")
    except (OSError, ValueError, SyntaxError) as error:
        raise HedgerowError("PROJECT_INVALID", f"{file}: {error}") from None
    if len(text) > limits.PROJECT_FILE_BYTES:
        raise HedgerowError("PROJECT_INVALID", f"{file}: over {limits.PROJECT_FILE_BYTES} bytes")
    return file


def make_project(folder: Path, board: str) -> list[Path]:
    """Write a new project into `folder`, which is made, and return its files.

    The board is called as the folder is. Raises PROFILE_UNKNOWN, CONFIG_INVALID for a name that a board
    cannot have, PROJECT_DIRECTORY for a folder that holds something.
    """
    profile = _profile(board)
    name = folder.resolve().name
    check({"name": name})
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise HedgerowError("PROJECT_DIRECTORY", str(folder))
        return [_write(folder / file, name, profile) for file in _TEMPLATE]
    except OSError as error:
        raise HedgerowError("PROJECT_DIRECTORY", str(error)) from None


def _profile(name: str) -> Profile:
    if name not in PROFILES:
        raise HedgerowError("PROFILE_UNKNOWN", f"{name!r} is none of {', '.join(PROFILES)}")
    return PROFILES[name]


def _write(path: Path, name: str, profile: Profile) -> Path:
    text = resources.files("hedgerow_cli").joinpath("template", path.name).read_text(encoding="utf-8")
    for mark, value in {
        "{title}": name,
        "{name}": json.dumps(name, ensure_ascii=False),  # a JSON text is a TOML text
        "{board}": profile.name,
        "{sda}": str(profile.i2c_sda),
        "{scl}": str(profile.i2c_scl),
    }.items():
        text = text.replace(mark, value)
    path.write_text(text, encoding="utf-8")
    return path
