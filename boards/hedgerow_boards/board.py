"""An emulated board: the real MicroPython VM behind the serial port, flash, sensor and power of a board."""

import math
import random
import re
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from hedgerow.errors import HedgerowError
from hedgerow_boards import flash
from hedgerow_boards.console import Console, ConsoleLine
from hedgerow_boards.control import ControlPage
from hedgerow_boards.limits import BOOT_SECONDS
from hedgerow_boards.partition_table import Partition
from hedgerow_boards.profiles import PROFILES, STOCK_TABLE, Profile
from hedgerow_boards.rack import acquire, release
from hedgerow_boards.sensor import Sample, SensorSeries
from hedgerow_boards.serial_line import SerialLine
from hedgerow_boards.serial_port import SerialPort
from hedgerow_boards.supervisor import Supervisor
from hedgerow_boards.vm import control_layout as layout
from hedgerow_boards.vm_process import shim_heap_bytes, vm_library

_LOOK_SECONDS = 0.01
_ADDRESS = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


@dataclass(frozen=True)
class FlashCounters:
    """What the flash has done since the image was made: bytes, operations, bytes, sectors.

    `overwrites` are programs that met a cleared bit which they were to set.
    """

    programmed: int
    programs: int
    read: int
    erases: int
    overwrites: int


