"""The store's verdicts: the same documents and counts in any order of operations, seals and rules."""

import asyncio
import random
import sys
from pathlib import Path
from typing import Any

import pytest

CORE = Path(__file__).parent.parent / "core"
sys.path[:0] = [str(CORE / "crypto" / "portable"), str(CORE / "portable")]

from bigpeer_harness import Local, local  # noqa: E402
from crypto_kit import DAY, NOW  # noqa: E402
from enrolled_kit import Enrolled, entries, hand, revocation, varint  # noqa: E402

from hedgerow.codec.segment import encode_segment  # noqa: E402
from hedgerow.crypto.rules import Rules  # noqa: E402
from hedgerow.errors import HedgerowError  # noqa: E402
from hedgerow.operation import UPDATE, h16  # noqa: E402
from hedgerow.trust.seal import NO_SEAL, make_seal, seal_hash  # noqa: E402
from hedgerow_bigpeer import limits  # noqa: E402
from hedgerow_bigpeer.intake import Intake  # noqa: E402
from hedgerow_bigpeer.store.rows import (  # noqa: E402
    Entry,
    JudgeEntry,
    Operation,
    SchemaEntry,
    SealEntry,
    Submission,
)
from hedgerow_bigpeer.store.sqlite import SqliteStore  # noqa: E402

JUNE = 770_000_000_000
COLLECTIONS = ("cars", "boats")


def written(one: Enrolled) -> list[Entry]:
    """Return what a peer wrote, as the store takes it."""
    author = one.identity.author
    found: list[Entry] = [SchemaEntry(schema.encoded) for schema in one.peer.schemas.values()]
    for kind, first, _, body in entries(one):
        found.append(SealEntry(author, body) if kind else Operation(author, first, body))
    return found


class Story:
    """Three authors: one whose rights change twice, one without a right to cars, and one that is revoked."""

    def __init__(self) -> None:
        writer, guest, thief = self.all = (
            Enrolled(11, [["cars", 3]]),
            Enrolled(12, [["boats", 3]]),
            Enrolled(13),
        )
        self.credentials = [peer.members.own for peer in self.all]
        writer.put("cars", "w1", {"color": "red"})
        writer.put("boats", "w2", {"color": "red"})
        writer.peer.seal(0)
        self._renew(writer, [["boats", 2, "color = 'blue'"]], NOW + DAY)
        writer.put("cars", "w3", {"color": "red"})
        writer.put("boats", "w4", {"color": "blue"})
        writer.peer.seal(0)
        self._renew(writer, [["*", 3]], NOW + 2 * DAY)
        writer.put("cars", "w6", {"color": "red"})
        guest.put("cars", "g1", {"color": "green"})
        guest.put("boats", "g2", {"color": "green"})
        for name in ("t1", "t2"):
            thief.put("cars", name, {"color": "black"})
        thief.put("cars", "w1", {"color": "black"}, UPDATE)
        for one in self.all:
            one.peer.seal(0)
        self.revocation = (thief.identity.author, thief.members.own.claims.cti)

    def _renew(self, one: Enrolled, scope: list[Any], at: int) -> None:
        one.renew(scope, at)
        self.credentials.append(one.members.own)

    def reader(self) -> Enrolled:
        """Return a peer that knows and holds all of it."""
        reader = Enrolled(99)
        for found in self.credentials:
            reader.members.add(found.name, found.claims)
        author, cti = self.revocation
        reader.members.take(varint(NOW) + revocation(author, cti, 2))
        for one in self.all:
            hand(one, reader)
        return reader


async def shown(store: SqliteStore, collection: str) -> list[str]:
    from hedgerow.codec import cbor

    async with store.snapshot() as snapshot:
        rows = await snapshot.documents(collection, None, 100)
        return sorted(str(cbor.decode(row.id)) for row in rows)


@pytest.mark.parametrize("seed", range(8))
def test_the_same_documents_in_any_order(seed: int, tmp_path: Path) -> None:
    story = Story()
    author, cti = story.revocation
    expected = {name: story.reader().show(name) for name in COLLECTIONS}
    assert expected == {"cars": ["t1", "w1", "w6"], "boats": ["g2", "w4"]}
    chance = random.Random(seed)

    async def main() -> None:
        store = await SqliteStore.open(tmp_path / "store.db", full_sync=False)
        store.rules = rules = Rules(
            lambda key, message, signature: story.all[0].members._verify(key, message, signature)
        )
        queues = [written(one) for one in story.all]
        chance.shuffle(said := [*story.credentials, 1, 2])
        while any(queues) or said:
            if (said and chance.random() < 0.4) or not any(queues):
                found = said.pop()
                if isinstance(found, int):
                    news = rules.revoke(author, cti, found)
                    judged = author
                else:
                    news, judged = rules.add(found.name, found.claims), found.claims.author
                if news:
                    await store.ingest([Submission([JudgeEntry(judged)])], JUNE)
                continue
            queue = chance.choice([queue for queue in queues if queue])
            count = chance.randint(1, 3)
            done = await store.ingest([Submission(queue[:count], whole=False)], JUNE)
            if done.errors[0] is None:
                del queue[:count]
            else:
                # A seal whose credential is not known yet; the rest of the run waits.
                assert done.errors[0].code == "CREDENTIAL_UNKNOWN", done.errors
                while queue and not isinstance(queue[0], SealEntry):
                    await store.ingest([Submission([queue.pop(0)])], JUNE)
        assert {name: await shown(store, name) for name in COLLECTIONS} == expected
        refused = await store.refused()
        assert sorted((code, count) for _, code, count, _ in refused) == [
            ("WRITE_FORBIDDEN", 1),
            ("WRITE_FORBIDDEN", 2),
            ("WRITE_REVOKED", 2),
        ]
        for one in story.all:
            (found,) = [row for row in await store.frontiers() if row.author == one.identity.author]
            assert found.receipted == found.held == one.log.held(one.identity.author)
        # The last accepted number is raised: what it covers shows again.
        assert rules.revoke(author, cti, 3)
        done = await store.ingest([Submission([JudgeEntry(author)])], JUNE)
        assert "t2" in await shown(store, "cars") and list(done.collections) == ["cars"]
        await store.close()

    asyncio.run(main())


