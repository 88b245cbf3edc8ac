"""A submission under way: what each kind of entry needs, and does."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from hedgerow.codec.cbor import decode
from hedgerow.codec.schema import SCOPE_LOCAL, Schema, scope_of
from hedgerow.custody.skip import Skip
from hedgerow.errors import HedgerowError
from hedgerow.limits import MAX_NUMBER
from hedgerow.operation import CLOCK, decode_body, h16, scope_of_changes
from hedgerow.trust.seal import SEAL_SIGNED, Seal

from .merge import Merge, places_of
from .reading import Reading, read
from .reveal import reveal
from .rows import (
    AbsentEntry,
    AnswerEntry,
    ClockRecord,
    CutEntry,
    Entry,
    ExpiredEntry,
    Frontier,
    JudgeEntry,
    NameEntry,
    Operation,
    SchemaEntry,
    SealEntry,
    SkipEntry,
)

if TYPE_CHECKING:
    from .ingest import Ingest


class Parsed(NamedTuple):
    """An operation: what it inserts, or else its stamp and changes; and the documents that it is about."""

    reading: Reading | None
    content: tuple[bytes, list[list[Any]]] | None
    places: Iterable[tuple[str, bytes]]


def parse(entry: Operation, schemas: dict[bytes, Schema]) -> Parsed | None:
    """Read an operation; None for one that will be refused, or whose schemas are not known yet."""
    reading = read(*entry, schemas)
    if reading is not None:
        return Parsed(reading, None, [(reading.row.collection, reading.row.id)])
    try:
        content = decode_body(entry.body)
        return Parsed(None, content, places_of(entry.author, entry.number, content[1], schemas))
    # Whatever is wrong with it, it is refused when its turn comes.
    except Exception:  # noqa: BLE001
        return None


class Work:
    """Entries under way: the authors and documents that it touches, written at its end."""

    def __init__(self, ingest: "Ingest") -> None:
        self._ingest = ingest
        self._authors: dict[bytes, Frontier] = {}
        self._merge = Merge(ingest, ingest.at)
        self.taken = 0

    def take(self, entries: Sequence[Entry]) -> None:
        """Take entries in their order; `taken` is how many went well."""
        parsed = [
            parse(entry, self._ingest.effects.schemas) if isinstance(entry, Operation) else None
            for entry in entries
        ]
        self._ingest.prefetch(place for found in parsed if found for place in found.places)
        for entry, known in zip(entries, parsed, strict=True):
            if isinstance(entry, Operation):
                self._operation(entry, known)
            elif isinstance(entry, SealEntry):
                self._seal(entry)
            elif isinstance(entry, SkipEntry):
                self._skip(entry)
            elif isinstance(entry, SchemaEntry):
                self._ingest.add_schema(entry.encoded)
            elif isinstance(entry, JudgeEntry):
                self._judge(entry.author)
            elif isinstance(entry, CutEntry):
                self._cut(entry)
            elif isinstance(entry, ExpiredEntry):
                self._ingest.note_expired(entry.collection)
            elif isinstance(entry, AnswerEntry):
                self._ingest.keep_answer(entry)
            elif isinstance(entry, AbsentEntry):
                self._absent(entry)
            else:
                self._name(entry)
            self.taken += 1
        for change in self._merge.changes():
            self._ingest.save_document(change)
        for frontier in self._authors.values():
            self._ingest.save_author(frontier)

    def _author(self, author: bytes) -> Frontier:
        if author not in self._authors:
            self._authors[author] = self._ingest.load_author(author)
        return self._authors[author]

    def _operation(self, entry: Operation, known: "Parsed | None") -> None:
        frontier = self._author(entry.author)
        if entry.number <= frontier.held and self._ingest.has_operation(entry.author, entry.number):
            return
        if entry.number > frontier.held + 1:
            raise HedgerowError("SYNC_GAP", f"{entry.author.hex()} {entry.number} on {frontier.held}")
        self._authors[entry.author] = frontier._replace(held=max(frontier.held, entry.number))
        reading = known.reading if known is not None and entry.number > frontier.held else None
        if reading is not None and self._insert(entry, reading):
            self._ingest.add_operation(entry, reading.stamp, reading.mark)
            return
        schemas = self._ingest.effects.schemas
        mark = h16(entry.author, entry.number, entry.body, schemas)
        stamp, changes = known.content if known and known.content else decode_body(entry.body)
        if scope_of_changes(changes, schemas) == SCOPE_LOCAL:
            raise HedgerowError("SCOPE_LOCAL", f"{entry.author.hex()} {entry.number}")
        for change in changes:
            if change[0] == CLOCK:
                self._ingest.add_clock(ClockRecord(entry.author, entry.number, *change[1:]))
        self._ingest.add_operation(entry, stamp, mark)
        changes = reveal(entry.author, entry.number, stamp, changes, schemas, self._ingest.keys)
        self._merge.apply(entry.author, entry.number, stamp, changes, schemas)

    def _insert(self, entry: Operation, reading: Reading) -> bool:
        """Take an insert that is merged with nothing; say whether it is one, and counts."""
        if scope_of(reading.schema.kind) == SCOPE_LOCAL:
            return False
        if not self._ingest.may_insert(entry, reading):
            return False
        return self._merge.insert(entry.author, entry.number, reading)

    def _seal(self, entry: SealEntry) -> None:
        frontier = self._author(entry.author)
        seal = Seal.decode(entry.body)
        if seal.last <= frontier.sealed:
            if seal.kind == SEAL_SIGNED and seal.first > self._ingest.vouched(frontier):
                # Somebody else has sealed something there, before its author had a credential.
                raise HedgerowError("SEAL_INVALID", f"{entry.author.hex()} {seal.first}-{seal.last}")
            return
        apart = seal.first > frontier.sealed + 1
        if seal.last > frontier.held or (
            apart and not self._ingest.lost_between(entry.author, frontier.sealed, seal.first)
        ):
            raise HedgerowError("SYNC_GAP", f"{entry.author.hex()} seal {seal.first}-{seal.last}")
        self._ingest.add_seal(entry.author, seal, entry.body, apart=apart)
        self._authors[entry.author] = frontier._replace(sealed=seal.last)
        if seal.kind == SEAL_SIGNED:
            self._ingest.judge(entry.author, seal.first, seal.last, self._merge)

    def _judge(self, author: bytes) -> None:
        self._ingest.judge(author, 1, MAX_NUMBER, self._merge)
        frontier = self._authors.get(author) or self._ingest.load_author(author)
        number = self._ingest.vouched(frontier)
        if number < min(frontier.receipted, frontier.sealed):
            # Whoever has sealed that, its author need not have.
            self._withdraw(frontier, number)

    def _cut(self, entry: CutEntry) -> None:
        frontier = self._author(entry.author)
        number = self._ingest.vouched(frontier)
        after = self._ingest.cut(entry, frontier, number, self._merge) if number < entry.first else None
        if after is not None:
            self._withdraw(after, number)

    def _withdraw(self, frontier: Frontier, number: int) -> None:
        if frontier.receipted > number:
            self._ingest.withdraw(frontier.author, number)
            frontier = frontier._replace(receipted=number)
        self._authors[frontier.author] = frontier

    def _skip(self, entry: SkipEntry) -> None:
        frontier = self._author(entry.author)
        skip = Skip.decode(entry.body)
        if skip.last <= frontier.held:
            return
        if skip.first > frontier.held + 1:
            raise HedgerowError("SYNC_GAP", f"{entry.author.hex()} skip {skip.first}-{skip.last}")
        self._ingest.add_skip(entry.author, skip, entry.body)
        self._authors[entry.author] = frontier._replace(held=skip.last)

    def _absent(self, entry: AbsentEntry) -> None:
        row = self._ingest.load_document(entry.collection, entry.id)
        if row is not None and row.value is not None:
            raise HedgerowError("QUERY_CONFLICT", f"another was first: {decode(entry.id)!r}"[:200])

    def _name(self, entry: NameEntry) -> None:
        self._authors[entry.author] = self._author(entry.author)._replace(name=entry.name)
