"""`hedgerow flash` in order: MicroPython if asked for, the partition table, firmware, files, a reset."""

import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hedgerow.errors import HedgerowError
from hedgerow_boards.profiles import PROFILES, Profile
from hedgerow_cli.firmware_files import ROM, build, rom_image
from hedgerow_cli.flashing import image, probe, tables, transfer
from hedgerow_cli.flashing.mpremote import greet, mpremote
from hedgerow_cli.flashing.programmer import programmer
from hedgerow_cli.flashing.transfer import File, Show
from hedgerow_device.config import check

CONFIG_PATH = "/hedgerow.json"


@dataclass(frozen=True)
class Options:
    """What is wanted. `config` is a JSON file, or the settings themselves; `name` overrides theirs.

    `files` go to the board's root beside the firmware. Without `start` the board is left at its REPL instead
    of being reset.
    """

    board: str = "esp32"
    name: str = ""
    config: Path | dict[str, Any] | None = None
    files: tuple[Path, ...] = ()
    micropython: Path | None = None
    discard_log: bool = False
    start: bool = True


@dataclass(frozen=True)
class Report:
    """What was done; `bytes_sent` counts the files that were `sent` of all `files`, the firmware as one."""

    port: str
    files: int
    sent: int
    bytes_sent: int
    table_written: bool
    micropython_written: bool
    started: bool

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @property
    def outcome(self) -> str:
        """In words, for people."""
        table = (
            "partition table written, the board's own files kept" if self.table_written else "table unchanged"
        )
        return f"{table}; the board runs" if self.started else f"{table}; the board waits at its REPL"


@dataclass(frozen=True)
class Firmware:
    """What goes to every board: the image for its ROM partition, and the files that start it."""

    rom: File
    files: tuple[File, ...]


def build_firmware(folder: Path) -> Firmware:
    """Compile the firmware into `folder`, once for any number of boards."""
    built = build(folder)
    image = folder / "firmware.romfs"
    image.write_bytes(rom_image(built))
    own = [File.of(local, path) for local, path in built if not path.startswith(f"{ROM}/")]
    return Firmware(File.of(image, ROM), tuple(own))


def flash_board(port: str, options: Options, show: Show, firmware: Firmware | None = None) -> Report:
    """Bring a board up to date; `show(what, done, total)` hears of the progress.

    `firmware` is what build_firmware() returned, which is called without it. Raises HedgerowError
    with the codes 800 to 829, and changes nothing on a board that is refused.
    """
    profile = _profile(options.board)
    tool = programmer(port, profile.chip)
    with tempfile.TemporaryDirectory(prefix="hedgerow-flash-") as temporary:
        folder = Path(temporary)
        firmware = firmware or build_firmware(folder / "firmware")
        rom = firmware.rom
        if options.micropython is not None:
            show("writing MicroPython", 0, 1)
            image.write_micropython(options.micropython, profile, tool, discard_log=options.discard_log)
        show("looking at the board", 0, 1)
        greet(port)
        program = [File.of(local, f"/{local.name}") for local in options.files]
        paths = [CONFIG_PATH, *(file.path for file in (*program, *firmware.files))]
        state = probe.board_state(port, paths, rom.size)
        _check_board(port, state, profile)
        files = [_config_file(options, state, folder), *program, *firmware.files]
        changed = tables.differs(state.table, profile)
        if changed:
            tables.check_change(state.table, profile)
            if not options.discard_log:
                tables.check_log(port, state.table, profile)
            show("writing the partition table", 0, 1)
            tables.change(port, state, profile, tool, {file.path for file in files})
            state = probe.board_state(port, paths, rom.size)
        # The firmware before what starts it: where it breaks off, main.py says so.
        sent = [rom] if transfer.deploy(port, rom, state, show) else []
        sent += transfer.send(port, files, state, show)
        if options.start:
            show("starting the board", 0, 1)
            mpremote(port, "resume", "reset")
        show("done", 1, 1)
    return Report(
        port=port,
        files=1 + len(files),
        sent=len(sent),
        bytes_sent=sum(file.size for file in sent),
        table_written=changed,
        micropython_written=options.micropython is not None,
        started=options.start,
    )


def _profile(name: str) -> Profile:
    if name not in PROFILES:
        raise HedgerowError("PROFILE_UNKNOWN", f"{name!r} is none of {', '.join(PROFILES)}")
    return PROFILES[name]


def _check_board(port: str, state: probe.BoardState, profile: Profile) -> None:
    """Refuse another chip, a board that is none of the ESP32 family, and a MicroPython without ROMFS.

    Emulated boards have every chip.
    """
    if not state.table:
        raise HedgerowError("CHIP_MISMATCH", f"{port}: {state.machine or state.platform} is no ESP32")
    chip = state.machine.rpartition(" with ")[2].lower()
    if state.platform == "esp32" and chip != profile.chip:
        raise HedgerowError("CHIP_MISMATCH", f"{port}: the board has {state.machine}")
    if not state.has_rom:
        raise HedgerowError("MICROPYTHON_OLD", f"{port}: it has no vfs.rom_ioctl")


def _config_file(options: Options, state: probe.BoardState, folder: Path) -> File:
    """The configuration: as asked for, else as the board has it, else a name from the chip's identity.

    Raises `CONFIG_INVALID` for what the board would refuse.
    """
    settings = _settings(options, state)
    if options.name:
        settings["name"] = options.name
    settings.setdefault("name", f"{options.board}-{state.identity[-6:] or 'board'}")
    check(settings)
    local = folder / "hedgerow.json"
    local.write_text(json.dumps(settings, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return File.of(local, CONFIG_PATH)


def _settings(options: Options, state: probe.BoardState) -> dict[str, Any]:
    if isinstance(options.config, dict):
        return dict(options.config)
    source = "the board's configuration" if options.config is None else str(options.config)
    try:
        text = state.config if options.config is None else options.config.read_text(encoding="utf-8")
        settings = json.loads(text or "{}")
    except (OSError, ValueError) as error:
        raise HedgerowError("CONFIG_INVALID", f"{source}: {error}") from None
    if not isinstance(settings, dict):
        raise HedgerowError("CONFIG_INVALID", f"{source}: not a JSON object")
    return settings