class Board:
    """One emulated board. Methods may be called from any thread and return when the thing is done.

    The image and all else that must survive is in `directory`; a Board made on a directory that has
    them continues that board. `port` is the path to give to `mpremote connect`. A new board has an
    erased flash with the profile's partition table, with MicroPython's own if `stock`, or with `table`; its
    VM formats the file system when it first boots. `air` is the path of the air's socket, without
    which the board has no Bluetooth.
    """

    def __init__(
        self,
        name: str,
        directory: Path | str,
        *,
        profile: str = "esp32",
        address: str = "c0:00:00:00:00:01",
        air: str | None = None,
        sensor: SensorSeries | None = None,
        seed: int = 0,
        clock_drift_ppm: float = 0.0,
        stock: bool = False,
        table: Sequence[Partition] | None = None,
    ) -> None:
        vm_library()
        if profile not in PROFILES:
            raise HedgerowError("PROFILE_UNKNOWN", f"{profile!r} is none of {', '.join(PROFILES)}")
        if not _ADDRESS.fullmatch(address):
            raise HedgerowError("ADDRESS_INVALID", f"{address!r} is not like c0:00:00:00:00:01")
        self.name = name
        self.address = address
        self.profile: Profile = PROFILES[profile]
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.image = self.directory / "flash.bin"
        if not self.image.exists():
            table = table or (STOCK_TABLE if stock else self.profile.table)
            flash.create(self.image, self.profile.flash_bytes, table)
        config = self._config(air, sensor, clock_drift_ppm)
        self._heap_bytes = 2 * self.profile.heap_kib * 1024 + shim_heap_bytes(air is not None)
        self._control = ControlPage(self.directory / "control.bin", self.profile.flash_bytes)
        self._console = Console()
        self._mpremote_lock = threading.Lock()
        self._closed = False
        port = SerialPort()
        self.port = port.path
        self._rack = acquire()
        self._line = self._rack.call(lambda: SerialLine(self._rack, port, self._console))
        rng = random.Random(f"{seed} {address}")
        self._supervisor = Supervisor(
            self._rack, self._line, self._control, config, self._heap_bytes, sensor, rng
        )

    def _config(self, air: str | None, sensor: SensorSeries | None, drift_ppm: float) -> dict[str, object]:
        config: dict[str, object] = {
            "name": self.name,
            "image": str(self.image),
            "control": str(self.directory / "control.bin"),
            "address": self.address,
            "chip": self.profile.chip,
            "air": air,
            "drift_ppb": round(drift_ppm * 1000),
            "frequency": self.profile.frequency,
            "i2c": [self.profile.i2c_sda, self.profile.i2c_scl],
            "heap_info": self.profile.heap_info,
        }
        if sensor is not None:
            series = self.directory / "series.bin"
            series.write_bytes(sensor.records())
            config["series"], config["series_count"] = str(series), len(sensor.values)
        return config

    def power_on(self) -> None:
        """Give power and wait until the file system is mounted; boot.py and main.py run then.

        Returns early if an armed power cut comes before that. Raises `BOARD_BOOT`, with what the board
        printed, if it does not come up.
        """
        if self._closed:
            raise HedgerowError("BOARD_STATE", f"power_on: {self.name} is closed")
        self._rack.call(self._supervisor.power_on)
        mounted = self._supervisor.mounted.wait(BOOT_SECONDS)
        # Between two events of the board, so that a cut is seen as a whole.
        running, cut = self._rack.call(lambda: (self.running, self._supervisor.cut.is_set()))
        if cut:
            return
        if not mounted or not running:
            printed = " / ".join(line.text for line in self._console.lines[-5:])
            self.power_off()
            raise HedgerowError("BOARD_BOOT", f"{self.name} did not boot; it printed: {printed}")

    def power_off(self) -> None:
        """Cut the power now, whatever the board is doing; nothing is flushed."""
        if not self._closed:
            self._rack.call(self._supervisor.power_off)

    def reset(self) -> None:
        """Push the reset button: all but the flash begins anew."""
        self.power_off()
        self.power_on()

    def cut_power(
        self,
        *,
        after_bytes: int | None = None,
        in_erase: int | None = None,
        model: str | None = None,
        partition: str | None = None,
    ) -> None:
        """Arm a power cut within flash operations to come; returns at once.

        Either after that many programmed bytes from now, inside the program that reaches them, or
        within the k-th erase from now (1 is the next). `model` is one of flash.PROGRAM_MODELS or
        flash.ERASE_MODELS; by default the first bytes, or half of the sector. `partition` restricts
        what counts. It may be armed while the board is off, to cut into its next boot; an armed cut is
        forgotten at power-off.
        """
        program = after_bytes is not None
        if program == (in_erase is not None):
            raise HedgerowError("POWER_CUT", "give either after_bytes or in_erase")
        models = flash.PROGRAM_MODELS if program else flash.ERASE_MODELS
        model = model or ("prefix" if program else "half")
        left = after_bytes if after_bytes is not None else in_erase or 0
        if model not in models or left < (0 if program else 1):
            raise HedgerowError("POWER_CUT", f"{left} with model {model!r}; models are {', '.join(models)}")
        low, high = 0, self.profile.flash_bytes
        if partition is not None:
            entry = self.partition(partition)
            low, high = entry.offset, entry.end

        def arm() -> None:
            self._supervisor.cut.clear()
            self._supervisor.cut_model = model
            kind = layout.CUT_PROGRAM if program else layout.CUT_ERASE
            self._control.set(cut_kind=0, cut_left=left, cut_low=low, cut_high=high)
            self._control.set(cut_kind=kind)

        self._rack.call(arm)

    def wear_out(self, partition: str, sector: int, *how: str) -> None:
        """From now on a sector of a partition behaves as `how` says: of flash.WORN; nothing heals it."""
        entry = self.partition(partition)
        if not 0 <= sector < entry.size // layout.SECTOR or not set(how) <= set(flash.WORN):
            raise HedgerowError("FLASH_RANGE", f"sector {sector} of {partition}, {', '.join(how)}")
        self._control.set_worn(entry.offset // layout.SECTOR + sector, sum(flash.WORN[name] for name in how))

    def wait_power_cut(self, timeout: float) -> None:
        """Until a cut has happened since power came; the board is off then. Raises `BOARD_TIMEOUT`."""
        if not self._supervisor.cut.wait(timeout):
            raise HedgerowError("BOARD_TIMEOUT", f"no power cut in {timeout} s")

    def mpremote(
        self, *arguments: str, timeout: float = 60, check: bool = True, cwd: Path | str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run `mpremote connect PORT ...`; one at a time per board.

        A `reset` at its end is over when this returns: mpremote leaves a tenth of a second before it, and
        what comes to the port around that moment would be lost.

        Raises `MPREMOTE_FAILED`, with its output, on an exit status other than 0 if `check`, and
        after `timeout` seconds.
        """
        command = [sys.executable, "-m", "mpremote", "connect", self.port, *arguments]
        with self._mpremote_lock:
            resets = self._supervisor.resets
            try:
                done = subprocess.run(
                    command, capture_output=True, text=True, timeout=timeout, cwd=cwd, check=False
                )
            except subprocess.TimeoutExpired as error:
                raise HedgerowError("MPREMOTE_FAILED", f"{arguments}: {error}") from error
            if arguments[-1:] == ("reset",) and done.returncode == 0:
                self._wait_for_reset(resets)
        if check and done.returncode:
            output = f"{done.stdout}{done.stderr}".strip()
            raise HedgerowError("MPREMOTE_FAILED", f"{arguments}: status {done.returncode}: {output}")
        return done

    def _wait_for_reset(self, before: int) -> None:
        deadline = time.monotonic() + BOOT_SECONDS
        while self._supervisor.powered and self._supervisor.resets == before:
            if time.monotonic() > deadline:
                raise HedgerowError("BOARD_TIMEOUT", f"no reset in {BOOT_SECONDS} s")
            time.sleep(_LOOK_SECONDS)

    def wait_for(self, text: str, timeout: float, since: int = 0) -> ConsoleLine:
        """See Console.wait_for."""
        return self._console.wait_for(text, timeout, since)

    def write_flash(self, offset: int, data: bytes) -> None:
        """What esptool does to a board in its boot loader; `BOARD_STATE` while this one is on."""
        self._must_be_off("write_flash")
        flash.write(self.image, offset, data)

    def read_flash(self, offset: int, length: int) -> bytes:
        return flash.read(self.image, offset, length)

    def erase_flash(self) -> None:
        """Erase the whole chip, the partition table included."""
        self.write_flash(0, b"\xff" * self.profile.flash_bytes)

    @property
    def partitions(self) -> tuple[Partition, ...]:
        """The partition table in the flash."""
        return flash.partitions(self.image)

    def partition(self, label: str) -> Partition:
        """The partition of that name; `PARTITION_UNKNOWN` if the table has none."""
        for entry in self.partitions:
            if entry.label == label:
                return entry
        raise HedgerowError("PARTITION_UNKNOWN", f"{label!r} is not in the table of {self.name}")

    @property
    def running(self) -> bool:
        """Whether the board has power; a board in deep sleep has."""
        return self._supervisor.powered

    @property
    def asleep(self) -> bool:
        """Whether the board is in deep sleep: no VM runs, the RTC and its memory go on."""
        return self._supervisor.asleep

    @property
    def sleeps(self) -> int:
        """Deep sleeps that have begun."""
        return self._supervisor.sleeps

    @property
    def pid(self) -> int | None:
        """Process of the VM; None while there is none."""
        return self._supervisor.pid

    def activity(self) -> str:
        """What the VM's process is doing, for people: its age, and of each thread state and system call."""
        return self._rack.call(self._supervisor.activity)

    @property
    def boots(self) -> int:
        """How often the VM has started: power-ons, resets, wake-ups and soft resets."""
        return self._supervisor.boots

    @property
    def power_cuts(self) -> int:
        """Armed cuts that have happened."""
        return self._supervisor.cuts

    @property
    def samples(self) -> list[Sample]:
        """The truth: every measurement that the sensor has made, in order."""
        return list(self._supervisor.samples)

    @property
    def console(self) -> list[ConsoleLine]:
        """Lines printed while nobody had the serial port open, the newest `limits.CONSOLE_LINES`."""
        return self._console.lines

    def console_since(self, first: int) -> tuple[list[ConsoleLine], int]:
        """See Console.since: whole lines, each in one call only."""
        return self._console.since(first)

    @property
    def console_count(self) -> int:
        """Console lines ever begun, to give to wait_for as `since`."""
        return self._console.count

    @property
    def counters(self) -> FlashCounters:
        """Flash counters, kept over power cuts."""
        names = ("programmed", "programs", "read", "erases", "overwrites")
        return FlashCounters(*(self._control.get(name) for name in names))

    @property
    def erase_counts(self) -> list[int]:
        """Erases of each 4096-byte sector."""
        return self._control.erase_counts()

    @property
    def raw_pastes(self) -> int:
        """Programs and pieces of files that came in MicroPython's raw-paste mode."""
        return self._line.raw_pastes

    @property
    def interrupts(self) -> int:
        """Programs that a Ctrl-C on the serial port was sent to."""
        return self._line.interrupts

    @property
    def heap_at_boot(self) -> int:
        """Bytes of heap in use in the newest VM when its file system was mounted, shims included."""
        return self._supervisor.heap_at_boot

    @property
    def watchdog_s(self) -> float:
        """Seconds until the watchdog resets the chip unless it is fed; infinite while nothing armed it."""
        bites = self._control.get("watchdog_us")
        return bites / 1e6 - time.monotonic() if bites else math.inf

    def pin(self, gpio: int) -> int:
        """Level of a pin, 0 or 1."""
        return self._control.pin(_gpio(gpio))

    def set_pin(self, gpio: int, level: bool) -> None:
        """Drive an input, until the next reset."""
        self._control.set_pin(_gpio(gpio), int(level))

    def set_analog(self, gpio: int, value: int) -> None:
        """What an ADC on this pin reads, 0 to 65535."""
        if not 0 <= value <= 0xFFFF:
            raise HedgerowError("PIN_RANGE", f"analogue value {value}")
        self._control.set_analog(_gpio(gpio), value)

    def close(self) -> None:
        """Power off and free the process, the port and the memory; the directory stays."""
        if self._closed:
            return
        self.power_off()
        self._closed = True
        self._rack.call(self._line.close)
        self._control.close()
        release()

    def __enter__(self) -> "Board":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _must_be_off(self, what: str) -> None:
        if self.running:
            raise HedgerowError("BOARD_STATE", f"{what}: {self.name} must be off")


def _gpio(number: int) -> int:
    if not 0 <= number < layout.GPIOS:
        raise HedgerowError("PIN_RANGE", f"GPIO {number}")
    return number
