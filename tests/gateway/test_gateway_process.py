"""The gateway as a process: it starts, says so to systemd, stops on a signal, and survives SIGKILL."""

import asyncio
import json
import signal
import socket
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from gateway_kit import BigPeer, config, listening, reading, run, until

from hedgerow.errors import HedgerowError
from hedgerow_gateway import Gateway, open_peer
from hedgerow_gateway.notify import Notifier


async def start(data: Path, uplink: str, http: str, **environment: str) -> asyncio.subprocess.Process:
    script = str(Path(__file__).with_name("gateway_process.py"))
    return await asyncio.create_subprocess_exec(
        sys.executable, script, str(data), uplink, http, stderr=asyncio.subprocess.PIPE, env=environment
    )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_tells_systemd_and_stops_on_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    async def main() -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
            systemd.bind(str(tmp_path / "notify"))
            systemd.setblocking(False)
            process = await start(
                tmp_path / "data",
                "ws://127.0.0.1:1/",
                f"127.0.0.1:{free_port()}",
                NOTIFY_SOCKET=str(tmp_path / "notify"),
                WATCHDOG_USEC="100000",
            )
            loop = asyncio.get_running_loop()
            assert await loop.sock_recv(systemd, 100) == b"READY=1"
            assert await loop.sock_recv(systemd, 100) == b"WATCHDOG=1"
            process.send_signal(number)
            _, complaints = await process.communicate()
            assert process.returncode == 0, complaints.decode()
            assert b"Traceback" not in complaints

    run(main())


def test_killed_in_the_middle_of_a_transfer_it_loses_and_doubles_nothing(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with open_peer(data / "gateway.db", name="gw") as peer:
        author = peer.author
        for n in range(1500):
            peer.insert("readings", reading(n))

    async def main() -> None:
        big = BigPeer()
        async with listening(big) as url:
            kills = 0
            while kills < 4:
                process = await start(data, url, "127.0.0.1:0")
                big.messages = 0
                await until(lambda: big.messages >= 3, "a transfer under way")
                process.kill()
                await process.communicate()
                kills += 1
            process = await start(data, url, "127.0.0.1:0")
            await until(lambda: big.peer.receipted(author) >= 1500 + kills, "all there, sealed")
            process.terminate()
            await process.communicate()
            assert big.errors == []
            numbers = big.numbers(author)
            assert numbers == list(range(1, len(numbers) + 1))
        with open_peer(data / "gateway.db", name="gw") as peer:
            assert peer.author == author
            assert len(numbers) <= peer.status()[author]["held"]

    run(main())


def test_the_pages(tmp_path: Path) -> None:
    async def main() -> None:
        gateway = Gateway(config(tmp_path, http="127.0.0.1:0", uplink="ws://127.0.0.1:1/"))
        task = asyncio.create_task(gateway.run())
        await until(lambda: gateway.url is not None, "served")

        def get(path: str) -> tuple[str, str]:
            with urllib.request.urlopen(f"{gateway.url}{path}", timeout=5) as answer:
                return answer.read().decode(), answer.headers["content-type"]

        status = json.loads((await asyncio.to_thread(get, "/status"))[0])
        assert status["security"] == "no security yet"
        assert status["uplink"]["connected"] is False
        assert status["authors"][0]["author"] == status["author"] == gateway.peer.author.hex()
        assert status["authors"][0]["held"] == 2, "boot and time"
        assert json.loads((await asyncio.to_thread(get, "/healthz"))[0]) == {"ok": True}
        text, kind = await asyncio.to_thread(get, "/metrics")
        assert kind.startswith("text/plain; version=0.0.4")
        assert "hedgerow_gateway_operations_held 2\n" in text
        assert "# TYPE hedgerow_gateway_beacons_total counter\n" in text
        # A page whose name leads here now is not shown what its browser sees.
        port = str(gateway.url).rpartition(":")[2]
        for header, value in (("Host", f"evil.example:{port}"), ("Origin", "http://evil.example")):
            for path in ("/status", "/metrics", "/healthz"):
                asked = urllib.request.Request(f"{gateway.url}{path}", headers={header: value})
                with pytest.raises(urllib.error.HTTPError) as refused:
                    await asyncio.to_thread(urllib.request.urlopen, asked, timeout=5)
                assert refused.value.code == 403
                refused.value.close()
        named = urllib.request.Request(f"{gateway.url}/healthz", headers={"Host": f"localhost:{port}"})
        with await asyncio.to_thread(urllib.request.urlopen, named, timeout=5) as answer:
            assert answer.status == 200
        gateway.stop()
        await task

    run(main())


def test_an_address_that_is_taken_is_a_coded_error(tmp_path: Path) -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            gateway = Gateway(config(tmp_path, http=f"127.0.0.1:{taken.getsockname()[1]}"))
            with pytest.raises(HedgerowError, match="HTTP_BIND"):
                await gateway.run()

    run(main())


def test_without_systemd_nothing_is_said() -> None:
    assert Notifier({}).send("READY=1") is False
    assert Notifier({"NOTIFY_SOCKET": "/nowhere/at/all"}).send("READY=1") is False
