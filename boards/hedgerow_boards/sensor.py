"""Recorded series that the emulated sensor of a board replays, and the truth of what it measured."""

import csv
import struct
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

from hedgerow.errors import HedgerowError
from hedgerow_boards.limits import SERIES_VALUES

_RECORD = struct.Struct(">bi3x")


@dataclass(frozen=True)
class Sample:
    """One conversion: when it began (host's clock, seconds since 1970), which value, its digits."""

    host_time: float
    index: int
    text: str


@dataclass(frozen=True)
class SensorSeries:
    """Values of one quantity as decimal texts, digits as recorded; `name` is its field name."""

    name: str
    values: list[str]

    @classmethod
    def from_csv(cls, path: Path | str, column: str | None = None) -> "SensorSeries":
        """The named column of a CSV file with a header line, else its last one.

        Raises HedgerowError: `SERIES_INVALID` for a missing column or a value that is no decimal of at
        most 32 bits with an exponent of at most 8.
        """
        with Path(path).open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(line for line in file if not line.startswith("#"))
            name = column or (rows.fieldnames or [""])[-1]
            if name not in (rows.fieldnames or []):
                raise HedgerowError("SERIES_INVALID", f"{path} has no column {name!r}")
            values = [(row[name] or "").strip() for row in rows]
        series = cls(name, [value for value in values if value])
        series.records()
        return series

    def slice(self, i: int, boards: int) -> "SensorSeries":
        """The i-th of `boards` equal consecutive parts."""
        if not 0 <= i < boards <= len(self.values):
            raise HedgerowError("SERIES_INVALID", f"part {i} of {boards} of {len(self.values)} values")
        share = len(self.values) // boards
        return SensorSeries(self.name, self.values[i * share : (i + 1) * share])

    def records(self) -> bytes:
        """What the sensor reads: per value int8 exponent, int32 mantissa, 3 bytes unused, big-endian."""
        if not 0 < len(self.values) <= SERIES_VALUES:
            raise HedgerowError("SERIES_INVALID", f"{len(self.values)} values")
        return b"".join(_record(text) for text in self.values)


def _record(text: str) -> bytes:
    try:
        sign, digits, exponent = Decimal(text).as_tuple()
        if not isinstance(exponent, int):
            raise ValueError
        mantissa = int("".join(map(str, digits)))
        return _RECORD.pack(exponent, -mantissa if sign else mantissa)
    except (InvalidOperation, ValueError, struct.error):
        raise HedgerowError("SERIES_INVALID", f"{text!r} is no decimal of 32 bits") from None
