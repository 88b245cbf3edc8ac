"""The board's wire to the air: frames from a Unix socket, in a ring, handed over in the main thread.

A thread reads each frame (two bytes of length, then that many) into whole slots of the ring; no frame
wraps around its end. `drain` runs as a scheduled callback, so Ctrl-C can stop it between any two
bytecodes: it is restartable, because it moves `tail` only when a frame is done with. The air never sends
more than fits; it learns of freed slots from `tail`, and pokes (length 0) when it waits for that.
"""

import _thread
import socket
from array import array

import micropython

SLOTS = 32
SLOT_SIZE = 96
_BLANK = bytes(SLOT_SIZE)
_ACK_EVERY = 8
# Its end is told in the same breath: no program runs between the two.
_READ_RESULT = 15


class AirLink:
    """`receive(frame, size)` gets each frame as a memoryview that is blanked afterwards; `lost()` is called
    after the last one, when the air has closed the socket."""

    def __init__(self, receive, lost):
        self.receive = receive
        self.lost = lost
        ring = memoryview(bytearray(SLOTS * SLOT_SIZE))
        self.slots = [ring[at * SLOT_SIZE :] for at in range(SLOTS)]
        self.sizes = array("H", bytes(2 * SLOTS))
        self.sock = None
        self.reading = False

    def open(self, path, hello):
        """Raises OSError when nobody listens at `path`."""
        self.head = self.tail = self.acked = 0
        self.begun = -1  # tail of the frame whose handler has been started
        self.dead = self.scheduled = False
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.connect(b"\x01\x00" + path.encode() + b"\x00")
        except OSError:
            sock.close()
            raise
        self.sock = sock
        self.send(hello)
        self.reading = True
        _thread.start_new_thread(_read, (self, sock))

    def send(self, body):
        """Send one message; to an air that is gone it is lost, as anything said to a dead controller."""
        if self.sock:
            try:
                self.sock.write(len(body).to_bytes(2, "little") + body)
            except OSError:
                pass

    def schedule(self):
        self.scheduled = True
        try:
            micropython.schedule(_drain, self)
        except RuntimeError:  # the queue is full; the air's next poke tries again
            self.scheduled = False

    def ack(self):
        self.acked = tail = self.tail
        self.send(bytes((17, tail & 255, tail >> 8 & 255)))

    def drain(self):
        while self.tail != self.head:
            at = self.tail % SLOTS
            size = self.sizes[at]
            if not size:
                self.tail += SLOTS - at
                continue
            self.receive(self.slots[at], size)
            end = at + (size + SLOT_SIZE - 1) // SLOT_SIZE
            while at < end:
                self.slots[at][:SLOT_SIZE] = _BLANK
                at += 1
            self.tail += (size + SLOT_SIZE - 1) // SLOT_SIZE
            if self.tail - self.acked >= _ACK_EVERY:
                self.ack()
        if self.tail != self.acked:
            self.ack()
        if self.dead:
            self.lost()


def _drain(link):
    link.scheduled = False
    link.drain()


def _read(link, sock):
    length = bytearray(2)
    try:
        while sock.readinto(length) == 2:
            size = length[0] | length[1] << 8
            if not size:
                link.schedule()
                continue
            head = link.head
            at = head % SLOTS
            need = (size + SLOT_SIZE - 1) // SLOT_SIZE
            if at + need > SLOTS:
                link.sizes[at] = 0
                head += SLOTS - at
                at = 0
            if need > SLOTS or sock.readinto(link.slots[at], size) != size:
                break
            link.sizes[at] = size
            link.head = head + need
            if not link.scheduled and link.slots[at][0] != _READ_RESULT:
                link.schedule()
    except OSError:
        pass
    sock.close()
    link.dead = True
    link.reading = False
    link.schedule()
