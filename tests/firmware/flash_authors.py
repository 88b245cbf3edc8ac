"""More authors than a log has places: they come, go once receipted, and come back; what must hold then."""

import random

from flash_oracle import KEEPER, PLANTS, READINGS, ids
from flash_tables import differences, open_whole, tables

from hedgerow.custody.receipt import Receipt
from hedgerow.custody.skip import RECEIPTED, Skip
from hedgerow.documents import index_key
from hedgerow.errors import HedgerowError
from hedgerow.log import ENTRY_OP, ENTRY_SEAL, ENTRY_SKIP, STATE_RECEIPT, STATE_SCHEMA
from hedgerow.operation import INSERT, UPDATE, encode_body
from hedgerow_device.flashlog import FlashLog
from hedgerow_sim.nor import Nor

#: So many places the log has here, and so many others write.
PLACES = 7
AUTHORS = [b"author%02d" % number for number in range(14)]
#: Whose documents are asked for here: they live on.
WANTED = AUTHORS[0]
DOCUMENTS = 3
EMPTY = encode_body(bytes(8), [[INSERT, READINGS.name, None, [b""]]])


class Coming:
    """What was written, by (author, number), and of each author with a place up to which number.

    `gone` counts who gave up a place, `back` who came again, `refused` who found none.
    """

    def __init__(self, seed: object):
        self.rng = random.Random(str(seed))
        self.truth: dict[tuple[bytes, int], bytes] = {}
        self.held: dict[bytes, int] = {}
        self.receipts: dict[bytes, int] = {}
        self.filled: set[tuple[bytes, int]] = set()
        self.newest: dict[tuple[bytes, int], int] = {}
        # What may have happened or not: an author, and what it holds then.
        self.pending: tuple[bytes, int] | None = None
        self.gone = self.back = self.refused = 0

    def open(self, nor: Nor) -> FlashLog:
        """Mount the log."""
        log = FlashLog(nor)
        log.keeps = self.keeps
        return log

    def keeps(self, author: bytes, number: int, body: bytes, tight: bool = False) -> bool:
        """Say whether an operation is its author's newest on a document; if tight, one that is wanted."""
        if tight and author != WANTED:
            return False
        mine = [self.newest.get((author, document)) for document in range(DOCUMENTS)]
        return PLANTS.name in body and number in mine

    # ---- doing

    def act(self, log: FlashLog) -> None:
        """Do one thing; what the log refuses changes nothing."""
        if log.get(STATE_SCHEMA, PLANTS.name) is None:
            for schema in (PLANTS, READINGS):
                log.put(STATE_SCHEMA, schema.name, schema.encoded)
        author = log.author if self.rng.random() < 0.1 else self.rng.choice(AUTHORS)
        die = self.rng.random()
        held = self.held.get(author, 0)
        try:
            if die < 0.35 and held:
                self._receipt(log, author, held)
            elif die < 0.4 and held > log.sealed(author):
                log.append(ENTRY_SEAL, author, log.sealed(author) + 1, held, self.rng.randbytes(40))
            elif die < 0.42 and author != log.author:
                self._fill(log, author, held)
            elif die < 0.46:
                log.prepare()
            else:
                self._write(log, author)
        except HedgerowError as error:
            assert error.code in ("AUTHORS_FULL", "LOG_FULL"), error
            self.refused += error.code == "AUTHORS_FULL"
            self._free(log, error.code)
        self.pending = None

    def _write(self, log: FlashLog, author: bytes) -> None:
        """Append an operation; behind a skip if its author has come back."""
        before = log.placed()
        receipted = self.receipts.get(author, 0)
        held = self.held.get(author, 0)
        if not held and receipted:
            self.pending = author, receipted
            skip = Skip(1, receipted, RECEIPTED)
            log.append(ENTRY_SKIP, author, skip.first, skip.last, skip.encode())
            self._settle(log, author, receipted, before)
            self.back += 1
            before = log.placed()
            held = receipted
        number = held + 1
        body = self._body(author, number)
        self.pending = author, number
        log.append(ENTRY_OP, author, number, number, body)
        self._settle(log, author, number, before)

    def _settle(self, log: FlashLog, author: bytes, held: int, before: list[bytes]) -> None:
        """Take it as done; at most one other has gone for it, of whom nothing is open or asked for."""
        self.held[author] = held
        self.pending = None
        self._note(author, held)
        # The run has come to it.
        self.filled = {dot for dot in self.filled if dot[0] != author or dot[1] > held}
        gone = set(before) - set(log.placed())
        assert len(gone) <= (author not in before)
        for other in gone:
            self._leaves(other, log)

    def _note(self, author: bytes, number: int) -> None:
        for document in ids(self.truth.get((author, number), EMPTY)):
            self.newest[author, document] = number

    def _leaves(self, author: bytes, log: FlashLog) -> None:
        assert author != log.author, "an own author has gone"
        assert self.held[author] <= self.receipts.get(author, 0), "an open operation has gone"
        assert not any(dot[0] == author for dot in self.filled), "what was asked for has gone"
        if author == WANTED:
            # Unless all of its documents are behind what the ring has by now.
            living = [n for (who, _), n in self.newest.items() if who == author]
            assert all(log.fetch(author, number) is None for number in living)
        self.gone += 1
        del self.held[author]
        for key in [key for key in self.newest if key[0] == author]:
            del self.newest[key]

    def _body(self, author: bytes, number: int) -> bytes:
        if (author, number) not in self.truth:
            self.truth[author, number] = self._new_body(author, number)
        return self.truth[author, number]

    def _new_body(self, author: bytes, number: int) -> bytes:
        stamp = number.to_bytes(6, "big") + bytes(2)
        if self.rng.random() < 0.15:
            document = self.rng.randrange(DOCUMENTS)
            return encode_body(stamp, [[UPDATE, PLANTS.name, document, [author + self.rng.randbytes(9)]]])
        values = [author + self.rng.randbytes(self.rng.randint(1, 30))]
        return encode_body(stamp, [[INSERT, READINGS.name, None, values]])

    def _receipt(self, log: FlashLog, author: bytes, number: int) -> None:
        value = Receipt(KEEPER, 1, author, number).encode()
        # Before it is durable nothing may go for its sake; after a cut it may be there.
        self.receipts[author] = number
        log.put(STATE_RECEIPT, author + KEEPER, value)

    def _fill(self, log: FlashLog, author: bytes, held: int) -> None:
        """Ask for something above what is held, once, of a few."""
        if len(self.filled) >= 2 or author not in self.held or author == WANTED:
            return
        number = held + 3
        body = self._body(author, number)
        self.filled.add((author, number))
        log.fill(author, number, body)

    def _free(self, log: FlashLog, code: str) -> None:
        """Let receipts come, and forget what was asked for."""
        for author, number in sorted(self.filled):
            log.drop(author, number, number)
        self.filled.clear()
        for author in sorted(self.held):
            if self.held[author] and (code == "LOG_FULL" or self.rng.random() < 0.3):
                self._receipt(log, author, self.held[author])

    # ---- what must hold

    def check(self, log: FlashLog) -> None:
        """Nothing that is open is lost, nobody has another's operations, and both ways of mounting agree."""
        placed = log.placed()
        assert len(placed) == len(set(placed)) <= PLACES
        for author in set(placed) | set(self.held):
            expected = {self.held.get(author, 0)}
            if self.pending and self.pending[0] == author:
                expected.add(self.pending[1])
            if author not in placed:
                # Another's coming was cut when it had the place.
                assert self.pending is not None or not self.held[author], author
                assert self.held[author] <= self.receipts.get(author, 0), f"{author!r} is gone with open ones"
                continue
            assert log.held(author) in expected, f"{author!r} {log.held(author)}, not {expected}"
            for number in range(1, log.held(author) + 1):
                body = log.fetch(author, number)
                wanted = number > self.receipts.get(author, 0)
                assert body == self.truth[author, number] or (body is None and not wanted), (author, number)
        for _, author, number, body in log.since(0, 1 << 20):
            assert body == self.truth[author, number], f"{author!r} {number} is another's"
        for author in placed:
            for _, first, _, body in [e for e in log.read(author, 0, 0, 1 << 20) if e[0] == ENTRY_OP]:
                assert body == self.truth[author, first]

    def check_index(self, log: FlashLog) -> None:
        """The document index leads to nobody else's operations, and to all that live."""
        for document in range(DOCUMENTS):
            dots = log.index.get(index_key("plants", document))
            for author, number in dots:
                body = log.fetch(author, number)
                assert body is None or body == self.truth[author, number], (author, number)
            for author in log.placed():
                newest = self.newest.get((author, document))
                if newest and log.fetch(author, newest) is not None:
                    assert (author, newest) in dots

    def adopt(self, log: FlashLog) -> None:
        """After a cut: go on from what the log says."""
        self.pending = None
        for author in list(self.held):
            if author not in log.placed():
                self._leaves(author, log)
        for author in log.placed():
            for number in range(self.held.get(author, 0) + 1, log.held(author) + 1):
                self._note(author, number)
            self.held[author] = log.held(author)
        for author in AUTHORS:
            value = log.get(STATE_RECEIPT, author + KEEPER)
            self.receipts[author] = Receipt.decode(value).number if value else 0
        self.filled = {
            (author, number)
            for author, number in self.filled
            if number > self.held.get(author, number) and log.fetch(author, number) is not None
        }


def agree(nor: Nor) -> None:
    """Mounting by summaries and by frames finds the same."""
    copy = Nor(nor.count, nor.size, bytearray(nor.cells))
    copy.unproven = set(nor.unproven)
    assert differences(tables(FlashLog(copy)), tables(open_whole(copy))) == {}
