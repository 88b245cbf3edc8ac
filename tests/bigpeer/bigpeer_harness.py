"""A Big Peer in this process for tests, asked over ASGI; and one in a process of its own, on a real port."""

import asyncio
import contextlib
import json
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx
from described import check_described

from hedgerow_bigpeer import BigPeerConfig, create_app, limits
from hedgerow_bigpeer.app import BigPeer, peer_of
from hedgerow_bigpeer.auth.shared import make_key

Result = TypeVar("Result")

EXECUTE = "/api/v5/store/execute"
STATUS = "/api/hedgerow/v1/status"


class Local:
    """An application with its lifespan, and a client of it; every call runs in one event loop."""

    def __init__(self, directory: Path, **options: Any) -> None:
        self._runner = asyncio.Runner()
        config = BigPeerConfig(data=directory, full_sync=False, name="test", **options)
        self._app = create_app(config)
        self._lifespan = self._app.router.lifespan_context(self._app)
        self.run(self._lifespan.__aenter__())
        self.peer: BigPeer = peer_of(self._app)
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self._app), base_url="http://127.0.0.1:8080"
        )

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine where the application lives."""
        return self._runner.run(work)

    async def get(self, path: str) -> httpx.Response:
        """Send a GET from within the loop."""
        return await self._client.get(path)

    async def ask(self, statement: str) -> httpx.Response:
        """Run a statement from within the loop."""
        return await self._client.post(EXECUTE, json={"statement": statement})

    async def send(self, path: str, fields: dict[str, str], **headers: str) -> httpx.Response:
        """Send a form from within the loop."""
        return await self._client.post(path, data=fields, headers=headers)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send one request; the answer is as it is described, if it is."""
        answer = self.run(self._client.request(method, path, **options))
        check_described(answer)
        return answer

    @property
    def asgi(self) -> Any:
        """The application itself."""
        return self._app

    def forget_cookies(self) -> None:
        """Let the client be as one that was never here."""
        self._client.cookies.clear()

    def execute(self, statement: str, args: object = None, **headers: str) -> httpx.Response:
        """Run a statement in JSON."""
        body = json.dumps({"statement": statement, "args": args or {}})
        all_headers = {"content-type": "application/json", **headers}
        return self.request("POST", EXECUTE, content=body, headers=all_headers)

    def items(self, statement: str, args: object = None) -> list[dict[str, Any]]:
        """Run a SELECT; numbers with a point come back as text, so that every digit can be seen."""
        response = self.execute(statement, args)
        assert response.status_code == 200, response.text
        items: list[dict[str, Any]] = json.loads(response.text, parse_float=str)["items"]
        return items

    def close(self) -> None:
        """Stop as a server does."""
        self.run(self._client.aclose())
        self.run(self._lifespan.__aexit__(None, None, None))
        self._runner.close()


def rights_key(folder: Path) -> Path:
    """Return the file of the key that nodes of one PostgreSQL share; made where it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    make_key(folder / "rights.key")
    return folder / "rights.key"


@contextlib.contextmanager
def local(directory: Path, **options: Any) -> Iterator[Local]:
    """Serve in this process within the block; options are settings."""
    served = Local(directory, **options)
    try:
        yield served
    finally:
        served.close()


_PROGRAM = """
import json, logging, sys
from pathlib import Path
from hedgerow_bigpeer import BigPeerConfig, limits, run_bigpeer
options = json.loads(sys.argv[2])
logging.basicConfig(level=options.pop("log_level", "INFO"))
limits.UNKNOWN_SECONDS = options.pop("unknown_seconds", limits.UNKNOWN_SECONDS)
for name in ("tls_certificate", "tls_key", "rights_key"):
    if name in options:
        options[name] = Path(options[name])
config = BigPeerConfig(data=Path(sys.argv[1]), port=0, full_sync=False, **options)
run_bigpeer(config, lambda url: print("ready", url, flush=True))
print("stopped", flush=True)
"""


class Remote:
    """A Big Peer process on a free port; options are settings, and what _PROGRAM names. It is given so many
    seconds to start: more where what else the machine has to do is no matter.
    """

    def __init__(self, directory: Path, start_seconds: float = 120, **options: Any) -> None:
        self.directory = directory
        self._errors = (directory.parent / f"{directory.name}.log").open("ab")
        self.log = Path(self._errors.name)
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", _PROGRAM, str(directory), json.dumps(options, default=str)],
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        self.url = ""
        found = re.fullmatch(r"ready (https?://\S+)\n", self._line(start_seconds))
        assert found, self.log.read_text()
        self.url = found[1]
        self.sync_url = self.url.replace("http", "ws") + "/api/hedgerow/v1/sync"

    def _line(self, seconds: float) -> str:
        """Return the next line that the process prints, "" if none comes in time."""
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            return self.process.stdout.readline().decode() if selector.select(seconds) else ""

    def execute(self, statement: str) -> Any:
        """Run a statement; return the answer, decimals as text."""
        response = httpx.post(self.url + EXECUTE, json={"statement": statement}, timeout=10)
        return json.loads(response.text, parse_float=str)

    def status(self) -> Any:
        """Return the JSON status."""
        return httpx.get(self.url + STATUS, timeout=10).json()

    def kill(self) -> None:
        """End it at once, as a crash does."""
        self.process.kill()
        self._ended()

    def stop(self) -> int:
        """End it in order; return its exit status, once it said that it stopped."""
        self.process.send_signal(signal.SIGTERM)
        line = self._line(limits.DRAIN_SECONDS)
        status = self._ended()
        assert line == "stopped\n", self.log.read_text()
        return status

    def _ended(self) -> int:
        status = self.process.wait(20)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._errors.close()
        return status


@contextlib.contextmanager
def remote(directory: Path) -> Iterator[Remote]:
    """Serve in another process within the block; it is killed at the end if it still runs."""
    served = Remote(directory)
    try:
        yield served
    finally:
        if served.process.poll() is None:
            served.kill()


def eventually(condition: Any, seconds: float = 20) -> Any:
    """Return the first true value of a condition, or fail when the time is over."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "did not happen in time"
        os.sched_yield()
        time.sleep(0.01)
    return value
