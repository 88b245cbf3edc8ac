"""Strategies for documents and conditions over them, and SQLite asked whether a filter lets one through."""

import math
import sqlite3
from typing import Any

from hypothesis import strategies as st

from hedgerow.codec.decimal import Decimal
from hedgerow_bigpeer.store.facets import CUT, facets_of
from hedgerow_bigpeer.store.filter import SQLITE, Filter, write

decimals = st.builds(Decimal, st.integers(-(10**6), 10**6), st.integers(-5, 5))
numbers = st.one_of(
    st.sampled_from([0, 1, -1, 10, -10, 0.5, -0.5, math.nan, math.inf, -math.inf, 2**63, -(2**63), 1e308]),
    st.integers(-20, 2000),
    decimals,
    st.integers(-8, 8).map(lambda n: n / 4),
    st.floats(),
)
letters = st.sampled_from(list("aAbz%_\\'\" 019:~\x01\x02\x03\x04\x7f\u00e9\uffff\U0010ffff"))
texts = st.one_of(st.sampled_from(["", "a", "AQID", "true", "1", "x" * 200]), st.text(letters, max_size=4))
scalars = st.one_of(
    numbers,
    texts,
    st.text(max_size=3),
    st.booleans(),
    st.none(),
    st.binary(max_size=3),
    st.sampled_from(["y" * (CUT - 2), "y" * (CUT - 1), "y" * CUT, "y" * CUT + "z"]),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["b", "c", "d.e", ""]), inner, max_size=2),
    ),
    max_leaves=5,
)
fields = st.dictionaries(st.sampled_from(["a", "b", "c", "a b"]), values, max_size=3)
PATHS = ["a", "b", "a.b", "a.c", "`a b`", "a[0]", "_id", "a.`d.e`"]
CONSTANTS = [":x", ":y", ":z", "NULL", "MISSING", "TRUE", "'AQID'", "2", "-0.5"]
OPERATORS = ["=", "!=", "<", "<=", ">", ">="]


@st.composite
def conditions(draw: st.DrawFn, depth: int = 2) -> str:
    if depth and draw(st.booleans()):
        parts = draw(st.lists(conditions(depth - 1), min_size=1, max_size=3))
        word = draw(st.sampled_from([" AND ", " OR "]))
        joined = "(" + word.join(parts) + ")"
        return f"NOT {joined}" if draw(st.booleans()) else joined
    path = draw(st.sampled_from(PATHS))
    other = draw(st.sampled_from([*CONSTANTS, *PATHS]))
    operator = draw(st.sampled_from(OPERATORS))
    return draw(
        st.sampled_from(
            [
                f"{path} {operator} {other}",
                f"{other} {operator} {path}",
                f"{path} BETWEEN :x AND {other}",
                f"{path} NOT BETWEEN :x AND :y",
                f"{path} IN (:x, {other})",
                f"{path} NOT IN [:x, :y]",
                f"{path} IN :z",
                f"{path} LIKE :t",
                f"{path} NOT LIKE :t",
                f"{path} ILIKE :t",
                f"{path} IS NULL",
                f"{path} IS NOT MISSING",
                f"{path} + 1 > :x",
                path,
            ]
        )
    )


def asked(wanted: Filter, document: dict[str, Any]) -> bool:
    """Ask SQLite whether a filter lets a document through."""
    facets = facets_of(document["_id"], document)
    condition, parameters = write(wanted, SQLITE)
    with sqlite3.connect(":memory:") as connection:
        query = f"SELECT count(*) FROM (SELECT ? AS facets) WHERE {condition}"
        (count,) = connection.execute(query, [facets, *parameters]).fetchone()
    connection.close()
    return bool(count)
