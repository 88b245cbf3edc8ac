"""/api/v4 is strict and /api/v5 is not, as Ditto has it: its kinds of statements, and what they leave."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from bigpeer_harness import Local, local
from hypothesis import given, settings
from hypothesis import strategies as st

from hedgerow_bigpeer.strict import Strict
from hedgerow_host.dql import declared

ENVELOPE = {
    "transactionId": int,
    "queryType": str,
    "items": list,
    "mutatedDocumentIds": list,
    "warnings": list,
    "totalWarningsCount": int,
    "error": dict,
}
CAR = {"_id": "c1", "make": "saab", "properties": {"color": "red", "engine": {"fuel": "gas", "hp": 99}}}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Local]:
    with local(tmp_path) as running:
        yield running


def ask(served: Local, version: int, statement: str, **args: Any) -> httpx.Response:
    body = json.dumps({"statement": statement, "args": args})
    path = f"/api/v{version}/store/execute"
    response = served.request("POST", path, content=body, headers={"content-type": "application/json"})
    answer = response.json()
    assert {name: type(value) for name, value in answer.items()} == ENVELOPE
    assert (answer["queryType"] == "unknown") == (response.status_code != 200) == bool(answer["error"])
    return response


def done(served: Local, version: int, statement: str, **args: Any) -> None:
    response = ask(served, version, statement, **args)
    assert response.status_code == 200, response.text
    assert response.json()["mutatedDocumentIds"] == ["c1"]


def refused(served: Local, statement: str, **args: Any) -> str:
    before = car(served)
    response = ask(served, 4, statement, **args)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "QUERY_TYPE")
    assert car(served) == before
    description: str = response.json()["error"]["description"]
    return description


def car(served: Local) -> Any:
    """Return the document, which is read alike in both."""
    items = [ask(served, version, "SELECT * FROM cars").json()["items"] for version in (4, 5)]
    assert items[0] == items[1]
    return items[0][0]


def test_an_object_is_a_register_unless_it_is_declared_a_map(served: Local) -> None:
    set_properties = "UPDATE {} SET properties = :new"
    for version, target, properties in (
        (5, "cars", {"color": "blue", "engine": CAR["properties"]["engine"]}),
        (4, "COLLECTION cars (properties MAP)", {"color": "blue", "engine": CAR["properties"]["engine"]}),
        (4, "COLLECTION cars (properties REGISTER)", {"color": "blue"}),
        (4, "cars", {"color": "blue"}),
    ):
        done(served, version, "INSERT INTO cars DOCUMENTS (:car)", car=CAR)
        done(served, version, set_properties.format(target), new={"color": "blue"})
        assert car(served) == {**CAR, "properties": properties}, (version, target)
        done(served, version, "DELETE FROM cars")


def test_fields_of_a_map_are_registers_too(served: Local) -> None:
    done(served, 4, "INSERT INTO cars DOCUMENTS (:car)", car=CAR)
    done(served, 4, "UPDATE COLLECTION cars (properties MAP) SET properties.engine = {'fuel': 'diesel'}")
    assert car(served)["properties"] == {"color": "red", "engine": {"fuel": "diesel"}}
    declared_both = "COLLECTION cars (properties MAP, properties.engine MAP)"
    done(served, 4, f"UPDATE {declared_both} SET properties = {{'engine': {{'hp': 7}}}}")
    assert car(served)["properties"] == {"color": "red", "engine": {"fuel": "diesel", "hp": 7}}
    done(served, 4, "UPDATE cars SET properties = {}")
    assert car(served)["properties"] == {}


def test_paths_below_a_register_are_refused(served: Local) -> None:
    done(served, 4, "INSERT INTO cars DOCUMENTS (:car)", car=CAR)
    told = refused(served, "UPDATE cars SET properties.color = 'blue'")
    assert "(properties MAP)" in told
    assert "properties.engine" in refused(
        served, "UPDATE COLLECTION cars (properties MAP) SET properties.engine.hp = 1"
    )
    refused(served, "UPDATE cars UNSET properties.color")
    refused(served, "UPDATE COLLECTION cars (properties REGISTER) SET properties.color = 'blue'")
    done(served, 4, "UPDATE COLLECTION cars (properties MAP) SET properties.color = 'blue'")
    done(served, 4, "UPDATE COLLECTION cars (properties MAP) UNSET properties.engine")
    assert car(served)["properties"] == {"color": "blue"}
    done(served, 5, "UPDATE cars SET properties.engine.hp = 1")
    assert car(served)["properties"] == {"color": "blue", "engine": {"hp": 1}}


def test_counters_are_declared(served: Local) -> None:
    done(served, 4, "INSERT INTO cars DOCUMENTS (:car)", car=CAR)
    assert "(stock COUNTER)" in refused(served, "UPDATE cars APPLY stock PN_INCREMENT BY 1")
    refused(served, "UPDATE COLLECTION cars (stock MAP) APPLY stock INCREMENT BY 1")
    refused(served, "UPDATE COLLECTION cars (stock REGISTER) APPLY stock RESTART WITH 7")
    refused(served, "UPDATE COLLECTION cars (a.stock COUNTER) APPLY a.stock INCREMENT BY 1")
    done(served, 4, "UPDATE COLLECTION cars (stock PN_COUNTER) APPLY stock PN_INCREMENT BY 1")
    done(served, 4, "UPDATE COLLECTION cars (stock COUNTER) APPLY stock INCREMENT BY 2")
    done(served, 4, "UPDATE COLLECTION cars (a MAP, a.stock COUNTER) APPLY a.stock INCREMENT BY 5")
    done(served, 5, "UPDATE cars APPLY stock INCREMENT BY 4")
    assert (car(served)["stock"], car(served)["a"]) == (7, {"stock": 5})


@pytest.mark.parametrize("policy", ["DO UPDATE", "DO UPDATE_LOCAL_DIFF"])
def test_an_insert_that_meets_a_document(served: Local, policy: str) -> None:
    done(served, 4, "INSERT INTO cars DOCUMENTS (:car)", car=CAR)
    again = {"_id": "c1", "properties": {"color": "blue"}}
    statement = f"INSERT INTO {{}} DOCUMENTS (:car) ON ID CONFLICT {policy}"
    done(served, 4, statement.format("COLLECTION cars (properties MAP)"), car=again)
    assert car(served) == {**CAR, "properties": {**CAR["properties"], "color": "blue"}}
    done(served, 4, statement.format("cars"), car=again)
    assert car(served) == {**CAR, "properties": {"color": "blue"}}


def test_what_does_not_differ_is_not_written(served: Local) -> None:
    done(served, 4, "INSERT INTO cars DOCUMENTS (:car)", car=CAR)
    statement = "INSERT INTO {} DOCUMENTS (:car) ON ID CONFLICT DO UPDATE_LOCAL_DIFF"
    for target in ("cars", "COLLECTION cars (properties MAP)"):
        assert ask(served, 4, statement.format(target), car=CAR).json()["mutatedDocumentIds"] == []


def test_one_key_means_one_of_the_two(served: Local) -> None:
    """A request that is repeated over the other path is another request."""
    done(served, 5, "INSERT INTO cars DOCUMENTS (:car)", car=CAR)
    body = {"statement": "UPDATE cars SET properties = {'color': 'blue'}"}
    codes = [
        served.request(
            "POST", f"/api/v{version}/store/execute", json=body, headers={"idempotency-key": "k"}
        ).status_code
        for version in (5, 5, 4)
    ]
    assert codes == [200, 200, 422]
    assert car(served)["properties"] == {**CAR["properties"], "color": "blue"}


_NAMES = st.sampled_from("abc")
_OBJECTS = st.recursive(
    st.integers(0, 3), lambda inner: st.dictionaries(_NAMES, inner, max_size=3), max_leaves=6
)
_MAPS = st.sets(st.sampled_from(["a", "a.b", "a.b.c", "b", "c"]))


@settings(max_examples=40, deadline=None)
@given(
    old=st.dictionaries(_NAMES, _OBJECTS, max_size=3),
    new=st.dictionaries(_NAMES, _OBJECTS, max_size=3),
    maps=_MAPS,
    policy=st.sampled_from(["DO UPDATE", "DO UPDATE_LOCAL_DIFF"]),
)
def test_any_objects(shared: Local, old: Any, new: Any, maps: set[str], policy: str) -> None:
    """What stands after an insert over a document is what merging by the declared types gives."""
    ask(shared, 4, "DELETE FROM cars")
    done(shared, 4, "INSERT INTO cars DOCUMENTS (:car)", car={**old, "_id": "c1"})
    types = ", ".join(f"{path} MAP" for path in sorted(maps))
    target = f"COLLECTION cars ({types})" if types else "cars"
    statement = f"INSERT INTO {target} DOCUMENTS (:car) ON ID CONFLICT {policy}"
    assert ask(shared, 4, statement, car={**new, "_id": "c1"}).status_code == 200
    assert car(shared) == {"_id": "c1", **merged(old, new, maps, "")}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    with local(tmp_path_factory.mktemp("strict")) as running:
        yield running


def merged(old: dict[str, Any], new: dict[str, Any], maps: set[str], above: str) -> dict[str, Any]:
    found = dict(old)
    for name, value in new.items():
        path = above + name
        there = old.get(name)
        if path in maps and isinstance(value, dict) and isinstance(there, dict):
            value = merged(there, value, maps, path + ".")
        found[name] = value
    return found


def test_declared_types_are_read() -> None:
    types = declared("SELECT * FROM COLLECTION c (a MAP, a.b register, `x y` Counter, n PN_COUNTER)")
    assert types == {("a",): "MAP", ("a", "b"): "REGISTER", ("x y",): "COUNTER", ("n",): "PN_COUNTER"}
    assert declared("SELECT * FROM c") == {}


def test_only_maps_that_stand_there_are_replaced() -> None:
    strict = Strict({("m",): "MAP"})
    there = {"m": {"x": {"k": 1}, "y": 2}, "r": {"k": 1}, "n": {}, "p": 5}
    written = {"m": {"x": {}, "y": {"k": 1}}, "r": {"k": 1}, "n": {"k": 1}, "p": {"k": 1}, ("q", "r"): {}}
    assert strict.replaced(written, there) == [("m", "x"), ("r",)]
