"""Ascending, disjoint ranges of numbers with a kind: (first, last, kind)."""

from collections.abc import Iterable, Iterator

Range = tuple[int, int, int]


def subtract(ranges: Iterable[Range], holes: list[tuple[int, int]]) -> Iterator[Range]:
    """Yield the parts of ascending, disjoint ranges that ascending, disjoint `holes` leave."""
    at = 0
    for first, last, kind in ranges:
        while at < len(holes) and holes[at][0] <= last:
            start, end = holes[at]
            if start > first:
                yield first, start - 1, kind
            first = max(first, end + 1)
            if end > last:
                break
            at += 1
        if first <= last:
            yield first, last, kind


def joined(ranges: Iterable[Range]) -> list[Range]:
    """Return ascending ranges with those of the same kind that touch made one."""
    found: list[Range] = []
    for first, last, kind in ranges:
        if found and found[-1][2] == kind and found[-1][1] == first - 1:
            found[-1] = (found[-1][0], last, kind)
        else:
            found.append((first, last, kind))
    return found
