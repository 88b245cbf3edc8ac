from .clock.hlc import Clock
from .peer import Peer

def resume(peer: Peer) -> tuple[list[bytes], bytes, Clock, int]: ...
