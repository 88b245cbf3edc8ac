"""Summary documents: what is left of readings that were thinned (SPEC 5.5.6).

For readings of one collection with the same texts: `_count`, `_from` and `_to` (what the author's clock said
at the first and the last of them), the texts, and for each field of numbers its `_min`, `_mean` and `_max`;
`_count` of a field where some lacked it. Integers and decimals stay what they are; a mean is rounded to the
field's scale.
"""

from . import limits
from .clock.civil import rfc3339
from .codec.decimal import Decimal
from .codec.schema import is_integer, path_of, schema_for
from .errors import HedgerowError
from .operation import INSERT

# Readings in one summary, groups by texts beside each other, and how long a text may be that makes one.
EACH = limits.const(32)
_GROUPS = limits.const(8)
_TEXT = limits.const(64)
_FIELDS = limits.const(18)
# Exponents farther apart than that are not brought to one scale.
_APART = limits.const(18)

_INTEGER = limits.const(0)
_DECIMAL = limits.const(1)
_FLOAT = limits.const(2)


def is_summary(document: dict) -> bool:
    """Say whether a document is a summary."""
    return is_integer(document.get("_count")) and isinstance(document.get("_from"), str)


class Summary:
    """Gathers readings, and summaries of earlier ones, in the order of their numbers.

    `rows` are [collection, kind, texts, count, from, to, fields]: those that are complete.
    """

    def __init__(self):
        self.rows: list = []
        self._open: list = []
        self._taken = 0
        self._again = False

    def add(self, collection: str, kind: int, document: dict, ms: int) -> None:
        """Take a reading, by field name, written at `ms`; or a summary, whose own times count."""
        again = is_summary(document)
        if self._taken >= EACH or again != self._again:
            self.flush()
        self._again = again
        self._taken += 1
        texts = _texts(document)
        row = self._row(collection, kind, texts)
        if again:
            _widen(row, document["_count"], document["_from"], document["_to"])
            for name in document:
                base = _without(name, "_mean")
                if base is not None:
                    _fold_summary(row[6], base, document)
        else:
            _widen(row, 1, ms, ms)
            for name in document:
                number = _number(document[name])
                if number and (name in row[6] or len(row[6]) < _FIELDS):
                    _fold(row[6], name, number[0], number[1], number[2], number[2], number[2], 1)

    def _row(self, collection: str, kind: int, texts: list) -> list:
        for _ in range(2):
            for row in self._open:
                if row[0] == collection and row[1] == kind and row[2] == texts:
                    return row
            if len(self._open) < _GROUPS or not texts:
                break
            texts = []
        self._open.append([collection, kind, texts, 0, None, None, {}])
        return self._open[-1]

    def flush(self) -> None:
        """Complete the summaries that readings still go into."""
        for row in self._open:
            for at in (4, 5):
                if not isinstance(row[at], str):
                    row[at] = rfc3339(row[at])
        self.rows += self._open
        self._open = []
        self._taken = 0

    def coarsen(self) -> bool:
        """Merge every two summaries of one kind that follow on each other; say whether there were any.

        If there are none left, texts are given up.
        """
        before = len(self.rows)
        for _ in range(2):
            kept: list = []
            single: list = []
            for row in self.rows:
                pair = [other for other in single if other[:3] == row[:3]]
                if pair:
                    _merge(pair[0], row)
                    single.remove(pair[0])
                else:
                    kept.append(row)
                    single.append(row)
            self.rows = kept
            if len(kept) < before:
                return True
            for row in kept:
                row[2] = []
        return False

    def changes(self) -> tuple:
        """Return the changes that write the summaries, and their schemas."""
        changes: list = []
        schemas: list = []
        for row in self.rows:
            schema = schema_for(row[0], row[1], _document(row))
            changes.append([INSERT, schema.name, None, schema.pack(_document(row))])
            schemas.append(schema)
        return changes, schemas


