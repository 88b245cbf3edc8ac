"""Random writes, arrivals and links: a subscriber has just what matches, as the Big Peer sees it."""

import random
from pathlib import Path
from typing import Any

import pytest
from bigpeer_harness import Local, local
from raw_author import RawAuthor
from wire import Subscriber, Wire, link

from hedgerow.sync import frames

CONDITION = "n % 3 = 0 AND (m IS MISSING OR m > -2)"
SELECT = f"SELECT * FROM things WHERE {CONDITION} ORDER BY _id LIMIT 60"


class World:
    """Two boards whose operations come late and in lots, statements over HTTP, a link that comes and goes."""

    def __init__(self, served: Local, seed: int) -> None:
        self.chance = random.Random(seed)
        self.served = served
        self.boards = [RawAuthor(byte) for byte in (1, 2)]
        self.subscriber = Subscriber(served, credit=self.chance.choice([512, 4096, 60_000]))
        self.subscriber.peer.subscribe(f"SELECT * FROM things WHERE {CONDITION}")
        self.wire: Wire | None = None

    def write(self) -> None:
        """Let a board write what nobody else knows yet."""
        board = self.chance.choice(self.boards)
        ms, name, n = self.chance.randrange(10_000), self.chance.randrange(6), self.chance.randrange(6)
        kind = self.chance.random()
        if kind < 0.4:
            board.insert(ms, name, n=n)
        elif kind < 0.8:
            field = self.chance.choice(["n", "m"])
            board.update(ms, name, **{field: n - 3})
        else:
            board.delete(ms, name)

    def deliver(self) -> None:
        """Let the Big Peer have what a board has written."""
        entries = self.chance.choice(self.boards).take()
        if entries:
            self.served.run(self.served.peer.service.submit(entries))

    def state(self) -> None:
        """Run a statement over HTTP."""
        name, n = self.chance.randrange(6), self.chance.randrange(6)
        statement = self.chance.choice(
            [
                "INSERT INTO things DOCUMENTS ({'_id': :name, 'n': :n}) ON ID CONFLICT DO UPDATE",
                "UPDATE things SET n = :n WHERE _id = :name",
                "UPDATE things APPLY m INCREMENT BY 1 WHERE n < :n",
                "UPDATE things UNSET m WHERE _id = :name",
                "DELETE FROM things WHERE _id = :name",
            ]
        )
        response = self.served.execute(statement, {"name": name, "n": n})
        assert response.status_code == 200, response.text

    def talk(self) -> None:
        """Make a link if there is none, and use it for a while; or break it."""
        if self.wire is not None and self.chance.random() < 0.3:
            self.wire.cut()
            self.wire = None
            return
        self.wire = self.wire or link(self.served, self.subscriber)
        turns = [self.chance.randrange(30)]

        def over() -> bool:
            turns[0] -= 1
            return turns[0] < 0

        self.wire.until(over)

    def finish(self) -> Wire:
        """Deliver everything, and return a link on which all has been said."""
        for board in self.boards:
            entries = board.take()
            if entries:
                self.served.run(self.served.peer.service.submit(entries))
        if self.wire is not None:
            self.wire.cut()
        wire = link(self.served, self.subscriber)
        wire.settle()
        return wire


def shown(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: int(row["_id"]))


@pytest.mark.parametrize("seed", range(12))
def test_a_subscriber_has_what_matches(tmp_path: Path, seed: int) -> None:
    with local(tmp_path) as served:
        world = World(served, seed)
        steps = [world.write, world.write, world.write, world.deliver, world.state, world.talk]
        for _ in range(120):
            world.chance.choice(steps)()
        world.finish().cut()
        assert shown(world.subscriber.rows(SELECT)) == shown(served.items(SELECT)), f"seed {seed}"
        again = link(served, world.subscriber)
        again.settle()
        assert again.of(frames.PICK) == [], f"seed {seed}"
