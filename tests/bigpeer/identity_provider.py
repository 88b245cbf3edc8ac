"""An identity provider in a process of its own: OpenID Connect with real JWKS over HTTP, and an auth webhook.

`python identity_provider.py` serves on a free port and prints `ready URL`. `running()` starts it for a test.
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import secrets
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode

import httpx
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

AUDIENCE = "sensors"
CLIENT = "pages"
CLIENT_SECRET = "client-secret-of-the-pages"


class Provider:
    """Its keys, codes, and what was asked of it."""

    def __init__(self) -> None:
        self.url = ""
        self.keys: dict[str, Any] = {}
        self.asked: list[dict[str, Any]] = []
        self.counts: dict[str, int] = {}
        self.codes: dict[str, dict[str, str]] = {}
        self.confused = False
        self.rotate()

    def rotate(self) -> None:
        """Have other keys from now on."""
        number = secrets.token_hex(4)
        self.keys = {
            "RS256": RSAKey.generate_key(2048, {"kid": f"rsa-{number}"}, private=True),
            "ES256": ECKey.generate_key("P-256", {"kid": f"ec-{number}"}, private=True),
        }

    def jwks(self) -> dict[str, Any]:
        return {"keys": [key.as_dict(private=False) for key in self.keys.values()]}

    def sign(self, claims: dict[str, Any], algorithm: str, forge: str) -> str:
        """Return a token; `forge` names a way to make a bad one."""
        now = int(time.time())
        said = {"iss": self.url, "aud": AUDIENCE, "iat": now, "exp": now + 300, "sub": "ann", **claims}
        said = {name: value for name, value in said.items() if value is not None}
        if forge == "none":
            parts = [json.dumps({"alg": "none"}), json.dumps(said), ""]
            return ".".join(_base64(part.encode()) for part in parts)
        if forge == "secret":
            # The public key as the secret of an HMAC: what a careless verifier takes.
            public = self.keys["RS256"]
            parts = [json.dumps({"alg": "HS256", "kid": public.kid}), json.dumps(said)]
            signed = ".".join(_base64(part.encode()) for part in parts)
            return f"{signed}.{_base64(hmac.digest(public.as_pem(private=False), signed.encode(), 'sha256'))}"
        key = self.keys[algorithm]
        if forge == "other":
            key = RSAKey.generate_key(2048, {"kid": key.kid}, private=True)
        return jwt.encode({"alg": algorithm, "kid": key.kid}, said, key)


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


provider = Provider()
app = FastAPI()


@app.middleware("http")
async def count(request: Request, call_next: Any) -> Any:
    provider.counts[request.url.path] = provider.counts.get(request.url.path, 0) + 1
    return await call_next(request)


@app.get("/.well-known/openid-configuration")
async def discovery() -> dict[str, Any]:
    return {
        "issuer": provider.url,
        "jwks_uri": f"{provider.url}/jwks",
        "authorization_endpoint": f"{provider.url}/authorize",
        "token_endpoint": f"{provider.url}/token",
    }


@app.get("/jwks")
async def jwks() -> dict[str, Any]:
    return provider.jwks()


@app.post("/sign")
async def sign(request: Request) -> dict[str, str]:
    body = await request.json()
    return {"token": provider.sign(body["claims"], body["algorithm"], body["forge"])}


@app.post("/rotate")
async def rotate() -> dict[str, str]:
    provider.rotate()
    return {}


@app.post("/confuse")
async def confuse() -> dict[str, str]:
    provider.confused = True
    return {}


@app.get("/seen")
async def seen() -> dict[str, Any]:
    return {"asked": provider.asked, "counts": provider.counts}


@app.post("/hook")
async def hook(request: Request) -> Response:
    """The webhook: the token is the JSON to answer, or the name of a way to misbehave."""
    body = await request.json()
    provider.asked.append(body)
    token = body["token"]
    if token == "slow":
        await asyncio.sleep(30)
    if token == "huge":
        whole = {"authenticated": True, "expirationSeconds": 600, "userID": "ann", "more": "x" * 100_000}
        return JSONResponse(whole)
    if token == "away":
        return RedirectResponse(f"{provider.url}/seen", 302)
    if token == "broken":
        return Response(b"<html>", 200)
    if token == "status":
        return Response(b"{}", 500)
    if token == "unknown":
        return JSONResponse({"authenticate": False, "userInfo": "Incorrect token"}, 401)
    return Response(token.encode(), media_type="application/json")


@app.get("/authorize")
async def authorize(request: Request) -> Response:
    """Log in whoever comes, as the user that login_hint names."""
    asked = dict(request.query_params)
    code = secrets.token_urlsafe(16)
    provider.codes[code] = asked
    return RedirectResponse(
        f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}", 303
    )


@app.post("/token")
async def token(request: Request) -> Response:
    form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
    asked = provider.codes.pop(form.get("code", ""), None)
    verifier = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
    challenge = _base64(verifier)
    if asked is None or asked["code_challenge"] != challenge or form["client_secret"] != CLIENT_SECRET:
        return JSONResponse({"error": "invalid_grant"}, 400)
    nonce = "another" if provider.confused else asked["nonce"]
    provider.confused = False
    claims = {"aud": CLIENT, "nonce": nonce, "sub": "olga", "hedgerow_role": "operator"}
    return JSONResponse(
        {"id_token": provider.sign(claims, "RS256", ""), "access_token": "x", "token_type": "bearer"}
    )


class Running:
    """The process, and what a test asks of it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def token(self, algorithm: str = "RS256", forge: str = "", **claims: Any) -> str:
        """Return a signed token; a claim of None is left out."""
        body = {"claims": claims, "algorithm": algorithm, "forge": forge}
        return str(httpx.post(f"{self.url}/sign", json=body, timeout=60).json()["token"])

    def rotate(self) -> None:
        """Let it have other keys."""
        httpx.post(f"{self.url}/rotate", timeout=60)

    def confuse(self) -> None:
        """Let the next login have the nonce of another."""
        httpx.post(f"{self.url}/confuse", timeout=60)

    def seen(self) -> dict[str, Any]:
        """Return what was asked of the webhook, and how often each path was asked for."""
        body: dict[str, Any] = httpx.get(f"{self.url}/seen", timeout=60).json()
        return body


@contextlib.contextmanager
def running() -> Iterator[Running]:
    """Serve in another process within the block."""
    process = subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            line = process.stdout.readline().decode() if selector.select(30) else ""
        assert line.startswith("ready "), "the identity provider did not start"
        yield Running(line.split()[1])
    finally:
        process.kill()
        process.wait(20)
        process.stdout.close()


def main() -> None:
    """Serve until killed."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
    listener = socket.create_server(("127.0.0.1", 0))
    provider.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    print(f"ready {provider.url}", flush=True)
    server.run(sockets=[listener])


if __name__ == "__main__":
    main()
