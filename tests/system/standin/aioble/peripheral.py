import asyncio

from .core import ble, register_irq_handler

_connections = {}
_came = None
_newest = None


class Connection:
    def __init__(self, handle):
        self._conn_handle = handle
        self._gone = asyncio.ThreadSafeFlag()

    async def disconnected(self):
        await self._gone.wait()


def _irq(event, data):
    global _newest
    if event == 1:
        _newest = _connections[data[0]] = Connection(data[0])
        _came.set()
    elif event == 2 and data[0] in _connections:
        _connections.pop(data[0])._gone.set()


register_irq_handler(_irq, None)


async def advertise(interval_us, name, services):
    global _came
    _came = _came or asyncio.ThreadSafeFlag()
    uuids = b"".join(bytes(uuid) for uuid in services)
    payload = b"\x02\x01\x06" + bytes((len(uuids) + 1, 3)) + uuids + bytes((len(name) + 1, 9)) + name.encode()
    ble.gap_advertise(interval_us, adv_data=payload)
    await _came.wait()
    return _newest
