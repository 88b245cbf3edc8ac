"""The committed vectors are what `make_vectors.py` writes."""

import make_vectors


def test_the_file_is_current() -> None:
    assert make_vectors.PATH.read_text(encoding="utf-8") == make_vectors.text()
