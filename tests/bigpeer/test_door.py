"""The door on a real port: what a connection may take up before anybody on it is known."""

import asyncio
import contextlib
import json
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from bigpeer_harness import EXECUTE, Remote, eventually

from hedgerow.errors import HedgerowError
from hedgerow_bigpeer import BigPeerConfig, limits
from hedgerow_bigpeer.app import open_registry
from hedgerow_bigpeer.auth import manage
from hedgerow_bigpeer.auth.registry import Registry
from hedgerow_bigpeer.http.door import Door, Guard, origin_of
from hedgerow_bigpeer.sync import SyncEndpoint

UPGRADE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)


def key_of(directory: Path, *verbs: str) -> str:
    """Make an API key; return the header that shows it."""
    registry = Registry(directory)
    key = manage.create_key(registry, "test", "farm", {"name": "x", "verbs": list(verbs)})
    registry.close()
    return f"Authorization: Bearer {key['key']}\r\n"


@contextlib.contextmanager
def serve(directory: Path, **options: Any) -> Iterator[tuple[Remote, str]]:
    """Serve a production app in another process; yields it with the header of an API key."""
    registry = Registry(directory)
    registry.create_app("test", "farm", "production", "farm")
    registry.close()
    key = key_of(directory, "read", "write", "sync")
    served = Remote(directory, app="farm", mesh="farm", **options)
    try:
        yield served, key
    finally:
        if served.process.poll() is None:
            served.kill()


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Remote, str]]:
    with serve(tmp_path_factory.mktemp("farm"), unknown_seconds=1.0, sockets_per_address=8) as running:
        yield running


def connect(served: Remote) -> socket.socket:
    host, port = served.url.partition("://")[2].split(":")
    return socket.create_connection((host, int(port)), 10)


def request(body: bytes, more: str = "") -> bytes:
    head = f"POST {EXECUTE} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n{more}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def answer(stream: socket.socket) -> bytes:
    """Return all that comes until the other side closes."""
    found = b""
    with contextlib.suppress(ConnectionError):
        while part := stream.recv(65_536):
            found += part
    return found


def test_a_silent_connection_is_ended(farm: tuple[Remote, str]) -> None:
    with connect(farm[0]) as stream:
        assert answer(stream) == b""


def test_a_slow_head_is_ended(farm: tuple[Remote, str]) -> None:
    with connect(farm[0]) as stream:
        stream.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        assert answer(stream) == b""


def test_a_stranger_does_not_keep_a_connection_by_asking(farm: tuple[Remote, str]) -> None:
    with connect(farm[0]) as stream:
        stream.settimeout(20)
        count = 0
        with contextlib.suppress(OSError):
            while True:
                stream.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                if not stream.recv(65_536):
                    break
                count += 1
                time.sleep(0.2)
        assert count > 0


def test_a_head_that_is_too_large_is_refused(farm: tuple[Remote, str]) -> None:
    with connect(farm[0]) as stream:
        with contextlib.suppress(ConnectionError):
            stream.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 5000 + b"\r\n\r\n")
        assert b" 200 " not in answer(stream)


def test_whoever_is_known_may_send_more_and_stay(farm: tuple[Remote, str]) -> None:
    served, key = farm
    text = "x" * 3000
    rows = ", ".join(f"({{'_id': {n}}})" for n in range(50))
    body = json.dumps(
        {"statement": f"INSERT INTO cars DOCUMENTS {rows} ON ID CONFLICT DO NOTHING -- {text * 15}"}
    )
    with connect(served) as stream:
        stream.settimeout(20)
        for _ in range(3):
            stream.sendall(request(body.encode(), key))
            head = b""
            while b"}" not in head:
                head += stream.recv(65_536)
            assert head.startswith(b"HTTP/1.1 200"), head
            time.sleep(0.6)


def is_open(stream: socket.socket) -> bool:
    """Say whether the other side has left a silent connection open for a while."""
    stream.settimeout(0.3)
    try:
        return bool(stream.recv(1))
    except TimeoutError:
        return True
    except ConnectionError:
        return False


def test_an_address_has_so_many_connections(tmp_path: Path) -> None:
    with serve(tmp_path, sockets_per_address=4, unknown_seconds=60.0) as (served, key):
        with contextlib.ExitStack() as stack:
            streams = [stack.enter_context(connect(served)) for _ in range(6)]
            assert [is_open(stream) for stream in streams] == [True] * 4 + [False] * 2
        body = json.dumps({"statement": "SELECT * FROM cars LIMIT 1"}).encode()

        def served_again() -> bool:
            with connect(served) as stream:
                stream.sendall(request(body, key + "Connection: close\r\n"))
                return answer(stream).startswith(b"HTTP/1.1 200")

        eventually(served_again)


