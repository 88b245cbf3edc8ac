"""A PostgreSQL that was put back from a backup, and a standby that takes over while 200 peers sync."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bigpeer_harness import Local, Remote, eventually, local, rights_key
from log_writer import Writer
from raw_author import RawAuthor
from standby import Pair
from sync_link import Link
from test_lost import Board, deliver
from test_storm import sealed
from websockets.exceptions import WebSocketException
from wire import link

from bench.postgres_server import PostgresServer
from hedgerow.codec.schema import STREAM
from hedgerow_bigpeer import limits
from hedgerow_bigpeer.store import ingest
from hedgerow_bigpeer.store.rows import Entry, Retained

CHANGES = "/api/hedgerow/v1/changes"
PEERS, READINGS, THREADS, SEED = 200, 4, 16, 5
SECONDS = 120.0


def test_a_dump_put_back_in_place_is_a_new_incarnation(
    postgres: PostgresServer, database: Callable[[str], str], tmp_path: Path
) -> None:
    url = database("a")
    # Whom PostgreSQL runs as must be able to write there.
    dump = postgres.data.parent / f"{url.rpartition('/')[2]}.dump"
    with local(tmp_path / "node", store=url) as served:
        board = Board(served, "refuse")
        board.record(6)
        deliver(served, board)
        before = served.peer.service.store.identity
        served.run(served.peer.service.store.retain("readings", limits.DAY_MS))
        postgres.run("pg_dump", "--format=custom", f"--file={dump}", url)
        board.record(4)
        deliver(served, board)
        held = board.peer.log.held(board.peer.author)
        served.execute("INSERT INTO cars DOCUMENTS ({'_id': 1})")
        late = served.request("GET", CHANGES + "?since=now").json()["next"]
        transaction = served.peer.service.transaction
    postgres.run("pg_restore", "--clean", "--if-exists", f"--dbname={url}", str(dump))
    with local(tmp_path / "node", store=url) as served:
        store = served.peer.service.store
        after = store.identity
        assert after.incarnation == before.incarnation + 1 and after.keeper == before.keeper
        assert after.author != before.author and after.epoch != before.epoch
        assert 0 < served.peer.service.frontier(board.peer.author).held < held
        assert served.run(store.retention()) == [Retained("readings", limits.DAY_MS, 0, 0)]
        refused = served.request("GET", f"{CHANGES}?since={late}")
        assert (refused.status_code, refused.json()["code"]) == (410, "CURSOR_GONE")
        # A transaction that is lost is none that is reached, however far the numbers are.
        assert served.peer.service.transaction > transaction
        answer = served.execute("SELECT * FROM cars", **{"X-DITTO-TXN-ID": str(transaction)})
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "TRANSACTION_NOT_REACHED")
        assert "was lost" in answer.json()["error"]["description"]
        newest = str(served.peer.service.transaction)
        assert served.execute("SELECT * FROM cars", **{"X-DITTO-TXN-ID": newest}).status_code == 200
        board._served = served
        link(served, board).until(lambda: served.peer.service.frontier(board.peer.author).held == held)
        assert served.items("SELECT count(*) AS n FROM readings") == [{"n": 10}]
        assert served.items("SELECT * FROM cars") == []
    # It is settled there now.
    with local(tmp_path / "node", store=url) as served:
        assert served.peer.service.store.identity.incarnation == after.incarnation


@pytest.fixture
def pair(own_postgres: PostgresServer) -> Iterator[Pair]:
    """A primary and a standby."""
    made = Pair(own_postgres)
    yield made
    made.stop()


def test_what_expired_stays_so_when_a_standby_takes_over(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "MOMENT_MS", 0)
    author = RawAuthor(1, collection="readings", kind=STREAM)
    brought: list[Entry] = []

    def at(served: Local, days: int, *numbers: int) -> int:
        """Bring readings in when so many days have gone by, and let expire what is old then."""
        service = served.peer.service
        utc = type(service.clock).utc
        monkeypatch.setattr(service.clock, "utc", lambda: utc(service.clock) + days * limits.DAY_MS)
        for n in numbers:
            author.insert(1000 + n, None, n=n)
        if numbers:
            author.seal()
        brought.extend(author.take())
        served.run(service.submit(brought))
        return served.run(served.peer.retention.run())

    with local(tmp_path / "node", store=pair.url) as served:
        served.run(served.peer.service.store.retain("readings", 90 * limits.DAY_MS))
        assert at(served, 0, 1, 2) == 0 and at(served, 91, 3) == 2
        before = served.peer.service.store.identity
        (told,) = served.run(served.peer.service.store.retention())
    primary = pair.primary
    primary.stop("immediate")
    pair.promote()
    with local(tmp_path / "node", store=pair.url) as served:
        store = served.peer.service.store
        assert store.identity.incarnation == before.incarnation + 1
        assert served.run(store.retention()) == [told] and told.operations == 2
        # All of it comes again, and what has expired does not come back.
        assert at(served, 92, 4) == 0
        assert served.items("SELECT n FROM readings ORDER BY n") == [{"n": 3}, {"n": 4}]
        assert at(served, 184) == 2 and served.items("SELECT n FROM readings") == []
    primary.start()


class Peers:
    """Peers that record and sync with any node, until all is receipted; a few threads take them by turns."""

    def __init__(self, nodes: Callable[[], list[Remote]]) -> None:
        self.writers = [Writer(f"peer {number}") for number in range(PEERS)]
        self._nodes = nodes
        self._waiting = list(self.writers)
        self._lock = threading.Lock()
        self.over = threading.Event()
        self.errors: list[BaseException] = []
        self._threads = [threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(THREADS)]
        for thread in self._threads:
            thread.start()

    @property
    def receipted(self) -> int:
        return sum(receipted(writer) for writer in self.writers)

    def join(self) -> None:
        deadline = time.monotonic() + SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            assert not thread.is_alive(), self.receipted

    def _run(self, number: int) -> None:
        chance = random.Random(SEED + number)
        try:
            while not self.over.is_set():
                with self._lock:
                    if not self._waiting:
                        return
                    writer = self._waiting.pop(0)
                if writer.now == 0:
                    writer.insert_many(READINGS)
                if not contact(writer, chance.choice(self._nodes()), chance):
                    with self._lock:
                        self._waiting.append(writer)
        except BaseException as error:  # noqa: BLE001
            self.errors.append(error)


def receipted(writer: Writer) -> int:
    number: int = writer.peer.receipted(writer.peer.author)
    return number


def contact(writer: Writer, node: Remote, chance: random.Random) -> bool:
    """Sync for a moment; say whether all is receipted."""
    try:
        joined = Link(writer.peer, node.sync_url, writer.now)
    except (OSError, WebSocketException):
        time.sleep(0.1)
        return False
    end = time.monotonic() + chance.uniform(0.5, 4.0)
    while receipted(writer) < READINGS and time.monotonic() < end and joined.step():
        pass
    joined.close()
    return receipted(writer) >= READINGS


class Nodes:
    """Two nodes; who ends because the store went on is started anew, as by a service manager."""

    def __init__(self, folder: Path, url: str) -> None:
        self._folder, self._url = folder, url
        self.count = 0
        self.nodes = [self._start() for _ in range(2)]

    def _start(self) -> Remote:
        self.count += 1
        folder = self._folder / f"node{self.count}"
        key = rights_key(self._folder)
        return Remote(folder, store=self._url, requests_per_second=0, rights_key=key, sockets_per_address=512)

    def manage(self) -> bool:
        """Start anew who has ended; say whether both were."""
        for at, node in enumerate(self.nodes):
            if node.process.poll() is not None:
                node.kill()
                self.nodes[at] = self._start()
        return self.count >= 4

    def stop(self) -> None:
        for node in self.nodes:
            node.kill()


@pytest.mark.timeout(240)
def test_a_standby_takes_over_while_peers_sync(pair: Pair, tmp_path: Path) -> None:
    primary = pair.primary
    nodes = Nodes(tmp_path, pair.url)
    before = nodes.nodes[0].status()
    peers = Peers(lambda: nodes.nodes)
    try:
        eventually(lambda: peers.receipted >= PEERS * READINGS // 4, SECONDS)
        primary.stop("immediate")
        known = {writer.peer.author.hex(): receipted(writer) for writer in peers.writers}
        pair.promote()
        # What was receipted had reached the standby.
        stored = sealed(pair.primary.url())
        assert all(stored.get(author, 0) >= number for author, number in known.items() if number)
        assert 0 < sum(known.values()) < PEERS * READINGS
        eventually(nodes.manage, SECONDS)
        peers.join()
        assert not peers.errors
        for node in nodes.nodes:
            count = {"n": PEERS * READINGS, "d": PEERS * READINGS}
            asked = "SELECT count(*) AS n, count(DISTINCT _id) AS d FROM readings"
            eventually(lambda node=node, asked=asked, count=count: node.execute(asked)["items"] == [count])
            after = node.status()
            assert after["incarnation"] == before["incarnation"] + 1 and after["keeper"] == before["keeper"]
    finally:
        peers.over.set()
        nodes.stop()
        primary.start()
