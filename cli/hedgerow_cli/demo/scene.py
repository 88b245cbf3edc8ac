"""Everything that the demo starts, and ends with it: air, boards, gateway, proxy, Big Peer."""

import contextlib
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hedgerow.errors import HedgerowError
from hedgerow_boards.air.backend import DEFAULT_ADDRESS
from hedgerow_boards.board import Board
from hedgerow_cli.big_peer_http import request
from hedgerow_cli.demo.identities import GATEWAY, Identities
from hedgerow_cli.demo.nodes import Nodes, ended
from hedgerow_cli.demo.options import MESH, DemoOptions
from hedgerow_cli.demo.proxy import Proxy
from hedgerow_cli.emulation import Bench, emulated, load_series, name_of
from hedgerow_cli.lifeline import Child

_START_SECONDS = 30.0
_HTTP_SECONDS = 10.0


@dataclass
class Scene:
    """What runs. `url` and `gateway_url` are the HTTP addresses; `field` names the quantity measured."""

    directory: Path
    bench: Bench
    field: str
    nodes: Nodes
    gateway: Child
    proxy: Proxy
    url: str
    gateway_url: str
    identities: Identities | None = None
    provider: Child | None = None

    @property
    def key(self) -> str:
        """What to ask the Big Peer with."""
        return self.identities.key if self.identities else ""

    @property
    def boards(self) -> list[Board]:
        return self.bench.boards

    def check(self) -> None:
        """Raises `DEMO_PART_ENDED` if a process is gone."""
        self.nodes.check()
        for name, child in (("gateway", self.gateway), ("identity provider", self.provider)):
            if child is not None and not child.running:
                raise ended(name, child)

    def held(self, url: str) -> dict[str, int]:
        """What a gateway or Big Peer holds: author in hex -> operations; empty while it does not answer."""
        try:
            status: dict[str, Any] = request(url, _HTTP_SECONDS, key=self.key)
        except HedgerowError:
            self.check()
            return {}
        return {row["author"]: row["held"] for row in status["authors"]}

    def restart_gateway(self) -> None:
        """Start the gateway again on its log, as systemd does after a crash."""
        command = self.gateway.process.args
        assert isinstance(command, list)
        self.gateway = Child(command, self.gateway.log)


@contextlib.contextmanager
def staged(options: DemoOptions, directory: Path) -> Iterator[Scene]:
    """Start everything; boards are on, and as bought. All has ended when the block is left."""
    field = load_series(options.data).name
    with contextlib.ExitStack() as stack:
        with contextlib.ExitStack() as held:
            count = 2 + options.nodes
            page_port, vouching_port, *ports = (
                _number(held.enter_context(_free_port())) for _ in range(count)
            )
            # They take ports of their own, which must be none of these.
            balancer = stack.enter_context(Proxy(*ports)) if options.nodes > 1 else None
            proxy = stack.enter_context(Proxy(ports[0] if balancer is None else balancer.port))
        vouching = f"http://127.0.0.1:{vouching_port}/hook"
        identities = provider = None
        if not options.playground:
            identities = Identities(directory, vouching, _rights(options))
            stack.callback(identities.close)
            provider = _start(stack, directory / "provider.log", _provider_command(vouching_port, identities))
        nodes = Nodes(directory, ports, options.store, balancer, identities.app if identities else "")
        stack.callback(nodes.stop)
        bench = stack.enter_context(
            emulated(
                _profiles(options),
                data=options.data,
                directory=directory,
                seed=options.seed,
                air_enabled=options.air,
                air_log=directory / "air.jsonl",
            )
        )
        if options.far is not None:
            _move_away(bench, options.far)
        page = f"127.0.0.1:{page_port}"
        for child, url in zip(nodes.children, nodes.urls, strict=True):
            _await_answer(child, f"{url}/healthz")
        if provider is not None and identities is not None:
            _await_answer(provider, vouching)
            identities.identity(GATEWAY, nodes.url)
        command = _gateway_command(directory, proxy.port, bench.air_path, page, keys=identities is not None)
        gateway = _start(stack, directory / "gateway.log", command)
        addresses = (nodes.url, f"http://{page}")
        scene = Scene(directory, bench, field, nodes, gateway, proxy, *addresses, identities, provider)
        stack.callback(lambda: scene.gateway.stop())
        _await_answer(gateway, f"{scene.gateway_url}/healthz")
        yield scene


def _profiles(options: DemoOptions) -> list[str]:
    return [options.relay_kind, *[options.kind] * (options.boards - 1)]


def _rights(options: DemoOptions) -> dict[str, bool]:
    """Which boards may write, by name."""
    return {name_of(index): index != options.barred for index in range(options.boards)}


def _start(stack: contextlib.ExitStack, log: Path, command: list[str]) -> Child:
    child = Child(command, log)
    stack.callback(child.stop)
    return child


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "hedgerow_cli", *arguments]


def _provider_command(port: int, identities: Identities) -> list[str]:
    return [sys.executable, "-m", "hedgerow_cli.demo.provider", str(port), str(identities.users)]


def _gateway_command(directory: Path, uplink: int, air: str, page: str, *, keys: bool) -> list[str]:
    # The demo measures against this host's clock, so the gateway is told to trust it.
    return _command(
        "gateway", "run", "--data", str(directory / "gateway"), "--air", air, "--http", page, "--mesh", MESH,
        "--uplink", f"ws://127.0.0.1:{uplink}/api/hedgerow/v1/sync", "--name", "gateway", "--time", "trust",
        "--uplink-max-pause-s", "1", "--json", *(["--board-keys"] if keys else []),
    )  # fmt: skip


def _move_away(bench: Bench, index: int) -> None:
    """Put a board out of everybody's reach but the first board's."""
    assert bench.air is not None
    near, far = bench.boards[0].address, bench.boards[index].address
    for address in [DEFAULT_ADDRESS, *(board.address for board in bench.boards)]:
        if address not in (near, far):
            bench.air.block(far, address)


def _free_port() -> socket.socket:
    """Return a listener on a port that is free once it is closed."""
    return socket.create_server(("127.0.0.1", 0))


def _number(listener: socket.socket) -> int:
    return int(listener.getsockname()[1])


def _await_answer(child: Child, url: str) -> None:
    """Until an HTTP server answers. Raises `DEMO_PART_ENDED`."""
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            request(url, _HTTP_SECONDS)
            return
        except HedgerowError as error:
            if not child.running or time.monotonic() > deadline:
                raise ended(str(error), child) from None
        time.sleep(0.05)


def prepare_directory(path: Path) -> None:
    """Make the demo's directory; `DEMO_DIRECTORY` if it holds anything."""
    path.mkdir(parents=True, exist_ok=True)
    if any(path.iterdir()):
        raise HedgerowError("DEMO_DIRECTORY", str(path))
