"""Authors of whom something was refused, for the status pages and the log."""

import logging

from hedgerow.errors import HedgerowError

from . import limits
from .store.rows import Frontier

log = logging.getLogger(__name__)


class Refusals:
    """The last refusal of each author, until the author gets on; the newest `limits.REFUSED_AUTHORS`."""

    def __init__(self) -> None:
        self.total = 0
        self._writes: dict[bytes, set[str]] = {}
        self._entries: dict[bytes, tuple[str, int, int]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def authors(self) -> list[bytes]:
        """Return the authors, the longest refused first."""
        return list(self._entries)

    def code(self, author: bytes) -> str | None:
        """Return why an author was refused last, None if it was not or got on since."""
        entry = self._entries.get(author)
        return entry[0] if entry else None

    def note(self, frontier: Frontier, error: HedgerowError, source: str) -> None:
        """Count a refusal of what follows `frontier`; the log is told when it is news."""
        self.total += 1
        known = self._entries.pop(frontier.author, None)
        news = known is None or known[0] != error.code
        level = logging.WARNING if news else logging.DEBUG
        log.log(level, "%s: author %s is refused: %s", source, frontier.author.hex(), error)
        self._entries[frontier.author] = (error.code, frontier.held, frontier.sealed)
        if len(self._entries) > limits.REFUSED_AUTHORS:
            del self._entries[next(iter(self._entries))]

    def note_write(self, author: bytes, number: int, code: str) -> None:
        """Tell the log that something of an operation does not count, once for an author and a code."""
        known = self._writes.setdefault(author, set())
        if code not in known:
            known.add(code)
            log.warning("author %s: %s, operation %d", author.hex(), code, number)
        if len(self._writes) > limits.REFUSED_AUTHORS:
            del self._writes[next(iter(self._writes))]

    def moved(self, frontier: Frontier) -> None:
        """Forget a refusal whose author got on, by whatever way."""
        entry = self._entries.get(frontier.author)
        if entry is not None and (frontier.held, frontier.sealed) > entry[1:]:
            del self._entries[frontier.author]

    def forget(self, author: bytes) -> None:
        """Forget a refusal whose reason has gone."""
        self._entries.pop(author, None)
