"""Running a statement: parse, read, evaluate in slices, answer."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

from hedgerow.codec import cbor
from hedgerow.errors import HedgerowError
from hedgerow.limits import MAX_CHANGES
from hedgerow.query.evaluate import Select
from hedgerow.query.mutate import bind_update, insert_documents, targets
from hedgerow_host.dql import Statement, by_text_form, declared, parse

from . import limits
from .auth.rights import EVERY_RIGHT, Rights, Rule
from .draft import Draft
from .index_statement import IndexStatement, index_statement
from .lookup import keys_of
from .names import SYSTEM, check_collection
from .ordered import Enough, in_order, order_of
from .own import Keep, OwnAuthor, Written
from .prefilter import filter_of
from .service import Service
from .store.filter import TRUE as EVERY_ONE
from .store.filter import Filter
from .store.port import Keyed, Snapshot
from .store.rows import AnswerEntry, DocumentRow, KeptAnswer
from .strict import Strict
from .view import Moment, seen

Result = TypeVar("Result")

_WRITES_SYSTEM = re.compile(
    r"\s*(?:INSERT\s+INTO|UPDATE|(?:DELETE|TOMBSTONE|EVICT)\s+FROM)\s+system\s*:", re.I
)


class Answer(NamedTuple):
    """What a statement gave. `warnings` are (document id, description)."""

    transaction: int
    kind: str
    items: list[dict[str, Any]]
    mutated: list[Any]
    warnings: list[tuple[Any, str]]


class Once(NamedTuple):
    """A caller's request that may come again: its Idempotency-Key, and the hash of what it says."""

    caller: str
    key: str
    fingerprint: bytes

    def keep(self, kind: str, written: Written) -> AnswerEntry:
        """Return the answer as it is kept."""
        answer = cbor.encode([kind, written.ids, [list(warning) for warning in written.warnings]])
        return AnswerEntry(self.caller, self.key, self.fingerprint, answer)

    def again(self, kept: KeptAnswer | None) -> Answer:
        """Return the answer that was kept. Raises REQUEST_REPEATED if it was another request's."""
        if kept is None or kept.fingerprint != self.fingerprint:
            raise HedgerowError("REQUEST_REPEATED", self.key)
        kind, ids, warnings = cbor.decode(kept.answer)
        return Answer(kept.transaction, kind, [], ids, [(warning[0], warning[1]) for warning in warnings])


