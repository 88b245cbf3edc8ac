"""SQL asked of facets never loses a document that the evaluator finds, and sorts as DQL does."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from bigpeer_harness import local
from conditions import OPERATORS, asked, conditions, fields, scalars, texts, values
from hypothesis import example, given, settings
from hypothesis import strategies as st
from log_writer import JUNE
from raw_author import RawAuthor

from hedgerow.errors import HedgerowError
from hedgerow.limits import MAX_TEXT
from hedgerow.query.evaluate import Select
from hedgerow.query.expression import bind, holds
from hedgerow.query.values import order_key
from hedgerow_bigpeer import limits
from hedgerow_bigpeer.index_statement import index_statement
from hedgerow_bigpeer.prefilter import filter_of
from hedgerow_bigpeer.store.facets import CUT, facets_of, name_of, text_of
from hedgerow_bigpeer.store.filter import FALSE, SQLITE, TRUE, Filter, write
from hedgerow_bigpeer.store.rows import Index, Submission
from hedgerow_bigpeer.store.sqlite import SqliteStore
from hedgerow_host.dql import by_text_form, parse


@settings(deadline=None, max_examples=1500)
@given(conditions(), fields, values, values, values, st.one_of(texts, st.just("a%")), st.booleans())
@example("a < :x", {"a": "y" * 200}, "y" * 201, 0, 0, "", False)
@example("NOT a = :x", {"a": "y" * 200 + "1"}, "y" * 200 + "2", 0, 0, "", False)
@example("a = b", {}, 0, 0, 0, "", False)
@example("a LIKE :t", {"a": "a\U0010ffff\U0010ffff\U0010ffff"}, 0, 0, 0, "a%", False)
@example("a LIKE :t", {"a": "x" * (MAX_TEXT + 1)}, 0, 0, 0, "a%", False)
@example("(NOT a LIKE :t AND b = 2)", {"a": "x" * (MAX_TEXT + 1), "b": 1}, 0, 0, 0, "a%", False)
@example("(a + 1 > 2 OR b = 2)", {"a": 2**64 - 1, "b": 1}, 0, 0, 0, "", False)
@example("(a * a > 2 AND b = 2)", {"a": 2**64 - 1, "b": 1}, 0, 0, 0, "", False)
def test_what_sql_leaves_out_the_evaluator_does_not_want(
    condition: str, document: dict[str, Any], x: Any, y: Any, z: Any, pattern: str, by_json: bool
) -> None:
    document = {**document, "_id": document.get("b", 1)}
    arguments = {"x": x, "y": y, "z": z, "t": pattern}
    statement = by_text_form(parse(f"SELECT * FROM c WHERE {condition}"), arguments if by_json else None)
    wanted = filter_of(statement[4], arguments)
    try:
        true = holds(bind(statement[4], arguments), document)
    except HedgerowError:
        # What refuses a document must meet it.
        true = True
    if true:
        assert asked(wanted, document), wanted


@settings(deadline=None, max_examples=1500)
@given(values, values)
def test_texts_sort_as_values_do(one: Any, two: Any) -> None:
    """The cut ones in the same order, or alike."""
    a, b = text_of(one), text_of(two)
    if order_key(one) < order_key(two):
        assert a < b or (a == b and len(a) == CUT)
    elif order_key(one) == order_key(two):
        assert a == b


@settings(deadline=None, max_examples=300)
@given(scalars, st.sampled_from(OPERATORS), st.lists(scalars, min_size=1, max_size=8))
def test_a_comparison_of_short_values_is_exact(x: Any, operator: str, found: list[Any]) -> None:
    """Nothing is let through in vain, so that an index reads what is wanted and no more."""
    statement = parse(f"SELECT * FROM c WHERE a {operator} :x AND NOT b {operator} :x")
    wanted = filter_of(statement[4], {"x": x})
    for value in found:
        if len(text_of(value)) < CUT and len(text_of(x)) < CUT:
            document = {"_id": 1, "a": value, "b": value}
            parts = wanted[1] if wanted[0] == "and" else ()
            assert asked(wanted, document) == holds(bind(statement[4], {"x": x}), document), parts


@pytest.mark.parametrize(
    ("condition", "wanted"),
    [
        ("a = 1", ("compare", "a", "=", text_of(1))),
        ("a.b IN ('x!')", ("compare", "a.b", "=", text_of("x!"))),
        ("_time > '2026'", TRUE),
        ("a < NULL", FALSE),
        ("a + 1 > 2", TRUE),
        ("a + 1 > 2 AND b = 1", TRUE),
        ("b = 1 AND a + 1 > 2", ("compare", "b", "=", text_of(1))),
        ("a[0] = 1", TRUE),
        ("TRUE", TRUE),
        ("2 < 1", FALSE),
    ],
)
def test_what_becomes_of_conditions(condition: str, wanted: Filter) -> None:
    assert filter_of(parse(f"SELECT * FROM c WHERE {condition}")[4], {}) == wanted


@given(st.text(), st.text())
def test_no_name_or_value_of_anybody_stands_in_the_text(name: str, value: str) -> None:
    path = name_of((name,))
    sql, parameters = write(("compare", path, "=", value), SQLITE)
    assert (sql, parameters) == ("json_extract(facets, '$.\"' || ? || '\"') = ?", [path, value])
    sql, parameters = write(("compare", path, "=", value), SQLITE, {path})
    assert sql == f"json_extract(facets, '$.\"{path}\"') = ?" and parameters == [value]
    assert set(path) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.~")
    assert json.loads(facets_of(1, {name: 2})).get(path) == text_of(1 if name == "_id" else 2)


def test_a_name_that_is_none_is_not_written() -> None:
    with pytest.raises(ValueError, match="no name of a path"):
        SQLITE.indexed("a') OR 1=1 --")


def test_an_index_is_used_and_a_statement_sees_the_same_without_it(tmp_path: Path) -> None:
    author = RawAuthor(1)
    for n in range(500):
        author.insert(1000 + n, n, n=n % 50, where=f"field {n % 7}")

    async def run() -> tuple[list[int], list[int], str]:
        store = await SqliteStore.open(tmp_path / "store.db", full_sync=False)
        await store.ingest([Submission(author.take())], JUNE)
        where = parse("SELECT * FROM things WHERE n >= 7 AND n < 9")[4]
        seen = []
        for _ in range(2):
            async with store.snapshot() as snapshot:
                rows = await snapshot.documents("things", None, 1000, filter_of(where, {}))
                seen.append([row.number or 0 for row in rows])
            if not await store.indexes():
                await store.create_index(Index("things", "by_n", "n"))
        condition, parameters = write(filter_of(where, {}), SQLITE, {"n"})
        plan = store._db.execute(
            "EXPLAIN QUERY PLAN SELECT id FROM documents WHERE app = 'default' AND shard = 0"
            f" AND collection = 'things' AND +id > x'' AND value IS NOT NULL AND {condition} ORDER BY +id",
            parameters,
        ).fetchall()
        await store.close()
        return seen[0], seen[1], str(plan)

    plain, indexed, plan = asyncio.run(run())
    assert plain == indexed == sorted(n + 1 for n in range(500) if n % 50 in (7, 8))
    assert "USING INDEX facet_" in plan and "<expr>" in plan


def test_a_statement_looks_at_what_sql_lets_through_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[Any] = []
    add = Select.add

    def counting(self: Select, document: dict[str, Any]) -> None:
        looked.append(document["_id"])
        add(self, document)

    monkeypatch.setattr(Select, "add", counting)
    with local(tmp_path) as served:
        for n in range(6):
            served.execute("INSERT INTO c DOCUMENTS (:d)", {"d": {"_id": n, "n": n, "deep": {"x": [n]}}})
        assert served.items("SELECT n FROM c WHERE n > 3 AND deep.x[0] < 5") == [{"n": 4}]
        assert looked == [4, 5]
        assert served.execute("UPDATE c SET n = 9 WHERE n = 5").json()["mutatedDocumentIds"] == [5]
        assert served.items("SELECT _id FROM c WHERE n = 9") == [{"_id": 5}]
        assert served.execute("DELETE FROM c WHERE n = 9").json()["mutatedDocumentIds"] == [5]
        assert served.items("SELECT _id FROM c WHERE n >= 4") == [{"_id": 4}]


def test_indexes_are_made_and_dropped_by_statements(tmp_path: Path) -> None:
    with local(tmp_path) as served:
        made = served.execute("CREATE INDEX IF NOT EXISTS by_n ON c (deep.`x y`)").json()
        assert (made["queryType"], made["warnings"], made["error"]) == ("create_index", [], {})
        store = served.peer.service.store
        assert served.run(store.indexes()) == [Index("c", "by_n", name_of(("deep", "x y")))]
        assert served.execute("create index by_n on c (n)").json()["error"]["code"] == "INDEX_EXISTS"
        assert served.execute("CREATE INDEX IF NOT EXISTS by_n ON c (n)").json()["totalWarningsCount"] == 1
        assert served.execute("DROP INDEX by_n ON c").json()["error"] == {}
        assert served.execute("DROP INDEX by_n ON c").json()["error"]["code"] == "INDEX_UNKNOWN"
        assert served.execute("DROP INDEX IF EXISTS by_n ON c").json()["totalWarningsCount"] == 1
        assert served.execute("CREATE INDEX by_n ON c").json()["error"]["code"] == "QUERY_SYNTAX"
        assert served.run(store.indexes()) == []


def test_only_so_many_paths_are_indexed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "INDEXES", 2)
    with local(tmp_path) as served:
        for name, collection, path in (("i", "c", "a"), ("j", "c", "b"), ("i", "d", "a")):
            made = served.execute(f"CREATE INDEX {name} ON {collection} ({path})")
            assert made.json()["error"] == {}
        refused = served.execute("CREATE INDEX k ON c (x)").json()
        assert refused["error"]["code"] == "INDEXES_FULL"


@pytest.mark.parametrize("text", ["SELECT * FROM c", "CREATE TABLE c", "", "createindex"])
def test_other_statements_are_none_of_indexes(text: str) -> None:
    assert index_statement(text) is None


def test_reading_the_store_has_an_end(tmp_path: Path) -> None:
    author = RawAuthor(1)
    for n in range(2000):
        author.insert(1000 + n, n, n=n)

    async def run() -> None:
        store = await SqliteStore.open(tmp_path / "store.db", full_sync=False)
        await store.ingest([Submission(author.take())], JUNE)
        never = filter_of(parse("SELECT * FROM things WHERE a = 1")[4], {})
        with pytest.raises(HedgerowError, match="QUERY_TIMEOUT"):
            async with store.snapshot(0.0) as snapshot:
                await snapshot.documents("things", None, 1000, never)
        async with store.snapshot() as snapshot:
            assert await snapshot.documents("things", None, 1000, never) == []
        await store.close()

    asyncio.run(run())
