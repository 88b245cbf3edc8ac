"""A production Big Peer in another process, gateways with identities beside it, and who listens between."""

import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import identity_provider
from bigpeer_harness import EXECUTE, STATUS, Remote
from identity_provider import Running
from websockets.asyncio.client import connect as dial
from websockets.asyncio.server import serve as listen

from hedgerow.codec.decimal import Decimal
from hedgerow.crypto.greeting import END
from hedgerow_bigpeer.auth import manage
from hedgerow_bigpeer.auth.registry import Registry
from hedgerow_gateway import Gateway, GatewayConfig
from hedgerow_gateway.enrolment import Enrolment, poster

#: The longest wait for an answer: on a host that is busy it takes longer than the 5 s that httpx waits.
WAIT_S = 60
ALLOWED = {"read": {"everything": True}, "write": {"everything": True}}


class Farm:
    """A production app, in its own process or as `serve` has it, and who vouches for its users."""

    def __init__(self, directory: Path, idp: Running, serve: Callable[..., Any] = Remote) -> None:
        self.directory = directory
        self.registry = Registry(directory)
        self.app = self.registry.create_app("test", "farm", "production", "farm")
        hook: dict[str, Any] = {"type": "webhookUrl", "webhookUrl": f"{idp.url}/hook", "allowPrivate": True}
        hook["kinds"] = ["delegate"]
        manage.set_provider(self.registry, "test", "farm", "hook", hook)
        self.served = serve(directory, app="farm", mesh="farm")
        self.key = ""

    def enrol(
        self, path: Path, user: str = "gw", permissions: Any = ALLOWED, kinds: Sequence[str] = ()
    ) -> Enrolment:
        """Get a credential as `hedgerow enroll` does; of the kinds, "delegate" may be asked for."""
        said: dict[str, Any] = {
            "authenticated": True,
            "userID": user,
            "expirationSeconds": 3600,
            "permissions": permissions,
        }
        said["hedgerowKinds"] = list(kinds)
        enrolment = Enrolment(path)
        enrolment.log_in(poster(self.served.sync_url), "hook", json.dumps(said))
        return enrolment

    def audit(self, action: str) -> list[tuple[str, str]]:
        """Return (actor, code) of the newest rows of the audit log."""
        rows = self.registry.audit.newest(100, action=action)
        return [(row.actor, str(row.detail.get("code"))) for row in rows]

    def rows(self, statement: str) -> list[Any]:
        """Ask over HTTP with a key that may read everything."""
        if not self.key:
            verbs = {"name": "reader", "verbs": ["read", "status"]}
            self.key = str(manage.create_key(self.registry, "test", "farm", verbs)["key"])
        headers = {"authorization": f"Bearer {self.key}"}
        response = httpx.post(
            self.served.url + EXECUTE, json={"statement": statement}, headers=headers, timeout=WAIT_S
        )
        assert response.status_code == 200, response.text
        return list(response.json()["items"])

    def status(self, author: bytes) -> Any:
        """Return what the status says of an author."""
        self.rows("SELECT * FROM nothing")
        headers = {"authorization": f"Bearer {self.key}"}
        rows = httpx.get(self.served.url + STATUS, headers=headers, timeout=WAIT_S).json()["authors"]
        (found,) = [row for row in rows if row["author"] == author.hex()]
        return found

    def refused(self) -> dict[str, int]:
        """Return how many operations were refused, by code, from /metrics."""
        headers = {"authorization": f"Bearer {self.key}"}
        text = httpx.get(self.served.url + "/metrics", headers=headers, timeout=WAIT_S).text
        found = re.findall(r'operations_refused_total\{code="(\w+)"\} (\d+)', text)
        return {code: int(count) for code, count in found}

    def close(self) -> None:
        self.served.kill()
        self.registry.close()


@contextlib.contextmanager
def running_farm(directory: Path) -> Iterator[Farm]:
    """Run the Big Peer of a production app and its identity provider."""
    with identity_provider.running() as idp:
        running = Farm(directory, idp)
        yield running
        running.close()


def run(main: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(40):
            await main

    asyncio.run(bounded())


async def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def gateway_at(data: Path, url: str, **settings: Any) -> AsyncIterator[Gateway]:
    quick = {"http": None, "time": "trust", "radio": "off", "name": "gw", "mesh": "farm"}
    pauses = {"uplink_first_pause_s": 0.02, "uplink_max_pause_s": 0.05}
    gateway = Gateway(GatewayConfig(data=data, uplink=url, **{**quick, **pauses, **settings}))
    task = asyncio.create_task(gateway.run())
    try:
        yield gateway
    finally:
        gateway.stop()
        await task


def record(gateway: Gateway, n: int) -> None:
    gateway.peer.insert("readings", {"n": n, "t": Decimal(394 + n, -1)}, gateway.clock.now())


def receipted(gateway: Gateway) -> bool:
    author = gateway.peer.author
    return gateway.peer.receipted(author) == gateway.log.held(author) > 0


def counters(gateway: Gateway) -> Any:
    assert gateway.uplink is not None
    return gateway.uplink.counters


class Wiretap:
    """Stands between a gateway and the Big Peer: keeps what goes by, and may cut or alter it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.heard: list[bytes] = []
        self.sockets: list[Any] = []
        self.change: Callable[[int, bytes], bytes] = lambda _, message: message

    async def serve(self, near: Any) -> None:
        async with dial(self._url, compression=None) as far:
            self.sockets.append(near)

            async def carry(one: Any, two: Any) -> None:
                async for message in one:
                    self.heard.append(message)
                    await two.send(self.change(len(self.heard), message))

            ways = {asyncio.create_task(carry(near, far)), asyncio.create_task(carry(far, near))}
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.wait(ways)
            await near.close(far.close_code or 1000, far.close_reason or "")


@contextlib.asynccontextmanager
async def tapped(url: str) -> AsyncIterator[tuple[Wiretap, str]]:
    tap = Wiretap(url)
    async with listen(tap.serve, "127.0.0.1", 0, compression=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield tap, f"ws://127.0.0.1:{port}/"


def greetings(tap: Wiretap) -> list[int]:
    """Return the sizes of the messages that came before keys."""
    return [len(message) for message in tap.heard if message[2] == END]
