"""DQL: from text to tuples, and the evaluator against a naive one."""

from decimal import Decimal as Exact
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hedgerow.codec.decimal import Decimal
from hedgerow.errors import HedgerowError
from hedgerow.query.evaluate import Select
from hedgerow.query.values import MISSING
from hedgerow_host import limits
from hedgerow_host.dql import parse


def path(*steps: str | int) -> tuple[Any, ...]:
    return ("path", steps)


def lit(value: object) -> tuple[Any, ...]:
    return ("literal", value)


def where(text: str) -> Any:
    """Return the condition of a SELECT."""
    return parse(f"SELECT * FROM c WHERE {text}")[4]


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("a = 1", ("compare", "=", path("a"), lit(1))),
        ("a == 1", ("compare", "=", path("a"), lit(1))),
        ("a <> 39.40", ("compare", "!=", path("a"), lit(Decimal(3940, -2)))),
        ("a.b[2].c >= :x", ("compare", ">=", path("a", "b", 2, "c"), ("param", "x"))),
        ("`a b`.`from` < -1e3", ("compare", "<", path("a b", "from"), ("negate", lit(Decimal(1, 3))))),
        ("a = 'it''s' ", ("compare", "=", path("a"), lit("it's"))),
        ("a + b * -c - 2 / 3 = 1", None),
        ("a AND b OR NOT c", ("or", (("and", (path("a"), path("b"))), ("not", path("c"))))),
        ("a and (b or c)", ("and", (path("a"), ("or", (path("b"), path("c")))))),
        ("a IN (1, 'x', NULL)", ("in", path("a"), (lit(1), lit("x"), lit(None)))),
        ("a NOT IN :list", ("not", ("in", path("a"), ("param", "list")))),
        ("'x' in tags", ("in", lit("x"), path("tags"))),
        ("a IN [1, [2], {'k': 3}]", None),
        ("a BETWEEN 1 AND 2 AND b", ("and", (("between", path("a"), lit(1), lit(2)), path("b")))),
        ("a NOT BETWEEN 1 AND 2", ("not", ("between", path("a"), lit(1), lit(2)))),
        ("a LIKE 'x%'", ("like", path("a"), lit("x%"), False)),
        ("a NOT ILIKE :p", ("not", ("like", path("a"), ("param", "p"), True))),
        ("a IS NULL", ("is_null", path("a"))),
        ("a is not missing", ("not", ("is_missing", path("a")))),
        ("TRUE", lit(True)),
        ("a = missing", ("compare", "=", path("a"), lit(MISSING))),
        ("index = 1 -- a comment", ("compare", "=", path("index"), lit(1))),
    ],
)
def test_conditions(text: str, expression: tuple[Any, ...] | None) -> None:
    found = where(text)
    assert expression is None or found == expression
    assert found == where(f"({text}\n)")


def test_precedence() -> None:
    a, b, c = path("a"), path("b"), path("c")
    assert where("a + b * c = 1")[2] == ("arithmetic", "+", a, ("arithmetic", "*", b, c))
    assert where("a - b - c = 1")[2] == ("arithmetic", "-", ("arithmetic", "-", a, b), c)
    assert where("-a % b = 1")[2] == ("arithmetic", "%", ("negate", a), b)


def test_select_whole() -> None:
    statement = parse(
        "SELECT DISTINCT board, avg(t.x) AS mean, count(DISTINCT n) FROM readings WHERE n > 3 GROUP BY board"
        " HAVING count(*) >= :least ORDER BY mean DESC, board ASC LIMIT 10 OFFSET 5;"
    )
    count = ("aggregate", "count", None, False)
    assert statement == (
        "select",
        True,
        (
            ("column", path("board"), "board"),
            ("column", ("aggregate", "avg", path("t", "x"), False), "mean"),
            ("column", ("aggregate", "count", path("n"), True), "count(DISTINCT n)"),
        ),
        "readings",
        ("compare", ">", path("n"), lit(3)),
        (path("board"),),
        ("compare", ">=", count, ("param", "least")),
        ((path("mean"), True), (path("board"), False)),
        lit(10),
        lit(5),
    )


