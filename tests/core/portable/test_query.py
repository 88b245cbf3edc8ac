"""The reference evaluator: the order of values, exact numbers, conditions, SELECT and INSERT."""

from kit import Random, raises

from hedgerow.codec.cbor import OpaqueFloat
from hedgerow.codec.decimal import Decimal
from hedgerow.query.aggregate import Aggregate
from hedgerow.query.arithmetic import calculate
from hedgerow.query.evaluate import Select
from hedgerow.query.expression import bind, evaluate, holds, like
from hedgerow.query.json_text import read_json
from hedgerow.query.mutate import insert_documents
from hedgerow.query.values import MISSING, exact, order_key

D = Decimal.parse

# Ascending; the values of one row are equal.
ORDER = (
    (MISSING,),
    (None,),
    (False,),
    (True,),
    (float("nan"),),
    (float("-inf"),),
    (D("-1e20"), -(10**20)),
    (D("-3.94"),),
    (D("-3.9"), D("-3.90")),
    (-1, D("-1.0"), -1.0),
    (0, D("0"), D("0e5"), 0.0),
    (D("1e-20"),),
    (D("0.5"), 0.5, D("0.50")),
    (1, D("1.000"), 1.0),
    (D("39.3"),),
    (D("39.4"), D("39.40")),
    (40, D("4e1"), 40.0),
    (2**63, D("9223372036854775808")),
    (2**64 - 1,),
    (float("inf"),),
    ("",),
    ("A",),
    ("Ab",),
    ("a",),
    ("\u00e9",),
    (b"",),
    (b"a",),
    ([],),
    ([None],),
    ([1], [D("1.0")], (1,)),
    ([1, None],),
    ([2],),
    ({},),
    ({"a": 1}, {"a": D("1.0")}),
    ({"a": 1, "b": 0}, {"b": 0, "a": 1}),
    ({"a": 2},),
    ({"b": 0},),
)


def path(*steps: object) -> tuple:
    return ("path", steps)


def lit(value: object) -> tuple:
    return ("literal", value)


def select(**parts: object) -> tuple:
    columns = parts.get("columns", (("star",),))
    return (
        "select", parts.get("distinct", False), columns, "c", parts.get("where"), parts.get("group", ()),
        parts.get("having"), parts.get("order", ()), parts.get("limit"), parts.get("offset"),
    )  # fmt: skip


def run(documents: list, args: dict | None = None, **parts: object) -> list:
    query = Select(select(**parts), args, 1000)
    for document in documents:
        query.add(document)
    return query.rows()


def test_all_values_stand_in_one_order() -> None:
    for at, row in enumerate(ORDER):
        for value in row:
            assert order_key(value) == order_key(row[0]), value
            for later in ORDER[at + 1 :]:
                assert order_key(value) < order_key(later[0]), (value, later)
                assert not order_key(later[0]) <= order_key(value)


def test_floats_have_an_exact_value() -> None:
    assert exact(1.5) == (15, -1)
    assert exact(-0.25) == (-25, -2)
    assert exact(float(2**40)) == (2**40, 0)
    assert exact(float("nan")) is None
    assert exact(OpaqueFloat(b"\x3f\xb9\x99\x99\x99\x99\x99\x9a"))[1] == -55
    tenth = order_key(OpaqueFloat(b"\x3f\xb9\x99\x99\x99\x99\x99\x9a"))
    assert order_key(D("0.1")) < tenth < order_key(D("0.10000000000000001"))


def test_arithmetic_is_exact() -> None:
    for operator, left, right, shown in (
        ("+", D("39.4"), D("0.6"), "40.0"),
        ("-", D("39.4"), D("39.4"), "0.0"),
        ("*", D("39.4"), D("0.1"), "3.94"),
        ("/", D("1"), D("3"), "0.333333"),
        ("/", D("0.1"), D("3"), "0.0333333"),
        ("/", 7, 2, "3.5"),
        ("/", -7, 2, "-3.5"),
        ("/", 6, 2, "3"),
        ("/", 1, D("8e6"), "0"),
        ("%", 7, 3, "1"),
        ("%", -7, 3, "-1"),
        ("%", D("7.5"), 2, "1.5"),
        ("+", 2**64 - 1, 0, "18446744073709551615"),
        ("+", D("1e3"), 1, "1001"),
        ("/", 5, 2000000, "0.000002"),
        ("/", 7, 2000000, "0.000004"),
    ):
        assert str(calculate(operator, left, right)) == shown, (operator, left, right)
    assert calculate("+", 1, 0.5) == 1.5
    assert calculate("/", 1, 0) is None and calculate("%", 1, 0) is None and calculate("/", 1.0, 0) is None
    for other in (None, MISSING, True, "1", [1]):
        assert calculate("+", 1, other) is None
    raises("QUERY_NUMBER_RANGE", calculate, "+", 2**64 - 1, 1)
    raises("QUERY_NUMBER_RANGE", calculate, "+", D("1e100"), 1)


