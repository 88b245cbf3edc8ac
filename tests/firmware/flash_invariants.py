"""What must hold after any power cut, by name: the invariants I1 to I8.

I1 every acknowledged entry, value and living document is there, byte for byte.
I2 what was under way has happened as a whole or not at all.
I3 nothing is there that was not written, or was given up.
I4 no number is given twice: the same author, frontiers as acknowledged; streams ascend, gaps are named.
I5 mounting again shows the same, by every way of mounting, and what ran is what mounts.
I6 the flash was used as a chip allows (nor.NorError); mounting programs nothing.
I7 a mount reads a bounded number of bytes.
I8 a cut costs at most one sector of free space.
"""

from collections.abc import Iterator

from flash_oracle import Oracle

from hedgerow.log import (
    ENTRY_OP,
    ENTRY_SEAL,
    ENTRY_SKIP,
    STATE_CONFIG,
    STATE_PEER,
    STATE_RECEIPT,
    STATE_SCHEMA,
)
from hedgerow_device import flashmount
from hedgerow_device.flashlog import FlashLog
from hedgerow_sim.nor import Nor

ALL = 1 << 30
KINDS = (STATE_RECEIPT, STATE_SCHEMA, STATE_PEER, STATE_CONFIG)
Entry = tuple[int, int, int, bytes]


class View:
    """All that a log shows, read once through its port; without `runs` not what streams of authors give."""

    def __init__(self, log: FlashLog, runs: bool = True):
        self.author = log.author
        self.frontiers = {author: (log.held(author), log.sealed(author)) for author in log.authors()}
        self.values = {(kind, key): value for kind in KINDS for key, value in log.items(kind)}
        self.arrivals: list[tuple[int, bytes, int, bytes]] = log.since(0, ALL)
        self.position = log.position()
        self.present = {(author, number): body for _, author, number, body in self.arrivals}
        self.runs: dict[bytes, list[Entry]] = {
            author: log.read(author, 0, 0, ALL) for author in self.frontiers if runs
        }
        self.free = log.ring.free()

    def shown(self) -> tuple[object, ...]:
        """Return what must not depend on how the log was mounted."""
        return (self.author, self.frontiers, self.values, self.arrivals, self.position, self.runs, self.free)


def check(
    log: FlashLog,
    oracle: Oracle,
    deep: bool = True,
    before: View | None = None,
    after: View | None = None,
) -> View:
    """Check a mounted log against the oracle, whose action under way is settled, and return what it shows.

    `before` and `after` are what the log showed around that action when nothing was cut.
    """
    view = View(log)
    i4_same_author(view, oracle)
    i2_whole(log, view, oracle, before)
    i4_frontiers(view, oracle)
    i1_nothing_lost(log, view, oracle)
    i3_nothing_invented(view, oracle)
    i4_streams_ascend(view, oracle)
    if before and after:
        between(view, before, after, oracle)
    if deep:
        every_way_of_asking(log, view, oracle)
    return view


def i4_same_author(view: View, oracle: Oracle) -> None:
    assert view.author == oracle.author, "I4: another author"


def i2_whole(log: FlashLog, view: View, oracle: Oracle, before: View | None) -> None:
    """Settle the action under way by what is there."""
    if not oracle.pending:
        return
    if _happened(view, oracle):
        oracle.settle(log)
    elif before and oracle.pending[0] == "drop":
        author, first, last = oracle.pending[1]
        lost = [n for n in range(first, last + 1) if (author, n) in before.present]  # type: ignore[operator,call-overload]
        left = [n for n in lost if (author, n) in view.present]
        assert left == lost or view.free > before.free, f"I2: half dropped, {lost} became {left}"
    oracle.pending = None


def _happened(view: View, oracle: Oracle) -> bool:
    assert oracle.pending
    name, args = oracle.pending
    if name == "idle":
        return True
    if name == "put":
        return view.values.get((args[0], args[1])) == args[2]  # type: ignore[comparison-overlap,call-overload]
    if name == "fill":
        return view.present.get((args[0], args[1])) == args[2]  # type: ignore[comparison-overlap,call-overload]
    if name == "drop":
        author, first, last = args
        return not any((author, n) in view.present for n in range(first, last + 1))  # type: ignore[operator,call-overload]
    if name == "replace":
        author, first, last, body = args
        return (ENTRY_SKIP, first, last, body) in view.runs.get(author, ())  # type: ignore[call-overload]
    if name == "cut":
        return view.frontiers.get(args[0], (0, 0))[0] < oracle.held(args[0])  # type: ignore[call-overload,arg-type]
    kind, author, _, last, _ = args
    held, sealed = view.frontiers.get(author, (0, 0))  # type: ignore[call-overload]
    return bool((sealed if kind == ENTRY_SEAL else held) >= last)


