"""Forks: an author whose key has sealed two contents under one number, and how that is shown (SPEC 5.16).

A seal that does not fit what is held may be anybody's. It is evidence once the operations that it covers are
here as its bearer has them: then its signature shows whose word it is.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from hedgerow.errors import HedgerowError
from hedgerow.limits import MAX_SEAL_OPERATIONS
from hedgerow.operation import h16
from hedgerow.trust.seal import NO_SEAL, SEAL_SIGNED, Seal, check_seal, is_bare
from hedgerow.trust.verify import names

#: Authors of whom a session collects what does not fit.
WATCHED = 16


class Evidence(NamedTuple):
    """A seal (as it came) of an author, and the H16 (16 bytes each) of the operations that it covers."""

    author: bytes
    seal: bytes
    marks: tuple[bytes, ...]

    def is_word(self, rules: Any) -> bool:
        """Say whether it is signed by the author's key. Raises CREDENTIAL_UNKNOWN, SEAL_INVALID."""
        seal = Seal.decode(self.seal)
        if seal.kind != SEAL_SIGNED or rules is None or not rules.knows(self.author):
            return False
        return bool(check_seal(self.author, self.seal, list(self.marks), rules))


class Held(NamedTuple):
    """A seal that a store holds, and the H16 of the operations in its range that are there, by number."""

    seal: bytes
    marks: dict[int, bytes]


def contradicts(shown: Evidence, held: Sequence[Held], rules: Any) -> bytes:
    """Return the held seal that what is shown contradicts, b"" for none; both are the author's word.

    They cover a number with different operations; or the shown one names another seal before it than the one
    that ends there. Held seals whose operations are not all there show nothing, and bare ones neither.
    """
    seal = Seal.decode(shown.seal)
    marks = dict(enumerate(shown.marks, seal.first))
    for body, known in held:
        before = Seal.decode(body)
        whole = [known[n] for n in range(before.first, before.last + 1) if n in known]
        if before.kind != SEAL_SIGNED or is_bare(shown.author, body, rules):
            continue
        if not check_seal(shown.author, body, whole, rules):
            continue
        if any(known.get(number, mark) != mark for number, mark in marks.items()):
            return body
        follows = before.last == seal.first - 1 and seal.previous != NO_SEAL
        if follows and not names(seal.previous, body):
            return body
    return b""


class Suspects:
    """What one session collects of authors whose seals do not fit what is held: a few, each once."""

    def __init__(self) -> None:
        self._seals: dict[bytes, Seal] = {}
        self._marks: dict[bytes, dict[int, bytes]] = {}

    def suspect(self, author: bytes, body: bytes) -> int | None:
        """Collect from now on what comes of an author whose seal has failed.

        Returns the number behind which it is to come again, None if there is nothing more to ask for.
        """
        try:
            seal = Seal.decode(body)
        except HedgerowError:
            return None
        if author in self._seals or len(self._seals) >= WATCHED or seal.kind != SEAL_SIGNED:
            return None
        self._seals[author] = seal
        self._marks[author] = {}
        return int(seal.first) - 1

    def watches(self, author: bytes) -> bool:
        """Say whether what comes of an author is collected."""
        return author in self._marks

    def hear(self, author: bytes, first: int, bodies: Sequence[bytes], schemas: dict[bytes, Any]) -> None:
        """Take operations as they came, whatever is held under their numbers."""
        marks = self._marks[author]
        for number, body in enumerate(bodies, first):
            if len(marks) < 2 * MAX_SEAL_OPERATIONS:
                marks[number] = h16(author, number, body, schemas)

    def seal(self, author: bytes, body: bytes) -> Evidence | None:
        """Return the evidence that a seal makes with what was heard; then nothing more is collected."""
        seal, marks = Seal.decode(body), self._marks[author]
        numbers = range(seal.first, seal.last + 1)
        if seal.kind != SEAL_SIGNED or not all(number in marks for number in numbers):
            return None
        del self._marks[author]
        return Evidence(author, body, tuple(marks[number] for number in numbers))
