"""A gateway as a delegate: whom it enrols, whom it refuses, what it shows the Big Peer."""

import asyncio
import json
import os
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_ble import Ether
from gateway_kit import run, until
from test_board_keys import MODE, ROOT, Issuer, enrol, running, text

from hedgerow.crypto import claims
from hedgerow.crypto.confidential import author_key, read_keys
from hedgerow.crypto.credentials import Credential, Trust
from hedgerow.crypto.identity import Identity
from hedgerow.crypto.members import Members
from hedgerow.crypto.port import P256, finish
from hedgerow.errors import HedgerowError
from hedgerow.limits import MAX_OWN_AUTHORS
from hedgerow.memory import MemoryLog, MemoryStore
from hedgerow.peer import Peer
from hedgerow_gateway import limits, uplink
from hedgerow_gateway.delegate import Delegate, _know, know_boards
from hedgerow_gateway.enrolment import Enrolment, to_bytes
from hedgerow_gateway.forks import Forks
from hedgerow_gateway.membership import HostMembers
from hedgerow_gateway.sqlite_log import SqliteLog
from hedgerow_host.fork import Evidence

NOW = 1_800_000_000
DAY = 86_400


def made(path: Path, peers: int = 2, now_s: Callable[[], float] = lambda: NOW) -> Delegate:
    """Return a gateway whose Big Peer has given it a delegation for readings and alarms."""
    enrol(path / "identity.json")
    enrolment = Enrolment(path / "identity.json")
    delegate = Delegate(enrolment, now_s)
    delegate.ask(giving(enrolment, peers), ["readings", "alarms"], peers, 30 * DAY)
    return delegate


def giving(enrolment: Enrolment, peers: int, issuer: Issuer = ROOT, **more: Any) -> Any:
    """Answer as a Big Peer that is asked for a delegation."""
    given = {
        "SEALING_KEY": enrolment.identity.sealing,
        "KINDS": claims.DELEGATES,
        "SCOPE": [["readings", 3], ["alarms", 2]],
        "DELEGATION": [["readings", "alarms"], peers, NOW + 30 * DAY],
    }
    value = issuer.credential(enrolment.identity.agreement, MODE=MODE, **{**given, **more})

    def post(path: str, body: dict[str, Any]) -> dict[str, Any]:
        if path == "challenge":
            return {"challenge": text(bytes(40)), "point": text(ROOT.public), "app": "app-1"}
        assert path == "delegate" and body["credential"] == enrolment.shown
        return {"credential": text(value), "keepers": [text(b"keeper")]}

    return post


def board() -> Identity:
    return Identity.make(P256(os.urandom))


def ask(delegate: Delegate, who: Identity, change: dict[str, bytes] | None = None, **wanted: Any) -> Any:
    challenge = delegate.post("challenge", {})
    proof = who.prove(challenge["app"], to_bytes(challenge["challenge"]), to_bytes(challenge["point"]))
    shown = {name: text(value) for name, value in {**proof, **(change or {})}.items()}
    return delegate.post("login", {"proof": shown, **wanted})


def test_what_it_issues_is_good_for_who_knows_the_issuer(tmp_path: Path) -> None:
    delegate, who = made(tmp_path), board()
    answer = ask(delegate, who, token="pump 1", seconds=DAY, collections=["alarms"])
    found = Credential(to_bytes(answer["credential"]))
    trust = Trust(P256(os.urandom), ROOT.roots, "app-1", MODE)
    finish(trust.accept(found, to_bytes(answer["delegation"])))
    said = found.claims
    assert (said.subject, said.scope, said.kinds) == ("pump 1", [["alarms", 2]], 0)
    assert (said.issued, said.expires, said.author) == (NOW, NOW + DAY, who.author)
    assert answer["issuers"] == [text(ROOT.public)] and answer["keepers"] == [text(b"keeper")]
    # By default all that the delegation has, as long as it lasts.
    rest = Credential(to_bytes(ask(delegate, board())["credential"])).claims
    assert rest.scope == [["readings", 3], ["alarms", 2]] and rest.expires == NOW + 30 * DAY
    assert rest.subject.startswith("board-")


def test_a_board_gets_the_keys_that_the_gateway_has_and_its_rights_allow(tmp_path: Path) -> None:
    delegate, who = made(tmp_path), board()
    assert "keys" not in ask(delegate, board())
    whole, other = bytes(range(32)), bytes(range(32, 64))
    enrolment = Enrolment(tmp_path / "identity.json")
    granted = [["readings", 1, whole], ["alarms", 2, other], ["alarms", 3, bytes(16)], ["visits", 1, other]]
    enrolment.keep_granted(enrolment.author, granted)
    # It may read readings, and only write alarms; the gateway's own key of an epoch is nobody else's.
    for collections, keys in (
        (None, [["readings", 1, whole], ["alarms", 2, author_key(other, who.author)]]),
        (["alarms"], [["alarms", 2, author_key(other, who.author)]]),
    ):
        answer = ask(delegate, who, collections=collections)
        assert read_keys(to_bytes(answer["keys"])) == keys