def i4_frontiers(view: View, oracle: Oracle) -> None:
    expected = {author: pair for author, pair in oracle.frontiers.items() if pair[0]}
    assert view.frontiers == expected, f"I4: frontiers {view.frontiers}, not {expected}"


def i1_nothing_lost(log: FlashLog, view: View, oracle: Oracle) -> None:
    assert getattr(log, "damaged", 0) == 0, "I1: damage was found where there is none"
    assert view.values == oracle.values, "I1: values"
    for author, entries in oracle.entries.items():
        receipted = oracle.receipted(author)
        own = oracle.is_own(author)
        found = set(view.runs.get(author, ()))
        newest = None
        for entry in entries:
            kind, first, last, body = entry
            if kind == ENTRY_OP:
                dot = (author, first)
                if dot in oracle.dropped:
                    newest = None
                    continue
                newest = entry
                kept = own and oracle.keeps(author, first, body)
                if (first > receipted or kept) and dot not in oracle.filled:
                    assert view.present.get(dot) == body, f"I1: lost operation {author!r} {first}"
            if last > receipted:
                assert entry in found, f"I1: lost {author!r} {entry}"
        if own and newest:
            assert newest in found, f"I1: lost the newest own {newest}"


def i3_nothing_invented(view: View, oracle: Oracle) -> None:
    written = dict(oracle.filled)
    for author, run in view.runs.items():
        here = set(oracle.here(author))
        for entry in run:
            assert entry in here, f"I3: invented {author!r} {entry}"
        for kind, first, _, body in here:
            if kind == ENTRY_OP:
                written.setdefault((author, first), body)
    for dot, body in view.present.items():
        assert written.get(dot) == body, f"I3: invented operation {dot}"


def i4_streams_ascend(view: View, oracle: Oracle) -> None:
    """Operations and skips ascend; what is not receipted stands before the seal that covers it."""
    for author, run in view.runs.items():
        receipted = oracle.receipted(author)
        reached = sealed = 0
        for kind, first, last, _ in run:
            if kind == ENTRY_SEAL:
                assert last > sealed, f"I4: seals of {author!r} go back to {last}"
                sealed = last
            else:
                assert first > reached, f"I4: {author!r} goes back to {first}"
                assert last > sealed or last <= receipted, f"I4: {author!r} {first} comes behind its seal"
                reached = last
    positions = [entry[0] for entry in view.arrivals]
    assert positions == sorted(set(positions)), "I4: positions"
    assert view.position >= max(positions, default=0), "I4: a position beyond the newest"


def between(view: View, before: View, after: View, oracle: Oracle) -> None:
    """What was there before and after is there; what is there was there before or after.

    What is receipted may be there once more: how far collection had come is not all written down.
    """
    for dot, body in view.present.items():
        known = (before.present.get(dot), after.present.get(dot))
        assert body in known or _may_go(oracle, *dot), f"I3: operation {dot} came back"
    for dot, body in before.present.items():
        if after.present.get(dot) == body:
            assert view.present.get(dot) == body, f"I1: lost operation {dot}"
    for author, run in view.runs.items():
        old = before.runs.get(author, [])
        new = after.runs.get(author, [])
        receipted = oracle.receipted(author)
        came = [entry for entry in set(run) - set(old) - set(new) if entry[2] > receipted]
        assert not came, f"I3: {author!r} {came} came back"
        lost = set(old) & set(new) - set(run)
        assert not lost, f"I1: lost {author!r} {lost}"


