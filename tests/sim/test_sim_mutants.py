"""Systems that are broken on purpose: each of them breaks the invariant that is there for it."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from hedgerow.custody.receipt import Receipt
from hedgerow.log import ENTRY_OP
from hedgerow.memory import MemoryLog
from hedgerow.mesh.mesh import Mesh
from hedgerow.peer import Peer
from hedgerow_sim import scenario
from hedgerow_sim.audit import Audit, Broken
from hedgerow_sim.baseline import ConnectAlways
from hedgerow_sim.board_log import BoardLog, BoardStore
from hedgerow_sim.run import Outcome, run
from hedgerow_sim.station import Station
from hedgerow_sim.storage import Memory
from hedgerow_sim.world import World

_TABLE: dict[str, Any] = {
    "name": "mutants",
    "layout": "line",
    "boards": 3,
    "range_m": 10.0,
    "disc": True,
    "gateways": [[0.0, 0.0]],
    "hours": 0.25,
    "settle_hours": 0.25,
    "reading_s": 60.0,
    "engine": "connect_always",
    "events": [
        {"at_s": 300, "kind": "power_cut", "share": 1.0},
        {"at_s": 600, "kind": "reboot", "share": 1.0},
    ],
}


def live(**changes: Any) -> Outcome:
    return run(scenario.parse({**_TABLE, **changes}), 5, judge=True)


def test_what_is_not_broken_breaks_nothing() -> None:
    outcome = live()
    assert not outcome.failure, outcome.failure
    assert outcome.report["readings"]["receipted"] > 30 and outcome.world.boards[0].boots == 3


def receipt_without_holding(patch: pytest.MonkeyPatch) -> None:
    def receipts(peer: Peer, author: bytes) -> list[Receipt]:
        found: list[Receipt] = honest(peer, author)
        if peer.keeper and found:
            found[0] = Receipt(peer.identity, peer.log.incarnation, author, found[0].number + 1)
        return found

    honest = Peer.receipts
    patch.setattr(Peer, "receipts", receipts)


def acknowledged_before_stored(patch: pytest.MonkeyPatch) -> None:
    def commit(log: BoardLog) -> None:
        if log.store.lazy < 20:
            log.store.lazy += 1
            honest(log)

    honest = BoardLog.commit
    patch.setattr(BoardStore, "lazy", 0, raising=False)
    patch.setattr(BoardLog, "commit", commit)


def forgets_at_reboot(patch: pytest.MonkeyPatch) -> None:
    def cut(storage: Memory) -> None:
        storage.store = BoardStore(storage.store.author)

    patch.setattr(Memory, "cut", cut)


def forgets_one_of_its_own(patch: pytest.MonkeyPatch) -> None:
    """Before it is receipted."""

    def acknowledged(audit: Audit, station: Station, number: int) -> None:
        honest(audit, station, number)
        if number == 6:
            station.peer.log.drop(station.peer.author, 6, 6)

    honest = Audit.acknowledged
    patch.setattr(Audit, "acknowledged", acknowledged)


def a_relay_drops_without_a_word(patch: pytest.MonkeyPatch) -> None:
    def commit(log: BoardLog) -> None:
        honest(log)
        for author in log.authors():
            if author != log.author and log.held(author) > 5:
                MemoryLog.cut(log, author, 3)

    honest = BoardLog.commit
    patch.setattr(BoardLog, "commit", commit)


def forgets_what_it_has_seen(patch: pytest.MonkeyPatch) -> None:
    honest = BoardLog.seen
    patch.setattr(BoardLog, "seen", lambda log, author: min(honest(log, author), 5))


def a_relay_changes_what_it_carries(patch: pytest.MonkeyPatch) -> None:
    def ingest(peer: Peer, author: bytes, first: int, bodies: list[bytes]) -> int:
        if not peer.keeper and peer.role < 2:
            bodies = [body[:-1] + bytes([body[-1] ^ 1]) for body in bodies]
        return int(honest(peer, author, first, bodies))

    honest = Peer.ingest
    patch.setattr(Peer, "ingest", ingest)


def invents_an_operation(patch: pytest.MonkeyPatch) -> None:
    def acknowledged(audit: Audit, station: Station, number: int) -> None:
        honest(audit, station, number)
        if number == 4:
            log = station.peer.log
            log.append(ENTRY_OP, b"stranger", 1, 1, log.fetch(station.peer.author, 4))

    honest = Audit.acknowledged
    patch.setattr(Audit, "acknowledged", acknowledged)


def gives_a_place_away_too_soon(patch: pytest.MonkeyPatch) -> None:
    def make_place(log: BoardLog, author: bytes) -> None:
        others = [other for other in log.placed() if other not in (log.author, author)]
        if author not in log.placed() and others:
            log.let_go(others[0])

    patch.setattr(BoardLog, "_make_place", make_place)


def says_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Station, "_speak", lambda station, now: None)


def always_has_something_due(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ConnectAlways, "due", lambda engine, now: now)


def keeps_no_budget(patch: pytest.MonkeyPatch) -> None:
    _TABLE_CHANGES["budget_mah"] = 5.0


def loses_its_flash_and_says_nothing(patch: pytest.MonkeyPatch) -> None:
    moments = {"gateway_down": 450, "lose_flash": 850, "gateway_up": 870}
    _TABLE_CHANGES["events"] = [{"at_s": at, "kind": kind, "share": 1.0} for kind, at in moments.items()]
    patch.setattr(Audit, "lost_flash", lambda *given: None)


def a_restored_keeper_passes_for_the_former_one(patch: pytest.MonkeyPatch) -> None:
    def put_back(storage: Memory) -> None:
        honest(storage)
        storage.store.incarnation -= 1

    _TABLE_CHANGES["events"] = [{"at_s": 200, "kind": "backup"}, {"at_s": 1000, "kind": "restore"}]
    honest = Memory.put_back
    patch.setattr(Memory, "put_back", put_back)


_TABLE_CHANGES: dict[str, Any] = {}

MUTANTS: list[tuple[Callable[[pytest.MonkeyPatch], None], set[str]]] = [
    (receipt_without_holding, {"receipt"}),
    (acknowledged_before_stored, {"lost", "changed"}),
    (forgets_at_reboot, {"lost", "changed"}),
    (forgets_one_of_its_own, {"lost"}),
    (a_relay_drops_without_a_word, {"fallen"}),
    (gives_a_place_away_too_soon, {"fallen"}),
    (forgets_what_it_has_seen, {"seen"}),
    (a_relay_changes_what_it_carries, {"changed"}),
    (invents_an_operation, {"invented"}),
    (says_nothing, {"convergence"}),
    (always_has_something_due, {"idle"}),
    (keeps_no_budget, {"budget"}),
    (loses_its_flash_and_says_nothing, {"fallen", "lost"}),
    (a_restored_keeper_passes_for_the_former_one, {"convergence"}),
]


@pytest.mark.parametrize(("mutant", "rules"), MUTANTS, ids=[mutant.__name__ for mutant, _ in MUTANTS])
def test_is_caught(
    mutant: Callable[[pytest.MonkeyPatch], None], rules: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _TABLE_CHANGES.clear()
    mutant(monkeypatch)
    outcome = live(**_TABLE_CHANGES)
    assert outcome.rule in rules, (outcome.rule, outcome.failure)


def test_more_connections_than_a_board_has_are_caught() -> None:
    world = World(scenario.parse({**_TABLE, "boards": 6}), 1)
    world.start()
    world.step(15_000_000)
    board, other = world.boards[:2]
    audit = world.audit
    audit.connected(board, other)
    board.sessions = [SimpleNamespace(up=True, over=False, other=None) for _ in range(4)]  # type: ignore[misc]
    with pytest.raises(Broken, match="connections"):
        audit.connected(board, other)


def test_a_place_that_nothing_frees_is_caught() -> None:
    world = World(scenario.parse({**_TABLE, "engine": "mesh"}), 1)
    world.start()
    world.step(15_000_000)
    board = world.boards[0]
    world.audit.check_station(board)
    custody: Any = board.engine.custody  # type: ignore[attr-defined]
    custody.push(bytes(range(4, 24)), 15_000)
    world.audit.check_station(board)
    custody._index.clear()
    with pytest.raises(Broken, match="custody"):
        world.audit.check_station(board)


def test_who_says_for_ever_what_all_have_heard_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """All arrives, and the air is full."""

    def say(mesh: Mesh, now: int) -> tuple[bytes, bool, int] | None:
        said = honest(mesh, now) or (mesh._last_word if now >= 60_000 else None)
        mesh._last_word = said
        return said

    honest = Mesh.say
    monkeypatch.setattr(Mesh, "say", say)
    monkeypatch.setattr(Mesh, "_last_word", None, raising=False)
    monkeypatch.setattr(Mesh, "due", lambda mesh, now: now + 250)
    assert live(engine="mesh", boards=2, hours=1.1, events=[]).rule == "storm"


def test_a_failure_names_the_line_that_repeats_it(monkeypatch: pytest.MonkeyPatch) -> None:
    says_nothing(monkeypatch)
    outcome = live()
    assert outcome.replay == "hedgerow sim mutants --seed 5"
    assert outcome.report["failure"].startswith("convergence:")
