"""A board on USB as the gateway's radio: firmware with the role `radio`, lines of hedgerow.sync.usb_line.

The port is opened for us alone, as mpremote does, so a person at the REPL and the gateway keep each other
out. A board that was left at the REPL is started anew; nothing is sent that a running program would take for
more than a stray byte, for the port may lead to another board.
"""

import asyncio
import contextlib
import logging
import random
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import serial

from hedgerow.errors import HedgerowError
from hedgerow.sync import usb_line

from . import limits
from .bounded import Backoff, bounded
from .radio import OnHeard, Radio

logger = logging.getLogger(__name__)

_CONNECTABLE = 0  # ADV_IND (Core Vol 4 Part E 7.7.65.2)
_LEAVE_RAW_REPL = b"\r\x02"
_SOFT_RESET = b"\x04"
_PROMPT = b">>> "
_BAUD = 115_200


class _Port:
    """A serial port whose reader is a thread of its own, for pyserial blocks."""

    def __init__(self, name: str) -> None:
        """Open it without the pulses that reset a board, which some drivers make of DTR and RTS."""
        self._serial: Any = serial.serial_for_url(
            name, baudrate=_BAUD, timeout=limits.USB_READ_S, write_timeout=limits.CALL_S, do_not_open=True
        )
        self._serial.dtr = self._serial.rts = False
        with contextlib.suppress(AttributeError, ValueError):
            self._serial.exclusive = True
        self._serial.open()
        self._ended = threading.Event()

    def read(self, feed: Callable[[bytes], object]) -> None:
        """Hand on what comes until the port is closed here, which returns, or fails, which raises."""
        try:
            while not self._ended.is_set():
                data = self._serial.read(max(1, min(self._serial.in_waiting, limits.USB_CHUNK)))
                if data:
                    feed(data)
        finally:
            self._serial.close()

    def write(self, data: bytes) -> None:
        self._serial.write(data)

    def close(self) -> None:
        self._ended.set()


