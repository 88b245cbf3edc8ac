"""The contract of the document index: `check_index(new)` runs on every implementation, on both VMs.

`new()` returns an empty index.
"""

A = b"author-a"
B = b"author-b"
GREATEST_KEY = 0x3FFFFFFF
GREATEST_NUMBER = 0xFFFFFFFF


def check_keys(new: object) -> None:
    """Operations are found under their keys alone, each once."""
    index = new()
    assert index.get(5) == []
    for key in (0, 5, 21, GREATEST_KEY):
        index.add(key, A, key & 0xFF)
        index.add(key, A, key & 0xFF)
    for key in (0, 5, 21, GREATEST_KEY):
        assert index.get(key) == [(A, key & 0xFF)]
    assert index.get(37) == []


def check_many(new: object) -> None:
    """A key has any number of operations, of any authors and numbers."""
    index = new()
    dots = [(A, 1), (B, 1), (A, 0xFFFFFF), (A, 0x1000000), (B, GREATEST_NUMBER)]
    dots += [(b"author%02d" % n, n) for n in range(80)]
    for author, number in dots:
        index.add(7, author, number)
    assert sorted(index.get(7)) == sorted(dots)


def check_removing(new: object) -> None:
    """What is removed is gone, and nothing else."""
    index = new()
    for number in (1, 2, 3):
        index.add(7, A, number)
    index.add(9, A, 1)
    index.remove(7, A, 2)
    index.remove(7, B, 1)
    index.remove(8, A, 1)
    assert sorted(index.get(7)) == [(A, 1), (A, 3)]
    index.remove(7, A, 3)
    assert index.get(7) == [(A, 1)]
    index.remove(7, A, 1)
    assert index.get(7) == [] and index.get(9) == [(A, 1)]
    index.add(7, A, 4)
    assert index.get(7) == [(A, 4)]


def check_position(new: object) -> None:
    """An index keeps how far it has caught up, and starts anew when it is cleared."""
    index = new()
    assert index.position == 0
    index.add(7, A, 1)
    index.position = 5
    assert index.position == 5
    index.noted()
    assert index.get(7) == [(A, 1)]
    index.clear()
    assert index.position == 0 and index.get(7) == []
    index.add(7, B, 1)
    assert index.get(7) == [(B, 1)]


CHECKS = (check_keys, check_many, check_removing, check_position)
