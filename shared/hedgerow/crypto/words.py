"""What issuers say besides credentials: revocations, the keys that come after their own, and the mesh's group
key (SPEC 11.15, 11.16).

Every member keeps the newest of these words and passes them on: whoever was cut off learns of them from any
other. A word is verified once.
"""

from hashlib import sha256

from .. import limits
from ..codec import cbor
from ..codec.schema import is_integer
from ..errors import HedgerowError
from ..log import STATE_CONFIG
from . import claims
from .cose import Sign1, join, name_of
from .port import finish

REVOCATION = "hg-rev"
ISSUER = "hg-iss"
GROUP = "hg-grp"

# Bytes of a group key.
KEY = limits.const(32)

_BRIEF = limits.const(97)
# Bytes of what a revocation is about.
_OUT = limits.const(16)
# With the place of what is kept behind it.
_KEPT = b"word"
_CLAIMS = {
    ISSUER: (claims.ISS, claims.IAT, claims.CNF),
    REVOCATION: (claims.ISS, claims.IAT, claims.CTI, claims.AUTHOR, claims.LAST_NUMBER),
    GROUP: (claims.ISS, claims.IAT, claims.EPOCH, claims.GROUP_KEY),
}


class Word:
    """A revocation (`cti`, `author`, `last` number that counts), an issuer (`point`) or a group key (`epoch`,
    `key`), `issued` at a time.

    `name` is the first 8 bytes of its hash, `about` is the same for words of which one goes for all, `rank`
    greater in the one that does. Nothing in it is true before verify() has said so.
    """

    def __init__(self, statement: bytes, app: str):
        """Read one of an app; STATEMENT_INVALID, COSE_INVALID, or a code of CBOR."""
        self.statement = statement
        self.name = sha256(statement).digest()[:8]
        self._signed = Sign1(statement)
        self.kind = self._signed.kind
        values = cbor.decode(self._signed.payload)
        wanted = _CLAIMS.get(self.kind, ()) if isinstance(self.kind, str) else ()
        if not isinstance(values, dict) or len(values) != len(wanted) or values.get(claims.ISS) != app:
            raise HedgerowError("STATEMENT_INVALID", "%s" % self.kind)
        parts = [values.get(claim) for claim in wanted]
        self.issued = parts[1]
        if not is_integer(self.issued) or self.issued < 0:
            raise HedgerowError("STATEMENT_INVALID", "time")
        self.author = b""
        if self.kind == ISSUER:
            self.point = claims.point_of(parts[2])
            self.about = self.point
            self.rank = (0, self.issued, self.name)
            return
        if self.kind == GROUP:
            self.epoch, self.key = parts[2:]
            good = is_integer(self.epoch) and 0 < self.epoch < 1 << 30 and isinstance(self.key, bytes)
            if not good or len(self.key) != KEY or self.issued >> 40:
                raise HedgerowError("STATEMENT_INVALID", "group key")
            self.rank = (self.epoch, self.issued, self.name)
            return
        self.cti, self.author, self.last = parts[2:]
        good = isinstance(self.cti, bytes) and isinstance(self.author, bytes) and is_integer(self.last)
        good = good and len(self.cti) == len(self.author) == 8 and self.issued >> 40 == 0
        if not good or not 0 <= self.last <= limits.MAX_NUMBER:
            raise HedgerowError("STATEMENT_INVALID", "revocation")
        self.about = self.cti + self.author
        self.rank = (self.last, self.issued, self.name)

    def brief(self) -> bytes:
        """Return the 97 bytes of a revocation that fit a letter: kid, moment, cti, author, number, signature;
        b"" for any other word.
        """
        if self.kind != REVOCATION:
            return b""
        signed = self._signed
        head = signed.kid + self.issued.to_bytes(5, "big") + self.cti + self.author
        return head + self.last.to_bytes(4, "big") + signed.signature

    def verify(self, p256: object, roots: dict) -> object:
        """Refuse what no issuer has signed: a generator of slices. CREDENTIAL_ISSUER for one that is not
        known, STATEMENT_INVALID for a signature that is not its.
        """
        key = roots.get(self._signed.kid)
        if key is None:
            raise HedgerowError("CREDENTIAL_ISSUER", "of a statement")
        if not (yield from self._signed.verify(p256, key)):
            raise HedgerowError("STATEMENT_INVALID", "signature")


def unfold(brief: bytes, app: str) -> bytes:
    """Return the revocation of an app that Word.brief() has made short; STATEMENT_INVALID."""
    if len(brief) != _BRIEF:
        raise HedgerowError("STATEMENT_INVALID", "%d bytes" % len(brief))
    values = {
        claims.ISS: app,
        claims.IAT: int.from_bytes(brief[8:13], "big"),
        claims.CTI: bytes(brief[13:21]),
        claims.AUTHOR: bytes(brief[21:29]),
        claims.LAST_NUMBER: int.from_bytes(brief[29:33], "big"),
    }
    return join(cbor.encode(values), bytes(brief[:8]), REVOCATION, bytes(brief[33:]))


