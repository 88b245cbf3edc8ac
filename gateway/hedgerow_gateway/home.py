"""Where a peer lives: the one thread that uses its log, and how calls from elsewhere get there."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from hedgerow.errors import HedgerowError

T = TypeVar("T")


class Home:
    """One thread, with an event loop or without. Calls on that thread are plain calls.

    From other threads they are handed to the loop, and wait for it; without a loop they are refused with
    PEER_THREAD.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Live on this thread; with a loop, on the one that runs here."""
        self.loop = loop
        self._thread: threading.Thread | None = None
        self._ident = threading.get_ident()

    @classmethod
    def background(cls) -> "Home":
        """Live on a new thread with a loop of its own, which ends with the process or with close()."""
        home = cls(asyncio.new_event_loop())
        started: Future[int] = Future()
        home._thread = threading.Thread(target=home._run, args=(started,), name="hedgerow", daemon=True)
        home._thread.start()
        home._ident = started.result()
        return home

    def _run(self, started: "Future[int]") -> None:
        loop = self.loop
        assert loop is not None
        loop.call_soon(lambda: started.set_result(threading.get_ident()))
        loop.run_forever()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    @property
    def here(self) -> bool:
        """Whether this is the thread of the peer."""
        return threading.get_ident() == self._ident

    def call(self, function: Callable[[], T]) -> T:
        """Return what `function` returns there; its errors come back too."""
        return function() if self.here else self._hand_over(function).result()

    async def acall(self, function: Callable[[], T]) -> T:
        """As call(), while the loop of the caller goes on."""
        return function() if self.here else await asyncio.wrap_future(self._hand_over(function))

    def _hand_over(self, function: Callable[[], T]) -> "Future[T]":
        if self.loop is None:
            raise HedgerowError("PEER_THREAD", "a peer without a url is used on the thread that opened it")
        answer: Future[T] = Future()

        def run() -> None:
            # A caller that was cancelled meanwhile wants nothing done.
            if answer.set_running_or_notify_cancel():
                try:
                    answer.set_result(function())
                except BaseException as error:  # noqa: BLE001  it is raised again where the call was made
                    answer.set_exception(error)

        try:
            self.loop.call_soon_threadsafe(run)
        except RuntimeError:
            raise HedgerowError("PEER_CLOSED", "its event loop has ended") from None
        return answer

    def close(self) -> None:
        """End the background thread, if there is one; closing again does nothing."""
        thread, self._thread = self._thread, None
        if thread is not None and self.loop is not None:
            self.loop.call_soon_threadsafe(self.loop.stop)
            if not self.here:
                thread.join()
