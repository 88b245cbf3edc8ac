"""Ids named by a condition are read by key: never a document less than a scan finds, and no scan."""

import sys
from pathlib import Path
from typing import Any

import pytest
from bigpeer_harness import local
from hypothesis import given, settings
from hypothesis import strategies as st

from hedgerow.codec import cbor
from hedgerow.codec.decimal import Decimal
from hedgerow.query.expression import bind, holds
from hedgerow_bigpeer import limits
from hedgerow_bigpeer.lookup import keys_of
from hedgerow_host.dql import by_text_form, parse

decimals = st.builds(Decimal, st.integers(-(10**6), 10**6), st.integers(-5, 5))
numbers = st.one_of(st.integers(-20, 2000), decimals, st.integers(-8, 8).map(lambda n: n / 4), st.floats())
texts = st.sampled_from(["a", "AQID", "AQ", "AAAAAAAAAAA", ""])
scalars = st.one_of(numbers, texts, st.booleans(), st.binary(max_size=3), st.just(bytes(8)))
ids = st.one_of(scalars, st.lists(scalars, max_size=3))
CONDITIONS = [
    "_id = :x",
    ":x = _id AND n = 1",
    "_id IN (:x, 'b')",
    "_id IN :xs",
    "_id IN [:x]",
    "_id = [:x, 3]",
]


def same(value: Any) -> st.SearchStrategy[Any]:
    """Other forms of a value."""
    if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
        number = value if isinstance(value, Decimal) else Decimal(value, 0)
        return st.sampled_from([value, Decimal(number.mantissa * 10, number.exponent - 1), number])
    return st.just(value)


@settings(deadline=None)
@given(ids, st.data(), st.sampled_from(CONDITIONS), st.booleans())
def test_no_document_is_missed(value: Any, data: st.DataObject, condition: str, by_json: bool) -> None:
    found = data.draw(st.one_of(ids, same(value)))
    arguments = {"x": value, "xs": [value, "c"]}
    statement = parse(f"SELECT * FROM c WHERE {condition}")
    where = by_text_form(statement, arguments if by_json else None)[4]
    for document_id in (found, [found, 3], value):
        if holds(bind(where, arguments), {"_id": document_id, "n": 1}):
            keys = keys_of(statement[4], arguments, by_json=by_json)
            assert keys is None or cbor.encode(document_id) in keys


@pytest.mark.parametrize(
    "condition", ["_id > 3", "NOT _id = 3", "_id = 3 OR n = 1", "_id = n", "n = 3", "_id LIKE 'a'"]
)
def test_other_conditions_name_no_ids(condition: str) -> None:
    assert keys_of(parse(f"SELECT * FROM c WHERE {condition}")[4], {}, by_json=True) is None


@pytest.mark.parametrize("value", [sys.float_info.max, -(2.0**1023), 5e-324])
def test_the_greatest_and_the_least_floats_have_keys(value: float) -> None:
    where = parse("SELECT * FROM c WHERE _id = :x")[4]
    assert cbor.encode(value) in (keys_of(where, {"x": value}, by_json=False) or [])


def test_lists_of_ids_have_a_limit() -> None:
    where = parse("SELECT * FROM c WHERE _id IN :x")[4]
    assert keys_of(where, {"x": ["a!"] * limits.LOOKED_UP}, by_json=True) == [cbor.encode("a!")]
    assert keys_of(where, {"x": ["a!"] * (limits.LOOKED_UP + 1)}, by_json=True) is None


def test_a_document_is_found_by_its_id_without_a_scan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with local(tmp_path) as served:
        for n in range(5):
            served.execute("INSERT INTO c DOCUMENTS (:d)", {"d": {"_id": n, "n": n}})
        (dot,) = served.execute("INSERT INTO c DOCUMENTS ({'n': 9})").json()["mutatedDocumentIds"]
        snapshot = type(served.run(_snapshot(served.peer.service.store)))
        monkeypatch.delattr(snapshot, "documents")
        assert served.items("SELECT n FROM c WHERE _id = 3") == [{"n": 3}]
        assert served.items("SELECT n FROM c WHERE _id = 3.0") == [{"n": 3}]
        assert served.items("SELECT n FROM c WHERE _id IN (4, 2, 7) AND n < 4") == [{"n": 2}]
        assert served.items("SELECT n FROM c WHERE _id = :x", {"x": dot}) == [{"n": 9}]
        assert served.execute("UPDATE c SET n = 7 WHERE _id = 3").json()["mutatedDocumentIds"] == [3]
        assert served.execute("DELETE FROM c WHERE _id = 4").json()["mutatedDocumentIds"] == [4]


async def _snapshot(store: Any) -> Any:
    async with store.snapshot() as snapshot:
        return snapshot
