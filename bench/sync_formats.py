"""Bytes of readings on a link, beside what others take for the same ones: JSON, CBOR, Loro, Yjs.

Ours is what `link.py` counts on whole sessions: records, credit and time are in, hellos are not. The others
are their updates alone, with nothing around them. One reading is one commit in both of them, a map in a list.
"""

from collections.abc import Callable

from hedgerow.errors import HedgerowError

from . import link
from .figure import Figure, figure, skip

Rows = list[dict[str, float]]


def readings_of_one_author() -> list[Figure]:
    """50 readings of one author: without seals, and under one."""
    bare, sealed = link.link_bytes_per_reading()
    beside = _others(link.plain_rows(link.series(link.READINGS)), 1)
    return [
        figure("sync.formats.one_author", bare["value"], "B", bare["goal"], beside),
        figure("sync.formats.one_author_sealed", sealed["value"], "B", sealed["goal"], beside),
    ]


def readings_of_many_authors() -> list[Figure]:
    """54 authors with one reading each, which somebody between passes on."""
    (ours,) = link.link_bytes_per_reading_of_many_authors()
    beside = _others(link.plain_rows(link.series(link.AUTHORS)), link.AUTHORS)
    return [figure("sync.formats.54_authors", ours["value"], "B", ours["goal"], beside)]


def _others(rows: Rows, authors: int) -> dict[str, float]:
    found = link.plain_bytes(rows)
    for name, measure in (("loro", _loro), ("yjs", _yjs)):
        try:
            found[name] = measure(rows, authors) / len(rows)
        except ImportError as error:
            skip(name, HedgerowError("EXTRA_MISSING", f"{error}; pip install 'hedgerow[bench]'"))
    return found


def _shares(rows: Rows, authors: int) -> list[Rows]:
    return [rows[at::authors] for at in range(authors)]


def _loro(rows: Rows, authors: int) -> int:
    """Bytes of the update that brings a reader, who has the list already, all rows."""
    from loro import ExportMode, LoroDoc, LoroMap

    relay, reader = LoroDoc(), LoroDoc()
    relay.get_list("readings").insert(0, 0)
    relay.commit()
    reader.import_(relay.export(ExportMode.Snapshot()))
    known = reader.oplog_vv
    start = relay.export(ExportMode.Snapshot())
    for share in _shares(rows, authors):
        author = LoroDoc()
        author.import_(start)
        before = author.oplog_vv
        for row in share:
            item = author.get_list("readings").push_container(LoroMap())
            for name, value in row.items():
                item.insert(name, value)
            author.commit()
        relay.import_(author.export(ExportMode.Updates(before)))
    return len(relay.export(ExportMode.Updates(known)))


def _yjs(rows: Rows, authors: int) -> int:
    """Bytes of the update that brings a reader, who has the list already, all rows."""
    from pycrdt import Array, Doc, Map

    relay: Doc = Doc()
    relay.get("readings", type=Array).append(0)
    start, known = relay.get_update(), relay.get_state()
    for share in _shares(rows, authors):
        author: Doc = Doc()
        author.apply_update(start)
        readings = author.get("readings", type=Array)
        for row in share:
            with author.transaction():
                readings.append(Map(row))
        relay.apply_update(author.get_update(known))
    return len(relay.get_update(known))


FIGURES: list[Callable[[], list[Figure]]] = [readings_of_one_author, readings_of_many_authors]
