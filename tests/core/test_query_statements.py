"""Statements one after another, by any author, do to a document what they do to a plain dict."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hedgerow.clock import hlc
from hedgerow.codec.decimal import Decimal
from hedgerow.codec.schema import KEEP
from hedgerow.document import Document
from hedgerow.operation import encode_body
from hedgerow.query import mutate
from hedgerow.query.arithmetic import calculate
from hedgerow.query.expression import like
from hedgerow.query.load import parse_statement
from hedgerow.query.values import is_number

Tree = dict[str, Any]
LEAVES = st.one_of(
    st.integers(-5, 5),
    st.builds(Decimal, st.integers(-50, 50), st.just(-1)),
    st.sampled_from(["x", None, [1]]),
)
MAPS = st.recursive(
    st.dictionaries(st.sampled_from("xyz"), LEAVES, max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("xyz"), inner | LEAVES, max_size=2),
    max_leaves=4,
)
VALUES = LEAVES | MAPS
TARGETS = st.sampled_from(["a", "m", "m.x", "m.y.z", "m.x.y", "`m`.`z`"])
COUNTERS = st.sampled_from(["n", "c.k"])
AMOUNTS = st.one_of(st.integers(-3, 3), st.builds(Decimal, st.integers(-30, 30), st.just(-1)))
WRITES = st.one_of(
    st.tuples(st.just("set"), TARGETS, VALUES),
    st.tuples(st.just("unset"), TARGETS | COUNTERS, st.none()),
    st.tuples(st.just("increment"), COUNTERS, AMOUNTS),
    st.tuples(st.just("restart"), COUNTERS, AMOUNTS),
    st.tuples(st.just("copy"), COUNTERS, st.none()),
)
# A count makes no map above it of its own (SPEC 3.16), so the map is there from the start.
DOCUMENTS = st.fixed_dictionaries(
    {"_id": st.just(7), "c": st.just(Tree())}, optional={"a": VALUES, "m": VALUES, "n": AMOUNTS}
)
STEPS = st.one_of(
    WRITES,
    WRITES,
    st.tuples(st.sampled_from(["update", "update_local_diff"]), DOCUMENTS, st.none()),
    st.tuples(st.just("delete"), st.none(), st.none()),
)


def merge(into: Tree, name: str, value: Any) -> None:
    """Write a value as SPEC 3.15 does: a map into a map, anything else in its place."""
    if not isinstance(value, dict):
        into[name] = value
        return
    if not isinstance(into.get(name), dict):
        into[name] = {}
    for child in value:
        merge(into[name], child, value[child])


def reach(tree: Tree, path: list[str], make: bool) -> Tree | None:
    """Return the map that holds the path's last step; with `make` there will be one."""
    for step in path[:-1]:
        if not isinstance(tree.get(step), dict):
            if not make:
                return None
            tree[step] = {}
        tree = tree[step]
    return tree


def model(tree: Tree, kind: str, target: str, value: Any) -> None:
    """Do a statement to a dict."""
    path = target.replace("`", "").split(".")
    if kind == "copy":
        source = reach(tree, path, False)
        found = None if source is None else source.get(path[-1], ...)
        if source is None or found is ...:
            tree.pop("a", None)
        else:
            merge(tree, "a", found)
        return
    if kind == "unset":
        holder = reach(tree, path, False)
        if holder is not None:
            holder.pop(path[-1], None)
        return
    holder = reach(tree, path, True)
    assert holder is not None
    if kind == "increment":
        before = holder.get(path[-1])
        value = calculate("+", before if is_number(before) else 0, value)
    merge(holder, path[-1], value)


TEXTS = {
    "set": "UPDATE c SET {} = :v",
    "unset": "UPDATE c UNSET {}",
    "increment": "UPDATE c APPLY {} INCREMENT BY :v",
    "restart": "UPDATE c APPLY {} RESTART WITH :v",
    "copy": "UPDATE c SET a = {}",
}


class Peer:
    def __init__(self) -> None:
        self.document = Document()
        self.uptime = 0

    def apply(self, plan: Any, author: bytes) -> None:
        self.uptime += 1
        change, schema = plan
        stamp = hlc.pack(self.uptime)
        encode_body(stamp, [change])
        self.document.apply(change, schema, stamp, author)

    def insert(self, document: Tree, policy: str, author: bytes) -> None:
        plan = mutate.plan_insert("c", KEEP, document, policy, False, self.document)
        if plan is not None:
            self.apply(plan, author)

    def run(self, kind: str, target: str, value: Any, author: bytes) -> None:
        statement = parse_statement(TEXTS[kind].format(target))
        bound = mutate.bind_update(statement, {"v": value})
        seen = {"_id": 7, **(self.document.value() or {})}
        for plan in mutate.plan_update("c", KEEP, 7, seen, self.document, *bound, author):
            self.apply(plan, author)


@settings(max_examples=300)
@given(DOCUMENTS, st.lists(st.tuples(STEPS, st.sampled_from([b"author-a", b"author-b"])), max_size=12))
def test_statements_do_what_they_do_to_a_dict(first: Tree, steps: list[tuple[Any, bytes]]) -> None:
    peer = Peer()
    tree: Tree | None = {}
    peer.insert(first, "fail", b"author-a")
    for name, value in first.items():
        merge(tree, name, value) if name != "_id" else None
    for (kind, target, value), author in steps:
        if kind == "delete":
            peer.apply(mutate.plan_delete("c", KEEP, 7), author)
            tree = None
        elif kind.startswith("update"):
            peer.insert(target, kind, author)
            tree = {} if tree is None else tree
            for name, given_value in target.items():
                if name != "_id":
                    merge(tree, name, given_value)
        elif tree is not None:
            peer.run(kind, target, value, author)
            model(tree, kind, target, value)
        assert peer.document.value() == tree, (kind, target, value)


def matches(text: str, pattern: str) -> bool:
    """LIKE as SPEC 10.3 says it, tried in every way."""
    if not pattern:
        return not text
    if pattern[0] == "%":
        return any(matches(text[at:], pattern[1:]) for at in range(len(text) + 1))
    if pattern[0] == "\\" and len(pattern) > 1:
        return text[:1] == pattern[1] and matches(text[1:], pattern[2:])
    return bool(text) and pattern[0] in ("_", text[0]) and matches(text[1:], pattern[1:])


@settings(max_examples=2000)
@given(st.text("ab%_\\\u00e9", max_size=9), st.text("ab%_\\\u00e9", max_size=7))
def test_like_agrees_with_trying_everything(text: str, pattern: str) -> None:
    assert like(text, pattern) is matches(text, pattern)
