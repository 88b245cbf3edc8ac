import asyncio

from .core import ble, register_irq_handler

_by_handle = {}


def _irq(event, data):
    if event == 3 and data[1] in _by_handle:
        _by_handle[data[1]]._written.set()


def _shutdown():
    _by_handle.clear()


register_irq_handler(_irq, _shutdown)


class Service:
    def __init__(self, uuid):
        self.uuid = uuid
        self.characteristics = []


class Characteristic:
    def __init__(self, service, uuid, read=False, write=False, write_no_response=False, notify=False):
        self.uuid = uuid
        self.flags = read * 2 | write_no_response * 4 | write * 8 | notify * 16
        self.descriptors = []
        self._value_handle = None
        self._written = asyncio.ThreadSafeFlag()
        service.characteristics.append(self)

    def _registered(self):
        pass

    def read(self):
        return ble.gatts_read(self._value_handle)

    def write(self, data, send_update=False):
        ble.gatts_write(self._value_handle, data, send_update)

    def notify(self, connection, data=None):
        ble.gatts_notify(connection._conn_handle, self._value_handle, data)

    async def written(self):
        await self._written.wait()


class BufferedCharacteristic(Characteristic):
    def __init__(self, service, uuid, max_len=20, append=False, **options):
        super().__init__(service, uuid, **options)
        self._buffer = max_len, append

    def _registered(self):
        ble.gatts_set_buffer(self._value_handle, *self._buffer)


def register_services(*services):
    _by_handle.clear()
    rows = tuple((s.uuid, tuple((c.uuid, c.flags) for c in s.characteristics)) for s in services)
    for service, handles in zip(services, ble.gatts_register_services(rows)):
        for characteristic, handle in zip(service.characteristics, handles):
            characteristic._value_handle = handle
            _by_handle[handle] = characteristic
            characteristic._registered()
