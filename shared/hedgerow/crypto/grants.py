"""How holders of a right come to a collection's keys: documents that only they can open (SPEC 11.17.4).

A keeper writes one for each holder, named by the author of its log; it comes down as all documents do,
through whatever relays. Loaded where there is an identity, and a document that may be one.
"""

from .. import limits
from ..codec import cbor
from ..codec.schema import GRANTS
from ..errors import HedgerowError
from ..operation import DELETE
from .confidential import CollectionKeys, join_keys, read_keys
from .cose import decrypt0, encrypt0
from .kdf import expand, hmac

#: The field that keys come in.
FIELD = "keys"

_IV = limits.const(13)
_KEY = limits.const(16)


def wrap(pair: bytes, keeper: bytes, holder: bytes, entries: list) -> bytes:
    """Return keys (see read_keys) for a holder, given the key that it shares with the keeper (SPEC 11.14).

    The same keys give the same bytes.
    """
    key = expand(pair, b"hedgerow grant", _KEY)
    content = cbor.encode(entries)
    return encrypt0(key, hmac(key, content)[:_IV], content, keeper, holder)


def unwrap(pair_of: object, holder: bytes, data: bytes) -> list:
    """Return the keys in a grant; `pair_of(keeper)` gives the key shared with a keeper, None if it is none.

    COSE_INVALID, KEY_UNKNOWN, TAG_INVALID, KEYS_INVALID, or a code of CBOR.
    """

    def find(keeper: bytes) -> bytes | None:
        pair = pair_of(keeper)
        return None if pair is None else expand(pair, b"hedgerow grant", _KEY)

    return read_keys(decrypt0(find, data, holder))


def ask(peer: object, whole: bool = False) -> None:
    """Let a peer subscribe to its grant, and to none of a former author's; `whole`: to those of all, for it
    tells boards theirs.
    """
    from ..sync.interest import Interest

    interest = Interest(GRANTS, "_id = :me", {"me": peer.author}, limits.MAX_INTEREST_HOPS)
    if whole:
        interest = Interest(GRANTS)
    drop(peer, interest.key)
    peer.down.subscriptions.subscribe(interest)
    peer.may_want = True


def drop(peer: object, but: bytes = b"") -> None:
    """Let a peer subscribe to grants no more, `but` by the interest of this key."""
    subscriptions = peer.down.subscriptions
    for known in list(subscriptions.own):
        if known.collection == GRANTS and known.key != but:
            subscriptions.cancel(known.key)


def granted(peer: object, pair_of: object) -> list | None:
    """Return the keys in the grants here that are a keeper's and those that the peer has, None where there is
    no such grant: whoever else has written there has said nothing, and who says an old one again neither.
    """
    keys = peer.collection_keys
    found = keys.entries if keys and keys.owner == peer.author else []
    opened = False
    for _, _, _, change, schema in peer.down.documents.history(GRANTS, peer.author):
        data = None if change[0] == DELETE else schema.unpack(change[3]).get(FIELD)
        if isinstance(data, bytes):
            try:
                found = join_keys(found, unwrap(pair_of, peer.author, data))
                opened = True
            except HedgerowError:
                continue
    return found if opened else None


def hold(peer: object, entries: list, make: object = CollectionKeys) -> None:
    """Let a peer go by these keys, as `make` has them; observers are told what they reveal at their next
    turn.
    """
    peer.collection_keys = make(peer.author, entries) if entries else None
