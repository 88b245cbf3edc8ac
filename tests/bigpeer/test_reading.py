"""An insert that is merged with nothing is written down as it stands: the rows are those of merging."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from log_writer import JUNE

from hedgerow import operation
from hedgerow.clock import hlc
from hedgerow.codec import cbor
from hedgerow.codec.cbor import UNDEFINED
from hedgerow.codec.decimal import Decimal
from hedgerow.codec.schema import KEEP, STREAM, Schema, path_of, schema_for
from hedgerow.errors import HedgerowError
from hedgerow_bigpeer.store import reading, work
from hedgerow_bigpeer.store.facets import text_of
from hedgerow_bigpeer.store.rows import Entry, Operation, SchemaEntry, Submission
from hedgerow_bigpeer.store.sqlite import SqliteStore

TABLES = ("operations", "documents", "touches", "outbox", "authors")

integers = st.one_of(st.integers(-300, 300), st.integers(-(2**64), 2**64 - 1))
decimals = st.builds(Decimal, integers, st.integers(-12, 12))
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=70)
scalars = st.one_of(
    integers,
    decimals,
    texts,
    st.binary(max_size=70),
    st.booleans(),
    st.none(),
    st.floats(),
    st.just(UNDEFINED),
)
values = st.one_of(
    scalars,
    st.lists(st.one_of(integers, texts), max_size=4),
    st.dictionaries(st.sampled_from("ab"), integers),
)
names = st.one_of(st.sampled_from(["n", "temperature", "a b", "é", "_id"]), st.just(("nested", "n")))
ids = st.one_of(
    st.none(), integers, texts.filter(lambda text: len(text) < 30), st.binary(max_size=30), st.booleans()
)
AUTHORS = (b"author 1", b"author 2")


def _any_schema(kind: int, document: dict[Any, Any]) -> Schema:
    """Return the schema of a document, which nobody here may write if it has a field `_id`."""
    scales = {name: item.exponent if isinstance(item, Decimal) else None for name, item in document.items()}
    return Schema("c", kind, tuple((name, scales[name]) for name in sorted(scales, key=path_of)))


@st.composite
def operations(draw: Any) -> tuple[Schema, int, bytes, Any, list[Any]]:
    """Return schema, author's place, stamp, id and values of an insert."""
    fields = draw(st.dictionaries(names, values, max_size=4))
    known = {name: None if value is UNDEFINED else value for name, value in fields.items()}
    schema = _any_schema(draw(st.sampled_from([KEEP, STREAM])), known)
    # Ids are few, so that some inserts meet a document; some are ahead of time.
    document_id = draw(st.one_of(ids, st.sampled_from([1, "a", [AUTHORS[1], 2]])))
    ms = JUNE + draw(st.sampled_from([-5000, -4000, 0, 10**9]))
    return (
        schema,
        draw(st.integers(0, 1)),
        hlc.pack(ms, draw(st.integers(0, 2))),
        document_id,
        schema.pack(fields),
    )


def entries_of(found: Sequence[tuple[Schema, int, bytes, Any, list[Any]]]) -> list[Entry]:
    entries: list[Entry] = []
    numbers = [0, 0]
    for schema, at, stamp, document_id, packed in found:
        try:
            body = operation.encode_body(stamp, [[operation.INSERT, schema.name, document_id, packed]])
        except HedgerowError:
            continue
        numbers[at] += 1
        entries += [SchemaEntry(schema.encoded), Operation(AUTHORS[at], numbers[at], body)]
    return entries


async def rows(path: Path, submissions: Sequence[Submission]) -> tuple[Any, ...]:
    """Return what a new store holds of submissions."""
    store = await SqliteStore.open(path, full_sync=False)
    try:
        done = await store.ingest(submissions, JUNE)
        found = [store._db.execute(f"SELECT * FROM {table}").fetchall() for table in TABLES]
        # A store's epoch is its own.
        epoch = store.identity.epoch
        found = [[[b"" if cell == epoch else cell for cell in row] for row in table] for table in found]
        return [str(error) for error in done.errors], done.operations, done.documents, found
    finally:
        await store.close()


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(found=st.lists(operations(), min_size=1, max_size=6), split=st.integers(0, 6))
def test_the_rows_are_those_of_merging(
    found: list[Any], split: int, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = entries_of(found)
    # The schemas come before, as they do over a session: what is not known is merged.
    schemas = Submission([entry for entry in entries if isinstance(entry, SchemaEntry)])
    rest = [entry for entry in entries if isinstance(entry, Operation)]
    submissions = [schemas, Submission(rest[:split]), Submission(rest[split:])]
    folder = tmp_path_factory.mktemp("stores")
    plain = asyncio.run(rows(folder / "plain.db", submissions))
    with monkeypatch.context() as patch:
        patch.setattr(work, "read", lambda *_: None)
        assert asyncio.run(rows(folder / "merged.db", submissions)) == plain


def test_a_field_that_is_called_as_the_id_is_hides_nothing(tmp_path: Path) -> None:
    schema = _any_schema(KEEP, {"_id": 5, "n": 1})
    body = operation.encode_body(
        hlc.pack(JUNE), [[operation.INSERT, schema.name, "x", schema.pack({"_id": 5, "n": 1})]]
    )
    submissions = [Submission([SchemaEntry(schema.encoded)]), Submission([Operation(AUTHORS[0], 1, body)])]
    *_, tables = asyncio.run(rows(tmp_path / "store.db", submissions))
    ((*_, facets),) = tables[TABLES.index("documents")]
    assert json.loads(facets, object_pairs_hook=list) == [("_id", text_of("x")), ("n", text_of(1))]


def test_most_inserts_are_not_merged() -> None:
    fields = {
        "n": 7,
        "temperature": Decimal(394, -1),
        "state": "ok",
        "on": True,
        "raw": b"\1",
        "list": [1, "a"],
    }
    schema = schema_for("c", STREAM, fields)
    known = {schema.name: schema}
    for document_id in (None, 7, "name", b"name"):
        body = operation.encode_body(
            hlc.pack(JUNE), [[operation.INSERT, schema.name, document_id, schema.pack(fields)]]
        )
        found = reading.read(AUTHORS[0], 300, body, known)
        assert found is not None
        assert cbor.decode(found.row.value or b"") == fields
        assert cbor.decode(found.row.id) == ([AUTHORS[0], 300] if document_id is None else document_id)
        assert found.mark == operation.h16(AUTHORS[0], 300, body, known)
        # Cut, lengthened and changed bytes are for the checks of operations to name.
        for at in range(len(body)):
            assert reading.read(AUTHORS[0], 300, body[:at], known) is None
            for byte in (0, 0x1F, 0x81, 0xFF, body[at] ^ 1):
                changed = body[:at] + bytes((byte,)) + body[at + 1 :]
                if reading.read(AUTHORS[0], 300, changed, known) is not None:
                    operation.decode_body(changed)
        assert reading.read(AUTHORS[0], 300, body + b"\0", known) is None
