from .ephemeral import Ephemerals
from .handshake import Gate, Handshake, Own, _Peers

class Responder(Handshake):
    def __init__(
        self,
        ephemerals: Ephemerals,
        own: Own,
        peers: _Peers,
        c: bytes,
        gate: Gate | None = None,
        confirm: bool = False,
    ) -> None: ...
