"""What a Big Peer says of itself when a session begins (SPEC 7.5)."""

from collections.abc import Iterable

from hedgerow.limits import MAX_RECORD, MAX_SCHEMAS
from hedgerow.sync import hello

from . import limits
from .service import Service


def entry_of(service: Service, author: bytes) -> tuple[bytes, int, int, int]:
    """Return how far an author is held, sealed and receipted here, as a vector has it: of what others have
    sealed for it, its own seals are wanted.
    """
    frontier, rules = service.frontier(author), service.store.rules
    sealed = frontier.sealed
    if rules is not None and rules.forked(author) is None:
        sealed = min(sealed, frontier.receipted)
    return author, frontier.held, sealed, frontier.receipted


def hello_of(service: Service, mesh: bytes, told: Iterable[bytes], *, partial: bool) -> hello.Hello:
    """Return the hello of this keeper with these authors in it; `partial`: there are others."""
    identity = service.store.identity
    return hello.Hello(
        mesh,
        identity.keeper,
        incarnation=identity.incarnation,
        role=hello.KEEPER,
        distance=0,
        flags=hello.HAS_TIME | (hello.PARTIAL if partial else 0),
        max_record=MAX_RECORD,
        credit=limits.CREDIT_BYTES,
        vector=tuple([entry_of(service, author) for author in sorted(told)]),
        schemas=tuple(service.schemas)[:MAX_SCHEMAS],
        name=service.config.name,
    )
