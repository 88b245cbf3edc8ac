"""The receipts that a peer knows, and whose receipts each author requires (SPEC 5.6)."""

from .. import limits
from ..errors import HedgerowError
from ..log import REQUIRED, STATE_CONFIG, STATE_PEER, STATE_RECEIPT
from .receipt import Receipt


class Ledger:
    """Receipts by author. `required` maps authors to the keepers that they named; others take any one.

    All of it is remembered for good, and anybody can make up a name: so of keepers, and of authors that the
    log does not hold, only so many are taken. But a hint, which nothing shows to be its keeper's, counts for
    no more than was heard of its author here, and until the next boot where it says more.
    """

    def __init__(self, log: object, author: bytes, keepers: tuple):
        self._log = log
        self._incarnations: dict = {}
        self.required: dict = {}
        self._numbers: dict = {}
        # Hints that say more than they count for, once there was one.
        self._hints: object = None
        for name, value in log.items(STATE_CONFIG):
            if name[:1] == REQUIRED and len(name) == 9:
                self.required[name[1:]] = _split(value)
        self.required[author] = tuple(keepers)
        self._load()

    def _load(self) -> None:
        """Read the receipts that count: those of a keeper's past incarnations do not."""
        self._numbers = {}
        self._hints = None
        for keeper, value in self._log.items(STATE_PEER):
            self._incarnations[keeper] = int.from_bytes(value, "big")
        for _, value in self._log.items(STATE_RECEIPT):
            receipt = Receipt.decode(value)
            if receipt.incarnation >= self._incarnations.get(receipt.keeper, 0):
                self._enter(receipt)

    def _enter(self, receipt: Receipt) -> None:
        entries = self._numbers.setdefault(receipt.author, [])
        for at in range(len(entries)):
            if entries[at][0] == receipt.keeper:
                entries[at] = (receipt.keeper, max(receipt.number, entries[at][1]))
                return
        entries.append((receipt.keeper, receipt.number))

    def receipted(self, author: bytes) -> int:
        """Return the number up to which all required keepers hold an author; any one where none is named."""
        required = self.required.get(author)
        entries = self._numbers.get(author, ())
        if self._hints:
            entries = list(entries) + self._hints.numbers(author)
        if required:
            return min([max([n for known, n in entries if known == keeper] or [0]) for keeper in required])
        return max([number for _, number in entries] or [0])

    def receipted_by(self, author: bytes, keeper: bytes) -> int:
        """Return the number up to which a keeper holds an author, by its word; a hint over more is none."""
        for known, number in self._numbers.get(author, ()):
            if known == keeper:
                return number
        return 0

    def receipts(self, author: bytes) -> list:
        """Return the receipts that count for an author, those of the required keepers or the greatest one."""
        entries = self._numbers.get(author, ())
        required = self.required.get(author)
        if not required and entries:
            entries = [max(entries, key=_number)]
        return [
            Receipt.decode(self._log.get(STATE_RECEIPT, author + keeper))
            for keeper, _ in entries
            if not required or keeper in required
        ]

    def hints(self, author: bytes) -> list:
        """Return the hints over an author that count, but not for all that they say."""
        return self._hints.of(author) if self._hints else []

    def take(self, receipt: Receipt, hint: bool = False, heard: int = 0) -> bool:
        """Keep a receipt if it says more than its keeper said before; say whether it does.

        One more than there is room for is passed over: of a keeper, of an author, or in all; and a `hint`,
        which nothing shows to be the keeper's, of another incarnation than the one that is known. Over more
        than was `heard` of the author one counts up to there.
        """
        if not self._fits(receipt):
            return False
        if hint:
            known = self.incarnation(receipt.keeper) or receipt.incarnation
            if receipt.incarnation > known:
                return False
        else:
            known = self.note_keeper(receipt.keeper, receipt.incarnation)
        if receipt.incarnation < known or receipt.number <= self.receipted_by(receipt.author, receipt.keeper):
            return False
        if hint and receipt.number > heard:
            if self._hints is None:
                # Where everybody is believed there are none.
                from .hints import Hints

                self._hints = Hints()
            return self._hints.note(receipt, heard)
        self._log.put(STATE_RECEIPT, receipt.author + receipt.keeper, receipt.encode())
        self._enter(receipt)
        return True

    def reach(self, author: bytes, heard: int, bridge: bool = False) -> None:
        """More was heard of an author: see Hints.reach."""
        if self._hints:
            self._hints.reach(self, author, heard, bridge)

    def incarnation(self, keeper: bytes) -> int:
        """Return the highest incarnation of a keeper that is known, 0 for none."""
        return self._incarnations.get(keeper, 0)

    def note_keeper(self, keeper: bytes, incarnation: int) -> int:
        """Learn a keeper's incarnation, forget its words of lower ones; return the highest known.

        KEEPERS_FULL for one more than are remembered: its older words could not be told from its newer ones.
        """
        if not self._has_room(keeper):
            raise HedgerowError("KEEPERS_FULL", str(limits.MAX_KNOWN_KEEPERS))
        known = self._incarnations.get(keeper, 0)
        if incarnation <= known:
            return known
        self._log.put(STATE_PEER, keeper, incarnation.to_bytes(4, "big"))
        self._incarnations[keeper] = incarnation
        if known:
            self._load()
        return incarnation

    def require(self, author: bytes, keepers: list) -> None:
        """Learn whose receipts another author requires; AUTHORS_FULL if there is no room to remember it."""
        if tuple(keepers) != self.required.get(author, ()):
            if not self._may_grow(self.required, author):
                raise HedgerowError("AUTHORS_FULL", "%d require keepers" % len(self.required))
            self._log.put(STATE_CONFIG, REQUIRED + author, b"".join(keepers))
            self.required[author] = tuple(keepers)

    def _fits(self, receipt: Receipt) -> bool:
        author, keeper = receipt.author, receipt.keeper
        if keeper in [known for known, _ in self._numbers.get(author, ())]:
            return True
        if not self._has_room(keeper) or not self._may_grow(self._numbers, author):
            return False
        most = limits.MAX_AUTHORS + limits.MAX_RECEIPTS * len(self._log.authors())
        count = sum([len(entries) for entries in self._numbers.values()])
        return count < most or keeper in self.required.get(author, ())

    def _has_room(self, keeper: bytes) -> bool:
        known = self._incarnations
        return keeper in known or len(known) < limits.MAX_KNOWN_KEEPERS

    def _may_grow(self, table: dict, author: bytes) -> bool:
        """Say whether a table by author has an entry, or room for one: always for who is in the log."""
        if author in table:
            return True
        authors = self._log.authors()
        return author in authors or len(table) < limits.MAX_AUTHORS + len(authors)


def _split(value: bytes) -> tuple:
    return tuple([value[at : at + 8] for at in range(0, len(value), 8)])


def _number(entry: tuple) -> tuple:
    return entry[1], entry[0]
