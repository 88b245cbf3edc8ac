"""Advertising events and scan windows, as arithmetic: which packet of an event a scanner can hear."""

from hedgerow_boards.air.limits import (
    ADV_PDU_SPACING_US,
    ADVERTISING_CHANNELS,
    BYTE_US,
    PACKET_OVERHEAD_BYTES,
)

_ADDRESS_BYTES = 6
_CHANNELS = len(ADVERTISING_CHANNELS)
_LAST_US = (_CHANNELS - 1) * ADV_PDU_SPACING_US


def airtime_us(payload: int) -> int:
    """Of one advertising packet with so many bytes of data."""
    return (PACKET_OVERHEAD_BYTES + _ADDRESS_BYTES + payload) * BYTE_US


def event_us(airtime: int) -> int:
    """From the first bit of an advertising event to its last, on three channels."""
    return _LAST_US + airtime


def open_channel(phase: int, interval: int, window: int, start: int, airtime: int) -> int:
    """Which packet of an event that starts at `start` falls whole into a window; 0 to 2, -1 for none.

    From `phase` on the scanner opens `window` every `interval`, each time on the next channel (Core 5.4
    Vol 6 Part B 4.4.3). An event is shorter than the shortest interval, so that two windows at most matter.
    """
    turn, offset = divmod(start - phase, interval)
    if turn >= 0:
        channel = turn % _CHANNELS
        if offset + channel * ADV_PDU_SPACING_US + airtime <= window:
            return channel
    if offset + _LAST_US < interval or turn < -1:
        return -1
    channel = (turn + 1) % _CHANNELS
    at = offset + channel * ADV_PDU_SPACING_US - interval
    return channel if at >= 0 and at + airtime <= window else -1
