"""One side of a session over a byte stream: records, frames, credit, time and timeouts (SPEC 7).

It knows no log. Bytes, frames to send and the time go in; events, bytes and the next wake-up time come out.
"""

import struct

from .. import limits
from ..codec.varint import read_uint, write_uint
from ..custody import vectors
from ..custody.digest import BUCKETS
from ..custody.receipt import Receipt
from ..custody.skip import RECEIPTED, Skip
from ..errors import HedgerowError
from ..trust.seal import Seal
from . import frames
from .hello import KEEPER, Hello

# A fragment smaller than this is not worth its frame.
MIN_FRAGMENT = 48

_CODE_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

# Frames that may stand between the fragments of another.
_BETWEEN_FRAGMENTS = (frames.CREDIT, frames.BYE, frames.ERROR)


class Session:
    """`remote` is the other side's Hello once it came, `error` why the session ended early.

    `ending` says that only the farewell is left to be sent, `closed` that nothing more is sent or taken.
    `acknowledged` of the `sent` counted bytes are durable over there. With `keys` (crypto.greeting) these are
    agreed first, and seal all records; they are None where there is no security.
    """

    def __init__(self, hello: Hello, now: int, keys: object = None):
        self.keys = keys
        self.remote: Hello | None = None
        self.closed = False
        self.error: HedgerowError | None = None
        self.sent = 0
        self.acknowledged = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self._hello = hello
        self._queue: list = [(frames.HELLO, hello.encode())]
        self._buffer = bytearray()
        self._partial: tuple | None = None
        self._records_in = 0
        self._records_out = 0
        self._counted_in = 0
        self._granted = 0
        self._said_granted = 0
        self.ending = False
        self._started = self._heard = self._spoke = now
        self._asked_at: int | None = None
        self._was_asked_at: int | None = None

    # ---- in

    def receive(self, data: bytes, now: int) -> list:
        """Take bytes from the link; return the events [(frame type, value)] of the records that are whole.

        What breaks a rule ends the session: `error` is set, the other side is told, and the record that
        broke it yields no event.
        """
        self.bytes_in += len(data)
        events: list = []
        at = 0
        while at < len(data) and not self.ending and not self.closed:
            want = 2
            if len(self._buffer) >= 2:
                want = 2 + (self._buffer[0] << 8 | self._buffer[1])
            taken = min(len(data) - at, want - len(self._buffer))
            self._buffer += data[at : at + taken]
            at += taken
            try:
                self._check_length()
                if len(self._buffer) == want > 2:
                    record = self._buffer
                    self._buffer = bytearray()
                    events += self._record(record, now)
                    self._heard = now
            except HedgerowError as error:
                self.fail(error)
        return events

    def _check_length(self) -> None:
        if len(self._buffer) == 2:
            size = 2 + (self._buffer[0] << 8 | self._buffer[1])
            least = 4 if self._greeting() else frames.RECORD_OVERHEAD
            if not least <= size <= self._hello.max_record:
                raise HedgerowError("RECORD_LENGTH", "%d" % size)

    def _greeting(self) -> bool:
        """Say whether there are to be keys, and are none yet."""
        return self.keys is not None and not self.keys.done

    def _meet(self, record: bytes, now: int) -> bool:
        """Take a record that comes before the keys; False for one that needs none."""
        keys = self.keys
        try:
            keys.take(record, now)
        finally:
            if keys.plain:
                self.keys = None
        if keys.done:
            self._started = self._spoke = now
        return not keys.plain

    def _record(self, record: bytes, now: int) -> list:
        if self._greeting() and self._meet(record, now):
            return []
        payload = (self.keys.unseal if self.keys else frames.open_record)(record, self._records_in)
        self._records_in += 1
        events: list = []
        for kind, body in frames.read_frames(payload):
            if self.closed:
                break
            self._count(kind & ~frames.CONTINUED, len(body))
            if self._partial and kind not in _BETWEEN_FRAGMENTS:
                if self._partial[0] != kind & ~frames.CONTINUED:
                    raise HedgerowError("FRAME_INVALID", "type %d inside a fragment" % kind)
                body = self._partial[1] + body
                self._partial = None
            if len(body) > limits.MAX_FRAME:
                raise HedgerowError("FRAME_INVALID", "%d bytes" % len(body))
            if kind & frames.CONTINUED:
                self._partial = (kind & ~frames.CONTINUED, body)
            else:
                self._frame(kind, body, now, events)
        return events

    def _count(self, kind: int, size: int) -> None:
        if frames.counted(kind):
            self._counted_in += frames.frame_size(size)
            if self._counted_in > self._granted + self._hello.credit:
                raise HedgerowError("SESSION_CREDIT", "%d bytes" % self._counted_in)

    def _frame(self, kind: int, body: bytes, now: int, events: list) -> None:
        """Read one whole frame; add its event, or act on it where it concerns the session alone."""
        if (kind == frames.HELLO) == (self.remote is not None) and kind != frames.ERROR:
            raise HedgerowError("FRAME_UNEXPECTED", "type %d" % kind)
        value: object = body
        if kind == frames.HELLO:
            self.remote = value = self._greet(Hello.decode(body))
        elif kind == frames.SEAL or kind == frames.SKIP:
            value = (body[:8], body[8:])
            part = (Seal if kind == frames.SEAL else Skip).decode(body[8:])
            if kind == frames.SKIP and part.kind == RECEIPTED:
                raise HedgerowError("SKIP_INVALID", "a note of one log alone")
        elif kind == frames.HAVE:
            value = vectors.unpack(body)
        elif kind == frames.RECEIPT:
            value = Receipt.decode(body)
        elif kind == frames.TIME_ASK:
            self._was_asked_at = now
        elif kind == frames.TIME:
            value = self._time(body, now)
        elif kind == frames.CREDIT:
            self._credit(body)
            return
        elif kind == frames.DRAINED:
            value = read_summary(body)
        elif kind == frames.WANT_SCHEMA:
            value = [body[at : at + 4] for at in range(0, len(body), 4)]
            if len(body) % 4 or len(value) > limits.MAX_SCHEMAS:
                raise HedgerowError("FRAME_INVALID", "schema names")
        elif kind == frames.BYE or kind == frames.ERROR:
            self._end(kind, body)
        elif frames.ERROR < kind < frames.STATEMENTS:
            from . import interest

            value = interest.read_frame(kind, body)
        events.append((kind, value))

    def _greet(self, remote: Hello) -> Hello:
        if remote.mesh != self._hello.mesh:
            raise HedgerowError("MESH_MISMATCH", "another mesh")
        if remote.author == self._hello.author:
            raise HedgerowError("HELLO_INVALID", "our own author")
        remote.version(self._hello)
        if self.keys:
            self.keys.claims.check_greeting(remote.author, remote.role == KEEPER)
        return remote

    def trusts(self, kind: int) -> bool:
        """Say whether the other side's credential, if it needs one, is of a kind (crypto.claims)."""
        return self.keys is None or self.keys.claims.kinds & kind != 0

    def _time(self, body: bytes, now: int) -> tuple | None:
        """Return (utc_ms, error_ms, from a keeper) for this moment by Cristian's bound, or None."""
        if self._asked_at is None:
            raise HedgerowError("FRAME_UNEXPECTED", "time")
        if not body:
            self._asked_at = None
            return None
        if len(body) < 8:
            raise HedgerowError("FRAME_INVALID", "time")
        utc_ms = int.from_bytes(body[:6], "big")
        error_ms, at = read_uint(body, 6)
        hold_ms, at = read_uint(body, at)
        trip = now - self._asked_at - hold_ms
        # A stamp has 48 bits: no clock may be led so far that it comes to their end. Three times in whole
        # milliseconds may make a short way look shorter than none.
        if at != len(body) or trip < -2 or error_ms >> 40 or utc_ms >> 42:
            raise HedgerowError("FRAME_INVALID", "time")
        trip = max(trip, 0)
        self._asked_at = None
        # Two clocks were read in whole milliseconds at each end.
        return utc_ms + (trip >> 1), (trip + 1 >> 1) + error_ms + 2, self.remote.role == KEEPER

    def _credit(self, body: bytes) -> None:
        acknowledged, at = read_uint(body, 0)
        if at != len(body) or not self.acknowledged <= acknowledged <= self.sent:
            raise HedgerowError("SESSION_CREDIT", "acknowledged %d of %d" % (acknowledged, self.sent))
        self.acknowledged = acknowledged

    def _end(self, kind: int, body: bytes) -> None:
        code = "".join([chr(byte) for byte in body if chr(byte) in _CODE_LETTERS])
        if len(code) != len(body) or len(code) > limits.MAX_CODE or (kind == frames.ERROR and not code):
            raise HedgerowError("FRAME_INVALID", "code")
        self.closed = True
        if kind == frames.ERROR:
            self.error = HedgerowError(code, "said by the other side")

    # ---- out

    def outgoing(self, limit: int, now: int) -> bytes:
        """Return the next record, of at most `limit` bytes (64 or more), or b"" for nothing to send now."""
        if self.closed:
            return b""
        if self.keys:
            record = self.keys.give(limit, now)
            self.bytes_out += len(record)
            if record or self._waits_for_keys():
                return record
        if not self.ending:
            self._check_time(now)
        cap = min(self.remote.max_record, limits.MAX_RECORD) if self.remote else limits.FIRST_RECORD
        space = min(limit, cap) - frames.RECORD_OVERHEAD
        if space < MIN_FRAGMENT + 3:
            return b""
        payload = bytearray()
        if self._granted > self._said_granted and self.remote and not self.error:
            self._said_granted = self._granted
            frames.write_frame(payload, frames.CREDIT, _varint(self._granted))
        while self._queue and self._pack(payload, space, now):
            pass
        if not payload and (self.ending or now - self._spoke < limits.KEEPALIVE_MS):
            return b""
        if self.ending and not self._queue:
            self.closed = True
        record = (self.keys.seal if self.keys else frames.seal_record)(self._records_out, payload)
        self._records_out += 1
        self._spoke = now
        self.bytes_out += len(record)
        return record

    def _waits_for_keys(self) -> bool:
        """Say whether nothing can be said yet, or any more."""
        if self.keys.done:
            return False
        keys = self.keys
        if self.ending and not keys.begun:
            # Who said nothing about keys gets its answer in the clear.
            keys.channel.close()
            self.keys = None
            return False
        if keys.error and not self.error:
            self.error = keys.error
        self.closed = self.ending or self.error is not None
        if self.closed:
            keys.channel.close()
        return True

    def _pack(self, payload: bytearray, space: int, now: int) -> bool:
        """Move the first frame of the queue, or a fragment of it, into the record; False if it must wait."""
        kind, body = self._queue[0]
        if kind == frames.TIME:
            body = self._time_body(body, now)
        space -= len(payload) + 3
        counted = frames.counted(kind)
        if counted:
            space = min(space, self.credit() - 3)
        if len(body) > space:
            if space < MIN_FRAGMENT or kind == frames.TIME:
                return False
            self._queue[0] = (kind, body[space:])
            body = body[:space]
            kind |= frames.CONTINUED
        else:
            self._queue.pop(0)
        if kind == frames.TIME_ASK:
            self._asked_at = now
        if counted:
            self.sent += frames.frame_size(len(body))
        frames.write_frame(payload, kind, body)
        return True

    def _time_body(self, value: tuple | None, now: int) -> bytes:
        if value is None:
            return b""
        utc_ms, error_ms, read_at = value
        out = bytearray((utc_ms + now - read_at).to_bytes(6, "big"))
        write_uint(out, error_ms)
        write_uint(out, now - self._was_asked_at)
        return bytes(out)

    def _check_time(self, now: int) -> None:
        if self.remote is None:
            if now - self._started >= limits.HELLO_TIMEOUT_MS:
                self.fail(HedgerowError("SESSION_HELLO_TIMEOUT", "no hello"))
        elif now - self._heard >= limits.IDLE_TIMEOUT_MS:
            self.fail(HedgerowError("SESSION_IDLE_TIMEOUT", "silence"))

    def next_wakeup(self, now: int) -> int:
        """Return the moment at which outgoing() must be called even if nothing happens before."""
        if self._greeting():
            return self.keys.wakes(now)
        if self.remote is None:
            return self._started + limits.HELLO_TIMEOUT_MS
        return min(self._heard + limits.IDLE_TIMEOUT_MS, self._spoke + limits.KEEPALIVE_MS)

    # ---- what the owner says

    def credit(self) -> int:
        """Return the counted bytes that the other side still takes."""
        return self.remote.credit - (self.sent - self.acknowledged) if self.remote else 0

    def room(self) -> int:
        """Return the bytes that may be queued now: the credit less what waits already."""
        return self.credit() - self.waiting()

    def waiting(self) -> int:
        """Return the counted bytes that are queued."""
        return sum([frames.frame_size(len(body)) for kind, body in self._queue if frames.counted(kind)])

    def _free(self) -> int:
        return len([1 for kind, _ in self._queue if not frames.counted(kind)])

    def queue(self, kind: int, body: bytes = b"") -> None:
        """Queue a frame of bytes as they are: a schema, a segment, a time request, schema names.

        SESSION_QUEUE for too many that need no credit: the other side asks, and takes no answers.
        """
        if not self.ending:
            if not frames.counted(kind) and self._free() >= limits.MAX_FREE_FRAMES:
                raise HedgerowError("SESSION_QUEUE", str(limits.MAX_FREE_FRAMES))
            self._queue.append((kind, body))

    def queue_schema(self, encoded: bytes) -> None:
        # It may be asked for again and again: once is enough.
        if (frames.SCHEMA, encoded) not in self._queue:
            self.queue(frames.SCHEMA, encoded)

    def queue_segment(self, segment: bytes) -> None:
        self.queue(frames.SEGMENT, segment)

    def queue_seal(self, author: bytes, body: bytes) -> None:
        self.queue(frames.SEAL, author + body)

    def queue_skip(self, author: bytes, body: bytes) -> None:
        self.queue(frames.SKIP, author + body)

    def queue_have(self, entries: list) -> None:
        self.queue(frames.HAVE, vectors.pack(entries))

    def queue_receipt(self, receipt: Receipt) -> None:
        self.queue(frames.RECEIPT, receipt.encode())

    def queue_time_ask(self) -> None:
        self.queue(frames.TIME_ASK)

    def queue_time(self, utc: tuple | None, now: int) -> None:
        """Answer a time request with (ms since 2000, error in ms) at `now`, or with None for not known.

        The answer is brought up to the moment at which it is sent.
        """
        self.queue(frames.TIME, utc and (utc[0], utc[1], now))

    def queue_want_schema(self, names: list) -> None:
        self.queue(frames.WANT_SCHEMA, b"".join(names))

    def queue_drained(self, summary: list) -> None:
        self.queue(frames.DRAINED, write_summary(summary))

    def grant(self) -> None:
        """Say that all counted bytes received so far are durable: they are acknowledged and free again."""
        self._granted = self._counted_in

    def close(self, code: str = "") -> None:
        """End the session with the next record; what counts against credit and still waits is dropped."""
        if not self.ending:
            if self.waiting():
                self._queue = []
            self._queue.append((frames.BYE, code.encode()))
            self.ending = True

    def fail(self, error: HedgerowError) -> None:
        """End the session with an error, dropping the queue; the next record tells the other side."""
        if not self.ending and not self.closed:
            self.error = error
            self._queue = [(frames.ERROR, error.code.encode())]
            self.ending = True


def _varint(number: int) -> bytes:
    out = bytearray()
    write_uint(out, number)
    return bytes(out)


def write_summary(summary: list) -> bytes:
    """Encode [open count, digest of each bucket]: u16, then six bytes each unless nothing is open."""
    return struct.pack(">H", min(summary[0], 0xFFFF)) + (b"".join(summary[1:]) if summary[0] else b"")


def read_summary(body: bytes) -> list:
    """Decode a summary of up to eight buckets."""
    if len(body) < 2 or len(body) > 50 or len(body) % 6 != 2:
        raise HedgerowError("FRAME_INVALID", "summary")
    digests = [body[at : at + 6] for at in range(2, len(body), 6)] or [bytes(6)] * BUCKETS
    return [body[0] << 8 | body[1]] + digests
