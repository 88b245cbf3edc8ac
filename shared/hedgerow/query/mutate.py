"""What statements change, as changes of an operation (SPEC 10.8): planned here, written by the caller.

("insert", collection, initial, documents, policy): documents is a tuple of expressions; policy one of
"fail", "nothing", "update" and "update_local_diff".
("update", collection, sets, applies, unsets, where): sets is a tuple of (path, expression), applies of
(path, "increment" | "restart", expression or None), unsets of paths; a path is a tuple of field names.
("delete", collection, where).
("evict", collection, where, order, limit, offset, force).

A plan is (change, schema); the change has no merge stamp yet. A change that is planned must be applied before
the next one of the same document is planned.
"""

from .. import limits
from ..clock import hlc
from ..codec import cbor
from ..codec.schema import CONFIDENTIAL, Schema, schema_for
from ..errors import HedgerowError
from ..operation import COUNTER, DELETE, INITIAL, INSERT, MERGE_STAMP, UNSET, UPDATE, check_id
from .arithmetic import calculate
from .expression import bind, evaluate
from .values import MISSING, is_float, is_number, order_key

# What an operation holds besides its changes, and what a merge stamp adds to a change.
_HEAD = limits.const(12)
_MERGE_STAMP = limits.const(11)
# What encrypting adds to a change at most, besides a byte for each field.
_CONCEALED = limits.const(28)


def targets(statement: tuple, columns: tuple = (("column", ("path", ("_id",)), "_id"),)) -> tuple:
    """Return the SELECT whose rows are the documents that an UPDATE, DELETE or EVICT is about.

    Without ORDER BY, LIMIT and OFFSET, `Select.matches` says of each document whether it is one: then nothing
    need be kept, and the limit on rows does not count.
    """
    name, collection = statement[:2]
    if name == "evict":
        where, order, limit, offset = statement[2:6]
    else:
        where = statement[-1]
        order, limit, offset = (), None, None
    return ("select", False, columns, collection, where, (), None, order, limit, offset)


def insert_documents(statement: tuple, arguments: dict | None = None) -> list:
    """Return the documents that an INSERT gives, each a dict; refuse one `_id` twice with QUERY_CONFLICT."""
    documents = []
    seen = set()
    for expression in statement[3]:
        document = evaluate(bind(expression, arguments or {}), {})
        if not isinstance(document, dict):
            raise HedgerowError("QUERY_DOCUMENT", "DOCUMENTS takes objects only")
        document_id = document.get("_id")
        if document_id is not None:
            check_id(document_id)
            key = cbor.encode(document_id)
            if key in seen:
                raise HedgerowError("QUERY_CONFLICT", ("twice in one statement: " + repr(document_id))[:200])
            seen.add(key)
        documents.append(document)
    return documents


def bind_update(statement: tuple, arguments: dict | None = None) -> tuple:
    """Return (sets, applies, unsets) of an UPDATE with its parameters bound; its paths are checked."""
    arguments = arguments or {}
    _, _, sets, applies, unsets, _ = statement
    _check_paths([item[0] for item in sets] + [item[0] for item in applies] + list(unsets))
    return (
        [(path, bind(expression, arguments)) for path, expression in sets],
        [
            (path, action, bind(expression, arguments) if expression else None)
            for path, action, expression in applies
        ],
        unsets,
    )


def plan_insert(
    collection: str, kind: int, document: dict, policy: str, initial: bool, existing: object
) -> tuple | None:
    """Return the plan for one document of an INSERT, None if there is nothing to do.

    `existing` is the Document of that `_id`, or None. Raises QUERY_CONFLICT if it exists and the policy is
    "fail", and the codes of ids and schemas.
    """
    document = dict(document)
    document_id = document.pop("_id", None)
    change = INITIAL if initial else INSERT
    if document_id is None:
        if initial:
            raise HedgerowError("QUERY_DOCUMENT", "INITIAL takes documents with an _id")
    else:
        check_id(document_id)
        if existing is not None and existing.exists():
            if policy == "fail":
                raise HedgerowError("QUERY_CONFLICT", (collection + " " + repr(document_id))[:200])
            if policy == "nothing":
                return None
            change = UPDATE
            if policy == "update_local_diff":
                document = _differing(document, existing.value())
            if not document:
                return None
    schema = schema_for(collection, kind, document)
    return [change, schema.name, document_id, schema.pack(document)], schema


