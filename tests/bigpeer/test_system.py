"""Health documents, who is overdue by them, gaps, and the system collections that a SELECT may ask."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bigpeer_harness import EXECUTE, Local, local
from log_writer import JUNE, Writer
from test_access_http import Farm, farm_at, rules
from test_data_api import get

from hedgerow.codec.schema import HEALTH, KEEP, schema_for
from hedgerow.crypto import claims
from hedgerow.custody.skip import THINNED
from hedgerow.errors import HedgerowError
from hedgerow.health import write_health
from hedgerow.operation import COUNTER, INSERT, UPDATE
from hedgerow.peer import Peer
from hedgerow.sync.hello import GATEWAY, KEEPER
from hedgerow.trust.lost import make_lost
from hedgerow_bigpeer import limits
from hedgerow_bigpeer.health import Place, place_of
from hedgerow_bigpeer.http.encoding import CBOR
from hedgerow_bigpeer.presence import Remote
from hedgerow_bigpeer.store.rows import Entry, SkipEntry

GAUGE = "hedgerow_bigpeer_peer_"
FACTS: dict[str, Any] = {
    "name": "fern",
    "firmware": "0.1.0",
    "reset": "watchdog",
    "boots": 3,
    "uptime_s": 60,
    "heap_free": 41000,
    "log": 7,
    "due_s": 3600,
    "place": "geo:48.2,16.37",
    "voltage_mv": 3712,
}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Local]:
    with local(tmp_path) as running:
        yield running


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    running = farm_at(tmp_path)
    yield running
    running.close()


def told(served: Local, writer: Writer, **facts: Any) -> None:
    """Let a board write its health document, and bring in all of its log."""
    write_health(writer.peer, {**FACTS, **facts}, writer.now)
    bring(served, writer)


def bring(served: Local, writer: Writer, *more: Entry) -> None:
    served.run(served.peer.service.submit([*writer.entries(), *more]))


def rows(served: Local) -> dict[str, dict[str, Any]]:
    """/peers by name; twice is what nobody has."""
    found = get(served, "/peers")["peers"]
    assert len({row["author"] for row in found}) == len(found)
    return {row["name"]: row for row in found}


def samples(served: Local) -> dict[str, str]:
    text = served.request("GET", "/metrics").text
    lines = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
    assert len({name for name, _ in lines}) == len(lines), "a series twice"
    return {name: value for name, value in lines if name.startswith(GAUGE)}


def test_a_health_document_shows_and_says_who_is_overdue(
    served: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its name comes with the document: nobody has had a session with it.
    writer = Writer()
    writer.peer.set_time(JUNE, 20, 2, 0)
    told(served, writer)
    row = rows(served)["fern"]
    assert row["health"] == {"at": "2026-06-01T00:00:00.000Z", "suspects": [], **FACTS}
    expected = {"place": "geo:48.2,16.37", "due_s": 3600, "overdue": False, "connected": False}
    assert expected.items() <= row.items()
    metrics = {
        "overdue": "0",
        "voltage_volts": "3.712",
        "heap_free_bytes": "41000",
        "log_ratio": "0.07",
        "uptime_seconds": "60",
        "boots": "3",
    }
    assert samples(served) == {f'{GAUGE}{name}{{peer="fern"}}': value for name, value in metrics.items()}
    seen = served.peer.service.frontier(writer.peer.author).last_seen
    clock = served.peer.service.clock
    patience = 2 * 3600_000 + 60_000
    monkeypatch.setattr(clock, "utc", lambda: seen + patience)
    assert rows(served)["fern"]["overdue"] is False
    monkeypatch.setattr(clock, "utc", lambda: seen + patience + 1)
    assert rows(served)["fern"]["overdue"] is True
    assert samples(served)[f'{GAUGE}overdue{{peer="fern"}}'] == "1"
    # What people expect goes before what it says.
    served.execute("INSERT INTO peers DOCUMENTS ({'_id': 'fern', 'due_s': 86400})")
    row = rows(served)["fern"]
    assert (row["due_s"], row["place"], row["overdue"]) == (86400, "geo:48.2,16.37", False)


def test_a_board_that_was_set_up_anew_is_not_overdue_as_what_it_was(
    served: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = Writer(), Writer()
    told(served, old)
    now = served.peer.service.clock.utc()
    monkeypatch.setattr(served.peer.service.clock, "utc", lambda: now + 7_260_001)
    told(served, new)
    found = {row["author"]: row for row in get(served, "/peers")["peers"] if row["health"]}
    assert set(found) == {old.peer.author.hex(), new.peer.author.hex()}
    assert [row["overdue"] for row in found.values()] == [False, False]
    assert len([name for name in samples(served) if "overdue" in name]) == 1
    monkeypatch.setattr(served.peer.service.clock, "utc", lambda: now + 15_000_000)
    found = {row["author"]: row["overdue"] for row in get(served, "/peers")["peers"] if row["health"]}
    assert found == {old.peer.author.hex(): False, new.peer.author.hex(): True}


def test_a_board_is_known_by_its_readings_before_it_has_told_its_name(served: Local) -> None:
    writer = Writer("", mesh="demo")
    writer.peer.set_time(JUNE, 20, 2, 0)
    writer.insert({"board": "moss", "n": 1, "t": 20})
    served.execute("INSERT INTO peers DOCUMENTS ({'_id': 'moss', 'due_s': 60})")
    assert rows(served)["moss"]["overdue"] is True, "it never came"
    bring(served, writer)
    row = rows(served)["moss"]
    assert (row["author"], row["overdue"]) == (writer.peer.author.hex(), False)


def test_what_makes_no_sense_is_left_out(served: Local) -> None:
    writer = Writer("moss")
    wrong = {"name": 7, "boots": "x", "log": -1, "due_s": -5, "heap_free": True, "place": "x" * 100}
    told(served, writer, **wrong)
    author = writer.peer.author
    found = {row["author"]: row for row in get(served, "/peers")["peers"]}[author.hex()]
    health = found["health"]
    assert [health[name] for name in ("name", "boots", "log", "due_s", "heap_free")] == [None] * 5
    assert health["place"] == "x" * limits.SHOWN_NAME and found["overdue"] is False


def test_nobody_writes_the_health_of_another(served: Local) -> None:
    victim, liar = Writer("fern"), Writer("liar")
    facts = {name: FACTS[name] for name in FACTS if name not in ("place", "voltage_mv")}
    for _ in range(2):
        write_health(victim.peer, facts, victim.now)
        bring(served, victim)
        assert rows(served)["fern"]["health"] == {**dict.fromkeys(FACTS), **facts, "suspects": [], "at": None}
        liar.now += 9000
        schema = schema_for(HEALTH, KEEP, lie := {"name": "dead", "place": "geo:1,1", "voltage_mv": 4200})
        change = [INSERT, schema.name, victim.peer.author, schema.pack(lie)]
        # Asks no guard of its own.
        Peer.write(liar.peer, [change], [schema], liar.now)
        bring(served, liar)
        victim.now += 60000
    assert rows(served)["fern"]["health"] == {**dict.fromkeys(FACTS), **facts, "suspects": [], "at": None}
    refused = served.run(served.peer.service.store.refused())
    assert {(row[0], row[1]) for row in refused} == {(liar.peer.author, "WRITE_FORBIDDEN")}
    # Over HTTP it is the Big Peer that writes, as somebody else too.
    for statement in (
        "INSERT INTO __health DOCUMENTS (:d)",
        "INSERT INTO __health DOCUMENTS (:d) ON ID CONFLICT DO UPDATE",
        "UPDATE __health SET name = 'forged' WHERE name = 'fern'",
        "DELETE FROM __health WHERE name = 'fern'",
    ):
        d = {"_id": victim.peer.author if "UPDATE" in statement else Writer().peer.author, "name": "forged"}
        content = CBOR.dumps({"statement": statement, "args": {"d": d}})
        answer = served.request(
            "POST", EXECUTE, content=content, headers={"content-type": "application/cbor"}
        )
        found = CBOR.loads(answer.content)["error"]["code"]
        assert (answer.status_code, found) == (403, "AUTH_FORBIDDEN"), statement
    assert rows(served)["fern"]["health"]["name"] == "fern"


def lie(writer: Writer, victim: bytes, change: list[Any], facts: dict[str, Any]) -> None:
    """Let a peer write into another one's health document."""
    schema = schema_for(HEALTH, KEEP, facts)
    writer.now += 1000
    full = [change[0], schema.name, victim, schema.pack(facts), *change[1:]]
    Peer.write(writer.peer, [full], [schema], writer.now)


