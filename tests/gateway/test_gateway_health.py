"""A gateway's health document: what it says, when, and that a log which takes it not ends nothing."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from gateway_kit import config, run, until

from hedgerow.codec.schema import HEALTH
from hedgerow.errors import HedgerowError
from hedgerow.log import ENTRY_OP
from hedgerow.operation import CLOCK, decode_body
from hedgerow_gateway import Gateway
from hedgerow_gateway import health as told
from hedgerow_gateway.suspects import Suspects


def documents(gateway: Gateway) -> list[dict[str, Any]]:
    peer = gateway.peer
    found = []
    for kind, _, _, body in peer.log.read(peer.author, 0, 0, 1 << 20):
        for change in decode_body(body)[1] if kind == ENTRY_OP else []:
            if change[0] != CLOCK and peer.schemas[change[1]].collection == HEALTH:
                assert change[2] == peer.author
                found.append(peer.schemas[change[1]].unpack(change[3]))
    return found


def test_a_gateway_tells_its_health_again_and_again(tmp_path: Path) -> None:
    async def main() -> None:
        gateway = Gateway(config(tmp_path, health_s=0.05, place="geo:48.2,16.3", name="barn"))
        task = asyncio.create_task(gateway.run())
        await until(lambda: len(documents(gateway)) >= 3, "three health documents")
        first = documents(gateway)[0]
        gateway.stop()
        await task
        named = {"name": "barn", "place": "geo:48.2,16.3", "firmware": told.firmware(), "boots": 1}
        assert named.items() <= first.items()
        assert (first["log"], first["uptime_s"]) == (0, 0)

    run(main())


def test_a_log_that_takes_none_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def refuse(*args: object) -> int:
        calls.append(args)
        raise HedgerowError("LOG_FULL", "no room")

    monkeypatch.setattr(told, "write_health", refuse)

    async def main() -> None:
        gateway = Gateway(config(tmp_path, health_s=0.05))
        task = asyncio.create_task(gateway.run())
        await until(lambda: len(calls) >= 2, "asked again")
        assert not task.done()
        gateway.stop()
        await task

    run(main())


def test_a_log_whose_size_cannot_be_read_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        gateway = Gateway(config(tmp_path, health_s=0.05))
        telling = told.tell_health(
            gateway.config, gateway.peer, tmp_path / "unmounted", gateway.clock.now, Suspects()
        )
        task = asyncio.create_task(telling)
        await until(lambda: len(documents(gateway)) >= 2 or task.done(), "two health documents")
        assert not task.done()
        task.cancel()
        for document in documents(gateway):
            assert "log" not in document and document["boots"] == 1
        gateway.log.close()

    run(main())
    assert "unmounted" in caplog.text


def test_none_is_written_in_the_first_minute_or_where_that_is_switched_off(tmp_path: Path) -> None:
    async def main(health_s: int) -> int:
        gateway = Gateway(config(tmp_path / str(health_s), health_s=health_s))
        now = iter((0, 59_999, 60_000, 60_001, 3_659_999, 3_660_000))

        def clock() -> int:
            try:
                return next(now)
            except StopIteration:
                raise asyncio.CancelledError from None

        monkey = pytest.MonkeyPatch()
        with monkey.context() as patch:
            patch.setattr("hedgerow_gateway.limits.HEALTH_LOOK_S", 0)
            try:
                await told.tell_health(gateway.config, gateway.peer, gateway.log.path, clock, Suspects())
            except asyncio.CancelledError:
                pass
        uptimes = [document["uptime_s"] for document in documents(gateway)]
        assert uptimes == ([60, 3660] if health_s else [])
        gateway.log.close()
        return len(uptimes)

    assert [run(main(3600)), run(main(0))] == [2, 0]
