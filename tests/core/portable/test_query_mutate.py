"""Statements that change documents: the changes that they plan, and what those do."""

from kit import raises

from hedgerow.clock import hlc
from hedgerow.codec.decimal import Decimal
from hedgerow.codec.schema import KEEP
from hedgerow.document import Document
from hedgerow.operation import COUNTER, DELETE, INITIAL, INSERT, MERGE_STAMP, UNSET, UPDATE, encode_body
from hedgerow.query.load import parse_statement
from hedgerow.query.mutate import (
    batches,
    bind_update,
    insert_documents,
    plan_delete,
    plan_insert,
    plan_update,
    targets,
)

D = Decimal.parse
A = b"author-a"
B = b"author-b"


class Store:
    """One document, changed by statements; each plan becomes a valid operation and is applied."""

    def __init__(self) -> None:
        self.document = Document()
        self.at = 0

    def apply(self, plan: tuple, author: bytes = A) -> list:
        self.at += 1
        stamp = hlc.pack(self.at)
        change, schema = plan
        encode_body(stamp, [change])
        self.document.apply(change, schema, stamp, author)
        return change

    def insert(self, text: str, **arguments: object) -> list | None:
        _, collection, initial, _, policy = statement = parse_statement(text)
        (document,) = insert_documents(statement, arguments)
        plan = plan_insert(collection, KEEP, document, policy, initial, self.document)
        return None if plan is None else self.apply(plan)

    def update(self, text: str, author: bytes = A, **arguments: object) -> list:
        statement = parse_statement(text)
        sets, applies, unsets = bind_update(statement, arguments)
        value = dict(self.document.value() or {})
        value["_id"] = 7
        plans = plan_update(statement[1], KEEP, 7, value, self.document, sets, applies, unsets, author)
        return [self.apply(plan, author) for plan in plans]

    def value(self) -> dict | None:
        return self.document.value()


def test_insert_and_its_policies() -> None:
    store = Store()
    assert store.insert("INSERT INTO c DOCUMENTS ({'_id': 7, 'a': 39.4, 'm': {'x': 1, 'y': 2}})")[0] == INSERT
    raises("QUERY_CONFLICT", store.insert, "INSERT INTO c DOCUMENTS ({'_id': 7})")
    assert store.insert("INSERT INTO c DOCUMENTS ({'_id': 7, 'a': 1}) ON ID CONFLICT DO NOTHING") is None
    assert store.value()["a"] == D("39.4")
    update = "INSERT INTO c DOCUMENTS (:d) ON ID CONFLICT DO UPDATE"
    assert store.insert(update, d={"_id": 7, "a": 2})[0] == UPDATE
    assert store.value() == {"a": 2, "m": {"x": 1, "y": 2}}
    assert store.insert(update, d={"_id": 7}) is None
    assert store.insert("INSERT INTO c DOCUMENTS ({'n': 1})")[2] is None
    store.apply(plan_delete("c", KEEP, 7))
    assert store.insert("INSERT INTO c DOCUMENTS ({'_id': 7, 'b': 1})")[0] == INSERT
    assert store.value() == {"b": 1}
    raises("DOCUMENT_ID", store.insert, "INSERT INTO c DOCUMENTS ({'_id': {}})")


def test_a_local_diff_writes_what_differs() -> None:
    store = Store()
    store.insert("INSERT INTO c DOCUMENTS ({'_id': 7, 'a': 1.50, 'm': {'x': 1, 'y': {'z': 2}}, 'l': [1]})")
    diff = "INSERT INTO c DOCUMENTS (:d) ON ID CONFLICT DO UPDATE_LOCAL_DIFF"
    assert store.insert(diff, d={"_id": 7, "a": D("1.5"), "m": {"x": 1, "y": {}}, "l": [1]}) is None
    change = store.insert(diff, d={"_id": 7, "a": 1, "m": {"x": 1, "y": {"z": 3}, "w": {}}, "l": [1]})
    assert change[3] == [1, {}, 3]
    assert store.value() == {"a": 1, "m": {"x": 1, "y": {"z": 3}, "w": {}}, "l": [1]}
    deep = value = {"_id": 7}
    for name in "abcdefgh":
        value[name] = {}
        value = value[name]
    store.insert(diff, d=deep)
    value["i"] = 1
    assert store.insert(diff, d=deep)[3] == [{"i": 1}], "a path has at most 8 steps"
    deep["m"] = {"f" + str(number): number for number in range(70)}
    change = store.insert(diff, d=deep)
    assert len(change[3]) == 1, "more fields than a schema has are written by their top-level names"
    assert store.value()["m"]["f69"] == 69
    assert store.value()["a"]["b"]["c"]["d"]["e"]["f"]["g"]["h"] == {"i": 1}


def test_initial_documents() -> None:
    store = Store()
    raises("QUERY_DOCUMENT", store.insert, "INSERT INTO c INITIAL DOCUMENTS ({'a': 1})")
    assert store.insert("INSERT INTO c INITIAL DOCUMENTS ({'_id': 7, 'a': 1})")[0] == INITIAL
    raises("QUERY_CONFLICT", store.insert, "INSERT INTO c INITIAL DOCUMENTS ({'_id': 7, 'a': 1})")
    store.insert("INSERT INTO c DOCUMENTS ({'_id': 7, 'a': 2}) ON ID CONFLICT DO UPDATE")
    assert store.value() == {"a": 2}


