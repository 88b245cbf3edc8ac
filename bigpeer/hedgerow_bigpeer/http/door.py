"""The door: what a connection may take up before anybody on it is known.

Until a request on it has named somebody, a connection gives 4 KiB (a WebSocket 4 KiB more, with evidence of
a fork 2 KiB more), lives ten seconds, and an address has only so many of them. What is beyond stays in the
socket, so that nothing is allocated for strangers.
"""

import asyncio
import logging
from ipaddress import ip_address
from typing import Any

from starlette.types import Scope
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from .. import limits

log = logging.getLogger(__name__)

_READ_BYTES = 65_536
_Address = tuple[str, int]


_NETWORK = (1 << 64) - 1


def origin_of(host: str) -> str:
    """Return by what a client is counted: its address, of IPv6 its network of 64 bits: one customer's."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if address.version == 4:
        return str(address)
    mapped = address.ipv4_mapped
    return str(ip_address(int(address) & ~_NETWORK)) + "/64" if mapped is None else str(mapped)


class Door:
    """Counts and knows the connections of one server."""

    def __init__(self, sockets_per_address: int) -> None:
        self._most = sockets_per_address
        self._sockets: dict[str, int] = {}
        self._guards: dict[_Address, Guard] = {}
        self.refused = 0
        # One for all connections: what comes is copied before another can read. A session costs as much again
        # that has one of its own.
        self.buffer = bytearray(_READ_BYTES)

    def protocol(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> "Guard":
        """Make the protocol of a connection; uvicorn calls it as a class."""
        return Guard(self, H11Protocol(config, server_state, app_state, _loop))

    def know(self, scope: Scope) -> None:
        """Let the connection of a request go on: whoever asks on it is known."""
        guard = self._guards.get(tuple(scope.get("client") or ()))
        if guard is not None:
            guard.know()

    def allow(self, scope: Scope, most: int) -> None:
        """Let the connection of a request give so many bytes in all, though nobody is named on it."""
        guard = self._guards.get(tuple(scope.get("client") or ()))
        if guard is not None:
            guard.allow(most)

    def enter(self, address: _Address, guard: "Guard") -> bool:
        """Count a new connection; say whether there is room for it."""
        origin = origin_of(address[0])
        count = self._sockets.get(origin, 0)
        if count >= self._most:
            self.refused += 1
            log.warning("%s: over %d connections", address[0], self._most)
            return False
        self._sockets[origin] = count + 1
        self._guards[address] = guard
        return True

    def leave(self, address: _Address) -> None:
        """Count a connection that ended."""
        if self._guards.pop(address, None) is not None:
            origin = origin_of(address[0])
            self._sockets[origin] -= 1
            if not self._sockets[origin]:
                del self._sockets[origin]


class Guard(asyncio.BufferedProtocol):
    """Stands between a transport and the protocol that reads from it, whichever that is at the time."""

    def __init__(self, door: Door, inner: asyncio.Protocol) -> None:
        self._door = door
        self.inner = inner
        self._most = self._left = limits.UNKNOWN_BYTES
        self._known = False
        self._upgraded = False
        self._address: _Address | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._transport: _Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, or end at once where an address has too many."""
        assert isinstance(transport, asyncio.Transport)
        peer = transport.get_extra_info("peername")
        address = (str(peer[0]), int(peer[1])) if isinstance(peer, tuple) else ("", 0)
        if not self._door.enter(address, self):
            transport.abort()
            return
        self._address = address
        self._timer = asyncio.get_running_loop().call_later(limits.UNKNOWN_SECONDS, transport.abort)
        self._transport = _Transport(transport, self)
        self.inner.connection_made(self._transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where the next bytes go: what an unknown connection may still give, or plenty."""
        buffer = memoryview(self._door.buffer)
        return buffer if self._known else buffer[: self._left]

    def buffer_updated(self, nbytes: int) -> None:
        """Pass on what came."""
        data = bytes(self._door.buffer[:nbytes])
        assert self._transport is not None
        if not self._known:
            self._left -= nbytes
            if not self._left:
                self._transport.hold(on=True)
        self.inner.data_received(data)

    def know(self) -> None:
        """Lift the limits."""
        if self._known or self._transport is None:
            return
        self._known = True
        if self._timer is not None:
            self._timer.cancel()
        self._transport.hold(on=False)

    def allow(self, most: int) -> None:
        """Raise to `most` what an unknown connection may give."""
        if self._known or self._transport is None or most <= self._most:
            return
        self._left += most - self._most
        self._most = most
        self._transport.hold(on=False)

    def become(self, protocol: asyncio.Protocol) -> None:
        """Let another protocol read: a WebSocket has a beginning of its own, and an allowance for that."""
        self.inner = protocol
        if not self._known and not self._upgraded:
            self._upgraded = True
            self._left = limits.UNKNOWN_BYTES
            assert self._transport is not None
            self._transport.hold(on=False)

    def eof_received(self) -> bool | None:
        """Pass on that nothing more comes."""
        return self.inner.eof_received()

    def pause_writing(self) -> None:
        """Pass on that the other side is slow."""
        self.inner.pause_writing()

    def resume_writing(self) -> None:
        """Pass on that it has caught up."""
        self.inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass on the end."""
        if self._timer is not None:
            self._timer.cancel()
        if self._address is not None:
            self._door.leave(self._address)
            self.inner.connection_lost(exc)


class _Transport(asyncio.Transport):
    """The transport as the inner protocol has it: reading goes on only while the guard allows it."""

    def __init__(self, transport: asyncio.Transport, guard: Guard) -> None:
        super().__init__()
        self._transport = transport
        self._guard = guard
        self._paused = False
        self._held = False

    def __getattribute__(self, name: str) -> Any:
        if name in _OWN:
            return object.__getattribute__(self, name)
        return getattr(object.__getattribute__(self, "_transport"), name)

    def hold(self, *, on: bool) -> None:
        """Stop reading, whatever the inner protocol wants; or let it have its way again."""
        self._held = on
        self._apply()

    def pause_reading(self) -> None:
        """Read no more, as the inner protocol wants."""
        self._paused = True
        self._apply()

    def resume_reading(self) -> None:
        """Read on, as the inner protocol wants."""
        self._paused = False
        self._apply()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Let another protocol have the connection from now on; the guard stays."""
        assert isinstance(protocol, asyncio.Protocol)
        self._guard.become(protocol)

    def _apply(self) -> None:
        if self._held or self._paused:
            self._transport.pause_reading()
        elif not self._transport.is_closing():
            self._transport.resume_reading()


_OWN = frozenset(
    (
        "hold",
        "pause_reading",
        "resume_reading",
        "set_protocol",
        "_apply",
        "_transport",
        "_guard",
        "_paused",
        "_held",
    )
)
