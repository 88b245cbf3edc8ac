"""Three nodes on one PostgreSQL behind a balancer, killed and started at random while 200 peers sync, and
PostgreSQL crashes too.
"""

import random
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from balancer import Balancer
from bigpeer_harness import Remote, eventually, rights_key
from log_writer import Writer
from sync_link import Link
from websockets.exceptions import WebSocketException

from bench.postgres_server import PostgresServer

NODES, WRITERS, READINGS, PORTION, EVENTS = 3, 200, 4, 4, 6
SECONDS = 150.0
CHANGES = "/api/hedgerow/v1/changes"


class Nodes:
    """Nodes on one database, of which any may be killed; a new one takes its place behind the balancer."""

    def __init__(self, folder: Path, url: str) -> None:
        self._folder = folder
        self._url = url
        self._count = 0
        self.nodes = [self._start() for _ in range(NODES)]
        self.balancer = Balancer(lambda: [node.url for node in self.nodes])

    def _start(self) -> Remote:
        self._count += 1
        key = rights_key(self._folder)
        folder = self._folder / f"node{self._count}"
        options = {
            "store": self._url,
            "requests_per_second": 0,
            "rights_key": key,
            "sockets_per_address": 512,
        }
        return Remote(folder, start_seconds=SECONDS, **options)

    def kill(self, at: int) -> None:
        self.nodes[at].kill()
        self.nodes[at] = self._start()

    def end(self, at: int) -> None:
        assert self.nodes[at].stop() == 0
        self.nodes[at] = self._start()

    def mend(self) -> int:
        """Start anew who has ended by itself, as a service manager does; return how many."""
        ended = [at for at, node in enumerate(self.nodes) if node.process.poll() is not None]
        for at in ended:
            self.kill(at)
        return len(ended)

    def stop(self) -> None:
        self.balancer.stop()
        for node in self.nodes:
            node.kill()


class Board(threading.Thread):
    """Records and syncs, now with this node and now with that one, until all is receipted: at most so many
    readings, a portion each `pause` seconds, until it is `enough`. It stays connected in between.
    """

    def __init__(self, number: int, nodes: Nodes, readings: float = READINGS, pause: float = 0) -> None:
        super().__init__(daemon=True)
        self.writer = Writer(f"board {number}")
        self._nodes = nodes
        self._chance = random.Random(number)
        self._readings = readings
        self._pause = pause
        self.made = 0
        self.contacts = 0
        self.error: BaseException | None = None
        self.enough = threading.Event()
        self.over = threading.Event()

    @property
    def receipted(self) -> int:
        return self.writer.peer.receipted(self.writer.peer.author)

    def run(self) -> None:
        try:
            while self.made < self._readings and not self._rest():
                self.writer.insert_many(PORTION)
                self.made += PORTION
                last = self.writer.peer.log.held(self.writer.peer.author)
                while self.receipted < last and not self.over.is_set():
                    self._contact(last)
        except BaseException as error:  # noqa: BLE001
            self.error = error

    def _rest(self) -> bool:
        """Pause, connected; say whether it is enough."""
        end = time.monotonic() + self._chance.uniform(0.5, 1.5) * self._pause
        while (left := end - time.monotonic()) > 0 and not self.enough.is_set():
            link = self._connect()
            while link and time.monotonic() < end and not self.enough.is_set() and link.step(min(left, 1.0)):
                pass
            if link:
                link.close()
        return self.enough.is_set()

    def _connect(self) -> Link | None:
        try:
            return Link(self.writer.peer, self._nodes.balancer.sync_url, self.writer.now)
        except (OSError, WebSocketException):
            time.sleep(0.1)
            return None

    def _contact(self, last: int) -> None:
        link = self._connect()
        if link is None:
            return
        self.contacts += 1
        # Some contacts end before all is said.
        end = time.monotonic() + self._chance.uniform(0.1, 3.0)
        while self.receipted < last and time.monotonic() < end and link.step():
            pass
        link.close()


def told(nodes: Nodes, collection: str = "readings") -> list[Any]:
    """Return all changes of a collection that the feed tells, each page by another node."""
    found: list[Any] = []
    since = ""
    for turn in range(10_000):
        parameters = {"limit": "200", "collection": collection, **({"since": since} if since else {})}
        node = nodes.nodes[turn % NODES]
        page = httpx.get(node.url + CHANGES, params=parameters, timeout=20).json()
        if not page["changes"]:
            break
        found += page["changes"]
        since = page["next"]
    return found


@pytest.mark.timeout(240)
def test_no_receipted_operation_is_lost_or_doubled(own_postgres: PostgresServer, tmp_path: Path) -> None:
    chance = random.Random(11)
    nodes = Nodes(tmp_path, own_postgres.url())
    boards = [Board(number, nodes) for number in range(WRITERS)]
    try:
        for board in boards:
            board.start()
        for event in range(EVENTS):
            # Each when more has arrived: whatever the machine's speed, all of them fall into the work.
            goal = WRITERS * READINGS * (event + 1) // (EVENTS + 3)
            eventually(lambda goal=goal: sum(board.receipted for board in boards) >= goal, SECONDS)
            if event % 3 == 2:
                own_postgres.stop("immediate")
                own_postgres.start()
            else:
                nodes.kill(chance.randrange(NODES))
            check_receipts(nodes, boards, own_postgres.url())
        deadline = time.monotonic() + SECONDS
        for board in boards:
            board.join(max(0.0, deadline - time.monotonic()))
            assert not board.is_alive() and board.error is None, (board.error, board.receipted)
        assert sum(board.contacts for board in boards) > WRITERS
        count = {"n": WRITERS * READINGS, "d": WRITERS * READINGS}
        for node in nodes.nodes:
            asked = "SELECT count(*) AS n, count(DISTINCT _id) AS d FROM readings"
            eventually(lambda node=node, asked=asked: node.execute(asked)["items"] == [count])
        inserts = [(change["author"], str(change["_id"])) for change in told(nodes)]
        assert len(inserts) == len(set(inserts)) == WRITERS * READINGS
    finally:
        for board in boards:
            board.over.set()
        nodes.stop()


def check_receipts(nodes: Nodes, boards: list[Board], url: str) -> None:
    """What is receipted is in the database, and each node says so; it may be a poll behind."""
    receipted = {board.writer.peer.author.hex(): board.receipted for board in boards}
    stored = sealed(url)
    for author, number in receipted.items():
        assert stored.get(author, 0) >= number, author
    for at in range(NODES):
        # One whose slot another took while PostgreSQL was away ends, and is started anew.
        eventually(lambda at=at: not nodes.mend() and tells(nodes.nodes[at], receipted), 60)


def sealed(url: str) -> dict[str, int]:
    """Return up to which number each author is held and sealed in the database."""
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT encode(author, 'hex'), least(held, sealed) FROM authors").fetchall()
    return dict(rows)


def tells(node: Remote, least: dict[str, int]) -> bool:
    """Say whether a node tells of at least these receipts; not while it cannot answer."""
    try:
        told = {row["author"]: row["receipted"] for row in node.status()["authors"]}
    except (httpx.HTTPError, KeyError, ValueError):
        return False
    return all(told.get(author, 0) >= number for author, number in least.items())