def test_update_sets_and_unsets() -> None:
    store = Store()
    store.insert("INSERT INTO c DOCUMENTS ({'_id': 7, 'a': 1, 'b': 2, 'm': {'x': 1, 'y': 2}})")
    (change,) = store.update("UPDATE c SET a = b, b = a + :n, m.x = m.y * 1.5, k = _id UNSET m.y", n=10)
    assert store.value() == {"a": 2, "b": 11, "m": {"x": D("3.0")}, "k": 7}
    assert change[4] == {UNSET: [["m", "y"]]}
    store.update("UPDATE c SET m = {'z': 1}")
    assert store.value()["m"] == {"x": D("3.0"), "z": 1}
    (change,) = store.update("UPDATE c SET a = nowhere, m.z = missing")
    assert change[3] == [] and store.value() == {"b": 11, "m": {"x": D("3.0")}, "k": 7}
    store.update("UPDATE c SET k = 1.5")
    store.update("UPDATE c SET k = 2")
    assert store.value()["k"] == 2


def test_counters() -> None:
    store = Store()
    store.insert("INSERT INTO c DOCUMENTS ({'_id': 7, 'a': 1})")
    (change,) = store.update("UPDATE c APPLY n INCREMENT BY 2, m.k PN_INCREMENT BY a + 0.5")
    assert change[0] == COUNTER
    assert store.value() == {"a": 1, "n": 2, "m": {"k": D("1.5")}}
    store.update("UPDATE c APPLY n INCREMENT BY :by", B, by=-5)
    store.update("UPDATE c APPLY n INCREMENT BY 1")
    assert store.value()["n"] == -2
    changes = store.update("UPDATE c SET a = n APPLY n RESTART WITH 7, m.k INCREMENT BY 1")
    assert [change[0] for change in changes] == [UPDATE, COUNTER]
    assert store.value() == {"a": -2, "n": 7, "m": {"k": D("2.5")}}
    store.update("UPDATE c APPLY n INCREMENT BY 1", B)
    assert store.value()["n"] == 8
    store.update("UPDATE c APPLY n RESTART")
    assert store.value()["n"] == 0
    for amount in (None, "1", True, 0.5, [1]):
        raises("QUERY_INCREMENT", lambda x=amount: store.update("UPDATE c APPLY n INCREMENT BY :x", x=x))
        raises("QUERY_INCREMENT", lambda x=amount: store.update("UPDATE c APPLY n RESTART WITH :x", x=x))
    raises("QUERY_INCREMENT", store.update, "UPDATE c APPLY n INCREMENT BY nowhere")


def test_paths_are_written_once() -> None:
    for text in (
        "SET a = 1, a = 2",
        "SET a.b = 1, a = 2",
        "SET a = 1, `a b` = 2, a.b = 2",
        "SET a = 1 UNSET a",
        "SET a = 1 APPLY a.b INCREMENT BY 1",
        "APPLY a RESTART, a INCREMENT BY 1",
        "UNSET a.b.c, a.b",
    ):
        raises("QUERY_PATHS", bind_update, parse_statement("UPDATE c " + text))
    for text in ("SET _id = 1", "SET _id.a = 1", "UNSET _id", "APPLY _id RESTART"):
        raises("QUERY_DOCUMENT", bind_update, parse_statement("UPDATE c " + text))
    assert bind_update(parse_statement("UPDATE c SET a.b = 1, a.c = 2, ab = 3"))
    raises("QUERY_PARAMETER", bind_update, parse_statement("UPDATE c SET a = :x"))


def test_delete() -> None:
    store = Store()
    store.insert("INSERT INTO c DOCUMENTS ({'_id': 7, 'a': 1})")
    assert store.apply(plan_delete("c", KEEP, 7))[0] == DELETE
    assert store.value() is None


def test_many_documents_become_operations_that_fit() -> None:
    deletes = [[plan_delete("c", KEEP, number)] for number in range(150)]
    assert [len(plans) for plans in batches(deletes)] == [64, 64, 22]
    wide = []
    for number in range(14):
        sets = [(("t" + str(at),), ("literal", "x" * 60)) for at in range(5)]
        applies = [(("n",), "increment", ("literal", number))]
        wide.append(plan_update("c", KEEP, number, {}, Document(), sets, applies, (), A))
    found = batches(wide)
    assert sum([len(plans) for plans in found]) == 28 and len(found) == 2
    for plans in found:
        assert len(plans) % 2 == 0, "a document's changes stay together"
        changes = [change + [{MERGE_STAMP: hlc.pack(9, 9)}] for change, _ in plans]
        encode_body(hlc.pack(1, 1), changes)
    assert batches([]) == []


def test_targets() -> None:
    where = ("path", ("a",))
    for text in ("UPDATE c SET b = 1 WHERE a", "DELETE FROM c WHERE a"):
        assert targets(parse_statement(text)) == parse_statement("SELECT _id FROM c WHERE a")
    evict = "EVICT FROM c WHERE a ORDER BY b DESC LIMIT 3 OFFSET 1 FORCE"
    select = parse_statement("SELECT _id FROM c WHERE a ORDER BY b DESC LIMIT 3 OFFSET 1")
    assert targets(parse_statement(evict)) == select and select[4] == where
    assert targets(parse_statement("DELETE FROM c"), (("star",),)) == parse_statement("SELECT * FROM c")
