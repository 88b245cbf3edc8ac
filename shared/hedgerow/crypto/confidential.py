"""Confidential collections: values that only holders of a collection's key can read (SPEC 11.17).

An author encrypts under a key of its own that follows from the collection's: who may read has the latter, who
may only write the former. Loaded where there is a key.
"""

from hashlib import sha256

from .. import limits
from ..clock import hlc
from ..codec import cbor
from ..codec.schema import CONFIDENTIAL, check_name, is_integer
from ..codec.varint import read_uint, write_uint
from ..errors import HedgerowError
from ..operation import COUNTER, DELETE, UPDATE, check_change
from .cipher import seal, unseal
from .kdf import expand

# Bytes of a collection's key, of an author's.
WHOLE = limits.const(32)
OWN = limits.const(16)

_AUTHOR = limits.const(8)
_IV = limits.const(13)
_MAX_EPOCH = limits.const(1 << 28)
# The protected header {1: 10} of a COSE_Encrypt0 whose other parts are implied.
_PROTECTED = b"\xa1\x01\x0a"


def author_key(whole: bytes, author: bytes) -> bytes:
    """Return the key under which an author encrypts, given the collection's."""
    return expand(whole, b"hedgerow author" + author, OWN)


def read_keys(content: bytes) -> list:
    """Return [[collection, epoch, key], ...] of what was granted; KEYS_INVALID.

    A key of 32 bytes is a collection's, one of 16 an author's.
    """
    entries = cbor.decode(content)
    if not isinstance(entries, list) or len(entries) > limits.MAX_COLLECTION_KEYS:
        raise HedgerowError("KEYS_INVALID", "not an array of at most %d" % limits.MAX_COLLECTION_KEYS)
    for entry in entries:
        good = isinstance(entry, list) and len(entry) == 3 and is_integer(entry[1])
        if not good or not 0 < entry[1] < _MAX_EPOCH:
            raise HedgerowError("KEYS_INVALID", "not [collection, epoch, key]")
        check_name(entry[0])
        if not isinstance(entry[2], bytes) or len(entry[2]) not in (WHOLE, OWN):
            raise HedgerowError("KEYS_INVALID", "key")
    return entries


def join_keys(one: list, two: list) -> list:
    """Return the keys of both, in order; of too many the oldest epochs go, and of no collection all."""
    found: dict = {}
    for name, epoch, key in one + two:
        if len(key) > len(found.get((epoch, name), b"")):
            found[epoch, name] = key
    newest = {name: epoch for epoch, name in sorted(found)}
    for epoch, name in sorted(found):
        if len(found) > limits.MAX_COLLECTION_KEYS and epoch < newest[name]:
            del found[epoch, name]
    return sorted([[name, epoch, found[epoch, name]] for epoch, name in found])[: limits.MAX_COLLECTION_KEYS]


