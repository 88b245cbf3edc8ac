"""The demo's identity provider, the log that a relay edits, and what its audit makes of refused readings."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from hedgerow.log import ENTRY_OP, ENTRY_SEAL
from hedgerow_boards.sensor import Sample
from hedgerow_cli.demo.audit import audit_refused, audit_revoked
from hedgerow_cli.demo.intruders import EditedLog
from hedgerow_cli.demo.ledger import Acknowledgement, BoardLedger, Boot
from hedgerow_cli.demo.options import DemoOptions
from hedgerow_cli.demo.provider import server


@pytest.fixture
def url() -> Iterator[str]:
    with server(0, {"a token": {"authenticate": True, "userID": "ann"}}) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{serving.server_address[1]}/hook"
        serving.shutdown()
        thread.join()


def ask(url: str, body: bytes) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(url, body) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_the_provider_knows_its_tokens_only(url: str) -> None:
    assert ask(url, b'{"token": "a token"}') == (200, {"authenticate": True, "userID": "ann"})
    for body in (b'{"token": "another"}', b'{"token": ""}', b"{}", b"[]", b"{", b'{"token": "a toke"}'):
        status, answer = ask(url, body)
        assert (status, answer["authenticate"]) == (401, False), body


def test_one_digit_of_one_operation_is_another() -> None:
    body = bytes((9, 8, 7))
    entries = [(ENTRY_OP, 4, 4, body), (ENTRY_OP, 5, 5, body), (ENTRY_SEAL, 5, 5, body)]
    log = SimpleNamespace(author=b"author-1", read=lambda *_: entries)
    edited = EditedLog(log, 5)
    edited.author = b"author-2"
    assert log.author == b"author-2"
    assert edited.read(b"author-1", 0, 0, 9) == [entries[0], (ENTRY_OP, 5, 5, bytes((9, 8, 6))), entries[2]]
    assert edited.read(b"author-3", 0, 0, 9) == entries


def ledger() -> BoardLedger:
    board: Any = SimpleNamespace(name="board1", samples=[], sleeps=0)
    said = {n: Acknowledgement(n, n + 1, "1.0", float(n)) for n in range(1, 7)}
    return BoardLedger(board, acknowledged=said)


def test_a_reading_of_who_may_not_write_is_a_leak() -> None:
    assert vars(audit_refused(ledger(), 7, [])) | {"refused": 0} == vars(audit_refused(ledger(), 1, [])) | {
        "missing": 0
    }
    assert audit_refused(ledger(), 7, []).refused == 6
    assert audit_refused(ledger(), 5, []).missing == 2
    assert not audit_refused(ledger(), 7, [{"n": 1}]).clean


def test_what_came_after_the_last_accepted_operation_is_a_leak() -> None:
    documents = [{"n": n, "_id": ["a", n + 1]} for n in range(1, 7)]
    found = audit_revoked(ledger(), "t", documents[:3], 4)
    assert (found.leaked, found.revoked_after, found.at_big_peer, found.missing) == (0, 3, 3, 0)
    assert audit_revoked(ledger(), "t", documents[:2], 4).missing == 1
    assert audit_revoked(ledger(), "t", documents, 4).leaked == 3


def test_a_revoked_board_may_have_learnt_the_time_too_late() -> None:
    said = ledger()
    said.board.samples += [Sample(n - 0.1, n, "1.0") for n in range(1, 7)]
    documents: list[dict[str, Any]] = [
        {"n": n, "_id": ["a", n + 1], "t": Decimal("1.0")} for n in range(1, 4)
    ]
    # Readings 1 to 3 count, operations 2 to 4, the last of them said at 3.0.
    for met, wrong in ((None, 0), (3.5, 0), (2.5, 3)):
        said.boots[:] = [Boot(0.5, met)]
        assert audit_revoked(said, "t", documents, 4).time_wrong == wrong, met
    false = [each | {"_time": "2020-01-01T00:00:00Z", "_time_error_ms": 5} for each in documents]
    said.boots[:] = [Boot(0.5)]
    assert audit_revoked(said, "t", false, 4).time_wrong == 3


@pytest.mark.parametrize(
    ("options", "tried"),
    [
        (DemoOptions(boards=5), (1, 2)),
        (DemoOptions(boards=4), (1, None)),
        (DemoOptions(boards=3), (None, None)),
        (DemoOptions(boards=3, near=True), (1, 2)),
        (DemoOptions(boards=2, near=True), (1, None)),
        (DemoOptions(boards=2), (None, None)),
        (DemoOptions(boards=1), (None, None)),
        (DemoOptions(boards=5, playground=True), (None, None)),
        (DemoOptions(boards=5, air=False), (None, None)),
    ],
)
def test_who_is_tried_is_no_other_special_board(options: DemoOptions, tried: tuple[int | None, ...]) -> None:
    assert (options.barred, options.revoked) == tried
    assert not {options.barred, options.revoked} & {options.leaf, options.far, 0} - {None}
