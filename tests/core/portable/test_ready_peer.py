"""The peer as an application sees it: statements, transactions, live queries, subscriptions (SPEC 10)."""

from sync_kit import UTC, Pipe, keeper, sync

from hedgerow import limits
from hedgerow.application import ReadyPeer
from hedgerow.clock import hlc
from hedgerow.codec.decimal import Decimal
from hedgerow.codec.schema import KEEP, SCOPE_LOCAL, STREAM, Schema
from hedgerow.custody.skip import LOST, Skip
from hedgerow.errors import HedgerowError
from hedgerow.log import MemoryLog, MemoryStore
from hedgerow.operation import INSERT, SOURCE_KEEPER, encode_body
from hedgerow.sync.exchange import Exchange

HEAP = "2m"

KINDS = {"readings": STREAM, "notes": SCOPE_LOCAL << 1}


class Clock:
    def __init__(self) -> None:
        self.ms = 0

    def __call__(self) -> int:
        self.ms += 1
        return self.ms


def ready(store: MemoryStore | None = None, **options: object) -> ReadyPeer:
    return ReadyPeer(MemoryLog(store or MemoryStore()), Clock(), kinds=KINDS, **options)


def refused(code: str, function: object, *args: object, **options: object) -> HedgerowError:
    try:
        function(*args, **options)
    except HedgerowError as error:
        assert error.code == code, error
        return error
    raise AssertionError(code + " was not raised")


def test_three_lines_to_a_first_write() -> None:
    peer = ready()
    peer.execute("INSERT INTO readings DOCUMENTS (:r)", r={"celsius": Decimal.parse("21.5")})
    peer.execute("INSERT INTO readings DOCUMENTS (:r)", r={"celsius": Decimal.parse("19.5")})
    rows = peer.execute("SELECT celsius FROM readings WHERE celsius > :x ORDER BY celsius LIMIT 10", x=20)
    assert list(rows) == [{"celsius": Decimal(215, -1)}] and len(rows) == 1


def test_an_answer_says_what_was_changed() -> None:
    peer = ready()
    first = peer.execute("INSERT INTO cars DOCUMENTS ({'_id': 'a', 'n': 1}), ({'n': 2})")
    number = peer.log.held(peer.author)
    assert first.kind == "insert" and first.mutated == ["a", [peer.author, number]]
    assert peer.execute("UPDATE cars SET n = n + 1 WHERE n = 1").mutated == ["a"]
    assert peer.execute("DELETE FROM cars WHERE n = 2 AND _id = 'a'").mutated == ["a"]
    assert [row["n"] for row in peer.execute("SELECT n FROM cars")] == [2]


def test_policies_of_an_insert() -> None:
    peer = ready()
    peer.execute("INSERT INTO cars DOCUMENTS ({'_id': 1, 'n': 1, 'm': {'a': 1}})")
    held = peer.log.held(peer.author)
    refused("QUERY_CONFLICT", peer.execute, "INSERT INTO cars DOCUMENTS ({'_id': 1})")
    refused("QUERY_CONFLICT", peer.execute, "INSERT INTO cars DOCUMENTS ({'_id': 2}), ({'_id': 2})")
    nothing = peer.execute("INSERT INTO cars DOCUMENTS ({'_id': 1, 'n': 9}) ON ID CONFLICT DO NOTHING")
    same = peer.execute("INSERT INTO cars DOCUMENTS ({'_id': 1, 'n': 1}) ON ID CONFLICT DO UPDATE_LOCAL_DIFF")
    assert nothing.mutated == [] and len(nothing.warnings) == 1 and same.mutated == []
    assert peer.log.held(peer.author) == held
    peer.execute("INSERT INTO cars DOCUMENTS ({'_id': 1, 'm': {'b': 2}}) ON ID CONFLICT DO UPDATE")
    assert list(peer.execute("SELECT * FROM cars")) == [{"_id": 1, "n": 1, "m": {"a": 1, "b": 2}}]
    peer.execute("INSERT INTO cars INITIAL DOCUMENTS ({'_id': 1, 'n': 0, 'z': 5}) ON ID CONFLICT DO UPDATE")