def test_conditions() -> None:
    row = {"a": D("39.4"), "b": None, "c": {"d": [1, {"e": "x"}]}, "t": True, "s": "Fern"}
    for wanted, expression in (
        (True, ("compare", "=", path("a"), lit(D("39.40")))),
        (True, ("compare", ">", path("a"), lit(39))),
        (False, ("compare", "<", path("a"), lit("z"))),
        (True, ("compare", "!=", path("a"), lit("z"))),
        (False, ("compare", "<", path("nowhere"), lit(5))),
        (True, ("compare", "!=", path("nowhere"), lit(5))),
        (False, ("compare", "=", path("nowhere"), lit(None))),
        (True, ("compare", "=", path("b"), lit(None))),
        (False, ("compare", "<=", path("b"), lit(None))),
        (True, ("compare", "<", lit(False), path("t"))),
        (True, ("compare", "=", path("c", "d", 1, "e"), lit("x"))),
        (True, ("is_missing", path("c", "d", 2))),
        (True, ("is_missing", path("s", "x"))),
        (True, ("is_null", path("b"))),
        (False, ("is_null", path("nowhere"))),
        (True, ("between", path("a"), lit(39), lit(D("39.4")))),
        (True, ("in", path("s"), (lit("Moss"), lit("Fern")))),
        (True, ("in", lit(D("1.0")), path("c", "d"))),
        (False, ("in", lit(1), path("s"))),
        (True, ("like", path("s"), lit("F_r%"), False)),
        (False, ("like", path("s"), lit("f%"), False)),
        (True, ("like", path("s"), lit("f%"), True)),
        (False, ("like", path("a"), lit("%"), False)),
        (False, path("s")),
        (True, path("t")),
        (True, ("not", path("s"))),
        (True, ("or", (path("b"), path("t")))),
        (False, ("and", (path("t"), path("b")))),
    ):
        assert holds(expression, row) is wanted, expression


def test_like() -> None:
    for wanted, text, pattern in (
        (True, "", ""), (True, "", "%"), (False, "", "_"), (True, "abc", "a%c"), (False, "abc", "a%b"),
        (True, "a%c", "a\\%c"), (False, "abc", "a\\%c"), (True, "abcbc", "%bc"), (True, "aXbXc", "a%b%c"),
        (True, "ab", "a%%b"), (True, "", "%%%"), (False, "a", "a%%a"), (True, "xaby", "%_b%"),
        (False, "b", "%_b%"),
        (True, "\\", "\\"), (True, "a_b", "%\\_%"), (False, "ab", "%\\_%"), (True, "\u00e9", "_"),
    ):  # fmt: skip
        assert like(text, pattern) is wanted, (text, pattern)
    assert not like("a" * 500 + "b", "%a" * 60 + "%c")
    assert not like("a" * 4000, "%" + "a_" * 500 + "b%") and like("a" * 4000 + "b", "%" + "a_" * 500 + "b%")


def test_parameters() -> None:
    expression = ("object", (("literal", ("param", "x")), ("path", ("array", (("param", "y"), path("f"))))))
    bound = bind(expression, {"x": 1, "y": [2]})
    assert evaluate(bound, {"f": 3}) == {"literal": 1, "path": [[2], 3]}
    assert "no argument named y" in raises("QUERY_PARAMETER", bind, expression, {"x": 1}).detail


READINGS = [
    {"_id": 1, "board": "a", "t": D("39.4")},
    {"_id": 2, "board": "b", "t": D("41.0")},
    {"_id": 3, "board": "a", "t": D("39.5")},
    {"_id": 4, "board": "b"},
    {"_id": 5, "board": "a", "t": None},
]


