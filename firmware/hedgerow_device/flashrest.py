"""Giving back what a log on flash needs seldom, where that holds nothing that flash does not tell."""

from .modules import unload

_SELDOM = (
    "hedgerow_device.flashmissing hedgerow_device.flashmount hedgerow_device.flashfind "
    "hedgerow_device.flashcursor hedgerow_device.flashrepair hedgerow_device.flashmoved "
    "hedgerow_device.flashstorage hedgerow_device.flashplaces "
)
# Each append may have use for these while the ring is nearly full.
_COLLECTING = (
    "hedgerow_device.flashcollect hedgerow_device.flashreclaim hedgerow_device.flashchange "
    "hedgerow_device.flashsummary hedgerow_device.flashthin "
)


def rest(log: object) -> None:
    """Forget tables that are empty, who collects while there is room, and their modules.

    Nobody may be in the middle of a step of the log.
    """
    names = _SELDOM
    more = log.more
    if more and not (more.ranges or more.cuts or more.stale or log.totals[0] or log.totals[2]):
        more = log.more = None
    if not more:
        # The one holds on to the other.
        names += "hedgerow_device.flashbeside hedgerow_device.flashscan "
    if log.ring.free() - log.spare > log.band():
        # What was refused when it was full is worked out again when it is full again.
        log.gathering = None
        names += _COLLECTING
    unload(names)
