"""Judges what is shown as a fork against what this store holds, and quarantines the author (SPEC 5.16)."""

import logging

from hedgerow.errors import HedgerowError
from hedgerow.sync.session import Session
from hedgerow.trust.seal import Seal
from hedgerow_host.fork import Evidence, Held, contradicts

from .auth.authority import work
from .auth.membership import Membership
from .greeting import entry_of
from .intake import Intake
from .service import Service
from .store.rows import CutEntry
from .store.sql import Connection

log = logging.getLogger(__name__)


class ForkJudge:
    """Takes evidence from sessions and over HTTP."""

    def __init__(self, service: Service, membership: Membership) -> None:
        self._service = service
        self._membership = membership

    async def amend(self, shown: Evidence) -> bool:
        """Give up what no seal covers of an author that has sealed something else; say whether it went.

        It came before the author's credential was known, or by its own session before it was set back.
        Raises CREDENTIAL_UNKNOWN, SEAL_INVALID, STORE_FAILED.
        """
        rules, before = self._membership.rules, self._service.frontier(shown.author)
        if rules.forked(shown.author) is not None or not shown.is_word(rules):
            return False
        await self._service.submit([CutEntry(shown.author, Seal.decode(shown.seal).first, shown.marks)])
        after = self._service.frontier(shown.author)
        if (after.sealed, after.held) >= (before.sealed, before.held):
            return False
        log.warning("author %s: what it had not sealed itself was not its own, and went", shown.author.hex())
        return True

    async def judge(self, actor: str, shown: Evidence) -> int:
        """Quarantine an author behind what is receipted of it; return that number.

        Raises FORK_UNPROVEN, what Evidence.is_word raises, STORE_FAILED.
        """
        membership = self._membership
        known = membership.rules.forked(shown.author)
        if known is not None:
            return known
        if not shown.is_word(membership.rules):
            raise HedgerowError("FORK_UNPROVEN", "not the author's word")
        held = await self._service.store.transact(lambda db, key: _held(db, key, shown))
        contradicted = contradicts(shown, held, membership.rules)
        if not contradicted:
            await self.amend(shown)
            raise HedgerowError("FORK_UNPROVEN", "nothing held contradicts it")
        # What was receipted stands: its author may have nothing of it any more.
        last = self._service.frontier(shown.author).sealed
        await work(membership.quarantine, actor, last, shown, contradicted)
        await self._service.judge(membership.unjudged)
        return last


async def look_again(service: Service, membership: Membership, session: Session, intake: Intake) -> None:
    """Have come again in a session what a failed seal covers, and judge what has come so."""
    again, evidence = intake.doubted()
    for author, number in again:
        session.queue_want_schema([])
        session.queue_have([(author, number, number, 0)])
    for shown in evidence:
        try:
            if await ForkJudge(service, membership).amend(shown):
                # What its author has sealed comes in its place.
                intake.take_again(shown.author)
                session.queue_want_schema([])
                session.queue_have([entry_of(service, shown.author)])
                continue
            actor = membership.actor(session.keys) or "address:"
            await ForkJudge(service, membership).judge(actor, shown)
        except HedgerowError as error:
            if error.code == "STORE_FAILED":
                raise
            log.info("author %s: %s", shown.author.hex(), error)


def _held(db: Connection, key: tuple[str, int], shown: Evidence) -> list[Held]:
    """Return the seals that cover a number of what is shown, or end right before it, with their marks."""
    seal = Seal.decode(shown.seal)
    place = (*key, shown.author)
    found = []
    for first, last, body in db.execute(
        "SELECT first, last, body FROM seals WHERE app = ? AND shard = ? AND author = ?"
        " AND last >= ? AND first <= ? ORDER BY last",
        (*place, seal.first - 1, seal.last),
    ).fetchall():
        marks = db.execute(
            "SELECT number, h16 FROM operations WHERE app = ? AND shard = ? AND author = ?"
            " AND number BETWEEN ? AND ?",
            (*place, first, last),
        ).fetchall()
        found.append(Held(bytes(body), {number: bytes(mark) for number, mark in marks}))
    return found
