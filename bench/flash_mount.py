"""What mounting a full 1 MiB log reads after a power cut, wherever it is cut, beside littlefs."""

import statistics
from collections.abc import Callable

from .figure import Figure, figure
from .flash_vm import AUTHORS, LARGE_RING, READING, SECTOR, in_vm, named, run, run_all

CUTS = 32
_GOAL, _WORST_GOAL = 24 * 1024, 48 * 1024


@in_vm
def mount() -> list[Figure]:
    """Bytes read to mount a full 1 MiB log of readings after a power cut: on average, and at worst."""
    counted = run_all([
        ("flash_mount", "mount", {"size": READING, "sectors": LARGE_RING, "authors": authors, "cuts": CUTS})
        for authors in AUTHORS
    ])  # fmt: skip
    records = LARGE_RING * SECTOR * 7 // 8 // READING
    other = run("flash_littlefs", "mount", {"size": READING, "count": records, "sectors": LARGE_RING})
    opened = other["mount"] + other["open"]
    beside = {"littlefs_mount_and_open": opened, "littlefs_with_reading_it": opened + other["through"]}
    figures = []
    for authors, each in zip(AUTHORS, counted, strict=True):
        mean = statistics.mean(each["reads"])
        also = {"after_close": each["clean"], **beside}
        figures.append(figure(f"flash.mount.average_{named(authors)}", mean, "B", _GOAL, also))
        figures.append(figure(f"flash.mount.worst_{named(authors)}", max(each["reads"]), "B", _WORST_GOAL))
    return figures


FIGURES: list[Callable[[], list[Figure]]] = [mount]
