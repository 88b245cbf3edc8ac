"""The demo's identity provider, a process of its own: it knows the peers by tokens, and what each may do.

`python -m hedgerow_cli.demo.provider PORT FILE`; FILE holds {token: answer} as JSON. It answers the auth
webhook of a Big Peer in the form that Ditto's documentation gives it.
"""

import hmac
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_BODY_BYTES = 65_536


def server(port: int, users: dict[str, Any]) -> ThreadingHTTPServer:
    """Return an HTTP server on loopback; `users` maps tokens to what is answered for them."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Answer for the token in the body, 401 for another one."""
            found = None
            length = int(self.headers.get("Content-Length") or 0)
            if length <= _BODY_BYTES:
                try:
                    asked = str(json.loads(self.rfile.read(length))["token"]).encode()
                except (ValueError, KeyError, TypeError):
                    asked = b""
                found = next(
                    (users[token] for token in users if hmac.compare_digest(token.encode(), asked)), None
                )
            self._answer(200 if found else 401, found or {"authenticate": False, "userInfo": "not known"})

        def do_GET(self) -> None:
            """Say that it is up."""
            self._answer(200, {"status": "up"})

        def _answer(self, status: int, answer: dict[str, Any]) -> None:
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


if __name__ == "__main__":
    from hedgerow_cli import lifeline

    lifeline.obey()
    server(int(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))).serve_forever()
