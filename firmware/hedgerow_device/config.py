"""The board's configuration: /hedgerow.json, checked (every field has a default but the name)."""

import json

from hedgerow import limits
from hedgerow.errors import HedgerowError
from hedgerow.limits import const
from hedgerow.mesh import pace

PATH = "/hedgerow.json"

_MAX_FILE = const(2048)
# Characters at least of a mesh's secret: nobody is to try them all.
_SECRET = const(20)
_ROLES = ("leaf", "relay", "radio")
_SECURITY = ("auto", "keys", "none")
# name: (type, default, lowest, highest); for texts the bounds are those of the length
_FIELDS = {
    "name": (str, None, 1, limits.MAX_PEER_NAME),
    "collection": (str, "readings", 1, limits.MAX_NAME),
    "field": (str, "value", 1, limits.MAX_NAME),
    "interval_ms": (int, 1000, 20, 86400000),
    "readings": (int, 0, 0, limits.MAX_NUMBER),
    "mesh": (str, "demo", 1, 64),
    "role": (str, "relay", 1, 8),
    "security": (str, "auto", 1, 8),
    "sleep_ms": (int, 0, 0, 604800000),
    "window_ms": (int, 1000, 0, 60000),
    "seal_s": (int, pace.SEAL_MS // 1000, 1, 86400),
    "budget_mah": (int, 0, 0, 100000),
    "radio_watchdog_s": (int, 60, 0, 86400),
    "watchdog_ms": (int, 30000, 0, 600000),
    "health_s": (int, 3600, 0, 604800),
    "place": (str, "", 0, 64),
    "voltage_pin": (int, -1, -1, 63),
    "voltage_percent": (int, 100, 1, 10000),
    "confidential": (bool, False, 0, 1),
}
_POLICIES = ("refuse", "oldest", "thin")
_COLLECTIONS = const(16)
_SENSOR = {
    "address": (int, 0x48, 8, 0x77),
    "bus": (int, 0, 0, 1),
    "sda": (int, -1, -1, 63),
    "scl": (int, -1, -1, 63),
}


def load(path: str = PATH) -> dict:
    """Return the configuration; CONFIG_MISSING, or CONFIG_INVALID with what is wrong."""
    try:
        with open(path) as file:
            text = file.read(_MAX_FILE + 1)
    except OSError:
        raise HedgerowError("CONFIG_MISSING", path)
    if len(text) > _MAX_FILE:
        raise HedgerowError("CONFIG_INVALID", "longer than %d characters" % _MAX_FILE)
    try:
        values = json.loads(text)
    except ValueError:
        raise HedgerowError("CONFIG_INVALID", "not JSON")
    return check(values)


def check(values: object) -> dict:
    """Return the values with defaults filled in; CONFIG_INVALID for what breaks a rule."""
    if not isinstance(values, dict):
        raise HedgerowError("CONFIG_INVALID", "not an object")
    sensor = values.get("sensor", {})
    if not isinstance(sensor, dict):
        raise HedgerowError("CONFIG_INVALID", "sensor")
    known = _check(_FIELDS, values, ("sensor", "full"))
    if known["role"] not in _ROLES:
        raise HedgerowError("CONFIG_INVALID", "role: leaf, relay or radio")
    if known["security"] not in _SECURITY:
        raise HedgerowError("CONFIG_INVALID", "security: auto, keys or none")
    secret = known["mesh"].split(":", 1)
    if len(secret) > 1 and (not secret[0] or len(secret[1]) < _SECRET):
        raise HedgerowError("CONFIG_INVALID", "mesh: a name, and a secret of 20 characters")
    if known["field"] in ("board", "n"):
        raise HedgerowError("CONFIG_INVALID", "field: board and n have their meaning")
    known["sensor"] = _check(_SENSOR, sensor, ())
    known["full"] = _check_full(values.get("full", {}), known["collection"])
    return known


def _check_full(full: object, collection: str) -> dict:
    """Return what becomes of collections when the log is full: one word stands for the recorder's own."""
    if isinstance(full, str):
        full = {collection: full}
    if not isinstance(full, dict) or len(full) > _COLLECTIONS:
        raise HedgerowError("CONFIG_INVALID", "full: a policy, or an object of them by collection")
    for name in full:
        if not 0 < len(name) <= limits.MAX_NAME or full[name] not in _POLICIES:
            raise HedgerowError("CONFIG_INVALID", "full: %s is refuse, oldest or thin" % name)
    return full


def _check(fields: dict, values: dict, besides: tuple) -> dict:
    for name in values:
        if name not in fields and name not in besides:
            raise HedgerowError("CONFIG_INVALID", "%s: not known" % name)
    known = {}
    for name in fields:
        kind, default, low, high = fields[name]
        value = values.get(name, default)
        wrong = not isinstance(value, kind) or (kind is not bool and isinstance(value, bool))
        if wrong or not low <= (len(value) if kind is str else value) <= high:
            raise HedgerowError("CONFIG_INVALID", name)
        known[name] = value
    return known
