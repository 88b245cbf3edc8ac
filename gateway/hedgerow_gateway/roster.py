"""Who the authors are to people: the name that each gave, and when it was last seen."""

from collections import OrderedDict
from dataclasses import dataclass

from . import limits


@dataclass
class Sighting:
    """What is known of one author: its name, and the uptime (ms) of its last sign of life."""

    name: str = ""
    seen: int | None = None


class Roster:
    """Names and sightings of authors, the least recently seen out first."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, Sighting] = OrderedDict()

    def met(self, author: bytes, name: str, now: int) -> None:
        """An author said hello."""
        known = self._touch(author)
        known.name = name or known.name
        known.seen = now

    def heard(self, short: bytes, now: int) -> None:
        """A beacon named an author by its first three bytes; nobody known is no news."""
        for author, known in self._known.items():
            if author[:3] == short:
                known.seen = now
                self._known.move_to_end(author)
                return

    def _touch(self, author: bytes) -> Sighting:
        known = self._known.setdefault(author, Sighting())
        self._known.move_to_end(author)
        if len(self._known) > limits.NAMES:
            self._known.popitem(last=False)
        return known

    def of(self, author: bytes) -> Sighting:
        """Return what is known of an author."""
        return self._known.get(author) or Sighting()
