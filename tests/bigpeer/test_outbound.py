"""Where the Big Peer asks identity providers, and where it must not reach."""

import asyncio
import socket
from typing import Any

import pytest

from hedgerow.errors import HedgerowError
from hedgerow_bigpeer.auth import outbound
from hedgerow_bigpeer.auth.outbound import Outbound, check_url, is_public


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.9.9.9",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "192.0.2.1",
        "::1",
        "::",
        "fe80::1%eth0",
        "fc00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "2001:db8::1",
    ],
)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"])
def test_addresses_that_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "login.example",
        "ftp://login.example/",
        "file:///etc/passwd",
        "http://login.example/",
        "https:///path",
        "https://user:word@login.example/",
        "https://[::1",
        "https://login.example:port/",
        "https://x/" + "y" * 2000,
    ],
)
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(HedgerowError, match="PROVIDER_ADDRESS"):
        check_url(url, private=False)


def ask(
    monkeypatch: pytest.MonkeyPatch, addresses: list[str], url: str = "https://login.example/"
) -> list[str]:
    """Ask an address whose name has these addresses; return the hosts that were connected to."""
    connected: list[str] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()

        async def getaddrinfo(host: str, port: int, **more: Any) -> list[Any]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

        monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
        asked = Outbound()
        try:
            await asked.ask(url, private=False)
        finally:
            await asked.close()

    async def send(self: Any, request: Any, **more: Any) -> Any:
        connected.append(request.url.host)
        assert request.headers["host"] == "login.example"
        assert request.extensions["sni_hostname"] == "login.example"
        raise outbound.httpx.ConnectError("far enough")

    monkeypatch.setattr(outbound.httpx.AsyncClient, "send", send)
    try:
        asyncio.run(run())
    except HedgerowError as error:
        if error.code == "PROVIDER_ADDRESS":
            assert connected == []
            raise
    return connected


def test_the_address_that_was_judged_is_the_one_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(monkeypatch, ["93.184.216.34"]) == ["93.184.216.34"]
    assert ask(monkeypatch, ["2606:4700:4700::1111"]) == ["2606:4700:4700::1111"]


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["93.184.216.34", "10.0.0.1"], ["169.254.169.254"]])
def test_a_name_that_points_inside(monkeypatch: pytest.MonkeyPatch, addresses: list[str]) -> None:
    with pytest.raises(HedgerowError, match="PROVIDER_ADDRESS"):
        ask(monkeypatch, addresses)


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1/", "https://[::1]/", "https://2130706433/", "https://0x7f.1/"]
)
def test_an_address_that_is_inside_however_it_is_written(url: str) -> None:
    async def run() -> None:
        asked = Outbound()
        try:
            await asked.ask(url, private=False)
        finally:
            await asked.close()

    with pytest.raises(HedgerowError) as caught:
        asyncio.run(run())
    assert (
        caught.value.code in ("PROVIDER_ADDRESS", "PROVIDER_FAILED") and "not public" in caught.value.detail
    )
