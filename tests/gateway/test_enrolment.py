"""A gateway's identity: broken answers when the credential is renewed, broken files."""

import asyncio
import contextlib
import json
import random
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway_kit import config, run, until
from test_board_keys import enrol

from hedgerow.errors import HedgerowError
from hedgerow_gateway import Gateway, limits
from hedgerow_gateway.enrolment import Enrolment, poster
from hedgerow_gateway.uplink import Uplink

BROKEN = (
    b"GARBAGE\r\n\r\n",
    b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n{"a":',
    b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 60_000,
    b"HTTP/1.1 200 OK\r\n\r\n\xff\xfe",
    b"HTTP/1.1 200 OK\r\n\r\n[]",
    b'HTTP/1.1 401 X\r\n\r\n{"error":[1]}',
    b"HTTP/1.1 401 X\r\n\r\n" + b"[" * 60_000,
    b'HTTP/1.1 401 X\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n{"a":',
)


@contextlib.contextmanager
def answering(data: bytes) -> Iterator[str]:
    """Answer one request after another with these bytes; yields the sync address."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = server.accept()
                with client:
                    client.recv(65_536)
                    client.sendall(data)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"ws://127.0.0.1:{server.getsockname()[1]}/api/hedgerow/v1/sync"
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


@pytest.mark.parametrize("data", BROKEN, ids=range(len(BROKEN)))
def test_an_answer_that_is_broken_is_a_coded_error(data: bytes) -> None:
    with answering(data) as url, pytest.raises(HedgerowError, match="UPLINK_LOST|ENROLMENT_ANSWER"):
        poster(url)("challenge", {})


def test_a_gateway_outlives_who_answers_it_with_rubbish(tmp_path: Path) -> None:
    enrol(tmp_path / "identity.json")

    async def main(url: str) -> None:
        # The credential is over half of its time: each attempt asks for another one first.
        gateway = Gateway(config(tmp_path, uplink=url, radio="off"))
        task = asyncio.create_task(gateway.run())
        assert gateway.uplink is not None
        counters = gateway.uplink.counters
        await until(lambda: counters.failures > 2 or task.done(), "it goes on")
        assert not task.done() and counters.renewals == 0
        gateway.peer.insert("readings", {"n": 1}, gateway.clock.now())
        gateway.stop()
        await task

    with answering(BROKEN[0]) as url:
        run(main(url))


def test_looking_after_the_credential_goes_on_after_any_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "identity.json"
    enrol(path)
    enrolment = Enrolment(path)
    monkeypatch.setattr(limits, "RENEWAL_LOOK_S", 0.01)
    looked: list[str] = []

    class Looking(Uplink):
        async def _renew(self, enrolment: Enrolment) -> None:
            try:
                await super()._renew(enrolment)
            except Exception as error:
                looked.append(str(error))
                raise
            looked.append("")

    async def main() -> None:
        peer: Any = type("", (), {"members": None})()
        uplink = Looking(peer, "ws://127.0.0.1:9/", lambda: 0, random.Random(1), enrolment=enrolment)
        enrolment.due = lambda now_s: False  # type: ignore[method-assign]
        task = asyncio.create_task(uplink._stay_enrolled())
        kept = path.read_text()
        for broken in (None, "{"):
            if broken is None:
                path.unlink()
            else:
                path.write_text(broken)
            await until(lambda: looked and looked[-1].startswith("IDENTITY_FILE"), "noticed")
            path.write_text(kept)
            await until(lambda: not looked[-1], "and looked at again")
        task.cancel()
        await asyncio.wait([task])

    run(main())


@pytest.mark.parametrize(
    "change", [{"issuers": None}, {"issuers": ["!"]}, {"credential": "AAAA"}, {"keys": {}}]
)
def test_a_file_that_is_not_whole_is_a_coded_error(change: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "identity.json"
    enrol(path)
    kept = {**json.loads(path.read_text()), **change}
    for text in (json.dumps(kept), json.dumps({name: value for name, value in kept.items() if value})):
        path.write_text(text)
        with pytest.raises(HedgerowError, match="IDENTITY_FILE"):
            Enrolment(path)
