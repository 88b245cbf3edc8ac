"""The committed vectors are what their makers write, and their documents are what SPEC 3 says."""

from typing import Any

import make_frames
import make_vectors
from merge_model import value_of
from vector_form import from_value

from hedgerow.document import document_ids
from hedgerow.operation import CLOCK


def test_the_files_are_current() -> None:
    assert make_vectors.PATH.read_text(encoding="utf-8") == make_vectors.text()
    assert make_frames.PATH.read_text(encoding="utf-8") == make_frames.text()


def test_its_documents_are_those_of_the_model() -> None:
    runs: dict[str, list[Any]] = {}
    for author, number, stamp, changes in make_vectors.operations():
        for change, ident in zip(changes, document_ids(author, number, changes), strict=True):
            if change[0] != CLOCK:
                schema = make_vectors.BY_NAME[change[1]]
                place = repr((schema.collection, from_value(ident)))
                runs.setdefault(place, []).append((change, schema, stamp, author))
    documents = make_vectors.build()["documents"]
    assert len(documents) == len(runs)
    for row in documents:
        assert row["value"] == from_value(value_of(runs[repr((row["collection"], row["id"]))])), row