class Queries:
    """Statements over one service. What takes time runs in threads, a slice of documents at a time."""

    def __init__(self, service: Service, own: OwnAuthor) -> None:
        self._service = service
        self._own = own
        self.work = service.work
        # What reads computes, and what writes waits for the disk: neither takes the other's turns.
        self._reading = asyncio.Semaphore(limits.STATEMENTS_AT_ONCE)
        self._changing = asyncio.Semaphore(limits.CHANGES_AT_ONCE)
        # Who makes the documents of a system collection, by its name.
        self.system: dict[str, Callable[[], Awaitable[list[dict[str, Any]]]]] = {}

    async def execute(
        self,
        text: str,
        arguments: dict[str, Any],
        *,
        by_json: bool,
        rights: Rights = EVERY_RIGHT,
        once: Once | None = None,
        strict: bool = False,
    ) -> Answer:
        """Run one statement; `by_json` says that its arguments had no way to hold bytes, `once` that what it
        writes is written once however often it is asked, `strict` that it declares what is no register.

        What the caller has no right to read is passed over. Raises the QUERY_ codes, AUTH_FORBIDDEN, and the
        codes of documents and operations; REQUEST_REPEATED for another request of a known key.
        """
        index = index_statement(text)
        if index is not None:
            check_collection(index.wanted.collection)
            check_collection(index.wanted.name)
            async with self._changing:
                return await self._index(index, rights)
        if _WRITES_SYSTEM.match(text):
            raise HedgerowError("SYSTEM_READ_ONLY", text[:60])
        statement = await self.work(parse, text)
        kind: str = statement[0]
        check_collection(statement[3] if kind == "select" else statement[1])
        counts = self._service.counters.statements
        counts[kind] = counts.get(kind, 0) + 1
        if kind == "select":
            async with self._reading:
                return await _in_time(self._select(statement, arguments, by_json, rights))
        types = Strict(await self.work(declared, text)) if strict else None
        change = partial(self._change, statement, arguments, by_json, rights, types)
        async with self._changing:
            if once is None:
                written = await change(None)
                return Answer(self._service.newest, kind, [], written.ids, written.warnings)
            return await self._once(statement, change, rights, once)

    async def _once(
        self,
        statement: Statement,
        change: Callable[[Keep | None], Awaitable[Written]],
        rights: Rights,
        once: Once,
    ) -> Answer:
        """Change what a statement says, or answer again what was answered to the same request."""
        kind: str = statement[0]
        # The right to it is asked for also where the answer is known.
        await self.work(rights.to_write, statement[1])
        store = self._service.store
        kept = await store.answer(once.caller, once.key, self._service.clock.utc())
        if kept is None:
            try:
                written = await change(partial(once.keep, kind))
                return Answer(self._service.newest, kind, [], written.ids, written.warnings)
            except HedgerowError as error:
                if error.code not in ("REQUEST_REPEATED", "QUERY_CONFLICT"):
                    raise
                # The same request, at the same time, may have been first: what it wrote can be in the way.
                kept = await store.answer(once.caller, once.key, self._service.clock.utc())
                if kept is None:
                    raise
        return once.again(kept)

    async def _index(self, statement: IndexStatement, rights: Rights) -> Answer:
        """Make or drop an index: for whoever may write all of a collection."""
        index = statement.wanted
        if index.collection.startswith(SYSTEM):
            raise HedgerowError("SYSTEM_READ_ONLY", index.collection)
        if not (await self.work(rights.to_write, index.collection)).is_whole:
            raise HedgerowError("AUTH_FORBIDDEN", f"index {index.collection}"[:200])
        warnings: list[tuple[Any, str]] = []
        try:
            if statement.drop:
                await self._service.store.drop_index(index.collection, index.name)
            else:
                await self._service.store.create_index(index)
        except HedgerowError as error:
            if not statement.lenient or error.code not in ("INDEX_EXISTS", "INDEX_UNKNOWN"):
                raise
            warnings.append((None, f"nothing to do: {error.detail}"))
        kind = "drop_index" if statement.drop else "create_index"
        return Answer(self._service.transaction, kind, [], [], warnings)

    async def _select(
        self, statement: Statement, arguments: dict[str, Any], by_json: bool, rights: Rights
    ) -> Answer:
        query = await self.work(_prepare, statement, arguments, by_json)
        rule = await self.work(rights.to_read, query.collection)
        if query.collection.startswith(SYSTEM):
            await self.work(_add_system, query, rule, await self._system(query.collection))
            return Answer(self._service.newest, "select", await self.work(query.rows), [], [])
        keys = await self.work(lambda: keys_of(statement[4], arguments, by_json=by_json))
        wanted = await self.work(_wanted, statement, 4, arguments, by_json)
        deadline = time.monotonic() + limits.STATEMENT_SECONDS
        before, store = self._service.written, self._service.store
        async with store.snapshot(limits.STATEMENT_SECONDS) as snapshot:
            indexed = [] if keys is not None else store.indexed(query.collection)
            order = await self.work(order_of, query, statement, indexed)
            if order is not None and query.wanted is not None:
                enough = Enough(query.wanted)
                async for placed in in_order(snapshot, query.collection, order, wanted):
                    located = self._located([row for _, row in placed])
                    facets = [facet for facet, _ in placed]
                    if await self.work(_add_ordered, query, rule, located, facets, enough, deadline):
                        break
            else:
                async for rows in _slices(snapshot, query.collection, keys, wanted):
                    await self.work(_add, query, rule, self._located(rows), deadline)
                    if query.finished:
                        break
            items = await self.work(query.rows)
            # A view has seen what was written here before it was opened, stable or not.
            return Answer(max(snapshot.transaction, before), "select", items, [], [])

    async def _system(self, collection: str) -> list[dict[str, Any]]:
        """Return the documents of a system collection. Raises QUERY_UNSUPPORTED if there is none such."""
        make = self.system.get(collection)
        if make is None:
            raise HedgerowError(
                "QUERY_UNSUPPORTED", f"{collection}: there are {', '.join(sorted(self.system))}"
            )
        return await make()

    async def _change(
        self,
        statement: Statement,
        arguments: dict[str, Any],
        by_json: bool,
        rights: Rights,
        strict: Strict | None,
        keep: Keep | None,
    ) -> Written:
        kind, collection = statement[:2]
        if collection.startswith(SYSTEM):
            raise HedgerowError("SYSTEM_READ_ONLY", collection)
        rule = await self.work(rights.to_write, collection)
        if kind == "evict":
            raise HedgerowError("EVICT_KEEPER", "DELETE removes a document everywhere")
        if kind == "insert":
            _, _, initial, _, policy = statement
            if policy == "update_local_diff" and not await self.work(_reads_all, rights, collection):
                # Which fields differ, or that none does, would tell what is there.
                policy = "update"
            documents = await self.work(insert_documents, statement, arguments)

            async def insert(draft: Draft, snapshot: Keyed) -> None:
                await draft.insert(
                    snapshot,
                    collection,
                    documents,
                    policy,
                    initial=initial,
                    by_json=by_json,
                    strict=strict,
                )

            return await self._own.write(insert, rule, keep)
        if kind == "update" and strict is not None:
            strict.check(statement)
        # WHERE tells of what it finds: only among what may be read.
        readable = await self.work(rights.to_read, collection)
        bound = await self.work(bind_update, statement, arguments) if kind == "update" else None
        query = await self.work(_prepare, targets(statement), arguments, by_json)
        keys = await self.work(lambda: keys_of(statement[-1], arguments, by_json=by_json))
        wanted = await self.work(_wanted, statement, -1, arguments, by_json)
        async with self._reading:
            found = await _in_time(self._matching(query, keys, wanted, readable))

        async def change(draft: Draft, snapshot: Keyed) -> None:
            # What was written between the search and now counts.
            rows = await snapshot.some(collection, found) if found else []
            for row, value in await self.work(_matching, query, readable, self._located(rows)):
                if bound is None:
                    draft.delete(row)
                else:
                    draft.update(row, value, bound, strict)

        return await self._own.write(change, rule, keep)

    async def _matching(
        self, query: Select, keys: list[bytes] | None, wanted: Filter, readable: Rule
    ) -> list[bytes]:
        """Return the encoded ids of the documents that an UPDATE or DELETE is about."""
        found: list[bytes] = []
        async with self._service.store.snapshot(limits.STATEMENT_SECONDS) as snapshot:
            async for rows in _slices(snapshot, query.collection, keys, wanted):
                located = self._located(rows)
                found += [row.id for row, _ in await self.work(_matching, query, readable, located)]
                if len(found) > MAX_CHANGES:
                    reason = f"more than {MAX_CHANGES} documents hold the condition"
                    raise HedgerowError("OPERATION_CHANGES", f"{reason}: narrow it, and repeat the statement")
        return found

    async def documents(
        self, rows: Sequence[DocumentRow]
    ) -> list[tuple[DocumentRow, dict[str, Any], Moment | None]]:
        """Return each row with its document as queries see it, and its moment."""
        located = self._located(rows)
        return await self.work(lambda: [(row, _document(row, moment), moment) for row, moment in located])

    def _located(self, rows: Sequence[DocumentRow]) -> list[tuple[DocumentRow, Moment | None]]:
        """Find the moments of rows; the time maps belong to the loop's thread."""
        return [(row, self._moment(row)) for row in rows]

    def _moment(self, row: DocumentRow) -> Moment | None:
        if row.author is None or row.number is None or row.stamp is None:
            return None
        if not self._service.is_stream(row.collection):
            return None
        return self._service.time_of(row.author, row.number, row.stamp)


