"""A production farm with confidential collections, and boards that hold keys of them."""

import itertools
import os
from typing import Any, NamedTuple
from unittest import mock

from peer_keys import PeerKeys
from test_access_http import Farm
from wire import Subscriber

from hedgerow.application import ReadyPeer
from hedgerow.codec.schema import STREAM
from hedgerow.crypto.claims import Claims
from hedgerow.crypto.cose import Sign1
from hedgerow.crypto.grants import granted, hold
from hedgerow.crypto.port import P256, finish
from hedgerow.crypto.proofs import pair_key
from hedgerow.log import ENTRY_SEAL
from hedgerow.memory import MemoryLog, MemoryStore
from hedgerow_bigpeer.auth import authority
from hedgerow_bigpeer.auth.database import now
from hedgerow_bigpeer.auth.identity import Identity
from hedgerow_bigpeer.auth.scope import Entry as Right
from hedgerow_bigpeer.store.rows import Entry, Operation, SchemaEntry, SealEntry

READ, WRITE = 1, 2
_TURNS = itertools.count()


class Enrolled(NamedTuple):
    """Somebody's keys, and its credential as it was issued."""

    keys: PeerKeys
    body: bytes

    @property
    def claims(self) -> Claims:
        return Claims.decode(Sign1(self.body).payload)


def declare(farm: Farm, *collections: str) -> None:
    for name in collections:
        farm.peer.registry.confidential.declare("test", farm.peer.app, name)
    farm.run(farm.peer.grants.look())


def enrol(farm: Farm, *rights: Right, keys: PeerKeys | None = None, kinds: int = 0) -> Enrolled:
    """Let somebody have a credential, which this node knows then; each is later than the one before."""
    at = now() + next(_TURNS)
    keys = keys or PeerKeys()
    registry, app = farm.peer.registry, farm.peer.app
    proved = keys.prove(app.id, registry.challenger.make(app.id))
    with mock.patch.object(authority, "now", lambda: at):
        body = farm.peer.authority._grant(
            app, "login", Identity("ann", 3600, rights, {}, kinds=kinds), proved
        ).body
    know(farm)
    return Enrolled(keys, body)


def know(farm: Farm) -> None:
    """Let a node look once who may do what, and grant keys."""
    farm.peer.membership.refresh()
    farm.run(farm.peer.service.judge(farm.peer.membership.unjudged))
    farm.run(farm.peer.grants.look())


class Board:
    """A peer whose operations are handed over as they are."""

    def __init__(self, farm: Farm, author: bytes, keys: list[Any] | None = None, **kinds: int) -> None:
        self._farm = farm
        self._given = self._sealed = 0
        store = MemoryStore(author)
        self.peer: Any = ReadyPeer(MemoryLog(store), lambda: 1000, kinds=kinds or {"visits": STREAM})
        if keys is not None:
            hold(self.peer, keys)

    def give(self) -> list[bytes]:
        """Let the store have what is new, and the seals; return the bodies of operations."""
        peer, author = self.peer, self.peer.author
        entries: list[Entry] = [SchemaEntry(schema.encoded) for schema in peer.schemas.values()]
        bodies = []
        for kind, first, last, body in peer.log.read(author, self._given, self._sealed, 1 << 30):
            if kind == ENTRY_SEAL:
                entries.append(SealEntry(author, bytes(body)))
                self._sealed = last
                continue
            entries.append(Operation(author, first, bytes(body)))
            bodies.append(bytes(body))
            self._given = first
        self._farm.run(self._farm.peer.service.submit(entries))
        return bodies


def entries_for(farm: Farm, one: Enrolled) -> list[Any]:
    return farm.peer.registry.confidential.entries_for(farm.peer.app, one.claims)


def pair_of(farm: Farm, one: Enrolled) -> Any:
    """Return what gives the key that somebody shares with the keeper."""
    private = one.keys.agreement_key.private_numbers().private_value.to_bytes(32, "big")
    own = farm.peer.membership.credential
    assert own is not None
    mesh = [farm.peer.app.mode, farm.peer.app.mesh_id]
    pair = finish(pair_key(P256(os.urandom), private, own.claims.agreement, mesh))
    return {farm.peer.service.store.identity.keeper: pair}.get


def subscriber(farm: Farm, one: Enrolled) -> Subscriber:
    """Return a peer that is one of the farm's, and has no keys yet."""
    made = Subscriber(farm)
    made.store = MemoryStore(one.keys.author)
    made.peer = ReadyPeer(MemoryLog(made.store), made.now, name="board", mesh=made.peer.mesh)
    return made


def take(farm: Farm, one: Enrolled, peer: Any) -> list[Any] | None:
    """Let a peer go by its grant, if it has one; return its keys."""
    found = granted(peer, pair_of(farm, one))
    if found is not None:
        hold(peer, found)
    return found