class Wire(asyncio.Transport):
    """A transport that remembers what is done to it."""

    def __init__(self) -> None:
        super().__init__()
        self.reading = True
        self.ended = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("192.0.2.1", 7) if name == "peername" else default

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.ended

    def abort(self) -> None:
        self.ended = True


class Sink(asyncio.Protocol):
    """What reads behind the guard."""

    def __init__(self) -> None:
        self.taken = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.taken += len(data)


def push(guard: Guard, wire: Wire) -> int:
    """Give as much as is taken, at most a megabyte; return how much that was."""
    given = 0
    while wire.reading and given < 1 << 20:
        size = len(guard.get_buffer(-1))
        assert size, "it reads on, and has no room"
        guard.buffer_updated(size)
        given += size
    return given


def test_a_guard_takes_so_much_from_strangers() -> None:
    async def run() -> None:
        door, wire, sink = Door(1), Wire(), Sink()
        guard = Guard(door, sink)
        guard.connection_made(wire)
        assert push(guard, wire) == sink.taken == 4096
        # A request may be one that strangers make longer: once, and no more than that.
        for more in (limits.FORK_BYTES, limits.FORK_BYTES, 5000):
            door.allow({"client": ("192.0.2.1", 7)}, more)
            push(guard, wire)
            assert sink.taken == limits.FORK_BYTES == 6144 and not wire.reading
        inner = sink.transport
        assert isinstance(inner, asyncio.Transport)
        # What reads may wish to go on: it does not until somebody is known.
        inner.pause_reading()
        inner.resume_reading()
        assert not wire.reading
        socket_reader = Sink()
        inner.set_protocol(socket_reader)
        assert push(guard, wire) == socket_reader.taken == 4096
        inner.set_protocol(socket_reader)
        assert not wire.reading, "another allowance for another upgrade"
        door.know({"client": ("192.0.2.1", 7)})
        assert wire.reading and push(guard, wire) == 1 << 20
        inner.pause_reading()
        assert not wire.reading
        second = Wire()
        Guard(door, Sink()).connection_made(second)
        assert second.ended and door.refused == 1
        guard.connection_lost(None)
        third = Wire()
        last = Guard(door, Sink())
        last.connection_made(third)
        assert not third.ended
        last.connection_lost(None)

    asyncio.run(run())


def test_connections_share_a_buffer_and_each_has_its_own_bytes() -> None:
    class Kept(Sink):
        def data_received(self, data: bytes) -> None:
            kept.append(data)

    async def run() -> None:
        door = Door(9)
        guards = [Guard(door, Kept()) for _ in range(2)]
        for guard in guards:
            guard.connection_made(Wire())
            guard.know()
        for guard, data in zip(guards, (b"one", b"other"), strict=True):
            guard.get_buffer(-1)[: len(data)] = data
            guard.buffer_updated(len(data))
        assert kept == [b"one", b"other"]
        assert guards[0].get_buffer(-1).obj is guards[1].get_buffer(-1).obj
        for guard in guards:
            guard.connection_lost(None)

    kept: list[bytes] = []
    asyncio.run(run())


def test_sync_needs_the_verb(farm: tuple[Remote, str]) -> None:
    served, key = farm
    reader = key_of(served.directory, "read", "write", "status")
    # Whoever shows no key is to show a credential, on the socket.
    headers = (("", b"101"), ("Authorization: Bearer x\r\n", b"403"), (reader, b"403"), (key, b"101"))
    for header, status in headers:
        with connect(served) as stream:
            stream.sendall(
                f"GET /api/hedgerow/v1/sync HTTP/1.1\r\nHost: 127.0.0.1\r\n{UPGRADE}{header}\r\n".encode()
            )
            stream.settimeout(10)
            assert stream.recv(65_536).split(b" ")[1] == status, header


def test_an_open_playground_ends_a_session_that_says_nothing(tmp_path: Path) -> None:
    served = Remote(tmp_path, unknown_seconds=1.0)
    try:
        with connect(served) as stream:
            stream.settimeout(20)
            stream.sendall(f"GET /api/hedgerow/v1/sync HTTP/1.1\r\nHost: 127.0.0.1\r\n{UPGRADE}\r\n".encode())
            assert stream.recv(65_536).split(b" ")[1] == b"101"
            begun = time.monotonic()
            answer(stream)
            assert time.monotonic() - begun < 15
    finally:
        served.kill()