def test_one_transaction_is_one_operation() -> None:
    store = MemoryStore()
    peer = ready(store)
    held = peer.log.held(peer.author)
    with peer.transaction() as work:
        work.execute("INSERT INTO cars DOCUMENTS ({'_id': 1, 'n': 1})")
        work.execute("UPDATE cars SET n = 2 WHERE _id = 1")
        work.execute("UPDATE cars SET n = n + 3, k = 'x' WHERE _id = 1")
        assert [row["n"] for row in work.execute("SELECT n FROM cars")] == [5]
        work.execute("INSERT INTO other DOCUMENTS ({'_id': 7})")
        assert len(store.entries) == held
    assert work.number == held + 1 == peer.log.held(peer.author) and work.mutated == [1, 7]
    again = ready(store)
    assert list(again.execute("SELECT * FROM cars")) == [{"_id": 1, "n": 5, "k": "x"}]


def test_one_transaction_may_write_one_id_in_two_collections() -> None:
    peer = ready()
    with peer.transaction() as work:
        for collection in ("cars", "other"):
            work.execute("INSERT INTO " + collection + " DOCUMENTS ({'_id': 1, 'n': 1}), ({'_id': true})")
    for collection in ("cars", "other"):
        assert len(peer.execute("SELECT * FROM " + collection)) == 2


def test_a_transaction_that_fails_leaves_nothing() -> None:
    peer = ready()
    held = peer.log.held(peer.author)
    try:
        with peer.transaction() as work:
            work.execute("INSERT INTO cars DOCUMENTS ({'_id': 1})")
            raise ValueError("changed my mind")
    except ValueError:
        pass
    assert peer.log.held(peer.author) == held and list(peer.execute("SELECT * FROM cars")) == []
    refused("TRANSACTION_ENDED", work.execute, "SELECT * FROM cars")

    def mixed() -> None:
        with peer.transaction() as work:
            work.execute("INSERT INTO cars DOCUMENTS ({'_id': 1})")
            work.execute("INSERT INTO notes DOCUMENTS ({'_id': 1})")

    refused("SCOPE_MIXED", mixed)

    def interrupted() -> None:
        with peer.transaction() as work:
            work.execute("INSERT INTO cars DOCUMENTS ({'_id': 1})")
            peer.execute("INSERT INTO cars DOCUMENTS ({'_id': 2})")

    def nested() -> None:
        with peer.transaction():
            assert not peer.set_time(UTC, 5, SOURCE_KEEPER, peer.now())
            with peer.transaction():
                pass

    refused("TRANSACTION_CONFLICT", nested)
    refused("TRANSACTION_CONFLICT", interrupted)
    assert [row["_id"] for row in peer.execute("SELECT * FROM cars")] == [2]


def test_more_documents_than_one_operation_takes() -> None:
    peer = ready()
    for at in range(limits.MAX_CHANGES + 1):
        peer.execute("INSERT INTO cars DOCUMENTS (:d)", d={"_id": at})
    held = peer.log.held(peer.author)

    def at_once() -> None:
        with peer.transaction() as work:
            work.execute("UPDATE cars SET n = 1")

    refused("OPERATION_CHANGES", at_once)
    assert peer.log.held(peer.author) == held
    assert len(peer.execute("UPDATE cars SET n = 1 APPLY c INCREMENT BY 1").mutated) == limits.MAX_CHANGES + 1
    assert peer.log.held(peer.author) == held + 3
    assert [row["s"] for row in peer.execute("SELECT SUM(n + c) AS s FROM cars")] == [130]
    assert len(peer.execute("DELETE FROM cars").mutated) == limits.MAX_CHANGES + 1
    assert peer.log.held(peer.author) == held + 5 and peer.execute("SELECT * FROM cars").rows == []


def test_a_counter_counts_at_two_peers_at_once() -> None:
    one, two = ready(), ready()
    one.execute("INSERT INTO doors DOCUMENTS ({'_id': 'front'})")
    sync(one, two, 0)
    one.execute("UPDATE doors APPLY opened INCREMENT BY 2")
    two.execute("UPDATE doors APPLY opened INCREMENT BY 5")
    one.execute("UPDATE doors APPLY opened INCREMENT BY 1")
    sync(one, two, 0)
    for peer in (one, two):
        assert [row["opened"] for row in peer.execute("SELECT opened FROM doors")] == [8]
    one.execute("UPDATE doors APPLY opened RESTART")
    one.execute("UPDATE doors APPLY opened INCREMENT BY 1")
    sync(one, two, 0)
    assert [row["opened"] for row in two.execute("SELECT opened FROM doors")] == [1]


