"""A workload of the document index, and what must hold after a power cut: what is in the log is found."""

import random
from collections.abc import Iterator

from flash_cuts import ERASE_TEARS, KEEPER, PROGRAM_TEARS, Operation, span, tear
from keys_kit import PLANTS, body_of, compare, key_of

from hedgerow.codec.schema import STREAM, Schema
from hedgerow.custody.receipt import Receipt
from hedgerow.errors import HedgerowError
from hedgerow.log import ENTRY_OP, ENTRY_SEAL, STATE_RECEIPT, STATE_SCHEMA
from hedgerow.operation import INSERT, decode_body, encode_body
from hedgerow_device.flashlog import FlashLog
from hedgerow_sim.nor import Nor

OTHER = b"author-x"
READINGS = Schema("readings", STREAM, (("a", None),))
COUNT, SIZE = 16, 512
# Operations of these documents are removed from the index alone: after a cut they may be found or not.
PRUNED = 30
LOOSE = [key_of(name) for name in range(PRUNED, 40)]


class Garden:
    """A log as Documents uses it: what comes in is entered, what goes is removed, what lives on is kept.

    Documents 0 to 5 live on; their newest operation is the one that is kept.
    """

    def __init__(self, nor: Nor, seed: int):
        self.nor = nor
        self.rng = random.Random(seed)
        self.open()

    def open(self) -> None:
        self.log = FlashLog(self.nor)
        self.log.keeps = self.keeps
        for schema in (PLANTS, READINGS):
            self.log.put(STATE_SCHEMA, schema.name, schema.encoded)

    def keeps(self, author: bytes, number: int, body: bytes) -> bool:
        name = decode_body(body)[1][0][2]
        if name is None or name > 5:
            return False
        # As Documents does, it looks documents up in the middle of collection.
        dots = [dot for dot in self.log.index.get(key_of(name)) if self.log.fetch(*dot) is not None]
        if (author, number) not in dots:
            # What the index does not know (yet) stays.
            return True
        return max(dots, key=lambda dot: (dot[1], dot[0])) == (author, number)

    def operation(self, author: bytes, number: int) -> tuple[int | None, bytes]:
        """An operation of a document, or a reading; another's is the same whenever it comes."""
        die = self.rng.randrange(120) if author != OTHER else number * 7
        if die % 3:
            return die % 40, body_of(number, die % 40)
        stamp = number.to_bytes(6, "big") + bytes(2)
        return None, encode_body(stamp, [[INSERT, READINGS.name, None, [1]]])

    def note(self, author: bytes, number: int, name: int | None) -> None:
        if name is not None:
            self.log.index.add(key_of(name), author, number)
        self.log.index.noted()

    def act(self) -> None:
        rng = self.rng
        log = self.log
        die = rng.random()
        author = log.author if rng.random() < 0.7 else OTHER
        if die < 0.7:
            number = log.held(author) + 1
            name, body = self.operation(author, number)
            log.append(ENTRY_OP, author, number, number, body)
            # Now and then nobody tells the index.
            if rng.random() < 0.9:
                self.note(author, number, name)
        elif die < 0.76:
            number = max(1, log.held(OTHER) + rng.randint(-20, 5))
            if log.fetch(OTHER, number) is None:
                name, body = self.operation(OTHER, number)
                log.fill(OTHER, number, body)
                self.note(OTHER, number, name)
        elif die < 0.84:
            self.forget(rng.randrange(40))
        elif die < 0.87:
            log.drop_index()
        elif die < 0.89:
            log.index.position = log.index.position
            log.index.flush(0)
        elif die < 0.9 and log.held(OTHER) > log.receipted(OTHER):
            log.cut(OTHER, rng.randint(log.receipted(OTHER), log.held(OTHER) - 1))
        else:
            self.receipt(author)

    def forget(self, name: int) -> None:
        log = self.log
        dots = sorted(log.index.get(key_of(name)), key=lambda dot: (dot[1], dot[0]))
        for author, number in dots[:-1]:
            if name < PRUNED:
                log.drop(author, number, number)
            log.index.remove(key_of(name), author, number)

    def receipt(self, author: bytes) -> None:
        log = self.log
        held = log.held(author)
        if held > log.receipted(author):
            if held > log.sealed(author):
                log.append(ENTRY_SEAL, author, log.sealed(author) + 1, held, bytes(40))
            log.put(STATE_RECEIPT, author + KEEPER, Receipt(KEEPER, 1, author, held).encode())

    def step(self) -> None:
        try:
            self.act()
        except HedgerowError as error:
            assert error.code == "LOG_FULL", error
            for author in (self.log.author, OTHER):
                self.receipt(author)


def record(seed: int, laps: float) -> tuple[list[Operation], int]:
    trace: list[Operation] = []
    nor = Nor(COUNT, SIZE, trace=trace)
    garden = Garden(nor, seed)
    frames = 0
    newest = 0
    while nor.erases < laps * COUNT:
        garden.step()
        frames += garden.log.newest_keys != newest
        newest = garden.log.newest_keys
        if garden.rng.random() < 0.01:
            garden.open()
        if garden.rng.random() < 0.02:
            check(garden)
    return trace, frames


def check(garden: Garden) -> None:
    compare(garden.log, garden.log.index, LOOSE)


def survive(cells: bytearray, seed: int) -> None:
    garden = Garden(Nor(COUNT, SIZE, bytearray(cells)), seed)
    check(garden)
    for _ in range(6):
        garden.step()
    check(garden)
    garden.open()
    check(garden)


def torn_cells(
    trace: list[Operation], every: int, phase: int = 0
) -> Iterator[tuple[int, Operation, str, bytearray]]:
    """Yield (index, operation, model, cells) for each way in which every so many-th operation can be torn."""
    cells = bytearray(b"\xff" * (COUNT * SIZE))
    for index, operation in enumerate(trace):
        if index % every == phase:
            for model in ERASE_TEARS if operation[0] == "erase" else PROGRAM_TEARS:
                yield index, operation, model, tear(cells, operation, SIZE, model, random.Random(index))
        at, after = span(operation, SIZE)
        cells[at : at + len(after)] = after
