"""The digests of what is open here, by which neighbours see whether they hold the same (SPEC 6.6, 6.23.1)."""

from hashlib import sha256

from . import pace

BUCKETS = 8


class Digests:
    """Sums over what is held of each author, of all and by bucket; `mesh` is the engine they belong to."""

    def __init__(self, mesh: object):
        self._mesh = mesh
        self._peer = mesh.peer
        self._sums = [0] * BUCKETS
        # author -> [(held, sealed, receipted), their part of the sum, when it changed last]
        self._entries: dict = {}
        self._serial = 0
        # When each bucket changed last, and what of that was shown.
        self._changed = [0] * BUCKETS
        self._shown = [0] * BUCKETS
        # When HAVE of a bucket may be said: what differs may still be on its way, and nothing may come of it;
        # how long the next wait is.
        self._calm = [0] * BUCKETS
        self._waits = [0] * BUCKETS
        self._quiet_at = 0
        self.open = 0

    def update(self, author: bytes, now: int) -> tuple | None:
        """Note what is held of an author now; return what it was before if that differs, else None."""
        now_is = self._state(author)
        before, old, _ = self._entries.get(author, ((0, 0, 0), 0, 0))
        if now_is == before:
            return None
        part = 0
        if now_is[0] > now_is[2]:
            data = self._mesh.base + author
            for number in now_is:
                data += number.to_bytes(4, "big")
            part = int.from_bytes(sha256(data).digest()[:6], "big")
        bucket = author[0] & BUCKETS - 1
        self._sums[bucket] = self._sums[bucket] - old + part & 0xFFFFFFFFFFFF
        self.open += max(0, now_is[0] - now_is[2]) - max(0, before[0] - before[2])
        self._serial += 1
        self._changed[bucket] = self._serial
        self._calm[bucket] = now + pace.STATE_SETTLE_MS
        self._waits[bucket] = 0
        self._quiet_at = now + 2 * pace.STATE_SETTLE_MS
        self._entries[author] = [now_is, part, self._serial]
        return before

    def _state(self, author: bytes) -> tuple:
        """Return (held, sealed, receipted); what is receipted needs no seal, so it counts as sealed."""
        receipted = self._peer.receipted(author)
        return self._peer.log.held(author), max(self._peer.log.sealed(author), receipted), receipted

    def digest(self, bucket: int) -> bytes:
        """Return 3 bytes of the sum over all authors, and 3 of that of a bucket."""
        return (sum(self._sums) & 0xFFFFFF).to_bytes(3, "big") + (self._sums[bucket] & 0xFFFFFF).to_bytes(
            3, "big"
        )

    def bucket(self, counter: int) -> int:
        """Return the bucket to show next: one that changed since it was shown, else each in turn."""
        found = counter % BUCKETS
        news = 0
        for bucket in range(BUCKETS):
            changed = self._changed[bucket]
            if changed > self._shown[bucket] and (not news or changed < news):
                found, news = bucket, changed
        self._shown[found] = self._serial
        return found

    def renew(self, now: int) -> None:
        """Somebody has come who may lack all of it: what differs for long is told as if it were news."""
        self._waits = [0] * BUCKETS
        self._calm = [now] * BUCKETS
