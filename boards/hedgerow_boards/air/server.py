"""The air in real time: the radio model in a thread of its own, behind a Unix socket."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, TypeVar

from hedgerow.errors import HedgerowError
from hedgerow_boards.air.bursts import Interference
from hedgerow_boards.air.framelog import Counters, Frame, FrameLog
from hedgerow_boards.air.limits import CLIENTS_MAX, LAG_MAX_US, POKE_INTERVAL_S
from hedgerow_boards.air.model import AirModel
from hedgerow_boards.air.physics import Radio
from hedgerow_boards.air.session import Session

_Result = TypeVar("_Result")
_START_TIMEOUT_S = 10.0


class Air:
    """The only way between boards, gateways and tests. `with Air(path):` starts and stops it.

    Args:
        path: of the AF_UNIX socket; at most about 100 characters. A stale one is replaced.
        seed: of the model's pseudo-random choices.
        log: file that gets every frame as a JSON line (`FrameLog` has the keys); appended to.
        loss: chance, 0 to 1, that a packet is lost at a receiver in range.
        range_m: how far a radio reaches, in metres.
        radio: the whole model instead of these two, with shadowing and all (`physics.Radio`).
        interference: other users of the band.
        enabled: whether anything is delivered at all; may be set at any time.

    Addresses are texts like `c0:00:00:00:00:01`. Reachability may be changed from any thread, at any time.
    """

    def __init__(
        self,
        path: str,
        *,
        seed: int = 0,
        log: Path | None = None,
        loss: float = 0.02,
        range_m: float = 30.0,
        enabled: bool = True,
        radio: Radio | None = None,
        interference: tuple[Interference, ...] = (),
    ) -> None:
        self.path = path
        self._log = FrameLog(log)
        self.model = AirModel(
            seed=seed, loss=loss, range_m=range_m, log=self._log, radio=radio, interference=interference
        )
        self.model.medium.enabled = enabled
        self._sessions: set[Session] = set()
        self._thread: threading.Thread | None = None
        self._over = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._wake: asyncio.TimerHandle | None = None
        self._zero_ns = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def enabled(self) -> bool:
        return self.model.medium.enabled

    @enabled.setter
    def enabled(self, value: bool) -> None:
        self.model.medium.enabled = value

    @property
    def counters(self) -> Counters:
        return self.model.counters

    @property
    def frames(self) -> list[Frame]:
        """The newest frames, oldest first."""
        return list(self._log.frames)

    def place(self, address: str, x: float, y: float) -> None:
        """Put a radio somewhere, in metres; all are at (0, 0) to begin with."""
        self.model.medium.place(address, x, y)

    def connectable(self, a: str, b: str, heard: bool) -> None:
        """Let a and b hear each other, or not, whatever their distance."""
        self.model.medium.set_reach(a, b, heard)

    def block(self, a: str, b: str) -> None:
        self.connectable(a, b, False)

    def unblock(self, a: str, b: str) -> None:
        """Take back `block` or `connectable`: distance decides again."""
        self.model.medium.set_reach(a, b, None)

    def deafen(self, address: str, until: str) -> None:
        """Let a radio hear no advertisement `until` its board does something about it (`Faults.deafen`)."""
        self._in_thread(lambda: self.model.faults.deafen(address, until))

    def profile(self, address: str, name: str) -> None:
        """Whose current a radio's board draws (`charge.PROFILES`); an esp32's to begin with."""
        self._in_thread(lambda: self.model.set_profile(address, name))

    def power(self, address: str, state: str) -> None:
        """Say that a board is `on`, `sleep` or `off`; a radio that has gone is taken for asleep."""
        self._in_thread(lambda: self.model.set_power(address, state))

    def stats(self) -> dict[str, dict[str, Any]]:
        """`Tally.report` of every radio that was ever on, by address."""
        return self._in_thread(
            lambda: {address: self.model.stats(address) for address in self.model.addresses()}
        )

    def _in_thread(self, action: Callable[[], _Result]) -> _Result:
        """Do it where the model runs, or here if that is nowhere."""
        loop = self._loop
        if not loop or not self._thread or not self._thread.is_alive():
            return action()

        async def act() -> _Result:
            return action()

        return asyncio.run_coroutine_threadsafe(act(), loop).result(_START_TIMEOUT_S)

    def start(self) -> None:
        """Serve until `stop`. Raises OSError when the socket cannot be bound."""
        if self._thread:
            raise RuntimeError("the air has been started already")
        self._thread = threading.Thread(target=self._run, name="air", daemon=True)
        self._thread.start()
        if not self._started.wait(_START_TIMEOUT_S):
            raise TimeoutError("the air did not start")
        if self._failure:
            self._thread.join()
            raise self._failure

    def stop(self) -> None:
        """Close every client and the log; returns when the thread is gone. Harmless when not running."""
        if self._thread is None:
            return
        if self._loop and self._thread.is_alive():
            with contextlib.suppress(RuntimeError):  # the loop may end by itself between test and call
                self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        if not self._over:
            self._over = True
            self.model.log_stats()
            self._log.close()

    # The thread

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except OSError as error:
            self._failure = error
        finally:
            self._started.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        Path(self.path).unlink(missing_ok=True)
        server = await self._loop.create_unix_server(lambda: Session(self), self.path)
        Path(self.path).chmod(0o600)
        self._log.origin = time.time()
        self._zero_ns = time.monotonic_ns()
        self._started.set()
        try:
            while not self._stopping.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), POKE_INTERVAL_S)
                self._poke()
        finally:
            server.close()
            if self._wake:
                self._wake.cancel()
            for session in list(self._sessions):
                session.close()
            await server.wait_closed()
            await asyncio.sleep(0)
            Path(self.path).unlink(missing_ok=True)

    def _poke(self) -> None:
        assert self._loop
        now = self._loop.time()
        for session in list(self._sessions):
            session.poke(now, POKE_INTERVAL_S)
        self._log.flush()

    def catch_up(self) -> None:
        """Run the model up to the present. When the machine was held up, the radio's time stands still
        rather than racing through what nobody could answer meanwhile."""
        model = self.model
        now = (time.monotonic_ns() - self._zero_ns) // 1000
        late = now - model.timeline.now - LAG_MAX_US
        due = model.next_time()
        if late > 0 and due is not None and due < now - LAG_MAX_US:
            self._zero_ns += (now - LAG_MAX_US - due) * 1000
            self._log.origin += (now - LAG_MAX_US - due) / 1e6
            now = due + LAG_MAX_US
        try:
            model.step(now)
        finally:
            self._arm()

    def _arm(self) -> None:
        assert self._loop
        due = self.model.next_time()
        if self._wake:
            self._wake.cancel()
            self._wake = None
        if due is not None and not self._stopping.is_set():
            delay = (due - (time.monotonic_ns() - self._zero_ns) // 1000) / 1e6
            self._wake = self._loop.call_later(max(0.0, delay), self.catch_up)

    # Sessions

    def admit(self, session: Session) -> bool:
        if len(self._sessions) >= CLIENTS_MAX:
            return False
        self._sessions.add(session)
        return True

    def forget(self, session: Session) -> None:
        self._sessions.discard(session)

    def refuse(self, error: HedgerowError) -> None:
        """A client broke the protocol and is being closed."""
        self.counters.refused += 1
        self._log.add(self.model.timeline.now, "refused", "", code=error.code, detail=error.detail[:100])
