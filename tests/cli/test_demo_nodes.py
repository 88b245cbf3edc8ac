"""The demo's nodes on one PostgreSQL find their key where each of them is told that it is."""

from pathlib import Path

import pytest

from hedgerow_cli.demo import nodes
from hedgerow_cli.demo.nodes import Nodes


@pytest.mark.parametrize("store", ["", "postgresql://db/demo"])
def test_the_key_is_there_before_the_first_node(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[bool] = []

    def child(command: list[str], log: Path) -> None:
        named = [Path(command[at + 1]) for at, word in enumerate(command) if word == "--rights-key"]
        assert len(named) == bool(store)
        started.append(all(path.exists() for path in named))

    monkeypatch.setattr(nodes, "Child", child)
    Nodes(tmp_path, [1, 2], store, type("Balancer", (), {"port": 3})())
    assert started == [True, True]
