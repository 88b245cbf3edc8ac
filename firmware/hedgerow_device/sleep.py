"""Deep sleep of a leaf: what outlives it in RTC memory, and going on where the last wake ended.

RAM, radio and program are gone in deep sleep; the RTC and 2 KiB beside it are not. A wake goes on with the
uptime and the boot before it, as far as the RTC's drift leaves that boot's clock good enough. What is not
whole in RTC memory, or does not fit the log, makes the wake a boot like any other.
"""

import asyncio
import binascii
import struct
import time

import machine

from hedgerow.limits import const
from hedgerow.log import STATE_CONFIG
from hedgerow.operation import CLOCK
from hedgerow.peer import EPOCH

_MAGIC = b"HgS1"
# Magic, CRC-32 and length of what follows.
_HEAD = ">4sIH"
# Author, epoch, held, uptime, RTC, base of the clock, sealed at, due, drift; UTC, its error and source.
_STATE = ">8sIIQQQQQIQIB"
_HEAD_SIZE = const(10)
_STATE_SIZE = const(73)
# The RTC's oscillator is calibrated at each boot; what temperature may do to it until the next one.
_SLEEP_PPM = const(10000)
# How far sleeps may put a boot's clock wrong, in ms and as a part of the period: errors count it in.
_LEAST_DRIFT_MS = const(1000)
_DRIFT_PART = const(8)
_MOST = const(0x3FFFFFFF)
_SHORTEST_MS = const(20)
_LOOK_MS = const(20)
# A wake ends even if the mesh has more to do, and later even a session.
_LONGEST_WAKE_MS = const(30000)
_LONGEST_SESSION_MS = const(120000)


class Sleeper:
    """The sleeps of one leaf, `period_ms` from a planned wake to the next; `due` is the uptime of the next.

    `drift_ms` is how wrong sleeps may have put the clock since it was last set, `mesh_state` what the mesh
    had saved, `woken` whether this boot goes on with the one before.
    """

    def __init__(self, period_ms: int):
        self.period_ms = period_ms
        self.due = 0
        self.drift_ms = 0
        self.mesh_state = b""
        self.woken = False
        self._state: tuple | None = None
        # How long the sleep before this wake was.
        self.slept = 0

    @property
    def reach_ms(self) -> int:
        """What is added to the errors of a clock that is set, for sleeps before and after it."""
        return max(_LEAST_DRIFT_MS, self.period_ms // _DRIFT_PART, self.drift_ms)

    def read(self, log: object) -> int:
        """Take what the last wake left, if it is whole and of this log; return the uptime now, or 0."""
        if machine.reset_cause() != machine.DEEPSLEEP_RESET:
            return 0
        data = machine.RTC().memory()
        if len(data) < _HEAD_SIZE + _STATE_SIZE:
            return 0
        magic, crc, size = struct.unpack_from(_HEAD, data)
        body = data[_HEAD_SIZE : _HEAD_SIZE + size]
        if magic != _MAGIC or len(body) != size or binascii.crc32(body) != crc:
            return 0
        state = struct.unpack_from(_STATE, body)
        epoch = int.from_bytes(log.get(STATE_CONFIG, EPOCH) or b"", "big")
        if state[0] != log.author or state[1] != epoch or state[2] != log.held(log.author) or log.damaged:
            return 0
        self._state = state
        self.slept = max(0, _rtc_ms() - state[4])
        self.due = state[7]
        self.drift_ms = min(_MOST, state[8] + self._drift())
        self.mesh_state = body[_STATE_SIZE:]
        return state[3] + self.slept

    def _drift(self) -> int:
        return min(_MOST, self.slept * _SLEEP_PPM // 1000000 + 1)

    def resume(self, peer: object, now: int) -> bool:
        """Let a peer go on as before the sleep; False if it has to boot.

        Where its clock may have drifted too far, a boot begins that knows the time the last one knew.
        """
        state = self._state
        if state is None:
            return False
        self._state = None
        peer.clock.base_ms = state[5]
        peer.sealed_at = min(state[6], now)
        utc_ms, error_ms, source = state[9:]
        if source:
            utc_ms += self.slept
            error_ms += self._drift()
            if self.drift_ms >= self.reach_ms:
                error_ms += self.reach_ms
                self.drift_ms = 0
                peer.log.put(STATE_CONFIG, EPOCH, peer.epoch.to_bytes(4, "big"))
                change = [CLOCK, peer.epoch, now, peer.clock.base_ms, source, utc_ms, error_ms]
                peer.write([change], (), now)
                peer.restore_time(utc_ms, error_ms, source, now)
                return True
            peer.restore_time(utc_ms, error_ms, source, now)
        peer.epoch = state[1]
        self.woken = True
        return True

    def plan(self, now: int) -> int:
        """Return when the next wake is due: on the grid of the first one, whatever wakes and sleeps took."""
        if not self.due:
            self.due = now
        if self.due <= now:
            self.due += ((now - self.due) // self.period_ms + 1) * self.period_ms
        return self.due

    async def run(self, peer: object, node: object, now: object, report: object) -> None:
        """Power down once the application is done and the mesh has said all; `report(error)` failures."""
        while not peer.done:
            await asyncio.sleep_ms(_LOOK_MS)
        began = now()
        if node and node.mesh:
            # The application may have said when.
            node.mesh.window.woke_at = self.plan(began) - self.period_ms
        while True:
            moment = now()
            until = node.rest_until(moment) if node else self.plan(moment)
            spent = moment - began
            if until is not None or (spent > _LONGEST_WAKE_MS and (node.idle or spent > _LONGEST_SESSION_MS)):
                self._down(peer, node, moment, self.plan(moment), report)
            await asyncio.sleep_ms(_LOOK_MS)

    def _down(self, peer: object, node: object, now: int, until: int, report: object) -> None:
        """Power down until `until`; it does not return."""
        try:
            mesh_state = b""
            if node:
                mesh_state = node.save(now)
                node.radio.close()
            self.keep(peer, now, mesh_state)
        except Exception as error:  # it sleeps all the same, and boots from its log
            machine.RTC().memory(b"")
            report(error)
        wait_ms = max(_SHORTEST_MS, until - now)
        print("sleep ms=%d" % wait_ms)
        machine.deepsleep(wait_ms)

    def keep(self, peer: object, now: int, mesh_state: bytes) -> None:
        """Close the log, and put into RTC memory what the next wake goes on with."""
        utc_ms, error_ms, source = peer.time_to_keep(now)
        log = peer.log
        body = struct.pack(
            _STATE, log.author, peer.epoch, log.held(log.author), now, _rtc_ms(), peer.clock.base_ms,
            peer.sealed_at, self.due, self.drift_ms, utc_ms, error_ms, source,
        )  # fmt: skip
        body += mesh_state
        log.close()
        machine.RTC().memory(struct.pack(_HEAD, _MAGIC, binascii.crc32(body), len(body)) + body)


def _rtc_ms() -> int:
    """Return milliseconds on the RTC's scale, which goes on in deep sleep."""
    return time.time_ns() // 1000000
