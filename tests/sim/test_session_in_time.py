"""Sessions, uplinks and clocks in virtual time."""

import random

from hedgerow_sim import scenario
from hedgerow_sim.clock import Clock
from hedgerow_sim.session import Session
from hedgerow_sim.station import Station
from hedgerow_sim.world import World


def test_a_clock_comes_back_to_where_it_was() -> None:
    rng = random.Random(1)
    for _ in range(1000):
        clock = Clock(rng.randint(-500, 500), rng.randrange(10**12))
        ms = rng.randrange(10**9)
        us = clock.us(ms)
        assert clock.ms(us) == ms and clock.ms(us - 1) < ms
    assert Clock(500, 0).ms(10**12) == 1_000_500_000


def _pair(**changes: object) -> tuple[World, Station, Station]:
    table = {"layout": "line", "boards": 2, "disc": True, "gateways": [[0, 0]], "reading_s": 0.0, **changes}
    world = World(scenario.parse({**table, "engine": "connect_always"}), 1)
    world.start()
    world.step(20_000_000)
    return world, world.boards[0], world.boards[1]


def test_a_connection_takes_its_time() -> None:
    """No byte of ours goes before discovery and subscription are through."""
    world, near, far = _pair()
    near.engine.visit = far.engine.visit = lambda now, busy=(): None  # type: ignore[method-assign]
    world.step(world.now + 3_000_000)
    before = near.peer.log.held(far.peer.author)
    far.measure()
    began = world.now
    session = Session(world, near, far)
    near.sessions.append(session)
    while near.peer.log.held(far.peer.author) == before and world.now < began + 10_000_000:
        world.step(world.now + 10_000)
    assert 600_000 < world.now - began < 5_000_000


def test_out_of_reach_in_the_middle_it_ends_for_both() -> None:
    world, near, far = _pair()
    near.engine.visit = far.engine.visit = lambda now, busy=(): None  # type: ignore[method-assign]
    world.step(world.now + 3_000_000)
    session = Session(world, near, far)
    near.sessions.append(session)
    while not session.up and world.now < 60_000_000:
        world.step(world.now + 10_000)
    assert far.sessions == near.sessions == [session]
    world.field.reach(near.node, far.node, False)
    world.step(world.now + 5_000_000)
    assert session.over and far.sessions == near.sessions == []


def test_an_uplink_that_was_cut_goes_on_where_it_was() -> None:
    world, near, _ = _pair(reading_s=20.0, start_s=5.0)
    gateway, keeper = world.gateways[0], world.big_peers[0]
    world.cut_uplink(gateway)
    world.step(world.now + 60_000_000)
    behind = gateway.peer.log.held(near.peer.author) - keeper.peer.log.held(near.peer.author)
    world.join_up(gateway)
    world.step(world.now + 3_000_000)
    assert (
        behind > 1 and keeper.peer.log.held(near.peer.author) >= gateway.peer.log.held(near.peer.author) - 1
    )