@pytest.mark.parametrize("kind", [INSERT, UPDATE, COUNTER])
def test_fields_that_another_wrote_are_no_word_of_the_board(
    served: Local, kind: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Such as a store has taken before it was a rule that nobody else may write there.
    monkeypatch.setattr(served.peer.service.store, "rules", None)
    victim, liar = Writer("fern"), Writer("liar")
    for writer in (victim, liar):
        writer.peer.set_time(JUNE, 20, 2, 0)
    facts = {name: value for name, value in FACTS.items() if name not in ("place", "voltage_mv")}
    forged: dict[str, Any] = {"place": "geo:1,1", "due_s": 600_000, "name": "nettle", "voltage_mv": 4200}
    if kind == COUNTER:
        # Without a base: it adds to whatever is written there.
        forged = {"voltage_mv": [b"", 4200], "heap_free": [b"", 9]}
    if kind == UPDATE:
        # Its stamp is later than all that is behind it here.
        write_health(victim.peer, facts, victim.now)
        bring(served, victim)
        liar.now += 5000
    lie(liar, victim.peer.author, [kind], forged)
    bring(served, liar)
    if kind != UPDATE:
        victim.now += 60_000
        write_health(victim.peer, facts, victim.now)
        bring(served, victim)
    row = {row["author"]: row for row in get(served, "/peers")["peers"]}[victim.peer.author.hex()]
    shown = dict.fromkeys(FACTS) | facts
    if kind == UPDATE:
        shown |= {"due_s": None, "name": None}
    elif kind == COUNTER:
        shown |= {"heap_free": None}
    assert {name: row["health"][name] for name in FACTS} == shown
    assert row["place"] is None and row["name"] == (shown["name"] or "")


def given_to(farm: Farm, user: str, author: bytes) -> None:
    """Let a user have a credential for an author."""
    values = {
        claims.SUB: user,
        claims.IAT: 1,
        claims.CTI: author,
        claims.CNF: claims.key_of(b"\3" + bytes(32)),
        claims.AUTHOR: author,
        claims.SEALING_KEY: b"\2" + bytes(24) + author,
        claims.SCOPE: [["*", claims.READ | claims.WRITE]],
    }
    assert farm.peer.membership.rules.add(author, claims.Claims(values))


def test_who_takes_a_name_hides_nobody_else_of_it(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new, liar = (Writer("", mesh="farm") for _ in range(3))
    for user, writer in (("ann", old), ("ann", new), ("mallory", liar)):
        given_to(farm, user, writer.peer.author)
    headers = farm.bearer("status")

    def overdue() -> dict[str, bool]:
        return {
            row["author"]: row["overdue"]
            for row in farm.call("GET", "/peers", headers)["peers"]
            if row["health"]
        }

    clock = farm.peer.service.clock
    start = clock.utc()
    told(farm, old)
    monkeypatch.setattr(clock, "utc", lambda: start + 1000)
    told(farm, new)
    authors = [writer.peer.author.hex() for writer in (old, new, liar)]
    # Of one user it is a board that was set up anew; another's that is alive says nothing of it.
    farm.execute("INSERT INTO peers DOCUMENTS ({'_id': 'fern', 'due_s': 60})", **farm.bearer("write"))
    monkeypatch.setattr(clock, "utc", lambda: start + 62_000)
    told(farm, liar)
    assert [overdue()[author] for author in authors] == [False, True, False]
    monkeypatch.setattr(clock, "utc", lambda: start + 62_000 + 60_001)
    assert [overdue()[author] for author in authors] == [False, True, True]
    # Nor is it so where they are expected by what they say themselves.
    farm.execute("DELETE FROM peers", **farm.bearer("read", "write"))
    dead = 2 * 3600_000 + 62_000
    monkeypatch.setattr(clock, "utc", lambda: start + dead)
    told(farm, liar, voltage_mv=4200)
    assert [overdue()[author] for author in authors] == [False, True, False]
    text = farm.request("GET", "/metrics", headers=headers).text
    for line in (
        'overdue{peer="fern",user="ann"} 1',
        'overdue{peer="fern",user="mallory"} 0',
        'voltage_volts{peer="fern",user="ann"} 3.712',
        'voltage_volts{peer="fern",user="mallory"} 4.2',
    ):
        assert text.count(GAUGE + line) == 1
    assert text.count(GAUGE + "overdue{") == 2


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("geo:48.2010,16.3695", Place(16.3695, 48.201, True)),
        ("geo:-1,-180;u=35", Place(-180, -1, True)),
        ("12.5, -3", Place(12.5, -3, False)),
        ("geo:91,0", None),
        ("geo:0,181", None),
        ("behind the barn", None),
        ("1e9,2", None),
        ("12345678,0", None),
        ("", None),
        (None, None),
    ],
)
def test_places(text: str | None, place: Place | None) -> None:
    assert place_of(text) == place