def test_an_update_follows_what_it_has_seen_whatever_the_clocks_say() -> None:
    ahead, behind = ready(), ready()
    ahead.clock.jump(UTC)
    ahead.execute("INSERT INTO cars DOCUMENTS ({'_id': 1, 'n': 1})")
    sync(ahead, behind, 0)
    base = behind.clock.base_ms
    behind.execute("UPDATE cars SET n = 2")
    sync(ahead, behind, 0)
    assert [row["n"] for row in ahead.execute("SELECT n FROM cars")] == [2]
    assert behind.clock.base_ms == base


def test_an_observer_is_told_at_once_and_then_of_changes() -> None:
    peer, other = ready(), ready()
    told: list = []
    stop = peer.observe("SELECT n FROM cars WHERE n > :x ORDER BY n", told.append, x=1)
    assert [(changes.rows, bool(changes)) for changes in told] == [([], False)]
    peer.execute("INSERT INTO cars DOCUMENTS ({'_id': 1, 'n': 5})")
    peer.execute("INSERT INTO cars DOCUMENTS ({'_id': 2, 'n': 0})")
    peer.execute("INSERT INTO other DOCUMENTS ({'_id': 2, 'n': 7})")
    assert [changes.rows for changes in told[1:]] == [[{"n": 5}]] and told[1].insertions == [0]
    other.execute("INSERT INTO cars DOCUMENTS ({'_id': 3, 'n': 3})")
    sync(other, peer, 0)
    assert len(told) == 2
    peer.dispatch()
    assert told[2].rows == [{"n": 3}, {"n": 5}] and told[2].insertions == [0]
    peer.execute("DELETE FROM cars WHERE _id = 1")
    assert told[3].deletions == [1] and told[3].rows == [{"n": 3}]
    stop()
    peer.execute("DELETE FROM cars")
    assert len(told) == 4


def test_what_happens_while_an_observer_is_told_comes_after() -> None:
    peer = ready()
    told: list = []

    def on_change(changes: object) -> None:
        told.append([row["_id"] for row in changes.rows])
        if len(told) < 4:
            peer.execute("INSERT INTO cars DOCUMENTS (:d)", d={"_id": len(told)})

    peer.observe("SELECT * FROM cars", on_change)
    assert told == [[]]
    peer.dispatch()
    assert told == [[], [1]]
    for _ in range(4):
        peer.dispatch()
    assert told == [[], [1], [1, 2], [1, 2, 3]]


def test_a_subscription_is_durable_and_ends() -> None:
    store = MemoryStore()
    peer, server = ready(store), keeper()
    cancel = peer.subscribe("SELECT * FROM alarms WHERE level > :x", x=2)
    again = ready(store)
    assert [(i.where, i.parameters) for i in again.down.subscriptions.own] == [("level > :x", {"x": 2})]
    writer = ReadyPeer(MemoryLog(), Clock())
    for level in (1, 3):
        writer.execute("INSERT INTO alarms DOCUMENTS (:d)", d={"_id": level, "level": level})
    sync(writer, server, 0)
    sync(again, server, 0)
    assert [row["_id"] for row in again.execute("SELECT * FROM alarms")] == [3]
    # What fulfils the condition no more is told of; what never did is not.
    writer.execute("UPDATE alarms SET level = 0, seen = TRUE")
    sync(writer, server, 0)
    sync(again, server, 0)
    assert list(again.execute("SELECT * FROM alarms")) == [{"_id": 3, "level": 0, "seen": True}]
    cancel()
    assert peer.down.subscriptions.own == []
    for text in (
        "SELECT a FROM alarms",
        "SELECT * FROM alarms LIMIT 3",
        "DELETE FROM alarms",
        "SELECT DISTINCT * FROM alarms",
        "SELECT * FROM alarms ORDER BY a",
    ):
        refused("SUBSCRIPTION_INVALID", peer.subscribe, text)
    refused("QUERY_PARAMETER", peer.subscribe, "SELECT * FROM alarms WHERE level > :x")


