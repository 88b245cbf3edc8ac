"""The board's parser and the grammar: the same tuples, or the same code at the same place."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hedgerow.errors import HedgerowError
from hedgerow.query import parse as board
from hedgerow_host import dql, limits

PLACE = re.compile(r"line \d+, column \d+: ")


def outcome(parse: Any, text: str) -> Any:
    """Return the statement with the types of its values, or the code and the place of the refusal."""
    try:
        return repr(parse(text))
    except HedgerowError as error:
        found = PLACE.match(error.detail)
        return error.code, found and found[0]


def by_board(text: str) -> Any:
    return board.parse(text, limits.STATEMENT_CHARACTERS, limits.STATEMENT_DEPTH)


def agree(text: str) -> Any:
    """Insist on the same outcome of both; return it."""
    found = outcome(by_board, text)
    assert found == outcome(dql.parse, text), text
    return found


# ---- statements from the grammar

KEYWORDS = (
    *("select", "distinct", "from", "where", "group", "having", "order", "by", "limit", "offset", "insert"),
    *("into", "initial", "documents", "on", "conflict", "do", "fail", "update", "set", "apply", "unset"),
    *("increment", "restart", "with", "delete", "evict", "force", "collection", "and", "or", "not", "in"),
    *("between", "like", "is", "null", "missing", "true", "as", "asc", "desc", "map"),
)
NAMES = st.sampled_from(["a", "b", "Board_1", "t", "`x y`", "`from`", "\u00e9t\u00e9", "K\u212a", *KEYWORDS])
NUMBERS = st.sampled_from(["0", "1", "42", "1.50", "2e3", "1E-2", "1e999", "18446744073709551616", "00"])
STRINGS = st.sampled_from(["''", "'x'", "'it''s'", "''''", "'--'", "'a\nb'", "'\u00e9'"])
PARAMETERS = st.sampled_from([":x", ":list", ":\u00e9", ":from"])
STEPS = st.sampled_from(["", "", ".b", "[0]", ".c[2].d", "[1.5]", "[1234567890]", "[ 1 ]"])


def joined(*parts: Any) -> st.SearchStrategy[str]:
    """Return one of each part, with blanks between that both parsers must pass over."""
    strategies = [st.just(part) if isinstance(part, str) else part for part in parts]
    blank = st.sampled_from([" ", " ", " ", "\n", "\t ", " -- x\n"])
    pairs = st.tuples(st.tuples(*strategies), st.lists(blank, min_size=len(parts), max_size=len(parts)))
    return pairs.map(lambda pair: "".join(part + gap if part else "" for part, gap in zip(*pair)))


def maybe(*parts: Any) -> st.SearchStrategy[str]:
    return st.just("") | joined(*parts)


def listed(item: st.SearchStrategy[str], least: int = 1) -> st.SearchStrategy[str]:
    return st.lists(item, min_size=least, max_size=3).map(", ".join)


def deeper(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operators = ["=", "==", "!=", "<>", "<", "<=", ">", ">=", "+", "-", "*", "/", "%", "AND", "or", "LIKE"]
    functions = ["count", "SUM", "avg", "min", "max", "lower", "deserialize_json"]
    entry = joined(STRINGS, ":", inner)
    return st.one_of(
        joined(inner, st.sampled_from([*operators, "NOT LIKE", "ILIKE", "not ilike"]), inner),
        joined(inner, st.sampled_from(["BETWEEN", "NOT BETWEEN"]), inner, "AND", inner),
        joined(inner, st.sampled_from(["IN", "NOT IN"]), "(", listed(inner), ")"),
        joined(inner, "IN", inner),
        joined(inner, st.sampled_from(["IS NULL", "IS NOT NULL", "is missing", "IS NOT MISSING", "IS 1"])),
        joined("(", inner, ")"),
        joined(st.sampled_from(["NOT", "-", "- -", "--"]), inner),
        joined("[", listed(inner, 0), "]"),
        joined("{", listed(entry, 0), "}"),
        joined(st.sampled_from(functions), "(", st.sampled_from(["", "DISTINCT", "distinct"]), inner, ")"),
        st.sampled_from(["count(*)", "sum(*)", "max()", "count(distinct)", "Deserialize_JSON(*)"]),
    )


PATHS = st.tuples(NAMES, STEPS).map("".join)
EXPRESSIONS = st.recursive(
    st.one_of(PATHS, NUMBERS, STRINGS, PARAMETERS, st.sampled_from(["NULL", "true", "FALSE", "missing"])),
    deeper,
    max_leaves=6,
)
TYPED = joined(NAMES, st.sampled_from(["MAP", "REGISTER", "counter", "PN_COUNTER", "ATTACHMENT", "'x'"]))
COLLECTIONS = NAMES | joined("COLLECTION", NAMES, maybe("(", listed(TYPED), ")"))
COLUMNS = listed(st.just("*") | joined(EXPRESSIONS, maybe("AS", NAMES)))
WHERE = maybe("WHERE", EXPRESSIONS)
ORDER = maybe("ORDER BY", listed(joined(EXPRESSIONS, st.sampled_from(["", "ASC", "desc"]))))
CUT = joined(ORDER, maybe("LIMIT", EXPRESSIONS), maybe("OFFSET", EXPRESSIONS))
SELECTS = joined(
    *("SELECT", st.sampled_from(["", "DISTINCT"]), COLUMNS, "FROM", COLLECTIONS | st.just("system:peers")),
    *(WHERE, maybe("GROUP BY", listed(EXPRESSIONS)), maybe("HAVING", EXPRESSIONS), CUT),
)
POLICIES = ["FAIL", "DO FAIL", "DO NOTHING", "do update", "DO UPDATE_LOCAL_DIFF", "NOTHING", "DO"]
INSERTS = joined(
    *("INSERT INTO", COLLECTIONS, st.sampled_from(["", "INITIAL"]), "DOCUMENTS"),
    *(listed(joined("(", EXPRESSIONS, ")")), maybe("ON ID CONFLICT", st.sampled_from(POLICIES))),
)
TARGETS = st.lists(NAMES, min_size=1, max_size=3).map(".".join)
ACTIONS = st.sampled_from(["INCREMENT BY", "PN_INCREMENT BY", "RESTART WITH", "INCREMENT"])
UPDATES = joined(
    *(
        "UPDATE",
        COLLECTIONS,
        maybe("SET", listed(joined(TARGETS, st.sampled_from(["=", "=="]), EXPRESSIONS))),
    ),
    maybe("APPLY", listed(joined(TARGETS, ACTIONS, EXPRESSIONS) | joined(TARGETS, "RESTART"))),
    *(maybe("UNSET", listed(TARGETS)), WHERE),
)
DELETES = joined(st.sampled_from(["DELETE", "tombstone"]), "FROM", COLLECTIONS, WHERE)
EVICTS = joined("EVICT FROM", COLLECTIONS, WHERE, CUT, st.sampled_from(["", "FORCE"]))
STATEMENTS = joined(
    st.one_of(SELECTS, INSERTS, UPDATES, DELETES, EVICTS), st.sampled_from(["", "", ";", "; ;"])
)


@settings(max_examples=400)
@given(STATEMENTS)
def test_both_read_the_same(text: str) -> None:
    agree(text)


PIECES = st.sampled_from(
    [
        *"()[]{},.:;=<>!+-*/%'`\"@?\\ \n\x0b\xa0\u017f\u2028\u3000x1e",
        "--",
        "''",
        "select ",
        " from ",
        "1.",
        "e5",
        ":x",
    ]
)


@settings(max_examples=600)
@given(STATEMENTS, st.lists(st.tuples(st.floats(0, 1), st.integers(0, 2), PIECES), min_size=1, max_size=3))
def test_both_refuse_the_same(text: str, changes: list[tuple[float, int, str]]) -> None:
    for where, dropped, piece in changes:
        at = int(where * len(text))
        text = text[:at] + piece + text[at + dropped :]
    agree(text)


@given(st.text(max_size=60))
def test_any_text_is_refused_in_the_same_way(text: str) -> None:
    agree(text)
    agree(f"SELECT * FROM c WHERE {text}")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("SELECT a FROMx", ("QUERY_SYNTAX", "line 1, column 10: ")),
        ("SELECT 'a''b", ("QUERY_SYNTAX", "line 1, column 8: ")),
        ("UPDATE c SET a == 1", ("QUERY_SYNTAX", "line 1, column 16: ")),
        ("UPDATE c WHERE a", ("QUERY_SYNTAX", "line 1, column 10: ")),
        ("UPDATE c SET _id[0] = 1", ("QUERY_SYNTAX", "line 1, column 17: ")),
        ("UPDATE COLLECTION c (a ATTACHMENT) SET a = 1", ("QUERY_UNSUPPORTED", "line 1, column 24: ")),
        ("SELECT lower(a), upper(b) FROM c", ("QUERY_UNSUPPORTED", "line 1, column 8: ")),
        ("SELECT lower(a) FROM c WHERE ?", ("QUERY_SYNTAX", "line 1, column 30: ")),
        ("SELECT a, a FROM c", ("QUERY_COLUMNS", None)),
        ("SELECT a, b AS a FROM c", ("QUERY_COLUMNS", "line 1, column 16: ")),
        ("\u017felect * FROM c", ("QUERY_SYNTAX", "line 1, column 1: ")),
        ("SELECT * FROM c ORDER BY " + ", ".join("a" * 65), ("QUERY_TOO_LONG", None)),
        ("EXPLAIN SELECT * FROM c", ("QUERY_UNSUPPORTED", "line 1, column 1: ")),
        ("SELECT * FROM c WHERE " + "(" * 33 + "a" + ")" * 33, ("QUERY_DEPTH", None)),
        ("SELECT * FROM c WHERE " + "NOT " * 70 + "a", ("QUERY_DEPTH", None)),
        ("SELECT * FROM c WHERE " + "a + " * 70 + "a", ("QUERY_DEPTH", None)),
        ("SELECT " + "x" * 65536, ("QUERY_TOO_LONG", None)),
    ],
)
def test_refusals(text: str, found: object) -> None:
    assert agree(text) == found


def test_a_condition_alone() -> None:
    assert board.parse_condition("a = :x AND b") == dql.parse("SELECT * FROM c WHERE a = :x AND b")[4]
    for text in ("", "a b", "a ORDER BY b", "a;"):
        with pytest.raises(HedgerowError, match="QUERY_SYNTAX"):
            board.parse_condition(text)
