"""`make soak [SECONDS=600] [SEED=n] [DIR=folder]`: the storm of the tests, for as long as is wanted.

Three nodes on one PostgreSQL take what 200 peers record, which stay connected through a balancer, and a clerk
writes over HTTP; a bridge brings all of it to Kafka. Nodes are killed, PostgreSQL is crashed and restarted,
its standby promoted and another made, Kafka stopped, at random. After each of these
what was receipted must be in the database, every node must say so, and work must go on. At the end no
operation may be lost or told twice, and Kafka must have every change, those of a document in order.
"""

import argparse
import contextlib
import itertools
import json
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "bigpeer"))
sys.path.insert(0, str(Path(__file__).parents[1] / "system"))
sys.path.insert(0, str(Path(__file__).parents[2]))

import httpx
import psycopg
from bigpeer_harness import EXECUTE, eventually
from own_servers import own_servers
from standby import Pair
from test_kafka import Topic
from test_storm import NODES, PORTION, SECONDS, Board, Nodes, check_receipts, sealed, told

from bench.kafka_server import KafkaServer
from bench.postgres_server import PostgresServer
from hedgerow_bigpeer.auth import manage
from hedgerow_bigpeer.auth.registry import Registry

BOARDS, PAUSE, DOCUMENTS = 200, 30.0, 12
BRIDGE = "/api/hedgerow/v1/bridges/soak"
#: How long what is done to a server lasts, and work goes on in peace after it.
AWAY, PEACE = (1.0, 15.0), (1.0, 10.0)
Feed = dict[tuple[str, str], list[int]]


class Clerk(threading.Thread):
    """Writes a few documents again and again over HTTP; asks each time until it has an answer."""

    def __init__(self, nodes: Nodes, seed: int) -> None:
        super().__init__(daemon=True)
        self._nodes = nodes
        self._chance = random.Random(seed)
        self.written: dict[int, list[int]] = {}
        self.error: BaseException | None = None
        self.enough = threading.Event()

    def run(self) -> None:
        """Write until it is enough."""
        try:
            with httpx.Client(timeout=5) as client:
                for n in itertools.count():
                    if self.enough.wait(0.2):
                        return
                    document = self._chance.randrange(DOCUMENTS)
                    self._write(client, document, n)
                    self.written.setdefault(document, []).append(n)
        except BaseException as error:  # noqa: BLE001
            self.error = error

    def _write(self, client: httpx.Client, document: int, n: int) -> None:
        statement = "INSERT INTO notes DOCUMENTS (:d) ON ID CONFLICT DO UPDATE"
        body = {"statement": statement, "args": {"d": {"_id": document, "n": n}}}
        deadline = time.monotonic() + SECONDS
        while True:
            assert time.monotonic() < deadline, f"no answer to note {n}"
            node = self._chance.choice(self._nodes.nodes)
            try:
                answer = client.post(node.url + EXECUTE, json=body, headers={"idempotency-key": str(n)})
            except httpx.HTTPError:
                time.sleep(0.1)
                continue
            if answer.status_code == 200:
                return
            assert answer.status_code == 503, answer.text


