"""What happens to a world by its scenario: partitions, power cuts, gateways that go, boards that move."""

import math
from typing import TYPE_CHECKING

from hedgerow_sim.scenario import Event

if TYPE_CHECKING:
    from hedgerow_sim.station import Station
    from hedgerow_sim.world import World

_OFF_US = (1_000_000, 60_000_000)
#: Of one walk.
_MOST_STEPS = 200


def plan(world: "World") -> None:
    """Put a scenario's events on the queue."""
    for event in world.scenario.events:
        world.field.at(round(event.at_s * 1e6), _happen, (world, event))


def _happen(argument: "tuple[World, Event]") -> None:
    world, event = argument
    world.audit.note(f"event: {event.kind}")
    if event.kind == "partition":
        world.field.partition(
            {station.node: 1 for station in world.radios if world.places[station.node][0] >= event.x}
        )
    elif event.kind == "heal":
        world.field.partition(None)
    elif event.kind in ("gateway_down", "gateway_up"):
        _gateway(world, event)
    elif event.kind in ("backup", "restore"):
        for keeper in world.big_peers:
            keeper.storage.keep() if event.kind == "backup" else _restore(world, keeper)
    elif event.kind == "document":
        world.audit.documents.write(world)
    elif event.kind == "want":
        for board in world.rng.sample(world.boards, round(event.share * len(world.boards))):
            world.field.at(world.now, _want, (world, board))
    else:
        chosen = world.rng.sample(world.boards, round(event.share * len(world.boards)))
        for board in chosen:
            at = world.now + world.rng.randrange(round(event.spread_s * 1e6) + 1)
            world.field.at(at, _befall, (world, event, board))


def _gateway(world: "World", event: Event) -> None:
    gateway = world.gateways[event.gateway]
    if event.kind == "gateway_down":
        world.cut_uplink(gateway)
        gateway.cut()
    elif not gateway.on:
        gateway.boot()
        world.join_up(gateway)


def _restore(world: "World", keeper: "Station") -> None:
    """A Big Peer goes on from its backup, as another incarnation."""
    for gateway in world.gateways:
        world.cut_uplink(gateway)
    keeper.storage.put_back()
    keeper.peer = world.open_peer(keeper)
    world.audit.restored(keeper)
    for gateway in world.gateways:
        world.join_up(gateway)


def _befall(argument: "tuple[World, Event, Station]") -> None:
    world, event, board = argument
    if event.kind == "move":
        angle = world.rng.uniform(0, 2 * math.pi)
        steps = max(1, min(math.ceil(event.metres), _MOST_STEPS))
        stride = event.metres / steps
        by = (stride * math.cos(angle), stride * math.sin(angle))
        for at in range(steps):
            # Somebody carries it: a metre a second.
            world.field.at(world.now + round(at * stride * 1e6), _step, (world, board, by))
    elif board.on:
        if event.kind == "lose_flash":
            _lose(world, board)
        else:
            board.cut()
        pause = 0 if event.kind == "reboot" else world.rng.randint(*_OFF_US)
        world.field.at(world.now + pause, _boot, board)


def _lose(world: "World", board: "Station") -> None:
    """Take a board's power, and all that it had."""
    author, elsewhere = board.peer.author, world.audit.elsewhere(board)
    board.cut()
    board.storage.lose()
    world.audit.lost_flash(board, author, elsewhere)


def _step(argument: "tuple[World, Station, tuple[float, float]]") -> None:
    world, board, (east, north) = argument
    x, y = world.places[board.node]
    world.places[board.node] = (x + east, y + north)
    world.field.move(board.node, *world.places[board.node])


def _want(argument: "tuple[World, Station]") -> None:
    world, board = argument
    if board.on:
        world.audit.documents.want(board)


def _boot(board: "Station") -> None:
    if not board.on:
        board.boot()
