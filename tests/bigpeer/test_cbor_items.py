"""JSON of what the store holds, item by item: the same text as of the decoded document."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hedgerow.codec import cbor
from hedgerow.codec.decimal import Decimal
from hedgerow_bigpeer.cbor_items import document_text, end_of
from hedgerow_bigpeer.cdc.config import BridgeConfig
from hedgerow_bigpeer.cdc.events import Events, _render_safe
from hedgerow_bigpeer.http.json_text import render
from hedgerow_bigpeer.store.rows import OutboxRow
from hedgerow_bigpeer.view import seen

integers = st.one_of(st.integers(-300, 300), st.integers(-(2**64), 2**64 - 1))
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
scalars = st.one_of(
    integers,
    st.builds(Decimal, integers, st.integers(-30, 30)),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=70),
    st.binary(max_size=70),
    st.booleans(),
    st.none(),
    st.floats(),
)
values = st.recursive(
    scalars, lambda inner: st.one_of(st.lists(inner), st.dictionaries(names, inner)), max_leaves=6
)
fields = st.dictionaries(st.one_of(names, st.just("_id")), values, max_size=30)


@given(values, fields)
def test_documents(document_id: Any, found: dict[str, Any]) -> None:
    raw_id, raw = cbor.encode(document_id), cbor.encode(found)
    decoded = seen(cbor.decode(raw_id), cbor.decode(raw), None)  # type: ignore[arg-type]
    for write in (render, _render_safe):
        assert document_text(raw_id, raw, write) == write(decoded)


@given(st.lists(values, max_size=6))
def test_ends(found: list[Any]) -> None:
    data, at = b"".join([cbor.encode(value) for value in found]), 0
    for value in found:
        end = end_of(data, at)
        assert data[at:end] == cbor.encode(value)
        at = end
    assert at == len(data)


def test_events_of_both_formats() -> None:
    before, after = {"n": Decimal(10, -1), "big": 2**60}, {"n": 2, "name": 'a "b"'}
    encoded = (cbor.encode(before), cbor.encode(after))
    row = OutboxRow(
        3, 2**60, "c d", cbor.encode([b"author 1", 7]), "u", *encoded, b"author 1", 7, bytes(8), 1000
    )
    ditto, cloud = (
        Events(BridgeConfig("b", (), name, {}), "app", b"e").make(row) for name in ("ditto", "cloudevents")
    )
    assert ditto is not None and cloud is not None
    shown = {"_id": ["YXV0aG9yIDE", 7], "n": 2, "name": 'a "b"'}
    assert json.loads(ditto.value) == {
        "txnId": 2**60,
        "type": "documentChanged",
        "collection": "c d",
        "change": {
            "method": "upsert",
            "oldValue": {"_id": shown["_id"], "n": 1.0, "big": 2**60},
            "newValue": shown,
        },
    }
    assert json.loads(cloud.value) == {
        "op": "u",
        "before": {"_id": shown["_id"], "n": 1.0, "big": str(2**60)},
        "after": shown,
        "source": {
            "txn": str(2**60),
            "seq": 3,
            "epoch": "65",
            "collection": "c d",
            "author": b"author 1".hex(),
            "number": 7,
        },
        "ts_ms": 946_684_801_000,
    }
    assert ditto.key == cloud.key == 'app|c d|["YXV0aG9yIDE",7]'
    assert cloud.attributes["time"] == "2000-01-01T00:00:01.000Z"