class Soak:
    """The servers, who works on them, and what is done to them."""

    def __init__(self, folder: Path, postgres: PostgresServer, kafka: KafkaServer, seed: int) -> None:
        self._chance = random.Random(seed)
        self._pair = Pair(postgres)
        self._kafka = kafka
        self.counts: dict[str, int] = {}
        self.ended = 0
        self.nodes = Nodes(folder, self._pair.url)
        self.topic = Topic(kafka, 4)
        self._key = self._admin(folder)
        sink = {"type": "kafka", **self.topic.sink()}
        answer = self._bridge("PUT", {"sources": [], "format": "ditto", "sink": sink})
        assert "lag" in answer, answer
        self.boards = [Board(number, self.nodes, float("inf"), PAUSE) for number in range(BOARDS)]
        self.clerk = Clerk(self.nodes, seed)

    def _admin(self, folder: Path) -> str:
        registry = Registry(folder / "registry", self._pair.url, folder / "rights.key")
        try:
            found = manage.create_key(registry, "soak", "default", {"name": "soak", "verbs": ["admin"]})
            return str(found["key"])
        finally:
            registry.close()

    def _bridge(self, method: str, body: Any = None) -> Any:
        headers = {"authorization": f"Bearer {self._key}"}
        options: dict[str, Any] = {} if body is None else {"json": body}
        with contextlib.suppress(httpx.HTTPError):
            url = self.nodes.nodes[0].url + BRIDGE
            return httpx.request(method, url, headers=headers, timeout=20, **options).json()
        return {}

    @property
    def receipted(self) -> int:
        """How many operations of boards are receipted."""
        return sum(board.receipted for board in self.boards)

    def run(self, seconds: float) -> None:
        """Let them work, and do something to a server now and then."""
        end = time.monotonic() + seconds
        for worker in (*self.boards, self.clerk):
            worker.start()
        deeds: dict[str, Callable[[], None]] = {
            "node killed": self._kill,
            "node ended in order": self._end,
            "PostgreSQL crashed": lambda: self._restart("immediate"),
            "PostgreSQL restarted": lambda: self._restart("fast"),
            "standby promoted": self._promote,
            "Kafka away": self._kafka_away,
        }
        # Each once, in any order, then the usual ones most often.
        first = self._chance.sample(list(deeds), len(deeds))
        while time.monotonic() < end:
            name = first.pop() if first else self._chance.choices(list(deeds), [8, 3, 2, 2, 2, 2])[0]
            deeds[name]()
            self.counts[name] = self.counts.get(name, 0) + 1
            check_receipts(self.nodes, self.boards, self._pair.url)
            goal = self.receipted + PORTION
            eventually(lambda goal=goal: self._going() and self.receipted >= goal, SECONDS)
            left = max(0.0, end - time.monotonic())
            notes = sum(map(len, self.clerk.written.values()))
            print(f"{left:6.0f} s left, {self.receipted:7d} receipted, {notes} notes: {name}", flush=True)
            time.sleep(min(left, self._chance.uniform(*PEACE)))

    def _going(self) -> bool:
        """Say that nobody has met anything wrong; who has ended by itself is started anew."""
        for worker in (*self.boards, self.clerk):
            assert worker.error is None, repr(worker.error)
        self.ended += self.nodes.mend()
        return True

    def _kill(self) -> None:
        self.nodes.kill(self._chance.randrange(NODES))

    def _end(self) -> None:
        self.nodes.end(self._chance.randrange(NODES))

    def _restart(self, mode: str) -> None:
        self._pair.primary.stop(mode)
        time.sleep(self._chance.uniform(*AWAY) / 3)
        self._pair.primary.start()

    def _promote(self) -> None:
        """The primary is lost; the nodes end, and go on at the standby as another incarnation."""
        before = self.ended
        self._pair.primary.stop("immediate")
        time.sleep(self._chance.uniform(*AWAY) / 3)
        known = {board.writer.peer.author.hex(): board.receipted for board in self.boards}
        self._pair.promote()
        stored = sealed(self._pair.url)
        assert all(stored.get(author, 0) >= number for author, number in known.items() if number)
        eventually(lambda: self._going() and self.ended >= before + NODES, SECONDS)
        self._pair.follow()

    def _kafka_away(self) -> None:
        self._kafka.stop(crash=self._chance.random() < 0.5)
        time.sleep(self._chance.uniform(*AWAY))
        self._kill()
        self._kafka.start()

    def finish(self) -> dict[str, Any]:
        """Let all that was begun end, and compare what is there."""
        for worker in (*self.boards, self.clerk):
            worker.enough.set()
        deadline = time.monotonic() + SECONDS
        for worker in (*self.boards, self.clerk):
            worker.join(max(0.0, deadline - time.monotonic()))
            assert not worker.is_alive() and worker.error is None, repr(worker.error)
        eventually(lambda: self._bridge("GET").get("lag") == 0, SECONDS)
        made = sum(board.made for board in self.boards)
        readings, notes = told(self.nodes), told(self.nodes, "notes")
        assert len({(change["author"], change["number"]) for change in readings}) == len(readings) == made
        for document, numbers in self.clerk.written.items():
            found = [change["after"]["n"] for change in notes if change["_id"] == document]
            assert found == numbers, f"note {document}: {found} told, {numbers} written"
        feed: Feed = {}
        for change in (*readings, *notes):
            place = (change["collection"], json.dumps(change["_id"]))
            feed.setdefault(place, []).append(change["transactionId"])
        arrived, repeats = self._arrived()
        assert arrived == feed, sorted(set(arrived) ^ set(feed))[:10]
        return {
            "readings": made,
            "notes": len(notes),
            "kafka_repeats": repeats,
            "ended": self.ended,
            **self.counts,
        }

    def _arrived(self) -> tuple[Feed, int]:
        """Return what Kafka has of the feed, and how many records were there before."""
        found: Feed = {}
        records = [record for record in self.topic.records() if b"timeCorrected" not in record.value()]
        for record in records:
            event = json.loads(record.value())
            place = (event["collection"], json.dumps(event["change"]["newValue"]["_id"]))
            found.setdefault(place, []).append(event["txnId"])
        # At least once: what comes again is known by its transaction, and what is new follows in order.
        once = {place: list(dict.fromkeys(numbers)) for place, numbers in found.items()}
        return once, len(records) - sum(map(len, once.values()))

    def tell(self) -> None:
        """Print what the machine and PostgreSQL are at."""
        print(f"load {os.getloadavg()}", file=sys.stderr)
        query = (
            "SELECT pid, state, wait_event_type, wait_event, pg_blocking_pids(pid), now() - xact_start,"
            " left(query, 100) FROM pg_stat_activity WHERE state <> 'idle' ORDER BY xact_start"
        )
        with contextlib.suppress(psycopg.Error), psycopg.connect(self._pair.url) as connection:
            for row in connection.execute(query):
                print(*row, file=sys.stderr)

    def stop(self) -> None:
        """End the nodes, whatever has happened."""
        for worker in (*self.boards, self.clerk):
            worker.enough.set()
        for board in self.boards:
            board.over.set()
        self.nodes.stop()
        self._pair.stop()


@contextlib.contextmanager
def _folder(wanted: Path | None) -> Iterator[Path]:
    if wanted is not None:
        wanted.mkdir(parents=True)
        yield wanted.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="hedgerow-soak-") as folder:
        yield Path(folder)


def main() -> int:
    """Run; the last line is JSON. A folder that is given keeps the logs of the nodes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    parser.add_argument("--directory", type=Path, help="a new folder for data and logs, which stays")
    wanted = parser.parse_args()
    print(f"seed {wanted.seed}; starting PostgreSQL and Kafka", flush=True)
    with _folder(wanted.directory) as folder, own_servers(folder) as ours:
        if ours is None:
            print("no PostgreSQL or no Kafka here: tests/services/install installs them", file=sys.stderr)
            return 1
        soak = Soak(folder, *ours, wanted.seed)
        try:
            soak.run(wanted.seconds)
            print(json.dumps({"seed": wanted.seed, **soak.finish()}))
        except BaseException:
            soak.tell()
            raise
        finally:
            soak.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
