"""Live queries: the result of a SELECT kept up to date, and what each step changes in it (SPEC 10.6)."""

from .. import limits
from ..codec import cbor
from .evaluate import Select


class Changes:
    """One step of a result.

    `rows` is the result now. `deletions` are places in the rows before, `insertions` places in the rows now,
    both ascending; `moves` are pairs (place before, place now), ascending by the latter; `updates` are
    places in the rows now, ascending, of rows that were there with other content. Rows that stay keep
    their order. So the rows now are those before without deletions and moved rows, with the moved and the
    inserted ones put in at their places now, and then the updated ones replaced.
    """

    def __init__(self, rows: list, insertions: list, deletions: list, updates: list, moves: list) -> None:
        self.rows = rows
        self.insertions = insertions
        self.deletions = deletions
        self.updates = updates
        self.moves = moves

    def __bool__(self) -> bool:
        return bool(self.insertions or self.deletions or self.updates or self.moves)


class Live:
    """One live query. First a scan: `start`, `add` each document of the collection, `finish`.

    Then, whenever documents have changed, `touch`; if it asks for a scan, scan; and `finish`. What changes
    while a scan is under way is touched after its `finish`. A row is known by its document's id; with
    aggregates, GROUP BY or DISTINCT by its content. Raises what SELECT does; then only a new scan helps.
    """

    def __init__(
        self, statement: tuple, arguments: dict | None = None, max_rows: int = limits.MAX_ANSWER_ROWS
    ) -> None:
        self._new_run = lambda: Select(statement, arguments, max_rows)
        self._select = self._new_run()
        self._where = statement[4]
        self._max_rows = max_rows
        self.collection = self._select.collection
        self._shown = []
        self.start()

    def start(self) -> None:
        """Begin a scan."""
        # The first rows in order, (sort keys, encoded id, row) each, and whether there are no others.
        self._entries = []
        self._complete = True
        self._run = None if self._select.plain else self._new_run()
        # The encoded ids of documents that held WHERE; None where every document may have.
        self._held = None if self._select.plain or self._where is None else set()

    def add(self, document: dict) -> None:
        """Take one document of the scan, in any order."""
        key = cbor.encode(document["_id"])
        if self._select.plain:
            self._place(key, document)
            return
        self._run.add(document)
        if self._held is not None and self._select.matches(document):
            self._held.add(key)
            if len(self._held) > self._max_rows:
                self._held = None

    def touch(self, touched: list) -> bool:
        """Take documents that changed: (id, document as it is now or None); say whether a scan is needed."""
        if not self._select.plain:
            return self._concerns(touched)
        # What is not kept comes after this one.
        last = self._entries[-1] if not self._complete and self._entries else None
        now = {cbor.encode(document_id): document for document_id, document in touched}
        # All go before any comes, or a row could take the place of one that has just been pushed out.
        self._entries = [entry for entry in self._entries if entry[1] not in now]
        for key in now:
            if now[key] is not None:
                self._place(key, now[key], last)
        wanted = self._select.wanted
        return not self._complete and len(self._entries) < wanted

    def finish(self) -> Changes:
        """Return the result, and what has changed since the last `finish`."""
        before = self._shown
        if self._select.plain:
            self._shown = self._entries[self._select.offset :]
        else:
            self._shown = self._by_content()
        return _changes(before, self._shown)

    def _concerns(self, touched: list) -> bool:
        if self._held is None:
            return bool(touched)
        for document_id, document in touched:
            if cbor.encode(document_id) in self._held:
                return True
            if document is not None and self._select.matches(document):
                return True
        return False

    def _place(self, key: bytes, document: dict, last: tuple | None = None) -> None:
        """Put a document among the rows if it holds WHERE and comes before the end of what is wanted."""
        select = self._select
        if not select.matches(document):
            return
        entry = (select.sort_keys(document), key, select.project(document))
        wanted = select.wanted
        low = 0
        high = len(self._entries)
        while low < high:
            middle = (low + high) // 2
            if self._precedes(self._entries[middle], entry):
                low = middle + 1
            else:
                high = middle
        if (wanted is not None and low >= wanted) or (last is not None and self._precedes(last, entry)):
            self._complete = False
            return
        self._entries.insert(low, entry)
        if wanted is not None and len(self._entries) > wanted:
            self._entries.pop()
            self._complete = False
        select.check_rows(len(self._entries))

    def _precedes(self, left: tuple, right: tuple) -> bool:
        for at, (_, falling) in enumerate(self._select.order):
            if left[0][at] != right[0][at]:
                return (left[0][at] < right[0][at]) != falling
        return left[1] < right[1]

    def _by_content(self) -> list:
        """Return the rows of the last scan as entries; equal rows are told apart by counting them."""
        if self._run is None:
            return self._shown
        entries = []
        counts = {}
        for row in self._run.rows():
            content = cbor.encode(row)
            count = counts[content] = counts.get(content, 0) + 1
            entries.append((None, (content, count), row))
        self._run = None
        return entries


def _changes(before: list, now: list) -> Changes:
    places = {entry[1]: place for place, entry in enumerate(before)}
    insertions = []
    updates = []
    common = []
    for place, entry in enumerate(now):
        was = places.pop(entry[1], None)
        if was is None:
            insertions.append(place)
            continue
        common.append((was, place))
        old = before[was]
        if old is not entry and cbor.encode(old[2]) != cbor.encode(entry[2]):
            updates.append(place)
    stay = _longest_rise([was for was, _ in common])
    moves = [pair for at, pair in enumerate(common) if at not in stay]
    return Changes([entry[2] for entry in now], insertions, sorted(places.values()), updates, moves)


def _longest_rise(numbers: list) -> set:
    """Return the places of a longest rising part of different numbers."""
    # For each length the place of the least number that ends such a part, and what comes before it there.
    ends = []
    earlier = []
    for place, number in enumerate(numbers):
        low = 0
        high = len(ends)
        while low < high:
            middle = (low + high) // 2
            if numbers[ends[middle]] < number:
                low = middle + 1
            else:
                high = middle
        earlier.append(ends[low - 1] if low else None)
        ends[low : low + 1] = [place]
    found = set()
    place = ends[-1] if ends else None
    while place is not None:
        found.add(place)
        place = earlier[place]
    return found
