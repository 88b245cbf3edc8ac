"""What the checks of limits share: strangers, and proof that a refusal changes nothing."""

from typing import Any

from kit import raises
from limit_formats import AUTHOR, EMPTY, STAMP
from sync_kit import gateway

from hedgerow.operation import DELETE, encode_body
from hedgerow.peer import Peer
from hedgerow.sync import frames, hello
from hedgerow.sync.exchange import Exchange

BODY = encode_body(STAMP, [[DELETE, EMPTY.name, 1]])


def named(count: int) -> list[bytes]:
    return [b"%08d" % at for at in range(count)]


def content(peer: Peer) -> tuple[object, ...]:
    """All that a peer's log holds, made durable first."""
    peer.log.commit()
    store = peer.log.store
    held = {author: (peer.log.held(author), peer.log.sealed(author)) for author in peer.log.authors()}
    return held, list(store.entries), dict(store.state)


def refuses(peer: Peer, code: str, function: Any, *args: object) -> None:
    """The call is refused, and changes nothing that the peer keeps."""
    before = content(peer)
    raises(code, function, *args)
    assert content(peer) == before


def passes_over(peer: Peer, function: Any, *args: object) -> None:
    """The call is not refused, and changes nothing that the peer keeps."""
    before = content(peer)
    function(*args)
    assert content(peer) == before


def frame(sequence: int, *parts: tuple[int, bytes]) -> bytes:
    payload = bytearray()
    for kind, body in parts:
        frames.write_frame(payload, kind, body)
    return frames.seal_record(sequence, payload)


def met(peer: Peer | None = None, now: int = 0, central: bool = False, **options: Any) -> Exchange:
    """An exchange that has had the hello of a stranger, in its record 0."""
    exchange = Exchange(peer or gateway(), now, central=central)
    greeting = hello.Hello(exchange.peer.mesh, AUTHOR, **options)
    exchange.receive(frame(0, (frames.HELLO, greeting.encode())), now)
    return exchange


def said(exchange: Exchange, now: int = 0) -> list[int]:
    """The types of all frames that an exchange sends now."""
    found: list[int] = []
    while data := exchange.outgoing(1200, now):
        found += [kind for kind, _ in frames.read_frames(data[frames.RECORD_HEAD : -frames.RECORD_TAG])]
    return found
