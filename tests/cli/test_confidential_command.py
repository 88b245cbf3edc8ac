"""Confidential collections from the command line: declared, and brought to boards with their credentials."""

import json
from typing import Any

import pytest
from cli_kit import hedgerow

from hedgerow_cli.commands import collections
from hedgerow_cli.flashing import credentials


def test_collections_from_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    row = {"name": "a/b", "epoch": 2522, "confidential": True, "plain_before": True}

    def administer(url: str, key: str, path: str, body: Any = None, method: str = "POST") -> Any:
        asked.append((method, path))
        return row

    monkeypatch.setattr(collections, "administer", administer)
    words = ("bigpeer", "collections")
    said = hedgerow(*words, "confidential", "a/b", "--key", "k").stdout
    assert "a/b is confidential, in epoch 2522" in said and "stays in the clear" in said
    row["plain_before"] = False
    assert "in the clear" not in hedgerow(*words, "confidential", "a/b", "--key", "k").stdout
    assert "a/b is in epoch 2522" in hedgerow(*words, "rekey", "a/b", "--key", "k").stdout
    for command in ("confidential", "rekey"):
        assert json.loads(hedgerow(*words, command, "a/b", "--key", "k", "--json").stdout) == row
    path = "/api/hedgerow/v1/collections/a%2Fb"
    assert asked[:3] == [("PUT", f"{path}/confidential")] * 2 + [("POST", f"{path}/rekey")]


def test_a_board_is_brought_the_keys_that_come_with_its_credential(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[Any] = []

    def call(port: str, function: str, *arguments: object) -> Any:
        if function == "take":
            taken.append(arguments[3:])
        return {"state": {"credential": ""}, "prove": {}, "take": "01" * 8}[function]

    for name in ("greet", "restart"):
        monkeypatch.setattr(credentials, name, lambda port: None)
    monkeypatch.setattr(credentials, "_call", call)
    given = {"credential": "AQI", "issuers": [], "keepers": []}
    for more, expected in (
        ({}, ()),
        ({"delegation": "Aw"}, ("03",)),
        ({"keys": "BA"}, ("", "04")),
        ({"delegation": "Aw", "keys": "BA"}, ("03", "04")),
    ):
        answers = {"challenge": {"challenge": "AA", "point": "AA", "app": "a"}, "login": {**given, **more}}
        found = credentials.enrol_board("port", lambda path, _, a=answers: a[path], "p", "t", "", str)
        assert taken.pop() == expected and found["author"] == "01" * 8
