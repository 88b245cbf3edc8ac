from collections.abc import Sequence
from typing import Any

from ..codec.schema import Schema
from ..document import Document

def targets(statement: tuple[Any, ...], columns: tuple[Any, ...] = ...) -> tuple[Any, ...]: ...
def insert_documents(
    statement: tuple[Any, ...], arguments: dict[str, Any] | None = None
) -> list[dict[str, Any]]: ...
def bind_update(
    statement: tuple[Any, ...], arguments: dict[str, Any] | None = None
) -> tuple[list[Any], list[Any], tuple[tuple[str, ...], ...]]: ...
def plan_insert(
    collection: str,
    kind: int,
    document: dict[str, Any],
    policy: str,
    initial: bool,
    existing: Document | None,
) -> tuple[list[Any], Schema] | None: ...
def plan_update(
    collection: str,
    kind: int,
    document_id: object,
    value: dict[str, Any],
    existing: Document,
    sets: Sequence[tuple[Any, ...]],
    applies: Sequence[tuple[Any, ...]],
    unsets: Sequence[tuple[str, ...]],
    author: bytes,
) -> list[tuple[list[Any], Schema]]: ...
def set_merge_stamp(change: list[Any], stamp: bytes) -> None: ...
def batches(
    documents: Sequence[Sequence[tuple[list[Any], Schema]]],
) -> list[list[tuple[list[Any], Schema]]]: ...
def plan_delete(collection: str, kind: int, document_id: object) -> tuple[list[Any], Schema]: ...