def test_so_many_boards_and_each_as_often_as_it_likes(tmp_path: Path) -> None:
    delegate, first = made(tmp_path, 2), board()
    ask(delegate, first)
    ask(delegate, board())
    ask(delegate, first)
    with pytest.raises(HedgerowError, match="DELEGATION_FULL"):
        ask(delegate, board())
    # Another process counts the same.
    with pytest.raises(HedgerowError, match="DELEGATION_FULL"):
        ask(Delegate(Enrolment(tmp_path / "identity.json"), lambda: NOW), board())
    assert delegate.counts() == {"waiting": 3, "countersigned": 0, "refused": 0}
    mode = {path.stat().st_mode & 0o777 for path in (tmp_path / "identity.delegated").iterdir()}
    assert mode == {0o600}


def test_a_clock_that_is_behind_does_no_harm_and_an_end_is_an_end(tmp_path: Path) -> None:
    delegate = made(tmp_path, now_s=lambda: 0.0)
    assert Credential(to_bytes(ask(delegate, board())["credential"])).claims.issued == NOW
    late = Delegate(Enrolment(tmp_path / "identity.json"), lambda: NOW + 30 * DAY)
    with pytest.raises(HedgerowError, match="CREDENTIAL_EXPIRED"):
        ask(late, board())


def test_who_does_not_prove_its_keys_and_log_gets_nothing(tmp_path: Path) -> None:
    delegate, who, other = made(tmp_path), board(), board()
    for change, code in (
        ({"sealing": other.sealing}, "PROOF_INVALID"),
        ({"agreement": other.agreement}, "PROOF_INVALID"),
        ({"author": other.author}, "PROOF_INVALID"),
        ({"salt": bytes(16)}, "AUTHOR_TAKEN"),
        ({"signature": bytes(64)}, "PROOF_INVALID"),
        ({"tag": bytes(16)}, "PROOF_INVALID"),
        ({"challenge": bytes(40)}, "CHALLENGE_INVALID"),
    ):
        with pytest.raises(HedgerowError, match=code):
            ask(delegate, who, change)
    for wanted in ({"collections": ["readings", "secrets"]}, {"collections": ["*"]}):
        with pytest.raises(HedgerowError, match="DELEGATION_INVALID"):
            ask(delegate, who, **wanted)
    with pytest.raises(HedgerowError, match="DELEGATION_INVALID"):
        ask(delegate, delegate._enrolment.identity)
    # A challenge is good once.
    challenge = delegate.post("challenge", {})
    parts = (to_bytes(challenge[name]) for name in ("challenge", "point"))
    shown = {name: text(value) for name, value in who.prove("app-1", *parts).items()}
    delegate.post("login", {"proof": shown})
    with pytest.raises(HedgerowError, match="CHALLENGE_INVALID"):
        delegate.post("login", {"proof": shown})
    assert len(delegate.boards()) == 1


def test_an_answer_that_is_no_delegation_of_ours_is_refused(tmp_path: Path) -> None:
    enrol(tmp_path / "identity.json")
    enrolment = Enrolment(tmp_path / "identity.json")
    delegate = Delegate(enrolment, lambda: NOW)
    for more, code in (
        ({"SEALING_KEY": board().sealing}, "ENROLMENT_ANSWER"),
        ({"DELEGATION": None}, "ENROLMENT_ANSWER"),
        ({"issuer": Issuer(2)}, "CREDENTIAL_ISSUER"),
        ({"ISS": "app-2"}, "CREDENTIAL_FOREIGN"),
    ):
        with pytest.raises(HedgerowError, match=code):
            delegate.ask(giving(enrolment, 2, **more), ["readings"], 2, DAY)
    with pytest.raises(HedgerowError, match="DELEGATION_NONE"):
        ask(delegate, board())


