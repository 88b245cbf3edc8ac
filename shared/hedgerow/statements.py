"""Running a statement on a peer's documents, in slices (SPEC 10)."""

from .codec import cbor
from .errors import HedgerowError


class Result:
    """What a statement gave: `kind` of the statement, `rows`, `mutated` document ids, `warnings` (id, text).

    It is iterable over its rows.
    """

    def __init__(self, kind: str, rows: list, mutated: list, warnings: list):
        self.kind = kind
        self.rows = rows
        self.mutated = mutated
        self.warnings = warnings

    def __iter__(self) -> object:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


def steps(peer: object, batch: object, statement: tuple, arguments: dict) -> object:
    """Yield None after each slice of documents that was looked at, then return the Result (a generator).

    Changes go into the batch, which the caller commits. An EVICT is carried out at once.
    """
    kind = statement[0]
    if kind == "select":
        rows = yield from _select(peer, batch, statement, arguments)
        return Result(kind, rows, [], [])
    if kind == "insert":
        warnings = _insert(batch, statement, arguments)
        return Result(kind, [], [], warnings)
    from .query.mutate import targets

    rows = yield from _select(peer, batch, targets(statement), arguments)
    ids = [row["_id"] for row in rows]
    if kind == "update":
        _update(batch, statement, ids, arguments)
        return Result(kind, [], [], [])
    if kind == "delete":
        _delete(batch, statement[1], ids)
        return Result(kind, [], [], [])
    from .evict import evict

    return Result(kind, [], *evict(peer, statement[1], ids, statement[6]))


def _select(peer: object, batch: object, statement: tuple, arguments: dict) -> object:
    from .query.live import Live

    query = Live(statement, arguments, peer.answer_rows)
    for document in batch.scan(query.collection):
        if document is None:
            yield
        else:
            query.add(document)
    return query.finish().rows


def _insert(batch: object, statement: tuple, arguments: dict) -> list:
    from .query.mutate import insert_documents, plan_insert

    _, collection, initial, _, policy = statement
    warnings: list = []
    met: list = []
    for document in insert_documents(statement, arguments):
        document_id = document.get("_id")
        existing = None
        if document_id is not None:
            key = cbor.encode(document_id)
            if key in met:
                raise HedgerowError("QUERY_CONFLICT", "one _id twice: " + repr(document_id)[:100])
            met.append(key)
            existing = batch.load(collection, document_id)
        plan = plan_insert(collection, batch.kind_of(collection), document, policy, initial, existing)
        if plan is not None:
            batch.add(collection, plan[0], plan[1])
        elif policy == "nothing":
            warnings.append((document_id, "a document with this id exists"))
    return warnings


def _update(batch: object, statement: tuple, ids: list, arguments: dict) -> None:
    from .query.mutate import bind_update, plan_update

    collection = statement[1]
    sets, applies, unsets = bind_update(statement, arguments)
    for document_id in ids:
        value = batch.view(collection, document_id)
        existing = batch.load(collection, document_id)
        kind = batch.kind_of(collection)
        author = batch.author_for(collection)
        for change, schema in plan_update(
            collection, kind, document_id, value, existing, sets, applies, unsets, author
        ):
            batch.add(collection, change, schema)


def _delete(batch: object, collection: str, ids: list) -> None:
    from .query.mutate import plan_delete

    for document_id in ids:
        change, schema = plan_delete(collection, batch.kind_of(collection), document_id)
        batch.add(collection, change, schema)
