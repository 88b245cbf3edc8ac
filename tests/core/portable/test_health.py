"""Health documents: when they are due, and what a peer writes (SPEC 5.15)."""

from kit import raises
from test_ready_peer import Clock

from hedgerow.application import ReadyPeer
from hedgerow.codec.schema import HEALTH, KEEP, schema_for
from hedgerow.health import is_due, write_health
from hedgerow.log import MemoryLog, MemoryStore
from hedgerow.operation import INSERT
from hedgerow.peer import Peer

HOUR = 3600000
HEAP = "2m"


def test_the_first_one_is_due_after_a_minute_and_then_one_each_turn() -> None:
    told = []
    last = 0
    for now in range(0, 3 * HOUR, 7000):
        if is_due(now, last, HOUR):
            told.append(now)
        last = now
    assert [at // 7000 * 7000 for at in told] == told and len(told) == 3
    assert [60000 + turn * HOUR <= at < 67000 + turn * HOUR for turn, at in enumerate(told)] == [True] * 3


def test_who_was_away_for_turns_owes_one() -> None:
    assert is_due(10 * HOUR, HOUR, HOUR) and not is_due(10 * HOUR + 1, 10 * HOUR, HOUR)
    assert is_due(60000, 59999, HOUR) and not is_due(59999, 0, HOUR)
    # Whoever tells it more often than once a minute begins as soon.
    assert is_due(1000, 0, 1000) and not is_due(999, 0, 1000) and not is_due(1000, 1000, 1000)


def test_a_peer_has_one_document_the_newest() -> None:
    peer = ReadyPeer(MemoryLog(MemoryStore()), Clock())
    number = write_health(peer, {"name": "fern", "log": 3}, 100)
    assert number == peer.log.held(peer.author)
    write_health(peer, {"name": "fern", "log": 4}, 200)
    rows = list(peer.execute("SELECT * FROM `%s`" % HEALTH))
    assert rows == [{"_id": peer.author, "name": "fern", "log": 4}]


def test_nobody_writes_the_health_of_another() -> None:
    one, liar = (ReadyPeer(MemoryLog(MemoryStore()), Clock()) for _ in range(2))
    write_health(one, {"name": "fern", "log": 3}, 100)
    # A liar asks no guard of its own: as what it writes comes over.
    schema = schema_for(HEALTH, KEEP, {"log": 99, "voltage_mv": 1})
    change = [INSERT, schema.name, one.author, schema.pack({"log": 99, "voltage_mv": 1})]
    number = Peer.write(liar, [change], [schema], 5000)
    one.ingest_schema(schema.encoded)
    bodies = [liar.log.fetch(liar.author, at + 1) for at in range(number)]
    assert one.ingest(liar.author, 1, bodies) == number
    one.commit()
    rows = list(one.execute("SELECT * FROM `%s`" % HEALTH))
    assert rows == [{"_id": one.author, "name": "fern", "log": 3}]


def test_nothing_goes_for_it_in_a_full_log() -> None:
    peer = ReadyPeer(MemoryLog(MemoryStore(), capacity=24000), Clock(), full={"readings": "oldest"})
    while not peer.account:
        peer.execute("INSERT INTO readings DOCUMENTS (:r)", r={"text": "x" * 100})
    before = dict(peer.account)
    while True:
        held = peer.log.held(peer.author)
        try:
            write_health(peer, {"name": "x" * 100}, 5000)
        except Exception as error:
            assert error.code == "LOG_FULL"
            break
        assert peer.log.held(peer.author) == held + 1
    assert peer.account == before and peer.log.held(peer.author) == held
    raises("LOG_FULL", write_health, peer, {"name": "x" * 100}, 5000)