def test_it_shows_what_fits_and_keeps_what_became_of_each(tmp_path: Path) -> None:
    delegate = made(tmp_path, 20)
    for _ in range(20):
        ask(delegate, board())
    asked: list[int] = []

    def post(path: str, body: dict[str, Any]) -> dict[str, Any]:
        assert path == "countersign" and len(json.dumps(body)) < 4096
        asked.append(len(body["credentials"]))
        if len(asked) > 2:
            raise HedgerowError("UPLINK_LOST", "half way")
        said = {"error": {"code": "DELEGATION_FULL", "description": ""}}
        return {"credentials": [{"credential": "x"}] * (asked[-1] - 1) + [said]}

    with pytest.raises(HedgerowError, match="UPLINK_LOST"):
        delegate.countersign(post)
    settled = asked[0] + asked[1]
    assert asked[0] > 1
    assert delegate.counts() == {"waiting": 20 - settled, "countersigned": settled - 2, "refused": 2}
    for answer in ({}, {"credentials": []}, {"credentials": [1] * 6}, {"credentials": [[]] * 6}):
        with pytest.raises(HedgerowError, match="ENROLMENT_ANSWER"):
            delegate.countersign(lambda path, body, answer=answer: answer)
    assert delegate.counts()["waiting"] == 20 - settled


def test_a_file_of_a_board_that_is_broken_is_a_coded_error(tmp_path: Path) -> None:
    delegate = made(tmp_path)
    ask(delegate, board())
    (path,) = (tmp_path / "identity.delegated").glob("0*.json")
    for broken in ("{", "[]", "{}", json.dumps({"file": "x", "credential": "AAAA"})):
        path.write_text(broken)
        with pytest.raises(HedgerowError, match="IDENTITY_FILE"):
            delegate.boards()


def test_who_is_met_under_a_delegation_is_counted_here_too(tmp_path: Path) -> None:
    delegate = made(tmp_path, 9)
    trust = Trust(P256(os.urandom), ROOT.roots, "app-1", MODE)
    store = MemoryStore()
    members = Members(MemoryLog(store), trust, board())
    identities = [board() for _ in range(3)]
    delegate.ask(giving(delegate._enrolment, 2), ["readings"], 2, DAY)
    with pytest.MonkeyPatch.context() as patched:
        # As who has the gateway's key could.
        patched.setattr(Delegate, "boards", lambda self: [])
        answers = [ask(delegate, who) for who in (*identities, identities[0])]
    for answer, good in zip(answers, (True, True, False, True), strict=True):
        found = Credential(to_bytes(answer["credential"]))
        finish(trust.accept(found, to_bytes(answer["delegation"])))
        if good:
            members.meet(found)
        else:
            with pytest.raises(HedgerowError, match="DELEGATION_FULL"):
                members.meet(found)
        assert members.knows(found.claims.author or b"") == good


def test_a_peer_has_so_many_logs_here_too_and_after_each_start(tmp_path: Path) -> None:
    """The limit of the Big Peer (SPEC 12.4), before that has heard of any."""
    delegate, who = made(tmp_path), board()
    enrolment = delegate._enrolment
    found = []
    for turn in range(MAX_OWN_AUTHORS + 1):
        if turn == MAX_OWN_AUTHORS:
            with pytest.raises(HedgerowError, match="KEY_WORN_OUT"):
                ask(delegate, who)
        with pytest.MonkeyPatch.context() as patched:
            if turn == MAX_OWN_AUTHORS:
                # As who has the gateway's key could.
                patched.setattr(Delegate, "boards", lambda self: [])
            answer = ask(delegate, who)
        found.append(Credential(to_bytes(answer["credential"])))
        finish(enrolment.trust.accept(found[-1], to_bytes(answer["delegation"])))
        who = who.reformatted()
    codes = []
    for shown in (found[:2], found[1:]):
        log = SqliteLog(tmp_path / "log.db")
        members = HostMembers(log, enrolment.trust, enrolment.identity)
        for each in shown:
            try:
                members.meet(each)
                codes.append("")
            except HedgerowError as error:
                codes.append(error.code)
        log.close()
    assert codes == [""] * (MAX_OWN_AUTHORS + 1) + ["KEY_WORN_OUT"]


def test_what_a_session_shows_is_not_newer_than_what_was_proven(tmp_path: Path) -> None:
    """Another delegate may have signed it for keys that it does not have: see SPEC 12.6."""
    delegate, who = made(tmp_path), board()
    ask(delegate, who, collections=["alarms"])
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(delegate, "_now_s", lambda: NOW + 60)
        later = ask(delegate, who, collections=["readings"])
    trust = Trust(P256(os.urandom), ROOT.roots, "app-1", MODE)
    members = Members(MemoryLog(MemoryStore()), trust, board())
    shown = Credential(to_bytes(later["credential"]))
    finish(trust.accept(shown, to_bytes(later["delegation"])))
    known = delegate.boards()

    def may() -> list[str]:
        holder = members.holder(who.author)
        return [entry[0] for entry in holder.scope] if holder else []

    members.meet(shown)
    assert may() == ["readings"]
    _know(known[:1], members)
    assert may() == ["alarms"]
    _know([replace(known[1], state="PROOF_INVALID")], members)
    assert may() == ["alarms"]
    _know(known[1:], members)
    assert may() == ["readings"]


