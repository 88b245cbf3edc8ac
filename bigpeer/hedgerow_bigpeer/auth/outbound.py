"""Asking addresses that a setting names: with limits on time and size, and never where it must not reach.

Whoever may set an address could make the Big Peer ask its neighbours (SSRF). So a name is resolved once,
every address that it has must be public, and exactly that one is connected to: what the name says a moment
later does not matter. No redirects, no proxies from the environment.
"""

import asyncio
import ipaddress
import json
import socket
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx

from hedgerow.errors import HedgerowError

from .. import limits

_SCHEMES = {"https": 443, "http": 80}


class Answer(NamedTuple):
    """Status and JSON of an answer; `body` is None if it is no JSON."""

    status: int
    body: Any


class Outbound:
    """Asks; at most `limits.PROVIDER_CALLS_AT_ONCE` at a time. `close` at the end."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(limits.PROVIDER_CALLS_AT_ONCE)
        self._client: httpx.AsyncClient | None = None

    async def ask(
        self, url: str, body: Any = None, *, private: bool, form: dict[str, str] | None = None
    ) -> Answer:
        """GET, or POST a JSON `body` or a `form`. Raises PROVIDER_ADDRESS, PROVIDER_FAILED.

        `private` allows addresses that are not public, and http there.
        """
        try:
            async with asyncio.timeout(limits.PROVIDER_SECONDS), self._turns:
                return await self._ask(url, body, form, private)
        except TimeoutError:
            raise HedgerowError("PROVIDER_FAILED", f"no answer in {limits.PROVIDER_SECONDS:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise HedgerowError("PROVIDER_FAILED", type(error).__name__) from None

    async def post(
        self, url: str, body: bytes, headers: dict[str, str], *, private: bool
    ) -> tuple[int, dict[str, str]]:
        """POST bytes, and return status and headers of the answer; nobody reads its body. Raises as ask()."""
        try:
            async with asyncio.timeout(limits.PROVIDER_SECONDS), self._turns:
                response = await self._send("POST", url, private, headers, content=body)
                await response.aclose()
                return response.status_code, dict(response.headers)
        except TimeoutError:
            raise HedgerowError("PROVIDER_FAILED", f"no answer in {limits.PROVIDER_SECONDS:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise HedgerowError("PROVIDER_FAILED", type(error).__name__) from None

    async def _send(
        self, method: str, url: str, private: bool, more: dict[str, str], **content: Any
    ) -> httpx.Response:
        """Connect to the one address that was judged, and begin to read the answer."""
        host, port = check_url(url, private=private)
        address = await _resolve(host, port, private)
        parts = httpx.URL(url)
        headers = {"host": parts.netloc.decode("ascii"), "accept-encoding": "identity", **more}
        if self._client is None:
            self._client = httpx.AsyncClient(
                trust_env=False,
                follow_redirects=False,
                timeout=limits.PROVIDER_SECONDS,
                # A connection is to an address; another name there has another certificate.
                limits=httpx.Limits(max_keepalive_connections=0),
            )
        request = self._client.build_request(
            method,
            parts.copy_with(host=address),
            headers=headers,
            extensions={"sni_hostname": host},
            **content,
        )
        return await self._client.send(request, stream=True)

    async def _ask(self, url: str, body: Any, form: dict[str, str] | None, private: bool) -> Answer:
        method = "GET" if body is None and form is None else "POST"
        accept = {"accept": "application/json"}
        response = await self._send(method, url, private, accept, json=body, data=form)
        try:
            data = bytearray()
            async for part in response.aiter_raw():
                data += part
                if len(data) > limits.PROVIDER_ANSWER_BYTES:
                    raise HedgerowError("PROVIDER_FAILED", f"over {limits.PROVIDER_ANSWER_BYTES} bytes")
        finally:
            await response.aclose()
        try:
            return Answer(response.status_code, json.loads(bytes(data)))
        except (ValueError, RecursionError):
            return Answer(response.status_code, None)

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()


def check_url(url: str, *, private: bool) -> tuple[str, int]:
    """Return host and port of an address that may be asked, as far as its text tells.

    Raises PROVIDER_ADDRESS.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or _SCHEMES.get(parts.scheme, 0)
    except ValueError:
        raise HedgerowError("PROVIDER_ADDRESS", "no URL") from None
    if not host or parts.scheme not in _SCHEMES or parts.username is not None or len(url) > 2000:
        raise HedgerowError("PROVIDER_ADDRESS", "https://HOST/PATH is wanted")
    if parts.scheme == "http" and not private:
        raise HedgerowError("PROVIDER_ADDRESS", "only https, unless private addresses are allowed")
    return host, port


async def _resolve(host: str, port: int, private: bool) -> str:
    """Return the address to connect to; every one that the name has must be allowed."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise HedgerowError("PROVIDER_FAILED", f"{host}: no address") from None
    addresses = [str(entry[4][0]) for entry in found]
    if not private:
        for address in addresses:
            if not is_public(address):
                raise HedgerowError("PROVIDER_ADDRESS", f"{host} is {address}, which is not public")
    return addresses[0]


def is_public(address: str) -> bool:
    """Say whether an IP address is one of the public internet, also behind IPv4 in IPv6 and NAT64."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in ipaddress.ip_network("64:ff9b::/96"):
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast
