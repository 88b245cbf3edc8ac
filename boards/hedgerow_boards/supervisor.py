"""Keeps one emulated board's VM running: boots, resets, deep sleep, watchdog and power cuts."""

import logging
import os
import random
import select
import threading
import time
from pathlib import Path
from typing import Any

from hedgerow_boards import flash
from hedgerow_boards.control import ControlPage
from hedgerow_boards.limits import BOOT_SECONDS, EVENT_BYTES, RETRY_SECONDS, SAMPLES
from hedgerow_boards.rack import Rack, Timer
from hedgerow_boards.sensor import Sample, SensorSeries
from hedgerow_boards.serial_line import SerialLine
from hedgerow_boards.vm import control_layout as layout
from hedgerow_boards.vm_process import VmProcess, activity

# What machine.reset_cause() says.
PWRON_RESET, HARD_RESET, WDT_RESET, DEEPSLEEP_RESET, SOFT_RESET = 1, 2, 3, 4, 5
_WATCHDOG_SECONDS = 0.02
_READ = 64 * 1024
_log = logging.getLogger(__name__)


class Supervisor:
    """The power supply, reset pin and boot loader of one board; runs in the rack's thread.

    `mounted` is set once a VM started since power came has its file system, or has ended without;
    `cut` once an armed power cut has happened. `heap_at_boot` is what the newest VM had allocated
    when it had its file system, in bytes; `resets` counts those that programs asked for, whose boot has come
    as far as that; `sleeps` counts deep sleeps, in one of which it is while `asleep`.
    """

    def __init__(
        self,
        rack: Rack,
        line: SerialLine,
        control: ControlPage,
        config: dict[str, Any],
        heap_bytes: int,
        series: SensorSeries | None,
        rng: random.Random,
    ) -> None:
        self._rack = rack
        self._line = line
        self._control = control
        self._config = config
        self._heap_bytes = heap_bytes
        self._series = series
        self._rng = rng
        self._process: VmProcess | None = None
        self._events = bytearray()
        self._resetting = False
        self._raw: int | None = None  # REPL mode in which a VM that ended by itself was
        self._booted = False
        self._booted_at = 0.0
        self._timer: Timer | None = None
        self.powered = False
        self.boots = 0
        self.resets = 0
        self.sleeps = 0
        self.asleep = False
        self.cuts = 0
        self.cut_model = ""
        self.heap_at_boot = 0
        self.samples: list[Sample] = []
        self.mounted = threading.Event()
        self.cut = threading.Event()

    @property
    def pid(self) -> int | None:
        """Process of the VM, None while there is none."""
        return self._process.pid if self._process else None

    def power_on(self) -> None:
        if not self.powered:
            self.powered = True
            self.mounted.clear()
            self.cut.clear()
            now = _now_us()
            self._control.set(power_on_us=now, rtc_offset_us=0, rtc_length=0)
            self._control.clear(layout.RTC_MEMORY, layout.RTC_MEMORY_BYTES)
            self._boot(PWRON_RESET)

    def power_off(self) -> None:
        """Now: whatever the VM was doing."""
        self.powered = self.asleep = self._resetting = False
        self._stop(forget_input=True)
        self._control.set(cut_kind=0, watchdog_us=0)

    def _boot(self, cause: int, raw: int = 0) -> None:
        if cause != SOFT_RESET:
            self._control.set(chip_boot_us=_now_us(), watchdog_us=0)
            self._control.clear(layout.PINS, layout.GPIOS)
        self._control.set(reset_cause=cause)
        try:
            self._process = VmProcess({**self._config, "raw": raw}, self._heap_bytes)
        except OSError as error:
            if cause == PWRON_RESET:
                raise
            # Nobody waits for this boot who could be told, and the board would be dead without a word.
            self._complain(f"no VM could be started, it is tried again: {error}")
            self._timer = self._rack.later(RETRY_SECONDS, lambda: self._boot(cause, raw))
            return
        self._events.clear()
        self._raw, self._booted = None, False
        self._booted_at = time.monotonic()
        self.asleep = False
        self.boots += 1
        self._line.connect(self._process.serial, self._process.pid)
        self._rack.watch(self._process.events, select.POLLIN, lambda _: self._on_events())
        self._timer = self._rack.later(_WATCHDOG_SECONDS, self._look_at_watchdog)

    def _stop(self, *, forget_input: bool = False) -> int:
        """End the VM, if there is one; returns its exit status."""
        if self._timer is not None:
            self._timer.cancel()
        if self._process is None:
            return 0
        process, self._process = self._process, None
        self._rack.unwatch(process.events)
        status = process.end()
        self._line.disconnect(forget_input=forget_input)
        process.close()
        return status

    def _restart(self, cause: int, raw: int = 0) -> None:
        self._stop(forget_input=cause != SOFT_RESET)
        self._boot(cause, raw)

    def _look_at_watchdog(self) -> None:
        bites = self._control.get("watchdog_us")
        if bites and _now_us() >= bites:
            self._line.say("task watchdog: not fed in time, the board resets")
            self._restart(WDT_RESET)
        elif self._hangs_in_boot():
            self._complain(f"no file system after {BOOT_SECONDS:g} s, the board resets: {self.activity()}")
            self._restart(WDT_RESET)
        else:
            self._timer = self._rack.later(_WATCHDOG_SECONDS, self._look_at_watchdog)

    def _hangs_in_boot(self) -> bool:
        """As a boot loader's watchdog says; of the boot after power has come, Board.power_on() says it."""
        late = time.monotonic() - self._booted_at >= BOOT_SECONDS
        return late and self.mounted.is_set() and not self._booted

    def activity(self) -> str:
        """Return what the VM is doing, for people: a board that says nothing may hang."""
        if self._process is None:
            return "asleep" if self.asleep else "no VM"
        since = time.monotonic() - self._booted_at
        mounted = "mounted" if self._booted else "not mounted"
        return f"VM {self._process.pid}, {mounted}, started {since:.1f} s ago: {activity(self._process.pid)}"

    def _complain(self, text: str) -> None:
        _log.error("%s: %s", self._config.get("name"), text)
        self._line.say(f"emulator: {text}")

    def _on_events(self) -> None:
        process = self._process
        assert process is not None
        try:
            data = os.read(process.events, _READ)
        except BlockingIOError:
            return
        self._events += data
        while self._process is process and b"\n" in self._events:
            head, _, rest = self._events.partition(b"\n")
            name, *words = head.decode("ascii", "replace").split()
            length = int(words[3]) if name == "cut" else 0
            if len(rest) < length <= EVENT_BYTES:
                return
            self._events = rest[length:]
            self._on_event(name, words, bytes(rest[:length]))
        if not data and self._process is process:
            self._on_end()

    def _on_event(self, name: str, words: list[str], data: bytes) -> None:
        match name:
            case "mounted":
                self._booted = True
                self.resets += self._resetting
                self._resetting = False
                self.heap_at_boot = int(words[0])
                self._line.ready()
                self.mounted.set()
            case "sample":
                index = int(words[0])
                if self._series and len(self.samples) < SAMPLES:
                    self.samples.append(Sample(int(words[1]) / 1e9, index, self._series.values[index]))
            case "reset":
                self._resetting = True
                self._restart(HARD_RESET)
            case "deepsleep":
                self._sleep(int(words[0]))
            case "cut":
                self._tear(words[0], int(words[1]), int(words[2]), data)
            case "exit":
                self._raw = int(words[0])

    def _on_end(self) -> None:
        """The VM's process has ended by itself: a soft reset, or a crash."""
        booted, raw = self._booted, self._raw
        status = self._stop()
        if raw is not None and booted:
            self._line.say("MPY: soft reboot")
            self._boot(SOFT_RESET, raw)
            return
        self._line.say(f"emulator: the VM ended with status {status}")
        if booted:
            self._boot(HARD_RESET)
        else:
            self.powered = False
            self.mounted.set()  # whoever waits sees that the power is gone

    def _sleep(self, milliseconds: int) -> None:
        self._stop(forget_input=True)
        self.sleeps += 1
        self.asleep = True
        if milliseconds:
            self._timer = self._rack.later(milliseconds / 1000, lambda: self._boot(DEEPSLEEP_RESET))

    def _tear(self, kind: str, at: int, done: int, data: bytes) -> None:
        image = Path(self._config["image"])
        model = self.cut_model
        self.power_off()
        if kind == "program":
            flash.tear_program(image, at, data, done, model, self._rng)
            self._control.set(programmed=self._control.get("programmed") + done)
        else:
            flash.tear_erase(image, at, model, self._rng)
        self.cuts += 1
        self.cut.set()
        self.mounted.set()


def _now_us() -> int:
    return time.monotonic_ns() // 1000