class CollectionKeys:
    """What a peer has of collections' keys: `entries` as read_keys() gives them.

    An author's key among them is that of `owner`.
    """

    def __init__(self, owner: bytes, entries: list):
        self.owner = owner
        self.entries = entries
        self._derived: dict = {}

    def newest(self, collection: str) -> int:
        """Return the newest epoch of a collection's key, 0 where there is none."""
        return max([0] + [epoch for name, epoch, _ in self.entries if name == collection])

    def find(self, collection: str, epoch: int) -> bytes | None:
        """Return the key of an epoch, the collection's if it is here."""
        keys = [entry[2] for entry in self.entries if entry[0] == collection and entry[1] == epoch]
        return sorted(keys, key=len)[-1] if keys else None

    def _key(self, collection: str, epoch: int, author: bytes) -> bytes | None:
        """Return the key under which an author encrypts; None where it is not here."""
        name = (collection, epoch, author)
        if name not in self._derived:
            found = self.find(collection, epoch)
            if found is None or (len(found) == OWN and author != self.owner):
                return None
            if len(self._derived) >= limits.MAX_COLLECTION_KEYS:
                self._derived.clear()
            self._derived[name] = found if len(found) == OWN else author_key(found, author)
        return self._derived[name]

    def conceal(self, author: bytes, number: int, stamp: bytes, changes: list, schemas: list) -> list:
        """Return the changes of an operation as they are to be stored; `schemas` are those that they name.

        COLLECTION_KEY_MISSING for a confidential collection that no key is here of.
        """
        named = {schema.name: schema for schema in schemas}
        found = []
        for index in range(len(changes)):
            change = changes[index]
            check_change(change, stamp)
            schema = named[change[1]]
            if is_open(change, schema):
                found.append(change)
                continue
            epoch = self.newest(schema.collection)
            name = author
            if epoch and self._key(schema.collection, epoch, author) is None:
                # The log goes on as another author than the one that the key was made for.
                name = self.owner
            key = self._key(schema.collection, epoch, name)
            if key is None:
                raise HedgerowError("COLLECTION_KEY_MISSING", schema.collection)
            kind = UPDATE if change[0] == COUNTER else change[0]
            kept = [kind] + list(change[1:3])
            blob = bytearray()
            write_uint(blob, epoch << 1 | (name != author))
            if name != author:
                blob.extend(name)
            aad = _bound(author, number, stamp, index, kept + list(change[4:]), schema)
            plain = cbor.encode([change[0], change[3]])
            blob.extend(seal(key, sha256(aad).digest()[:_IV], _structure(aad), plain))
            rest = [cbor.UNDEFINED] * (len(schema.fields) - 1)
            found.append(kept + [[bytes(blob)] + rest] + list(change[4:]))
        return found

    def reveal(
        self, author: bytes, number: int, stamp: bytes, index: int, change: list, schema: object
    ) -> list | None:
        """Return a change, the one at `index` of its operation, as its author meant it; None where the key is
        not here, or is not what it was encrypted under.
        """
        if is_open(change, schema):
            return change
        try:
            return self._reveal(author, number, stamp, index, change, schema)
        except HedgerowError:
            return None

    def _reveal(
        self, author: bytes, number: int, stamp: bytes, index: int, change: list, schema: object
    ) -> list | None:
        blob = change[3][0]
        if not isinstance(blob, bytes) or [1 for value in change[3][1:] if value is not cbor.UNDEFINED]:
            return None
        head, at = read_uint(blob, 0)
        name = author
        if head & 1:
            name = bytes(blob[at : at + _AUTHOR])
            at += _AUTHOR
        key = self._key(schema.collection, head >> 1, name)
        if key is None:
            return None
        aad = _bound(author, number, stamp, index, change[:3] + change[4:], schema)
        plain = cbor.decode(unseal(key, sha256(aad).digest()[:_IV], _structure(aad), bytes(blob[at:])))
        if not isinstance(plain, list) or len(plain) != 2:
            return None
        kind, values = plain
        if kind != change[0] and not (kind == COUNTER and change[0] == UPDATE):
            return None
        found = [kind] + change[1:3] + [values] + change[4:]
        check_change(found, stamp)
        return found if len(values) == len(schema.fields) else None


def is_open(change: list, schema: object) -> bool:
    """Say whether there is nothing in a change to encrypt, or to reveal."""
    return not schema.kind & CONFIDENTIAL or change[0] == DELETE or not schema.fields


def _bound(author: bytes, number: int, stamp: bytes, index: int, change: list, schema: object) -> bytes:
    """Return what values are bound to: the place of the change, and all of it beside them."""
    change = [change[0], schema.hash] + change[2:]
    return cbor.encode([author, number, hlc.wire(stamp), index, change])


def _structure(aad: bytes) -> bytes:
    """Return the Enc_structure of RFC 9052 5.3."""
    return cbor.encode(["Encrypt0", _PROTECTED, aad])
