"""Permissions as Ditto writes them, conditions, and the rights that follow."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedgerow.errors import HedgerowError
from hedgerow_bigpeer.auth import scope
from hedgerow_bigpeer.auth.legacy import translate
from hedgerow_bigpeer.auth.rights import Rights
from hedgerow_bigpeer.auth.scope import Entry


def side(**queries: list[str]) -> dict[str, Any]:
    return {"everything": False, "queriesByCollection": queries}


def test_the_documented_example() -> None:
    found = scope.from_permissions(
        {
            "read": side(books=["_id.locationId == 'abc'"], newspapers=["true"]),
            "write": {"everything": True, "queriesByCollection": {}},
        }
    )
    assert found == (
        Entry("books", 1, "_id.locationId == 'abc'"),
        Entry("newspapers", 1),
        Entry("*", 2),
    )
    rights = Rights(found)
    books = rights.to_read("books")
    assert books.covers({"_id": {"locationId": "abc"}}) and not books.covers({"_id": {"locationId": "x"}})
    assert not books.covers({"_id": 1}) and not books.is_whole
    assert rights.to_read("newspapers").is_whole and rights.to_write("anything").is_whole
    with pytest.raises(HedgerowError, match="AUTH_FORBIDDEN"):
        rights.to_read("letters")


def test_reading_and_writing_by_one_rule_are_one_entry() -> None:
    rule = side(cars=["color = 'blue'"])
    assert scope.from_permissions({"read": rule, "write": rule}) == (Entry("cars", 3, "color = 'blue'"),)
    assert scope.from_permissions({"read": side(cars=["false"])}) == () == scope.from_permissions({})


def test_several_queries_add_up() -> None:
    rule = Rights(scope.from_permissions({"read": side(c=["n > 5", "owner = 'ann'"])})).to_read("c")
    assert rule.covers({"_id": 1, "n": 6}) and rule.covers({"_id": 1, "n": 1, "owner": "ann"})
    assert not rule.covers({"_id": 1, "n": 1, "owner": "bob"})


def test_what_cannot_be_worked_out_is_not_covered() -> None:
    rule = Rights((Entry("c", 1, "NOT (n / 0 = 1 AND missing LIKE 'x')"),)).to_read("c")
    assert rule.covers({"_id": 1}) == rule.covers({"_id": 1, "n": "text"})
    huge = Rights((Entry("c", 1, "NOT (text LIKE 'a%')"),)).to_read("c")
    assert not huge.covers({"_id": 1, "text": "b" * 5000})


@pytest.mark.parametrize(
    "query, dql",
    [
        ('_id == "abc"', "_id = 'abc'"),
        ("_id.a == 'it\\'s' && _id.b != 3", "_id.a = 'it''s' AND _id.b != 3"),
        ("startsWith(_id.kind, 'a%_') || _id == null", "_id.kind LIKE 'a\\%\\_%' OR _id = NULL"),
        ("!(endsWith(_id, 'z'))", "NOT ( _id LIKE '%z' )"),
        ("contains(['a', 'b'], _id.level)", "_id.level IN [ 'a' , 'b' ]"),
    ],
)
def test_the_older_language(query: str, dql: str) -> None:
    assert translate(query) == dql
    scope.check_condition(dql)


@pytest.mark.parametrize(
    "permissions",
    [
        None,
        [],
        {"read": []},
        {"read": {"everything": "yes"}},
        {"read": {"queriesByCollection": []}},
        {"read": side(c="true")},  # type: ignore[arg-type]
        {"read": side(c=[""])},
        {"read": side(c=["n = :parameter"])},
        {"read": side(c=["SELECT * FROM c"])},
        {"read": side(c=["regex(_id, 'a')"])},
        {"read": side(c=["!_id == true"])},
        {"read": side(c=["x" * 300])},
        {"read": {"queriesByCollection": {"": ["true"]}}},
        {"read": {"queriesByCollection": {f"c{n}": ["true"] for n in range(17)}}},
    ],
)
def test_permissions_that_are_refused(permissions: Any) -> None:
    with pytest.raises(HedgerowError, match="PERMISSION_INVALID"):
        scope.from_permissions(permissions)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)
queries = st.dictionaries(
    st.text(max_size=8), st.lists(st.text(max_size=40), max_size=3) | json_values, max_size=3
)
sides = st.fixed_dictionaries({"everything": json_values, "queriesByCollection": queries | json_values})


@given(st.fixed_dictionaries({"read": sides | json_values, "write": sides | json_values}) | json_values)
def test_any_json_is_read_or_refused(permissions: Any) -> None:
    try:
        found = scope.from_permissions(permissions)
    except HedgerowError as error:
        assert error.code == "PERMISSION_INVALID"
        return
    assert scope.read_scope(scope.write_scope(found)) == found
    assert scope.from_permissions(scope.to_permissions(found)) == found or any(
        e.collection == "*" for e in found
    )


@given(st.text(max_size=60))
def test_any_text_is_translated_or_refused(text: str) -> None:
    try:
        translate(text)
    except HedgerowError as error:
        assert error.code == "PERMISSION_INVALID"
