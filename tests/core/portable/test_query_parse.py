"""The board's parser in the VM: statements, refusals, limits (tests/host compares it with the grammar)."""

import sys

from kit import raises

from hedgerow.codec.decimal import Decimal
from hedgerow.query.condition import Condition
from hedgerow.query.evaluate import Select
from hedgerow.query.load import parse_statement, parse_where
from hedgerow.query.values import MISSING


def path(*steps: object) -> tuple:
    return ("path", steps)


def lit(value: object) -> tuple:
    return ("literal", value)


def test_every_statement() -> None:
    a = path("a")
    for text, statement in (
        (
            "select distinct board, avg(t) as mean FROM r WHERE n >= 3 GROUP BY board HAVING count(*) > :x"
            " ORDER BY mean DESC LIMIT 10 OFFSET 5; -- done",
            (
                "select", True,
                (
                    ("column", path("board"), "board"),
                    ("column", ("aggregate", "avg", path("t"), False), "mean"),
                ),
                "r", ("compare", ">=", path("n"), lit(3)), (path("board"),),
                ("compare", ">", ("aggregate", "count", None, False), ("param", "x")),
                ((path("mean"), True),), lit(10), lit(5),
            ),
        ),
        (
            "INSERT INTO `c d` INITIAL DOCUMENTS (:d), (deserialize_json(:s)) ON ID CONFLICT DO UPDATE",
            ("insert", "c d", True, (("param", "d"), ("json", ("param", "s"))), "update"),
        ),
        (
            "UPDATE COLLECTION c (m MAP, n.k COUNTER) SET m.x = 'it''s', b = {'k': [1, NULL]}"
            " APPLY n INCREMENT BY -2.50, r RESTART UNSET q WHERE a IS NOT MISSING",
            (
                "update", "c",
                ((("m", "x"), lit("it's")), (("b",), ("object", (("k", ("array", (lit(1), lit(None)))),)))),
                ((("n",), "increment", ("negate", lit(Decimal(250, -2)))), (("r",), "restart", None)),
                (("q",),), ("not", ("is_missing", a)),
            ),
        ),
        ("DELETE FROM c WHERE a = missing", ("delete", "c", ("compare", "=", a, lit(MISSING)))),
        ("EVICT FROM c WHERE a LIMIT 5 FORCE", ("evict", "c", a, (), lit(5), None, True)),
        (
            "SELECT * FROM system:peers",
            ("select", False, (("star",),), "system:peers", None, (), None, (), None, None),
        ),
    ):  # fmt: skip
        assert parse_statement(text) == statement, text


def test_conditions() -> None:
    a, b = path("a"), path("b")
    for text, expression in (
        ("a and not b or a", ("or", (("and", (a, ("not", b))), a))),
        ("a.b[2].\u00e9 <> -1", ("compare", "!=", path("a", "b", 2, "\u00e9"), ("negate", lit(1)))),
        ("a not between 1 and 2 and b", ("and", (("not", ("between", a, lit(1), lit(2))), b))),
        ("a in (1, 2)", ("in", a, (lit(1), lit(2)))),
        ("a in b", ("in", a, b)),
        ("a not ilike 'x%'", ("not", ("like", a, lit("x%"), True))),
        ("a - b * 2", ("arithmetic", "-", a, ("arithmetic", "*", b, lit(2)))),
    ):
        assert parse_where(text) == expression, text


def test_refusals_name_the_place() -> None:
    for code, text, detail in (
        ("QUERY_SYNTAX", "SELECT *\nFORM c", "line 2, column 1: unexpected 'FORM', expected FROM"),
        ("QUERY_SYNTAX", "SELECT * FROM", "line 1, column 14: the statement ends, expected a name"),
        ("QUERY_SYNTAX", "SELECT * FROM c WHERE '\u00e9", "line 1, column 23: "),
        ("QUERY_UNSUPPORTED", "DROP INDEX i", "line 1, column 1: DROP"),
        ("QUERY_UNSUPPORTED", "SELECT lower(a) FROM c", "line 1, column 8: no function named lower"),
        ("QUERY_COLUMNS", "SELECT a, b AS a FROM c", "line 1, column 16: two columns"),
        ("QUERY_TOO_LONG", "SELECT " + " " * 1024, "1031 characters, 1024"),
        ("QUERY_DEPTH", "SELECT * FROM c WHERE " + "(" * 11 + "a" + ")" * 11, "nested deeper than 20"),
        ("QUERY_DEPTH", "SELECT * FROM c WHERE " + "a - " * 20 + "a", "nested deeper than 20"),
        ("QUERY_DEPTH", "SELECT * FROM c WHERE " + "NOT " * 200 + "a", "nested deeper than 20"),
    ):
        assert raises(code, parse_statement, text).detail.startswith(detail), text


def test_the_parser_goes_again() -> None:
    parse_statement("SELECT * FROM c")
    loaded = [name for name in ("parse", "scan") if "hedgerow.query." + name in sys.modules]
    assert loaded == ([] if sys.implementation.name == "micropython" else ["parse", "scan"])
    raises("QUERY_SYNTAX", parse_statement, "SELECT")


def test_the_deepest_statement_runs() -> None:
    """What the limits let pass needs no more stack than there is: the VM would raise RuntimeError."""
    for condition in (
        "(" * 10 + "a" + ")" * 10,
        "a - " * 14 + "a > 0",
        "NOT " * 15 + "a",
        "- " * 15 + "a",
    ):
        query = Select(parse_statement("SELECT * FROM c WHERE " + condition))
        query.add({"a": 1})
        query.rows()


def test_a_condition_is_kept() -> None:
    condition = Condition("n > :least AND name LIKE 'F%'", {"least": 3})
    assert condition.holds({"_id": 1, "n": 4, "name": "Fern"})
    assert not condition.holds({"_id": 1, "n": 3, "name": "Fern"})
    assert condition.key() == Condition("n > :least AND name LIKE 'F%'", {"least": 3}).key()
    assert condition.key() != Condition("n > :least AND name LIKE 'F%'", {"least": 4}).key()
    assert Condition("").holds({"_id": 1}) and Condition("").key() == b"\x82\x60\xa0"
    assert not Condition("n + 18446744073709551615 > 0").holds({"n": 1}), "what cannot be worked out"
    raises("QUERY_PARAMETER", Condition, "n = :x")
    raises("QUERY_AGGREGATE", Condition, "count(*) > 1")
    raises("QUERY_SYNTAX", Condition, "n = ")
    for text, parameters in (
        ("n = '" + "x" * 252 + "'", None),
        ("n = '" + "\u00e9" * 130 + "'", None),
        ("n", {"p" + str(number): 1 for number in range(17)}),
        ("n", {"p": "x" * 254}),
        (7, None),
        ("n", [1]),
    ):
        raises("QUERY_TOO_LONG", Condition, text, parameters)
