from collections.abc import Mapping, Sequence
from typing import Any

from .codec.decimal import Decimal

def check_total(value: object) -> None: ...
def records(
    values: Mapping[str | tuple[str, ...], Any], key: bytes
) -> list[tuple[tuple[str, ...], tuple[bytes, bytes, bytes]]]: ...
def base_of(
    path: tuple[str, ...], plain: Mapping[tuple[str, ...], tuple[bytes, bytes]], delete: bytes
) -> bytes: ...
def counted(
    counters: Mapping[tuple[str, ...], Mapping[bytes, tuple[bytes, bytes, bytes]]],
    plain: Mapping[tuple[str, ...], tuple[bytes, bytes]],
    delete: bytes,
) -> dict[tuple[str, ...], list[int | Decimal]]: ...
def superseded_by(
    found: list[tuple[tuple[str, ...], tuple[bytes, bytes, bytes]]],
    author: bytes,
    counters: Mapping[tuple[str, ...], Mapping[bytes, tuple[bytes, bytes, bytes]]],
    plain: Mapping[tuple[str, ...], tuple[bytes, bytes]],
    delete: bytes,
) -> bytes | None: ...
def add(values: Sequence[Any]) -> int | Decimal | None: ...
