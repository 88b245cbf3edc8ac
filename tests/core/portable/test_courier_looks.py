"""How often a session looks at all authors: what is new costs no look at the rest. Runs on both VMs."""

from hedgerow.sync.courier import Courier

HEAP = "1m"
_CALLS = 2000


class Peer:
    changed = 1

    def changes_since(self, looked: int) -> list:
        return []


class Greeting:
    flags = credit = 0
    vector: list = []


def looks(authors: int) -> int:
    """Return how many looks, for receipts and for the rest, were at all of so many authors."""
    courier = Courier(Peer(), None, Greeting())
    courier._theirs = {at.to_bytes(8, "big"): [0, 0, 0, 0] for at in range(authors)}
    found = [courier._news(call & 1) for call in range(_CALLS)]
    # Both kinds alike.
    alls = [call & 1 for call in range(_CALLS) if found[call] is None]
    assert abs(2 * sum(alls) - len(alls)) <= 1
    return len(alls)


def test_all_authors_are_looked_at_as_rarely_as_they_are_many() -> None:
    assert looks(3) == looks(64)
    assert 60 <= looks(64) <= 70
    # So that a look costs the same, however many they are.
    assert 5 <= looks(1000) <= 7
