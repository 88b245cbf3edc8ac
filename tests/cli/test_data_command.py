"""`hedgerow bigpeer bridges` and `hedgerow export`, against a Big Peer in a process of its own."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_kit import first_json, hedgerow, running

CSV = """_id,n,where,tags
1,39.40,north,
2,1.5,"south, far","[1, ""a""]"
3,,,
"""


class Peer:
    """A Big Peer with three documents, and an administrator's key."""

    def __init__(self, data: Path, url: str) -> None:
        self.data = data
        made = hedgerow(
            "bigpeer", "keys", "add", "a", "--verb", "admin", "--verb", "read", "--data", str(data), "--json"
        )
        self.environment = {"HEDGEROW_URL": url, "HEDGEROW_KEY": json.loads(made.stdout)["key"]}
        self.run("query", "INSERT INTO c DOCUMENTS ({'_id': 1, 'n': 39.40, 'where': 'north'})", key="")
        self.run(
            "query",
            "INSERT INTO c DOCUMENTS ({'_id': 2, 'n': 1.5, 'where': 'south, far', 'tags': [1, 'a']})",
            key="",
        )
        self.run("query", "INSERT INTO c DOCUMENTS ({'_id': 3})", key="")

    def run(self, *words: str, status: int = 0, key: str | None = None) -> str:
        environment = {**self.environment, **({} if key is None else {"HEDGEROW_KEY": key})}
        done = hedgerow(*words, status=status, **environment)
        return done.stdout

    def bridges(self, *words: str, status: int = 0) -> Any:
        return json.loads(self.run("bigpeer", "bridges", *words, "--json", status=status))


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    folder = tmp_path_factory.mktemp("peer")
    words = ("bigpeer", "run", "--data", str(folder / "data"), "--port", "0", "--json")
    with running(*words, log=folder / "log") as process:
        yield Peer(folder / "data", first_json(process)["ready"])


def test_a_collection_is_exported(peer: Peer, tmp_path: Path) -> None:
    assert peer.run("export", "c", "--csv") == CSV
    path = tmp_path / "c.csv"
    peer.run("export", "c", "--csv", "--output", str(path))
    assert path.read_text() == CSV and not (tmp_path / "c.csv.part").exists()
    lines = peer.run("export", "c", "--where", "n > 2").splitlines()
    assert lines == ['{"_id": 1, "n": 39.40, "where": "north"}']
    peer.run("export", "c", "--where", "n >", status=1)


def test_a_bridge_from_the_command_line(peer: Peer, tmp_path: Path) -> None:
    config = tmp_path / "bridge.json"
    config.write_text(
        json.dumps({"sink": {"type": "file", "path": "out.jsonl"}, "sources": [{"collection": "c"}]})
    )
    assert peer.bridges("set", "b", str(config))["name"] == "b"
    deadline = time.monotonic() + 20
    while peer.bridges("list")["bridges"][0]["lag"]:
        assert time.monotonic() < deadline
    (row,) = peer.bridges("list")["bridges"]
    assert (row["delivered"], row["parked"], row["error"]) == (3, 0, "")
    lines = (peer.data / "bridges" / "out.jsonl").read_text().splitlines()
    assert [json.loads(line)["change"]["newValue"]["_id"] for line in lines] == [1, 2, 3]
    assert "out.jsonl" not in peer.run("bigpeer", "bridges", "list") and "3" in peer.run(
        "bigpeer", "bridges", "list"
    )
    assert peer.bridges("set", "b", str(config), "--confidential")["confidential"] is True
    assert peer.bridges("pause", "b")["state"] == "paused"
    assert peer.bridges("resume", "b")["name"] == "b"
    assert peer.bridges("reset", "b", "--from", "now")["transactionId"] > 0
    assert peer.bridges("parked", "b") == {"parked": []}
    assert peer.bridges("replay", "b") == peer.bridges("skip", "b", "--document", "x") == {"events": 0}
    assert peer.bridges("drop", "b") == {"name": "b"}
    assert peer.bridges("drop", "b", status=1)["error"]["code"] == "BRIDGE_UNKNOWN"
    config.write_text("{}")
    assert peer.bridges("set", "b", str(config), status=1)["error"]["code"] == "BRIDGE_INVALID"
    config.write_text("[")
    assert peer.bridges("set", "b", str(config), status=1)["error"]["code"] == "ARGUMENTS_INVALID"


def test_retention_from_the_command_line(peer: Peer) -> None:
    def retention(*words: str, status: int = 0) -> Any:
        return json.loads(peer.run("bigpeer", "collections", *words, "--json", status=status))

    assert retention("retain", "a/b", "90d")["keep_ms"] == 90 * 86_400_000
    rows = {row["name"]: row["keep_ms"] for row in retention("list")["collections"]}
    assert rows["a/b"] == 90 * 86_400_000 and rows["c"] is None
    said = peer.run("bigpeer", "collections", "list")
    assert "90 d" in said and "for ever" in said
    assert "kept for ever" in peer.run("bigpeer", "collections", "retain", "a/b", "--forever")
    assert "a/b" not in {row["name"] for row in retention("list")["collections"]}
    # A playground has nobody to keep secrets for.
    assert retention("confidential", "c", status=1)["error"]["code"] == "APP_INVALID"
    # Its documents live on.
    assert retention("retain", "c", "90d", status=1)["error"]["code"] == "RETENTION_INVALID"
    for words in (("retain", "a"), ("retain", "a", "90d", "--forever")):
        assert retention(*words, status=1)["error"]["code"] == "ARGUMENTS_INVALID"
