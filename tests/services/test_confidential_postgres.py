"""Confidential collections of an app that two nodes of one PostgreSQL serve."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confidential_kit import READ, WRITE, Board, Right, declare, enrol, entries_for, know, subscriber, take
from test_access_http import Farm, farm_at
from test_confidential import refused, rows, stored, stored_grants, write
from wire import link

from hedgerow.crypto.grants import ask
from hedgerow_bigpeer import limits

Url = Callable[[str], str]


@pytest.fixture
def nodes(database: Url, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Farm, Farm]]:
    """Two nodes of an app in production, which look when they are told to."""
    monkeypatch.setattr(limits, "REVOCATION_LOOK_SECONDS", 3600)
    url = database("a")
    one = farm_at(tmp_path / "one", store=url)
    key = tmp_path / "one" / "rights.key"
    two = Farm(tmp_path / "two", store=url, rights_key=key, app="farm", mesh="farm")
    yield one, two
    two.close()
    one.close()


def follow(node: Farm) -> None:
    """Let a node see what others have done."""
    node.run(node.peer.service._follow())


def test_what_is_confidential_on_one_node_is_so_on_all(nodes: tuple[Farm, Farm]) -> None:
    one, two = nodes
    declare(one, "doors")
    board_of = enrol(one, Right("doors", WRITE))
    # The other node has not looked since: what comes encrypted is read all the same.
    assert two.peer.service.epochs == {}
    board = Board(two, board_of.keys.author, entries_for(one, board_of))
    board.peer.execute("INSERT INTO doors DOCUMENTS (:d)", d={"_id": "shed", "by": "Ada Lovelace"})
    board.give()
    follow(one)
    for node in nodes:
        assert rows(node, "SELECT * FROM doors") == [{"by": "Ada Lovelace"}]
    know(two)
    write(two, "INSERT INTO doors DOCUMENTS ({'_id': 'barn', 'by': 'Grace Hopper'})")
    follow(one)
    assert len(rows(one, "SELECT * FROM doors")) == 2 and refused(one) == refused(two) == {}
    bodies = b"".join(entry[2] for entry in stored(one))
    assert b"Ada" not in bodies and b"Grace" not in bodies


def test_who_is_shut_out_on_one_node_is_granted_no_next_key_by_any(nodes: tuple[Farm, Farm]) -> None:
    one, two = nodes
    declare(one, "doors")
    thief, friend = (enrol(one, Right("doors", READ)) for _ in range(2))
    old = entries_for(one, thief)
    follow(two)
    know(two)
    before = len(stored(one))
    assert len(stored_grants(two)) == 2
    # What a node has granted no other one grants again.
    assert len(stored(two)) == before
    two.peer.registry.revocations.revoke("test", two.peer.app, thief.claims.cti, 0)
    for node in (two, one):
        know(node)
        follow(node)
    assert one.peer.service.epochs == two.peer.service.epochs != {"doors": old[0][1]}
    assert stored_grants(one) == stored_grants(two)
    each = subscriber(two, friend)
    ask(each.peer)
    link(two, each).settle()
    found = take(two, friend, each.peer)
    assert found is not None and [entry[1] for entry in found] == [old[0][1], old[0][1] + 1]
    write(one, "INSERT INTO doors DOCUMENTS ({'_id': 'barn', 'by': 'Grace'})")
    follow(two)
    each.peer.subscribe("SELECT * FROM doors")
    link(two, each).until(lambda: [row["by"] for row in each.rows("SELECT by FROM doors")] == ["Grace"])
