"""The air's control channel: another process places radios, cuts links and reads statistics.

A request is a JSON object with `do` and by that: place (address, x, y); reach (a, b, heard: true, false or
null); enable (on); loss (chance); profile (address, name); power (address, state); radios; stats (address);
counters. The answer has `result`, or `error` (a code) and `detail`.
"""

import dataclasses
import json
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from hedgerow.errors import HedgerowError
from hedgerow_boards.air import commands, events
from hedgerow_boards.air.codec import FrameReader, address_bytes, address_text, decode_event, encode

if TYPE_CHECKING:
    from hedgerow_boards.air.model import AirModel

_TIMEOUT_S = 10.0
_Request = dict[str, Any]


def _address(request: _Request, key: str = "address") -> str:
    return address_text(address_bytes(str(request[key])))


def _place(model: "AirModel", request: _Request) -> None:
    model.medium.place(_address(request), float(request["x"]), float(request["y"]))


def _reach(model: "AirModel", request: _Request) -> None:
    heard = request["heard"]
    model.medium.set_reach(
        _address(request, "a"), _address(request, "b"), None if heard is None else bool(heard)
    )


def _enable(model: "AirModel", request: _Request) -> None:
    model.medium.enabled = bool(request["on"])


def _loss(model: "AirModel", request: _Request) -> None:
    model.medium.loss = float(request["chance"])


_ACTIONS: dict[str, Callable[["AirModel", _Request], Any]] = {
    "place": _place,
    "reach": _reach,
    "enable": _enable,
    "loss": _loss,
    "profile": lambda model, request: model.set_profile(_address(request), str(request["name"])),
    "power": lambda model, request: model.set_power(_address(request), str(request["state"])),
    "radios": lambda model, request: model.addresses(),
    "stats": lambda model, request: model.stats(_address(request)),
    "counters": lambda model, request: dataclasses.asdict(model.counters),
}


def obey(model: "AirModel", raw: bytes) -> bytes:
    """The answer to a request; AIR_PARAMETER in it for one that makes no sense."""
    try:
        request = json.loads(raw)
        answer = {"result": _ACTIONS[request["do"]](model, request)}
    except HedgerowError as error:
        answer = {"error": error.code, "detail": error.detail}
    except (KeyError, TypeError, ValueError) as error:
        answer = {"error": "AIR_PARAMETER", "detail": f"{type(error).__name__}: {error}"[:100]}
    return json.dumps(answer, separators=(",", ":")).encode()


class RemoteAir:
    """The control channel of the air whose socket is at `path`, from any process; use it with `with`."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._reader = FrameReader()
        try:
            self._socket.settimeout(_TIMEOUT_S)
            self._socket.connect(path)
        except OSError:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, do: str, **request: Any) -> Any:
        """The result of one request. Raises HedgerowError with the air's code, OSError if it is gone."""
        self._socket.sendall(encode(commands.Control(json.dumps({"do": do, **request}).encode())))
        while True:
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionResetError("the air has gone")
            for body in list(self._reader.feed(data)):
                event = decode_event(body) if body else None
                if isinstance(event, events.Controlled):
                    answer = json.loads(event.answer)
                    if "error" in answer:
                        raise HedgerowError(answer["error"], answer["detail"])
                    return answer["result"]

    def stats(self) -> dict[str, dict[str, Any]]:
        """`Tally.report` of every radio that was ever on, by address."""
        return {address: self.ask("stats", address=address) for address in self.ask("radios")}