class Words:
    """The newest revocations and issuers that a `log` keeps, each kind by itself: whoever forgot an issuer
    could not go by what it says. `trust` goes by all of them, `p256` verifies. The newest group key is kept
    by `group` (see Group), if there is one.
    """

    def __init__(self, log: object, trust: object, p256: object, group: object = None):
        self._log = log
        self._group = group
        self._trust = trust
        self._p256 = p256
        # What a word is about -> (rank, moment, name, place).
        self._entries: dict = {}
        # The places that nothing is kept in.
        self._free: list = []
        # What words are about that found no room -> (moment, name): the newest ones.
        self._missed: dict = {}
        # That of the newest group key.
        self._group_word = b""
        if group:
            from .rotation import statement

            self._group_word = statement(group, trust.app)
        for place in range(limits.MAX_WORDS + limits.MAX_ISSUERS):
            kept = log.get(STATE_CONFIG, _KEPT + bytes((place,)))
            if kept:
                # It was verified when it came.
                self._enter(Word(kept, trust.app), place)
            else:
                self._free.append(place)

    def digest(self) -> bytes:
        """Return 4 bytes that are the same for who has the same words."""
        names = [entry[2] for entry in self._entries.values()]
        if self._group_word:
            names.append(sha256(self._group_word).digest()[:8])
        names.sort()
        return sha256(b"".join(names)).digest()[:4]

    def all(self) -> list:
        """Return the words as they were signed, the oldest first: an issuer comes before what it says."""
        entries = sorted([entry[1:] for entry in self._entries.values()])
        found = [self._log.get(STATE_CONFIG, _KEPT + bytes((entry[2],))) for entry in entries]
        if self._group_word:
            found.append(self._group_word)
        return found

    def hear(self, statement: bytes) -> Word | None:
        """Take what any member passes on; return the word if it is news, which is durable after a commit.

        What no issuer that is known has signed is passed over. STATEMENT_INVALID.
        """
        try:
            return self._take(statement)
        except HedgerowError as error:
            if error.code == "CREDENTIAL_ISSUER":
                return None
            raise HedgerowError("STATEMENT_INVALID", str(error)) from error

    def _take(self, statement: bytes) -> Word | None:
        if statement == self._group_word:
            return None
        name = sha256(statement).digest()[:8]
        if [1 for entry in self._entries.values() if entry[2] == name]:
            return None
        word = Word(bytes(statement), self._trust.app)
        if word.kind == GROUP:
            self._take_group(word)
            return None
        if not self._is_news(word):
            return None
        finish(word.verify(self._p256, self._trust.roots))
        return word if self.keep(word) else None

    def _take_group(self, word: Word) -> None:
        """Go by a group key that is newer than the one here; it is durable on return, or not here at all.

        Who has it goes by the revocations before it: it would be handed on to whom they name.
        """
        if self._group is None or self._lacks():
            return
        from .rotation import epoch, statement, take

        here = epoch(self._group)
        if word.statement == here[2]:
            # Writing it was refused, and has come through.
            self._group_word = statement(self._group, self._trust.app)
        # Of two that are alike in both all members go by the same one.
        elif (word.epoch, word.issued, word.statement) > here:
            finish(word.verify(self._p256, self._trust.roots))
            self._trust.floor = max(self._trust.floor, word.issued)
            try:
                self._log.commit()
                take(self._group, word)
                self._group_word = word.statement
            except OSError:
                # It comes again with a later session.
                pass

    def _full(self, about: bytes) -> list:
        """Return the words of a kind as [((moment, name), place, about)] if there may be no more, else []."""
        alike = [
            (entry[1:3], entry[3], known)
            for known, entry in self._entries.items()
            if len(known) == len(about)
        ]
        return alike if len(alike) >= (limits.MAX_WORDS if len(about) == _OUT else limits.MAX_ISSUERS) else []

    def _lacks(self) -> bool:
        """Say whether a word found no room that would be among the newest ones."""
        for about, at in self._missed.items():
            full = self._full(about)
            if not full or min(full)[0] < at:
                return True
        return False

    def keep(self, word: Word) -> bool:
        """Keep a word that was verified, and go by it; say whether it is news and there is room for it."""
        if not self._is_news(word):
            return False
        entries = self._entries
        known = entries.get(word.about)
        gone = None
        if known is not None:
            place = known[3]
        else:
            full = self._full(word.about)
            if not full:
                place = self._free[0]
            else:
                oldest, place, gone = min(full)
                if (word.issued, word.name) < oldest:
                    return False
        try:
            self._log.put(STATE_CONFIG, _KEPT + bytes((place,)), word.statement)
        except HedgerowError as error:
            if error.code != "LOG_FULL":
                raise
            # It comes again with a later session; this one brings the receipts that make room.
            missed = self._missed
            missed[word.about] = (word.issued, word.name)
            if len(missed) > limits.MAX_WORDS:
                del missed[min(missed, key=missed.get)]
            return False
        self._missed.pop(word.about, None)
        if gone is not None:
            del entries[gone]
        if place in self._free:
            self._free.remove(place)
        self._enter(word, place)
        return True

    def _is_news(self, word: Word) -> bool:
        known = self._entries.get(word.about)
        return known is None or known[0] < word.rank

    def _enter(self, word: Word, place: int) -> None:
        self._entries[word.about] = (word.rank, word.issued, word.name, place)
        trust = self._trust
        trust.floor = max(trust.floor, word.issued)
        if word.kind == ISSUER:
            trust.roots[name_of(word.point)] = word.point
        else:
            trust.revoke(word.cti, word.author, word.last)
