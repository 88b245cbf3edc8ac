"""The stand-in for esptool on emulated boards.

A real chip has a boot loader in ROM that esptool talks to over the serial port, below MicroPython. An
emulated board has none; instead the process that emulates it listens on a Unix socket whose name follows
from the port's, and does there to the flash image what esptool does to the chip. One request per
connection: a line of JSON {"do": "read" | "write", "pieces": [[offset, length], ...]}, and for a write the
bytes of all pieces; the answer is a line {"ok": true, "length"} and the bytes read, or {"code", "detail"}.
While it is written to, the board is off; then it boots.
"""

import json
import os
import socket
import socketserver
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, cast

from hedgerow.errors import HedgerowError
from hedgerow_boards.board import Board
from hedgerow_cli.limits import SIDE_CHANNEL_BYTES, SIDE_CHANNEL_LINE_BYTES, SIDE_CHANNEL_SECONDS


def folder() -> Path:
    """Where the sockets of this user lie."""
    return Path(tempfile.gettempdir()) / f"hedgerow-ports-{os.getuid()}"


def socket_of(port: str) -> Path:
    """The socket that belongs to a serial port's path."""
    return folder() / (os.path.realpath(port).strip("/").replace("/", "-") + ".sock")


class _Handler(socketserver.StreamRequestHandler):
    timeout = SIDE_CHANNEL_SECONDS

    def handle(self) -> None:
        data = b""
        try:
            data = self._obey(cast(_Server, self.server).board)
            answer: dict[str, object] = {"ok": True, "length": len(data)}
        except HedgerowError as error:
            answer = {"code": error.code, "detail": error.detail}
        except (OSError, ValueError, KeyError, TypeError) as error:
            answer = {"code": "SIDE_CHANNEL", "detail": repr(error)}
        self.wfile.write(json.dumps(answer).encode() + b"\n" + data)

    def _obey(self, board: Board) -> bytes:
        request = json.loads(self.rfile.readline(SIDE_CHANNEL_LINE_BYTES))
        pieces = [(int(offset), int(length)) for offset, length in request["pieces"]]
        total = sum(length for _, length in pieces)
        if (
            request["do"] not in ("read", "write")
            or total > SIDE_CHANNEL_BYTES
            or any(n < 0 for _, n in pieces)
        ):
            raise HedgerowError("SIDE_CHANNEL", f"{request['do']!r} of {total} bytes")
        if request["do"] == "read":
            return b"".join(board.read_flash(offset, length) for offset, length in pieces)
        data = [(offset, self.rfile.read(length)) for offset, length in pieces]
        if sum(len(piece) for _, piece in data) != total:
            raise HedgerowError("SIDE_CHANNEL", "the data end early")
        size = board.profile.flash_bytes
        beyond = [offset + len(piece) for offset, piece in data if offset + len(piece) > size]
        if beyond:
            raise HedgerowError("FLASH_RANGE", f"the flash ends at 0x{size:x}, not at 0x{max(beyond):x}")
        board.power_off()
        try:
            for offset, piece in data:
                board.write_flash(offset, piece)
        finally:
            board.power_on()
        return b""


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def __init__(self, path: Path, board: Board) -> None:
        self.board = board
        super().__init__(str(path), _Handler)


class SideChannel:
    """Serves one board's flash to `hedgerow flash` within a `with` block."""

    def __init__(self, board: Board) -> None:
        folder().mkdir(mode=0o700, exist_ok=True)
        self._path = socket_of(board.port)
        self._path.unlink(missing_ok=True)
        self._server = _Server(self._path, board)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="side-channel", daemon=True
        )

    def __enter__(self) -> "SideChannel":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._path.unlink(missing_ok=True)


def read(path: Path, offset: int, length: int) -> bytes:
    """Ask the side channel at `path` for bytes of the flash. Raises `SIDE_CHANNEL`, or the board's code."""
    return _request(path, {"do": "read", "pieces": [(offset, length)]}, b"")


def write(path: Path, pieces: Sequence[tuple[int, bytes]]) -> None:
    """Have all (offset, data) written while the board is off. Raises as read() does."""
    places = [(offset, len(data)) for offset, data in pieces]
    _request(path, {"do": "write", "pieces": places}, b"".join(data for _, data in pieces))


def _request(path: Path, what: dict[str, Any], data: bytes) -> bytes:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
            link.settimeout(SIDE_CHANNEL_SECONDS)
            link.connect(str(path))
            link.sendall(json.dumps(what).encode() + b"\n" + data)
            with link.makefile("rb") as answers:
                answer: dict[str, Any] = json.loads(answers.readline(SIDE_CHANNEL_LINE_BYTES))
                if "code" in answer:
                    raise HedgerowError(str(answer["code"]), str(answer.get("detail", "")))
                return answers.read(int(answer["length"]))
    except (OSError, ValueError, KeyError) as error:
        raise HedgerowError("SIDE_CHANNEL", f"{path}: {error}") from None