def test_https(tmp_path: Path) -> None:
    made = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*made, *names, *files], check=True, capture_output=True, timeout=60)
    options = {"tls_certificate": certificate, "tls_key": key, "unknown_seconds": 1.0}
    with serve(tmp_path / "data", **options) as (served, header):
        with connect(served) as stream:
            # Who never begins with TLS is ended like anybody else.
            assert answer(stream) == b""
        context = ssl.create_default_context(cafile=str(certificate))
        headers = {"authorization": header.partition(": ")[2].strip()}
        with httpx.Client(verify=context, headers=headers, timeout=20) as client:
            assert served.url.startswith("https://")
            response = client.post(served.url + EXECUTE, json={"statement": "SELECT * FROM cars"})
            assert response.status_code == 200, response.text
            page = client.get(f"{served.url}/login")
            assert "Secure" in page.headers["set-cookie"]


@pytest.mark.parametrize(
    "options",
    [
        {"host": "0.0.0.0"},
        {"host": "0.0.0.0", "tls_key": Path("key.pem")},
        {"tls_certificate": Path("certificate.pem")},
        {"sockets_per_address": 0},
        {"sockets_per_address": 513},
    ],
)
def test_settings_that_leave_a_door_open_are_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(HedgerowError, match="SETTING_INVALID"):
        BigPeerConfig(data=tmp_path, **options)


def test_a_playground_stays_on_loopback(tmp_path: Path) -> None:
    with pytest.raises(HedgerowError, match="PLAYGROUND_ADDRESS"):
        open_registry(BigPeerConfig(data=tmp_path, host="0.0.0.0", plain=True))
    registry, app = open_registry(
        BigPeerConfig(data=tmp_path, host="0.0.0.0", plain=True, allow_playground=True)
    )
    registry.close()
    assert app.is_playground
    with pytest.raises(HedgerowError, match="SETTING_INVALID"):
        open_registry(BigPeerConfig(data=tmp_path, mesh="other"))


def test_an_ipv6_client_is_counted_by_its_network() -> None:
    class From(Wire):
        def __init__(self, host: str, port: int) -> None:
            super().__init__()
            self._from = (host, port, 0, 0)

        def get_extra_info(self, name: str, default: Any = None) -> Any:
            return self._from if name == "peername" else default

    async def run() -> None:
        door = Door(2)
        hosts = ("2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:0:9::3", "2001:db8:0:1::4", "192.0.2.1")
        wires = [From(host, port) for port, host in enumerate(hosts)]
        guards = [Guard(door, Sink()) for _ in wires]
        for guard, wire in zip(guards, wires, strict=True):
            guard.connection_made(wire)
        assert [wire.ended for wire in wires] == [False, False, True, False, False]
        for guard in guards:
            guard.connection_lost(None)
        again = From(hosts[2], 9)
        Guard(door, Sink()).connection_made(again)
        assert not again.ended

    asyncio.run(run())
    assert origin_of("::ffff:192.0.2.1") == origin_of("192.0.2.1") == "192.0.2.1"
    assert origin_of("fe80::1%eth0") == origin_of("fe80::2") and origin_of("") == ""


def test_who_says_nothing_takes_no_place_from_who_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "CONNECTIONS", 2)
    monkeypatch.setattr(limits, "UNPROVEN", 3)

    def busy(sync: Any, open_: list[bool]) -> bool:
        codes = []

        class Socket:
            client = None

            async def accept(self) -> None:
                pass

            async def close(self, code: int, reason: str) -> None:
                codes.append(reason)

        sync._open = {type("", (), {"remote": greeted or None})() for greeted in open_}

        async def serve() -> None:
            with contextlib.suppress(_Begun):
                await sync.serve(Socket())

        asyncio.run(serve())
        return codes == ["SYNC_BUSY"]

    class _Begun(Exception):
        pass

    def begin(*args: object, **more: object) -> None:
        raise _Begun

    membership = type("", (), {"greeting": staticmethod(begin)})()
    clock = type("", (), {"uptime": staticmethod(lambda: 0)})()
    config = type("", (), {"mesh": "farm"})()
    sync: Any = SyncEndpoint(type("", (), {"config": config, "clock": clock})(), membership)
    assert not busy(sync, [False, False, True]) and busy(sync, [False, False, False])
    assert busy(sync, [True, True]) and busy(sync, [False, False, False, True])


def test_the_limits_are_those_that_were_promised() -> None:
    assert (limits.UNKNOWN_BYTES, limits.UNKNOWN_SECONDS) == (4096, 10.0)