def test_evicting() -> None:
    server, peer = keeper(), ready()
    for at in range(4):
        peer.execute("INSERT INTO cars DOCUMENTS (:d)", d={"_id": at, "n": at})
    with peer.transaction() as work:
        work.execute("INSERT INTO cars DOCUMENTS ({'_id': 8})")
        work.execute("INSERT INTO cars DOCUMENTS ({'_id': 9})")
    open_still = peer.execute("EVICT FROM cars WHERE n = 0")
    assert open_still.mutated == [] and open_still.warnings[0][0] == 0
    sync(peer, server, 0)
    assert peer.execute("EVICT FROM cars WHERE n < 2").mutated == [0, 1]
    assert peer.execute("EVICT FROM cars WHERE _id = 8").mutated == []
    assert peer.execute("EVICT FROM cars WHERE _id >= 8").mutated == [8, 9]
    assert [row["_id"] for row in peer.execute("SELECT * FROM cars")] == [2, 3]
    assert [hole[2] for hole in peer.holes(peer.author)] == ["not here"] * len(peer.holes(peer.author))
    # It is off this peer alone, and comes back for who asks.
    cancel = peer.subscribe("SELECT * FROM cars")
    refused("EVICT_SUBSCRIBED", peer.execute, "EVICT FROM cars")
    sync(peer, server, 0)
    assert len(peer.execute("SELECT * FROM cars")) == 6
    cancel()
    peer.execute("UPDATE cars APPLY c INCREMENT BY 1 WHERE _id = 3")
    sync(peer, server, 0)
    counted = peer.execute("EVICT FROM cars")
    assert 3 not in counted.mutated and [name for name, _ in counted.warnings] == [3]


def test_local_documents() -> None:
    store = MemoryStore()
    peer, server = ready(store), keeper()
    peer.execute("INSERT INTO notes DOCUMENTS ({'_id': 1, 'n': 1})")
    peer.execute("UPDATE notes SET n = 2")
    peer.execute("UPDATE notes APPLY c INCREMENT BY 3")
    peer.execute("UPDATE notes APPLY c INCREMENT BY 3")
    sync(peer, server, 0)
    assert list(ready(store).execute("SELECT * FROM notes")) == [{"_id": 1, "n": 2, "c": 6}]
    assert server.log.authors() == [server.author, peer.author]
    assert peer.execute("EVICT FROM notes").warnings[0][1].startswith("this peer counts")


def test_readings_have_the_time_at_which_they_were_taken() -> None:
    peer = ready()
    peer.execute("INSERT INTO readings DOCUMENTS ({'n': 1})")
    assert "_time" not in list(peer.execute("SELECT * FROM readings"))[0]
    peer.set_time(UTC, 5, SOURCE_KEEPER, peer.now())
    peer.execute("INSERT INTO readings DOCUMENTS ({'n': 2})")
    rows = list(peer.execute("SELECT * FROM readings ORDER BY n"))
    assert [row["_time"][:13] for row in rows] == ["2028-07-08T15", "2028-07-08T16"]
    assert rows[0]["_time"] < rows[1]["_time"] and rows[0]["_time_error_ms"] <= 7


def test_a_statement_that_looks_at_too_much_is_refused() -> None:
    peer = ready()
    for at in range(100):
        peer.execute("INSERT INTO readings DOCUMENTS (:r)", r={"n": at})
    peer.look_limit = 50
    refused("QUERY_COST", peer.execute, "SELECT * FROM readings")
    steps = peer.execute_slowly("SELECT COUNT(*) AS n FROM readings", {})
    breaths = 0
    while True:
        try:
            next(steps)
            breaths += 1
        except StopIteration as end:
            assert end.value.rows == [{"n": 100}]
            break
    assert breaths >= 100 // limits.SLICE_DOCUMENTS


def test_the_status_says_what_is_missing_and_why() -> None:
    server, peer = keeper(), ready()
    other = ReadyPeer(MemoryLog(), Clock())
    for at in range(5):
        other.execute("INSERT INTO cars DOCUMENTS (:d)", d={"_id": at, "n": at})
    sync(other, server, 0)
    peer.subscribe("SELECT * FROM cars WHERE n = 1 OR n = 3")
    sync(peer, server, 0)
    entry = peer.status()[other.author]
    first = peer.down.documents.dots("cars", 1)[0][1]
    assert entry["held"] == 0 and entry["seen"] == first + 2
    assert entry["holes"] == [(1, first - 1, "not asked for"), (first + 1, first + 1, "not asked for")]
    mine = peer.status()[peer.author]
    assert (mine["held"], mine["seen"], mine["open"], mine["holes"]) == (2, 2, 0, [])
    sync(other, server, 0)
    assert other.execute("EVICT FROM cars WHERE n = 2").mutated == [2]
    number = first + 1
    assert other.status()[other.author]["holes"] == [(number, number, "not here")]


