"""Current profiles of boards, and the charge that a radio's activity costs by them: as boards reckon it."""

from hedgerow.errors import HedgerowError
from hedgerow.mesh.budget import Profile

_UC_PER_MAH = 3_600_000

# Base: ESP32 27 to 44 mA at 160 MHz (data sheet, table 6, modem sleep), ESP32-C3 20 to 27 mA measured
# (robdobson.com), ESP32-S3 as the ESP32; stock MicroPython never sleeps by itself. Radio: 80 to 100 mA
# while receiving, some 3.5 ms at 100 mA an advertising event, 2 ms at 100 mA each 30 ms while connected.
# Deep sleep: 5 to 10 uA of the chip and as much again of a frugal board. Waking: 3.3 mC to boot and
# 23.6 mC to mount the file system and run the application (glenn20). The light profile is a C3 with
# firmware built for light sleep on the main crystal (esp-idf power_save).
PROFILES = {
    "esp32": Profile(base_ua=40_000, sleep_ua=20, wake_uc=27_000),
    "esp32c3": Profile(base_ua=22_000, sleep_ua=20, wake_uc=27_000),
    "esp32s3": Profile(base_ua=40_000, sleep_ua=20, wake_uc=27_000),
    "esp32s3-psram": Profile(base_ua=40_000, sleep_ua=20, wake_uc=27_000),
    "esp32c3-light": Profile(base_ua=2_300, sleep_ua=20, wake_uc=27_000),
}


def profile(name: str) -> Profile:
    """Raises HedgerowError AIR_PARAMETER for a profile that there is not."""
    found = PROFILES.get(name)
    if found is None:
        raise HedgerowError("AIR_PARAMETER", f"current profile {name!r}")
    return found


def charge_mah(
    board: Profile,
    *,
    on_us: float = 0.0,
    scan_us: float = 0.0,
    advertisements: int = 0,
    connected_us: float = 0.0,
    sleep_us: float = 0.0,
    wakes: int = 0,
) -> dict[str, float]:
    """mAh by what took them: base, rx, tx, link, sleep, wake; `scan_us` is the time with a window open."""
    parts = {
        "base": board.charge(round(on_us / 1000)),
        "rx": board.charge(0, scan_ms=round(scan_us / 1000)),
        "tx": board.charge(0, events=advertisements),
        "link": board.charge(0, connection_ms=round(connected_us / 1000)),
        "sleep": board.charge(0, sleep_ms=round(sleep_us / 1000)),
        "wake": board.charge(0, wakes=wakes),
    }
    return {name: charge / _UC_PER_MAH for name, charge in parts.items()}
