"""Reading and writing a chip's flash below MicroPython: esptool, or an emulated board's side channel."""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from hedgerow.errors import HedgerowError
from hedgerow_cli.flashing import side_channel
from hedgerow_cli.limits import ESPTOOL_SECONDS

Piece = tuple[int, bytes]


class Programmer(Protocol):
    """Offsets in bytes from the start of the chip; the board boots anew after each call."""

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of the flash."""

    def write(self, pieces: Sequence[Piece]) -> None:
        """Erase the sectors that each (offset, data) touches, and program it."""


class Esptool:
    """A real chip, through esptool. Raises `ESPTOOL_FAILED` with its last words."""

    def __init__(self, port: str, chip: str) -> None:
        self._head = [sys.executable, "-m", "esptool", "--chip", chip, "--port", port]

    def read(self, offset: int, length: int) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "read.bin")
            self._run("read-flash", hex(offset), hex(length), str(path))
            return path.read_bytes()

    def write(self, pieces: Sequence[Piece]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            arguments: list[str] = []
            for offset, data in pieces:
                path = Path(folder, f"{offset:x}.bin")
                path.write_bytes(data)
                arguments += [hex(offset), str(path)]
            # The header of a boot loader names the flash's mode and size; esptool must not correct it,
            # because its hash would be wrong then.
            self._run("--baud", "460800", "write-flash", "--flash-size", "keep", *arguments)

    def _run(self, *arguments: str) -> None:
        try:
            done = subprocess.run(
                [*self._head, *arguments],
                capture_output=True,
                text=True,
                timeout=ESPTOOL_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise HedgerowError("ESPTOOL_FAILED", str(error)) from None
        if done.returncode:
            lines = [line for line in f"{done.stdout}\n{done.stderr}".splitlines() if line.strip()]
            raise HedgerowError("ESPTOOL_FAILED", " / ".join(lines[-2:]))


class Emulated:
    """An emulated board, through its side channel."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, offset: int, length: int) -> bytes:
        return side_channel.read(self._path, offset, length)

    def write(self, pieces: Sequence[Piece]) -> None:
        side_channel.write(self._path, pieces)


def programmer(port: str, chip: str) -> Programmer:
    """The right one for a port."""
    path = side_channel.socket_of(port)
    return Emulated(path) if path.exists() else Esptool(port, chip)
