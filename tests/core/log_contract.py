"""The contract of the Log port: `check_log(new)` runs on every implementation, on both VMs.

`new()` formats fresh storage and returns a function that opens a log on it. Opening again without close()
stands for a power cut between two calls: what was committed is there, what was not may be there or not.
"""

from log_contract_kit import A, B, C
from log_contract_kit import all_since as _all_since
from log_contract_kit import body as _body
from log_contract_kit import fill as _fill
from log_contract_kit import skip as _skip
from log_contract_room import REPLACING

from hedgerow.custody.skip import LOST, RECEIPTED
from hedgerow.errors import HedgerowError
from hedgerow.limits import MAX_NUMBER
from hedgerow.log import (
    ENTRY_OP,
    ENTRY_SEAL,
    ENTRY_SKIP,
    STATE_CONFIG,
    STATE_PEER,
    STATE_RECEIPT,
    STATE_SCHEMA,
)


def _refused(log: object, kind: int, first: int, last: int) -> None:
    try:
        log.append(kind, A, first, last, b"x")
    except HedgerowError as error:
        assert error.code == "LOG_OUT_OF_ORDER", error
    else:
        raise AssertionError("append of %d, %d-%d was taken" % (kind, first, last))


def check_names(new: object) -> None:
    """A log names an author of its own, the same after opening again, another in other storage."""
    open_log = new()
    log = open_log()
    author = log.author
    assert isinstance(author, bytes) and len(author) == 8
    assert log.incarnation >= 1
    assert log.authors() == [] and log.held(author) == 0 and log.sealed(author) == 0
    log.close()
    log = open_log()
    assert log.author == author
    log.close()
    other = new()()
    assert other.author != author
    other.close()


def check_renewing(new: object) -> None:
    """A log goes on as a new author in a new incarnation; the one before is an author like others."""
    open_log = new()
    log = open_log()
    former, incarnation = log.author, log.incarnation
    _fill(log, former, 1, 3)
    log.append(ENTRY_SEAL, former, 1, 2, b"seal")
    log.renew()
    for _ in range(2):
        author = log.author
        assert author != former and len(author) == 8 and log.incarnation == incarnation + 1
        assert (log.held(former), log.sealed(former), log.held(author)) == (3, 2, 0)
        assert log.read(former, 0, 9, 4096) == [(ENTRY_OP, n, n, _body(n)) for n in (1, 2, 3)]
        log = open_log()
        assert log.author == author
    _fill(log, author, 1, 2)
    log.append(ENTRY_SKIP, former, 4, 9, b"skip")
    log.append(ENTRY_SEAL, former, 3, 9, b"bare")
    log.commit()
    log = open_log()
    assert (log.author, log.held(author)) == (author, 2)
    assert (log.held(former), log.sealed(former)) == (9, 9)
    assert log.damage() == [] and log.damaged == 0
    log.renew()
    assert log.author not in (author, former) and log.incarnation == incarnation + 2
    log.close()


def check_prefix(new: object) -> None:
    """Operations extend what is held by one; nothing else is taken, and a refusal changes nothing."""
    log = new()()
    _refused(log, ENTRY_OP, 2, 2)
    _refused(log, ENTRY_OP, 0, 0)
    _fill(log, A, 1, 3)
    for first, last in ((3, 3), (5, 5), (4, 5), (1, 1)):
        _refused(log, ENTRY_OP, first, last)
    assert log.held(A) == 3
    assert log.read(A, 0, 0, 4096) == [(ENTRY_OP, n, n, _body(n)) for n in (1, 2, 3)]
    log.commit()
    log.close()


def check_seals(new: object) -> None:
    """A seal covers held operations and stands behind them in log order."""
    log = new()()
    _fill(log, A, 1, 4)
    for first, last in ((1, 5), (0, 2), (3, 2)):
        _refused(log, ENTRY_SEAL, first, last)
    assert log.sealed(A) == 0
    log.append(ENTRY_SEAL, A, 1, 4, b"seal one")
    _fill(log, A, 5, 6)
    log.append(ENTRY_SEAL, A, 5, 6, b"seal two")
    log.commit()
    assert (log.held(A), log.sealed(A)) == (6, 6)
    kinds = [(entry[0], entry[1], entry[2]) for entry in log.read(A, 0, 0, 4096)]
    operations = [(ENTRY_OP, n, n) for n in range(1, 7)]
    assert kinds == operations[:4] + [(ENTRY_SEAL, 1, 4)] + operations[4:] + [(ENTRY_SEAL, 5, 6)]
    assert log.read(A, 6, 4, 4096) == [(ENTRY_SEAL, 5, 6, b"seal two")]
    assert log.read(A, 6, 3, 4096)[0] == (ENTRY_SEAL, 1, 4, b"seal one")
    assert log.read(A, 6, 6, 4096) == []
    log.close()


