"""Running a statement on a peer's documents, in slices (SPEC 10)."""

from . import limits
from .codec import cbor
from .errors import HedgerowError
from .result import Result


def steps(peer: object, batch: object, statement: tuple, arguments: dict) -> object:
    """Yield None after each slice of documents that was looked at, then return the Result (a generator).

    Changes go into the batch, which the caller commits; to a SELECT anything that scans will do. An EVICT is
    carried out at once.
    """
    kind = statement[0]
    if kind == "select":
        rows = yield from _select(batch, statement, arguments, peer.answer_rows)
        return Result(kind, rows, [], [])
    if kind == "insert":
        warnings = _insert(peer, batch, statement, arguments)
        return Result(kind, [], [], warnings)
    from .query.mutate import targets

    rows = yield from _select(batch, targets(statement), arguments, limits.MAX_RESULT_ROWS)
    ids = [row["_id"] for row in rows]
    if kind == "update":
        _update(peer, batch, statement, ids, arguments)
        return Result(kind, [], [], [])
    if kind == "delete":
        _delete(peer, batch, statement[1], ids)
        return Result(kind, [], [], [])
    from .evict import evict

    return Result(kind, [], *evict(peer, statement[1], ids, statement[6]))


def _select(batch: object, statement: tuple, arguments: dict, max_rows: int) -> object:
    from .query.evaluate import Select

    query: object = Select(statement, arguments, max_rows)
    plain = query.plain
    if plain:
        # Equal rows come in the order of their ids.
        from .query.live import Live

        query = Live(statement, arguments, max_rows)
    for document in batch.scan(query.collection):
        if document is None:
            yield
        else:
            query.add(document)
    return query.finish().rows if plain else query.rows()


def _insert(peer: object, batch: object, statement: tuple, arguments: dict) -> list:
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
        plan = plan_insert(collection, peer.kind_of(collection), document, policy, initial, existing)
        if plan is not None:
            batch.add(collection, plan[0], plan[1])
        elif policy == "nothing":
            warnings.append((document_id, "a document with this id exists"))
    return warnings


def _update(peer: object, batch: object, statement: tuple, ids: list, arguments: dict) -> None:
    from .query.mutate import bind_update, plan_update

    collection = statement[1]
    sets, applies, unsets = bind_update(statement, arguments)
    kind = peer.kind_of(collection)
    author = batch.author_for(collection)
    plans: list = []
    for document_id in ids:
        value = batch.view(collection, document_id)
        existing = batch.load(collection, document_id)
        plans.append(
            plan_update(collection, kind, document_id, value, existing, sets, applies, unsets, author)
        )
    _add(batch, collection, plans)


def _delete(peer: object, batch: object, collection: str, ids: list) -> None:
    from .query.mutate import plan_delete

    kind = peer.kind_of(collection)
    _add(batch, collection, [[plan_delete(collection, kind, document_id)] for document_id in ids])


def _add(batch: object, collection: str, documents: list) -> None:
    """Add the plans of each document to the batch; where it may be divided, as many as fit an operation."""
    from .query.mutate import batches

    groups = batches(documents) if batch.divisible else [[plan for plans in documents for plan in plans]]
    for at in range(len(groups)):
        if at:
            batch.divide()
        for change, schema in groups[at]:
            batch.add(collection, change, schema)