def _reads_all(rights: Rights, collection: str) -> bool:
    try:
        return rights.to_read(collection).is_whole
    except HedgerowError:
        return False


async def _in_time(work: Coroutine[Any, Any, Result]) -> Result:
    """Read within the time that a statement has. What is written is never cut short."""
    try:
        async with asyncio.timeout(limits.STATEMENT_SECONDS):
            return await work
    except TimeoutError:
        raise HedgerowError("QUERY_TIMEOUT", f"over {limits.STATEMENT_SECONDS:g} s") from None


async def _slices(
    snapshot: Snapshot, collection: str, keys: list[bytes] | None, wanted: Filter
) -> AsyncIterator[Sequence[DocumentRow]]:
    """Yield the existing documents of a collection that a filter lets through, or those of these ids, in the
    order of their ids.
    """
    size = limits.SLICE_DOCUMENTS
    if keys is not None:
        for at in range(0, len(keys), size):
            yield await snapshot.some(collection, keys[at : at + size])
        return
    after: bytes | None = None
    while True:
        rows = await snapshot.documents(collection, after, size, wanted)
        yield rows
        if len(rows) < size:
            return
        after = rows[-1].id
        if wanted != EVERY_ONE:
            # An index is gone through anew for every slice.
            size = min(size * 2, limits.FILTERED_DOCUMENTS)


