"""Where readings are that no keeper has, and what they wait for."""

from typing import TYPE_CHECKING, Any

from hedgerow.errors import HedgerowError
from hedgerow.mesh.custody import name_of
from hedgerow.mesh.feed import frames_of
from hedgerow.mesh.frames import UNKNOWN
from hedgerow.mesh.mesh import Mesh
from hedgerow_sim.limits import NAMED

if TYPE_CHECKING:
    from hedgerow_sim.station import Station
    from hedgerow_sim.world import World


def missing(world: "World") -> list[str]:
    """A line for each acknowledged reading that no keeper has, the oldest first, and NAMED at most."""
    audit = world.audit
    writers = {station.storage.author(): station for station in world.boards}
    late = sorted((made, *key) for key, made in audit.made.items() if key not in audit.came)
    lines = []
    for made, author, number in late[:NAMED]:
        board = writers.get(author)
        name = board.name if board else author.hex()
        why = _why(world, board, number) if board else "its board has lost its flash, others hold it"
        lines.append(f"{name} number {number}, made at {made / 1e6:.0f} s: {why}")
    return lines


def _why(world: "World", board: "Station", number: int) -> str:
    author = board.storage.author()
    for gateway in world.gateways:
        if gateway.on and gateway.peer.log.held(author) >= number:
            return f"{gateway.name} holds it, without an uplink to a keeper that takes it"
    if not board.on:
        return "its board is off"
    engine = board.engine
    if not isinstance(engine, Mesh):
        return "not brought there"
    names = names_of(board, number)
    for gateway in world.gateways:
        mesh: Any = gateway.engine
        if gateway.on and any(name in mesh.intake.waiting for name in names):
            held = gateway.peer.log.held(author)
            return f"it waits at {gateway.name} for number {held + 1}"
    others = [station for station in world.boards if station.on and station is not board]
    holders = []
    for station in others:
        mesh = station.engine
        if station.peer.log.held(author) >= number or any(map(mesh.custody.has, names)):
            holders.append(station.name)
    if holders:
        return f"{', '.join(holders[:3])} and {max(len(holders) - 3, 0)} more hold it, and no gateway does"
    if not engine.flood and engine.code == UNKNOWN:
        return "its board knows no way to a keeper"
    if engine.feed.stuck:
        return "it fits no advertisement and waits for a session"
    if engine.custody.flying():
        return "its board pushes, and nobody has taken it"
    return "lost on its way: nobody has asked for it yet"


def names_of(board: "Station", number: int) -> list[int]:
    """The names of the frames that carry an operation of a board."""
    peer = board.peer
    stored = peer.log.fetch(peer.author, number)
    if stored is None:
        return []
    try:
        return [name_of(frame) for frame in frames_of(peer, peer.author, number, stored, board.world.key)]
    except HedgerowError:
        return []