class UsbRadio(Radio):
    """`port` is a serial port's name or URL, as pyserial takes it.

    `counts` has what the board says of itself (heard, dropped, restarts), and our own reconnects, resets and
    bad lines.
    """

    name = "usb"

    def __init__(self, port: str, on_heard: OnHeard, rng: random.Random) -> None:
        super().__init__(on_heard)
        self.counts: Counter[str] = Counter()
        self._name = port
        self._retry = Backoff(limits.USB_RETRY_S, limits.USB_RETRY_MAX_S, rng)
        self._port: _Port | None = None
        self._lines = usb_line.Lines()
        self._greeted = False
        self._answered = asyncio.Event()
        self._heard_from_at = 0.0
        self._sequence = 0
        self._said: asyncio.Future[int] | None = None
        self._taken = 0
        self._told = 0

    @property
    def speaks(self) -> bool:
        return self._greeted

    def rest_s(self) -> float | None:
        return 0.0 if self._greeted else limits.USB_LOOK_S

    async def run(self) -> None:
        while True:
            try:
                await self._connection()
            except (HedgerowError, serial.SerialException, OSError) as error:
                self.note(HedgerowError("RADIO_USB", f"{self._name}: {error}"))
            self.counts["reconnects"] += 1
            await asyncio.sleep(self._retry.pause())

    async def _connection(self) -> None:
        """Open the port and talk until that fails."""
        loop = asyncio.get_running_loop()
        port = await asyncio.to_thread(_Port, self._name)
        self._lines = usb_line.Lines()
        reading = asyncio.create_task(
            asyncio.to_thread(port.read, lambda data: loop.call_soon_threadsafe(self._feed, data))
        )
        self._port = port
        try:
            await self._greet(reading)
            self._retry.reset()
            logger.info("radio usb: board at %s", self._name)
            await self._keep_alive(reading)
        finally:
            self._greeted = False
            self._port = None
            self._fail_say("the port is closed")
            port.close()
            await asyncio.wait({reading}, timeout=limits.CALL_S)
            if reading.done() and not reading.cancelled():
                reading.exception()

    async def _greet(self, reading: "asyncio.Task[None]") -> None:
        """Ask who is there until the board answers; start it anew if it is at the REPL."""
        self._answered.clear()
        for attempt in range(limits.USB_GREETINGS):
            if attempt:
                await self._write(_LEAVE_RAW_REPL)
                await asyncio.sleep(limits.USB_LOOK_S)
                if self._lines.text.endswith(_PROMPT):
                    self.counts["resets"] += 1
                    await self._write(_SOFT_RESET)
                    await asyncio.sleep(limits.USB_BOOT_S)
            await self._write(usb_line.encode(usb_line.HELLO, bytes([usb_line.VERSION])))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._answered.wait(), limits.USB_ANSWER_S)
                return
            if reading.done():
                await reading
                break
        raise HedgerowError("RADIO_USB", "no answer; is it a board with the role radio?")

    async def _keep_alive(self, reading: "asyncio.Task[None]") -> None:
        """Say how much was taken, and watch that the board goes on talking."""
        while not reading.done():
            await self._tell_taken()
            await asyncio.sleep(limits.USB_KEEP_S)
            silent_s = asyncio.get_running_loop().time() - self._heard_from_at
            if silent_s > limits.USB_SILENCE_S:
                raise HedgerowError("RADIO_USB", f"nothing came for {silent_s:.0f} s")
        await reading

    async def _tell_taken(self) -> None:
        self._told = self._taken
        await self._write(usb_line.encode(usb_line.TAKEN, self._taken.to_bytes(2, "big")))

    async def _write(self, data: bytes) -> None:
        port = self._port
        if port is None:
            raise HedgerowError("RADIO_USB", "the port is closed")
        try:
            await bounded(
                asyncio.to_thread(port.write, data), limits.CALL_S, "RADIO_USB", f"write to {self._name}"
            )
        except (serial.SerialException, OSError) as error:
            raise HedgerowError("RADIO_USB", f"{self._name}: {error}") from error

    # ---- what the board sends

    def _feed(self, data: bytes) -> None:
        self._heard_from_at = asyncio.get_running_loop().time()
        for line in self._lines.feed(data):
            if line[:1] != usb_line.MARK:
                logger.debug("radio usb: %s", line.decode("utf-8", "replace"))
                continue
            try:
                self._obey(*usb_line.decode(line))
            except HedgerowError:
                self.counts["bad_lines"] += 1

    def _obey(self, kind: int, body: bytes) -> None:
        if kind == usb_line.BOARD:
            self._greeted = usb_line.numbers(body, ">B11s")[0] == usb_line.VERSION
            if self._greeted:
                self._taken = self._told = 0
                self._answered.set()
        elif kind == usb_line.HEARD:
            self._take_report(body)
        elif kind == usb_line.SAID:
            sequence, outcome = usb_line.numbers(body, ">BB")
            if self._said is not None and not self._said.done() and sequence == self._sequence:
                self._said.set_result(int(outcome))
        elif kind == usb_line.STATUS:
            for name, number in zip(
                ("heard", "dropped", "restarts"), usb_line.numbers(body, ">III"), strict=True
            ):
                self.counts[name] = int(number)

    def _take_report(self, body: bytes) -> None:
        address, rssi, kind, payload = usb_line.decode_heard(body)
        self._taken = (self._taken + 1) & 0xFFFF
        text = ":".join(f"{byte:02X}" for byte in address[1:])
        self.take(text, rssi, payload, kind == _CONNECTABLE)
        if (self._taken - self._told) & 0xFFFF >= usb_line.WINDOW // 4:
            self._told = self._taken
            task = asyncio.ensure_future(self._tell_taken())
            task.add_done_callback(_consume)

    # ---- what is said

    def _fail_say(self, why: str) -> None:
        if self._said is not None and not self._said.done():
            self._said.set_exception(HedgerowError("RADIO_USB", why))

    async def _say(self, payload: bytes, connectable: bool, events: int) -> float:
        if not self._greeted:
            raise HedgerowError("RADIO_USB", f"{self._name}: no board")
        loop = asyncio.get_running_loop()
        self._sequence = (self._sequence + 1) & 0xFF
        self._said = loop.create_future()
        began = loop.time()
        try:
            await self._write(usb_line.encode_say(self._sequence, connectable, events, payload))
            hold_s = (events - 0.5) * (limits.INTERVAL_MS + 5) / 1000
            outcome = await asyncio.wait_for(self._said, hold_s + limits.USB_ANSWER_S)
        except TimeoutError:
            raise HedgerowError("RADIO_USB", f"{self._name}: no answer to what is to be said") from None
        except asyncio.CancelledError:
            with contextlib.suppress(HedgerowError):
                await self._write(usb_line.encode(usb_line.HUSH))
            raise
        finally:
            self._said = None
        if outcome != usb_line.DONE:
            raise HedgerowError("RADIO_ADVERTISE", f"the board at {self._name} could not")
        return max(0.0, loop.time() - began - hold_s)

    async def _recover(self, error: HedgerowError) -> None:
        """A board that does not answer is found out by its silence; the connection is made anew then."""
        self.health.restarts += 1


def _consume(task: "asyncio.Task[None]") -> None:
    if not task.cancelled():
        task.exception()
