"""Revocations reach sessions and documents whatever else fails; what is said of others is said once."""

import asyncio
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from peer_keys import PeerKeys

from hedgerow.crypto.claims import Claims
from hedgerow.custody.receipt import Receipt
from hedgerow.errors import HedgerowError
from hedgerow.sync.hello import GATEWAY, RELAY
from hedgerow_bigpeer import limits
from hedgerow_bigpeer.auth.apps import App
from hedgerow_bigpeer.auth.credential import Credential
from hedgerow_bigpeer.auth.database import now
from hedgerow_bigpeer.auth.ledger import issued_of
from hedgerow_bigpeer.auth.membership import Membership
from hedgerow_bigpeer.auth.registry import Registry
from hedgerow_bigpeer.auth.scope import ALL
from hedgerow_bigpeer.service import Service
from hedgerow_bigpeer.statements import Statements
from hedgerow_bigpeer.store.port import Submission
from hedgerow_bigpeer.store.rows import Frontier, JudgeEntry
from hedgerow_bigpeer.watch import Watch, Watched
from hedgerow_host.fork import Evidence


class Field:
    """A registry, a Big Peer's membership of its app, and one credential of somebody."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.registry = Registry(directory)
        self.app: App = self.registry.create_app("test", "farm", "production", "farm")
        self.membership = Membership(self.registry, self.app, b"keeper--")
        self.membership.refresh()
        self.keys = PeerKeys()
        self.number = os.urandom(8)
        at = now()
        granted = Credential(
            app=self.app.id,
            user="gw",
            expires=at + 999,
            issued=at,
            number=self.number,
            agreement=self.keys.agreement,
            sealing=self.keys.sealing,
            scope=ALL,
            mode=0,
            mesh=self.app.mesh_id,
            author=self.keys.author,
        )
        body = granted.sign(self.registry.issuers.private(self.app))
        self.registry.ledger.add(issued_of(granted, body, "hook", at))
        self.membership.refresh()

    def lose_issuers(self) -> None:
        """Take the issuers' keys away, when the Big Peer's own credential is over half of its time."""
        self.membership._is_worn = lambda own, at: True  # type: ignore[method-assign]
        self.registry.issuers._private.clear()
        for path in (self.directory / "issuers").iterdir():
            path.rename(path.with_suffix(".offline"))


class Session(Watched):
    """An open session of the holder."""

    def __init__(self, field: Field) -> None:
        claims = cast(Claims, field.membership.rules._named[next(iter(_named(field)))])
        self._keys: Any = type("", (), {"done": True, "claims": claims})()
        self.ended: list[str] = []
        self.news: list[bool] = []

    @property
    def keys(self) -> Any:
        return self._keys

    def end(self, error: HedgerowError) -> None:
        self.ended.append(error.code)

    async def tell(self, *, news: bool) -> None:
        self.news.append(news)


def _named(field: Field) -> list[bytes]:
    named = field.membership.rules._named
    return [name for name, claims in named.items() if claims.cti == field.number]


class Judging(Service):
    """Takes note of who is judged; `fails` so many times."""

    def __init__(self, author: bytes) -> None:
        self.frontiers = {author: None}  # type: ignore[dict-item]
        self.judged: list[bytes] = []
        self.fails = 0

    async def offer(self, submissions: Any) -> list[HedgerowError | None]:
        (submission,) = submissions
        assert isinstance(submission, Submission) and isinstance(submission.entries[0], JudgeEntry)
        if self.fails:
            self.fails -= 1
            raise HedgerowError("STORE_FAILED", "for a while")
        self.judged.append(submission.entries[0].author)
        return [None]


@pytest.fixture
def field(tmp_path: Path) -> Any:
    made = Field(tmp_path)
    yield made
    made.registry.close()


def test_without_an_issuers_key_revocations_still_reach_sessions_and_documents(field: Field) -> None:
    async def main() -> None:
        session, service = Session(field), Judging(field.keys.author)
        field.membership.unjudged.clear()
        watch = Watch(service, field.membership, lambda: [session])
        await watch.look()
        assert not session.ended and session.news == [True]
        field.registry.revocations.revoke("test", field.app, field.number, 3)
        field.lose_issuers()
        await watch.look()
        assert session.ended == ["CREDENTIAL_REVOKED"] and service.judged == [field.keys.author]
        with pytest.raises(HedgerowError, match="ISSUER_MISSING"):
            field.membership.refresh()

    asyncio.run(main())


def test_who_could_not_be_judged_is_judged_later(field: Field) -> None:
    async def main() -> None:
        session, service = Session(field), Judging(field.keys.author)
        field.membership.unjudged.clear()
        watch = Watch(service, field.membership, lambda: [session])
        field.registry.revocations.revoke("test", field.app, field.number, 3)
        service.fails = 2
        for _ in range(2):
            await watch.look()
            assert service.judged == []
        assert session.ended[0] == "CREDENTIAL_REVOKED", "before anybody is judged"
        for _ in range(2):
            await watch.look()
            assert service.judged == [field.keys.author]

    asyncio.run(main())


def test_a_session_that_cannot_be_told_keeps_nobody_from_being_judged(field: Field) -> None:
    async def main() -> None:
        session, service = Session(field), Judging(field.keys.author)

        async def fail(*, news: bool) -> None:
            raise HedgerowError("STORE_FAILED", "")

        session.tell = fail  # type: ignore[method-assign]
        field.registry.revocations.revoke("test", field.app, field.number, 3)
        await Watch(service, field.membership, lambda: [session]).look()
        assert field.keys.author in service.judged and session.ended

    asyncio.run(main())


def test_a_database_of_rights_that_fails_ends_no_session_and_an_api_key_that_is_out_does(
    field: Field,
) -> None:
    async def main() -> None:
        session, service = Session(field), Judging(field.keys.author)
        codes = ["REGISTRY_FAILED", "AUTH_INVALID"]

        async def ask_on() -> None:
            raise HedgerowError(codes.pop(0), "for a test")

        session.ask_on = ask_on
        watch = Watch(service, field.membership, lambda: [session])
        for ended in ([], ["AUTH_INVALID"]):
            field.membership.unjudged.add(field.keys.author)
            service.judged.clear()
            await watch.look()
            assert session.ended == ended and service.judged == [field.keys.author]

    asyncio.run(main())


def test_what_was_receipted_while_a_fork_was_written_down_counts(field: Field) -> None:
    """A commit under way, and other nodes until they look, receipt more than was known to be receipted."""

    async def main() -> None:
        author, other = field.keys.author, b"author-2"
        service, forks = Judging(author), field.registry.forks
        watch = Watch(service, field.membership, list)
        shown = Evidence(author, b"seal", ())
        field.membership.quarantine("test", 5, shown, b"held")
        forks.note("test", field.app, 5, shown._replace(author=other), b"held")
        for receipted, last in ((5, 5), (4, 5), (8, 8), (7, 8)):
            service.frontiers = {author: Frontier(author, "", 9, 9, receipted, 0)}
            await watch.look()
            assert field.membership.rules.forked(author) == forks.all(field.app)[author][0] == last
            assert field.membership.rules.forked(other) == forks.all(field.app)[other][0] == 5
        assert service.judged == [author] * 2, "when it forked, and when more of it counts"
        (row,) = field.registry.audit.newest(9, action="author.accept")
        assert (row.subject, row.detail["last"]) == (author.hex(), 8)

    asyncio.run(main())


def test_asking_again_and_again_makes_nothing_wait_twice() -> None:
    class Many:
        group = b""
        said = [(place, bytes(100)) for place in range(1, 2001)]

        def statements(self, since: int) -> list[tuple[int, bytes]]:
            return [entry for entry in self.said if entry[0] > since]

    class Room:
        def __init__(self, statements: int) -> None:
            self.left = statements
            self.places: list[int] = []

        def room(self) -> int:
            return 1 << 20 if self.left else 0

        def queue(self, kind: int, body: bytes) -> None:
            self.left -= 1
            self.places.append(len(body))

    async def main() -> None:
        statements = Statements(cast(Membership, Many()))
        for _ in range(50):
            await statements.ask(0)
        assert len(statements._waiting) == 2000
        room = Room(500)
        statements.fill(cast(Any, room))
        await statements.ask(0)
        assert len(statements._waiting) == 1500, "what was said is not said again"
        await statements.ask(1900)
        assert [place for place, _ in statements._waiting] == list(range(1901, 2001))
        await statements.ask(5)
        assert len(statements._waiting) == 100
        Many.said.append((2001, b""))
        assert await statements.look() and len(statements._waiting) == 101

    asyncio.run(main())


def test_who_gives_no_credit_is_not_waited_for_in_a_circle(monkeypatch: pytest.MonkeyPatch) -> None:
    class Signer:
        def sign_batch(self, receipts: list[Receipt]) -> bytes:
            return bytes(len(receipts))

    class Remote:
        keys = object()
        remote = None
        credit = 0

        def __init__(self) -> None:
            self.said: list[bytes] = []

        def room(self) -> int:
            return self.credit

        def queue(self, kind: int, body: bytes) -> None:
            self.said.append(body)

    monkeypatch.setattr(limits, "BATCH_QUIET_SECONDS", 0.0)
    statements, remote = Statements(cast(Membership, Signer())), cast(Any, Remote())
    statements.note(Receipt(b"bigpeer!", 1, b"author-1", 5))
    statements.fill(remote)
    # A loop that waits no time for what cannot be said takes all of the processor.
    assert statements.wait(remote) == limits.BATCH_SECONDS and remote.said == []
    remote.credit = 1 << 16
    assert statements.wait(remote) == 0
    statements.fill(remote)
    assert remote.said == [bytes(1)] and statements.wait(remote) == limits.BATCH_SECONDS


def test_a_gateway_gets_a_short_batch_besides_each_time_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    class Signer:
        def sign_batch(self, receipts: list[Receipt]) -> bytes:
            return b"".join([receipt.author[-1:] for receipt in receipts])

    class Remote:
        keys = object()

        def __init__(self, role: int) -> None:
            self.said: list[bytes] = []
            self.remote = SimpleNamespace(role=role)

        def room(self) -> int:
            return 1 << 16

        def queue(self, kind: int, body: bytes) -> None:
            self.said.append(body)

    monkeypatch.setattr(limits, "BATCH_QUIET_SECONDS", 0.0)
    monkeypatch.setattr(limits, "BATCH_SECONDS", 0.0)

    def told(role: int, authors: int) -> list[bytes]:
        statements, remote = Statements(cast(Membership, Signer())), cast(Any, Remote(role))
        for _ in range(3):
            for at in range(authors):
                statements.note(Receipt(b"bigpeer!", 1, b"author-%d" % at, 5))
            statements.fill(remote)
        return cast(list[bytes], remote.said)

    assert told(GATEWAY, 6) == [b"012345", b"0123", b"012345", b"4501", b"012345", b"2345"]
    assert told(GATEWAY, 4) == [b"0123"] * 3 and told(RELAY, 6) == [b"012345"] * 3
