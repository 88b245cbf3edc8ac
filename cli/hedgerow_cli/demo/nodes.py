"""The Big Peer's nodes: one, or several on one PostgreSQL behind a balancer."""

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

from hedgerow.errors import HedgerowError
from hedgerow_cli.demo.options import MESH, RIGHTS_KEY
from hedgerow_cli.demo.proxy import Proxy
from hedgerow_cli.extras import extra
from hedgerow_cli.lifeline import Child

_LOG_TAIL = 3


class Nodes:
    """Processes on `ports` that serve `app`, or a playground; `url` is where any of them answers.

    `kills` counts those that were killed.
    """

    def __init__(
        self, directory: Path, ports: Sequence[int], store: str, balancer: Proxy | None, app: str = ""
    ) -> None:
        self._directory = directory
        self._ports = ports
        self._store = store
        self._app = app
        self._balancer = balancer
        self._away: set[int] = set()
        self.kills = 0
        self.port = ports[0] if balancer is None else balancer.port
        self.url = f"http://127.0.0.1:{self.port}"
        if store:
            # One for all, in one place.
            with extra("bigpeer"):
                from hedgerow_bigpeer.auth.shared import make_key
            make_key(directory / RIGHTS_KEY)
        self.children = [self._start(at) for at in range(len(ports))]

    @property
    def urls(self) -> list[str]:
        """The nodes' own addresses."""
        return [f"http://127.0.0.1:{port}" for port in self._ports]

    def kill(self) -> int:
        """Kill the node that has most connections, as the loss of its machine does; return which."""
        assert self._balancer is not None
        links = self._balancer.links
        at = max(range(len(self._ports)), key=lambda node: links[self._ports[node]])
        self._away.add(at)
        self.children[at].kill()
        self.kills += 1
        return at

    def restart(self, at: int) -> None:
        """Start a node again that was killed."""
        self.children[at] = self._start(at)
        self._away.discard(at)

    def check(self) -> None:
        """Raises `DEMO_PART_ENDED` if one is gone that nobody killed."""
        for at, child in enumerate(self.children):
            if at not in self._away and not child.running:
                raise ended("Big Peer", child)

    def stop(self) -> None:
        """End them in order."""
        for child in self.children:
            with contextlib.suppress(OSError):
                child.stop()

    def _start(self, at: int) -> Child:
        name = "bigpeer" if self._balancer is None else f"bigpeer-{at + 1}"
        command = [
            *(sys.executable, "-m", "hedgerow_cli", "bigpeer", "run", "--port", str(self._ports[at])),
            *("--data", str(self._directory / name), "--mesh", MESH, "--name", "big-peer", "--json"),
        ]
        if self._app:
            command += ["--app", self._app]
        if self._store:
            command += ["--store", self._store, "--rights-key", str(self._directory / RIGHTS_KEY)]
        return Child(command, self._directory / f"{name}.log")


def ended(name: str, child: Child) -> HedgerowError:
    """Return the error of a part that ended, with the end of its log."""
    last = child.log.read_text(errors="replace").splitlines()[-_LOG_TAIL:]
    return HedgerowError("DEMO_PART_ENDED", f"{name}: {' / '.join(last)}")