def test_columns_have_names() -> None:
    columns = parse("SELECT *, a.b, count(a), 1 + 1, c[0] AS first FROM c")[2]
    assert [column[2] for column in columns[1:]] == ["b", "count(a)", "$4", "first"]


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("", "fail"),
        ("ON ID CONFLICT FAIL", "fail"),
        ("ON ID CONFLICT DO FAIL", "fail"),
        ("on id conflict do nothing", "nothing"),
        ("ON ID CONFLICT DO UPDATE", "update"),
        ("ON ID CONFLICT DO UPDATE_LOCAL_DIFF", "update_local_diff"),
    ],
)
def test_insert(text: str, policy: str) -> None:
    statement = parse(f"INSERT INTO cars DOCUMENTS (:a), ({{'x': 1.0}}) {text}")
    assert statement == (
        "insert",
        "cars",
        False,
        (("param", "a"), ("object", (("x", lit(Decimal(10, -1))),))),
        policy,
    )
    assert parse(f"INSERT INTO cars INITIAL DOCUMENTS (:a) {text}")[2] is True


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "",
            "QUERY_SYNTAX: line 1, column 1: the statement ends, expected one of DELETE, EVICT, INSERT",
        ),
        (
            "SELECT * FORM cars",
            "QUERY_SYNTAX: line 1, column 10: unexpected 'FORM', expected one of ',', FROM",
        ),
        ("SELECT *\nFROM cars\nWHERE a = ?", "QUERY_SYNTAX: line 3, column 11: unexpected '?', expected"),
        ("SELECT * FROM c LIMIT", "QUERY_SYNTAX: line 1, column 22: the statement ends"),
        ("SELECT * FROM c WHERE a = 'x", 'QUERY_SYNTAX: line 1, column 27: unexpected "\'"'),
        ("SELECT a, b.a FROM c", "QUERY_COLUMNS: "),
        ("SELECT lower(a) FROM c", "QUERY_UNSUPPORTED: line 1, column 8: no function named lower"),
        ("SELECT sum(*) FROM c", "QUERY_SYNTAX: line 1, column 8: sum takes one argument"),
        ("SELECT max() FROM c", "QUERY_SYNTAX: line 1, column 8: max takes one argument"),
        ("SELECT a[1.5] FROM c", "QUERY_SYNTAX: line 1, column 10: a position"),
        ("SELECT 1e999 FROM c", "QUERY_SYNTAX: line 1, column 8: 1e999 is no number"),
        ("-- x\n DROP INDEX i", "QUERY_UNSUPPORTED: line 2, column 2: DROP is not understood here"),
        ("SELECT lower(a) FROM c WHERE", "QUERY_SYNTAX: line 1, column 29: the statement ends"),
        ("SELECT * FROM c; SELECT * FROM c", "QUERY_SYNTAX: line 1, column 18"),
    ],
)
def test_refusals_name_place_and_reason(text: str, message: str) -> None:
    with pytest.raises(HedgerowError) as caught:
        parse(text)
    assert str(caught.value).startswith(message)


def test_limits() -> None:
    with pytest.raises(HedgerowError, match="QUERY_DEPTH"):
        where("(" * 10 + "NOT " * (limits.STATEMENT_DEPTH + 1) + "a" + ")" * 10)
    with pytest.raises(HedgerowError, match="QUERY_DEPTH"):
        where("-" + " -" * 5000 + "a = 1")
    with pytest.raises(HedgerowError, match="QUERY_TOO_LONG"):
        where("a" * limits.STATEMENT_CHARACTERS)
    assert where(" AND ".join(["a"] * 1000))[0] == "and"


# ---- the evaluator against a naive one

FIELDS = ("a", "b")
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.builds(Decimal, st.integers(-30, 30), st.integers(-2, 1)),
    st.sampled_from([0.5, -1.5, 2.0]),
    st.sampled_from(["", "a", "B", "ab"]),
)
DOCUMENTS = st.lists(st.dictionaries(st.sampled_from(FIELDS), SCALARS), max_size=12)


def naive(value: object) -> tuple[int, Any]:
    """Return a sort key made in another way: by class, numbers as decimal.Decimal."""
    if value is MISSING:
        return 0, 0
    if value is None:
        return 1, 0
    if isinstance(value, bool):
        return 2, value
    if isinstance(value, str):
        return 5, value
    if isinstance(value, Decimal):
        return 4, Exact(value.mantissa).scaleb(value.exponent)
    assert isinstance(value, (int, float))
    return 4, Exact(value)


