"""`hedgerow flash` in order: MicroPython if asked for, the partition table, firmware, files, a reset."""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hedgerow.errors import HedgerowError
from hedgerow_boards.profiles import PROFILES, Profile
from hedgerow_cli.firmware_cache import built
from hedgerow_cli.firmware_files import RADIO, ROM, for_files, rom_image
from hedgerow_cli.flashing import guard, image, keep, probe, tables, transfer
from hedgerow_cli.flashing.contents import LOG, Contents, contents_of, place_of
from hedgerow_cli.flashing.guard import Consent
from hedgerow_cli.flashing.mpremote import greet, restart
from hedgerow_cli.flashing.programmer import Programmer, programmer
from hedgerow_cli.flashing.transfer import File, Show
from hedgerow_device.config import check

CONFIG_PATH = "/hedgerow.json"
#: Where the firmware lies on a board without a partition for it.
LIB = "/lib"


@dataclass(frozen=True)
class Options:
    """What is wanted. `config` is a JSON file, or the settings themselves; `name` overrides theirs.

    `files` go to the board's root beside the firmware. `consent` says what allows its log to go. With
    `keep_table` the partition table stays as it is. Without `start` the board is left at its REPL instead of
    being reset.
    """

    board: str = "esp32"
    name: str = ""
    config: Path | dict[str, Any] | None = None
    files: tuple[Path, ...] = ()
    micropython: Path | None = None
    consent: Consent = field(default_factory=Consent)
    keep_table: bool = False
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
    files_renewed: bool
    log_erased: bool
    started: bool

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @property
    def outcome(self) -> str:
        """In words, for people."""
        table = "table unchanged"
        if self.table_written:
            table = "partition table written, the board's own files kept"
        if self.files_renewed:
            table = "table unchanged, file system made smaller, the board's own files kept"
        log = "; the former log erased" if self.log_erased else ""
        return f"{table}{log}; the board {'runs' if self.started else 'waits at its REPL'}"


@dataclass(frozen=True)
class Firmware:
    """What goes to every board: the image for its ROM partition, and the files that start it.

    `modules` are what a board without such a partition gets as files. `radio`: it is for a
    gateway's radio, and what else boards run is not in it.
    """

    rom: File
    files: tuple[File, ...]
    modules: tuple[File, ...]
    radio: bool = False


def build_firmware(folder: Path, role: str = "") -> Firmware:
    """Compile the firmware into `folder`, once for any number of boards of that role."""
    files = built(folder, role)
    image = folder / "firmware.romfs"
    image.write_bytes(rom_image(files))
    own = [File.of(local, path) for local, path in files if not path.startswith(f"{ROM}/")]
    modules = [
        File.of(local, LIB + path[len(ROM) :])
        for local, path in for_files(files)
        if path.startswith(f"{ROM}/")
    ]
    # The last to be sent: main.py looks for it.
    whole = folder / "whole"
    whole.write_text(File.of(image, ROM).digest, encoding="utf-8")
    modules.append(File.of(whole, transfer.WHOLE))
    return Firmware(File.of(image, ROM), tuple(own), tuple(modules), role == RADIO)


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
        if options.micropython is not None:
            if options.keep_table:
                raise HedgerowError("ARGUMENTS_INVALID", "--micropython writes a partition table")
            show("writing MicroPython", 0, 1)
            image.write_micropython(options.micropython, profile, tool, options.consent)
        show("looking at the board", 0, 1)
        greet(port)
        run = _Run(port, options, profile, tool, firmware, show)
        role = str(_settings(options, run.state).get("role", ""))
        if (role == RADIO) != firmware.radio:
            firmware = build_firmware(folder / "other", role)
            run = _Run(port, options, profile, tool, firmware, show)
        return run.go(folder)


