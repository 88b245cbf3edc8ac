"""What two peers say to find out what one of them lacks, apart from the operations themselves.

A gateway and a keeper know thousands of authors, all of them receipted; some authors get one new operation,
unsealed, at the gateway. Everything in both directions counts but the frames of segments. The hello is in:
beside stands how much of the value it is, and what the vector of all authors would be.
"""

from collections.abc import Callable

from hedgerow.clock import hlc
from hedgerow.codec.decimal import Decimal
from hedgerow.codec.schema import STREAM, Schema, schema_for
from hedgerow.custody import vectors
from hedgerow.log import ENTRY_OP, ENTRY_SEAL, MemoryLog
from hedgerow.operation import INSERT, SOURCE_GATEWAY, SOURCE_KEEPER, encode_body, h16
from hedgerow.peer import Peer
from hedgerow.sync import hello
from hedgerow.trust.seal import NO_SEAL, make_seal, seal_hash

from . import link
from .figure import Figure, figure

DOCUMENTS = 10_000
AUTHORS = (10, 1_000, 10_000)
CHANGED = (0, 1, 10, 100)
_ROW = {"temperature": Decimal(394, -1), "humidity": Decimal(512, -1)}
_MOST_AUTHORS = 20_000


class Author:
    """Who writes one reading after the other and seals each when it is told to."""

    def __init__(self, name: bytes, schema: Schema) -> None:
        self.name = name
        self.number = 0
        self._schema = schema
        self._mark = b""
        self._previous = NO_SEAL

    def write(self) -> bytes:
        """The next reading's stored form."""
        self.number += 1
        stamp = hlc.pack(link.START_UTC_MS + self.number * link.INTERVAL_MS)
        body: bytes = encode_body(stamp, [[INSERT, self._schema.name, None, self._schema.pack(_ROW)]])
        self._mark = h16(self.name, self.number, body, {self._schema.name: self._schema})
        return body

    def seal(self) -> bytes:
        """A seal over the last reading."""
        body: bytes = make_seal(self.name, self.number, self.number, [self._mark], self._previous)
        self._previous = seal_hash(body)
        return body


class Pair:
    """A gateway and a keeper that hold the same of `count` authors, and have told each other so."""

    def __init__(self, count: int) -> None:
        self.gateway = Peer(MemoryLog(None, _MOST_AUTHORS), 0, name="gateway", role=hello.GATEWAY)
        self.keeper = Peer(MemoryLog(None, _MOST_AUTHORS), 0, name="keeper", keeper=True)
        self.gateway.set_time(link.START_UTC_MS, 5, SOURCE_GATEWAY, 0)
        self.keeper.set_time(link.START_UTC_MS, 5, SOURCE_KEEPER, 0)
        self._now = 1000
        schema = schema_for("readings", STREAM, _ROW)
        for peer in (self.gateway, self.keeper):
            peer.ingest_schema(schema.encoded)
            peer.note_keeper(self.keeper.author, self.keeper.log.incarnation)
        self.authors = [Author(at.to_bytes(8, "big"), schema) for at in range(1, count + 1)]
        for author in self.authors:
            body, seal = author.write(), author.seal()
            for peer in (self.gateway, self.keeper):
                peer.log.append(ENTRY_OP, author.name, 1, 1, body)
                peer.log.append(ENTRY_SEAL, author.name, 1, 1, seal)
        self._receipt()
        self._settle()

    def _receipt(self) -> None:
        for peer in (self.gateway, self.keeper):
            peer.commit()
        for author in self.authors:
            receipt = self.keeper.receipt(author.name)
            assert receipt
            self.gateway.ingest_receipt(receipt)
        self.gateway.commit()

    def _settle(self) -> None:
        for _ in range(2):
            self.meet()

    def meet(self) -> link.Count:
        """One exchange, opened by the gateway."""
        self._now += 10_000
        return link.exchange(self.gateway, self.keeper, self._now)

    def change(self, changed: int) -> link.Count:
        """Let the last `changed` authors write, count the exchange after it, and bring all to rest again."""
        news = self.authors[len(self.authors) - changed :]
        for author in news:
            body = author.write()
            self.gateway.ingest(author.name, author.number, [body])
        self.gateway.commit()
        count = self.meet()
        for author in news:
            assert self.keeper.log.held(author.name) == author.number, "the exchange left something behind"
            seal = author.seal()
            for peer in (self.gateway, self.keeper):
                peer.ingest_seal(author.name, seal)
        self._receipt()
        self._settle()
        return count


def bytes_of_reconciliation() -> list[Figure]:
    """Bytes to find what changed, by the number of authors and of changes."""
    figures = []
    for authors in AUTHORS:
        pair = Pair(authors)
        entries = [(author.name, 1, 1, 1) for author in pair.authors]
        full = len(vectors.pack(entries))
        for changed in CHANGED:
            if changed > authors:
                continue
            count = pair.change(changed)
            beside = {"hello": count.hello, "full_vector": full, "receipts": count.receipts}
            name = f"sync.reconcile.{authors}_authors_{changed}_changed"
            figures.append(figure(name, count.total - count.segments, "B", None, beside))
    return figures


def bytes_when_nothing_is_new() -> list[Figure]:
    """One exchange after 10,000 documents of one author have gone up; hellos apart."""
    gateway, keeper = link.new_gateway(), link.new_keeper()
    now = link.record(gateway, link.series(DOCUMENTS))
    # A week has passed, and a keeper's clock is set all the time.
    keeper.set_time(link.START_UTC_MS + now, 5, SOURCE_KEEPER, now)
    while keeper.receipted(gateway.author) < gateway.log.held(gateway.author):
        now += 1000
        link.exchange(gateway, keeper, now)
    for _ in range(2):
        now += 1000
        link.exchange(gateway, keeper, now)
    count = link.exchange(gateway, keeper, now + 1000)
    beside = {"hello": count.hello}
    return [figure("sync.reconcile.nothing_new", count.total - count.hello, "B", 100.0, beside)]


FIGURES: list[Callable[[], list[Figure]]] = [bytes_when_nothing_is_new, bytes_of_reconciliation]
