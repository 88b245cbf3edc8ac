"""The Big Peer's settings; every one stands in the documentation, and a test says so."""

import socket
from dataclasses import dataclass, field
from pathlib import Path

from hedgerow.errors import HedgerowError
from hedgerow.limits import MAX_PEER_NAME
from hedgerow_host.loopback import LOOPBACK

from . import limits


def host_name() -> str:
    """Return this host's name, cut to what a hello may carry."""
    return socket.gethostname()[:MAX_PEER_NAME]


@dataclass(frozen=True, kw_only=True)
class BigPeerConfig:
    """Everything that can be set. Raises HedgerowError("SETTING_INVALID") for what makes no sense."""

    data: Path
    host: str = "127.0.0.1"
    port: int = 8080
    mesh: str = "demo"
    name: str = field(default_factory=host_name)
    clock_error_ms: int = 50
    full_sync: bool = True
    collect_after_days: float = 90
    app: str = "default"
    store: str = ""
    rights_key: Path | None = None
    outbox_days: float = 7
    requests_per_second: float = 200
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    plain: bool = False
    allow_playground: bool = False
    sockets_per_address: int = limits.SOCKETS_PER_ADDRESS

    def __post_init__(self) -> None:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise HedgerowError("SETTING_INVALID", "tls_certificate and tls_key go together")
        if not 0.01 <= self.outbox_days <= 3650:
            raise HedgerowError("SETTING_INVALID", "outbox_days: not within 0.01 and 3650")
        if not 0 <= self.requests_per_second <= 1_000_000:
            raise HedgerowError("SETTING_INVALID", "requests_per_second: not within 0 and 1000000")
        if self.store:
            _check_store(self.store)
        if not self.is_loopback and self.tls_key is None and not self.plain:
            reason = "is not loopback: set tls_certificate and tls_key, or plain where a proxy does TLS"
            raise HedgerowError("SETTING_INVALID", f"host: {self.host} {reason}")
        if not 1 <= self.sockets_per_address <= limits.CONNECTIONS * 2:
            raise HedgerowError(
                "SETTING_INVALID", f"sockets_per_address: not within 1 and {limits.CONNECTIONS * 2}"
            )
        if not 0 <= self.port <= 0xFFFF:
            raise HedgerowError("SETTING_INVALID", f"port: {self.port} is no port")
        if ":" in self.mesh:
            # It is on the air alone that a mesh has a secret.
            raise HedgerowError("SETTING_INVALID", "mesh: its name alone, without the secret of its boards")
        if not self.mesh or len(self.name) > MAX_PEER_NAME:
            raise HedgerowError(
                "SETTING_INVALID", f"mesh is empty, or name is over {MAX_PEER_NAME} characters"
            )
        if not 1 <= self.clock_error_ms <= 3_600_000:
            raise HedgerowError("SETTING_INVALID", "clock_error_ms: not within 1 and 3600000")
        if not 0 <= self.collect_after_days <= 36_500:
            raise HedgerowError("SETTING_INVALID", "collect_after_days: not within 0 and 36500")

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        return self.host in LOOPBACK

    @property
    def bridges_path(self) -> Path:
        """The folder of the files that bridges write."""
        return self.data / "bridges"

    @property
    def store_path(self) -> Path:
        """The database file."""
        return self.data / "bigpeer.db"


def _check_store(url: str) -> None:
    if not url.startswith(("postgresql://", "postgres://")):
        raise HedgerowError("SETTING_INVALID", "store: no URL of PostgreSQL")
    # Its driver is needed by nobody else.
    import psycopg

    from .postgres_line import read_url

    try:
        read_url(url)
    except psycopg.Error as error:
        raise HedgerowError("SETTING_INVALID", f"store: {error}") from None