def every_way_of_asking(log: FlashLog, view: View, oracle: Oracle) -> None:
    """Reading from anywhere, by number, by position and by what is missing says the same (I4)."""
    for author, run in view.runs.items():
        receipted = oracle.receipted(author)
        held, sealed = view.frontiers[author]
        tail = log.read(author, receipted, receipted, ALL)
        expected = [entry for entry in oracle.here(author) if entry[2] > receipted]
        assert sorted(tail) == sorted(expected), f"I4: {author!r} read from its receipt"
        middle = (held + receipted) // 2
        expected = [e for e in run if e[2] > (sealed if e[0] == ENTRY_SEAL else middle)]
        assert log.read(author, middle, sealed, ALL) == expected, f"I4: {author!r} read from {middle}"
        gaps = {n for first, last, _ in log.missing(author) for n in range(first, last + 1)}
        here = {number for name, number in view.present if name == author and number <= held}
        assert gaps == set(range(1, held + 1)) - here, f"I4: {author!r} missing"
    for dot in list(view.present)[:: max(1, len(view.present) // 4)]:
        assert log.fetch(*dot) == view.present[dot], f"I4: fetch {dot}"
    for (kind, key), value in view.values.items():
        assert log.get(kind, key) == value, f"I1: value {kind} {key!r}"
    if view.arrivals:
        middle = len(view.arrivals) // 2
        assert log.since(view.arrivals[middle][0], ALL) == view.arrivals[middle + 1 :], "I4: since"


def i5_same(view: View, nor: Nor, oracle: Oracle) -> None:
    """Mount once more, by every way there is, and see the same."""
    for log in mounts(nor, oracle):
        other = View(log)
        assert other.shown() == view.shown(), f"I5: {differences(view, other)}"


def _may_go(oracle: Oracle, author: bytes, number: int) -> bool:
    """Say whether collection may leave an operation behind: receipted, or filled in ahead of the run."""
    return number <= oracle.receipted(author) or number > oracle.held(author)


def i5_what_ran(ran: View, mounted: View, oracle: Oracle) -> None:
    """A log shows what it showed before it was mounted again, but for what collection may leave behind."""
    differ = f"I5: what ran is not what mounts: {differences(ran, mounted)}"
    for name in ("author", "frontiers", "values", "position", "free"):
        assert getattr(ran, name) == getattr(mounted, name), differ
    moved = set(ran.arrivals) ^ set(mounted.arrivals)
    assert all(_may_go(oracle, *dot) for _, *dot, _ in moved), differ
    for author, run in ran.runs.items():
        moved = set(run) ^ set(mounted.runs[author])
        assert all(entry[2] <= oracle.receipted(author) for entry in moved), differ


def mounts(nor: Nor, oracle: Oracle) -> Iterator[FlashLog]:
    """Yield the log mounted once more in every way: from the checkpoint, and by all frames."""
    yield oracle.open(nor)
    if not hasattr(flashmount, "Checkpoint"):
        return
    defaults = flashmount.mount.__defaults__
    flashmount.mount.__defaults__ = (False,)
    try:
        log = oracle.open(nor)
    finally:
        flashmount.mount.__defaults__ = defaults
    assert log.scanned
    yield log


def differences(one: View, other: View) -> str:
    """Say what two views show in other ways, at most a few examples."""
    words = []
    for name in ("author", "frontiers", "values", "arrivals", "position", "runs", "free"):
        first, second = getattr(one, name), getattr(other, name)
        if first == second:
            continue
        if isinstance(first, dict):
            first, second = list(first.items()), list(second.items())
        if isinstance(first, list):
            only = (
                [item for item in first if item not in second][:2],
                [i for i in second if i not in first][:2],
            )
            words.append(f"{name}: only one has {only[0]}, only the other {only[1]}")
        else:
            words.append(f"{name}: {first} and {second}")
    return "; ".join(words)


def i6_untouched(nor: Nor) -> None:
    assert nor.programs == nor.erases == 0, "I6: mounting programs"


def i7_bounded(nor: Nor) -> None:
    # The frames once, windows that overlap, and a few times the headers.
    bound = 3 * nor.count * nor.size
    assert nor.read <= bound, f"I7: {nor.read} bytes read to mount {nor.count * nor.size}"


def i8_space(view: View, before: View, after: View | None, cuts: int = 1) -> None:
    least = min(before.free, after.free if after else before.free) - cuts
    assert view.free >= least, f"I8: {view.free} sectors are free, not {least}"