def test_a_seal_that_is_not_its_authors_is_refused(tmp_path: Path) -> None:
    from hedgerow.trust.seal import NO_SEAL, make_seal

    one, other = Enrolled(31), Enrolled(32)
    one.put("cars", 1, {"color": "red"})
    one.peer.seal(0)
    *operations, seal = written(one)
    author = one.identity.author

    async def main() -> None:
        store = await SqliteStore.open(tmp_path / "store.db", full_sync=False)
        store.rules = Rules(one.members._verify)
        for peer in (one, other):
            store.rules.add(peer.members.own.name, peer.members.own.claims)
        (error,) = (await store.ingest([Submission(operations)], JUNE)).errors
        assert error is None
        from hedgerow.operation import h16

        bodies = [entry.body for entry in operations if isinstance(entry, Operation)]
        marks = [h16(author, at + 1, body, one.peer.schemas) for at, body in enumerate(bodies)]
        for signer in (None, other.members):
            for hashes in (marks, []):
                forged = SealEntry(author, make_seal(author, 1, len(marks), hashes, NO_SEAL, signer))
                (error,) = (await store.ingest([Submission([forged])], JUNE)).errors
                assert isinstance(error, HedgerowError) and error.code == "SEAL_INVALID"
        (error,) = (await store.ingest([Submission([seal])], JUNE)).errors
        assert error is None
        await store.close()

    asyncio.run(main())


def _intake(served: Local, learn: Any) -> Intake:
    return Intake(served.peer.service, lambda: "test", learn)


def _bring(served: Local, intake: Intake, one: Enrolled) -> None:
    """Hand over what a peer wrote, as a session does."""
    _hand(served, intake, one, written(one))


def _hand(served: Local, intake: Intake, one: Enrolled, brought: list[Entry]) -> None:
    for entry in brought:
        if isinstance(entry, SchemaEntry):
            intake.add_schema(entry.encoded)
        elif isinstance(entry, Operation):
            segment = encode_segment(entry.author, entry.number, [entry.body], one.peer.schemas)
            intake.add_segment(segment)
        elif isinstance(entry, SealEntry):
            intake.add_seal(entry.author, entry.body)
    served.run(intake.commit())


def test_a_credential_of_a_moment_ago_is_looked_for_before_anybody_is_refused(tmp_path: Path) -> None:
    one = Enrolled(41)
    one.put("cars", 1, {"color": "red"})
    one.peer.seal(0)
    author = one.identity.author
    with local(tmp_path) as served:
        rules = served.peer.membership.rules

        async def learn() -> None:
            rules.add(one.members.own.name, one.members.own.claims)

        intake = _intake(served, learn)
        _bring(served, intake, one)
        assert served.peer.service.frontier(author).receipted == 2
        assert served.peer.service.refusals.code(author) is None


def test_what_others_bring_of_an_author_of_a_moment_ago_waits_for_its_seal_as_well(tmp_path: Path) -> None:
    """Else what a relay changes would stand, unsealed, in the place of what such an author has written."""
    one = Enrolled(48)
    one.put("cars", 1, {"color": "red"})
    one.peer.seal(0)
    author = one.identity.author
    with local(tmp_path) as served:
        rules, service = served.peer.membership.rules, served.peer.service

        async def learn() -> None:
            rules.add(one.members.own.name, one.members.own.claims)

        relay = _intake(served, learn)
        changed = [
            entry._replace(body=entry.body[:-1] + bytes((entry.body[-1] ^ 1,)))
            if isinstance(entry, Operation) and entry.number == one.log.held(author)
            else entry
            for entry in written(one)
        ]
        _hand(served, relay, one, changed)
        assert service.frontier(author).held == 0 and service.refusals.code(author) == "SEAL_INVALID"
        _bring(served, Intake(service, lambda: "test", learn, lambda: author), one)
        assert service.frontier(author).receipted == one.log.held(author)