def _prepare(statement: Statement, arguments: dict[str, Any], by_json: bool) -> Select:
    statement = by_text_form(statement, arguments if by_json else None)
    return Select(statement, arguments, limits.ANSWER_ROWS)


def _wanted(statement: Statement, place: int, arguments: dict[str, Any], by_json: bool) -> Filter:
    """Return what SQL may ask of the documents; the condition stands at a place of the statement."""
    return filter_of(by_text_form(statement, arguments if by_json else None)[place], arguments)


def _add(query: Select, rule: Rule, rows: list[tuple[DocumentRow, Moment | None]], deadline: float) -> None:
    for row, moment in rows:
        if time.monotonic() > deadline:
            raise TimeoutError
        if covers(rule, row):
            query.add(_document(row, moment))


def _add_system(query: Select, rule: Rule, documents: list[dict[str, Any]]) -> None:
    for document in documents:
        if rule.covers(document):
            query.add(document)


def _add_ordered(
    query: Select,
    rule: Rule,
    rows: list[tuple[DocumentRow, Moment | None]],
    facets: list[str | None],
    enough: Enough,
    deadline: float,
) -> bool:
    """Add documents in their order; say whether those behind them are not needed."""
    for (row, moment), facet in zip(rows, facets, strict=True):
        if time.monotonic() > deadline:
            raise TimeoutError
        if enough.is_beyond(facet):
            return True
        if covers(rule, row):
            document = _document(row, moment)
            if query.matches(document):
                enough.count(facet)
                query.add(document)
    return False


def _matching(
    query: Select, rule: Rule, rows: list[tuple[DocumentRow, Moment | None]]
) -> list[tuple[DocumentRow, dict[str, Any]]]:
    """Return the rows that a rule covers and that hold a condition, each with its document."""
    seen_rows = [(row, _document(row, moment)) for row, moment in rows if covers(rule, row)]
    return [(row, document) for row, document in seen_rows if query.matches(document)]


def covers(rule: Rule, row: DocumentRow) -> bool:
    """Say whether a right covers a document. It sees what is written, not the derived time (SPEC 12.7)."""
    return rule.is_whole or rule.covers(_document(row, None))


def _document(row: DocumentRow, moment: Moment | None) -> dict[str, Any]:
    """Return a document as queries see it."""
    assert row.value is not None
    return seen(cbor.decode(row.id), cbor.decode(row.value), moment)
