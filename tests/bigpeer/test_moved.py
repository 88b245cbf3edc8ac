"""While an app moves its store takes nothing: that is nobody's fault, and is said so."""

from pathlib import Path

import pytest
from bigpeer_harness import local
from wire import Subscriber, link

from hedgerow.errors import HedgerowError
from hedgerow_bigpeer.auth.apps import App
from hedgerow_bigpeer.auth.places import Move
from hedgerow_bigpeer.auth.registry import Registry


def test_who_writes_while_an_app_moves_comes_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def moving(*_: object) -> None:
        raise HedgerowError("STORE_MOVED", "try again")

    with local(tmp_path) as served:
        service = served.peer.service
        board = Subscriber(served)
        board.peer.execute("INSERT INTO c DOCUMENTS ({'_id': 1})")
        author = board.peer.author
        with monkeypatch.context() as patch:
            patch.setattr(service.store, "ingest", moving)
            answer = served.execute("INSERT INTO c DOCUMENTS ({'_id': 2})")
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "STORE_MOVED")
            wire = link(served, board)
            wire.until(lambda: wire._side.error is not None)
            assert wire._side.error.code == "STORE_MOVED"
            # The node is well, and holds nothing against the author.
            assert service.healthy and service.refusals.code(author) is None
            assert service.frontier(author).held == 0
        again = link(served, board)
        again.until(lambda: service.frontier(author).held > 0)
        assert served.execute("INSERT INTO c DOCUMENTS ({'_id': 2})").status_code == 200


def test_rights_in_a_file_have_no_places(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    app: App = registry.create_app("t", "farm", "playground", "farm")
    assert registry.places.get(app) == "" and registry.places.move(app) is None
    url = "postgresql://db/farm"
    for change in (
        lambda: registry.places.set("t", app, url),
        lambda: registry.places.begin("t", app, Move(url, b"token", "farm")),
        lambda: registry.places.set("t", app, "sqlite:///farm.db"),
    ):
        with pytest.raises(HedgerowError, match="PLACE_INVALID"):
            change()
    registry.close()
