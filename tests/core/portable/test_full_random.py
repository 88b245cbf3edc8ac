"""Boards with small logs in any weather: each reading arrives as it was written, or is named with why."""

from full_kit import Rig, check_all_named, documents, keeper
from kit import Random
from sync_kit import converse, sync

# Logs in memory forget nothing that was ever written.
HEAP = "64m"
POLICIES = (
    {"readings": "oldest"},
    {"readings": "thin"},
    {"readings": "thin", "alarms": "oldest"},
    {"alarms": "thin"},
)


def _live(seed: int) -> None:
    random = Random(seed)
    rig = Rig(random.choice(POLICIES), capacity=random.between(14000, 22000))
    relay, top = Rig(None, capacity=0), keeper()
    for _ in range(random.between(5, 12)):
        turn = random.below(6)
        if turn < 3:
            rig.record(random.between(1, 400), random.choice(["readings", "readings", "alarms"]))
        elif turn == 3:
            rig.open()
        elif turn == 4:
            converse(rig.peer, relay.peer, rig.now, cut={random.below(2): random.below(12000)})
        else:
            converse(rig.peer, top, rig.now, cut={random.below(2): random.below(12000)})
    for _ in range(2):
        sync(rig.peer, top, rig.now)
        sync(relay.peer, top, rig.now)
    author = rig.peer.author
    assert top.receipted(author) == rig.peer.log.held(author), "something is stuck"
    gone = check_all_named(rig, top, ("dropped", "thinned"))
    rows = [row for rows in documents(top, author).values() for row in rows]
    # Survivors that came by another way stand in a summary too.
    assert sum([row.get("_count", 0) for row in rows]) >= gone.get("thinned", 0)


def test_each_reading_arrives_or_is_named() -> None:
    for seed in range(24):
        try:
            _live(seed)
        except AssertionError as error:
            raise AssertionError("seed %d: %s" % (seed, error)) from error
