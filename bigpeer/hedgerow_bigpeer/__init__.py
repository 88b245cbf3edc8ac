"""The Big Peer of Hedgerow: sync, store, queries over HTTP, a status page."""

from .app import create_app
from .config import BigPeerConfig
from .server import run_bigpeer

__all__ = ["BigPeerConfig", "create_app", "run_bigpeer"]
