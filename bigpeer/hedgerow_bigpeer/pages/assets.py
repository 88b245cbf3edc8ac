"""What pages load: vendored scripts and styles, each with the hash that a browser checks."""

import base64
import json
from importlib.resources import files
from typing import NamedTuple

_ORDER = ("htmx-2.0.11/htmx.min.js", "htmx-ext-sse-2.2.4/sse.min.js", "uplot-1.6.32/uPlot.iife.min.js")
_STYLES = ("uplot-1.6.32/uPlot.min.css",)
_PACKAGE = str(__package__).rpartition(".")[0]


class Asset(NamedTuple):
    """A file below /static, and its SHA-256 as the attribute `integrity` has it."""

    path: str
    integrity: str


class Assets(NamedTuple):
    """What a page loads, in this order."""

    scripts: list[Asset]
    styles: list[Asset]


def assets() -> Assets:
    """Return what static/vendor/vendor.json lists; where each file is from, and its licence, stand there."""
    text = files(_PACKAGE).joinpath("static", "vendor", "vendor.json").read_text(encoding="utf-8")
    hashes = {name: digest for package in json.loads(text) for name, digest in package["files"].items()}

    def found(name: str) -> Asset:
        digest = base64.b64encode(bytes.fromhex(hashes[name])).decode()
        return Asset(f"/static/vendor/{name}", f"sha256-{digest}")

    return Assets([found(name) for name in _ORDER], [found(name) for name in _STYLES])