def check_skips(new: object) -> None:
    """A skip stands in the place of numbers and is read as long as it reaches above what is asked for."""
    log = new()()
    _fill(log, A, 1, 1)
    _refused(log, ENTRY_SKIP, 3, 4)
    _refused(log, ENTRY_SKIP, 1, 4)
    _refused(log, ENTRY_SKIP, 2, 1)
    log.append(ENTRY_SKIP, A, 2, 9, b"skip")
    assert log.held(A) == 9
    _fill(log, A, 10, 10)
    log.commit()
    for held in (1, 5, 8):
        assert log.read(A, held, 0, 4096)[0] == (ENTRY_SKIP, 2, 9, b"skip")
    assert log.read(A, 9, 0, 4096) == [(ENTRY_OP, 10, 10, _body(10))]
    log.append(ENTRY_SKIP, A, 11, MAX_NUMBER, b"to the end")
    _refused(log, ENTRY_OP, MAX_NUMBER + 1, MAX_NUMBER + 1)
    log.close()


def check_reading(new: object) -> None:
    """A read is bounded by bytes, gives at least one entry, and can go on where it ended."""
    log = new()()
    _fill(log, A, 1, 40)
    log.commit()
    assert len(log.read(A, 0, 0, 1)) == 1
    some = log.read(A, 0, 0, 100)
    assert sum([len(entry[3]) for entry in some]) <= 100 and len(some) > 1
    held = 0
    seen: list = []
    while held < 40:
        for entry in log.read(A, held, 0, 64):
            seen.append(entry[1])
            held = entry[2]
    assert seen == list(range(1, 41))
    assert log.read(B, 0, 0, 100) == []
    log.close()


def check_authors(new: object) -> None:
    """Authors are kept apart."""
    log = new()()
    for number in range(1, 6):
        for author in (A, B, C):
            if author != C or number < 3:
                log.append(ENTRY_OP, author, number, number, author + _body(number))
    log.append(ENTRY_SEAL, B, 1, 4, b"seal of b")
    log.commit()
    assert sorted(log.authors()) == [A, B, C]
    assert [log.held(author) for author in (A, B, C)] == [5, 5, 2]
    assert [log.sealed(author) for author in (A, B, C)] == [0, 4, 0]
    for author in (A, B, C):
        for kind, first, _, body in log.read(author, 0, 9, 4096):
            assert kind == ENTRY_OP and body == author + _body(first)
    log.close()


def check_state(new: object) -> None:
    """Small values are kept by kind and key, the last one counts, and they outlive opening again."""
    open_log = new()
    log = open_log()
    assert log.get(STATE_CONFIG, b"epoch") is None and log.items(STATE_SCHEMA) == []
    log.put(STATE_CONFIG, b"epoch", b"\0\0\0\1")
    log.put(STATE_RECEIPT, A + B, b"old")
    log.put(STATE_RECEIPT, A + B, b"new")
    log.put(STATE_RECEIPT, A + C, bytes(40))
    log.put(STATE_PEER, b"k", b"")
    log.put(STATE_SCHEMA, b"\0\xff\n\r", bytes(range(256)))
    log.commit()
    for _ in range(2):
        assert log.get(STATE_CONFIG, b"epoch") == b"\0\0\0\1"
        assert log.items(STATE_RECEIPT) == [(A + B, b"new"), (A + C, bytes(40))]
        assert log.get(STATE_PEER, b"k") == b"" and log.get(STATE_PEER, b"epoch") is None
        assert log.items(STATE_SCHEMA) == [(b"\0\xff\n\r", bytes(range(256)))]
        log.close()
        log = open_log()
    log.close()


