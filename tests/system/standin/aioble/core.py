import bluetooth

_irq_handlers = []
_shutdown_handlers = []


def register_irq_handler(irq, shutdown):
    _irq_handlers.append(irq)
    if shutdown:
        _shutdown_handlers.append(shutdown)


def ble_irq(event, data):
    for irq in _irq_handlers:
        answer = irq(event, data)
        if answer is not None:
            return answer


def stop():
    ble.active(False)
    for shutdown in _shutdown_handlers:
        shutdown()


ble = bluetooth.BLE()
ble.irq(ble_irq)
