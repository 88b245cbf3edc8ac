"""A log near its limit loses what was filled in, then receipted readings, and nothing that anybody needs."""

from pathlib import Path

import pytest
from gateway_kit import BigPeer, config, listening, reading, run, until
from test_uplink import receipted, running

from hedgerow_gateway import Gateway, limits

MIB = 1 << 20


def fill(gateway: Gateway, first: int, count: int) -> None:
    for n in range(first, first + count):
        gateway.peer.insert("readings", reading(n) | {"text": "x" * 1000}, gateway.clock.now())
    gateway.peer.seal(gateway.clock.now())


def test_receipted_readings_make_room_and_the_peer_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "RECLAIM_EVERY_S", 0.05)

    async def main() -> None:
        big = BigPeer()
        async with listening(big) as url:
            async with running(tmp_path, url, log_bytes=2 * MIB) as gateway:
                author = gateway.peer.author
                kept = gateway.peer.insert("settings", {"kept": True}, gateway.clock.now())
                for batch in range(8):
                    fill(gateway, batch * 200, 200)
                    await until(lambda: receipted(gateway), "receipted")
                    await until(lambda: gateway.log.used() <= 0.9 * 2 * MIB, "room was made")
                assert gateway.reclaimer.removed > 300
                assert gateway.log.held(author) > 1600, "frontiers stay"
            async with running(tmp_path, url, log_bytes=2 * MIB) as gateway:
                assert gateway.peer.author == author
                left = gateway.log.read(author, 0, 0, 1 << 30)
                assert any(first == kept for _, first, _, _ in left), "what is kept for ever is kept"
                fill(gateway, 1600, 1)
                held = gateway.log.held(author)
                await until(lambda: gateway.peer.receipted(author) >= held, "sealed in one chain, receipted")
            assert big.errors == []
            numbers = big.numbers(author)
            assert numbers == list(range(1, len(numbers) + 1))
            assert len(numbers) >= held

    run(main())


def test_without_receipts_nothing_goes(tmp_path: Path) -> None:
    gateway = Gateway(config(tmp_path, log_bytes=2 * MIB))
    fill(gateway, 0, 750)

    async def main() -> None:
        assert gateway.log.used() > 0.4 * 2 * MIB
        gateway.reclaimer._high = gateway.reclaimer._low = 0
        await gateway.reclaimer._make_room()

    run(main())
    assert gateway.reclaimer.removed == 0
    gateway.log.close()


def test_what_was_filled_in_goes_first(tmp_path: Path) -> None:
    gateway = Gateway(config(tmp_path, log_bytes=2 * MIB))
    fill(gateway, 0, 100)
    other = b"author-o"
    for number in range(1, 301):
        gateway.log.fill(other, number, bytes(3000))
    gateway.log.commit()
    gateway.reclaimer._high = gateway.reclaimer._low = MIB

    run(gateway.reclaimer._make_room())
    assert gateway.reclaimer.removed == 300
    assert gateway.log.fetch(other, 300) is None
    assert len(gateway.log.read(gateway.peer.author, 0, 0, 1 << 30)) > 100
    gateway.log.close()
