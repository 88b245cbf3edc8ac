"""What every peer has to show in the end, worked out from all operations that were ever written.

Written from SPEC 3 alone, on the naive merge of `merge_model`: it knows no log, index, position or session.
"""

from merge_model import value_of

from hedgerow.clock import hlc
from hedgerow.codec import cbor
from hedgerow.operation import decode_body

_INSERT = 0
_INITIAL = 1
_CLOCK = 4
_AHEAD_MS = 300000


def _waits_for_none(change: list) -> bool:
    """Say whether a change shows whatever its stamp says (5.9.1)."""
    return change[0] == _INITIAL or (change[0] == _INSERT and change[2] is None)


class Union:
    """Operations by author and number; `schemas` by name are those of all peers together."""

    def __init__(self, schemas: dict):
        self._schemas = schemas
        # (collection, encoded id) -> (id, {(author, number): [(change, schema, stamp, author)]})
        self.places: dict = {}

    def add(self, author: bytes, number: int, body: bytes) -> None:
        stamp, changes = decode_body(body)
        for place, name, change, schema in self.named(author, number, changes):
            found = self.places.setdefault(place, (name, {}))[1]
            found.setdefault((author, number), []).append((change, schema, stamp, author))

    def named(self, author: bytes, number: int, changes: list) -> list:
        """Return [(place, id, change, schema)] of the changes that name a document (3.8)."""
        unnamed = [change for change in changes if change[0] == _INSERT and change[2] is None]
        found = []
        for at in range(len(changes)):
            change = changes[at]
            if change[0] == _CLOCK:
                continue
            name = change[2]
            if name is None:
                name = [author, number] if len(unnamed) == 1 else [author, number, at]
            schema = self._schemas[change[1]]
            found.append(((schema.collection, cbor.encode(name)), name, change, schema))
        return found

    def run(self, place: tuple, me: bytes, keeper: bool, without: object = ()) -> list:
        """Return the changes of a document that count at a peer (3.2.1), but for some dots."""
        found = []
        for dot in sorted(self.places[place][1]):
            for entry in self.places[place][1][dot]:
                scope = entry[1].kind >> 1
                if dot not in without and (scope != 1 or keeper or dot[0] == me):
                    found.append(entry)
        return found

    def show(
        self, place: tuple, me: bytes, keeper: bool, utc: int | None, without: object = ()
    ) -> dict | None:
        """Return the fields that a document has at a peer that knows the time `utc`, or none."""
        run = self.run(place, me, keeper, without)
        name = self.places[place][0]
        own = isinstance(name, list) and len(name) > 1 and name[0]
        if utc is not None and [entry for entry in run if entry[3] != own]:
            latest = hlc.pack(min(utc + _AHEAD_MS, (1 << 48) - 1), 0xFFFF)
            run = [entry for entry in run if entry[2] <= latest or _waits_for_none(entry[0])]
        return value_of(run)

    def view(self, collection: str, me: bytes, keeper: bool, utc: int | None, without: object = ()) -> dict:
        """Return {encoded id: encoded fields} of a collection."""
        shown = {}
        for place in self.places:
            if place[0] == collection:
                value = self.show(place, me, keeper, utc, without)
                if value is not None:
                    shown[place[1]] = cbor.encode(value)
        return shown
