"""The Big Peer's answer compared with the boards' acknowledgements and the emulator's truth."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from hedgerow_boards.sensor import Sample
from hedgerow_cli.demo.ledger import BoardLedger

#: Where a board has met the time in a boot, what it recorded then is at most this far off.
TIME_ERROR_MS = 1000
#: Of one that sleeps, whose clock drifts more in sleep.
SLEEPER_ERROR_MS = 5000
#: So many measurements may have been made between an acknowledgement and the moment at which it is read.
_LATE = 2


@dataclass
class Findings:
    """Counts of readings. `recorded` are those acknowledged, and those that a power cut let survive.

    `silent` counts boards that have recorded nothing at all, `minted` boots under another author than before;
    `gone` are acknowledged readings that the log of the board that was cut many times does not give. Of those
    that may not write, or no more, `refused` are at the Big Peer and in no query, `revoked_after` came after
    the last accepted one, and `leaked` are in a query all the same.
    """

    recorded: int = 0
    at_big_peer: int = 0
    missing: int = 0
    duplicates: int = 0
    wrong: int = 0
    time_wrong: int = 0
    receipted: int = 0
    silent: int = 0
    minted: int = 0
    gone: int = 0
    refused: int = 0
    revoked_after: int = 0
    leaked: int = 0

    @property
    def clean(self) -> bool:
        bad = self.silent + self.missing + self.duplicates + self.wrong + self.time_wrong
        return not (bad + self.minted + self.gone + self.leaked)

    def add(self, other: "Findings") -> None:
        for name in vars(self):
            setattr(self, name, getattr(self, name) + getattr(other, name))


def audit_refused(ledger: BoardLedger, held: int, documents: Sequence[dict[str, Any]]) -> Findings:
    """Compare what a query gives of a board that may not write with what the Big Peer holds of it."""
    refused = ledger.up_to(held)
    return Findings(refused=refused, leaked=len(documents), missing=len(ledger.acknowledged) - refused)


def audit_revoked(
    ledger: BoardLedger, field: str, documents: Sequence[dict[str, Any]], last: int
) -> Findings:
    """As audit_board, of a board whose operations count up to `last`, which may learn the time later."""
    kept = ledger.until(last)
    counted = [each for each in documents if _operation(each) <= last]
    found = audit_board(kept, field, counted, timeless=not kept.timed)
    found.leaked = sum(_operation(each) > last for each in documents)
    found.revoked_after = len(ledger.acknowledged) - ledger.up_to(last)
    return found


def audit_board(
    ledger: BoardLedger, field: str, documents: Sequence[dict[str, Any]], timeless: bool = False
) -> Findings:
    """Compare what the Big Peer has of one board with what the board said and what its sensor measured.

    `timeless` readings, and those of a boot that lost power before it learnt the time, may lack their
    time; one that is wrong is wrong.
    """
    samples = ledger.board.samples
    by_number: dict[int, dict[str, Any]] = {}
    found = Findings()
    for document in documents:
        if document["n"] in by_number:
            found.duplicates += 1
        by_number[document["n"]] = document
    last = max([*by_number, *ledger.acknowledged], default=0)
    found.at_big_peer = len(by_number)
    found.missing = sum(n not in by_number for n in range(1, last + 1))
    found.recorded = len(by_number.keys() | ledger.acknowledged.keys())
    found.silent = int(not found.recorded)
    found.minted = ledger.minted
    truth = _truth(ledger, samples)
    for n, document in by_number.items():
        candidates = truth[n] if n in truth else _between(n, truth, samples)
        sample = next((each for each in candidates if _same(document.get(field), each.text)), None)
        if sample is None:
            found.wrong += 1
        elif "_time" not in document and (timeless or ledger.ended_timeless(sample.host_time)):
            pass
        elif not _time_is_right(ledger, document, sample):
            found.time_wrong += 1
        found.receipted += _operation(document) <= ledger.receipted_op
    return found


def audit_log(ledger: BoardLedger, author: str, numbers: set[int]) -> Findings:
    """Compare what a board said with the operations in its log.

    What the ring has taken back may be gone: receipted operations below all that are in it.
    """
    taken_back = min(min(numbers, default=0) - 1, ledger.receipted_op)
    said = {reading.op for reading in ledger.acknowledged.values()}
    gone = sum(op not in numbers and op > taken_back for op in said)
    return Findings(gone=gone, minted=int(author != ledger.author))


def _truth(ledger: BoardLedger, samples: Sequence[Sample]) -> dict[int, list[Sample]]:
    """The samples that may be behind each acknowledgement, newest first: those since the one before.

    A busy host reads a line late, when the board may have measured once more.
    """
    times = [sample.host_time for sample in samples]
    found: dict[int, list[Sample]] = {}
    before = 0
    for n, reading in sorted(ledger.acknowledged.items()):
        at = bisect_right(times, reading.host_time)
        found[n] = list(samples[max(0, before - _LATE) : at][::-1])
        before = at
    return found


def _between(n: int, truth: dict[int, list[Sample]], samples: Sequence[Sample]) -> list[Sample]:
    """Samples that a reading without acknowledgement may have: those between its neighbours'."""
    earlier = [each[0].host_time for number, each in truth.items() if number < n and each]
    later = [each[0].host_time for number, each in truth.items() if number > n and each]
    low, high = max(earlier, default=0.0), min(later, default=float("inf"))
    return [sample for sample in samples if low < sample.host_time < high]


def _same(value: object, text: str) -> bool:
    """Whether a document's number has the digits that the series has; a float never does."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return False
    return Decimal(value).as_tuple() == Decimal(text).as_tuple()


def _time_is_right(ledger: BoardLedger, document: dict[str, Any], sample: Sample) -> bool:
    """Whether a reading was written, within its error, after it was measured and before that was said and the
    next was measured: a busy host lets much time pass between them. What was never said was cut off at once.
    """
    text, error_ms = document.get("_time"), document.get("_time_error_ms")
    if not isinstance(text, str) or not isinstance(error_ms, int):
        return False
    written = datetime.fromisoformat(text).timestamp()
    said = ledger.acknowledged.get(document["n"])
    samples = ledger.board.samples
    at = bisect_right(samples, sample.host_time, key=lambda each: each.host_time)
    ends = [each.host_time for each in samples[at : at + 1]]
    latest = sample.host_time if said is None else max(min([said.host_time, *ends]), sample.host_time)
    off_ms = max(sample.host_time - written, written - latest, 0) * 1000
    boot = ledger.boot_at(sample.host_time)
    most = SLEEPER_ERROR_MS if ledger.board.sleeps else TIME_ERROR_MS
    if boot is not None and boot.met_time is not None and error_ms > most:
        return False
    return off_ms <= error_ms


def _operation(document: dict[str, Any]) -> int:
    """The operation's number, from the document's dot [author, number]."""
    return int(document["_id"][1])
