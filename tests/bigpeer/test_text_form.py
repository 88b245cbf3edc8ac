"""What was copied out of a JSON answer finds its document again."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cbor2
import pytest
from bigpeer_harness import EXECUTE, Local, local
from hypothesis import given
from hypothesis import strategies as st

from hedgerow.query.evaluate import Select
from hedgerow.query.values import base64url, text_form
from hedgerow_host.dql import by_text_form, dot_of, parse


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Local]:
    with local(tmp_path) as running:
        assert running.execute("INSERT INTO c DOCUMENTS ({'n': 1})").status_code == 200
        assert running.execute("INSERT INTO c DOCUMENTS ({'n': 2}), ({'n': 3})").status_code == 200
        assert running.execute("INSERT INTO c DOCUMENTS ({'_id': 'text', 'n': 4})").status_code == 200
        yield running


def dots(served: Local) -> list[Any]:
    ids: list[Any] = [row["_id"] for row in served.items("SELECT _id FROM c WHERE n < 4 ORDER BY n")]
    assert [len(dot) for dot in ids] == [2, 3, 3]
    return ids


def test_a_dot_from_a_json_answer_is_found(served: Local) -> None:
    for n, dot in enumerate(dots(served), 1):
        written = json.dumps(dot).replace('"', "'")
        for condition, arguments in (
            ("_id = :id", {"id": dot}),
            (":id = _id", {"id": dot}),
            ("_id IN (:id, 'nothing')", {"id": dot}),
            ("_id IN :ids", {"ids": [dot, 7]}),
            ("NOT (_id != :id)", {"id": dot}),
            (f"_id = {written}", {}),
            (f"_id IN ({written}, n + 100)", {}),
            ("_id = [:author, " + ", ".join(map(str, dot[1:])) + "]", {"author": dot[0]}),
            ("_id[0] = :author AND n = :n", {"author": dot[0], "n": n}),
        ):
            assert served.items(f"SELECT n FROM c WHERE {condition}", arguments) == [{"n": n}], condition
    assert served.items("SELECT n FROM c WHERE _id = :id", {"id": "text"}) == [{"n": 4}]
    assert len(served.items("SELECT n FROM c WHERE _id != :id", {"id": dots(served)[0]})) == 3


def test_an_insert_by_such_a_dot_updates_its_document(served: Local) -> None:
    dot = dots(served)[0]
    document = {"_id": dot, "seen": True}
    refused = served.execute("INSERT INTO c DOCUMENTS (:d)", {"d": document})
    assert refused.status_code == 409
    answer = served.execute("INSERT INTO c DOCUMENTS (:d) ON ID CONFLICT DO UPDATE", {"d": document})
    assert answer.json()["mutatedDocumentIds"] == [dot]
    assert served.items("SELECT * FROM c WHERE n = 1") == [{"_id": dot, "n": 1, "seen": True}]
    assert served.items("SELECT count(*) AS n FROM c") == [{"n": 4}]
    # An id that no dot has stays what it is.
    other = {"_id": ["AAAAAAAAAAA", 5], "n": 9}
    assert served.execute("INSERT INTO c DOCUMENTS (:d)", {"d": other}).status_code == 200
    assert served.items("SELECT * FROM c WHERE n = 9") == [other]


def test_encodings_with_bytes_are_taken_at_their_word(served: Local) -> None:
    text = dots(served)[0]
    exact = dot_of(text)

    def ask(document_id: object) -> Any:
        body = {"statement": "SELECT n FROM c WHERE _id = :id", "args": {"id": document_id}}
        headers = {"content-type": "application/cbor"}
        return cbor2.loads(
            served.request("POST", EXECUTE, content=cbor2.dumps(body), headers=headers).content
        )

    assert ask(exact)["items"] == [{"n": 1}]
    assert ask(text)["items"] == []


BYTES = st.binary(max_size=9)
VALUES = st.recursive(
    st.integers(0, 2) | BYTES | st.builds(base64url, BYTES) | st.text(max_size=4) | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=4,
)


@given(st.lists(VALUES, max_size=5), VALUES)
def test_comparison_is_by_the_json_form(values: list[Any], wanted: Any) -> None:
    sent = text_form(wanted)
    found = [text_form(value) == sent for value in values]
    for condition in ("a = :x", "a IN (:x)", "a IN [:x]", "NOT a != :x"):
        statement = by_text_form(parse(f"SELECT n FROM c WHERE {condition}"), {"x": sent})
        query = Select(statement, {"x": sent})
        for number, value in enumerate(values):
            query.add({"n": number, "a": value})
        assert query.rows() == [{"n": number} for number, same in enumerate(found) if same], condition


@pytest.mark.parametrize(
    "text", ["DELETE FROM c WHERE _id = :x", "EVICT FROM c WHERE _id = :x ORDER BY _id = :x"]
)
def test_every_statement_compares_so(text: str) -> None:
    compared = ("compare", "=", ("text_form", ("path", ("_id",))), ("param", "x"))
    statement = by_text_form(parse(text), {"x": ["AAAAAAAAAAA", 1]})
    assert statement[2] == compared and statement[3:4] in ((), (((compared, False),),))
    changed = by_text_form(parse("UPDATE c SET a = (_id = :x) APPLY n RESTART WHERE _id = :x"), {"x": "AAAA"})
    assert changed == ("update", "c", ((("a",), compared),), ((("n",), "restart", None),), (), compared)
    insert = parse("INSERT INTO c DOCUMENTS ({'a': b = :x})")
    assert by_text_form(insert, {"x": "AAAA"}) == insert


@pytest.mark.parametrize(
    "value",
    [["AAAAAAAAAAB", 1], ["AAAAAAAAAAA"], ["AAAAAAAAAAA", True], ["AAAAAAAAAAA=", 1], "AAAAAAAAAAA", [1, 2]],
)
def test_what_is_no_dot(value: object) -> None:
    assert dot_of(value) is None
