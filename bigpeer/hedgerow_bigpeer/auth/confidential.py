"""Confidential collections: which are, and who holds which of their keys (SPEC 11.17).

Every key follows from one secret of the app and the number of an epoch. So whatever was written under any of
them is read by every node, also where the rights were put back to before that epoch.
"""

import functools
import os
from collections.abc import Iterable, Mapping, Sequence

from hedgerow.codec import cbor
from hedgerow.codec.schema import check_name
from hedgerow.crypto.claims import READ, WRITE, Claims
from hedgerow.crypto.confidential import WHOLE, CollectionKeys, author_key
from hedgerow.crypto.cose import Sign1
from hedgerow.crypto.kdf import expand
from hedgerow.errors import HedgerowError
from hedgerow.limits import MAX_COLLECTION_KEYS

from .. import limits
from ..names import SYSTEM
from .apps import App
from .audit import Audit
from .database import Database, now

#: [collection, epoch, key] of each key that somebody is granted, as `crypto.confidential.read_keys` has them.
Entries = list[list[object]]

# 2020-01-01, in seconds since 1970: an epoch is at least the minutes since then.
_YEAR_2020 = 1_577_836_800
_MINUTE = 60
_MOST_EPOCH = 1 << 28
_RESERVED = "__"


class Confidential:
    """The confidential collections of all apps."""

    def __init__(self, database: Database, audit: Audit) -> None:
        self._database = database
        self._audit = audit

    def epochs(self, app: App) -> dict[str, list[int]]:
        """Return the epochs that are kept of each confidential collection, rising."""
        found: dict[str, list[int]] = {}
        query = "SELECT collection, epoch FROM epochs WHERE app = ? ORDER BY collection, epoch"
        for collection, epoch in self._database.rows(query, app.id):
            found.setdefault(collection, []).append(epoch)
        return found

    def declare(self, actor: str, app: App, collection: str) -> int:
        """Let a collection be confidential from now on; return its epoch. What is written already stays as it
        is. One that is so already stays in its epoch.

        Raises APP_INVALID for a playground, CONFIDENTIAL_INVALID.
        """
        _need_production(app)
        _check(collection)
        with self._database.change():
            known = self.epochs(app)
            if collection in known:
                return known[collection][-1]
            if len(known) >= limits.CONFIDENTIAL_COLLECTIONS:
                reason = f"{limits.CONFIDENTIAL_COLLECTIONS} collections are"
                raise HedgerowError("CONFIDENTIAL_INVALID", reason)
            epoch = self._begin(app, collection, [])
            self._audit.add(actor, "collection.confidential", collection, app=app.id, epoch=epoch)
        return epoch

    def rotate(self, actor: str, app: App, collections: Iterable[str]) -> dict[str, int]:
        """Begin another epoch of each of these; return it by collection. An epoch only rises, also where the
        rights are an old backup and members know later ones.

        Raises APP_INVALID, CONFIDENTIAL_INVALID for one that is not confidential.
        """
        _need_production(app)
        found = {}
        with self._database.change():
            known = self.epochs(app)
            for collection in collections:
                if collection not in known:
                    raise HedgerowError("CONFIDENTIAL_INVALID", f"{collection} is not confidential"[:200])
                found[collection] = self._begin(app, collection, known[collection])
                self._audit.add(actor, "collection.rekey", collection, app=app.id, epoch=found[collection])
        return found

    def shut_out(self, actor: str, app: App, credentials: Iterable[bytes]) -> None:
        """Begin another epoch of each collection that a holder of credentials could read; within the change
        that revokes them.
        """
        known = self.epochs(app)
        held = [Claims.decode(Sign1(body).payload) for body in credentials] if known else []
        names = [name for name in known if any(_reads(claims, name) for claims in held)]
        if names:
            self.rotate(actor, app, names)

    def keys(self, app: App, author: bytes) -> "DerivedKeys | None":
        """Return all keys of an app, for an author that writes; None for a playground, which has none."""
        if app.is_playground:
            return None
        master = self._database.secret(f"confidential/{app.id}", lambda: os.urandom(WHOLE))
        return DerivedKeys(author, master, self.epochs(app))

    def entries_for(self, app: App, claims: Claims) -> Entries:
        """Return the keys that the holder of a credential is granted; see `DerivedKeys.entries_for`."""
        keys = self.keys(app, claims.author or b"")
        return [] if keys is None else keys.entries_for(claims)

    def _begin(self, app: App, collection: str, known: Sequence[int]) -> int:
        epoch = max(known[-1] + 1 if known else 1, (now() - _YEAR_2020) // _MINUTE)
        self._database.run("INSERT INTO epochs VALUES (?, ?, ?)", app.id, collection, epoch)
        kept = [*known, epoch][-MAX_COLLECTION_KEYS:]
        query = "DELETE FROM epochs WHERE app = ? AND collection = ? AND epoch < ?"
        self._database.run(query, app.id, collection, kept[0])
        return epoch


class DerivedKeys(CollectionKeys):
    """The keys of all collections, as they follow from an app's secret; `epochs` are those in which somebody
    was told that a collection is confidential.
    """

    def __init__(self, author: bytes, master: bytes, epochs: Mapping[str, Sequence[int]]) -> None:
        super().__init__(author, [])
        #: What is set anew when other nodes and commands have changed it.
        self.epochs = epochs
        self._master = master
        self._author_key = functools.lru_cache(maxsize=limits.KNOWN_CREDENTIALS)(self._derive)

    def newest(self, collection: str) -> int:
        """See `CollectionKeys`."""
        epochs = self.epochs.get(collection)
        return epochs[-1] if epochs else 0

    def find(self, collection: str, epoch: int) -> bytes | None:
        """See `CollectionKeys`."""
        if not 0 < epoch < _MOST_EPOCH:
            return None
        return expand(self._master, cbor.encode(["hedgerow collection", collection, epoch]), WHOLE)

    def _key(self, collection: str, epoch: int, author: bytes) -> bytes | None:
        return self._author_key(collection, epoch, author)

    def _derive(self, collection: str, epoch: int, author: bytes) -> bytes | None:
        found = self.find(collection, epoch)
        return None if found is None else author_key(found, author)

    def entries_for(self, claims: Claims) -> Entries:
        """Return the keys that the holder of a credential is granted: collections' where it may read all of
        them, else its author's where it may write. Of each collection the newest come first; older ones go
        where they do not fit.
        """
        by_age: list[tuple[int, Entries]] = []
        for name, epochs in self.epochs.items():
            reads, author = _reads(claims, name), claims.author
            if not reads and (author is None or not claims.may(name, WRITE)):
                continue
            for age, epoch in enumerate(reversed(epochs)):
                key = self.find(name, epoch) if reads else self._key(name, epoch, author or b"")
                by_age.append((age, [[name, epoch, key]]))
        found: Entries = []
        for _, entries in sorted(by_age, key=lambda one: one[0]):
            if len(found) == MAX_COLLECTION_KEYS or len(cbor.encode(found + entries)) > limits.GRANT_BYTES:
                break
            found += entries
        return sorted(found, key=lambda entry: entry[:2])


def _reads(claims: Claims, collection: str) -> bool:
    """Say whether all of a collection may be read: finer conditions are judged where queries are answered."""
    return "" in claims.may(collection, READ)


def _need_production(app: App) -> None:
    if app.is_playground:
        raise HedgerowError("APP_INVALID", "a playground has no identities: nobody could be granted a key")


def _check(collection: str) -> None:
    try:
        check_name(collection)
    except HedgerowError:
        raise HedgerowError("CONFIDENTIAL_INVALID", "no name of a collection") from None
    if "\0" in collection or collection.startswith((_RESERVED, SYSTEM)) or collection == "*":
        raise HedgerowError("CONFIDENTIAL_INVALID", f"{collection} is the system's"[:200])
