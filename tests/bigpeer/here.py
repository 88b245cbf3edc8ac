"""A Big Peer on a real port in a thread of this process, so that a test can take a guard out of it."""

import contextlib
import threading
from pathlib import Path
from typing import Any

import uvicorn

from hedgerow_bigpeer import BigPeerConfig, create_app
from hedgerow_bigpeer.app import BigPeer, peer_of
from hedgerow_bigpeer.server import _bind, _loop, _Server


class _Quiet(_Server):
    """One that the signals of the process are no concern of."""

    capture_signals = staticmethod(contextlib.nullcontext)  # type: ignore[assignment]


class Here:
    """Serves as bigpeer_harness.Remote does; `peer` is what runs, for a look at it."""

    def __init__(self, directory: Path, **options: Any) -> None:
        config = BigPeerConfig(data=directory, port=0, full_sync=False, **options)
        app = create_app(config)
        listener = _bind(config)
        self.url = "http://{}:{}".format(*listener.getsockname()[:2])
        self.sync_url = self.url.replace("http", "ws") + "/api/hedgerow/v1/sync"
        ready = threading.Event()
        self._server: uvicorn.Server = _Quiet(config, app, self.url, lambda _: ready.set())
        loop = _loop()

        def serve() -> None:
            with listener:
                loop.run_until_complete(self._server.serve(sockets=[listener]))
            loop.close()

        self._thread = threading.Thread(target=serve, daemon=True)
        self._thread.start()
        assert ready.wait(20)
        self.peer: BigPeer = peer_of(app)

    def kill(self) -> None:
        """End it in order: a thread cannot be killed."""
        self._server.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive()
