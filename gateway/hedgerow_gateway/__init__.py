"""Hedgerow's gateway: BLE central, SQLite log and uplink to a Big Peer, on a Pi or a laptop."""

from .config import GatewayConfig
from .gateway import Gateway, run_gateway
from .local import LocalPeer, open_peer

__all__ = ["Gateway", "GatewayConfig", "LocalPeer", "open_peer", "run_gateway"]