def test_who_was_refused_for_a_credential_comes_again_once_it_is_known(tmp_path: Path) -> None:
    one = Enrolled(42)
    one.put("cars", 1, {"color": "red"})
    one.peer.seal(0)
    author = one.identity.author
    with local(tmp_path) as served:

        async def learn() -> None:
            pass

        intake = _intake(served, learn)
        _bring(served, intake, one)
        assert served.peer.service.refusals.code(author) == "CREDENTIAL_UNKNOWN"
        assert served.peer.service.frontier(author).receipted == 0
        (seal,) = [entry for entry in written(one) if isinstance(entry, SealEntry)]
        intake.add_seal(author, seal.body)
        served.run(intake.commit())
        assert served.peer.service.frontier(author).sealed == 0, "refused for the session"
        served.peer.membership.rules.add(one.members.own.name, one.members.own.claims)
        assert intake.forgive() == [author] and intake.forgive() == []
        intake.add_seal(author, seal.body)
        served.run(intake.commit())
        assert served.peer.service.frontier(author).receipted == 2


def test_what_others_bring_of_an_author_waits_for_its_seal(tmp_path: Path) -> None:
    one = Enrolled(43)
    author = one.identity.author
    for n in range(3):
        one.put("cars", n, {"color": "red"})
    with local(tmp_path) as served:
        rules = served.peer.membership.rules
        rules.add(one.members.own.name, one.members.own.claims)
        service = served.peer.service

        async def learn() -> None:
            pass

        relay = _intake(served, learn)
        _bring(served, relay, one)
        assert service.frontier(author).held == 0 and service.refusals.code(author) is None
        itself = Intake(service, lambda: "test", learn, lambda: author)
        _bring(served, itself, one)
        held = service.frontier(author).held
        assert held == len([entry for entry in written(one) if isinstance(entry, Operation)])
        one.put("cars", 9, {"color": "red"})
        (news,) = [entry for entry in written(one) if isinstance(entry, Operation) and entry.number > held]
        relay.add_segment(encode_segment(author, news.number, [news.body], one.peer.schemas))
        served.run(relay.commit())
        assert service.frontier(author).held == held
        one.peer.seal(0)
        for entry in written(one):
            if isinstance(entry, SealEntry):
                relay.add_seal(author, entry.body)
        served.run(relay.commit())
        assert service.frontier(author).receipted == held + 1


def test_what_waits_for_seals_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "UNSEALED", 3)
    monkeypatch.setattr(limits, "SESSION_UNSEALED", 5)
    writers = [Enrolled(seed) for seed in (44, 45, 46)]
    with local(tmp_path) as served:
        service = served.peer.service
        intake = Intake(service, lambda: "test")
        for one, count in zip(writers, (2, 1, 3), strict=True):
            served.peer.membership.rules.add(one.members.own.name, one.members.own.claims)
            for n in range(count):
                one.put("cars", n, {"color": "red"})
        codes = []
        for one in writers:
            _bring(served, intake, one)
            codes.append(service.refusals.code(one.identity.author))
        # With the one of their time three, two and four; the last is over what one may have.
        assert codes == [None, None, "SYNC_GAP"], codes
        fourth = Enrolled(47)
        served.peer.membership.rules.add(fourth.members.own.name, fourth.members.own.claims)
        fourth.put("cars", 1, {"color": "red"})
        _bring(served, intake, fourth)
        assert service.refusals.code(fourth.identity.author) == "SYNC_GAP", "over what all may have"


def test_what_was_sealed_before_there_was_a_credential_waits_for_a_seal_of_it(tmp_path: Path) -> None:
    """Anybody could have sealed it, and its author would let go of what it wrote for a receipt."""
    one = Enrolled(11, [["cars", 3]])
    author = one.identity.author
    for name in ("a", "b", "c"):
        one.put("cars", name, {"color": "red"})
    ops = [entry for entry in written(one) if not isinstance(entry, SealEntry)]
    bodies = [entry for entry in ops if isinstance(entry, Operation)]
    marks = [h16(author, op.number, op.body, one.peer.schemas) for op in bodies]
    early = make_seal(author, 1, 2, marks[:2], NO_SEAL)
    late = make_seal(author, 3, len(marks), marks[2:], seal_hash(early), one.members)

    async def main() -> None:
        store = await SqliteStore.open(tmp_path / "store.db", full_sync=False)
        store.rules = rules = Rules(one.members._verify)

        async def frontier(*said: Entry) -> tuple[int, int]:
            done = await store.ingest([Submission(said)] if said else [], JUNE)
            assert not any(done.errors), done.errors
            (found,) = await store.frontiers()
            assert not said or list(done.frontiers) == [found]
            return found.sealed, found.receipted

        assert await frontier(*ops, SealEntry(author, early)) == (2, 2)
        found = one.members.own
        rules.add(found.name, found.claims)
        assert await frontier(JudgeEntry(author)) == (2, 0)
        assert await frontier(SealEntry(author, late)) == (len(marks), len(marks))
        # Judged again it stays.
        done = await store.ingest([Submission([JudgeEntry(author)])], JUNE)
        assert list(done.frontiers) == [] and await frontier() == (len(marks), len(marks))
        await store.close()

    asyncio.run(main())
