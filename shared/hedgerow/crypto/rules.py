"""Who may write what: the verdict over an operation, the same on every peer (SPEC 11.12).

A verdict sees what the operation carries, the credential that its seal names, and what is revoked: no order
of arrival, no other document. What is known comes in any order, and may change a verdict given before.
"""

from .. import limits
from ..codec import cbor
from ..codec.schema import GRANTS, HEALTH, path_of
from ..errors import HedgerowError
from ..operation import CLOCK, COUNTER, DELETE
from ..query.condition import Condition
from .claims import KEEPS, WRITE, Claims

FORBIDDEN = "WRITE_FORBIDDEN"
REVOKED = "WRITE_REVOKED"
FORKED = "AUTHOR_FORKED"


class Rules:
    """Credentials by name and by author, and up to which number an author counts.

    `sealed_under(author, number)` gives the name of the credential that a signed seal over an operation
    names, None for none; it is asked where credentials of the author differ. `verify(key, message,
    signature)` says whether a key (33 bytes) made an ES256 signature. Who has no credential that is known
    here may write: what it wrote is judged when one comes.

    A credential is *proven* if its issuer was shown the keys in it, by whoever has them: it is an issuer's,
    or countersigned. Of an author that has such a one no other is the newest, however late it was issued.
    """

    def __init__(self, verify: object, sealed_under: object = None):
        self.sealed_under = sealed_under
        self._verify = verify
        self._named: dict = {}
        self._of: dict = {}
        self._last: dict = {}
        self._said: dict = {}
        self._forked: dict = {}
        self._conditions: dict = {}

    # ---- what is known

    def add(self, name: bytes, claims: Claims, proven: bool = True) -> bool:
        """Take a credential that was verified; say whether that may change verdicts over its author."""
        author = claims.author
        before = self._of.get(author, [])
        entry = ((proven, claims.issued), claims.cti, name)
        rest = [one for one in before if one[2] != name]
        if name in self._named and (len(rest) == len(before) or entry in before or not proven):
            return False
        if author is not None and before and self._named[before[0][2]].sealing != claims.sealing:
            # An author belongs to the key that it was first known with.
            return False
        self._named[name] = claims
        if author is None:
            return False
        # In the order of their issue: the last one counts for what no signed seal covers.
        after = sorted(rest + [entry])
        self._of[author] = after
        return not before or len({cbor.encode(self._named[entry[2]].scope) for entry in after}) > 1

    def revoke(self, author: bytes, cti: bytes, last: int) -> bool:
        """Take a revocation: of an author nothing counts after number `last`. Say whether that is news.

        For one credential (its cti) it may only be raised; of several the least counts.
        """
        said = dict(self._said.get(author, {}))
        said[cti] = max(last, said.get(cti, 0))
        before = self._last.get(author)
        self._said[author] = said
        self._last[author] = min(said.values())
        return before != self._last[author]

    def quarantine(self, author: bytes, last: int) -> bool:
        """Take that an author has forked: nothing counts after number `last`, which may only be raised. Say
        whether that is news.
        """
        before = self._forked.get(author)
        if before is not None and last <= before:
            return False
        self._forked[author] = last
        return True

    def forked(self, author: bytes) -> int | None:
        """Return the number up to which an author that has forked counts, None for any other."""
        return self._forked.get(author)

    @property
    def count(self) -> int:
        """How many credentials are known."""
        return len(self._named)

    def knows(self, author: bytes) -> bool:
        """Say whether a credential of an author is known."""
        return author in self._of

    def is_proven(self, author: bytes, name: bytes) -> bool:
        """Say whether a credential of an author is known to be proven."""
        return bool([1 for entry in self._of.get(author, ()) if entry[2] == name and entry[0][0]])

    def owner(self, author: bytes) -> bytes | None:
        """Return the sealing key that an author belongs to, None if no credential of it is known."""
        of = self._of.get(author)
        return self._named[of[0][2]].sealing if of else None

    def holder(self, author: bytes) -> Claims | None:
        """Return the newest credential of an author, None if none is known."""
        of = self._of.get(author)
        return self._named[of[-1][2]] if of else None

    # ---- seals

    def check_seal(self, author: bytes, credential: bytes, signed: bytes, signature: bytes) -> bool:
        """Say whether a seal is signed by the holder of a credential, for a log of that holder.

        CREDENTIAL_UNKNOWN where it is not here.
        """
        if not self.holds(author, credential):
            return False
        return self._verify(self._named[credential].sealing, signed, signature)

    def holds(self, author: bytes, credential: bytes) -> bool:
        """Say whether a credential is of who holds one for this log; CREDENTIAL_UNKNOWN."""
        claims = self._named.get(credential)
        if claims is None:
            raise HedgerowError("CREDENTIAL_UNKNOWN", "of a seal: %s" % credential.hex())
        keys = [self._named[entry[2]].sealing for entry in self._of.get(author, ())]
        return claims.sealing is not None and claims.sealing in keys

    def check_word(self, author: bytes, signed: bytes, signature: bytes) -> bool:
        """Say whether something is signed by the holder of an author's credential, whichever."""
        keys = [self._named[entry[2]].sealing for entry in self._of.get(author, ())]
        return bool([1 for key in set(keys) if key and self._verify(key, signed, signature)])

    # ---- verdicts

    def verdict(self, author: bytes, number: int, stamp: bytes, change: list, schema: object) -> bool:
        """Say whether a change counts (see Peer)."""
        return not self.why_not(author, number, change, schema)

    def why_not(
        self, author: bytes, number: int, change: list, schema: object, sealed_under: object = None
    ) -> str:
        """Return the code of why a change does not count, "" if it does; see Rules of `sealed_under`."""
        find = sealed_under or self.sealed_under
        last = self._last.get(author)
        if last is not None and number > last:
            return REVOKED
        last = self._forked.get(author)
        if last is not None and number > last:
            return FORKED
        of = self._of.get(author)
        if change[0] != CLOCK and schema.collection == HEALTH:
            return "" if change[2] == author else FORBIDDEN
        if change[0] != CLOCK and schema.collection == GRANTS:
            keeps = [1 for entry in of or () if self._named[entry[2]].kinds & KEEPS]
            return "" if keeps else FORBIDDEN
        if not of or change[0] == CLOCK:
            return ""
        verdicts = [self._may(self._named[entry[2]], author, number, change, schema) for entry in of]
        good = verdicts[-1]
        if find is not None and verdicts.count(good) != len(verdicts):
            name = find(author, number)
            for entry, verdict in zip(of, verdicts):
                if entry[2] == name:
                    good = verdict
        return "" if good else FORBIDDEN

    def _may(self, claims: Claims, author: bytes, number: int, change: list, schema: object) -> bool:
        if schema.collection == HEALTH:
            # What a peer says of itself: nobody else's word takes its place, whatever is granted.
            return change[2] == author
        granted = claims.may(schema.collection, WRITE)
        if not granted or "" in granted:
            return bool(granted)
        document = _carried(author, number, change, schema)
        return bool([1 for text in granted if self._condition(text).holds(document)])

    def _condition(self, text: str) -> Condition:
        found = self._conditions.get(text)
        if found is None:
            if len(self._conditions) >= limits.MAX_CREDENTIALS:
                self._conditions = {}
            try:
                found = Condition(text)
            except HedgerowError:
                # What cannot be read allows nothing.
                found = Condition("false")
            self._conditions[text] = found
        return found


def check_author(author: bytes, sealing: bytes, owner: bytes | None, count: int) -> None:
    """Refuse an author for a sealing key: one of another key, the `owner` (None: of nobody yet), and one more
    than a key may have that has `count` already. AUTHOR_TAKEN, KEY_WORN_OUT.
    """
    if owner is None and count >= limits.MAX_OWN_AUTHORS:
        raise HedgerowError("KEY_WORN_OUT", "%d logs" % limits.MAX_OWN_AUTHORS)
    if owner not in (None, sealing):
        raise HedgerowError("AUTHOR_TAKEN", author.hex())


def _carried(author: bytes, number: int, change: list, schema: object) -> dict:
    """Return what an operation says of a document: its id, and the fields that it writes."""
    document: dict = {"_id": [author, number] if change[2] is None else change[2]}
    if change[0] in (DELETE, COUNTER):
        return document
    fields = schema.unpack(change[3])
    for name in fields:
        place = document
        path = path_of(name)
        for step in path[:-1]:
            place = place.setdefault(step, {})
            if not isinstance(place, dict):
                return document
        place[path[-1]] = fields[name]
    return document
