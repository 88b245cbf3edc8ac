"""The part of the Log contract about making room: own operations become skips, and what storage() says."""

from log_contract_kit import A, C
from log_contract_kit import all_since as _all_since
from log_contract_kit import body as _body
from log_contract_kit import fill as _fill
from log_contract_kit import own as _own
from log_contract_kit import skip as _skip

from hedgerow.custody.receipt import Receipt
from hedgerow.custody.skip import LOST
from hedgerow.errors import HedgerowError
from hedgerow.log import ENTRY_OP, ENTRY_SEAL, ENTRY_SKIP, STATE_RECEIPT


def check_replacing(new: object) -> None:
    """A skip takes the place of own operations, with the seals among them; what is around it stays."""
    open_log = new()
    log = open_log()
    me = log.author
    _own(log, 1, 20, (4, 8, 12, 16))
    log.commit()
    log.replace(me, 5, 12, _skip(5, 12, LOST))
    log.commit()
    expected = [(ENTRY_OP, n, n) for n in range(1, 5)] + [(ENTRY_SEAL, 1, 4), (ENTRY_SKIP, 5, 12)]
    expected += [(ENTRY_SEAL, 9, 12)] + [(ENTRY_OP, n, n) for n in range(13, 17)] + [(ENTRY_SEAL, 13, 16)]
    expected += [(ENTRY_OP, n, n) for n in range(17, 21)]
    for _ in range(2):
        assert [entry[:3] for entry in log.read(me, 0, 0, 1 << 20)] == expected
        assert log.read(me, 8, 16, 1)[0] == (ENTRY_SKIP, 5, 12, _skip(5, 12, LOST))
        assert [entry[:3] for entry in log.read(me, 8, 8, 1 << 20)] == expected[5:]
        assert (log.held(me), log.sealed(me), log.seen(me)) == (20, 16, 20)
        assert [log.fetch(me, n) for n in (4, 5, 12, 13)] == [_body(4), None, None, _body(13)]
        assert log.missing(me) == [(5, 12, LOST)]
        assert [entry[1] for entry in _all_since(log, 0)] == [1, 2, 3, 4] + list(range(13, 21))
        log.close()
        log = open_log()
    log.append(ENTRY_OP, me, 21, 21, _body(21))
    log.append(ENTRY_SEAL, me, 17, 21, b"seal 21")
    log.commit()
    log = open_log()
    assert [entry[:3] for entry in log.read(me, 16, 16, 4096)][-2:] == [
        (ENTRY_OP, 21, 21),
        (ENTRY_SEAL, 17, 21),
    ]
    log.close()


def check_replacing_again(new: object) -> None:
    """Ranges that touch are replaced again as one; a survivor that comes back counts for its number."""
    open_log = new()
    log = open_log()
    me = log.author
    _own(log, 1, 12, (4, 8))
    log.replace(me, 1, 4, _skip(1, 4, LOST))
    log.replace(me, 5, 6, _skip(5, 6, LOST))
    log.commit()
    assert log.missing(me) == [(1, 6, LOST)]
    log.replace(me, 1, 8, _skip(1, 8, LOST))
    log.commit()
    for _ in range(2):
        assert [entry[:3] for entry in log.read(me, 0, 0, 4096)][:3] == [
            (ENTRY_SKIP, 1, 8), (ENTRY_SEAL, 5, 8), (ENTRY_OP, 9, 9),
        ]  # fmt: skip
        assert log.missing(me) == [(1, 8, LOST)] and log.fetch(me, 7) is None
        log.close()
        log = open_log()
    log.fill(me, 3, _body(3))
    log.commit()
    for _ in range(2):
        assert log.missing(me) == [(1, 2, LOST), (4, 8, LOST)] and log.fetch(me, 3) == _body(3)
        log.close()
        log = open_log()
    log.close()


def check_replacing_over_edges(new: object) -> None:
    """The skip stands where its first number stood; seals that reach over its edges stay, behind it."""
    open_log = new()
    log = open_log()
    me = log.author
    _own(log, 1, 20, (4, 8, 12, 16))
    log.replace(me, 3, 10, _skip(3, 10, LOST))
    log.commit()
    expected = [(ENTRY_OP, 1, 1), (ENTRY_OP, 2, 2), (ENTRY_SKIP, 3, 10), (ENTRY_SEAL, 1, 4)]
    expected += [(ENTRY_OP, 11, 11), (ENTRY_OP, 12, 12), (ENTRY_SEAL, 9, 12), (ENTRY_OP, 13, 13)]
    for _ in range(2):
        assert [entry[:3] for entry in log.read(me, 0, 0, 1 << 20)][:8] == expected
        assert log.missing(me) == [(3, 10, LOST)]
        log.close()
        log = open_log()
    log.close()


def check_replacing_bounds(new: object) -> None:
    """Only own operations that are held are replaced, and skips as a whole; a refusal changes nothing."""
    log = new()()
    me = log.author
    _own(log, 1, 6)
    _fill(log, A, 1, 4)
    log.replace(me, 2, 4, _skip(2, 4, LOST))
    for author, first, last in (
        (A, 1, 2),
        (me, 5, 7),
        (me, 0, 1),
        (me, 6, 5),
        (me, 1, 3),
        (me, 3, 6),
        (me, 3, 3),
    ):
        try:
            log.replace(author, first, last, _skip(max(first, 1), max(first, last, 1), LOST))
        except HedgerowError as error:
            assert error.code == "LOG_OUT_OF_ORDER", error
        else:
            raise AssertionError("%d-%d was replaced" % (first, last))
    assert log.missing(me) == [(2, 4, LOST)] and log.missing(A) == []
    log.commit()
    log.close()


def check_storage(new: object) -> None:
    """The report says what is open, which falls when a receipt comes or a skip takes the place of much."""
    log = new()()
    me = log.author
    _own(log, 1, 200)
    log.commit()
    before = log.storage()
    for name in ("capacity", "used", "free", "open", "live", "receipted", "carried", "dropped", "life_days"):
        assert name in before, name
        assert before[name] is None or before[name] >= 0, name
    assert before["open"] >= 200 * len(_body(1)) and before["used"] >= before["open"]
    log.replace(me, 1, 150, _skip(1, 150, LOST))
    log.commit()
    replaced = log.storage()["open"]
    assert replaced < before["open"] * 2 // 3
    log.put(STATE_RECEIPT, me + C, Receipt(C, 1, me, 180).encode())
    log.commit()
    assert log.storage()["open"] < replaced
    log.close()


REPLACING = (
    check_replacing,
    check_replacing_again,
    check_replacing_over_edges,
    check_replacing_bounds,
    check_storage,
)