def test_select_orders_and_cuts() -> None:
    ids = [row["_id"] for row in run(READINGS, order=((path("t"), False), (path("_id"), True)))]
    assert ids == [4, 5, 1, 3, 2]
    ids = [
        row["_id"]
        for row in run(
            READINGS, order=((path("t"), True),), limit=lit(2), offset=("param", "o"), args={"o": 1}
        )
    ]
    assert ids == [3, 1]
    assert run(READINGS, limit=lit(0)) == []
    raises("QUERY_COUNT", Select, select(limit=lit(-1)))
    raises("QUERY_COUNT", Select, select(offset=lit(True)))
    raises("QUERY_COUNT", Select, select(limit=lit(D("1.0"))))


def test_equal_keys_keep_their_order() -> None:
    documents = [{"n": number, "k": number % 3} for number in range(200)]
    for falling in (False, True):
        rows = run(documents, order=((path("k"), falling),))
        assert [row["n"] for row in rows] == sorted(
            range(200), key=lambda n: (-(n % 3) if falling else n % 3, n)
        )


def test_a_limit_keeps_little() -> None:
    random = Random(4)
    numbers = [random.below(500) for _ in range(600)]
    query = Select(select(order=((path("n"), False),), limit=lit(7)), None, 100)
    for number in numbers:
        query.add({"n": number})
        assert len(query._kept) < 7 + 8
    assert [row["n"] for row in query.rows()] == sorted(numbers)[:7]


def test_projection_leaves_missing_out() -> None:
    columns = (("column", path("t"), "t"), ("column", ("arithmetic", "+", path("_id"), lit(1)), "next"))
    assert run(READINGS[3:4], columns=columns) == [{"next": 5}]
    assert run(READINGS[4:], columns=columns) == [{"t": None, "next": 6}]
    assert run(READINGS, columns=(("column", path("board"), "board"),), distinct=True) == [
        {"board": "a"},
        {"board": "b"},
    ]


def test_groups() -> None:
    count = ("aggregate", "count", None, False)
    columns = (
        ("column", path("board"), "board"),
        ("column", count, "n"),
        ("column", ("aggregate", "avg", path("t"), False), "mean"),
        ("column", ("aggregate", "max", path("t"), False), "t"),
    )
    rows = run(READINGS, columns=columns, group=(path("board"),), order=((path("n"), True),))
    assert [(row["board"], row["n"], str(row["mean"]), str(row["t"])) for row in rows] == [
        ("a", 3, "39.45", "39.5"), ("b", 2, "41", "41.0"),
    ]  # fmt: skip
    rows = run(READINGS, columns=columns, group=(path("board"),), having=("compare", ">", path("n"), lit(2)))
    assert [row["board"] for row in rows] == ["a"]
    raises("QUERY_NOT_GROUPED", Select, select(columns=columns, group=(path("t"),)))
    raises("QUERY_NOT_GROUPED", Select, select(group=(path("t"),)))
    raises("QUERY_AGGREGATE", Select, select(where=count))
    nested = ("aggregate", "sum", ("aggregate", "max", path("t"), False), False)
    raises("QUERY_AGGREGATE", Select, select(columns=(("column", nested, "x"),)))


def test_aggregates_over_nothing() -> None:
    names = ("count", "sum", "avg", "min", "max")
    columns = tuple([("column", ("aggregate", name, path("t"), False), name) for name in names])
    assert run([], columns=columns) == [{"count": 0, "sum": None, "avg": None, "min": None, "max": None}]
    assert run([], columns=columns[:1], group=(path("board"),)) == []


def aggregate(name: str, values: list, distinct: bool = False) -> object:
    total = Aggregate(name, distinct)
    for value in values:
        total.add(value)
    return total.result()


