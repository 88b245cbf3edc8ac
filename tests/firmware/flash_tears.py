"""What a power cut leaves of one operation on NOR flash: models of torn programs and of torn erases.

A model takes (random, bytes before, bytes after, cut), where `cut` is how many bytes the chip had got to, and
returns the bytes that are there. `tear` applies one to an image.
"""

import random
from collections.abc import Callable, Iterator

Operation = tuple[str, int, int, bytes]
Cells = bytearray
Tear = Callable[[random.Random, bytes, bytes, int], bytes]

_PAGE = 16


def _bits(rng: random.Random, before: bytes, after: bytes) -> bytes:
    """Each bit that changes has changed or not."""
    changing = int.from_bytes(before, "big") ^ int.from_bytes(after, "big")
    changed = int.from_bytes(before, "big") ^ (changing & rng.getrandbits(8 * len(after) or 1))
    return changed.to_bytes(len(after), "big")


def _prefix(rng: random.Random, before: bytes, after: bytes, cut: int) -> bytes:
    return after[:cut] + before[cut:]


def _prefix_and_bits(rng: random.Random, before: bytes, after: bytes, cut: int) -> bytes:
    return after[:cut] + _bits(rng, before[cut:], after[cut:])


def _suffix(rng: random.Random, before: bytes, after: bytes, cut: int) -> bytes:
    return before[:cut] + after[cut:]


def _pages(rng: random.Random, before: bytes, after: bytes, cut: int) -> bytes:
    """Pieces of a few bytes go in any order; `cut` bytes are done."""
    torn = bytearray(before)
    starts = list(range(0, len(after), _PAGE))
    rng.shuffle(starts)
    for start in starts:
        end = min(start + _PAGE, start + cut)
        torn[start:end] = after[start:end]
        cut -= len(after[start:end])
        if cut <= 0:
            break
    return bytes(torn[: len(after)])


def _torn_byte(rng: random.Random, before: bytes, after: bytes, cut: int) -> bytes:
    end = cut + 1
    return after[:cut] + _bits(rng, before[cut:end], after[cut:end]) + before[end:]


def _hole(rng: random.Random, before: bytes, after: bytes, cut: int) -> bytes:
    high = rng.randint(cut, len(after))
    return after[:cut] + before[cut:high] + after[high:]


def _nothing(rng: random.Random, before: bytes, after: bytes, cut: int) -> bytes:
    return before


def _all(rng: random.Random, before: bytes, after: bytes, cut: int) -> bytes:
    return after


def _half(rng: random.Random, before: bytes, after: bytes, cut: int) -> bytes:
    middle = len(after) // 2
    if rng.getrandbits(1):
        return after[:middle] + before[middle:]
    return before[:middle] + after[middle:]


def _any_bits(rng: random.Random, before: bytes, after: bytes, cut: int) -> bytes:
    return _bits(rng, before, after)


def _garbage(rng: random.Random, before: bytes, after: bytes, cut: int) -> bytes:
    return rng.randbytes(len(after))


#: One cut per byte of a program each; then what depends on no byte.
BYTE_TEARS: dict[str, Tear] = {
    "prefix": _prefix, "bits": _prefix_and_bits, "suffix": _suffix, "pages": _pages,
    "byte": _torn_byte, "hole": _hole,
}  # fmt: skip
PROGRAM_TEARS: dict[str, Tear] = {**BYTE_TEARS, "nothing": _nothing, "all": _all}
#: "unmarked" reads erased but is not yet; after "done" only the header was not written.
ERASE_TEARS: dict[str, Tear] = {
    "unstarted": _nothing, "half": _half, "risen": _any_bits, "unmarked": _all, "garbage": _garbage,
    "done": _all,
}  # fmt: skip
MODELS = (*PROGRAM_TEARS, *ERASE_TEARS)
_PROVEN = ("unstarted", "done")
#: How often a model that depends on chance is tried on one erase.
_TRIES = {"half": 2, "risen": 3, "garbage": 3}


def span(operation: Operation, size: int) -> tuple[int, bytes]:
    """Return where in the cells an operation works, and what it would leave there."""
    if operation[0] == "erase":
        return operation[1] * size, b"\xff" * size
    return operation[1] * size + operation[2], operation[3]


def tear(
    cells: Cells, operation: Operation, size: int, model: str, rng: random.Random, cut: int | None = None
) -> Cells:
    """Return the cells after a cut within an operation, anywhere in it unless `cut` says where."""
    torn = bytearray(cells)
    at, after = span(operation, size)
    before = bytes(cells[at : at + len(after)])
    if cut is None:
        cut = rng.randrange(len(after))
    model_of = ERASE_TEARS if operation[0] == "erase" else PROGRAM_TEARS
    torn[at : at + len(after)] = model_of[model](rng, before, after, cut)
    return torn


def unproven(operation: Operation, model: str) -> set[int]:
    """Return the sector that such a cut leaves neither erased nor as it was."""
    return {operation[1]} if operation[0] == "erase" and model not in _PROVEN else set()


def cuts_in(operation: Operation) -> Iterator[tuple[str, int]]:
    """Yield (model, byte) of every cut in an operation; of an erase, (model, number of the try)."""
    if operation[0] == "erase":
        for model in ERASE_TEARS:
            for number in range(_TRIES.get(model, 1)):
                yield model, number
        return
    yield "nothing", 0
    yield "all", 0
    for model in BYTE_TEARS:
        for cut in range(len(operation[3])):
            yield model, cut
