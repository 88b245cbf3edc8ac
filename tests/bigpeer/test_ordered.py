"""ORDER BY with LIMIT over an index gives what a scan gives, and reads no more than it needs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bigpeer_harness import Local, local
from conditions import scalars
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_author import RawAuthor

from hedgerow.query.evaluate import Select
from hedgerow_bigpeer import limits
from hedgerow_bigpeer.ordered import order_of
from hedgerow_bigpeer.store.facets import CUT
from hedgerow_host.dql import parse

LONG = "y" * CUT
values = st.one_of(scalars, st.lists(scalars, max_size=2))
documents = st.lists(st.one_of(st.just({}), values.map(lambda value: {"n": value})), max_size=20)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    with local(tmp_path_factory.mktemp("data"), requests_per_second=0) as running:
        yield running


_counter = iter(range(1_000_000))


@settings(deadline=None, max_examples=60)
@given(documents, st.integers(0, 8), st.integers(0, 4), st.booleans(), st.sampled_from(["", "WHERE n != 2"]))
def test_the_rows_are_those_of_a_scan(
    served: Local, found: list[dict[str, Any]], limit: int, offset: int, falling: bool, where: str
) -> None:
    number = next(_counter)
    name = f"c{number}"
    author = RawAuthor(number % 200 + 1, name)
    author.author = (number + 1).to_bytes(8, "big")
    for n, document in enumerate([*found, {"n": LONG + "b"}, {"n": LONG + "a"}]):
        author.insert(1000 + n, n, m=n % 3, **document)
    served.run(served.peer.service.submit(author.take()))
    direction = "DESC" if falling else "ASC"
    text = f"SELECT * FROM {name} {where} ORDER BY n {direction} LIMIT {limit} OFFSET {offset}"
    scanned = served.execute(text)
    assert served.execute(f"CREATE INDEX i ON {name} (n)").status_code == 200
    try:
        assert served.execute(text).content == scanned.content
    finally:
        served.execute(f"DROP INDEX i ON {name}")


@pytest.fixture
def many(tmp_path: Path) -> Iterator[Local]:
    """1,000 documents with n from 0 to 999 in no order, ten without."""
    author = RawAuthor(1, "c")
    for n in range(1000):
        author.insert(1000 + n, n, n=n * 617 % 1000, m=n % 2)
    for n in range(1000, 1010):
        author.insert(1000 + n, n, m=0)
    with local(tmp_path, requests_per_second=0) as running:
        running.run(running.peer.service.submit(author.take()))
        running.execute("CREATE INDEX i ON c (n)")
        yield running


@pytest.mark.parametrize(
    ("order", "wanted", "most"),
    [
        ("n DESC LIMIT 3", [999, 998, 997], 4),
        ("n DESC LIMIT 3 OFFSET 5", [994, 993, 992], 9),
        ("n LIMIT 12", [None] * 10 + [0, 1], 13),
        ("n LIMIT 0", [], 0),
    ],
)
def test_no_more_is_looked_at_than_is_needed(
    many: Local, monkeypatch: pytest.MonkeyPatch, order: str, wanted: list[Any], most: int
) -> None:
    looked: list[Any] = []
    matches = Select.matches

    def counting(self: Select, document: dict[str, Any]) -> bool:
        looked.append(document["_id"])
        return matches(self, document)

    monkeypatch.setattr(Select, "matches", counting)
    assert [row.get("n") for row in many.items(f"SELECT * FROM c ORDER BY {order}")] == wanted
    assert len(set(looked)) <= most


def test_conditions_and_rights_hold(many: Local) -> None:
    odd = [n * 617 % 1000 for n in range(1, 1000, 2)]
    rows = many.items("SELECT n FROM c WHERE m = 1 AND n < 900 ORDER BY n DESC LIMIT 4")
    assert [row["n"] for row in rows] == sorted([n for n in odd if n < 900], reverse=True)[:4]


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM c ORDER BY n",
        "SELECT * FROM c ORDER BY n, m LIMIT 3",
        "SELECT * FROM c ORDER BY m LIMIT 3",
        "SELECT * FROM c ORDER BY n + 1 LIMIT 3",
        "SELECT DISTINCT n FROM c ORDER BY n LIMIT 3",
        "SELECT n FROM c GROUP BY n ORDER BY n LIMIT 3",
        "SELECT n + 1 AS x FROM c ORDER BY n LIMIT 3",
        "SELECT * FROM c WHERE n LIKE 'a%' ORDER BY n LIMIT 3",
        "SELECT * FROM c WHERE n + 1 > 2 ORDER BY n LIMIT 3",
        "SELECT * FROM c ORDER BY _time LIMIT 3",
        f"SELECT * FROM c ORDER BY n LIMIT {limits.ORDERED_ROWS + 1}",
    ],
)
def test_other_statements_are_scanned(text: str) -> None:
    statement = parse(text)
    assert order_of(Select(statement, {}, 100_000), statement, ["n", "_time"]) is None


def test_what_an_alias_stands_for_is_the_order() -> None:
    statement = parse("SELECT n AS x FROM c ORDER BY x LIMIT 3")
    assert order_of(Select(statement, {}, 100), statement, ["n"]) == ("n", False)


def test_pages_within_equal_facets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SLICE_DOCUMENTS", 2)
    author = RawAuthor(1, "c")
    for n in range(9):
        author.insert(1000 + n, n, n=n // 4)
    with local(tmp_path) as running:
        running.run(running.peer.service.submit(author.take()))
        running.execute("CREATE INDEX i ON c (n)")
        for direction, wanted in (("ASC", [0, 1, 2, 3, 4, 5, 6]), ("DESC", [8, 4, 5, 6, 7, 0, 1])):
            rows = running.items(f"SELECT _id FROM c ORDER BY n {direction} LIMIT 7")
            assert [row["_id"] for row in rows] == wanted
