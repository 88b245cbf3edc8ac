"""The serial port of an emulated board: a pseudo-terminal that mpremote or a terminal program opens."""

import os
import select
import tty

from hedgerow_boards.limits import PORT_OUTPUT_BYTES

_CHUNK = 16 * 1024


class SerialPort:
    """The board's end. Never blocks: without a reader nothing is kept, with a slow one a bounded lot.

    `attached` says whether somebody had the port open when poll() or read() last looked.
    """

    def __init__(self) -> None:
        self.fd, slave = os.openpty()
        tty.setraw(slave)
        self.path = os.ttyname(slave)
        os.close(slave)  # only so does the kernel report that nobody has the port open
        os.set_blocking(self.fd, False)
        self.attached = False
        self.dropped = 0
        self._output = bytearray()
        self._poll = select.poll()
        self._poll.register(self.fd, select.POLLIN)

    def poll(self) -> bool:
        """Look whether somebody opened the port; returns `attached`."""
        events = sum(mask for _, mask in self._poll.poll(0))
        self.attached = not events & select.POLLHUP or bool(events & select.POLLIN)
        return self.attached

    def read(self) -> bytes:
        """What came in; empty and no longer attached once the other end is closed."""
        try:
            return os.read(self.fd, _CHUNK)
        except BlockingIOError:
            return b""
        except OSError:  # EIO: closed by its last user
            self.attached = False
            self._output.clear()
            return b""

    def write(self, data: bytes) -> None:
        """Queue and send; what exceeds the limit is dropped and counted in `dropped`."""
        room = PORT_OUTPUT_BYTES - len(self._output)
        self.dropped += max(0, len(data) - room)
        self._output += data[:room]
        self.flush()

    def flush(self) -> None:
        while self._output and self.attached:
            try:
                del self._output[: os.write(self.fd, self._output[:_CHUNK])]
            except BlockingIOError:
                return
            except OSError:
                self.attached = False
                self._output.clear()

    @property
    def waiting(self) -> bool:
        """Whether output waits for the reader."""
        return bool(self._output)

    def close(self) -> None:
        os.close(self.fd)
