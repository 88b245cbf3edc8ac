"""The gateway's settings; every one stands in the documentation, and a test says so."""

import socket
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from bleak.backends.client import BaseBleakClient
from bleak.backends.scanner import BaseBleakScanner

from hedgerow.errors import HedgerowError
from hedgerow.limits import MAX_PEER_NAME
from hedgerow_host.loopback import LOOPBACK

from . import clock, limits
from .adapter import PowerCycle
from .host_radio import Voice

# Settings of `radio`; USB is followed by the serial port.
AUTO = "auto"
BLUEZ = "bluez"
NONE = "none"
OFF = "off"
USB = "usb:"
IDENTITY = "identity.json"


def check_uplink(name: str, url: str | None, *, plain: bool = False) -> None:
    """Refuse a setting of this name that is no address of a Big Peer: SETTING_INVALID.

    ws:// is for this machine alone, unless it may be `plain`: a network could read and change what goes by.
    """
    if url is None:
        return
    if not url.startswith(("ws://", "wss://")):
        raise HedgerowError("SETTING_INVALID", f"{name}: {url} is no ws:// or wss:// address")
    try:
        host = urlsplit(url).hostname
    except ValueError:
        host = None
    if url.startswith("ws://") and not plain and host not in LOOPBACK:
        raise HedgerowError("SETTING_INVALID", f"{name}: {url} is not loopback: wss://, or allow plain")


def name_of_mesh(mesh: str) -> str:
    """Return what of a setting `mesh` is shown: the part before the secret."""
    return mesh.partition(":")[0]


def host_name() -> str:
    """Return this host's name, cut to what a hello may carry."""
    return socket.gethostname()[:MAX_PEER_NAME]


def _has_port(radio: str) -> bool:
    return radio.startswith(USB) and len(radio) > len(USB)


@dataclass(frozen=True, kw_only=True)
class GatewayConfig:
    """Everything that can be set. Raises HedgerowError("SETTING_INVALID") for what makes no sense."""

    data: Path
    uplink: str | None = None
    plain_uplink: bool = False
    identity: Path | None = None
    board_keys: bool = False
    mesh: str = "demo"
    name: str = field(default_factory=host_name)
    http: str | None = "127.0.0.1:8090"
    time: str = clock.KERNEL
    keeper: bool = False
    radio: str = AUTO
    adapter: str | None = None
    max_connections: int = 3
    hold_off_ms: int = limits.HOLD_OFF_MS
    pause_scan: bool = False
    silence_s: float = limits.SILENCE_S
    connect_s: float = limits.CONNECT_S
    call_s: float = limits.CALL_S
    session_s: float = limits.SESSION_S
    stall_s: float = limits.STALL_S
    linger_ms: int = limits.LINGER_MS
    log_bytes: int = limits.LOG_BYTES_DEFAULT
    health_s: int = 3600
    place: str = ""
    uplink_first_pause_s: float = limits.BACKOFF_FIRST_S
    uplink_max_pause_s: float = limits.BACKOFF_MAX_S
    scanner_backend: type[BaseBleakScanner] | None = None
    client_backend: type[BaseBleakClient] | None = None
    voice: Voice | None = None
    power_cycle: PowerCycle | None = None

    def __post_init__(self) -> None:
        check_uplink("uplink", self.uplink, plain=self.plain_uplink)
        if self.time not in (clock.KERNEL, clock.TRUST):
            raise HedgerowError("SETTING_INVALID", f"time: {self.time} is neither kernel nor trust")
        if self.radio not in (AUTO, BLUEZ, NONE, OFF) and not _has_port(self.radio):
            raise HedgerowError(
                "SETTING_INVALID", f"radio: {self.radio} is none of auto, bluez, usb:PORT, none, off"
            )
        if self.keeper and self.uplink is not None:
            raise HedgerowError("SETTING_INVALID", "keeper: with an uplink the Big Peer is the keeper")
        if self.keeper and self.identity_path() is not None:
            # Enrolled boards are given the Big Peer's keys: receipts of this one would free nothing there.
            raise HedgerowError("SETTING_INVALID", "keeper: enrolled boards know a Big Peer's keys alone")
        if self.board_keys and self.identity_path() is None:
            raise HedgerowError("SETTING_INVALID", "board_keys: there is no identity")
        name, colon, secret = self.mesh.partition(":")
        if colon and len(secret) < limits.MESH_SECRET:
            raise HedgerowError("SETTING_INVALID", f"mesh: a secret has {limits.MESH_SECRET} characters")
        if not name or len(self.name) > MAX_PEER_NAME:
            raise HedgerowError(
                "SETTING_INVALID", f"mesh is empty, or name is over {MAX_PEER_NAME} characters"
            )
        if len(self.place) > limits.PLACE_CHARACTERS:
            raise HedgerowError("SETTING_INVALID", f"place: over {limits.PLACE_CHARACTERS} characters")
        for setting, low, high in _RANGES:
            if not low <= getattr(self, setting) <= high:
                raise HedgerowError("SETTING_INVALID", f"{setting}: not within {low:g} and {high:g}")
        if self.http is not None:
            self.http_address()

    def identity_path(self) -> Path | None:
        """Return the file of keys and credential, None for a gateway of a playground."""
        beside = self.data / IDENTITY
        return self.identity or (beside if beside.exists() else None)

    def http_address(self) -> tuple[str, int]:
        """Return host and port of the status server; port 0 means any free one."""
        host, _, port = (self.http or "").rpartition(":")
        host = host.strip("[]")
        if not host or not port.isdecimal() or int(port) > 0xFFFF:
            raise HedgerowError("SETTING_INVALID", f"http: {self.http} is not HOST:PORT")
        if host not in LOOPBACK:
            raise HedgerowError("SETTING_INVALID", f"http: {host} is not loopback; there is no security yet")
        return host, int(port)


_RANGES: tuple[tuple[str, float, float], ...] = (
    ("max_connections", 1, limits.CONNECTIONS_MAX),
    ("silence_s", 0.05, limits.SILENCE_MAX_S),
    ("connect_s", 0.05, 120),
    ("call_s", 0.05, 120),
    ("session_s", 0.05, 86_400),
    ("stall_s", 0.05, 600),
    ("hold_off_ms", 0, 3_600_000),
    ("linger_ms", 0, 60_000),
    ("log_bytes", limits.LOG_BYTES_MIN, 1 << 43),
    ("health_s", 0, 604_800),
    ("uplink_first_pause_s", 0.01, 3600),
    ("uplink_max_pause_s", 0.01, 3600),
)