class _Run:
    """One run of flash_board() on a board that answers."""

    def __init__(
        self, port: str, options: Options, profile: Profile, tool: Programmer, firmware: Firmware, show: Show
    ) -> None:
        self.port, self.options, self.profile = port, options, profile
        self.tool, self.firmware, self.show = tool, firmware, show
        self.program = [File.of(local, f"/{local.name}") for local in options.files]
        own = [CONFIG_PATH, *(file.path for file in (*self.program, *firmware.files))]
        self.paths = [*own, *(file.path for file in firmware.modules)]
        self.state = self.look()
        self.table_written = self.files_renewed = self.log_erased = False

    def look(self) -> probe.BoardState:
        self.state = probe.board_state(self.port, self.paths, self.firmware.rom.size)
        return self.state

    def contents(self) -> Contents:
        return contents_of(self.state.table, self.state.heads, self.state.sectors, self.profile)

    def go(self, folder: Path) -> Report:
        options, firmware = self.options, self.firmware
        _check_board(self.port, self.state, self.profile, options.keep_table)
        config = _config_file(options, self.state, folder)
        in_rom = not options.keep_table or keep.has_room(self.state.table, firmware.rom.size)
        if not in_rom:
            keep.check_memory(self.profile)
        modules = () if in_rom else firmware.modules
        self.renew(modules)
        # The firmware before what starts it: where it breaks off, main.py says so.
        sent = []
        if in_rom and transfer.deploy(self.port, firmware.rom, self.state, self.show):
            sent.append(firmware.rom)
        files = [*modules, config, *self.program, *firmware.files]
        sent += transfer.send(self.port, files, self.state, self.show)
        if options.start:
            self.show("starting the board", 0, 1)
            restart(self.port)
        self.show("done", 1, 1)
        return Report(
            port=self.port,
            files=len(files) + in_rom,
            sent=len(sent),
            bytes_sent=sum(file.size for file in sent),
            table_written=self.table_written,
            micropython_written=options.micropython is not None,
            files_renewed=self.files_renewed,
            log_erased=self.log_erased,
            started=options.start,
        )

    def renew(self, modules: Sequence[File]) -> None:
        """Give the log and the firmware their places, and see that no readings are lost on the way."""
        options, profile, contents = self.options, self.profile, self.contents()
        firmware = set(self.paths)
        if options.keep_table:
            place = keep.place_for_log(self.state, contents, modules)
            if place is not None:
                stale = () if place.holds(contents.sectors) else contents.sectors
                if stale:
                    guard.check_board(
                        self.port, contents, options.consent, "the file system would be made anew"
                    )
                self.show("making the file system smaller", 0, 1)
                keep.make_room(self.port, self.state, place, stale, firmware)
                self.files_renewed = True
        elif tables.differs(self.state.table, profile):
            tables.check_change(self.state.table, profile)
            if contents.log != place_of(profile.table, LOG):
                guard.check_board(self.port, contents, options.consent, "the partition table would move it")
            self.show("writing the partition table", 0, 1)
            tables.change(self.port, self.state, contents, profile, self.tool, firmware)
            self.table_written = True
        if self.table_written or self.files_renewed:
            self.look()
            contents = self.contents()
        if contents.foreign:
            guard.check_board(self.port, contents, options.consent, "this firmware cannot read its version")
            self.show("erasing the former log", 0, 1)
            probe.erase(self.port, contents.via, guard.sectors_of(contents))
            self.log_erased = True


def _profile(name: str) -> Profile:
    if name not in PROFILES:
        raise HedgerowError("PROFILE_UNKNOWN", f"{name!r} is none of {', '.join(PROFILES)}")
    return PROFILES[name]


def _check_board(port: str, state: probe.BoardState, profile: Profile, keep_table: bool) -> None:
    """Refuse another chip, a board that is none of the ESP32 family, and a MicroPython without ROMFS.

    Emulated boards have every chip. A board that keeps its table can have the firmware as files.
    """
    if not state.table:
        raise HedgerowError("CHIP_MISMATCH", f"{port}: {state.machine or state.platform} is no ESP32")
    chip = state.machine.rpartition(" with ")[2].lower()
    if state.platform == "esp32" and chip != profile.chip:
        raise HedgerowError("CHIP_MISMATCH", f"{port}: the board has {state.machine}")
    if not state.has_rom and not keep_table:
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
