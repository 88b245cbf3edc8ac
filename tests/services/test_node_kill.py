"""Nodes that are killed: whoever asks again, with the same key, at another node, has done it once."""

import itertools
import json
import random
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
from bigpeer_harness import EXECUTE, Remote, rights_key

WRITERS, REQUESTS, KILLS = 4, 60, 3
CHANGES = "/api/hedgerow/v1/changes"


class Nodes:
    """Two nodes on one database, of which one at a time is killed and started anew."""

    def __init__(self, folder: Path, url: str) -> None:
        self._folder = folder
        self._options = {"store": url, "requests_per_second": 0, "rights_key": rights_key(folder)}
        self._number = itertools.count()
        self.nodes = [self._start(), self._start()]

    def _start(self) -> Remote:
        return Remote(self._folder / f"node{next(self._number)}", **self._options)

    def kill_one(self, at: int) -> None:
        """Kill a node as the loss of its machine does, and put a new one in its place."""
        self.nodes[at].kill()
        self.nodes[at] = self._start()

    def stop(self) -> None:
        for node in self.nodes:
            node.kill()


def write(nodes: Nodes, number: int, done: list[int]) -> None:
    """Insert documents without an `_id`, each until it is acknowledged, by turns at both nodes."""
    rng = random.Random(number)
    with httpx.Client(timeout=5) as client:
        for n in range(REQUESTS):
            body = {"statement": "INSERT INTO c DOCUMENTS (:d)", "args": {"d": {"writer": number, "n": n}}}
            while True:
                try:
                    node = nodes.nodes[rng.randrange(2)]
                    headers = {"idempotency-key": f"{number}:{n}"}
                    answer = client.post(node.url + EXECUTE, json=body, headers=headers)
                except httpx.HTTPError:
                    continue
                if answer.status_code == 200:
                    done.append(n)
                    break
                assert answer.status_code == 503, answer.text


def test_nothing_acknowledged_is_lost_and_nothing_is_doubled(
    database: Callable[[str], str], tmp_path: Path
) -> None:
    nodes = Nodes(tmp_path, database("a"))
    try:
        done: list[int] = []
        threads = [threading.Thread(target=write, args=(nodes, number, done)) for number in range(WRITERS)]
        for thread in threads:
            thread.start()
        for kill in range(KILLS):
            while len(done) < (kill + 1) * WRITERS * REQUESTS // (KILLS + 1):
                threading.Event().wait(0.01)
            nodes.kill_one(kill % 2)
        for thread in threads:
            thread.join()
        for node in nodes.nodes:
            rows = node.execute("SELECT writer, n FROM c")["items"]
            assert sorted((row["writer"], row["n"]) for row in rows) == [
                (number, n) for number in range(WRITERS) for n in range(REQUESTS)
            ]
        # And every one of them is told once, by whichever node.
        told: list[tuple[int, int]] = []
        since = ""
        for turn in itertools.count():
            parameters = {"limit": "50", **({"since": since} if since else {})}
            page = httpx.get(nodes.nodes[turn % 2].url + CHANGES, params=parameters, timeout=10).json()
            told += [(change["after"]["writer"], change["after"]["n"]) for change in page["changes"]]
            if not page["changes"]:
                break
            since = page["next"]
        assert len(told) == len(set(told)) == WRITERS * REQUESTS, json.dumps(sorted(told))
    finally:
        nodes.stop()