def plan_update(
    collection: str,
    kind: int,
    document_id: object,
    value: dict,
    existing: object,
    sets: list,
    applies: list,
    unsets: tuple,
    author: bytes,
) -> list:
    """Return the plans for one document of an UPDATE: of what it writes, and of what it counts.

    `value` is the document as queries see it, `existing` its Document; sets, applies and unsets come from
    `bind_update`. All expressions see the document as it was. Raises QUERY_INCREMENT, and the codes of
    evaluation and schemas.
    """
    fields = {}
    totals = {}
    gone = list(unsets)
    for path, expression in sets:
        result = evaluate(expression, value)
        if result is MISSING:
            gone.append(path)
        else:
            fields[_field(path)] = result
    for path, action, expression in applies:
        amount = evaluate(expression, value) if expression else 0
        if not is_number(amount) or is_float(amount):
            raise HedgerowError("QUERY_INCREMENT", ".".join(path) + ": " + repr(amount)[:48])
        if action == "restart":
            fields[_field(path)] = amount
        else:
            base, total = existing.counter(path, author)
            totals[_field(path)] = [base, calculate("+", total, amount)]
    plans = []
    if fields or gone:
        schema = schema_for(collection, kind, fields)
        change = [UPDATE, schema.name, document_id, schema.pack(fields)]
        if gone:
            change.append({UNSET: [path[0] if len(path) == 1 else list(path) for path in gone]})
        plans.append((change, schema))
    if totals:
        schema = schema_for(collection, kind, totals)
        plans.append(([COUNTER, schema.name, document_id, schema.pack(totals)], schema))
    return plans


def plan_delete(collection: str, kind: int, document_id: object) -> tuple:
    """Return the plan that deletes a document."""
    schema = Schema(collection, kind, ())
    return [DELETE, schema.name, document_id], schema


def set_merge_stamp(change: list, stamp: bytes) -> None:
    """Give a change the stamp with which it merges in the place of its operation's."""
    options = change.pop() if isinstance(change[-1], dict) else {}
    options[MERGE_STAMP] = hlc.wire(stamp)
    change.append(options)


def batches(documents: list) -> list:
    """Return what operations to write: lists of plans that fit one, in order, those of a document together.

    `documents` holds the list of plans of each document.
    """
    found = []
    room = changes = 0
    for plans in documents:
        size = sum([len(cbor.encode(change)) + _MERGE_STAMP for change, _ in plans])
        hidden = [_CONCEALED + len(schema.fields) for _, schema in plans if schema.kind & CONFIDENTIAL]
        size += sum(hidden)
        if not found or size > room or changes + len(plans) > limits.MAX_CHANGES:
            found.append([])
            room = limits.MAX_OPERATION - _HEAD
            changes = 0
        found[-1].extend(plans)
        room -= size
        changes += len(plans)
    return found


def _field(path: tuple) -> object:
    """Return a path as schemas name it."""
    return path[0] if len(path) == 1 else path


def _check_paths(paths: list) -> None:
    """Refuse a path twice, or one within another: which of the two won would be chance."""
    last = ()
    for path in sorted(paths):
        if path[0] == "_id":
            raise HedgerowError("QUERY_DOCUMENT", "_id never changes")
        if last and path[: len(last)] == last:
            raise HedgerowError("QUERY_PATHS", ".".join(last) + " and " + ".".join(path))
        last = path


def _differing(document: dict, current: dict) -> dict:
    """Return the fields, by name or path, whose values differ; maps are compared child by child."""
    found = {}
    _differ(found, (), document, current)
    if len(found) <= limits.MAX_FIELDS:
        return found
    return {
        name: document[name]
        for name in document
        if order_key(document[name]) != order_key(current.get(name, MISSING))
    }


def _differ(found: dict, above: tuple, document: dict, current: dict) -> None:
    for name in document:
        path = above + (name,)
        value, old = document[name], current.get(name, MISSING)
        if isinstance(value, dict) and isinstance(old, dict) and len(path) < limits.MAX_PATH:
            _differ(found, path, value, old)
        elif order_key(value) != order_key(old):
            found[_field(path)] = value
