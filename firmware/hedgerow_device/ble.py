"""The board's Bluetooth for the firmware: one face, whether aioble is on the board or not.

Without aioble the firmware has `bluetooth` to itself. With it (blebeside.py, loaded only then) an application
has services, advertisements, scans and connections of its own beside ours.
"""

import time

import bluetooth

from hedgerow.limits import const
from hedgerow.sync import gatt

# A credit of 1 KiB, what is not counted beside it, and a hello.
RX_BUFFER = const(2048)
_MTU = const(256)
_CONNECTIONS = const(4)
_EBUSY = const(16)
_END_MS = const(2000)
_POLL_MS = const(10)

_face: object = None


class Face:
    """`irq(event, data)` only copies and returns None; on a board it runs in the middle of anything.

    `rx` and `tx` are the value handles of our service; registering moves them. `generation` rises when
    the radio was switched on or its services were registered anew: nothing is said, scanned, connected then.
    """

    def __init__(self, irq: object):
        self.ble = bluetooth.BLE()
        self.rx = 0
        self.tx = 0
        self.generation = 0
        self._irq = irq

    def start(self) -> None:
        """Switch the radio on, or off and on, and set it up. Raises OSError."""
        ble = self.ble
        if ble.active():
            ble.active(False)
        ble.active(True)
        self._listen()
        ble.config(mtu=_MTU)
        self._register()

    def restart(self) -> None:
        """Switch the radio off and on: its connections are gone then."""
        self.start()

    def tend(self) -> None:
        """Switch the radio on again if somebody has switched it off."""
        if not self.ble.active():
            self.start()

    def advertise(self, interval_us: int, payload: bytes, connectable: bool) -> None:
        """Say this payload from now on; connecting ends it. Raises OSError."""
        # A response that is left out would be the one before.
        self.ble.gap_advertise(interval_us, payload, resp_data=b"", connectable=connectable)

    def hush(self) -> None:
        """Say nothing of ours any more."""
        self.ble.gap_advertise(None)

    def claims(self, conn: int) -> bool:
        """Whether a central that has connected and says nothing may be hung up: nobody else waits for it."""
        return True

    def close(self) -> None:
        """Stop advertising and scanning, end the connections, forget the handler; the radio stays on."""
        if self.ble.active():
            self._unlisten()
            self._halt()

    # ---- what is different beside aioble

    def _listen(self) -> None:
        self.ble.irq(self._irq)

    def _unlisten(self) -> None:
        self.ble.irq(None)

    def _register(self) -> None:
        ((self.rx, self.tx),) = self.ble.gatts_register_services((_service(),))
        self._registered()

    # ---- shared

    def _registered(self) -> None:
        self.ble.gatts_set_buffer(self.rx, RX_BUFFER, True)
        self.generation += 1

    def _halt(self) -> None:
        """Stop all that the radio does; connections end a moment later."""
        ble = self.ble
        ble.gap_advertise(None)
        ble.gap_scan(None)
        try:
            ble.gap_connect(None)
        except OSError:
            pass
        for conn in range(_CONNECTIONS):
            try:
                ble.gap_disconnect(conn)
            except OSError:
                pass

    def _when_still(self, call: object) -> None:
        """Make this call when the radio has come to rest. Raises OSError."""
        self._halt()
        for _ in range(_END_MS // _POLL_MS):
            try:
                return call()
            except OSError as error:
                if error.errno != _EBUSY:
                    raise
            time.sleep_ms(_POLL_MS)
        return call()


def _service() -> tuple:
    uuids = [bluetooth.UUID(text) for text in (gatt.SERVICE, gatt.RX, gatt.TX)]
    return (
        uuids[0],
        ((uuids[1], bluetooth.FLAG_WRITE_NO_RESPONSE), (uuids[2], bluetooth.FLAG_NOTIFY)),
    )


def open(irq: object) -> Face:  # noqa: A001
    """Return the face that this board has; nothing is switched on yet."""
    global _face
    try:
        import aioble  # noqa: F401
    except ImportError:
        _face = Face(irq)
    else:
        from .blebeside import Beside

        _face = Beside(irq)
    return _face


def quiet() -> None:
    """Leave the radio silent, as a person at the REPL wants it."""
    global _face
    if _face is None:
        return
    _face.close()
    _face = None
