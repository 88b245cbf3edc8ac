"""What a board says of itself once an hour: its health document (SPEC 5.15)."""

import machine

from hedgerow.errors import HedgerowError
from hedgerow.health import write_health
from hedgerow.storage import open_percent

#: The version of all that is in this image.
FIRMWARE = "0.1.0"
_RESETS = ("other", "power-on", "hard", "watchdog", "deep-sleep", "soft")


def tell(peer: object, now: int, report: object) -> None:
    """Write it; in a full log it is left out. Without the voltage where that cannot be read: see `report`."""
    settings = peer.settings
    cause = machine.reset_cause()
    facts = {
        "name": settings["name"],
        "firmware": FIRMWARE,
        "reset": _RESETS[cause if cause < len(_RESETS) else 0],
        "boots": peer.epoch,
        "uptime_s": now // 1000,
        "heap_free": peer.heap_low,
        "log": open_percent(peer.storage()),
        "due_s": max(settings["health_s"], settings["sleep_ms"] // 1000),
    }
    if settings["place"]:
        facts["place"] = settings["place"]
    if peer.suspects:
        facts["suspects"] = [
            [code, ":".join(["%02X" % byte for byte in address[1:]]), count]
            for (code, address), count in sorted(peer.suspects.items())
        ]
        peer.accused = True
    if settings["voltage_pin"] >= 0:
        try:
            facts["voltage_mv"] = _voltage(settings)
        except (ValueError, OSError) as error:
            # A pin that has no ADC, or one that the radio has taken.
            report(HedgerowError("CONFIG_INVALID", "voltage_pin %d: %s" % (settings["voltage_pin"], error)))
    try:
        write_health(peer, facts, now)
    except HedgerowError as error:
        if error.code != "LOG_FULL":
            raise


def _voltage(settings: dict) -> int:
    """Return mV: what the pin reads, times the divider before it."""
    pin = machine.ADC(settings["voltage_pin"], atten=machine.ADC.ATTN_11DB)
    return pin.read_uv() // 1000 * settings["voltage_percent"] // 100
