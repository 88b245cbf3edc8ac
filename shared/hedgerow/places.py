"""Which schemas a peer keeps, and how room is made for others (SPEC 5.17): loaded when one is learnt."""

from . import limits
from .codec.schema import SCOPE_LOCAL, Schema, scope_of
from .errors import HedgerowError
from .log import STATE_SCHEMA
from .sync.hello import GATEWAY

# Bytes of operations that are looked at in one go: by a board, and by who has the memory.
_LOOK = limits.const(2048)
_LOOK_WIDE = limits.const(262144)
# So many places are made free at a time.
_FREED = limits.const(8)
# A name stands in an operation behind this, CBOR's head of four bytes.
_HEAD = b"\x44"


def learn(peer: object, encoded: bytes, beside: list | None = None) -> bool:
    """Take a schema that others say; say whether it is news. It is durable once an operation here uses it:
    until then the next ones may take its place. Raises what Peer.ingest_schema() does.
    """
    schema = Schema.decode(encoded)
    if scope_of(schema.kind) == SCOPE_LOCAL:
        raise HedgerowError("SCOPE_LOCAL", schema.collection)
    known = peer.schemas.get(schema.name)
    if known is None:
        _room(peer, limits.MAX_LEARNT_SCHEMAS, [_HEAD + name for name in beside or ()])
        peer.loose = peer.loose or []
        peer.loose.append(schema.name)
        if peer.sleeper:
            # What it uses may come in the next wake, which knows nothing of this one.
            _put(peer, schema)
    elif schema.name not in (peer.loose or ()):
        raise HedgerowError("SCHEMA_CONFLICT", repr(schema.name))
    if beside is not None and schema.name not in beside:
        beside.append(schema.name)
    peer.schemas[schema.name] = schema
    return True


def settle(peer: object, author: bytes, bodies: list) -> None:
    """Make the schemas of another author's operations durable, which are about to be taken.

    SCHEMAS_FULL where there is no place left for this author, LOG_FULL; then those before it are.
    """
    most = limits.MAX_LEARNT_SCHEMAS
    if peer.role >= GATEWAY and peer.members and not peer.members.knows(author):
        most = limits.MAX_STRANGE_SCHEMAS
    for name in list(peer.loose):
        if _uses(bodies, name):
            while len(peer.schemas) - len(peer.loose) >= most:
                if not look(peer, bodies):
                    raise HedgerowError("SCHEMAS_FULL", str(most))
            _put(peer, peer.schemas[name])


def place(peer: object, schema: object, beside: list) -> None:
    """Make an own schema durable; those `beside` it are needed with it. SCHEMAS_FULL, LOG_FULL."""
    if schema.name not in peer.schemas:
        _room(peer, limits.MAX_SCHEMAS, [_HEAD + other.name for other in beside])
    _put(peer, schema)


def look(peer: object, bodies: list = ()) -> int:
    """Look on for schemas that no operation here uses, from where that was left. At the end forget some of
    them, but none of those that these stored forms use; return how many.
    """
    log = peer.log
    search = peer.search
    if search is None:
        loose = peer.loose or ()
        search = [0, [name for name in peer.schemas if name not in loose]]
    at, names = search
    left = _LOOK_WIDE if peer.role >= GATEWAY else _LOOK
    while names:
        # What a boot would bring back is to be readable then.
        entries = log.since(at, left, True)
        if not entries:
            break
        found = [entry[3] for entry in entries]
        at = entries[-1][0]
        names = [name for name in names if not _uses(found, name)]
        left -= sum([len(body) for body in found])
        if left <= 0:
            peer.search = [at, names]
            return 0
    peer.search = None
    return _forget(peer, [name for name in names if not _uses(bodies, name)])


def _uses(bodies: list, name: bytes) -> bool:
    """Say whether a schema's name stands in stored forms; what only reads like it keeps it for longer."""
    mark = _HEAD + name
    for body in bodies:
        if mark in body:
            return True
    return False


def _room(peer: object, most: int, bodies: list) -> None:
    """Make room for one more: the one that has waited longest for an operation goes, then what none uses."""
    schemas = peer.schemas
    while len(schemas) >= most:
        spare = [name for name in peer.loose or () if not _uses(bodies, name)]
        if spare:
            peer.loose.remove(spare[0])
            del schemas[spare[0]]
        elif not look(peer, bodies):
            raise HedgerowError("SCHEMAS_FULL", str(most))


def _put(peer: object, schema: object) -> None:
    """Give a schema a place: a free one, or its own, or the next that nothing stands at."""
    key = schema.name
    keys = dict(peer.log.items(STATE_SCHEMA))
    free = [name for name in sorted(keys) if not keys[name]]
    while not free and key in keys:
        key = (int.from_bytes(key, "big") + 1 & 0xFFFFFFFF).to_bytes(4, "big")
    peer.log.put(STATE_SCHEMA, free[0] if free else key, schema.encoded)
    peer.schemas[schema.name] = schema
    if peer.loose is None:
        peer.loose = []
    elif schema.name in peer.loose:
        peer.loose.remove(schema.name)


def _forget(peer: object, names: list) -> int:
    """Forget some of these schemas for good, first those of collections that nobody here has named."""
    named = list(peer.kinds)
    if peer.may_want:
        named += [interest.collection for interest in peer.down.subscriptions.own]
    keys = {value: key for key, value in peer.log.items(STATE_SCHEMA)}
    order = sorted([(peer.schemas[name].collection in named, name) for name in names])[:_FREED]
    for _, name in order:
        key = keys.get(peer.schemas[name].encoded)
        if key:
            peer.log.put(STATE_SCHEMA, key, b"")
        del peer.schemas[name]
    return len(order)
