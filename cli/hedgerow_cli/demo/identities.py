"""Who is who in the demo: a production app, an identity provider that vouches for its peers, and its keys."""

import json
import os
import secrets
from pathlib import Path
from typing import Any

from hedgerow_bigpeer.auth import manage
from hedgerow_bigpeer.auth.registry import Registry
from hedgerow_boards.board import Board
from hedgerow_cli.demo.options import MESH
from hedgerow_cli.flashing.credentials import enrol_board
from hedgerow_gateway.enrolment import SYNC, Enrolment, Post, poster, to_text

APP = "demo"
GATEWAY, RELAY = "gateway", "relay"
_ACTOR, _PROVIDER = "demo", "provider"
_EVERYTHING = {"everything": True}
_NOTHING = {"everything": False, "queriesByCollection": {}}
_DAY_S = 86_400


class Identities:
    """The app in the Big Peer's folder, before the Big Peer starts and while it runs. Close it at the end.

    `key` is an API key that may read, `users` the file for the identity provider (`provider`).
    """

    app = APP

    def __init__(self, directory: Path, provider: str, boards: dict[str, bool]) -> None:
        """`provider` is the URL of its webhook; `boards` says by name which may write."""
        self._directory = directory
        self._registry = Registry(directory / "bigpeer")
        manage.create_app(self._registry, _ACTOR, APP, "production", MESH)
        hook = {"type": "webhookUrl", "webhookUrl": provider, "allowPrivate": True}
        manage.set_provider(self._registry, _ACTOR, APP, _PROVIDER, hook)
        reader = {"name": "reader", "verbs": ["read", "status"], "days": 1}
        self.key = str(manage.create_key(self._registry, _ACTOR, APP, reader)["key"])
        may_write = {GATEWAY: True, RELAY: False, **boards}
        self._tokens = {user: secrets.token_urlsafe(24) for user in may_write}
        self.users = directory / "users.json"
        answers = {self._tokens[user]: _answer(user, writes) for user, writes in may_write.items()}
        handle = os.open(self.users, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(answers, file)
        self._numbers: dict[str, bytes] = {}

    def close(self) -> None:
        """Close the registry."""
        self._registry.close()

    def identity(self, user: str, url: str) -> Path:
        """Enrol a peer of this host at the Big Peer; return the file of its keys and its credential."""
        path = self._directory / user / "identity.json"
        path.parent.mkdir(exist_ok=True)
        self._took(user, Enrolment(path).log_in(_post(url), _PROVIDER, self._tokens[user]))
        return path

    def enrol(self, board: Board, url: str) -> None:
        """Have a board make its keys and get it a credential; it waits at its REPL then."""
        answer = enrol_board(
            board.port, _post(url), _PROVIDER, self._tokens[board.name], "", to_text, start=False
        )
        self._took(board.name, answer)

    def _took(self, user: str, answer: dict[str, Any]) -> None:
        self._numbers[user] = bytes.fromhex(answer["number"])

    def revoke(self, user: str, last: int) -> None:
        """Revoke a peer's credential; of its operations those up to `last` stay accepted."""
        manage.revoke(self._registry, _ACTOR, APP, self._numbers[user], last)

    def named(self, user: str, code: str) -> int:
        """Return how often the audit log names a peer for what it brought of others."""
        rows = manage.list_audit(self._registry, 1000, action="seal.refuse")["audit"]
        actor = f"credential:{self._numbers[user].hex()}:{user}"
        return sum(row["actor"] == actor and row["detail"].get("code") == code for row in rows)


def _post(url: str) -> Post:
    return poster(f"ws{url.removeprefix('http')}{SYNC}")


def _answer(user: str, writes: bool) -> dict[str, Any]:
    permissions = {"read": _EVERYTHING, "write": _EVERYTHING if writes else _NOTHING}
    return {"authenticate": True, "userID": user, "expirationSeconds": _DAY_S, "permissions": permissions}