def check_durability(new: object) -> None:
    """What was committed is there after a power cut; what was not leaves at most a longer prefix."""
    open_log = new()
    log = open_log()
    _fill(log, A, 1, 5)
    log.append(ENTRY_SEAL, A, 1, 5, b"seal")
    log.put(STATE_CONFIG, b"x", b"1")
    log.commit()
    _fill(log, A, 6, 7)
    log.put(STATE_CONFIG, b"x", b"2")
    log = open_log()
    held = log.held(A)
    assert 5 <= held <= 7 and log.sealed(A) == 5
    assert log.get(STATE_CONFIG, b"x") in (b"1", b"2")
    operations = [entry for entry in log.read(A, 0, 9, 4096) if entry[0] == ENTRY_OP]
    assert operations == [(ENTRY_OP, n, n, _body(n)) for n in range(1, held + 1)]
    _fill(log, A, held + 1, held + 2)
    log.commit()
    log = open_log()
    assert log.held(A) == held + 2
    log.close()


def check_large(new: object) -> None:
    """An operation of the greatest size is kept whole, among small ones."""
    open_log = new()
    log = open_log()
    big = bytes([n & 0xFF for n in range(3500)])
    log.append(ENTRY_OP, A, 1, 1, b"s")
    log.append(ENTRY_OP, A, 2, 2, big)
    log.append(ENTRY_OP, A, 3, 3, b"t")
    log.commit()
    log = open_log()
    assert log.read(A, 0, 0, 10000) == [(ENTRY_OP, 1, 1, b"s"), (ENTRY_OP, 2, 2, big), (ENTRY_OP, 3, 3, b"t")]
    log.close()


def check_filling(new: object) -> None:
    """An operation beside the run is found by its number, changes no frontier, and yields to the run."""
    open_log = new()
    log = open_log()
    log.append(ENTRY_SKIP, A, 1, 9, _skip(1, 9, RECEIPTED))
    _fill(log, A, 10, 11)
    for number in (4, 11, 14):
        log.fill(A, number, _body(number))
    log.fill(A, 4, b"another")
    log.fill(B, 3, _body(3))
    log.commit()
    for _ in range(2):
        assert (log.held(A), log.held(B)) == (11, 0)
        assert [log.fetch(A, n) for n in (4, 10, 14)] == [_body(4), _body(10), _body(14)]
        assert log.fetch(B, 3) == _body(3)
        assert [log.fetch(A, n) for n in (1, 5, 9, 12, 13, 15)] == [None] * 6 and log.fetch(C, 1) is None
        assert log.missing(A) == [(1, 3, RECEIPTED), (5, 9, RECEIPTED)] and log.missing(B) == []
        assert [log.seen(author) for author in (A, B, C)] == [14, 3, 0]
        log.close()
        log = open_log()
    _fill(log, A, 12, 14)
    log.commit()
    entries = [entry for entry in log.read(A, 9, 0, 4096) if entry[0] == ENTRY_OP]
    assert entries == [(ENTRY_OP, n, n, _body(n)) for n in range(10, 15)]
    assert log.fetch(A, 14) == _body(14) and log.held(A) == 14
    log.close()


def check_missing(new: object) -> None:
    """What is not here is named with its reason; an operation that comes all the same takes its place."""
    open_log = new()
    log = open_log()
    _fill(log, A, 1, 2)
    log.append(ENTRY_SKIP, A, 3, 5, _skip(3, 5, LOST))
    log.append(ENTRY_SKIP, A, 6, 7, _skip(6, 7, RECEIPTED))
    _fill(log, A, 8, 12)
    log.drop(A, 9, 10)
    log.drop(A, 40, 50)
    log.commit()
    for _ in range(2):
        assert log.missing(A) == [(3, 5, LOST), (6, 7, RECEIPTED), (9, 10, RECEIPTED)]
        assert [log.fetch(A, n) for n in (8, 9, 10, 11)] == [_body(8), None, None, _body(11)]
        assert log.held(A) == 12
        numbers = [entry[1] for entry in log.read(A, 5, 0, 4096) if entry[0] == ENTRY_OP]
        assert numbers == [8, 11, 12]
        log.close()
        log = open_log()
    log.fill(A, 4, _body(4))
    log.fill(A, 10, _body(10))
    log.commit()
    assert log.missing(A) == [(3, 3, LOST), (5, 5, LOST), (6, 7, RECEIPTED), (9, 9, RECEIPTED)]
    log.drop(A, 4, 4)
    log.commit()
    log = open_log()
    assert log.fetch(A, 4) is None and log.fetch(A, 10) == _body(10)
    log.close()


