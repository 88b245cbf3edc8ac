"""Our service and our events beside an application's own, through aioble.

aioble has one list of services, one handler, one scan and one advertisement at a time. The application keeps
calling it as its documentation says: here `register_services` adds ours to what it names, its scan takes the
place of ours, and its advertisement is said whenever ours is not.
"""

from aioble import core

from hedgerow.limits import const

from .ble import Face, _service

_CENTRAL_CONNECT = const(1)
_SCAN_DONE = const(6)
_EALREADY = const(114)
_HANDLERS = "_irq_handlers"
_HANDLE = "_value_handle"


class Beside(Face):
    """The face on a board with aioble; of its modules only `core` must be there."""

    def __init__(self, irq: object):
        super().__init__(irq)
        self._services: tuple = ()
        self._theirs: list | None = (
            None  # the application's advertisement: interval, payload, response, connectable
        )
        self._said = [b"", b""]
        self._given = 0  # bits of the connections that aioble has been told of
        self._hides_done = False
        self._undo: list = []
        # One object each: two bound methods of one name need not be equal.
        self._handler = self._first
        self._stop = self._stopped
        self._server = _module("server")
        self._ours = self._make_service() if self._server else None
        self._share()

    def _make_service(self) -> object:
        server = self._server
        uuid, characteristics = _service()
        service = server.Service(uuid)
        server.Characteristic(service, characteristics[0][0], write_no_response=True)
        server.Characteristic(service, characteristics[1][0], notify=True)
        return service

    def _share(self) -> None:
        """Stand between the application and the radio where both use it."""
        import aioble

        try:
            core.register_irq_handler(self._handler, self._stop)
        except TypeError:  # before aioble-core 0.2
            core.register_irq_handler(self._handler)
        # Before the others: some connections are not theirs.
        handlers = getattr(core, _HANDLERS)
        handlers.remove(self._handler)
        handlers.insert(0, self._handler)
        shared = _Shared(self)
        for name in ("peripheral", "central"):
            module = _module(name)
            if module:
                self._replace(module, "ble", shared)
        if self._server:
            self._original = self._server.register_services
            self._replace(self._server, "register_services", self._register_theirs)
            self._replace(aioble, "register_services", self._register_theirs)

    def _replace(self, module: object, name: str, value: object) -> None:
        self._undo.append((module, name, getattr(module, name)))
        setattr(module, name, value)

    # ---- the radio

    def restart(self) -> None:
        """Switch the radio off and on; what the application's characteristics hold is held again."""
        held = []
        for characteristic in self._attributes():
            try:
                held.append((characteristic, characteristic.read()))
            except OSError:
                pass
        self.start()
        for characteristic, value in held:
            characteristic.write(value)

    def _attributes(self) -> list:
        found = []
        for service in self._services:
            for characteristic in service.characteristics:
                found.append(characteristic)
                found.extend(characteristic.descriptors)
        return found

    def _listen(self) -> None:
        self._theirs = None
        self._given = 0
        self.ble.irq(core.ble_irq)

    def _unlisten(self) -> None:
        """Leave aioble as it was."""
        while self._undo:
            module, name, value = self._undo.pop()
            setattr(module, name, value)
        for name, handler in ((_HANDLERS, self._handler), ("_shutdown_handlers", self._stop)):
            handlers = getattr(core, name, ())
            if handler in handlers:
                handlers.remove(handler)

    def _stopped(self) -> None:
        """Take note of aioble.stop(): it has forgotten the application's services."""
        self._services = ()
        self._theirs = None

    # ---- services

    def _register(self) -> None:
        if self._ours is None:
            super()._register()
            return
        # Theirs first: their handles are what they are without us.
        self._original(*self._services, self._ours)
        self.rx, self.tx = [getattr(item, _HANDLE) for item in self._ours.characteristics]
        self._registered()

    def _register_theirs(self, *services: object) -> None:
        """Do what aioble.register_services does, and keep ours."""
        self._services = services
        if self.ble.active():
            self._when_still(self._register)
        else:
            self.start()

    # ---- events

    def _first(self, event: int, data: tuple) -> object:
        """Take an event; the result says whether aioble is to have it too (None) or not."""
        self._irq(event, data)
        if event == _CENTRAL_CONNECT:
            # aioble fails on a connection that no advertise() waits for, and is deaf from then on.
            if self._theirs is None or not self._theirs[3]:
                self._given &= ~(1 << data[0])
                return True
            self._theirs = None
            self._given |= 1 << data[0]
        elif event == _SCAN_DONE and self._hides_done:
            return True
        return None

    def claims(self, conn: int) -> bool:
        """Whether neither the application nor its services can be what a silent central is there for."""
        return not self._services and not self._given >> conn & 1

    # ---- advertising, scanning

    def hush(self) -> None:
        """Say nothing of ours any more: what the application says is said again."""
        if self._theirs is None:
            super().hush()
            return
        interval_us, payload, response, connectable = self._theirs
        try:
            self.ble.gap_advertise(interval_us, payload, resp_data=response, connectable=connectable)
        except OSError:
            super().hush()  # no room for another connection

    def say_theirs(
        self, interval_us: int | None, payload: object, response: object, connectable: bool
    ) -> None:
        """Advertise for the application; None ends it. Raises OSError."""
        self._theirs = None
        if interval_us is not None:
            said = self._said
            said[0] = said[0] if payload is None else bytes(payload)
            said[1] = said[1] if response is None else bytes(response)
            self.ble.gap_advertise(interval_us, said[0], resp_data=said[1], connectable=connectable)
            self._theirs = [interval_us, said[0], said[1], connectable]
        else:
            super().hush()

    def scan_theirs(self, *args: object) -> None:
        """Scan for the application, in place of ours if that is on. Raises OSError."""
        ble = self.ble
        try:
            ble.gap_scan(*args)
        except OSError as error:
            if error.errno != _EALREADY:
                raise
            self._hides_done = True
            try:
                ble.gap_scan(None)
            finally:
                self._hides_done = False
            ble.gap_scan(*args)


class _Shared:
    """`ble` as aioble's advertise and scan have it."""

    def __init__(self, face: Beside):
        self._face = face

    def __getattr__(self, name: str) -> object:
        return getattr(self._face.ble, name)

    def gap_advertise(
        self, interval_us: object = 500000, adv_data: object = None, *,
        resp_data: object = None, connectable: bool = True,
    ) -> None:  # fmt: skip
        self._face.say_theirs(interval_us, adv_data, resp_data, connectable)

    def gap_scan(self, *args: object) -> None:
        self._face.scan_theirs(*args)


def _module(name: str) -> object:
    """Return this module of aioble, None if the board has it without."""
    try:
        return getattr(__import__("aioble." + name), name)
    except (ImportError, AttributeError):
        return None