# ---- gaps


def lost_entries(writer: Writer) -> list[Entry]:
    """Return the log of a board whose numbers 2 to 4 were thinned."""
    writer.insert_many(6)
    stamp = bytes.fromhex("00c2161a8000")
    skip = make_lost(writer.peer.author, 2, 4, THINNED, stamp, [7, 7])
    entries = writer.entries()
    places = [at for at, entry in enumerate(entries) if getattr(entry, "number", 0) in (2, 3, 4)]
    entries[places[0] : places[-1] + 1] = [SkipEntry(writer.peer.author, skip)]
    return entries


def test_gaps_say_what_is_missing_and_why(served: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = Writer("fern")
    served.run(served.peer.service.submit(lost_entries(writer)))
    told_by = Remote(b"gateway1", "barn", GATEWAY, {writer.peer.author: 9, b"unknown1": 4, b"refused1": 3})
    monkeypatch.setattr(served.peer.sync, "remotes", lambda: [told_by])
    monkeypatch.setattr(served.peer.system, "_remotes", lambda: [told_by])
    frontier = served.peer.service.frontier(b"refused1")
    served.peer.service.refusals.note(frontier, HedgerowError("SYNC_GAP", "5"), "test")

    async def refused() -> list[tuple[bytes, str, int, int]]:
        return [(writer.peer.author, "WRITE_FORBIDDEN", 2, 6)]

    monkeypatch.setattr(served.peer.service.store, "refused", refused)
    found = served.items("SELECT author, state, first, last, count, reason, summary FROM system:gaps")
    fern, unknown, away = writer.peer.author.hex(), b"unknown1".hex(), b"refused1".hex()
    shown = sorted((row["author"], row["state"], row["first"], row["last"], row["reason"]) for row in found)
    assert sorted(entry for entry in shown if entry[0] == fern) == [
        (fern, "lost", 2, 4, "thinned"),
        (fern, "not counted", None, 6, "WRITE_FORBIDDEN"),
        (fern, "under way", 8, 9, "barn"),
        (fern, "unsealed", 1, 7, "no seal yet"),
    ]
    assert (unknown, "under way", 1, 4, "barn") in shown and (away, "refused", 1, None, "SYNC_GAP") in shown
    (thinned,) = [row for row in found if row["state"] == "lost"]
    assert (thinned["count"], thinned["summary"]) == (3, [7, 7])
    (why,) = served.items("SELECT why FROM system:gaps WHERE state = 'lost'")
    assert "summaries" in why["why"]
    ids = [row["_id"] for row in served.items("SELECT _id FROM system:gaps")]
    assert len(set(ids)) == len(ids)


# ---- system collections


def test_data_sync_info_has_the_shape_that_scripts_know(
    served: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, connected, server = b"taker--1", b"gateway1", b"keeper-1"
    service = served.peer.service
    served.run(service.store.confirm(known, 15, service.clock.utc()))
    remotes = [Remote(connected, "barn", GATEWAY, {}), Remote(server, "big", KEEPER, {})]
    monkeypatch.setattr(served.peer.system, "_remotes", lambda: remotes)
    found = {row["_id"]: row for row in served.items("SELECT * FROM system:data_sync_info")}
    assert set(found) == {known.hex(), connected.hex(), server.hex()}
    taker = found[known.hex()]
    at = taker["documents"].pop("last_update_received_time")
    assert type(at) is int and 1_700_000_000 < at < 10_000_000_000
    assert taker == {
        "_id": known.hex(),
        "is_ditto_server": False,
        "documents": {"sync_session_status": "Not Connected", "synced_up_to_local_commit_id": 15},
    }
    assert found[server.hex()]["is_ditto_server"] is True
    assert found[connected.hex()]["documents"] == {
        "sync_session_status": "Connected",
        "synced_up_to_local_commit_id": None,
        "last_update_received_time": None,
    }


def test_statements_over_system_collections(served: Local) -> None:
    told(served, Writer("fern"))
    served.execute("INSERT INTO notes DOCUMENTS ({'_id': 1, 'a': 2})")
    served.execute("CREATE INDEX by_a ON notes (a)")
    (row,) = served.items("SELECT name, health.voltage_mv AS mv FROM system:peers WHERE health.log > 6")
    assert row == {"name": "fern", "mv": 3712}
    (counted,) = served.items("SELECT count(*) FROM system:peers")
    assert counted == {"count(*)": 2}
    notes = {"keep_ms": None, "gone_before": None, "expired": 0, "confidential": False, "epoch": None}
    assert {"_id": "notes", "name": "notes", "kind": "keep", **notes} in served.items(
        "SELECT * FROM system:collections"
    )
    assert [row["name"] for row in served.items("SELECT * FROM system:indexes")] == ["by_a"]
    answer = served.execute("SELECT * FROM system:nothing")
    assert answer.json()["error"]["code"] == "QUERY_UNSUPPORTED"
    live = served.request(
        "POST", "/api/hedgerow/v1/live", json={"statement": "SELECT * FROM system:peers"}
    ).json()
    assert live["code"] == "QUERY_UNSUPPORTED"


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO `system:peers` DOCUMENTS ({'a': 1})",
        "INSERT INTO system:peers DOCUMENTS ({'a': 1})",
        "UPDATE `system:peers` SET a = 1",
        "update system : gaps SET a = 1",
        "DELETE FROM `system:gaps`",
        "DELETE FROM system:data_sync_info",
        "EVICT FROM system:peers",
        "CREATE INDEX x ON `system:peers` (a)",
    ],
)
def test_they_are_read_only(served: Local, statement: str) -> None:
    before = served.peer.service.newest
    answer = served.execute(statement)
    assert answer.json()["error"]["code"] == "SYSTEM_READ_ONLY" and answer.status_code == 400
    assert served.peer.service.newest == before
    # Whoever calls a collection of its own so writes as ever.
    assert served.execute("INSERT INTO `system` DOCUMENTS ({'a': 1})").status_code == 200


def test_rights_hold_as_for_any_collection(farm: Farm) -> None:
    own = farm.peer.service.store.identity.author.hex()

    def may_read(*conditions: str) -> dict[str, str]:
        side = {"everything": False, "queriesByCollection": {"system:peers": list(conditions)}}
        return farm.bearer("read", "status", permission={"read": side})

    statement = "SELECT _id FROM system:peers"
    refused = (403, "AUTH_FORBIDDEN")
    assert farm.ask(statement, farm.bearer("read", "status")) == [{"_id": own}]
    assert farm.ask(statement, farm.bearer("read", "status", permission=rules(read="true"))) == refused
    assert farm.ask(statement, may_read(f"_id = '{own}'")) == [{"_id": own}]
    assert farm.ask(statement, may_read("_id = 'other'")) == []
    assert farm.ask("SELECT * FROM system:gaps", may_read("true")) == (403, "AUTH_FORBIDDEN")
