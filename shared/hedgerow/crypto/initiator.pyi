from .ephemeral import Ephemerals
from .handshake import Gate, Handshake, Own, _Peers

class Initiator(Handshake):
    def __init__(
        self,
        ephemerals: Ephemerals,
        own: Own,
        peers: _Peers,
        c: bytes,
        gate: Gate | None = None,
        whole: bool = False,
        ask: bool = False,
        confirm: bool = False,
        suites: tuple[int, ...] = (2,),
    ) -> None: ...