def test_whom_a_gateway_has_met_counts_after_each_start(tmp_path: Path) -> None:
    """SPEC 12.6. By its own files it has enrolled none of them, as who has its key could do elsewhere."""
    delegate = made(tmp_path / "elsewhere", 9)
    delegate.ask(giving(delegate._enrolment, 2), ["readings"], 2, DAY)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Delegate, "boards", lambda self: [])
        answers = [ask(delegate, board()) for _ in range(3)]
    enrol(tmp_path / "identity.json")
    codes: list[str] = []

    async def start(*shown: Any) -> None:
        async with running(tmp_path, Ether()) as gateway:
            enrolment = gateway.enrolment
            assert enrolment is not None
            await until(lambda: enrolment.on_met, "started")
            for answer in shown:
                found = Credential(to_bytes(answer["credential"]))
                finish(enrolment.trust.accept(found, to_bytes(answer["delegation"])))
                try:
                    assert enrolment.on_met is not None
                    enrolment.on_met(found)
                    codes.append("")
                except HedgerowError as error:
                    codes.append(error.code)

    for turn in (answers[:1], answers[1:2], answers[:1], answers[2:]):
        run(start(*turn))
    assert codes == ["", "", "", "DELEGATION_FULL"]


def test_a_board_that_is_refused_hides_none_that_were_enrolled_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delegate = made(tmp_path, 9)
    trust = Trust(P256(os.urandom), ROOT.roots, "app-1", MODE)
    members = Members(MemoryLog(MemoryStore()), trust, board())
    boards = [board() for _ in range(4)]
    for who in boards[:3]:
        ask(delegate, who)
    meet, refused = members.meet, boards[1].author

    def choosy(found: Credential, proven: bool = False) -> None:
        if found.claims.author == refused:
            raise HedgerowError("DELEGATION_FULL", "for a test")
        meet(found, proven)

    monkeypatch.setattr(members, "meet", choosy)
    monkeypatch.setattr(limits, "DELEGATED_LOOK_S", 0)
    broken = tmp_path / "identity.delegated" / "000009-x.json"

    async def main() -> list[bool]:
        task = asyncio.create_task(know_boards(delegate, members))
        await asyncio.sleep(0.01)
        first = [members.knows(who.author) for who in boards]
        # What could not be read is read again, without the folder having another time by then.
        broken.write_text("{")
        monkeypatch.setattr(delegate, "changed", lambda: 1)
        await asyncio.sleep(0.01)
        broken.unlink()
        ask(delegate, boards[3])
        await asyncio.sleep(0.01)
        task.cancel()
        return first

    assert asyncio.run(main()) == [True, False, True, False]
    assert [members.knows(who.author) for who in boards] == [True, False, True, True]


def test_evidence_of_forks_keeps_no_board_from_being_countersigned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delegate = made(tmp_path)
    ask(delegate, board())
    members = Members(MemoryLog(MemoryStore()), Trust(P256(os.urandom), ROOT.roots, "app-1", MODE), board())
    forks, authors = Forks(members), [bytes((n,)) * 8 for n in range(4)]
    monkeypatch.setattr(Evidence, "is_word", lambda self, rules: True)
    for author in authors:
        assert forks.found(Evidence(author, bytes(80), (bytes(16),)))
    codes = {0: "CREDENTIAL_UNKNOWN", 1: "ENROLMENT_ANSWER", 2: "SEAL_INVALID"}
    asked: list[str] = []

    def post(path: str, body: dict[str, Any]) -> dict[str, Any]:
        asked.append(path)
        if path == "countersign":
            return {"credentials": [{"credential": "x"}]}
        code = codes.get(to_bytes(body["author"])[0])
        if code:
            raise HedgerowError(code, "for a test")
        return {}

    monkeypatch.setattr(uplink, "poster", lambda url: post)
    made_uplink = uplink.Uplink(
        Peer(MemoryLog(), 0, name="g", mesh=b"abc"),
        "ws://127.0.0.1:1/",
        lambda: 0,
        random.Random(1),
        delegate=delegate,
        forks=forks,
    )
    asyncio.run(made_uplink._show())
    assert asked == ["countersign", *["forks"] * 4]
    assert delegate.counts() == {"waiting": 0, "countersigned": 1, "refused": 0}
    # A verdict over the evidence is final; who does not know its author yet, or has a fault, is asked again.
    codes.clear()
    asyncio.run(made_uplink._show())
    assert asked[5:] == ["forks"] * 2 and forks.waiting == 0