def _document(row: list) -> dict:
    document = dict(row[2])
    document["_count"] = row[3]
    document["_from"] = row[4]
    document["_to"] = row[5]
    for name in row[6]:
        form, exponent, low, high, total, count = row[6][name]
        mean = total / count if form == _FLOAT else (2 * total + count) // (2 * count)
        try:
            values = [_value(form, exponent, value) for value in (low, mean, high)]
        except HedgerowError:
            continue
        for suffix, value in zip(("_min", "_mean", "_max"), values):
            document[_with(name, suffix)] = value
        if count != row[3]:
            document[_with(name, "_count")] = count
    return document


def _value(form: int, exponent: int, value: object) -> object:
    if form == _INTEGER and -1 <= value >> 64 <= 0:
        return value
    return value if form == _FLOAT else Decimal(value, exponent)


def _texts(document: dict) -> list:
    """Return [(name, text or bool)] in the order of their paths, less the times of a summary."""
    names = sorted([name for name in document if name not in ("_from", "_to")], key=path_of)
    found: list = []
    for name in names:
        value = document[name]
        if value is True or value is False or (isinstance(value, str) and len(value) <= _TEXT):
            found.append((name, value))
    return found


def _widen(row: list, count: int, low: object, high: object) -> None:
    row[3] += count
    row[4] = low if row[4] is None or low < row[4] else row[4]
    row[5] = high if row[5] is None or high > row[5] else row[5]


def _merge(row: list, other: list) -> None:
    _widen(row, other[3], other[4], other[5])
    for name in other[6]:
        if name in row[6] or len(row[6]) < _FIELDS:
            _fold(row[6], name, *other[6][name])


def _fold_summary(fields: dict, base: object, document: dict) -> None:
    """Fold in what a summary says of a field."""
    found = [_number(document.get(_with(base, suffix))) for suffix in ("_min", "_mean", "_max")]
    if None in found or len({number[:2] for number in found}) > 1:
        return
    count = document.get(_with(base, "_count"), document["_count"])
    if is_integer(count) and count > 0 and (base in fields or len(fields) < _FIELDS):
        form, exponent, mean = found[1]
        _fold(fields, base, form, exponent, found[0][2], found[2][2], mean * count, count)


def _fold(
    fields: dict, name: object, form: int, exponent: int, low: object, high: object, total: object, count: int
) -> None:
    """Fold numbers of a form and scale into those of a field."""
    known = fields.get(name)
    more = [form, exponent, low, high, total, count]
    if known is None:
        fields[name] = more
        return
    if form != known[0] or exponent != known[1]:
        apart = abs(exponent - known[1]) > _APART
        for entry in (known, more):
            if apart or _FLOAT in (form, known[0]):
                _scale(entry, None)
            else:
                _scale(entry, min(exponent, known[1]))
    known[2] = min(known[2], more[2])
    known[3] = max(known[3], more[3])
    known[4] += more[4]
    known[5] += count


def _scale(entry: list, exponent: int | None) -> None:
    """Bring the numbers of a field to a smaller exponent, or make floats of them."""
    if entry[0] == _FLOAT:
        return
    for at in (2, 3, 4):
        if exponent is None:
            entry[at] = float(entry[at]) * 10.0 ** entry[1]
        else:
            entry[at] *= 10 ** (entry[1] - exponent)
    entry[0] = _FLOAT if exponent is None else _DECIMAL
    entry[1] = exponent or 0


def _number(value: object) -> tuple | None:
    """Return (form, exponent, number), None for what is none."""
    if is_integer(value):
        return _INTEGER, 0, value
    if isinstance(value, Decimal):
        return _DECIMAL, value.exponent, value.mantissa
    if isinstance(value, float) and value == value and value not in (float("inf"), float("-inf")):
        return _FLOAT, 0, value
    return None


def _with(name: object, suffix: str) -> object:
    if isinstance(name, str):
        return name + suffix
    return name[:-1] + (name[-1] + suffix,)


def _without(name: object, suffix: str) -> object:
    """Return the name before a suffix of its last step, None if that does not end so."""
    last = name if isinstance(name, str) else name[-1]
    if not last.endswith(suffix):
        return None
    last = last[: -len(suffix)]
    return last if isinstance(name, str) else name[:-1] + (last,)