def test_sums_are_exact_in_any_order() -> None:
    tenths = [D("0.1")] * 10
    assert str(aggregate("sum", tenths)) == "1.0"
    assert str(aggregate("avg", tenths)) == "0.1"
    assert str(aggregate("avg", [1, 2])) == "1.5"
    assert str(aggregate("sum", [D("39.4"), "39", None, True, MISSING, 1])) == "40.4"
    assert aggregate("sum", [float(2**60), 1.0, -float(2**60)]) == 1.0
    assert aggregate("sum", [1.0, float(2**60), -float(2**60)]) == 1.0
    assert aggregate("sum", [float("inf"), 1]) == float("inf")
    assert aggregate("count", [1, D("1.0"), 2, 1.0, None], True) == 2
    assert aggregate("min", ["a", 3, None, True]) is True
    assert aggregate("max", ["a", 3, None]) == "a"
    raises("QUERY_NUMBER_RANGE", aggregate, "sum", [2**64 - 1, 1])


def test_rows_have_a_limit() -> None:
    query = Select(select(), None, 3)
    for number in range(3):
        query.add({"n": number})
    raises("QUERY_ROWS", query.add, {"n": 3})
    query = Select(select(columns=(("column", path("n"), "n"),), group=(path("n"),)), None, 3)
    for number in range(6):
        query.add({"n": number % 3})
    raises("QUERY_ROWS", query.add, {"n": 3})
    for order in ((), ((path("n"), False),)):
        for limit in (2, 3):
            query = Select(select(limit=lit(limit), order=order), None, 3)
            for number in range(6):
                query.add({"n": number})
                assert query.finished is (not order and number + 1 >= limit)
            assert len(query.rows()) == limit


def test_insert_takes_objects() -> None:
    statement = ("insert", "c", False, (("param", "a"), ("object", (("x", lit(D("1.50"))),))), "fail")
    assert insert_documents(statement, {"a": {"y": 1}}) == [{"y": 1}, {"x": D("1.5")}]
    raises("QUERY_DOCUMENT", insert_documents, statement, {"a": [1]})
    statement = ("insert", "c", False, (("param", "a"), ("param", "b")), "nothing")
    raises("QUERY_CONFLICT", insert_documents, statement, {"a": {"_id": [b"x", 1]}, "b": {"_id": [b"x", 1]}})
    assert len(insert_documents(statement, {"a": {"_id": 1}, "b": {"_id": "1"}})) == 2
    raises("DOCUMENT_ID", insert_documents, statement, {"a": {"_id": {}}, "b": {}})


def test_documents_looked_at_have_a_limit() -> None:
    query = Select(select(where=lit(False)), None, 3, 5)
    for number in range(5):
        query.add({"n": number})
    raises("QUERY_COST", query.add, {"n": 5})
    query = Select(select(limit=lit(1)), None, 3, 1)
    for number in range(5):
        query.add({"n": number})
    assert query.rows() == [{"n": 0}]


def test_json_keeps_digits() -> None:
    for text, value in ((" [] ", []), ("-0", 0), ("18446744073709551615", 2**64 - 1), ('"\\/"', "/")):
        found = read_json(text)
        assert found == value and type(found) is type(value), text
    found = read_json('{"a": [1, -2.50, 1e3, "x\\u00e9\\n\\ud83d\\ude00", true, null, {}], "a": 1.0}')
    assert str(found["a"]) == "1.0"
    items = read_json('[1, -2.50, 1e3, "x\\u00e9\\n\\ud83d\\ude00", true, null, {}]')
    assert [str(item) for item in items[:3]] == ["1", "-2.50", "1e3"] and isinstance(items[0], int)
    assert items[3:] == ["x\u00e9\n\U0001f600", True, None, {}]
    statement = ("insert", "c", False, (("json", ("param", "s")),), "fail")
    assert insert_documents(statement, {"s": '{"x": 1}'}) == [{"x": 1}]


def test_what_is_no_json_is_refused() -> None:
    wrong = [
        "",
        "{",
        "[1,]",
        "{'a': 1}",
        '{"a" 1}',
        '{"a": 1,}',
        "01",
        "1.",
        ".5",
        "+1",
        "1e",
        "--1",
        "nul",
        '"',
    ]
    wrong += [
        '"\\x"',
        '"\\u12"',
        '"\\ud800"',
        '"\\udc00\\ud800"',
        '"\n"',
        "1 2",
        "[" * 18 + "]" * 18,
        "1e999",
        7,
        None,
    ]
    wrong += ["9" * 41, "18446744073709551616", "NaN", "1-2", "1.e5"]
    for text in wrong:
        raises("QUERY_DOCUMENT", read_json, text)