def test_a_store_that_goes_on_as_another_author_keeps_its_local_documents_local() -> None:
    store = MemoryStore()
    peer, server = ready(store), keeper()
    peer.execute("INSERT INTO notes DOCUMENTS ({'_id': 1, 'n': 1})")
    former = peer.local
    copied = MemoryStore(b"copied-1")
    copied.entries, copied.state = store.entries, store.state
    peer = ready(copied)
    assert peer.local != former and former in peer.log.authors()
    assert former not in peer.authors() and former not in peer.status(), "it never leaves this peer"
    peer.execute("UPDATE notes SET n = 2")
    sync(peer, server, 0)
    assert former not in server.log.authors() and peer.local not in server.log.authors()
    assert list(peer.execute("SELECT * FROM notes")) == [{"_id": 1, "n": 2}]


def test_nobody_else_writes_under_the_local_author() -> None:
    peer = ready()
    peer.execute("INSERT INTO notes DOCUMENTS ({'_id': 1, 'n': 1})")
    body = peer.log.fetch(peer.local, 1)
    skip = Skip(2, limits.MAX_NUMBER, LOST, [0, peer.clock.last]).encode()
    refused("SYNC_OWN_AUTHOR", peer.ingest, peer.local, 2, [body])
    refused("SYNC_OWN_AUTHOR", peer.ingest_skip, peer.local, skip)
    refused("SYNC_OWN_AUTHOR", peer.down.fill, peer.local, 2, [body], True)
    peer.execute("UPDATE notes SET n = 2")
    assert list(peer.execute("SELECT * FROM notes")) == [{"_id": 1, "n": 2}]


def test_an_id_of_null_is_none() -> None:
    peer = ready()
    result = peer.execute("INSERT INTO cars DOCUMENTS (:d)", d={"_id": None, "n": 1})
    assert peer.execute("SELECT * FROM cars").rows == [{"_id": result.mutated[0], "n": 1}]
    refused("SCHEMA_INVALID", peer.insert, "cars", {"_id": 7, "n": 1}, peer.now())

    # Others may write such a field all the same.
    peer.schemas[b"name"] = schema = Schema("bikes", KEEP, (("_id", None), ("n", None)))
    schema.name = b"name"
    peer.ingest(b"stranger", 1, [encode_body(hlc.pack(5), [[INSERT, b"name", 3, [4, 1]]])])
    assert peer.execute("SELECT * FROM bikes").rows == [{"_id": 3, "n": 1}]


def test_an_error_of_one_observer_keeps_nothing_from_the_others() -> None:
    peer = ready()
    told: list = []

    def fail(changes: object) -> None:
        if changes.rows or told:
            raise ValueError("the application's")

    peer.observe("SELECT * FROM cars", fail)
    peer.observe("SELECT * FROM cars", lambda changes: told.append(len(changes.rows)))
    for _ in range(2):
        try:
            peer.execute("INSERT INTO cars DOCUMENTS ({'n': 1})")
        except ValueError:
            continue
        raise AssertionError("the application is not told of its fault")
    assert told == [0, 1, 2]
    try:
        peer.observe("SELECT * FROM bikes", fail)
    except ValueError:
        pass
    peer.execute("INSERT INTO bikes DOCUMENTS ({'n': 1})")


def test_nobody_makes_a_collection_local_and_no_local_schema_is_shown() -> None:
    """What an application writes would stay here in silence from then on (SPEC 3.2.2)."""
    peer, other = ready(), keeper()
    refused("SCOPE_LOCAL", peer.ingest_schema, Schema("cars", SCOPE_LOCAL << 1, (("n", None),)).encoded)
    peer.execute("INSERT INTO cars DOCUMENTS ({'_id': 1, 'n': 1})")
    assert peer.log.held(peer.local) == 0
    peer.execute("INSERT INTO notes DOCUMENTS ({'_id': 1, 'pin': 1})")
    hidden = [name for name in peer.schemas if peer.schemas[name].collection == "notes"]
    one, two = Exchange(peer, 0, central=True), Exchange(other, 0)
    two.session.queue_want_schema(hidden)
    Pipe(one, two, 0).run()
    assert len(hidden) == 1 and hidden[0] not in two.remote.schemas and hidden[0] not in other.schemas
    assert len(other.schemas) == 1
