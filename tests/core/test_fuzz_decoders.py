"""Every line of the fuzz table on bytes near its seeds; `make fuzz` goes deeper."""

import tracemalloc
from collections.abc import Iterator

import pytest
from fuzz_table import PEAK_BYTES, TABLE, Broken, Target, check, odd_bytes
from hypothesis import given, settings
from hypothesis import strategies as st

from hedgerow.errors import HedgerowError

EXAMPLES = 120
_ODD = [b"\x00", b"\xff", b"\x80", b"\x7f", b"\x1b" + b"\xff" * 8, b"\x9f", b"\xbf", b"\xc4\x82", b"\xf7"]


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


def near(corpus: list[bytes]) -> st.SearchStrategy[bytes]:
    """Bytes that come from a seed by a few cuts, flips and insertions."""

    @st.composite
    def edited(draw: st.DrawFn) -> bytes:
        data = bytearray(draw(st.sampled_from(corpus)))
        for _ in range(draw(st.integers(0, 4))):
            at = draw(st.integers(0, len(data)))
            size = draw(st.sampled_from((1, 1, 2, 4, 30)))
            kind = draw(st.sampled_from(("flip", "set", "cut", "insert", "double", "splice")))
            if kind == "flip" and at < len(data):
                data[at] ^= 1 << draw(st.integers(0, 7))
            elif kind == "set" and at < len(data):
                data[at] = draw(st.integers(0, 255))
            elif kind == "cut":
                del data[at : at + size]
            elif kind == "insert":
                data[at:at] = draw(st.sampled_from(_ODD) | st.binary(max_size=5))
            elif kind == "double":
                data[at:at] = data[at : at + size]
            elif kind == "splice":
                data[at:] = draw(st.sampled_from(corpus))[at:]
        return bytes(data)

    return edited() | st.binary(max_size=60)


@pytest.mark.parametrize("target", TABLE, ids=[target.name for target in TABLE])
def test_any_bytes_are_taken_or_refused(target: Target, traced: None) -> None:
    @settings(max_examples=EXAMPLES * (2 if target.weight > 1 else 1), database=None)
    @given(near(target.corpus))
    def run(data: bytes) -> None:
        check(target, data)

    run()


@pytest.mark.parametrize("target", TABLE, ids=[target.name for target in TABLE])
def test_odd_items_in_place_of_expected_ones(target: Target) -> None:
    for seed in target.corpus:
        for data in odd_bytes(seed):
            check(target, data)


@pytest.mark.parametrize("target", TABLE, ids=[target.name for target in TABLE])
def test_seeds_are_taken(target: Target) -> None:
    """A corpus of which nothing is taken would show nothing."""
    for seed in target.corpus:
        target.run(seed)


def _changes_its_input(data: bytearray) -> None:
    data.append(0)


def _takes_too_much(data: bytes) -> None:
    assert bytearray(PEAK_BYTES * 2)


def _unknown_code(data: bytes) -> None:
    raise HedgerowError("NO_SUCH_CODE")


@pytest.mark.parametrize("run", [_changes_its_input, _takes_too_much, _unknown_code])
def test_what_is_wrong_is_noticed(run: object, traced: None) -> None:
    with pytest.raises(Broken):
        check(Target("bad", run, []), b"data")  # type: ignore[arg-type]


def test_other_exceptions_come_through() -> None:
    with pytest.raises(IndexError):
        check(Target("bad", lambda data: data[9], []), b"data")
