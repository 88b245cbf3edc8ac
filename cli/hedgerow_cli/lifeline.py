"""A process that ends when the one that started it does, however that ends.

The parent keeps the write end of a pipe and names the read end in the environment; when the pipe
reports its end, the parent is gone and the child gets SIGTERM, as if somebody had stopped it.
"""

import os
import signal
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

_VARIABLE = "HEDGEROW_LIFELINE"


class Child:
    """A process of ours; `stop` ends it in order, `kill` does not. Its output goes to the file `log`."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        read, self._write = os.pipe()
        environment = {**os.environ, _VARIABLE: str(read), "PYTHONUNBUFFERED": "1"}
        try:
            with log.open("ab") as output:
                self.process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=environment,
                    pass_fds=(read,),
                    start_new_session=True,
                )
        except BaseException:
            os.close(self._write)
            raise
        finally:
            os.close(read)
        self.log = log

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def stop(self, seconds: float = 8.0) -> int:
        """SIGTERM, and SIGKILL if that takes too long; returns the exit status."""
        if self.running:
            self.process.terminate()
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self._reap()

    def kill(self) -> int:
        """SIGKILL, as a power cut."""
        if self.running:
            self.process.kill()
        return self._reap()

    def _reap(self) -> int:
        status = self.process.wait()
        if self._write >= 0:
            os.close(self._write)
            self._write = -1
        return status


def obey() -> None:
    """In the child: watch the lifeline, if there is one."""
    read = os.environ.pop(_VARIABLE, "")
    if read.isdecimal():
        threading.Thread(target=_watch, args=(int(read),), name="lifeline", daemon=True).start()


def _watch(read: int) -> None:
    while os.read(read, 64):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
