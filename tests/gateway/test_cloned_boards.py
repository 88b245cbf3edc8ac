"""A gateway that meets two boards with one key: it keeps one line, and has the evidence for the Big Peer."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from test_board_keys import CORE

from hedgerow.errors import HedgerowError
from hedgerow.limits import MAX_SEAL_OPERATIONS
from hedgerow.sync.exchange import Exchange
from hedgerow.sync.hello import RELAY
from hedgerow_gateway import limits
from hedgerow_gateway.forks import Forks, WaryExchange, make_exchange
from hedgerow_host.fork import Evidence

assert CORE

from enrolled_kit import Agreed, Enrolled, hand  # noqa: E402

SEED = 77


def board(*numbers: int) -> Enrolled:
    """Return a board with ever the same keys, that has written these and sealed after each."""
    made = Enrolled(SEED, role=RELAY)
    for number in numbers:
        made.put("readings", number, {"n": number})
        made.peer.seal(0)
    return made


def met(gateway: Enrolled, *boards: Enrolled) -> Forks:
    """Return the evidence of a gateway that knows the credentials of boards."""
    for each in boards:
        own = each.members.own
        gateway.members.add(own.name, own.claims)
    return Forks(gateway.members)


def session(gateway: Enrolled, other: Enrolled, make: Callable[..., Exchange]) -> Exchange:
    """Hold a session; return the gateway's side."""
    near = make(gateway.peer, 0, limits.LINGER_MS, None, Agreed(other.members.own.claims))
    far = Exchange(other.peer, 0, keys=Agreed(gateway.members.own.claims))  # type: ignore[arg-type]
    for _ in range(200):
        moved = False
        for one, two in ((near, far), (far, near)):
            record = one.outgoing(200, 0)
            if record:
                moved = True
                two.receive(bytes(record), 0)
        if not moved:
            break
    assert near.error is None and far.error is None
    return near


def wary(forks: Forks) -> Callable[..., Exchange]:
    return lambda peer, now, linger, about, keys: make_exchange(forks, peer, now, linger, about, keys)


def shown(forks: Forks) -> list[dict[str, Any]]:
    said: list[dict[str, Any]] = []

    def post(path: str, body: dict[str, Any]) -> dict[str, Any]:
        assert path == "forks"
        said.append(body)
        return {}

    forks.show(post)
    return said


def test_a_clone_whose_seals_end_elsewhere_is_noticed_and_the_first_line_stays() -> None:
    gateway, true, clone = Enrolled(5), board(1, 2, 3), Enrolled(SEED, role=RELAY)
    forks = met(gateway, true, clone)
    hand(true, gateway)
    author = true.identity.author
    held = gateway.log.held(author)
    clone.put("readings", 1, {"n": 1})
    for number in range(14, 24):
        clone.put("readings", number, {"n": number})
    clone.peer.seal(0)
    near = session(gateway, clone, wary(forks))
    assert near.refused == {author: "SEAL_INVALID"} and forks.waiting == 1
    # What is behind the last good seal was nobody's word, and is gone.
    assert gateway.log.held(author) == gateway.log.sealed(author) == held
    (body,) = shown(forks)
    marks = base64.urlsafe_b64decode(body["marks"] + "==")
    assert body["app"] == "app-1" and len(marks) == 16 * clone.log.held(author)
    assert forks.waiting == 0 and shown(forks) == []


def test_the_board_itself_that_comes_again_is_no_fork() -> None:
    gateway, true = Enrolled(5), board(1, 2, 3)
    forks = met(gateway, true)
    hand(true, gateway, 2)
    true.put("readings", 4, {"n": 4})
    near = session(gateway, true, wary(forks))
    author = true.identity.author
    assert not near.refused and gateway.log.sealed(author) == true.log.held(author) and not forks.waiting


def test_what_no_key_of_the_author_has_sealed_is_no_evidence() -> None:
    """A relay makes up operations under the author's name, with a seal that the key did not make."""
    gateway, true, false = Enrolled(5), board(1, 2, 3), board(1, 2, 9, 10, 11)
    forks = met(gateway, true, false)
    hand(true, gateway)

    def forged(key: bytes, message: bytes, signature: bytes) -> bool:
        return False

    gateway.members._verify = forged
    session(gateway, false, wary(forks))
    assert forks.waiting == 0


def test_evidence_waits_for_a_big_peer_that_can_see_it() -> None:
    gateway, true, clone = Enrolled(5), board(1, 2, 3), board(1, 12, 13, 14, 15)
    forks = met(gateway, true, clone)
    hand(true, gateway)
    session(gateway, clone, wary(forks))
    assert forks.waiting == 1
    codes = ["UPLINK_LOST", "FORK_UNPROVEN", ""]

    def post(path: str, body: dict[str, Any]) -> dict[str, Any]:
        code = codes.pop(0)
        if code:
            raise HedgerowError(code, "for a test")
        return {}

    with pytest.raises(HedgerowError, match="UPLINK_LOST"):
        forks.show(post)
    forks.show(post)
    assert forks.waiting == 1
    forks.show(post)
    assert forks.waiting == 0 and codes == []
    # Once it is known everywhere nothing is asked for any more.
    gateway.members.quarantine(true.identity.author, 3)
    session(gateway, clone, wary(forks))
    assert forks.waiting == 0


def test_evidence_over_as_many_operations_as_a_seal_covers_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    forks = Forks(Enrolled(5).members)
    monkeypatch.setattr(Evidence, "is_word", lambda self, rules: True)
    assert forks.found(Evidence(bytes(8), bytes(105), (bytes(16),) * MAX_SEAL_OPERATIONS))
    (body,) = shown(forks)
    assert len(base64.urlsafe_b64decode(body["marks"] + "==")) == 16 * MAX_SEAL_OPERATIONS
    assert len(json.dumps(body)) < 6144 - 400, "with a head it has room where the Big Peer looks at strangers"


def test_evidence_of_the_newest_authors_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    forks = Forks(Enrolled(5).members)
    monkeypatch.setattr(Evidence, "is_word", lambda self, rules: True)
    authors = [bytes((n,)) * 8 for n in range(limits.FORKS + 2)]
    for author in authors:
        assert forks.found(Evidence(author, bytes(105), (bytes(16),)))
    bodies = shown(forks)
    assert [base64.urlsafe_b64decode(body["author"] + "==") for body in bodies] == authors[2:]


def test_without_anybody_to_show_it_to_sessions_are_as_ever() -> None:
    gateway = Enrolled(5)
    made = make_exchange(None, gateway.peer, 0, 0, [], None)
    assert type(made) is Exchange and not isinstance(made, WaryExchange)