def compares(operator: str, left: object, right: object) -> bool:
    """Compare as SPEC 10.3 says."""
    a, b = naive(left), naive(right)
    if operator in ("=", "!="):
        return (a == b) is (operator == "=")
    if a[0] != b[0] or a[0] < 2:
        return False
    return bool({"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[operator])


def select(statement: str, documents: list[dict[str, Any]], **arguments: object) -> list[dict[str, Any]]:
    query = Select(parse(statement), arguments)
    for document in documents:
        query.add(document)
    rows: list[dict[str, Any]] = query.rows()
    return rows


@settings(deadline=None)
@given(DOCUMENTS, st.sampled_from(["=", "!=", "<", "<=", ">", ">="]), SCALARS)
def test_filters_agree_with_a_naive_evaluator(
    documents: list[dict[str, Any]], operator: str, bound: object
) -> None:
    verdicts = [compares(operator, document.get("a", MISSING), bound) for document in documents]
    numbered = [{**document, "n": number} for number, document in enumerate(documents)]
    for condition, wanted in ((f"a {operator} :x", True), (f"NOT (a {operator} :x)", False)):
        rows = select(f"SELECT n FROM c WHERE {condition}", numbered, x=bound)
        assert [row["n"] for row in rows] == [n for n, verdict in enumerate(verdicts) if verdict is wanted]


@settings(deadline=None)
@given(DOCUMENTS, st.booleans(), st.integers(0, 5), st.integers(0, 5))
def test_sorting_agrees_with_a_naive_evaluator(
    documents: list[dict[str, Any]], falling: bool, limit: int, offset: int
) -> None:
    numbered = [{**document, "n": number} for number, document in enumerate(documents)]
    ordered = sorted(numbered, key=lambda document: naive(document.get("b", MISSING)))
    ordered.sort(key=lambda document: naive(document.get("a", MISSING)), reverse=falling)
    direction = "DESC" if falling else "ASC"
    text = f"SELECT * FROM c ORDER BY a {direction}, b LIMIT {limit} OFFSET {offset}"
    assert select(text, numbered) == ordered[offset : offset + limit]


@settings(deadline=None)
@given(DOCUMENTS)
def test_groups_agree_with_a_naive_evaluator(documents: list[dict[str, Any]]) -> None:
    groups: dict[tuple[int, Any], list[dict[str, Any]]] = {}
    for document in documents:
        groups.setdefault(naive(document.get("a", MISSING)), []).append(document)
    rows = select("SELECT count(*) AS n, sum(b) AS s, max(b) AS m FROM c GROUP BY a ORDER BY a", documents)
    assert len(rows) == len(groups)
    for row, key in zip(rows, sorted(groups), strict=True):
        known = [document["b"] for document in groups[key] if document.get("b") is not None]
        numbers = [naive(value)[1] for value in known if naive(value)[0] == 4]
        assert row["n"] == len(groups[key])
        total = sum(numbers)
        # A sum in which a float takes part is exact up to its end, and then the nearest float.
        wanted = float(total) if isinstance(row["s"], float) else total
        assert naive(row["s"]) == ((4, wanted) if numbers else (1, 0))
        assert naive(row["m"]) == max(map(naive, known), default=(1, 0))


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        parse(text)
    except HedgerowError as error:
        assert error.code.startswith("QUERY_")


WORDS = (
    *("SELECT", "INSERT", "INTO", "FROM", "WHERE", "AND", "OR", "NOT", "IN", "LIKE", "BETWEEN", "IS", "NULL"),
    *("MISSING", "GROUP BY", "ORDER BY", "LIMIT", "DOCUMENTS", "a", "b.c", ":x", "1", "2.5", "'x'", "count"),
    *("*", "(", ")", "[", "]", "{", "}", ",", "=", "<", "-"),
)


@settings(deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=16), DOCUMENTS)
def test_any_words_run_or_are_refused(words: list[str], documents: list[dict[str, Any]]) -> None:
    text = "SELECT * FROM c WHERE " + " ".join(words)
    try:
        statement = parse(text)
        query = Select(statement, {"x": [1, "a"]})
        for document in documents:
            query.add(document)
        query.rows()
    except HedgerowError as error:
        assert error.code.startswith("QUERY_")
