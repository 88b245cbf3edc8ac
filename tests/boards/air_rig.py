"""What the tests of the air share: hosts on a model in virtual time, and MicroPython VMs on a real one."""

import json
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self, TypeVar

import hedgerow_boards
from hedgerow_boards.air import att, commands
from hedgerow_boards.air.codec import address_bytes
from hedgerow_boards.air.host import Host
from hedgerow_boards.air.messages import Message
from hedgerow_boards.air.model import AirModel

MICROPYTHON = Path(sys.executable).with_name("micropython")
VM_LIBRARY = Path(hedgerow_boards.__file__).with_name("vm")
SECOND = 1_000_000
Event = TypeVar("Event", bound=Message)


def address(number: int) -> str:
    return f"c0:00:00:00:00:{number:02x}"


def wait_until(condition: Callable[[], object], timeout: float = 10.0) -> None:
    """Poll until the condition holds; fail after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout} s"
        time.sleep(0.01)


class Recorder:
    """A host's sink that keeps every event, and can be told to have no room."""

    def __init__(self) -> None:
        self.events: list[Message] = []
        self.has_room = True
        self.has_report_room = True

    def emit(self, event: Message) -> None:
        self.events.append(event)

    def ready(self) -> bool:
        return self.has_room

    def report_room(self) -> bool:
        return self.has_report_room

    def of(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]


def hello(
    number: int, *, mtu: int = 247, payload: int = 251, connections: int = 4, flags: int = 0
) -> commands.Hello:
    raw = address_bytes(address(number))
    return commands.Hello(1, flags, 0, raw, mtu, payload, connections, 0, 0, b"node")


def join(model: AirModel, number: int, **options: int) -> tuple[Host, Recorder]:
    recorder = Recorder()
    return model.join(hello(number, **options), recorder), recorder


def advertise(
    payload: bytes, interval_ms: int = 100, kind: int = 0, response: bytes = b""
) -> commands.Advertise:
    return commands.Advertise(kind, interval_ms * 1000, len(payload), payload + response)


def scan(interval_ms: int = 30, window_ms: int = 30, *, active: int = 0, unique: int = 0) -> commands.Scan:
    return commands.Scan(active, unique, 0, interval_ms * 1000, window_ms * 1000)


def connect(number: int, interval_ms: int = 30, supervision_ms: int = 2000) -> commands.Connect:
    us = interval_ms * 1000
    return commands.Connect(0, address_bytes(address(number)), 2000, us, us, supervision_ms)


SERVICE = bytes(range(16))
WRITABLE, READABLE, CCCD_HANDLE = 12, 14, 15
TABLE = b"".join(
    struct.pack("<BHHB", kind, handle, properties, len(uuid)) + uuid
    for kind, handle, properties, uuid in (
        (att.KIND_SERVICE, 10, 0, SERVICE),
        (att.KIND_CHARACTERISTIC, WRITABLE, 0x0C, b"\x01\xaa"),
        (att.KIND_CHARACTERISTIC, READABLE, 0x32, b"\x02\xaa"),
        (att.KIND_DESCRIPTOR, CCCD_HANDLE, 0x0A, att.CCCD),
    )
)


class Pair:
    """A central (2) linked to a peripheral (1) that has TABLE; MTU exchanged to the smaller offer."""

    def __init__(self, *, loss: float = 0.0, interval_ms: int = 30, **options: int) -> None:
        self.model = AirModel(seed=4, loss=loss)
        self.server, self.server_log = join(self.model, 1, **options)
        self.client, self.client_log = join(self.model, 2, **options)
        self.server.handle(commands.Services(TABLE))
        self.server.handle(advertise(b"here"))
        self.client.handle(connect(1, interval_ms))
        self.run(1.0)
        self.client.handle(commands.ExchangeMtu(0))
        self.run(1.0)
        self.server_log.events.clear()
        self.client_log.events.clear()

    def run(self, seconds: float) -> None:
        self.model.step(self.model.timeline.now + round(seconds * SECOND))


# For programs of a Vm: `irq` prints and keeps events, `wait` gives the next of a number, `code` what a call
# was refused with.
VM_PRELUDE = """
import bluetooth, errno, time
from bluetooth import UUID
ble = bluetooth.BLE()
ble.active(True)
seen = {}
def plain(data):
    return tuple(
        bytes(x) if isinstance(x, memoryview) else UUID(x) if isinstance(x, UUID) else x for x in data
    )
def irq(event, data):
    if event == 5:
        seen[5] = plain(data)
        return
    print("irq", event, plain(data))
    seen.setdefault(event, []).append(plain(data))
ble.irq(irq)
def wait(event, timeout=8000):
    began = time.ticks_ms()
    while time.ticks_diff(time.ticks_ms(), began) < timeout:
        if seen.get(event):
            return seen.pop(event) if event == 5 else seen[event].pop(0)
        time.sleep_ms(2)
    raise OSError("no event", event)
def code(call, *args, **kw):
    try:
        return call(*args, **kw)
    except OSError as error:
        return errno.errorcode.get(error.errno, error.errno)
    except ValueError as error:
        return str(error)
def forever():
    while True:
        time.sleep_ms(20)
"""


class Vm:
    """A MicroPython VM on the air at `path`, running a program text with the emulator's `bluetooth`.

    `paths` are searched for other modules.
    """

    def __init__(
        self,
        directory: Path,
        path: str,
        number: int,
        program: str,
        *,
        heap: str = "256k",
        paths: tuple[Path, ...] = (),
    ) -> None:
        library = directory / f"vm{number}"
        library.mkdir()
        for name in ("bluetooth.py", *[path.name for path in VM_LIBRARY.glob("_air_*.py")]):
            (library / name).symlink_to(VM_LIBRARY / name)
        (library / "emulator.py").write_text("import json, sys\nconfig = json.loads(sys.argv[1])\n")
        script = library / "program.py"
        # Not what lies in the home of whoever runs this.
        found = [str(library), *map(str, paths), ".frozen"]
        script.write_text(f"import sys\nsys.path[:] = {found!r}\n" + program)
        config = json.dumps({"air": path, "address": address(number)})
        self.process = subprocess.Popen(
            [MICROPYTHON, "-X", f"heapsize={heap}", script, config],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()

    def _collect(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def wait_for(self, text: str, timeout: float = 10.0) -> str:
        """The first line with `text` in it."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            for line in list(self.lines):
                if text in line:
                    return line
            time.sleep(0.01)
        raise AssertionError(f"no {text!r} in {self.lines}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._thread.join()
        assert self.process.stdout
        self.process.stdout.close()