def check_cutting(new: object) -> None:
    """Another author's frontier can fall, without a skip, and rise again; one's own cannot."""
    open_log = new()
    log = open_log()
    _fill(log, A, 1, 4)
    log.append(ENTRY_SEAL, A, 1, 2, b"seal one")
    log.append(ENTRY_SEAL, A, 3, 4, b"seal two")
    _fill(log, A, 5, 6)
    log.fill(A, 9, _body(9))
    log.append(ENTRY_OP, log.author, 1, 1, b"own")
    log.commit()
    try:
        log.cut(log.author, 0)
    except HedgerowError as error:
        assert error.code == "LOG_OUT_OF_ORDER", error
    else:
        raise AssertionError("own operations were given up")
    log.cut(A, 3)
    log.cut(A, 5)
    log.commit()
    for _ in range(2):
        assert (log.held(A), log.sealed(A), log.held(log.author)) == (3, 2, 1)
        assert [log.fetch(A, n) for n in (3, 4, 6)] == [_body(3), None, None] and log.missing(A) == []
        log.close()
        log = open_log()
    _fill(log, A, 4, 5)
    log.append(ENTRY_SEAL, A, 3, 5, b"seal again")
    log.commit()
    log = open_log()
    assert (log.held(A), log.sealed(A), log.fetch(A, 4)) == (5, 5, _body(4))
    log.close()


def check_cutting_what_was_dropped(new: object) -> None:
    """The frontier falls to the number that was asked for, or to before a skip that reaches over it."""
    open_log = new()
    log = open_log()
    _fill(log, A, 1, 6)
    log.drop(A, 3, 6)
    log.cut(A, 4)
    _fill(log, B, 1, 2)
    log.append(ENTRY_SKIP, B, 3, 9, _skip(3, 9, LOST))
    log.cut(B, 5)
    log.commit()
    for _ in range(2):
        assert (log.held(A), log.held(B)) == (4, 2)
        assert log.missing(A) == [(3, 4, RECEIPTED)] and log.missing(B) == []
        log.close()
        log = open_log()
    log.close()


def check_arrivals(new: object) -> None:
    """Operations come back in the order of their arrival, from any position on, also after opening again."""
    open_log = new()
    log = open_log()
    assert log.position() == 0 and log.since(0, 100) == []
    _fill(log, A, 1, 3)
    log.append(ENTRY_OP, B, 1, 1, b"b1")
    log.append(ENTRY_SEAL, A, 1, 3, b"seal")
    log.commit()
    middle = log.position()
    log.fill(C, 7, b"c7")
    _fill(log, A, 4, 20)
    log.append(ENTRY_OP, B, 2, 2, b"b2")
    log.commit()
    early = [(A, n, _body(n)) for n in (1, 2, 3)] + [(B, 1, b"b1")]
    late = [(C, 7, b"c7")] + [(A, n, _body(n)) for n in range(4, 21)] + [(B, 2, b"b2")]
    for _ in range(2):
        assert _all_since(log, 0) == early + late
        assert _all_since(log, middle) == late
        assert log.since(log.position(), 100) == []
        assert len(log.since(0, 1)) == 1
        log.close()
        log = open_log()
    log.drop(A, 5, 20)
    log.commit()
    gone = [entry for entry in late if entry[0] != A or entry[1] < 5]
    assert _all_since(log, middle) == gone
    log.close()


def check_arriving_twice(new: object) -> None:
    """What was filled in and then came in the run, or was dropped and came back, is told of once."""
    open_log = new()
    log = open_log()
    log.fill(A, 2, _body(2))
    _fill(log, A, 1, 3)
    log.fill(B, 5, b"b5")
    log.drop(A, 1, 1)
    log.drop(B, 5, 5)
    log.fill(A, 1, _body(1))
    log.fill(B, 5, b"b5")
    log.commit()
    expected = sorted([(A, n, _body(n)) for n in (1, 2, 3)] + [(B, 5, b"b5")])
    for _ in range(2):
        assert sorted(_all_since(log, 0)) == expected
        log.close()
        log = open_log()
    log.close()


CHECKS = (
    check_names,
    check_renewing,
    check_prefix,
    check_seals,
    check_skips,
    check_reading,
    check_authors,
    check_state,
    check_durability,
    check_large,
    check_filling,
    check_missing,
    check_cutting,
    check_cutting_what_was_dropped,
    check_arrivals,
    check_arriving_twice,
) + REPLACING


def check_log(new: object) -> None:
    """Run every check on an implementation."""
    for check in CHECKS:
        check(new)
