from .custody.frontier import Frontier
from .peer import Peer

def collect(peer: Peer, frontier: Frontier | None = None) -> tuple[int, int, int]: ...
