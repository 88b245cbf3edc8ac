"""Bytes between a board's serial port and its VM, with the board's line discipline.

Into the VM: Ctrl-C ends the running program (interrupt.py) before what follows it is passed on.
Out of the VM: line feeds become CR LF, as a board's console sends them, but not while the program
talks mpremote's mount protocol, which is binary.
"""

import re
import select
import socket

from hedgerow_boards.console import Console
from hedgerow_boards.interrupt import interrupt, interruptible
from hedgerow_boards.limits import INTERRUPT_SECONDS, INTERRUPT_TRIES, PORT_INPUT_BYTES
from hedgerow_boards.rack import Rack, Timer
from hedgerow_boards.serial_port import SerialPort

_CTRL_C = 3
_MOUNT_COMMAND = b"\x18"
_PROMPTS = (b">>> ", b"\x04>")
_RAW_PASTE = b"R\x01"
_CHUNK = 64 * 1024
_LOOK_SECONDS = 0.02  # how soon an opened port is noticed
_LOOKS_PER_INTERRUPT = 10


class SerialLine:
    """One board's line; all methods run in the rack's thread.

    Counters: `interrupts` programs that Ctrl-C was sent to, `raw_pastes` programs that came in
    MicroPython's raw-paste mode.
    """

    def __init__(self, rack: Rack, port: SerialPort, console: Console) -> None:
        self._rack = rack
        self._port = port
        self._console = console
        self._pending = bytearray()
        self._vm: socket.socket | None = None
        self._pid = 0
        self._ready = False
        self._interrupting: Timer | None = None
        self._binary = False
        self._after_cr = False
        self.interrupts = 0
        self.raw_pastes = 0
        self._looking = rack.later(_LOOK_SECONDS, self._look)

    def connect(self, vm: socket.socket, pid: int) -> None:
        """A VM has started; nothing goes into it before ready()."""
        self._vm, self._pid, self._ready = vm, pid, False
        self._binary = self._after_cr = False
        self._console.end_line()
        self._rack.watch(vm.fileno(), select.POLLIN, self._on_vm)

    def ready(self) -> None:
        """The board has its file system: input and Ctrl-C may reach it."""
        self._ready = True
        self._pump()

    def disconnect(self, *, forget_input: bool) -> None:
        """The VM is gone: pass on what it still said; without power, what waits for it is lost."""
        if self._vm is not None:
            while self._receive():
                pass
            self._rack.unwatch(self._vm.fileno())
        self._vm, self._ready = None, False
        if self._interrupting is not None:
            self._interrupting.cancel()
            self._interrupting = None
        if forget_input:
            self._pending.clear()

    def say(self, text: str) -> None:
        """Print a line of the boot loader's or the firmware's own."""
        self._send(text.encode() + b"\r\n")

    def close(self) -> None:
        self._looking.cancel()
        self._rack.unwatch(self._port.fd)
        self._port.close()

    def _look(self) -> None:
        if not self._port.attached and self._port.poll():
            self._watch_port()
        self._looking = self._rack.later(_LOOK_SECONDS, self._look)

    def _watch_port(self) -> None:
        if not self._port.attached:
            self._rack.unwatch(self._port.fd)
            return
        events = select.POLLIN if len(self._pending) < PORT_INPUT_BYTES else 0
        self._rack.watch(self._port.fd, events | (select.POLLOUT if self._port.waiting else 0), self._on_port)

    def _on_port(self, events: int) -> None:
        if events & select.POLLOUT:
            self._port.flush()
        if events & ~select.POLLOUT:
            self._pending += self._port.read()
            self._pump()
        self._watch_port()

    def _pump(self) -> None:
        """Pass input on, up to a Ctrl-C that must first have its effect."""
        while self._pending and self._ready and self._interrupting is None:
            assert self._vm is not None
            if self._pending[0] == _CTRL_C and interruptible(self._pid):
                del self._pending[:1]
                self.interrupts += 1
                self._interrupt(0)
                break
            end = self._pending.find(_CTRL_C, 1)
            try:
                sent = self._vm.send(self._pending[: end if end > 0 else _CHUNK])
            except BlockingIOError:
                self._rack.watch(self._vm.fileno(), select.POLLIN | select.POLLOUT, self._on_vm)
                break
            except OSError:  # the VM is ending; the next one gets it
                break
            del self._pending[:sent]
        self._watch_port()

    def _interrupt(self, looks: int) -> None:
        """Signal until the program has stopped: one that falls into a callback is swallowed there."""
        self._interrupting = None
        if looks >= INTERRUPT_TRIES * _LOOKS_PER_INTERRUPT or not interruptible(self._pid):
            self._pump()
            return
        if looks % _LOOKS_PER_INTERRUPT == 0:
            interrupt(self._pid)
        pause = INTERRUPT_SECONDS / _LOOKS_PER_INTERRUPT
        self._interrupting = self._rack.later(pause, lambda: self._interrupt(looks + 1))

    def _on_vm(self, events: int) -> None:
        assert self._vm is not None
        if events & select.POLLOUT:
            self._rack.watch(self._vm.fileno(), select.POLLIN, self._on_vm)
            self._pump()
        # An event may be that of the VM before, whose descriptor this one has: only an end counts.
        if events & ~select.POLLOUT and self._receive() == b"":
            self._rack.unwatch(self._vm.fileno())

    def _receive(self) -> bytes | None:
        """Take what the VM printed; empty when it has closed its end, None when it has nothing to say."""
        assert self._vm is not None
        try:
            data = self._vm.recv(_CHUNK)
        except BlockingIOError:
            return None
        except OSError:
            return b""
        self.raw_pastes += data.count(_RAW_PASTE)
        self._send(self._cooked(data))
        return data

    def _cooked(self, data: bytes) -> bytes:
        if _MOUNT_COMMAND in data and not interruptible(self._pid):
            self._binary = True
        elif self._binary and (data.endswith(_PROMPTS) or interruptible(self._pid)):
            self._binary = False
        if self._binary:
            return data
        head = b"\r" if self._after_cr else b""
        self._after_cr = data.endswith(b"\r")
        return re.sub(rb"(?<!\r)\n", b"\r\n", head + data)[len(head) :]

    def _send(self, data: bytes) -> None:
        if self._port.attached:
            self._port.write(data)
            self._watch_port()
        elif data:
            self._console.feed(data)
