"""Documents per second between two processes over a WebSocket on the loopback, beside PouchDB's replication.

Both send 10,000 documents of the same content from a store on disk to a store on disk. Ours are counted
when the keeper's receipt is back: each is in its log behind an fsync. PouchDB replicates to express-pouchdb
over HTTP in batches of 2,500, which suits it best, both on LevelDB, which does not wait for the disk.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hedgerow.errors import HedgerowError

from . import npm
from .figure import Figure, figure, skip

DOCUMENTS = 10_000
ROUNDS = 5
_SECONDS = 300
_POUCHDB = Path(__file__).parent / "pouchdb"


def documents(count: int) -> list[dict[str, object]]:
    """What boards report: a name, a count, two one-decimal values and a word."""
    rng = random.Random(1)
    return [
        {
            "board": f"board{at % 54:02}",
            "n": at,
            "temperature": round(rng.uniform(15, 35), 1),
            "humidity": round(rng.uniform(20, 90), 1),
            "state": rng.choice(("ok", "ok", "ok", "low battery")),
        }
        for at in range(count)
    ]


@contextmanager
def _server(command: list[str], environment: dict[str, str]) -> Iterator[str]:
    """The port that a server prints when it is ready."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout
    try:
        port = process.stdout.readline().strip()
        if not port.isdigit():
            raise HedgerowError("BENCH_FAILED", f"{' '.join(command)} does not serve: {port}")
        yield port
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _client(command: list[str], environment: dict[str, str], content: Path) -> float:
    """Documents per second, once it is sure that all have arrived."""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, env=environment, timeout=_SECONDS, check=False
    )
    if done.returncode:
        raise HedgerowError("BENCH_FAILED", f"{' '.join(command)} ended with status {done.returncode}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    wanted = len(json.loads(content.read_text()))
    if result["documents"] != wanted:
        raise HedgerowError("BENCH_FAILED", f"{result['documents']} of {wanted} documents arrived")
    return wanted / float(result["seconds"])


def ours(folder: Path, content: Path) -> float:
    environment = dict(os.environ)
    python = [sys.executable, "-m"]
    with _server([*python, "bench.rate_server", str(folder / "keeper.db")], environment) as port:
        url = f"ws://127.0.0.1:{port}"
        command = [*python, "bench.rate_client", str(content), str(folder / "sender.db"), url]
        return _client(command, environment, content)


def pouchdb(folder: Path, content: Path) -> float:
    node, modules = npm.node("pouchdb", "express-pouchdb")
    environment = {**os.environ, "NODE_PATH": str(modules), "NODE_NO_WARNINGS": "1"}
    here, there = folder / "here", folder / "there"
    here.mkdir()
    there.mkdir()
    with _server([node, str(_POUCHDB / "server.cjs"), str(there)], environment) as port:
        url = f"http://127.0.0.1:{port}"
        command = [node, str(_POUCHDB / "client.cjs"), str(content), str(here), url]
        return _client(command, environment, content)


def _round(measure: Callable[[Path, Path], float], content: Path) -> float:
    with tempfile.TemporaryDirectory(prefix="hedgerow-bench-", dir=content.parent) as folder:
        return measure(Path(folder), content)


def documents_per_second() -> list[Figure]:
    """Ours, and how many times PouchDB's rate in the same run that is; the goal is three times.

    The best of some rounds each, which take turns: the machine may have had other work in one of them.
    """
    mine, theirs = [], []
    missing: HedgerowError | None = None
    with tempfile.TemporaryDirectory(prefix="hedgerow-bench-") as folder:
        content = Path(folder, "documents.json")
        content.write_text(json.dumps(documents(DOCUMENTS)))
        for _ in range(ROUNDS):
            mine.append(_round(ours, content))
            try:
                if missing is None:
                    theirs.append(_round(pouchdb, content))
            except HedgerowError as error:
                missing = error
    if missing is not None:
        skip("PouchDB", missing)
        return [figure("sync.rate.documents", max(mine), "1/s")]
    return [
        figure("sync.rate.documents", max(mine), "1/s", None, {"pouchdb": max(theirs)}),
        figure("sync.rate.times_pouchdb", max(mine) / max(theirs), "times", 3.0),
    ]


FIGURES: list[Callable[[], list[Figure]]] = [documents_per_second]
